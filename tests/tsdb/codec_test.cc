#include <boost/test/unit_test.hpp>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "model/sample.h"
#include "tsdb/codec/decimal.h"
#include "tsdb/codec/gorilla.h"
#include "tsdb/codec/histograms.h"
#include "tsdb/codec/integers.h"
#include "tsdb/codec/presence.h"
#include "tsdb/codec/values.h"

namespace tocsin::tsdb::codec_test {
namespace {

using Doubles = std::vector<double>;
using Integers = std::vector<int64_t>;

bool SameBits(const Doubles& a, const Doubles& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](double x, double y) {
           return std::bit_cast<uint64_t>(x) == std::bit_cast<uint64_t>(y);
         });
}

const Doubles kOdd = {0.0,
                      -0.0,
                      1.0,
                      -1.0,
                      0.1,
                      1e-300,
                      5e-324,
                      1.7976931348623157e308,
                      9007199254740991.0,
                      9007199254740992.0,
                      9007199254740994.0,
                      9.2e18,
                      9.3e18,
                      -9.3e18,
                      1e15,
                      1e22,
                      123456.789,
                      std::numeric_limits<double>::infinity(),
                      -std::numeric_limits<double>::infinity(),
                      model::StaleMarker(),
                      model::NormalNan(),
                      std::bit_cast<double>(uint64_t{0xfff8000000000001}),
                      std::bit_cast<double>(uint64_t{0x7ff0000000000001}),
                      std::bit_cast<double>(~uint64_t{0})};

struct Random {
  std::mt19937_64 engine;
  uint64_t Bits() { return engine(); }
  double Below(uint64_t n) { return static_cast<double>(engine() % n); }
  double Odd() { return kOdd[engine() % kOdd.size()]; }
};

struct Shape {
  const char* name;
  std::function<double(Random&, double row)> value;
};

const std::vector<Shape>& Shapes() {
  static const std::vector<Shape> shapes = {
      {"constant", [](Random&, double) { return 42.5; }},
      {"steady counter", [](Random& r, double i) { return 1e6 + i * 100 + r.Below(20); }},
      {"sparse counter", [](Random&, double i) { return std::floor(i / 37); }},
      {"resets", [](Random& r, double i) { return std::fmod(i, 500) * 1000 + r.Below(7); }},
      {"pages", [](Random& r, double) { return 4096 * (100000 + r.Below(64)); }},
      {"tenths", [](Random& r, double) { return 20 + r.Below(50) / 10; }},
      {"seconds", [](Random& r, double i) { return (i * 1500 + r.Below(300)) / 100; }},
      {"walk", [](Random& r, double i) { return std::sin(i / 10) + r.Below(1000000) / 1e18; }},
      {"stale runs",
       [](Random& r, double i) {
         return std::fmod(i, 50) < 10 ? model::StaleMarker() : r.Below(9);
       }},
      {"odd doubles", [](Random& r, double) { return r.Odd(); }},
      {"sums", [](Random& r, double i) { return i * 0.1 + r.Below(9) * 0.001 * 3; }},
      {"products", [](Random& r, double i) { return (i * 1000 + r.Below(900)) * 1e-3; }},
      {"nanoseconds",
       [](Random& r, double i) { return (i * 1e9 + r.Below(1u << 30)) / 1e3 / 1e6; }},
      {"denormals", [](Random& r, double) { return 5e-324 * r.Below(99); }},
      {"mostly integers",
       [](Random& r, double) { return r.Below(10) == 0 ? r.Odd() : r.Below(1000); }},
      {"bits", [](Random& r, double) { return std::bit_cast<double>(r.Bits()); }},
      {"huge integers",
       [](Random& r, double) { return static_cast<double>(static_cast<int64_t>(r.Bits())); }},
  };
  return shapes;
}

BOOST_AUTO_TEST_SUITE(Codec_)

BOOST_AUTO_TEST_CASE(ValuesComeBackBitForBit) {
  const uint64_t seed = std::random_device()();
  Random random{std::mt19937_64(seed)};
  for (const Shape& shape : Shapes()) {
    for (const size_t count : {1, 2, 3, 7, 60, 120, 127, 128, 129, 257, 1000, 1024}) {
      BOOST_TEST_CONTEXT(shape.name << " × " << count << " seed " << seed) {
        Doubles values(count);
        for (size_t i = 0; i < count; ++i) values[i] = shape.value(random, static_cast<double>(i));
        std::string bytes;
        Doubles back(count);
        Doubles near(count);
        for (size_t i = 0; i < count; ++i) near[i] = values[i] + std::floor(random.Below(3));
        for (const Effort effort : {Effort::kFast, Effort::kSmall}) {
          for (const Doubles& reference : {Doubles(), values, near}) {
            bytes.clear();
            EncodeValues(values, {.effort = effort, .reference = reference}, &bytes);
            BOOST_TEST(bytes.size() <= 2 + count * 8);
            BOOST_REQUIRE(DecodeValues(bytes, count, reference, back.data()));
            BOOST_TEST(SameBits(values, back));
            if (NeedsReference(bytes)) BOOST_TEST(!DecodeValues(bytes, count, {}, back.data()));
          }
        }
        // The streaming codec by itself, whatever the chooser took.
        bytes.clear();
        EncodeGorilla(values, &bytes);
        BOOST_REQUIRE(DecodeGorilla(bytes, count, back.data()));
        BOOST_TEST(SameBits(values, back));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(TheChooserTakesWhatFits) {
  struct Case {
    const char* name;
    Doubles values;
    ValueKind want;
  };
  const std::vector<Case> cases = {
      {"constant", {7, 7, 7}, ValueKind::kConst},
      {"two zeros differ", {0.0, -0.0, 0.0, 0.0, 0.0, 0.0}, ValueKind::kDecimal},
      {"counter", {1, 2, 3, 5, 6, 7, 9}, ValueKind::kDecimal},
      {"noise",
       {0.1234567890123456, 0.9876543210987654e10, 3.3333333333333333e-5},
       ValueKind::kRaw},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      std::string bytes;
      ValueKind kind{};
      EncodeValues(c.values, {}, &bytes, &kind);
      BOOST_TEST(static_cast<int>(kind) == static_cast<int>(c.want));
      Doubles back(c.values.size());
      BOOST_REQUIRE(DecodeValues(bytes, back.size(), {}, back.data()));
      BOOST_TEST(SameBits(c.values, back));
    }
  }
}

BOOST_AUTO_TEST_CASE(BytesOfTheFormatDoNotChange) {
  const auto hex = [](const std::string& bytes) {
    std::string text;
    for (const char c : bytes) {
      static constexpr char kDigits[] = "0123456789abcdef";
      text += kDigits[static_cast<uint8_t>(c) >> 4];
      text += kDigits[static_cast<uint8_t>(c) & 15];
    }
    return text;
  };
  std::string bytes;
  EncodeValues(Doubles{1.5, 1.5}, {}, &bytes);
  BOOST_TEST(hex(bytes) == "0002f83f");
  bytes.clear();
  EncodeValues(Doubles{1, 2, 3, 4, model::StaleMarker(), 6, 7}, {}, &bytes);
  BOOST_TEST(hex(bytes) == "0300010401020000000000f07f060202034018");
  bytes.clear();
  EncodeGorilla(Doubles{1, 1.5, 1.5, 2}, &bytes);
  BOOST_TEST(hex(bytes) == "3ff0000000000000d80584bfff");
  bytes.clear();
  EncodeIntegers(Integers{1000, 2000, 3000, 4001}, Effort::kFast, &bytes);
  BOOST_TEST(hex(bytes) == "02d00fd00f000102");
}

BOOST_AUTO_TEST_CASE(IntegersComeBackWhateverTheirDifferences) {
  const uint64_t seed = std::random_device()();
  std::mt19937_64 random(seed);
  const std::vector<std::function<int64_t(size_t)>> shapes = {
      [](size_t i) { return static_cast<int64_t>(i) * 15000; },
      [&](size_t i) { return static_cast<int64_t>(i * 15000 + random() % 5); },
      [&](size_t) { return static_cast<int64_t>(random()); },
      [&](size_t) { return static_cast<int64_t>(random() >> (random() % 64)); },
      [&](size_t i) { return i % 2 == 0 ? INT64_MIN : INT64_MAX; },
      [&](size_t) { return static_cast<int64_t>(random() % 2 == 0 ? INT64_MIN : 0); },
      [&](size_t i) { return i == 50 ? INT64_MIN : static_cast<int64_t>(random() % 4) * 4096; },
      [](size_t) { return INT64_MIN; },
  };
  for (size_t s = 0; s < shapes.size(); ++s) {
    for (const size_t count : {0, 1, 2, 3, 127, 128, 129, 130, 131, 1000}) {
      BOOST_TEST_CONTEXT("shape " << s << " × " << count << " seed " << seed) {
        Integers values(count);
        for (size_t i = 0; i < count; ++i) values[i] = shapes[s](i);
        std::string bytes;
        EncodeIntegers(values, Effort::kFast, &bytes);
        Integers back(count);
        ByteReader in(bytes);
        BOOST_REQUIRE(DecodeIntegers(&in, count, back.data()));
        BOOST_TEST(in.at_end());
        BOOST_TEST(values == back, boost::test_tools::per_element());
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(SteadyTimestampsCostAlmostNothing) {
  Integers values(1024);
  for (size_t i = 0; i < values.size(); ++i) values[i] = 1'700'000'000'000 + int64_t(i) * 15000;
  std::string bytes;
  EncodeIntegers(values, Effort::kFast, &bytes);
  BOOST_TEST(bytes.size() < 24u);
}

BOOST_AUTO_TEST_CASE(PresenceComesBack) {
  std::mt19937_64 random(7);
  for (const size_t count : {1, 8, 9, 120, 1024}) {
    for (const unsigned share : {0, 1, 50, 99, 100}) {
      for (const bool runs : {false, true}) {
        std::vector<uint32_t> rows;
        bool on = true;
        for (size_t i = 0; i < count; ++i) {
          if (!runs || i % 40 == 0) on = random() % 100 < share;
          if (on) rows.push_back(static_cast<uint32_t>(i));
        }
        std::string bytes;
        EncodePresence(rows, count, &bytes);
        ByteReader in(bytes);
        bool full = false;
        std::vector<uint32_t> back;
        BOOST_REQUIRE(DecodePresence(&in, count, &full, &back));
        BOOST_TEST(in.at_end());
        BOOST_TEST(full == (rows.size() == count));
        if (!full) BOOST_TEST(rows == back, boost::test_tools::per_element());
        BOOST_TEST(bytes.size() <= 4 + (count + 7) / 8);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(HistogramsComeBackInEveryField) {
  model::Histogram plain;
  plain.integer = true;
  plain.hint = model::CounterResetHint::kGauge;
  plain.schema = 3;
  plain.zero_threshold = 1e-128;
  plain.zero_count = 2;
  plain.count = 9007199254740992.0;
  plain.sum = -0.0;
  plain.positive_spans = {{-5, 2}, {3, 1}};
  plain.positive_buckets = {1, 2, 9007199254740991.0};
  plain.negative_spans = {{0, 1}};
  plain.negative_buckets = {0.5};
  model::Histogram custom;
  custom.schema = model::kCustomBucketsSchema;
  custom.custom_values = {-1, 0.25, 10};
  for (const model::Histogram& h : {plain, custom, model::Histogram(), model::Histogram::Stale()}) {
    std::string bytes;
    EncodeHistogram(h, &bytes);
    model::Histogram back;
    back.positive_buckets = {99};  // what was there before must go
    ByteReader in(bytes);
    BOOST_REQUIRE(DecodeHistogram(&in, &back));
    BOOST_TEST(in.at_end());
    BOOST_TEST(std::bit_cast<uint64_t>(h.sum) == std::bit_cast<uint64_t>(back.sum));
    model::Histogram a = h;
    model::Histogram b = back;
    a.sum = b.sum = 0;
    BOOST_TEST((a == b));
  }
}

BOOST_AUTO_TEST_CASE(PackedDoublesComeBack) {
  for (const double value : kOdd) {
    std::string bytes;
    PutPackedDouble(bytes, value);
    ByteReader in(bytes);
    const double back = ReadPackedDouble(&in);
    BOOST_TEST((in.ok() && in.at_end()));
    BOOST_TEST(std::bit_cast<uint64_t>(back) == std::bit_cast<uint64_t>(value));
  }
}

// Damaged bytes give an error or other values, never a crash: what the fuzz target does at length.
BOOST_AUTO_TEST_CASE(DamagedBytesAreSurvived) {
  const uint64_t seed = std::random_device()();
  Random random{std::mt19937_64(seed)};
  BOOST_TEST_CONTEXT("seed " << seed) {
    for (const Shape& shape : Shapes()) {
      Doubles values(300);
      for (size_t i = 0; i < values.size(); ++i)
        values[i] = shape.value(random, static_cast<double>(i));
      std::string bytes;
      EncodeValues(values, {}, &bytes);
      size_t survived = 0;
      for (int round = 0; round < 500; ++round) {
        std::string damaged = bytes;
        for (uint64_t flips = 1 + random.Bits() % 3; flips > 0; --flips) {
          damaged[random.Bits() % damaged.size()] = static_cast<char>(random.Bits());
        }
        if (round % 5 == 0) damaged.resize(random.Bits() % damaged.size());
        // Exactly sized, so that a sanitizer sees reads past the end.
        const std::vector<char> exact(damaged.begin(), damaged.end());
        Doubles back(values.size());
        survived +=
            DecodeValues({exact.data(), exact.size()}, back.size(), {}, back.data()) ? 1 : 0;
      }
      BOOST_TEST(survived < 500u);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::tsdb::codec_test
