#include "query/functions/interpolate.h"

#include <algorithm>

#include "query/histogram_math.h"

namespace tocsin::query {

bool AnyIn(std::span<const model::Timestamp> times, model::Timestamp open_start,
           model::Timestamp end) {
  const auto it = std::upper_bound(times.begin(), times.end(), open_start);
  return it != times.end() && *it <= end;
}

double PartBetween(model::Timestamp before, model::Timestamp after, model::Timestamp time) {
  return static_cast<double>(time - before) / static_cast<double>(after - before);
}

double InterpolateFloats(double before, double after, double part, bool counter) {
  if (counter && after < before) before = 0;
  return before + (after - before) * part;
}

std::optional<BetweenHistograms> InterpolateHistograms(const model::Histogram& before,
                                                       const model::Histogram& after, double part,
                                                       bool counter) {
  BetweenHistograms result{after};
  if (counter && IsCounterReset(after, before)) {
    ScaleHistogram(part, &result.value);
    return result;
  }
  const std::optional<CombineNotes> difference = SubtractHistogram(before, &result.value);
  if (!difference.has_value()) return std::nullopt;
  ScaleHistogram(part, &result.value);
  const std::optional<CombineNotes> sum = AddHistogram(before, &result.value);
  if (!sum.has_value()) return std::nullopt;
  result.difference_reconciled = difference->bounds_reconciled;
  result.sum_reconciled = sum->bounds_reconciled;
  return result;
}

}  // namespace tocsin::query
