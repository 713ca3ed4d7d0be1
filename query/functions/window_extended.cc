// `anchored` and `smoothed` range vectors: rate, increase and delta from edge to edge of the window
// without extrapolation.
//
//   anchored   the value at the window's start is the newest sample at or before it (within the
//              lookback), else the first one inside; at its end the last sample inside
//   smoothed   both edges are interpolated between the samples around them (within the lookback)
//
// A counter that falls between two samples restarted at zero: interpolation then begins at zero.
#include <optional>

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

// Nothing when exponential and custom buckets meet.
std::optional<model::Histogram> HistogramChange(const model::Column& c, const Window& w,
                                                bool counter) {
  const auto between = [&](uint32_t i, Timestamp time) {
    return InterpolateHistograms(
        *c.histograms[i], *c.histograms[i + 1],
        PartBetween(c.histogram_timestamps[i], c.histogram_timestamps[i + 1], time), counter);
  };
  const auto [first, last] = w.edges;
  const std::optional<model::Histogram> left =
      w.left_between ? between(first, w.open_start) : *c.histograms[first];
  const std::optional<model::Histogram> right =
      w.right_between ? between(last - 1, w.end) : *c.histograms[last];
  if (!left.has_value() || !right.has_value()) return std::nullopt;
  model::Histogram change = *right;
  if (!SubtractHistogram(*left, &change).has_value()) return std::nullopt;
  if (counter && last > first) {
    // A left edge inside the fall at a reset has already begun anew.
    bool begun_anew =
        w.left_between && IsCounterReset(*c.histograms[first + 1], *c.histograms[first]);
    const model::Histogram* previous = &*left;
    for (uint32_t i = first + 1; i <= last; ++i) {
      const model::Histogram* current = i == last ? &*right : c.histograms[i];
      if (!begun_anew && IsCounterReset(*current, *previous) &&
          !AddHistogram(*previous, &change).has_value()) {
        return std::nullopt;
      }
      begun_anew = false;
      previous = current;
    }
  }
  change.hint = model::CounterResetHint::kGauge;
  CompactHistogram(&change);
  return change;
}

Status Extended(const WindowCall& call, const WindowInput& in, const WindowOutput& out,
                ExtendedKind kind) {
  const model::Column& c = *in.column;
  for (size_t t = 0; t < call.times.size(); ++t) {
    const std::optional<Window> floats =
        FindWindow(call, c.timestamps, *in.floats, t, kind.smoothed);
    std::optional<Window> histograms;
    if (in.histograms != nullptr) {
      histograms = FindWindow(call, c.histogram_timestamps, *in.histograms, t, kind.smoothed);
    }
    if (floats.has_value() && histograms.has_value()) {
      call.context->annotations.MixedFloatsHistograms(call.namer->MetricName(in.series),
                                                      call.position);
    } else if (floats.has_value()) {
      const double change = FloatChange(c, *floats, kind.counter);
      out.Set(t, kind.rate ? change / RangeSeconds(call) : change);
    } else if (histograms.has_value()) {
      const auto [first, last] = histograms->edges;
      AnnotateHistogramKind(call, in, c.histograms.subspan(first, last - first + 1), kind.counter);
      std::optional<model::Histogram> change = HistogramChange(c, *histograms, kind.counter);
      if (!change.has_value()) {
        call.context->annotations.MixedExponentialCustom(call.namer->MetricName(in.series),
                                                         call.position);
        continue;
      }
      if (kind.rate) DivideHistogram(RangeSeconds(call), &*change);
      out.Set(t, std::move(*change));
    }
  }
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
