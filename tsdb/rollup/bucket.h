// Buckets of a rollup: bucket k of r ms holds the samples in ((k - 1) r, k r]. They are what
// windows that end at multiples of r are made of. A day's file begins with a bucket that the day
// before shares: the sample at midnight sharp belongs to the bucket that ends there.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/facts.h"
#include "model/sample.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {

inline int64_t BucketOf(model::Timestamp t, int64_t bucket_ms) {
  return t > 0 ? (t - 1) / bucket_ms + 1 : -(-t / bucket_ms);
}
inline model::Timestamp BucketEnd(int64_t number, int64_t bucket_ms) { return number * bucket_ms; }
// The buckets that touch `range`, as a range of sample times.
inline model::TimeRange WidenToBuckets(model::TimeRange range, int64_t bucket_ms) {
  if (range.min_ms > range.max_ms) return range;
  return {BucketEnd(BucketOf(range.min_ms, bucket_ms) - 1, bucket_ms) + 1,
          BucketEnd(BucketOf(range.max_ms, bucket_ms), bucket_ms)};
}

// The bucket of a sample at t touches one of the spans: its facts say nothing any more.
inline bool IsBucketDeleted(model::Timestamp t, int64_t bucket_ms,
                            std::span<const DeletedSpan> deleted) {
  const model::TimeRange bucket = WidenToBuckets({t, t}, bucket_ms);
  for (const DeletedSpan& span : deleted) {
    if (span.range.Overlaps(bucket)) return true;
  }
  return false;
}

// A source's rows, bucket by bucket; the same for all of its columns that have a sample at each.
struct SourceBuckets {
  std::vector<int64_t> numbers;  // ascending
  std::vector<model::Timestamp> first_ms;
  std::vector<model::Timestamp> last_ms;
  std::vector<int64_t> rows;

  size_t size() const { return numbers.size(); }
  void Clear();
  // Replaces the buckets by those of `row_times`, which ascend.
  void Fold(std::span<const model::Timestamp> row_times, int64_t bucket_ms);
};

// What is kept of a column: which of the two kinds of questions it can answer.
enum class RollupKind : uint8_t {
  kCounter,  // first, last, resets: rate and increase
  kGauge,    // last, min, max, sum
  kBoth,
};

}  // namespace tocsin::tsdb
