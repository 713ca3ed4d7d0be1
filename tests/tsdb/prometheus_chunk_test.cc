// Chunks of Prometheus, written and read back bit by bit; XOR2 against an encoder of this test.
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tsdb/prometheus/chunk.h"
#include "tsdb/prometheus/chunk_bits.h"
#include "tsdb/prometheus/chunk_writer.h"

namespace tocsin::tsdb::prometheus_chunk_test {
namespace {

using model::CounterResetHint;
using model::Histogram;
using model::Timestamp;

constexpr Timestamp kT0 = 1'700'000'000'123;

double RandomValue(std::mt19937_64& random) {
  switch (random() % 8) {
    case 0:
      return std::bit_cast<double>(random());
    case 1:
      return model::StaleMarker();
    case 2:
      return -0.0;
    case 3:
      return std::numeric_limits<double>::infinity();
    case 4:
      return std::bit_cast<double>(uint64_t{0x7ff8000000000000} | random() % 1000);
    default:
      return static_cast<double>(random() % 1000) / 10;
  }
}

std::vector<uint64_t> Bits(const std::vector<double>& values) {
  std::vector<uint64_t> bits;
  for (const double v : values) bits.push_back(std::bit_cast<uint64_t>(v));
  return bits;
}

Histogram IntegerHistogram(std::mt19937_64& random, const Histogram* before) {
  Histogram h;
  if (before != nullptr) {
    h = *before;
  } else {
    h.integer = true;
    h.schema = static_cast<int32_t>(random() % 13) - 4;
    h.zero_threshold = random() % 2 == 0 ? std::ldexp(1.0, -128) : 0.001;
    h.positive_spans = {{-2, 3}, {4, 2}};
    h.negative_spans = {{0, 1}};
    h.positive_buckets.resize(5);
    h.negative_buckets.resize(1);
  }
  for (std::vector<double>* side : {&h.positive_buckets, &h.negative_buckets}) {
    for (double& bucket : *side) {
      const double more = static_cast<double>(random() % 50);
      bucket += more;
      h.count += more;
    }
  }
  h.zero_count += 1;
  h.count += 1;
  h.sum = static_cast<double>(random() % 100000) / 7;
  return h;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(PrometheusChunkSuite)

BOOST_AUTO_TEST_CASE(AnyFloatsAndTimestampsComeBack) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    XorChunkWriter writer;
    std::vector<Timestamp> timestamps;
    std::vector<double> values;
    Timestamp t = kT0;
    const uint64_t count = 1 + random() % 200;
    for (uint64_t i = 0; i < count; ++i) {
      t += random() % 10 == 0
               ? static_cast<Timestamp>(random() % (uint64_t{1} << (random() % 50))) + 1
               : 15'000 + static_cast<Timestamp>(random() % 5);
      timestamps.push_back(t);
      values.push_back(RandomValue(random));
      writer.Append(timestamps.back(), values.back());
    }
    const ChunkBytes chunk = writer.Take();
    BOOST_TEST(chunk.samples == count);
    BOOST_TEST(chunk.min_ms == timestamps.front());
    BOOST_TEST(chunk.max_ms == timestamps.back());
    ChunkSamples samples;
    BOOST_REQUIRE(DecodeChunk(1, chunk.data, &samples).ok());
    BOOST_REQUIRE(samples.timestamps == timestamps);
    BOOST_REQUIRE(Bits(samples.values) == Bits(values));
    BOOST_TEST(samples.starts.empty());
  }
}

BOOST_AUTO_TEST_CASE(AnXorChunkHasTheBytesOfTheFormat) {
  // Two samples: varint 1000 (zigzag 2000), 1.0; delta 1; unchanged: a zero bit.
  XorChunkWriter writer;
  writer.Append(1000, 1.0);
  writer.Append(1001, 1.0);
  const ChunkBytes chunk = writer.Take();
  const std::string want("\x00\x02\xd0\x0f\x3f\xf0\x00\x00\x00\x00\x00\x00\x01\x00", 14);
  BOOST_TEST(chunk.data == want);
}

BOOST_AUTO_TEST_CASE(VarbitNumbersComeBackAtEveryBoundary) {
  std::vector<int64_t> numbers = {0, INT64_MIN, INT64_MAX};
  for (int bits = 0; bits < 63; ++bits) {
    for (const int64_t near : {-2, -1, 0, 1, 2}) {
      numbers.push_back((int64_t{1} << bits) + near);
      numbers.push_back(-(int64_t{1} << bits) + near);
    }
  }
  std::string bytes;
  BitWriter out(bytes);
  for (const int64_t n : numbers) {
    WriteVarbitInt(out, n);
    WriteVarbitUint(out, static_cast<uint64_t>(n));
    WriteVarintBits(out, n);
  }
  out.Finish();
  BitReader in(bytes);
  bool ok = true;
  for (const int64_t n : numbers) {
    BOOST_TEST_CONTEXT(n) {
      BOOST_TEST(ReadVarbitInt(in) == n);
      BOOST_TEST(ReadVarbitUint(in) == static_cast<uint64_t>(n));
      BOOST_TEST(ReadVarintBits(in, &ok) == n);
    }
  }
  BOOST_TEST((ok && in.ok()));
}

BOOST_AUTO_TEST_CASE(ThresholdsAndBoundsComeBack) {
  for (const double v :
       {0.0, -0.0, 1.0, 0.001, std::ldexp(1.0, -243), std::ldexp(1.0, -244), std::ldexp(1.0, 10),
        std::ldexp(1.0, 11), std::nan(""), 33554.43, 33554.431, 0.1, 2.5, -1.0, 1e300,
        std::numeric_limits<double>::infinity()}) {
    std::string bytes;
    BitWriter out(bytes);
    WriteZeroThreshold(out, v);
    WriteCustomBound(out, v);
    out.Finish();
    BitReader in(bytes);
    BOOST_TEST_CONTEXT(v) {
      BOOST_TEST(std::bit_cast<uint64_t>(ReadZeroThreshold(in)) == std::bit_cast<uint64_t>(v));
      BOOST_TEST(std::bit_cast<uint64_t>(ReadCustomBound(in)) == std::bit_cast<uint64_t>(v));
    }
  }
}

BOOST_AUTO_TEST_CASE(GrowingHistogramsShareAChunk) {
  std::mt19937_64 random(5);
  for (const bool integer : {true, false}) {
    HistogramChunkWriter writer;
    std::vector<Histogram> histograms;
    for (int i = 0; i < 100; ++i) {
      Histogram h = IntegerHistogram(random, i == 0 ? nullptr : &histograms.back());
      h.integer = integer;
      if (!integer) h.positive_buckets[1] += 0.25;
      BOOST_REQUIRE(writer.Fits(h));
      writer.Append(kT0 + i * 15'000, h);
      histograms.push_back(h);
    }
    Histogram stale = Histogram::Stale();
    stale.integer = integer;
    BOOST_REQUIRE(writer.Fits(stale));
    writer.Append(kT0 + 100 * 15'000, stale);
    BOOST_TEST(!writer.Fits(histograms.back()));
    const ChunkBytes chunk = writer.Take();
    ChunkSamples samples;
    BOOST_REQUIRE(DecodeChunk(static_cast<uint8_t>(chunk.encoding), chunk.data, &samples).ok());
    BOOST_REQUIRE(samples.histograms.size() == 101u);
    for (size_t i = 0; i < 100; ++i) {
      histograms[i].hint = i == 0 ? CounterResetHint::kUnknown : CounterResetHint::kNotReset;
      BOOST_TEST((samples.histograms[i] == histograms[i]));
      BOOST_TEST(samples.histogram_timestamps[i] == kT0 + static_cast<Timestamp>(i) * 15'000);
    }
    BOOST_TEST(samples.histograms[100].is_stale());
    BOOST_TEST(samples.histograms[100].integer == integer);
  }
}

BOOST_AUTO_TEST_CASE(AResetOrAnotherLayoutBeginsAChunk) {
  std::mt19937_64 random(6);
  const Histogram first = IntegerHistogram(random, nullptr);
  struct Case {
    const char* name;
    std::function<void(Histogram*)> change;
    bool fits;
    CounterResetHint hint;  // of the first histogram of the chunk behind
  };
  const Case cases[] = {
      {"same", [](Histogram*) {}, true, CounterResetHint::kUnknown},
      {"lower bucket", [](Histogram* h) { h->positive_buckets[0] -= 1; }, false,
       CounterResetHint::kReset},
      {"lower count", [](Histogram* h) { h->count -= 1; }, false, CounterResetHint::kReset},
      {"explicit reset", [](Histogram* h) { h->hint = CounterResetHint::kReset; }, false,
       CounterResetHint::kReset},
      {"other spans", [](Histogram* h) { h->positive_spans[0].offset += 1; }, false,
       CounterResetHint::kUnknown},
      {"other schema", [](Histogram* h) { h->schema += 1; }, false, CounterResetHint::kUnknown},
      {"gauge", [](Histogram* h) { h->hint = CounterResetHint::kGauge; }, false,
       CounterResetHint::kGauge},
      {"float", [](Histogram* h) { h->integer = false; }, false, CounterResetHint::kUnknown},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      HistogramChunkWriter writer;
      writer.Append(kT0, first);
      Histogram next = first;
      c.change(&next);
      BOOST_TEST(writer.Fits(next) == c.fits);
      if (c.fits) continue;
      writer.Take();
      writer.Append(kT0 + 1, next);
      const ChunkBytes chunk = writer.Take();
      ChunkSamples samples;
      BOOST_REQUIRE(DecodeChunk(static_cast<uint8_t>(chunk.encoding), chunk.data, &samples).ok());
      BOOST_TEST((samples.histograms[0].hint == c.hint));
      next.hint = c.hint;
      BOOST_TEST((samples.histograms[0] == next));
    }
  }
}

BOOST_AUTO_TEST_CASE(CustomBucketsComeBack) {
  Histogram h;
  h.integer = true;
  h.schema = model::kCustomBucketsSchema;
  h.custom_values = {0.005, 0.1, 2.5, 1e9, 1.0 / 3};
  h.positive_spans = {{1, 2}, {1, 1}};
  h.positive_buckets = {3, 4, 1};
  h.count = 8;
  h.sum = 12.5;
  HistogramChunkWriter writer;
  writer.Append(kT0, h);
  ChunkSamples samples;
  BOOST_REQUIRE(DecodeChunk(2, writer.Take().data, &samples).ok());
  BOOST_TEST((samples.histograms[0] == h));
}

// An encoder of XOR2 as the format's description says, simple and apart from our decoder.
class Xor2Encoder {
 public:
  std::string Encode(const std::vector<Timestamp>& t, const std::vector<double>& v,
                     const std::vector<Timestamp>& starts) {
    const size_t n = t.size();
    // The first sample whose start differs from the one before; 127 at the latest.
    size_t change = 0;
    for (size_t i = 1; i < n && change == 0; ++i) {
      if (starts[i] != starts[i - 1] || i == 127) change = i;
    }
    const bool known = starts[0] != 0;
    if (!known && change == 127 && starts[127] == 0 && n <= 127) change = 0;
    data_ = {static_cast<char>(n >> 8), static_cast<char>(n),
             static_cast<char>((known ? 0x80 : 0) | change)};
    int64_t delta = 0;
    int64_t difference = 0;
    for (size_t i = 0; i < n; ++i) {
      if (i == 0) {
        WriteVarintBits(bits_, t[0]);
        bits_.Bits(std::bit_cast<uint64_t>(v[0]), 64);
        if (!model::IsStale(v[0])) base_ = std::bit_cast<uint64_t>(v[0]);
        if (known) WriteVarintBits(bits_, t[0] - starts[0]);
        continue;
      }
      const int64_t now = t[i] - t[i - 1];
      if (i == 1) {
        WriteUvarintBits(bits_, static_cast<uint64_t>(now));
        Value(v[1]);
      } else {
        Joint(now - delta, v[i]);
      }
      delta = now;
      if (change == 0 || i < change) continue;
      const int64_t behind = t[i - 1] - starts[i];
      WriteVarbitInt(bits_, i == change ? behind : behind - difference);
      difference = behind;
    }
    bits_.Finish();
    return data_;
  }

 private:
  void Joint(int64_t dod, double v) {
    if (dod == 0) {
      if (model::IsStale(v)) return bits_.Bits(0b11111, 5);
      if (std::bit_cast<uint64_t>(v) == base_) return bits_.Bit(false);
      bits_.Bits(0b10, 2);
      return Window(v, true);
    }
    const auto raw = static_cast<uint64_t>(dod);
    if (dod >= -4096 && dod < 4096) {
      bits_.Bits(0b110, 3);
      bits_.Bits(raw & 0x1fff, 13);
    } else if (dod >= -524288 && dod < 524288) {
      bits_.Bits(0b1110, 4);
      bits_.Bits(raw & 0xfffff, 20);
    } else {
      bits_.Bits(0b11110, 5);
      bits_.Bits(raw, 64);
    }
    Value(v);
  }
  void Value(double v) {
    if (model::IsStale(v)) return bits_.Bits(0b111, 3);
    if (std::bit_cast<uint64_t>(v) == base_) return bits_.Bit(false);
    Window(v, false);
  }
  void Window(double v, bool joint) {
    const uint64_t x = std::bit_cast<uint64_t>(v) ^ base_;
    base_ = std::bit_cast<uint64_t>(v);
    const int leading = std::min(std::countl_zero(x), 31);
    const int trailing = std::countr_zero(x);
    if (leading_ >= 0 && leading >= leading_ && trailing >= trailing_) {
      bits_.Bits(joint ? 0b0 : 0b10, joint ? 1 : 2);
      return bits_.Bits(x >> trailing_, static_cast<unsigned>(64 - leading_ - trailing_));
    }
    leading_ = leading;
    trailing_ = trailing;
    const auto length = static_cast<unsigned>(64 - leading - trailing);
    bits_.Bits(joint ? 0b1 : 0b110, joint ? 1 : 3);
    bits_.Bits(static_cast<uint64_t>(leading), 5);
    bits_.Bits(length & 63, 6);
    bits_.Bits(x >> trailing, length);
  }

  std::string data_;
  BitWriter bits_{data_};
  uint64_t base_ = 0;
  int leading_ = -1;
  int trailing_ = 0;
};

BOOST_AUTO_TEST_CASE(Xor2ChunksAreRead) {
  std::mt19937_64 random(9);
  for (int round = 0; round < 2000; ++round) {
    BOOST_TEST_CONTEXT("round " << round) {
      std::vector<Timestamp> t;
      std::vector<double> v;
      std::vector<Timestamp> starts;
      const int kind = static_cast<int>(random() % 4);
      const uint64_t count = 1 + random() % 200;
      Timestamp start = kind == 0 ? 0 : kT0 - 1000;
      for (uint64_t i = 0; i < count; ++i) {
        const int64_t step = random() % 3 == 0
                                 ? static_cast<int64_t>(random() % (uint64_t{1} << (random() % 40)))
                                 : 15'000;
        t.push_back((t.empty() ? kT0 : t.back()) + step + 1);
        v.push_back(!v.empty() && random() % 3 == 0 ? v.back() : RandomValue(random));
        if (kind == 2 && random() % 50 == 0) start = t.back() - 5;
        if (kind == 3) start = t.back() - static_cast<Timestamp>(random() % 100);
        starts.push_back(start);
      }
      ChunkSamples samples;
      const std::string data = Xor2Encoder().Encode(t, v, starts);
      BOOST_REQUIRE(DecodeChunk(4, data, &samples).ok());
      BOOST_REQUIRE(samples.timestamps == t);
      BOOST_REQUIRE(Bits(samples.values) == Bits(v));
      if (samples.starts.empty()) samples.starts.resize(count);
      BOOST_REQUIRE(samples.starts == starts);
    }
  }
}

BOOST_AUTO_TEST_CASE(DamagedChunksAreErrorsAndNeverMore) {
  std::mt19937_64 random(11);
  std::vector<std::pair<uint8_t, std::string>> chunks;
  XorChunkWriter floats;
  HistogramChunkWriter integers;
  Histogram last;
  for (int i = 0; i < 50; ++i) {
    floats.Append(kT0 + i * 1000, RandomValue(random));
    last = IntegerHistogram(random, i == 0 ? nullptr : &last);
    integers.Append(kT0 + i * 1000, last);
  }
  chunks.emplace_back(uint8_t{1}, floats.Take().data);
  chunks.emplace_back(uint8_t{2}, integers.Take().data);
  for (const auto& [encoding, data] : chunks) {
    ChunkSamples samples;
    for (size_t length = 0; length + 8 < data.size(); ++length) {
      samples.Clear();
      BOOST_TEST(!DecodeChunk(encoding, data.substr(0, length), &samples).ok());
    }
    for (int round = 0; round < 20'000; ++round) {
      std::string damaged = data;
      damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
      samples.Clear();
      for (uint8_t as = 1; as <= 4; ++as) static_cast<void>(DecodeChunk(as, damaged, &samples));
    }
  }
  ChunkSamples samples;
  BOOST_TEST((DecodeChunk(77, chunks[0].second, &samples).code() == Code::kUnimplemented));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::prometheus_chunk_test
