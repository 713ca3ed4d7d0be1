#include "tsdb/segment/column_codec.h"

#include <algorithm>

#include "base/check.h"
#include "tsdb/codec/histogram_columns.h"
#include "tsdb/codec/integers.h"
#include "tsdb/codec/presence.h"
#include "tsdb/codec/values.h"

namespace tocsin::tsdb {

namespace {

// b - a modulo 2^64, as the integer codec does: timestamps may be anything.
int64_t Difference(model::Timestamp a, model::Timestamp b) {
  return static_cast<int64_t>(static_cast<uint64_t>(b) - static_cast<uint64_t>(a));
}

}  // namespace

void EncodeAxis(std::span<const model::Timestamp> timestamps, Effort effort, std::string* out) {
  PutVarint(*out, timestamps.size());
  if (timestamps.empty()) return;
  std::string chunks;
  model::Timestamp previous = 0;
  for (size_t at = 0; at < timestamps.size(); at += kChunkRows) {
    const auto rows = timestamps.subspan(at, std::min<size_t>(kChunkRows, timestamps.size() - at));
    const size_t before = chunks.size();
    EncodeIntegers(rows, effort, &chunks);
    PutSignedVarint(*out, Difference(previous, rows[0]));
    PutVarint(*out, chunks.size() - before);
    previous = rows[0];
  }
  PutSignedVarint(*out, Difference(previous, timestamps.back()));
  out->append(chunks);
}

bool DecodeAxisTable(std::string_view bytes, AxisChunks* out) {
  ByteReader in(bytes);
  out->rows = in.Varint();
  out->chunks.clear();
  // A chunk's entry and body are two bytes at least.
  if (!in.ok() || out->rows > kAxisRowsMax || ChunkCount(out->rows) > in.remaining()) return false;
  uint64_t previous = 0;
  uint64_t offset = 0;
  for (uint64_t c = 0; c < ChunkCount(out->rows); ++c) {
    // Unsigned: damaged differences may overflow.
    previous += static_cast<uint64_t>(in.SignedVarint());
    const uint64_t length = in.Varint();
    if (!in.ok() || length > in.remaining()) return false;
    out->chunks.push_back({static_cast<model::Timestamp>(previous), offset, length});
    offset += length;
  }
  if (out->rows == 0) return in.at_end();
  out->last = static_cast<model::Timestamp>(previous + static_cast<uint64_t>(in.SignedVarint()));
  out->bytes = in.rest();
  if (!in.ok() || offset != out->bytes.size()) return false;
  for (size_t c = 1; c < out->chunks.size(); ++c) {
    if (out->chunks[c].first <= out->chunks[c - 1].first) return false;
  }
  return out->last >= out->chunks.back().first;
}

bool DecodeAxisChunk(const AxisChunks& axis, uint64_t chunk, model::Timestamp* out) {
  const AxisChunks::Chunk& place = axis.chunks[chunk];
  const uint32_t rows = ChunkRows(axis.rows, chunk);
  ByteReader in(axis.bytes.substr(place.offset, place.length));
  if (!DecodeIntegers(&in, rows, out) || !in.at_end() || out[0] != place.first) return false;
  bool ascending = true;
  for (uint32_t i = 1; i < rows; ++i) ascending &= out[i] > out[i - 1];
  const bool is_last = chunk + 1 == axis.chunks.size();
  return ascending &&
         (is_last ? out[rows - 1] == axis.last : out[rows - 1] < axis.chunks[chunk + 1].first);
}

namespace {

bool EncodeChunk(const PartInput& part, std::span<const uint32_t> rows, uint32_t chunk_rows,
                 size_t first, size_t count, std::string* out) {
  if (!part.places->full) EncodePresence(rows, chunk_rows, out);
  if (!part.starts.empty()) {
    std::string starts;
    EncodeIntegers(part.starts.subspan(first, count), part.effort, &starts);
    PutVarint(*out, starts.size());
    out->append(starts);
  }
  if (!part.histograms.empty()) {
    EncodeHistograms(part.histograms.subspan(first, count), part.effort, out);
  } else if (!part.constant) {
    const size_t start = out->size();
    ValueEncoding encoding{.effort = part.effort, .reference = {}};
    if (!part.reference.empty()) encoding.reference = part.reference.subspan(first, count);
    EncodeValues(part.values.subspan(first, count), encoding, out);
    return NeedsReference(std::string_view(*out).substr(start));
  }
  return false;
}

}  // namespace

bool EncodePart(const PartInput& part, std::string* out) {
  const RowPlaces& places = *part.places;
  if (part.constant) {
    PutPackedDouble(*out, part.values[0]);
    // Nothing is left to tell.
    if (places.full && part.starts.empty()) return false;
  }
  const uint64_t chunk_count = ChunkCount(part.axis_rows);
  std::string chunks_of_many;
  // A table of lengths stands before the chunks only if there are several.
  std::string& chunks = chunk_count > 1 ? chunks_of_many : *out;
  size_t first = 0;
  std::vector<uint32_t> rows;
  bool uses_reference = false;
  for (uint64_t c = 0; c < chunk_count; ++c) {
    const uint32_t chunk_rows = ChunkRows(part.axis_rows, c);
    size_t count = chunk_rows;
    if (!places.full) {
      rows.clear();
      const uint64_t begin = c * kChunkRows;
      for (size_t i = first; i < places.rows.size() && places.rows[i] < begin + chunk_rows; ++i) {
        rows.push_back(static_cast<uint32_t>(places.rows[i] - begin));
      }
      count = rows.size();
    }
    const size_t before = chunks.size();
    if (count > 0) {
      uses_reference |= EncodeChunk(part, rows, chunk_rows, first, count, &chunks);
    }
    if (chunk_count > 1) PutVarint(*out, chunks.size() - before);
    first += count;
  }
  out->append(chunks_of_many);
  return uses_reference;
}

namespace {

void PutReferenced(const ReferencedColumn& column, std::string* out) {
  PutVarint(*out, column.distance);
  PutVarint(*out, column.length);
  PutFixed8(*out, column.flags);
}

// `distance` was read already.
void ReadReferenced(uint64_t distance, ByteReader* in, ReferencedColumn* column) {
  column->distance = distance;
  column->length = in->Varint32();
  column->flags = in->Fixed8();
}

double OrZero(double value) { return value == value ? value : 0; }

}  // namespace

void EncodeReference(const ColumnReference& reference, std::string* out) {
  if (reference.way != ReferenceWay::kOne) {
    PutVarint(*out, 0);
    PutFixed8(*out, static_cast<uint8_t>(reference.way));
  }
  PutReferenced(reference.first, out);
  if (TakesTwo(reference.way)) PutReferenced(reference.second, out);
}

bool DecodeReference(ByteReader* in, ColumnReference* out) {
  out->way = ReferenceWay::kOne;
  uint64_t distance = in->Varint();
  if (distance == 0) {
    const uint8_t way = in->Fixed8();
    if (way == 0 || way > static_cast<uint8_t>(ReferenceWay::kDifference)) return false;
    out->way = static_cast<ReferenceWay>(way);
    distance = in->Varint();
  }
  ReadReferenced(distance, in, &out->first);
  if (!TakesTwo(out->way)) return in->ok() && out->first.distance > 0;
  ReadReferenced(in->Varint(), in, &out->second);
  return in->ok() && out->first.distance > 0 && out->second.distance > 0;
}

void CombineReferences(ReferenceWay way, std::span<const double> first,
                       std::span<const double> second, double* out) {
  switch (way) {
    case ReferenceWay::kOne:
      DCHECK(false);
      return;
    case ReferenceWay::kNegative:
      for (size_t i = 0; i < first.size(); ++i) out[i] = OrZero(-first[i]);
      return;
    case ReferenceWay::kSum:
      for (size_t i = 0; i < first.size(); ++i) out[i] = OrZero(first[i] + second[i]);
      return;
    case ReferenceWay::kDifference:
      for (size_t i = 0; i < first.size(); ++i) out[i] = OrZero(first[i] - second[i]);
      return;
  }
}

}  // namespace tocsin::tsdb
