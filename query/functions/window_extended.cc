// `anchored` and `smoothed` range vectors: rate, increase and delta from edge to edge of the window
// without extrapolation.
//
//   anchored   the value at the window's start is the newest sample at or before it (within the
//              lookback), else the first one inside; at its end the last sample inside
//   smoothed   both edges are interpolated between the samples around them (within the lookback)
//
// A counter that falls between two samples restarted at zero: interpolation then begins at zero.
#include <algorithm>

#include "query/functions/window_histogram.h"
#include "query/functions/window_kernels.h"

namespace tocsin::query {

using model::Timestamp;

namespace {

struct ExtendedKind {
  bool counter;
  bool rate;
  bool smoothed;
};

double Interpolate(const model::Column& c, size_t i, Timestamp time, bool counter) {
  const double after = c.values[i + 1];
  const double before = counter && after < c.values[i] ? 0 : c.values[i];
  return before + (after - before) * static_cast<double>(time - c.timestamps[i]) /
                      static_cast<double>(c.timestamps[i + 1] - c.timestamps[i]);
}

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

void ExtendedFloats(const WindowCall& call, const WindowInput& in, const WindowOutput& out,
                    ExtendedKind kind) {
  const model::Column& c = *in.column;
  for (size_t t = 0; t < call.times.size(); ++t) {
    const Timestamp window_end = call.times[t];
    const Timestamp open_start = window_end - call.range_ms;
    Edges edges;
    if (!FindEdges(call, c.timestamps, in.floats->begin[t], in.floats->end[t], open_start,
                   window_end, kind.smoothed, &edges)) {
      continue;
    }
    const bool left_between = kind.smoothed && c.timestamps[edges.first] < open_start;
    const bool right_between = kind.smoothed && c.timestamps[edges.last] > window_end;
    if (left_between && edges.first == edges.last) continue;
    const double left = left_between ? Interpolate(c, edges.first, open_start, kind.counter)
                                     : c.values[edges.first];
    const double right = right_between ? Interpolate(c, edges.last - 1, window_end, kind.counter)
                                       : c.values[edges.last];
    double change = right - left;
    if (kind.counter) {
      double previous = left;
      for (uint32_t i = edges.first + 1; i < edges.last; ++i) {
        if (c.values[i] < previous) change += previous;
        previous = c.values[i];
      }
      if (right < previous) change += previous;
    }
    out.Set(t, kind.rate ? change / (static_cast<double>(call.range_ms) / 1000) : change);
  }
}

Status Extended(const WindowCall& call, const WindowInput& in, const WindowOutput& out,
                ExtendedKind kind) {
  ExtendedFloats(call, in, out, kind);
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
