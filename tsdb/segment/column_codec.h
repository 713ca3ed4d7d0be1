// Columns and axes as bytes of a segment (docs/format/segment.md, "Axes" and "Columns").
//
//   axis    varint rows | chunk table: each chunk's signed varint first timestamp (differences) and
//           varint length | signed varint last timestamp - first one of the last chunk | chunks
//   part    [varint axis] | [packed double, if constant] | chunk lengths, if more than one chunk |
//   chunks chunk   [presence] | [varint length, start timestamps] | values column  [varint length
//   of the float part, if histograms follow] float part | u8 flags, part
//
// Chunks hold kChunkRows rows of the axis, the last one fewer. A length of 0 is a chunk without
// samples.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "model/histogram.h"
#include "model/sample.h"
#include "tsdb/codec/integers.h"

namespace tocsin::tsdb {

// Rows of one chunk: a column restarts every so many rows, so that a short range of a day's column
// decodes little. 1,024 rows are 4 h at 15 s: a rate over an hour decodes one chunk or two, and the
// restart costs under 0.02 B/sample.
inline constexpr uint32_t kChunkRows = 1024;
// One axis of 2^32 rows would be 136 years of seconds.
inline constexpr uint64_t kAxisRowsMax = UINT32_MAX;

inline uint64_t ChunkCount(uint64_t rows) { return (rows + kChunkRows - 1) / kChunkRows; }

void EncodeAxis(std::span<const model::Timestamp> timestamps, Effort effort, std::string* out);

// Where a column's samples lie among the rows of its axis. `rows` is empty when full.
struct RowPlaces {
  bool full = true;
  std::vector<uint32_t> rows;
};

// The samples of one part, floats or histograms.
struct PartInput {
  uint64_t axis_rows = 0;
  const RowPlaces* places = nullptr;
  std::span<const model::Timestamp> starts;  // empty: none
  std::span<const double> values;            // either these
  std::span<const model::Histogram* const> histograms;
  bool constant = false;  // values are all alike and stored once
  Effort effort = Effort::kFast;
  std::span<const double> reference;  // as many values at the same places, or empty
};
// What follows the axis number and the reference. True: some chunk is told by the reference.
bool EncodePart(const PartInput& part, std::string* out);

// A column that another one is told by: an earlier one of the file, of the same source and axis,
// with samples at the same rows.
struct ReferencedColumn {
  uint64_t distance = 0;  // from its first byte to that of the column told by it
  uint32_t length = 0;
  uint8_t flags = 0;  // kColumn…
};
// What a column is told by: one other's values, or those of two put together. Numbers are part of
// the format.
enum class ReferenceWay : uint8_t { kOne = 0, kNegative = 1, kSum = 2, kDifference = 3 };
inline bool TakesTwo(ReferenceWay way) {
  return way == ReferenceWay::kSum || way == ReferenceWay::kDifference;
}
struct ColumnReference {
  ReferenceWay way = ReferenceWay::kOne;
  ReferencedColumn first;
  ReferencedColumn second;  // if it takes two
};
void EncodeReference(const ColumnReference& reference, std::string* out);
[[nodiscard]] bool DecodeReference(ByteReader* in, ColumnReference* out);
// The values that tell; what is not a number becomes 0, as no two processors need agree on its
// bits. Not for kOne. `second` is as long as `first`, or empty if it takes only one.
void CombineReferences(ReferenceWay way, std::span<const double> first,
                       std::span<const double> second, double* out);

// The chunk table of an axis. Views the axis' bytes.
struct AxisChunks {
  struct Chunk {
    model::Timestamp first;
    uint64_t offset;
    uint64_t length;
  };
  uint64_t rows = 0;
  model::Timestamp last = 0;  // timestamp of the last row
  std::vector<Chunk> chunks;
  std::string_view bytes;
};
[[nodiscard]] bool DecodeAxisTable(std::string_view bytes, AxisChunks* out);
// Chunk `chunk` into `out`, which has room for its rows. Checks that they ascend strictly and begin
// where the table says.
[[nodiscard]] bool DecodeAxisChunk(const AxisChunks& axis, uint64_t chunk, model::Timestamp* out);
// Rows of chunk `chunk` of an axis of `rows` rows.
inline uint32_t ChunkRows(uint64_t rows, uint64_t chunk) {
  const uint64_t left = rows - chunk * kChunkRows;
  return static_cast<uint32_t>(left < kChunkRows ? left : kChunkRows);
}

}  // namespace tocsin::tsdb
