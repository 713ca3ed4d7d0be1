// Native histograms in their canonical encoding: each by itself, exact in every field.
//
//   head      u8: bit 0 integer · bits 1–2 counter reset hint
//   schema    signed varint
//   numbers   zero threshold, zero count, count, sum
//   spans     positive, then negative: varint number, then each: signed varint offset, varint
//   length buckets   positive, then negative: varint number, then numbers custom    varint number,
//   then numbers number    whole and 0 ≤ v < 2^53: varint v + 1 · else: varint 0, fixed64 bits
//
// A column of them is each one's varint length and bytes.
#pragma once

#include <span>
#include <string>

#include "base/bytes.h"
#include "model/histogram.h"

namespace tocsin::tsdb {

void EncodeHistogram(const model::Histogram& histogram, std::string* out);
// All but the numbers that change from one to the next (count, sum, zero count, populations): head,
// schema, zero threshold, spans, custom values. The decoder leaves the numbers as they are.
void EncodeShape(const model::Histogram& histogram, std::string* out);
[[nodiscard]] bool DecodeShape(ByteReader* in, model::Histogram* out);
// Reads exactly what EncodeHistogram wrote. Does not Validate(): spans and buckets may disagree if
// the bytes were made so. Memory stays within a small multiple of the bytes.
[[nodiscard]] bool DecodeHistogram(ByteReader* in, model::Histogram* out);

}  // namespace tocsin::tsdb
