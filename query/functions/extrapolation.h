// How rate, increase and delta reach from the samples of a window to its ends. Source of the rules:
// the documentation of rate() and the reference's behaviour.
#pragma once

#include <algorithm>
#include <cstdint>

#include "query/functions/window.h"

namespace tocsin::query {

enum class RateKind : uint8_t { kRate, kIncrease, kDelta };

// Extrapolation stops half a sample interval beyond the samples when the window's end is further
// away than this many average intervals.
inline constexpr double kExtrapolationThreshold = 1.1;

struct Extrapolation {
  double sampled_seconds = 0;
  double to_start_seconds = 0;
  double to_end_seconds = 0;

  double Factor(double range_seconds) const {
    return (sampled_seconds + to_start_seconds + to_end_seconds) / sampled_seconds / range_seconds;
  }
};

inline Extrapolation Extrapolate(model::Timestamp first, model::Timestamp last, size_t intervals,
                                 model::Timestamp window_start, model::Timestamp window_end) {
  Extrapolation e;
  e.sampled_seconds = static_cast<double>(last - first) / 1000;
  e.to_start_seconds = static_cast<double>(first - window_start) / 1000;
  e.to_end_seconds = static_cast<double>(window_end - last) / 1000;
  const double average = e.sampled_seconds / static_cast<double>(intervals);
  const double threshold = average * kExtrapolationThreshold;
  if (e.to_start_seconds >= threshold) e.to_start_seconds = average / 2;
  if (e.to_end_seconds >= threshold) e.to_end_seconds = average / 2;
  return e;
}

// A counter starts at zero: do not extrapolate beyond the time where it would have been there.
inline void StopAtZero(double first_value, double increase, Extrapolation* e) {
  if (increase > 0 && first_value >= 0) {
    e->to_start_seconds =
        std::min(e->to_start_seconds, e->sampled_seconds * (first_value / increase));
  }
}

inline double RangeSeconds(const WindowCall& call, RateKind kind) {
  return kind == RateKind::kRate ? static_cast<double>(call.range_ms) / 1000 : 1;
}

// Notes a name that is no counter's, once for all series where they share it.
void AnnotateNonCounter(const WindowCall& call, size_t series);

}  // namespace tocsin::query
