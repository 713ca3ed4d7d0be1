// `anchored` and `smoothed` range vectors: rate, increase and delta from edge to edge of the window
// without extrapolation.
//
//   anchored   the value at the window's start is the newest sample at or before it (within the
//              lookback), else the first one inside; at its end the last sample inside
//   smoothed   both edges are interpolated between the samples around them (within the lookback)
//
// A counter that falls between two samples restarted at zero: interpolation then begins at zero.
#include <optional>

#include "query/functions/extrapolation.h"
#include "query/functions/interpolate.h"
#include "query/functions/window_histogram.h"
#include "query/functions/window_kernels.h"
#include "query/histogram_math.h"

namespace tocsin::query {

using model::Timestamp;

namespace {

struct ExtendedKind {
  bool counter;
  bool rate;
  bool smoothed;
};

// What the edges of one window fall on.
struct Edges {
  uint32_t first;  // sample that the left edge is taken from
  uint32_t last;   // sample that the right edge is taken from
};

// False: nothing in the window, or nothing to say about it.
bool FindEdges(const WindowCall& call, std::span<const Timestamp> times, uint32_t begin,
               uint32_t end, Timestamp open_start, Timestamp window_end, bool smoothed,
               Edges* edges) {
  const int64_t lookback = call.context->lookback_delta_ms;
  const auto count = static_cast<uint32_t>(times.size());
  const bool has_before = begin > 0 && times[begin - 1] > open_start - lookback;
  const bool has_behind = smoothed && end < count && times[end] <= window_end + lookback;
  edges->first = has_before ? begin - 1 : begin;
  const bool exact_end = begin < end && times[end - 1] == window_end;
  edges->last = has_behind && !exact_end ? end : end - 1;
  // Only before, or only behind the window.
  if (begin == end && !(has_before && has_behind)) return false;
  return edges->first < count && edges->last < count && edges->first <= edges->last;
}

// One window: its samples and where its edges lie.
struct Window {
  Timestamp open_start;
  Timestamp end;
  Edges edges;
  bool left_between;   // the left edge lies between samples first and first + 1
  bool right_between;  // the right edge lies between samples last - 1 and last
};

std::optional<Window> FindWindow(const WindowCall& call, std::span<const Timestamp> times,
                                 const Windows& windows, size_t t, bool smoothed) {
  Window w{};
  w.end = call.times[t];
  w.open_start = w.end - call.range_ms;
  if (!FindEdges(call, times, windows.begin[t], windows.end[t], w.open_start, w.end, smoothed,
                 &w.edges)) {
    return std::nullopt;
  }
  w.left_between = smoothed && times[w.edges.first] < w.open_start;
  w.right_between = smoothed && times[w.edges.last] > w.end;
  if (w.left_between && w.edges.first == w.edges.last) return std::nullopt;
  return w;
}

double RangeSeconds(const WindowCall& call) { return static_cast<double>(call.range_ms) / 1000; }

double FloatChange(const model::Column& c, const Window& w, bool counter) {
  const auto between = [&](uint32_t i, Timestamp time) {
    return InterpolateFloats(c.values[i], c.values[i + 1],
                             PartBetween(c.timestamps[i], c.timestamps[i + 1], time), counter);
  };
  const auto [first, last] = w.edges;
  const double left = w.left_between ? between(first, w.open_start) : c.values[first];
  const double right = w.right_between ? between(last - 1, w.end) : c.values[last];
  double change = right - left;
  if (!counter) return change;
  double previous = left;
  for (uint32_t i = first + 1; i < last; ++i) {
    if (c.values[i] < previous) change += previous;
    previous = c.values[i];
  }
  return right < previous ? change + previous : change;
}

using MaybeHistogram = std::optional<model::Histogram>;

// The same of histograms, with its annotations.
class HistogramChange {
 public:
  HistogramChange(const WindowCall& call, const WindowInput& in, const Window& window)
      : call_(call), in_(in), c_(*in.column), w_(window) {}

  // Nothing when exponential and custom buckets meet.
  MaybeHistogram Compute(bool counter) {
    const auto [first, last] = w_.edges;
    const auto all = c_.histograms.subspan(first, last - first + 1);
    for (const model::Histogram* h : all) {
      if (h->uses_custom_buckets() != all.front()->uses_custom_buckets()) return Refuse();
    }
    const MaybeHistogram left =
        w_.left_between ? Between(first, w_.open_start, counter) : *c_.histograms[first];
    const MaybeHistogram right =
        w_.right_between ? Between(last - 1, w_.end, counter) : *c_.histograms[last];
    if (!left.has_value() || !right.has_value()) return Refuse();
    if (counter) {
      AnnotateHistogramKind(call_, in_, all, true);
    } else {
      const model::Histogram* const ends[] = {&*left, &*right};
      AnnotateHistogramKind(call_, in_, ends, false);
    }
    model::Histogram change = *right;
    if (!Note(SubtractHistogram(*left, &change), "subtraction")) return Refuse();
    if (counter && last > first && !AddBeforeResets(*left, *right, &change)) return Refuse();
    change.hint = model::CounterResetHint::kGauge;
    CompactHistogram(&change);
    return change;
  }

 private:
  MaybeHistogram Between(uint32_t i, Timestamp time, bool counter) {
    std::optional<BetweenHistograms> between = InterpolateHistograms(
        *c_.histograms[i], *c_.histograms[i + 1],
        PartBetween(c_.histogram_timestamps[i], c_.histogram_timestamps[i + 1], time), counter);
    if (!between.has_value()) return std::nullopt;
    if (between->difference_reconciled) Reconciled("subtraction");
    if (between->sum_reconciled) Reconciled("addition");
    return std::move(between->value);
  }

  bool AddBeforeResets(const model::Histogram& left, const model::Histogram& right,
                       model::Histogram* change) {
    const auto [first, last] = w_.edges;
    const model::Histogram* previous = &left;
    uint32_t next = first + 1;
    // A left edge inside the fall at a reset has already begun anew.
    if (w_.left_between && IsCounterReset(*c_.histograms[first + 1], *c_.histograms[first])) {
      previous = c_.histograms[first + 1];
      ++next;
    }
    if (next > last) return true;
    for (uint32_t i = next; i <= last; ++i) {
      const model::Histogram* current = i == last ? &right : c_.histograms[i];
      if (IsCounterReset(*current, *previous) &&
          !Note(AddHistogram(*previous, change), "addition")) {
        return false;
      }
      previous = current;
    }
    return true;
  }

  bool Note(const std::optional<CombineNotes>& notes, std::string_view operation) {
    if (notes.has_value() && notes->bounds_reconciled) Reconciled(operation);
    return notes.has_value();
  }
  void Reconciled(std::string_view operation) {
    call_.context->annotations.MismatchedCustomBuckets(operation, call_.position);
  }
  MaybeHistogram Refuse() {
    call_.context->annotations.MixedExponentialCustom(call_.namer->MetricName(in_.series),
                                                      call_.position);
    return std::nullopt;
  }

  const WindowCall& call_;
  const WindowInput& in_;
  const model::Column& c_;
  const Window& w_;
};

// Floats and histograms do not mix, not even in the lookback beside the window.
bool RefusesMixAround(const WindowCall& call, const WindowInput& in, size_t t, bool smoothed) {
  if (in.histograms == nullptr || in.column->timestamps.empty()) return false;
  const int64_t lookback = call.context->lookback_delta_ms;
  const Timestamp open_start = call.times[t] - call.range_ms - lookback;
  const Timestamp end = call.times[t] + (smoothed ? lookback : 0);
  if (!AnyIn(in.column->timestamps, open_start, end) ||
      !AnyIn(in.column->histogram_timestamps, open_start, end)) {
    return false;
  }
  call.context->annotations.MixedFloatsHistograms(call.namer->MetricName(in.series), call.position);
  return true;
}

// Looking at a histogram, in looks at floats.
constexpr size_t kHistogramCost = 20;

Status Extended(const WindowCall& call, const WindowInput& in, const WindowOutput& out,
                ExtendedKind kind) {
  const model::Column& c = *in.column;
  bool any_float = false;
  RunningPoll poll(*call.context);
  for (size_t t = 0; t < call.times.size(); ++t) {
    TOCSIN_RETURN_IF_ERROR(poll.LookedAt(in.FloatsIn(t) + kHistogramCost * in.HistogramsIn(t)));
    if (RefusesMixAround(call, in, t, kind.smoothed)) continue;
    const std::optional<Window> floats =
        FindWindow(call, c.timestamps, *in.floats, t, kind.smoothed);
    if (floats.has_value()) {
      const double change = FloatChange(c, *floats, kind.counter);
      out.Set(t, kind.rate ? change / RangeSeconds(call) : change);
      any_float = true;
      continue;
    }
    if (in.histograms == nullptr) continue;
    const std::optional<Window> histograms =
        FindWindow(call, c.histogram_timestamps, *in.histograms, t, kind.smoothed);
    if (!histograms.has_value()) continue;
    MaybeHistogram change = HistogramChange(call, in, *histograms).Compute(kind.counter);
    if (!change.has_value()) continue;
    if (kind.rate) DivideHistogram(RangeSeconds(call), &*change);
    out.Set(t, std::move(*change));
  }
  if (kind.counter && any_float) AnnotateNonCounter(call, in.series);
  return Status::Ok();
}

}  // namespace

TOCSIN_WINDOW_KERNEL(AnchoredRate) { return Extended(call, in, out, {true, true, false}); }
TOCSIN_WINDOW_KERNEL(AnchoredIncrease) { return Extended(call, in, out, {true, false, false}); }
TOCSIN_WINDOW_KERNEL(AnchoredDelta) { return Extended(call, in, out, {false, false, false}); }
TOCSIN_WINDOW_KERNEL(SmoothedRate) { return Extended(call, in, out, {true, true, true}); }
TOCSIN_WINDOW_KERNEL(SmoothedIncrease) { return Extended(call, in, out, {true, false, true}); }
TOCSIN_WINDOW_KERNEL(SmoothedDelta) { return Extended(call, in, out, {false, false, true}); }

}  // namespace tocsin::query
