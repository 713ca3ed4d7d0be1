// Writes chunks of Prometheus (chunk.h has the format): XOR for floats, one kind each for
// histograms of integers and of floats. The bytes are those that every Prometheus since 2.40 reads.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bitstream.h"
#include "model/histogram.h"
#include "model/sample.h"
#include "tsdb/prometheus/chunk.h"
#include "tsdb/prometheus/chunk_bits.h"

namespace tocsin::tsdb {

// As Prometheus cuts them.
inline constexpr uint32_t kChunkSamplesMax = 120;

struct ChunkBytes {
  ChunkEncoding encoding = ChunkEncoding::kXor;
  model::Timestamp min_ms = 0;
  model::Timestamp max_ms = 0;
  uint32_t samples = 0;
  std::string data;
};

class XorChunkWriter {
 public:
  XorChunkWriter();
  XorChunkWriter(const XorChunkWriter&) = delete;
  XorChunkWriter& operator=(const XorChunkWriter&) = delete;

  uint32_t count() const { return chunk_.samples; }
  model::Timestamp last_ms() const { return chunk_.max_ms; }
  // Precondition: later than the one before, count() < 65,535.
  void Append(model::Timestamp t, double value);
  // What was appended; the writer begins anew.
  ChunkBytes Take();

 private:
  ChunkBytes chunk_;
  BitWriter bits_;
  XorEncoder value_;
  int64_t delta_ = 0;
};

class HistogramChunkWriter {
 public:
  HistogramChunkWriter();
  HistogramChunkWriter(const HistogramChunkWriter&) = delete;
  HistogramChunkWriter& operator=(const HistogramChunkWriter&) = delete;

  uint32_t count() const { return chunk_.samples; }
  model::Timestamp last_ms() const { return chunk_.max_ms; }
  // A chunk holds histograms of one kind and layout, and of a counter only what grows: false when
  // `h` must begin another chunk. Always true for an empty one.
  bool Fits(const model::Histogram& h) const;
  // Precondition: Fits, later than the one before.
  void Append(model::Timestamp t, const model::Histogram& h);
  ChunkBytes Take();

 private:
  struct Counted {
    int64_t value = 0;
    int64_t delta = 0;
  };
  void Begin(const model::Histogram& h);
  void WriteTime(model::Timestamp t);
  void WriteIntegers(const model::Histogram& h, bool stale);
  void WriteFloats(const model::Histogram& h, bool stale);
  void WriteCounted(Counted* counted, int64_t value);
  void WriteIntegerBuckets(const std::vector<double>& populations, std::vector<Counted>* buckets);
  void WriteFloatBuckets(const std::vector<double>& populations, std::vector<XorEncoder>* buckets);
  void WriteDouble(XorEncoder* encoder, double value);

  ChunkBytes chunk_;
  BitWriter bits_;
  model::Histogram last_;  // the layout of all, the populations of the last one
  bool last_stale_ = false;
  // The chunk before ended with this one; tells whether a new chunk is a reset.
  model::Histogram before_;
  bool has_before_ = false;
  int64_t delta_ = 0;
  Counted count_;
  Counted zero_count_;
  XorEncoder sum_;
  XorEncoder float_count_;
  XorEncoder float_zero_count_;
  std::vector<Counted> positive_;
  std::vector<Counted> negative_;
  std::vector<XorEncoder> float_positive_;
  std::vector<XorEncoder> float_negative_;
};

}  // namespace tocsin::tsdb
