#include "query/functions/interpolate.h"

#include "query/histogram_math.h"

namespace tocsin::query {

double PartBetween(model::Timestamp before, model::Timestamp after, model::Timestamp time) {
  return static_cast<double>(time - before) / static_cast<double>(after - before);
}

double InterpolateFloats(double before, double after, double part, bool counter) {
  if (counter && after < before) before = 0;
  return before + (after - before) * part;
}

std::optional<model::Histogram> InterpolateHistograms(const model::Histogram& before,
                                                      const model::Histogram& after, double part,
                                                      bool counter) {
  if (before.uses_custom_buckets() != after.uses_custom_buckets()) return std::nullopt;
  model::Histogram result = after;
  if (counter && IsCounterReset(after, before)) {
    ScaleHistogram(part, &result);
    result.hint = model::CounterResetHint::kReset;
    return result;
  }
  if (!SubtractHistogram(before, &result).has_value()) return std::nullopt;
  ScaleHistogram(part, &result);
  if (!AddHistogram(before, &result).has_value()) return std::nullopt;
  result.hint = after.hint;
  return result;
}

}  // namespace tocsin::query
