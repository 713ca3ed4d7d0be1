// Where the buckets of a rollup are: of a source (those of its rows), and of a column, by its
// source's or on its own; and the times of a column's staleness markers. The same for floats and
// histograms.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "model/facts.h"
#include "tsdb/rollup/bucket.h"

namespace tocsin::tsdb {

struct ColumnBuckets;

// In the head of a column.
inline constexpr uint8_t kOwnBuckets = 1;
inline constexpr uint8_t kMarkers = 64;
inline constexpr uint8_t kExceptions = 128;

// Of a file: three months of minutes.
inline constexpr uint64_t kBucketsMax = 1 << 17;

void PutIntegers(const std::vector<int64_t>& values, std::string* out);
[[nodiscard]] bool ReadIntegers(ByteReader* in, size_t count, std::vector<int64_t>* values);

// In the form that takes fewer bytes. The head's bits.
uint8_t EncodePlaces(const ColumnBuckets& column, const SourceBuckets& source, int64_t bucket_ms,
                     std::string* out);
// Replaces `facts` by buckets of which the times and counts are known. `starts`: of the buckets.
[[nodiscard]] bool ReadPlaces(uint8_t head, const SourceBuckets& source, int64_t bucket_ms,
                              ByteReader* in, std::vector<model::Facts>* facts,
                              std::vector<model::Timestamp>* starts);

bool HasMarkers(const ColumnBuckets& column);
void EncodeMarkers(const ColumnBuckets& column, int64_t bucket_ms, std::string* out);
[[nodiscard]] bool ReadMarkers(const std::vector<model::Timestamp>& starts, ByteReader* in,
                               std::vector<model::Facts>* facts);

}  // namespace tocsin::tsdb
