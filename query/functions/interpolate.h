// Interpolation between two samples for `anchored` and `smoothed`.
#pragma once

#include <optional>

#include "model/histogram.h"
#include "model/sample.h"

namespace tocsin::query {

// How far `time` lies from `before` to `after`: 0 … 1.
double PartBetween(model::Timestamp before, model::Timestamp after, model::Timestamp time);

// A counter that falls restarted at zero: interpolation then begins there.
double InterpolateFloats(double before, double after, double part, bool counter);
// Nothing when exponential and custom buckets meet.
std::optional<model::Histogram> InterpolateHistograms(const model::Histogram& before,
                                                      const model::Histogram& after, double part,
                                                      bool counter);

}  // namespace tocsin::query
