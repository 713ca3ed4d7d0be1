#include "query/functions/window_histogram.h"

#include <algorithm>

#include "query/histogram_math.h"

namespace tocsin::query {

using model::CounterResetHint;
using model::Histogram;
using model::Timestamp;

bool HistogramsDiffer(const Histogram& before, const Histogram& after) {
  return !SameHistogram(before, after);
}

bool IsHistogramReset(const Histogram& before, const Histogram& after) {
  return IsCounterReset(after, before);
}

namespace {

// Annotations of one window's arithmetic.
class WindowNotes {
 public:
  WindowNotes(const WindowCall& call, size_t series) : call_(call), series_(series) {}

  // False when the two did not fit together.
  bool Check(const std::optional<CombineNotes>& notes, std::string_view operation) {
    if (!notes.has_value()) {
      call_.context->annotations.MixedExponentialCustom(call_.namer->MetricName(series_),
                                                        call_.position);
      return false;
    }
    if (notes->bounds_reconciled) {
      call_.context->annotations.MismatchedCustomBuckets(operation, call_.position);
    }
    return true;
  }

 private:
  const WindowCall& call_;
  const size_t series_;
};

bool MixesSchemas(std::span<const Histogram* const> histograms) {
  for (const Histogram* h : histograms) {
    if (h->uses_custom_buckets() != histograms.front()->uses_custom_buckets()) return true;
  }
  return false;
}

bool StartTimeReset(const WindowCall& call, const WindowInput& in, size_t index) {
  const model::Column& c = *in.column;
  if (!call.context->language.start_timestamps || c.histogram_start_timestamps.empty())
    return false;
  return IsStartTimeReset(c.histogram_timestamps[index - 1],
                          c.histogram_start_timestamps[index - 1], c.histogram_timestamps[index],
                          c.histogram_start_timestamps[index]);
}

}  // namespace

void AnnotateHistogramKind(const WindowCall& call, const WindowInput& in,
                           std::span<const Histogram* const> histograms, bool counter) {
  const auto is_gauge = [](const Histogram* h) { return h->hint == CounterResetHint::kGauge; };
  if (counter && std::any_of(histograms.begin(), histograms.end(), is_gauge)) {
    call.context->annotations.NotCounter(call.namer->MetricName(in.series), call.position);
  }
  if (!counter && !(is_gauge(histograms.front()) && is_gauge(histograms.back()))) {
    call.context->annotations.NotGauge(call.namer->MetricName(in.series), call.position);
  }
}

std::optional<Histogram> HistogramIncrease(const WindowCall& call, const WindowInput& in, size_t t,
                                           bool counter, bool from_zero) {
  std::span<const Histogram* const> histograms = in.Histograms(t);
  if (from_zero && histograms.size() == 1) return *histograms.front();
  WindowNotes notes(call, in.series);
  AnnotateHistogramKind(call, in, histograms, counter);
  size_t index = in.histograms->begin[t];  // of the first one in the column
  // A first sample right before a reset adds nothing: its layout need not even fit.
  if (counter && !from_zero && histograms.size() > 1 &&
      (IsCounterReset(*histograms[1], *histograms[0]) || StartTimeReset(call, in, index + 1))) {
    from_zero = true;
    histograms = histograms.subspan(1);
    ++index;
  }
  // What a gauge was in between does not matter.
  const Histogram* const ends[] = {histograms.front(), histograms.back()};
  const std::span<const Histogram* const> looked_at = counter ? histograms : ends;
  if (MixesSchemas(looked_at)) {
    notes.Check(std::nullopt, "");
    return std::nullopt;
  }
  // The coarsest resolution of the window: all of it is computed there.
  int32_t schema = histograms.front()->schema;
  for (const Histogram* h : looked_at) schema = std::min(schema, h->schema);
  Histogram increase = *histograms.back();
  if (!increase.uses_custom_buckets()) ReduceResolution(schema, &increase);
  if (!from_zero) {
    if (!notes.Check(SubtractHistogram(*histograms.front(), &increase), "subtraction")) {
      return std::nullopt;
    }
  }
  if (counter) {
    for (size_t i = 1; i < histograms.size(); ++i) {
      if (!IsCounterReset(*histograms[i], *histograms[i - 1]) &&
          !StartTimeReset(call, in, index + i)) {
        continue;
      }
      if (!notes.Check(AddHistogram(*histograms[i - 1], &increase), "addition")) {
        return std::nullopt;
      }
    }
  }
  increase.hint = CounterResetHint::kGauge;
  CompactHistogram(&increase);
  return increase;
}

void InstantHistogramChange(const WindowCall& call, const WindowInput& in, const WindowOutput& out,
                            size_t t, bool rate) {
  struct Point {
    const Histogram* histogram = nullptr;
    Timestamp time = 0;
  };
  // The last two samples of both kinds together.
  const std::span<const Histogram* const> histograms = in.Histograms(t);
  const std::span<const Timestamp> histogram_times = in.HistogramTimes(t);
  const std::span<const double> floats = in.FloatValues(t);
  const std::span<const Timestamp> float_times = in.FloatTimes(t);
  if (floats.size() + histograms.size() < 2) return;
  size_t f = floats.size();
  size_t h = histograms.size();
  const auto take_last = [&]() -> Point {
    if (h > 0 && (f == 0 || histogram_times[h - 1] > float_times[f - 1])) {
      --h;
      return {histograms[h], histogram_times[h]};
    }
    --f;
    return {nullptr, float_times[f]};
  };
  const Point last = take_last();
  const Point before = take_last();
  const double seconds = static_cast<double>(last.time - before.time) / 1000;
  if (last.histogram == nullptr && before.histogram == nullptr) {
    const double a = floats[floats.size() - 2];
    const double b = floats[floats.size() - 1];
    const double change = rate && b < a ? b : b - a;
    out.Set(t, rate ? change / seconds : change);
    return;
  }
  if (last.histogram == nullptr || before.histogram == nullptr) {
    call.context->annotations.MixedFloatsHistograms(call.namer->MetricName(in.series),
                                                    call.position);
    return;
  }
  const Histogram* const pair[] = {before.histogram, last.histogram};
  AnnotateHistogramKind(call, in, pair, rate);
  Histogram change = *last.histogram;
  const bool reset = rate && (IsCounterReset(*last.histogram, *before.histogram) ||
                              StartTimeReset(call, in, in.histograms->end[t] - 1));
  WindowNotes notes(call, in.series);
  if (!reset && !notes.Check(SubtractHistogram(*before.histogram, &change), "subtraction")) return;
  change.hint = CounterResetHint::kGauge;
  CompactHistogram(&change);
  if (rate) DivideHistogram(seconds, &change);
  out.Set(t, std::move(change));
}

std::optional<Histogram> AddUpHistograms(const WindowCall& call, size_t series,
                                         std::span<const Histogram* const> histograms,
                                         double divisor) {
  WindowNotes notes(call, series);
  CompensatedHistogram total(*histograms.front());
  bool collision = false;
  for (const Histogram* next : histograms.subspan(1)) {
    const std::optional<CombineNotes> combined = total.Add(*next);
    if (!notes.Check(combined, "aggregation")) return std::nullopt;
    collision |= combined->counter_reset_collision;
  }
  // A collision needs explicit opposite hints, wherever in the window they are.
  bool resets = false;
  bool not_resets = false;
  for (const Histogram* h : histograms) {
    resets |= h->hint == CounterResetHint::kReset;
    not_resets |= h->hint == CounterResetHint::kNotReset;
  }
  if (collision || (resets && not_resets)) {
    call.context->annotations.CounterResetCollision("aggregation", call.position);
  }
  if (divisor != 1) total.Divide(divisor);
  Histogram sum = total.Sum();
  CompactHistogram(&sum);
  return sum;
}

void SumHistograms(const WindowCall& call, const WindowInput& in, const WindowOutput& out, size_t t,
                   bool average) {
  const std::span<const Histogram* const> histograms = in.Histograms(t);
  std::optional<Histogram> sum = AddUpHistograms(
      call, in.series, histograms, average ? static_cast<double>(histograms.size()) : 1);
  if (sum.has_value()) out.Set(t, *std::move(sum));
}

}  // namespace tocsin::query
