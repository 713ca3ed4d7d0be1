// Histogram: a native (sparse, exponential or custom-bucket) histogram sample.
//
// Bucket populations are absolute doubles whether the histogram was received as integers or floats
// (integers are exact up to 2^53); `integer` remembers which, for storage and exposition. Bucket
// index i of schema s covers (2^((i-1)*2^-s), 2^(i*2^-s)]; with custom buckets (schema -53) it
// covers (custom[i-1], custom[i]]. Source: the native histogram specification,
// https://prometheus.io/docs/specs/native_histograms/.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/sample.h"

namespace tocsin::model {

inline constexpr int32_t kCustomBucketsSchema = -53;
inline constexpr int32_t kMinExponentialSchema = -4;
inline constexpr int32_t kMaxExponentialSchema = 8;

enum class CounterResetHint : uint8_t { kUnknown = 0, kReset = 1, kNotReset = 2, kGauge = 3 };

// `offset`: gap to the previous span's end (to index 0 for the first); `length`: consecutive
// buckets in the span.
struct BucketSpan {
  int32_t offset = 0;
  uint32_t length = 0;
  friend bool operator==(const BucketSpan&, const BucketSpan&) = default;
};

struct Histogram {
  bool integer = false;
  CounterResetHint hint = CounterResetHint::kUnknown;
  int32_t schema = 0;
  double zero_threshold = 0;
  double zero_count = 0;
  double count = 0;
  double sum = 0;
  std::vector<BucketSpan> positive_spans;
  std::vector<BucketSpan> negative_spans;
  std::vector<double> positive_buckets;  // one population a bucket, in span order
  std::vector<double> negative_buckets;
  std::vector<double> custom_values;  // upper bounds, ascending, without +Inf; schema -53 only

  bool uses_custom_buckets() const { return schema == kCustomBucketsSchema; }
  // A histogram whose sum is the staleness marker says that its series ended.
  bool is_stale() const { return IsStale(sum); }
  static Histogram Stale();

  // kInvalidArgument: spans and buckets disagree, bounds not ascending, negative population,
  // unknown schema.
  Status Validate() const;
  friend bool operator==(const Histogram&,
                         const Histogram&) = default;  // doubles by value: NaN differs from itself
};

}  // namespace tocsin::model
