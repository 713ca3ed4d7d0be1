#include "tsdb/prometheus/chunk_writer.h"

#include <bit>

#include "base/check.h"
#include "tsdb/prometheus/big_endian.h"

namespace tocsin::tsdb {
namespace {

using model::BucketSpan;
using model::CounterResetHint;
using model::Histogram;
using model::Timestamp;

constexpr uint8_t kReset = 0x80;
constexpr uint8_t kNoReset = 0x40;
constexpr uint8_t kGauge = 0xc0;

void WriteXorDod(BitWriter& out, int64_t dod) {
  struct Form {
    uint64_t prefix;
    unsigned prefix_bits;
    unsigned bits;
  };
  if (dod == 0) return out.Bit(false);
  for (const Form form : {Form{0b10, 2, 14}, Form{0b110, 3, 17}, Form{0b1110, 4, 20}}) {
    if (!FitsSigned(dod, form.bits)) continue;
    out.Bits(form.prefix, form.prefix_bits);
    return out.Bits(static_cast<uint64_t>(dod) & ((uint64_t{1} << form.bits) - 1), form.bits);
  }
  out.Bits(0b1111, 4);
  out.Bits(static_cast<uint64_t>(dod), 64);
}

// Timestamps may be anything: differences wrap.
int64_t Difference(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

void SetCount(std::string* data, uint32_t count) {
  (*data)[0] = static_cast<char>(count >> 8);
  (*data)[1] = static_cast<char>(count);
}

bool SameDouble(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

bool SameLayout(const Histogram& a, const Histogram& b) {
  if (a.integer != b.integer || a.schema != b.schema ||
      !SameDouble(a.zero_threshold, b.zero_threshold) || a.positive_spans != b.positive_spans ||
      a.negative_spans != b.negative_spans || a.custom_values.size() != b.custom_values.size()) {
    return false;
  }
  for (size_t i = 0; i < a.custom_values.size(); ++i) {
    if (!SameDouble(a.custom_values[i], b.custom_values[i])) return false;
  }
  return true;
}

bool NoneLower(const std::vector<double>& now, const std::vector<double>& before) {
  for (size_t i = 0; i < now.size(); ++i) {
    if (!(now[i] >= before[i])) return false;
  }
  return true;
}

// No population of `now` is below that of `before`. Both have the same layout.
bool Grew(const Histogram& now, const Histogram& before) {
  return now.count >= before.count && now.zero_count >= before.zero_count &&
         NoneLower(now.positive_buckets, before.positive_buckets) &&
         NoneLower(now.negative_buckets, before.negative_buckets);
}

void WriteSpans(BitWriter& out, const std::vector<BucketSpan>& spans) {
  WriteVarbitUint(out, spans.size());
  for (const BucketSpan& span : spans) {
    WriteVarbitUint(out, span.length);
    WriteVarbitInt(out, span.offset);
  }
}

}  // namespace

// ----------------------------------------------------------------------------------------------------------
// floats

XorChunkWriter::XorChunkWriter() : bits_(chunk_.data) { chunk_.data.assign(2, '\0'); }

void XorChunkWriter::Append(Timestamp t, double value) {
  DCHECK(chunk_.samples < UINT16_MAX);
  const int64_t delta = Difference(t, chunk_.max_ms);
  if (chunk_.samples == 0) {
    WriteVarintBits(bits_, t);
    bits_.Bits(std::bit_cast<uint64_t>(value), 64);
    value_ = XorEncoder();
    value_.Start(value);
    chunk_.min_ms = t;
  } else {
    if (chunk_.samples == 1) {
      WriteUvarintBits(bits_, static_cast<uint64_t>(delta));
    } else {
      WriteXorDod(bits_, Difference(delta, delta_));
    }
    value_.Next(bits_, value);
    delta_ = delta;
  }
  chunk_.max_ms = t;
  ++chunk_.samples;
}

ChunkBytes XorChunkWriter::Take() {
  bits_.Finish();
  SetCount(&chunk_.data, chunk_.samples);
  ChunkBytes taken = chunk_;
  chunk_.data.assign(2, '\0');
  chunk_.samples = 0;
  return taken;
}

// ----------------------------------------------------------------------------------------------------------
// histograms

HistogramChunkWriter::HistogramChunkWriter() : bits_(chunk_.data) { chunk_.data.assign(3, '\0'); }

bool HistogramChunkWriter::Fits(const Histogram& h) const {
  if (chunk_.samples == 0) return true;
  const bool gauge = last_.hint == CounterResetHint::kGauge;
  if (h.is_stale()) return h.integer == last_.integer;
  if (last_stale_ || !SameLayout(h, last_)) return false;
  if (gauge || h.hint == CounterResetHint::kGauge) {
    return gauge && h.hint == CounterResetHint::kGauge;
  }
  return h.hint != CounterResetHint::kReset && Grew(h, last_);
}

void HistogramChunkWriter::Begin(const Histogram& h) {
  uint8_t header = 0;
  switch (h.hint) {
    case CounterResetHint::kGauge:
      header = kGauge;
      break;
    case CounterResetHint::kReset:
      header = kReset;
      break;
    case CounterResetHint::kNotReset:
      header = kNoReset;
      break;
    case CounterResetHint::kUnknown:
      // Lower populations tell a reset; what else there may be the reader finds out.
      if (has_before_ && !h.is_stale() && SameLayout(h, before_) && !Grew(h, before_)) {
        header = kReset;
      }
      break;
  }
  chunk_.data[2] = static_cast<char>(header);
  chunk_.encoding = h.integer ? ChunkEncoding::kHistogram : ChunkEncoding::kFloatHistogram;
  WriteZeroThreshold(bits_, h.zero_threshold);
  WriteVarbitInt(bits_, h.schema);
  WriteSpans(bits_, h.positive_spans);
  WriteSpans(bits_, h.negative_spans);
  if (h.uses_custom_buckets()) {
    WriteVarbitUint(bits_, h.custom_values.size());
    for (const double bound : h.custom_values) WriteCustomBound(bits_, bound);
  }
}

void HistogramChunkWriter::WriteTime(Timestamp t) {
  if (chunk_.samples == 0) {
    WriteVarbitInt(bits_, t);
    chunk_.min_ms = t;
    delta_ = 0;
  } else {
    const int64_t delta = Difference(t, chunk_.max_ms);
    WriteVarbitInt(bits_, Difference(delta, delta_));
    delta_ = delta;
  }
  chunk_.max_ms = t;
}

void HistogramChunkWriter::WriteCounted(Counted* counted, int64_t value) {
  if (chunk_.samples == 0) {
    WriteVarbitInt(bits_, value);
    counted->delta = 0;
  } else {
    const int64_t delta = Difference(value, counted->value);
    WriteVarbitInt(bits_, Difference(delta, counted->delta));
    counted->delta = delta;
  }
  counted->value = value;
}

void HistogramChunkWriter::WriteIntegerBuckets(const std::vector<double>& populations,
                                               std::vector<Counted>* buckets) {
  buckets->resize(populations.size());
  int64_t before = 0;
  for (size_t i = 0; i < populations.size(); ++i) {
    const auto population = static_cast<int64_t>(populations[i]);
    WriteCounted(&(*buckets)[i], population - before);
    before = population;
  }
}

void HistogramChunkWriter::WriteIntegers(const Histogram& h, bool stale) {
  if (stale && chunk_.samples > 0) {
    bits_.Bits(0, 2);
  } else if (chunk_.samples == 0) {
    WriteVarbitUint(bits_, static_cast<uint64_t>(h.count));
    WriteVarbitUint(bits_, static_cast<uint64_t>(h.zero_count));
    count_ = {static_cast<int64_t>(h.count), 0};
    zero_count_ = {static_cast<int64_t>(h.zero_count), 0};
  } else {
    WriteCounted(&count_, static_cast<int64_t>(h.count));
    WriteCounted(&zero_count_, static_cast<int64_t>(h.zero_count));
  }
  WriteDouble(&sum_, h.sum);
  if (stale) return;
  WriteIntegerBuckets(h.positive_buckets, &positive_);
  WriteIntegerBuckets(h.negative_buckets, &negative_);
}

void HistogramChunkWriter::WriteDouble(XorEncoder* encoder, double value) {
  if (chunk_.samples > 0) return encoder->Next(bits_, value);
  bits_.Bits(std::bit_cast<uint64_t>(value), 64);
  *encoder = XorEncoder();
  encoder->Start(value);
}

void HistogramChunkWriter::WriteFloatBuckets(const std::vector<double>& populations,
                                             std::vector<XorEncoder>* buckets) {
  buckets->resize(populations.size());
  for (size_t i = 0; i < populations.size(); ++i) WriteDouble(&(*buckets)[i], populations[i]);
}

void HistogramChunkWriter::WriteFloats(const Histogram& h, bool stale) {
  WriteDouble(&float_count_, h.count);
  WriteDouble(&float_zero_count_, h.zero_count);
  WriteDouble(&sum_, h.sum);
  if (stale) return;
  WriteFloatBuckets(h.positive_buckets, &float_positive_);
  WriteFloatBuckets(h.negative_buckets, &float_negative_);
}

void HistogramChunkWriter::Append(Timestamp t, const Histogram& h) {
  DCHECK(Fits(h));
  const bool stale = h.is_stale();
  // A marker carries nothing but its sum.
  Histogram marker;
  if (stale) {
    marker = Histogram::Stale();
    marker.integer = h.integer;
    marker.hint = h.hint;
  }
  const Histogram& written = stale ? marker : h;
  if (chunk_.samples == 0) Begin(written);
  WriteTime(t);
  if (written.integer) {
    WriteIntegers(written, stale);
  } else {
    WriteFloats(written, stale);
  }
  ++chunk_.samples;
  last_stale_ = stale;
  if (!stale || chunk_.samples == 1) last_ = written;
}

ChunkBytes HistogramChunkWriter::Take() {
  bits_.Finish();
  SetCount(&chunk_.data, chunk_.samples);
  ChunkBytes taken = chunk_;
  before_ = last_;
  has_before_ = !last_stale_;
  chunk_.data.assign(3, '\0');
  chunk_.samples = 0;
  return taken;
}

}  // namespace tocsin::tsdb
