// Native histograms of one series as a family of columns: what they look like is told once, each of
// their numbers over time is a value column, one for every bucket that any of them has.
//
//   u8 form 0  strings: each histogram by itself (histograms.h): varint length, bytes
//   u8 form 1  columns:
//     varint shapes ≥ 1, each: u8 head (bit 0 integer · bits 1–2 counter reset hint) · signed
//     varint
//       schema · number zero threshold · positive spans, negative spans · custom values (all as in
//       histograms.h)
//     if more than one shape: varint length, integer column: each histogram's shape
//     value columns (values.h), each varint length, bytes: counts, sums, zero counts, then the
//       populations of each bucket in order of (schema, negative after positive, index), of those
//       histograms whose shape has it. The reference of a bucket's column is the bucket's before
//       it, where both are of the same histograms.
//
// Exact in every field. Form 0 is for what is no histogram (spans that overlap or disagree with the
// buckets), or has more buckets than the bounds below.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "model/histogram.h"
#include "tsdb/codec/integers.h"

namespace tocsin::tsdb {

// Of all shapes together, and of all histograms of a column together: bounds of a decoder's memory.
inline constexpr size_t kShapeBucketsMax = 1 << 18;
inline constexpr size_t kColumnBucketsMax = 1 << 22;

void EncodeHistograms(std::span<const model::Histogram* const> histograms, Effort effort,
                      std::string* out);
// `out`: one place for each histogram of the column; those that are null are passed over.
[[nodiscard]] bool DecodeHistograms(std::string_view bytes, std::span<model::Histogram* const> out);
// The strings of form 0 without the form: all that there was in version 1 and 2.
[[nodiscard]] bool DecodeHistogramStrings(ByteReader* in, std::span<model::Histogram* const> out);

}  // namespace tocsin::tsdb
