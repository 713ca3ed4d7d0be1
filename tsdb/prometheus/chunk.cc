#include "tsdb/prometheus/chunk.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "base/bytes.h"
#include "tsdb/prometheus/big_endian.h"
#include "tsdb/prometheus/chunk_bits.h"

namespace tocsin::tsdb {
namespace {

using model::BucketSpan;
using model::CounterResetHint;
using model::Histogram;
using model::Timestamp;

constexpr size_t kCountBytes = 2;
constexpr uint8_t kFirstStartKnown = 0x80;
// Buckets, spans and bounds of one histogram; real ones have some hundred. And of all histograms of
// a chunk, which bounds what one unpacks to (256 MiB).
constexpr uint64_t kLayoutItemsMax = 1 << 16;
constexpr uint64_t kChunkItemsMax = 1 << 25;

Status Damaged(std::string_view what) { return Status(Code::kCorruption, std::string(what)); }

int64_t WrappingAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

// Timestamps: first one, first difference, differences of differences.
struct Clock {
  Timestamp t = 0;
  int64_t delta = 0;
  void Step(int64_t dod) {
    delta = WrappingAdd(delta, dod);
    t = WrappingAdd(t, delta);
  }
};

int64_t ReadXorDod(BitReader& in) {
  if (!in.Bit()) return 0;
  if (!in.Bit()) return SignedOf(in.Bits(14), 14);
  if (!in.Bit()) return SignedOf(in.Bits(17), 17);
  if (!in.Bit()) return SignedOf(in.Bits(20), 20);
  return static_cast<int64_t>(in.Bits(64));
}

Status DecodeXor(std::string_view data, ChunkSamples* out) {
  const uint32_t count = ChunkSampleCount(data);
  BitReader in(data.substr(kCountBytes));
  Clock clock;
  XorDecoder value;
  bool ok = true;
  for (uint32_t i = 0; i < count; ++i) {
    if (i == 0) {
      clock.t = ReadVarintBits(in, &ok);
      value.Start(std::bit_cast<double>(in.Bits(64)));
    } else {
      if (i == 1) {
        clock.Step(static_cast<int64_t>(ReadUvarintBits(in, &ok)));
      } else {
        clock.Step(ReadXorDod(in));
      }
      ok = value.Next(in) && ok;
    }
    if (!ok || !in.ok()) return Damaged("XOR chunk ends early or is damaged");
    out->timestamps.push_back(clock.t);
    out->values.push_back(value.value());
  }
  return Status::Ok();
}

// Start timestamps ride behind the samples, each as the difference of the sample before it.
class StartDecoder {
 public:
  explicit StartDecoder(uint8_t header)
      : first_known_((header & kFirstStartKnown) != 0), first_change_(header & 0x7f) {}

  bool any() const { return first_known_ || first_change_ > 0; }
  Timestamp Next(BitReader& in, uint32_t sample, Timestamp t, Timestamp previous, bool* ok) {
    if (sample == 0) {
      if (first_known_) start_ = WrappingAdd(t, -ReadVarintBits(in, ok));
    } else if (first_change_ > 0 && sample >= first_change_) {
      const int64_t difference = ReadVarbitInt(in);
      difference_ = sample == first_change_ ? difference : WrappingAdd(difference_, difference);
      start_ = static_cast<Timestamp>(static_cast<uint64_t>(previous) -
                                      static_cast<uint64_t>(difference_));
    }
    return start_;
  }

 private:
  const bool first_known_;
  const uint32_t first_change_;
  Timestamp start_ = 0;
  int64_t difference_ = 0;
};

// The value of XOR2 when the control bits do not tell all.
class Xor2Value {
 public:
  void Start(double v) {
    if (!model::IsStale(v)) base_.Start(v);
    value_ = v;
  }
  void Same() { value_ = base_.value(); }
  void Stale() { value_ = model::StaleMarker(); }
  bool Changed(BitReader& in) {
    bool ok = true;
    if (in.Bit()) {
      ok = base_.NewWindow(in);
    } else {
      base_.SameWindow(in);
    }
    Same();
    return ok;
  }
  bool Next(BitReader& in) {
    bool ok = true;
    if (!in.Bit()) {
      Same();
    } else if (!in.Bit()) {
      base_.SameWindow(in);
      Same();
    } else if (!in.Bit()) {
      ok = base_.NewWindow(in);
      Same();
    } else {
      Stale();
    }
    return ok;
  }
  double value() const { return value_; }

 private:
  XorDecoder base_;  // its value: the last one that was not stale
  double value_ = 0;
};

// The sign of XOR2's differences is two's complement, unlike elsewhere.
int64_t TwosComplement(uint64_t raw, unsigned bits) {
  return static_cast<int64_t>(raw << (64 - bits)) >> (64 - bits);
}

// Samples from the third on.
bool ReadXor2Joint(BitReader& in, Clock* clock, Xor2Value* value) {
  if (!in.Bit()) {
    clock->Step(0);
    value->Same();
    return true;
  }
  if (!in.Bit()) {
    clock->Step(0);
    return value->Changed(in);
  }
  if (!in.Bit()) {
    clock->Step(TwosComplement(in.Bits(13), 13));
  } else if (!in.Bit()) {
    clock->Step(TwosComplement(in.Bits(20), 20));
  } else if (!in.Bit()) {
    clock->Step(static_cast<int64_t>(in.Bits(64)));
  } else {
    clock->Step(0);
    value->Stale();
    return true;
  }
  return value->Next(in);
}

Status DecodeXor2(std::string_view data, ChunkSamples* out) {
  if (data.size() < kCountBytes + 1) return Damaged("XOR2 chunk is shorter than its header");
  const uint32_t count = ChunkSampleCount(data);
  StartDecoder starts(static_cast<uint8_t>(data[kCountBytes]));
  if (starts.any()) out->starts.resize(out->timestamps.size());
  BitReader in(data.substr(kCountBytes + 1));
  Clock clock;
  Xor2Value value;
  bool ok = true;
  for (uint32_t i = 0; i < count; ++i) {
    const Timestamp previous = clock.t;
    if (i == 0) {
      clock.t = ReadVarintBits(in, &ok);
      value.Start(std::bit_cast<double>(in.Bits(64)));
    } else if (i == 1) {
      clock.Step(static_cast<int64_t>(ReadUvarintBits(in, &ok)));
      ok = value.Next(in) && ok;
    } else {
      ok = ReadXor2Joint(in, &clock, &value) && ok;
    }
    const Timestamp start = starts.any() ? starts.Next(in, i, clock.t, previous, &ok) : 0;
    if (!ok || !in.ok()) return Damaged("XOR2 chunk ends early or is damaged");
    out->timestamps.push_back(clock.t);
    out->values.push_back(value.value());
    if (!out->starts.empty() || starts.any()) out->starts.push_back(start);
  }
  return Status::Ok();
}

// What all histograms of a chunk share.
struct Layout {
  Histogram shape;  // schema, threshold, spans, custom values
  uint64_t positive = 0;
  uint64_t negative = 0;
};

bool ReadSpans(BitReader& in, std::vector<BucketSpan>* spans, uint64_t* buckets) {
  const uint64_t count = ReadVarbitUint(in);
  if (count > kLayoutItemsMax || count > in.remaining_bits()) return false;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t length = ReadVarbitUint(in);
    const int64_t offset = ReadVarbitInt(in);
    if (length > kLayoutItemsMax || offset < INT32_MIN || offset > INT32_MAX) return false;
    spans->push_back({static_cast<int32_t>(offset), static_cast<uint32_t>(length)});
    *buckets += length;
  }
  return *buckets <= kLayoutItemsMax;
}

bool ReadLayout(BitReader& in, uint32_t samples, Layout* layout) {
  Histogram& shape = layout->shape;
  shape.zero_threshold = ReadZeroThreshold(in);
  const int64_t schema = ReadVarbitInt(in);
  if (schema < INT32_MIN || schema > INT32_MAX) return false;
  shape.schema = static_cast<int32_t>(schema);
  if (!ReadSpans(in, &shape.positive_spans, &layout->positive) ||
      !ReadSpans(in, &shape.negative_spans, &layout->negative)) {
    return false;
  }
  if (shape.uses_custom_buckets()) {
    const uint64_t count = ReadVarbitUint(in);
    if (count > kLayoutItemsMax || count > in.remaining_bits()) return false;
    for (uint64_t i = 0; i < count; ++i) shape.custom_values.push_back(ReadCustomBound(in));
  }
  const uint64_t items = layout->positive + layout->negative + shape.positive_spans.size() +
                         shape.negative_spans.size() + shape.custom_values.size();
  return in.ok() && items * samples <= kChunkItemsMax;
}

CounterResetHint HintOf(uint8_t header, uint32_t sample) {
  switch (header >> 6) {
    case 3:
      return CounterResetHint::kGauge;
    case 2:
      return sample == 0 ? CounterResetHint::kReset : CounterResetHint::kNotReset;
    default:
      // What the chunk before held is not known here.
      return sample == 0 ? CounterResetHint::kUnknown : CounterResetHint::kNotReset;
  }
}

// A counted number: value and last difference.
struct Counted {
  int64_t value = 0;
  int64_t delta = 0;
  void Step(int64_t dod) {
    delta = WrappingAdd(delta, dod);
    value = WrappingAdd(value, delta);
  }
};

class IntegerBuckets {
 public:
  bool Read(BitReader& in, uint32_t sample, uint64_t count) {
    if (count > in.remaining_bits()) return false;
    buckets_.resize(count);
    for (Counted& bucket : buckets_) {
      const int64_t v = ReadVarbitInt(in);
      if (sample == 0) {
        bucket.value = v;
      } else {
        bucket.Step(v);
      }
    }
    return true;
  }
  // Absolute populations; false when one is negative.
  bool Fill(std::vector<double>* out, bool* rounded) const {
    out->resize(buckets_.size());
    int64_t population = 0;
    for (size_t i = 0; i < buckets_.size(); ++i) {
      population = WrappingAdd(population, buckets_[i].value);
      if (population < 0) return false;
      (*out)[i] = static_cast<double>(population);
      *rounded |= (*out)[i] > kExactIntegerMax;
    }
    return true;
  }

 private:
  std::vector<Counted> buckets_;
};

class FloatBuckets {
 public:
  bool Read(BitReader& in, uint32_t sample, uint64_t count) {
    if (count > in.remaining_bits()) return false;
    buckets_.resize(count);
    for (XorDecoder& bucket : buckets_) {
      if (sample == 0) {
        bucket.Start(std::bit_cast<double>(in.Bits(64)));
      } else if (!bucket.Next(in)) {
        return false;
      }
    }
    return true;
  }
  void Fill(std::vector<double>* out) const {
    out->clear();
    for (const XorDecoder& bucket : buckets_) out->push_back(bucket.value());
  }

 private:
  std::vector<XorDecoder> buckets_;
};

Histogram StaleHistogram(bool integer) {
  Histogram stale = Histogram::Stale();
  stale.integer = integer;
  return stale;
}

// The parts of both kinds of histogram chunks that are alike.
class HistogramDecoder {
 public:
  HistogramDecoder(std::string_view data, ChunkSamples* out)
      : count_(ChunkSampleCount(data)),
        header_(static_cast<uint8_t>(data[kCountBytes])),
        in_(data.substr(kCountBytes + 1)),
        out_(out) {}

  Status Integers() {
    if (count_ > 0 && !ReadLayout(in_, count_, &layout_)) return Bad();
    Counted count;
    Counted zero_count;
    IntegerBuckets positive;
    IntegerBuckets negative;
    for (uint32_t i = 0; i < count_; ++i) {
      ReadTime(i);
      if (i == 0) {
        count.value = static_cast<int64_t>(ReadVarbitUint(in_));
        zero_count.value = static_cast<int64_t>(ReadVarbitUint(in_));
      } else {
        count.Step(ReadVarbitInt(in_));
        zero_count.Step(ReadVarbitInt(in_));
      }
      if (!ReadSum(i)) return Bad();
      if (model::IsStale(sum_.value())) {
        if (!in_.ok()) return Bad();
        Push(StaleHistogram(true));
        continue;
      }
      if (!positive.Read(in_, i, layout_.positive) || !negative.Read(in_, i, layout_.negative) ||
          !in_.ok() || count.value < 0 || zero_count.value < 0) {
        return Bad();
      }
      Histogram h = Next(i);
      h.integer = true;
      h.count = static_cast<double>(count.value);
      h.zero_count = static_cast<double>(zero_count.value);
      bool rounded = h.count > kExactIntegerMax || h.zero_count > kExactIntegerMax;
      if (!positive.Fill(&h.positive_buckets, &rounded) ||
          !negative.Fill(&h.negative_buckets, &rounded)) {
        return Bad();
      }
      out_->rounded_histograms += rounded ? 1 : 0;
      Push(std::move(h));
    }
    return Status::Ok();
  }

  Status Floats() {
    if (count_ > 0 && !ReadLayout(in_, count_, &layout_)) return Bad();
    XorDecoder count;
    XorDecoder zero_count;
    FloatBuckets positive;
    FloatBuckets negative;
    for (uint32_t i = 0; i < count_; ++i) {
      ReadTime(i);
      bool ok = true;
      if (i == 0) {
        count.Start(std::bit_cast<double>(in_.Bits(64)));
        zero_count.Start(std::bit_cast<double>(in_.Bits(64)));
      } else {
        ok = count.Next(in_) && zero_count.Next(in_);
      }
      if (!ok || !ReadSum(i)) return Bad();
      if (model::IsStale(sum_.value())) {
        if (!in_.ok()) return Bad();
        Push(StaleHistogram(false));
        continue;
      }
      if (!positive.Read(in_, i, layout_.positive) || !negative.Read(in_, i, layout_.negative) ||
          !in_.ok()) {
        return Bad();
      }
      Histogram h = Next(i);
      h.count = count.value();
      h.zero_count = zero_count.value();
      positive.Fill(&h.positive_buckets);
      negative.Fill(&h.negative_buckets);
      Push(std::move(h));
    }
    return Status::Ok();
  }

 private:
  Status Bad() const { return Damaged("histogram chunk ends early or is damaged"); }

  void ReadTime(uint32_t sample) {
    const int64_t v = ReadVarbitInt(in_);
    if (sample == 0) {
      clock_.t = v;
    } else {
      clock_.Step(v);
    }
  }
  bool ReadSum(uint32_t sample) {
    if (sample > 0) return sum_.Next(in_);
    sum_.Start(std::bit_cast<double>(in_.Bits(64)));
    return true;
  }
  Histogram Next(uint32_t sample) const {
    Histogram h = layout_.shape;
    h.hint = HintOf(header_, sample);
    h.sum = sum_.value();
    return h;
  }
  void Push(Histogram h) {
    out_->histogram_timestamps.push_back(clock_.t);
    out_->histograms.push_back(std::move(h));
  }

  const uint32_t count_;
  const uint8_t header_;
  BitReader in_;
  ChunkSamples* const out_;
  Layout layout_;
  Clock clock_;
  XorDecoder sum_;
};

}  // namespace

void ChunkSamples::Clear() {
  timestamps.clear();
  values.clear();
  starts.clear();
  histogram_timestamps.clear();
  histograms.clear();
}

uint32_t ChunkSampleCount(std::string_view data) {
  if (data.size() < kCountBytes) return 0;
  ByteReader in(data);
  return ReadBig16(in);
}

Status DecodeChunk(uint8_t encoding, std::string_view data, ChunkSamples* out) {
  if (data.size() > kChunkBytesMax) return Damaged("chunk of more than 8 MiB");
  if (data.size() < kCountBytes + 1) return Damaged("chunk is shorter than its header");
  switch (static_cast<ChunkEncoding>(encoding)) {
    case ChunkEncoding::kXor: {
      const Status status = DecodeXor(data, out);
      // Once one chunk has start timestamps all samples have a place for them.
      if (!out->starts.empty()) out->starts.resize(out->timestamps.size());
      return status;
    }
    case ChunkEncoding::kHistogram:
      return HistogramDecoder(data, out).Integers();
    case ChunkEncoding::kFloatHistogram:
      return HistogramDecoder(data, out).Floats();
    case ChunkEncoding::kXor2:
      return DecodeXor2(data, out);
  }
  return Status(Code::kUnimplemented, "chunk encoding " + std::to_string(encoding) + " is unknown");
}

}  // namespace tocsin::tsdb
