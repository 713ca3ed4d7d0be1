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

bool StartTimeReset(const WindowCall& call, const WindowInput& in, size_t index) {
  const model::Column& c = *in.column;
  if (!call.context->language.start_timestamps || c.histogram_start_timestamps.empty())
    return false;
  return IsStartTimeReset(c.histogram_timestamps[index - 1],
                          c.histogram_start_timestamps[index - 1], c.histogram_timestamps[index],
                          c.histogram_start_timestamps[index]);
}

bool FloatStartTimeReset(const WindowCall& call, const WindowInput& in, size_t index) {
  const model::Column& c = *in.column;
  if (!call.context->language.start_timestamps || c.start_timestamps.empty()) return false;
  return IsStartTimeReset(c.timestamps[index - 1], c.start_timestamps[index - 1],
                          c.timestamps[index], c.start_timestamps[index]);
}

// Fills `steps` for the column: once, whatever number of windows looks at it.
void FindSteps(const WindowCall& call, const WindowInput& in, HistogramSteps* steps) {
  const std::span<const Histogram* const> all = in.column->histograms;
  steps->resets.clear();
  steps->schema_changes.clear();
  steps->gauges_before.assign(1, 0);
  steps->customs_before.assign(1, 0);
  for (uint32_t i = 0; i < all.size(); ++i) {
    const Histogram& h = *all[i];
    steps->gauges_before.push_back(steps->gauges_before[i] +
                                   (h.hint == CounterResetHint::kGauge ? 1 : 0));
    steps->customs_before.push_back(steps->customs_before[i] + (h.uses_custom_buckets() ? 1 : 0));
    if (i == 0) continue;
    if (h.schema != all[i - 1]->schema) steps->schema_changes.push_back(i);
    if (IsCounterReset(h, *all[i - 1]) || StartTimeReset(call, in, i)) steps->resets.push_back(i);
  }
  steps->valid = true;
}

// Those of `positions` (ascending) in [begin, end).
std::span<const uint32_t> Within(const std::vector<uint32_t>& positions, size_t begin, size_t end) {
  const auto from = std::lower_bound(positions.begin(), positions.end(), begin);
  return {from, std::lower_bound(from, positions.end(), end)};
}

// The coarsest resolution of the histograms [begin, end).
int32_t CoarsestSchema(const WindowInput& in, const HistogramSteps& steps, size_t begin,
                       size_t end) {
  const std::span<const Histogram* const> all = in.column->histograms;
  int32_t schema = all[begin]->schema;
  for (const uint32_t i : Within(steps.schema_changes, begin + 1, end))
    schema = std::min(schema, all[i]->schema);
  return schema;
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
  const std::span<const Histogram* const> all = in.column->histograms;
  size_t begin = in.histograms->begin[t];
  const size_t end = in.histograms->end[t];
  if (from_zero && end - begin == 1) return *all[begin];
  WindowNotes notes(call, in.series);
  HistogramSteps& steps = in.scratch->histograms;
  if (counter) {
    if (!steps.valid) FindSteps(call, in, &steps);
    if (steps.gauges_before[end] != steps.gauges_before[begin])
      call.context->annotations.NotCounter(call.namer->MetricName(in.series), call.position);
  } else {
    AnnotateHistogramKind(call, in, in.Histograms(t), false);
  }
  // A first sample right before a reset adds nothing: its layout need not even fit.
  if (counter && !from_zero && !Within(steps.resets, begin + 1, begin + 2).empty() &&
      begin + 1 < end) {
    from_zero = true;
    ++begin;
  }
  const Histogram& first = *all[begin];
  const Histogram& last = *all[end - 1];
  // What a gauge was in between does not matter.
  const auto customs = counter ? steps.customs_before[end] - steps.customs_before[begin]
                               : uint32_t{first.uses_custom_buckets()} + last.uses_custom_buckets();
  if (customs != 0 && customs != (counter ? end - begin : 2)) {
    notes.Check(std::nullopt, "");
    return std::nullopt;
  }
  // The coarsest resolution of the window: all of it is computed there.
  const int32_t schema =
      counter ? CoarsestSchema(in, steps, begin, end) : std::min(first.schema, last.schema);
  Histogram increase = last;
  if (!increase.uses_custom_buckets()) ReduceResolution(schema, &increase);
  if (!from_zero && !notes.Check(SubtractHistogram(first, &increase), "subtraction"))
    return std::nullopt;
  if (counter) {
    for (const uint32_t i : Within(steps.resets, begin + 1, end)) {
      if (!notes.Check(AddHistogram(*all[i - 1], &increase), "addition")) return std::nullopt;
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
    const bool reset = rate && (b < a || FloatStartTimeReset(call, in, in.floats->end[t] - 1));
    const double change = reset ? b : b - a;
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
