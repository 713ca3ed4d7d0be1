// Interpolation between two samples for `anchored` and `smoothed`.
#pragma once

#include <optional>
#include <span>

#include "model/histogram.h"
#include "model/sample.h"

namespace tocsin::query {

// Whether one of `times` (ascending) lies in (open_start, end].
bool AnyIn(std::span<const model::Timestamp> times, model::Timestamp open_start,
           model::Timestamp end);

// How far `time` lies from `before` to `after`: 0 … 1.
double PartBetween(model::Timestamp before, model::Timestamp after, model::Timestamp time);

// A counter that falls restarted at zero: interpolation then begins there.
double InterpolateFloats(double before, double after, double part, bool counter);
// Nothing when exponential and custom buckets meet. The hint is that of `after` where a counter
// restarted.
struct BetweenHistograms {
  model::Histogram value;
  // Custom bounds differed when the difference was taken, and when it was added.
  bool difference_reconciled = false;
  bool sum_reconciled = false;
};
std::optional<BetweenHistograms> InterpolateHistograms(const model::Histogram& before,
                                                       const model::Histogram& after, double part,
                                                       bool counter);

}  // namespace tocsin::query
