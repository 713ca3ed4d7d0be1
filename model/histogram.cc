#include "model/histogram.h"

#include <cmath>
#include <string_view>

namespace tocsin::model {
namespace {

Status ValidateSide(std::string_view side, const std::vector<BucketSpan>& spans,
                    const std::vector<double>& buckets) {
  size_t total = 0;
  for (size_t i = 0; i < spans.size(); ++i) {
    if (i > 0 && spans[i].offset < 0) {
      return Status(Code::kInvalidArgument, std::string(side) + " side: span " +
                                                std::to_string(i + 1) + " has negative offset " +
                                                std::to_string(spans[i].offset));
    }
    total += spans[i].length;
  }
  if (total != buckets.size()) {
    return Status(Code::kInvalidArgument, std::string(side) + " side: spans need " +
                                              std::to_string(total) + " buckets, have " +
                                              std::to_string(buckets.size()) + " buckets");
  }
  for (const double population : buckets) {
    if (population < 0)
      return Status(Code::kInvalidArgument,
                    std::string(side) + " side: bucket with negative population");
  }
  return Status::Ok();
}

}  // namespace

Histogram Histogram::Stale() {
  Histogram h;
  h.sum = StaleMarker();
  return h;
}

Status Histogram::Validate() const {
  if (uses_custom_buckets()) {
    for (size_t i = 0; i < custom_values.size(); ++i) {
      if (std::isnan(custom_values[i]) || (i > 0 && custom_values[i] <= custom_values[i - 1])) {
        return Status(Code::kInvalidArgument, "custom buckets: bounds are not strictly ascending");
      }
    }
    if (!custom_values.empty() && std::isinf(custom_values.back()) && custom_values.back() > 0) {
      return Status(Code::kInvalidArgument,
                    "custom buckets: last +Inf bound must not be explicitly defined");
    }
    if (zero_count != 0 || zero_threshold != 0) {
      return Status(Code::kInvalidArgument, "custom buckets: must not have a zero bucket");
    }
    if (!negative_spans.empty() || !negative_buckets.empty()) {
      return Status(Code::kInvalidArgument, "custom buckets: must not have negative buckets");
    }
    if (positive_buckets.size() > custom_values.size() + 1) {
      return Status(Code::kInvalidArgument, "custom buckets: more buckets than bounds allow");
    }
  } else if (schema < kMinExponentialSchema || schema > kMaxExponentialSchema) {
    return Status(Code::kInvalidArgument, "schema " + std::to_string(schema) + " is not known");
  } else if (!custom_values.empty()) {
    return Status(Code::kInvalidArgument, "exponential buckets: must not have custom bounds");
  }
  if (zero_count < 0) return Status(Code::kInvalidArgument, "zero bucket with negative population");
  TOCSIN_RETURN_IF_ERROR(ValidateSide("positive", positive_spans, positive_buckets));
  return ValidateSide("negative", negative_spans, negative_buckets);
}

}  // namespace tocsin::model
