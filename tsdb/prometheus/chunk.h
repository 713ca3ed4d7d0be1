// Chunks of Prometheus: some hundred samples of one series, bit-packed. This is the reading side;
// chunk_writer.h writes them. The format: Prometheus' tsdb/docs/format/chunks.md; codes of the
// bits: chunk_bits.h.
//
//   1 XOR              u16 samples | varint t0, 64 bits v0 | uvarint t1 - t0, XOR v | dod, XOR v |
//   …
//                      dod: 0 | 10 + 14 bits | 110 + 17 | 1110 + 20 | 1111 + 64
//   2 histogram        u16 samples | u8 counter reset header | zero threshold, schema, spans
//                      (custom bounds) | t, count, zero count: differences of differences, sum
//                      XORed, buckets (differences to their neighbours): differences of differences
//   3 float histogram  the same; all but t are XORed doubles
//   4 XOR2             u16 samples | u8 start timestamps header | t0, v0, t1, v1 as XOR | joint
//   control
//                      bits from the third sample on. The staleness marker has codes of its own and
//                      leaves the value that is XORed against alone.
//
// A stale histogram carries nothing but its sum. Integers are big-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/histogram.h"
#include "model/sample.h"

namespace tocsin::tsdb {

enum class ChunkEncoding : uint8_t { kXor = 1, kHistogram = 2, kFloatHistogram = 3, kXor2 = 4 };

// Of one chunk's data. Prometheus aims at 1 KiB; a histogram chunk holds at least ten, however
// large.
inline constexpr size_t kChunkBytesMax = size_t{8} << 20;
// Whole numbers up to this are exact as doubles, which is how model::Histogram holds them.
inline constexpr double kExactIntegerMax = 9007199254740992.0;

// Decoded samples of a series, in the order in which they were added.
struct ChunkSamples {
  std::vector<model::Timestamp> timestamps;
  std::vector<double> values;
  std::vector<model::Timestamp> starts;  // of the floats, 0 = none; empty when there are none
  std::vector<model::Timestamp> histogram_timestamps;
  std::vector<model::Histogram> histograms;
  // Histograms with a population above kExactIntegerMax: rounded.
  uint64_t rounded_histograms = 0;

  size_t size() const { return timestamps.size() + histogram_timestamps.size(); }
  void Clear();
};

// Adds the chunk's samples to `out`; after an error those before the damage are there. kCorruption,
// or kUnimplemented for an encoding of a newer Prometheus.
Status DecodeChunk(uint8_t encoding, std::string_view data, ChunkSamples* out);

// As the chunk's header says; 0 when there is none.
uint32_t ChunkSampleCount(std::string_view data);

}  // namespace tocsin::tsdb
