#include <boost/test/unit_test.hpp>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "model/sample.h"
#include "tests/tsdb/codec_shapes.h"
#include "tsdb/codec/bits.h"
#include "tsdb/codec/decimal.h"
#include "tsdb/codec/entropy.h"
#include "tsdb/codec/gorilla.h"
#include "tsdb/codec/histogram_columns.h"
#include "tsdb/codec/histograms.h"
#include "tsdb/codec/integers.h"
#include "tsdb/codec/ordered.h"
#include "tsdb/codec/presence.h"
#include "tsdb/codec/values.h"

namespace tocsin::tsdb::codec_test {
namespace {

using Doubles = std::vector<double>;
using Integers = std::vector<int64_t>;

using namespace codec_shapes;

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
  const Doubles products = {
      0.001, 0.002, 0.003, 0.007, 1.1000000000000001, 2.2, 3.3000000000000003};
  bytes.clear();
  BOOST_REQUIRE(EncodeScaled(products, Effort::kFast, &bytes));
  BOOST_TEST(hex(bytes) == "13000202020084307100010244");
  bytes.clear();
  BOOST_REQUIRE(
      EncodeResidual(Doubles{10, 21, 32, 43}, Doubles{10, 20, 30, 40}, Effort::kFast, &bytes));
  BOOST_TEST(hex(bytes) == "800001000200");
  bytes.clear();
  EncodeOrdered(Doubles{-1, 0.5, 0.75}, Effort::kFast, &bytes);
  BOOST_TEST(hex(bytes) == "0e81808080808080f07f82808080808080d0ff0181808080808080e47f0101");
  bytes.clear();
  EncodeValues(products, {.effort = Effort::kSmall, .reference = products}, &bytes);
  BOOST_TEST(hex(bytes) == "06");
  Integers skewed(200);
  for (size_t i = 0; i < skewed.size(); ++i) skewed[i] = i % 16 == 0 ? int64_t(i) * 37 : 0;
  bytes.clear();
  EncodeIntegers(skewed, Effort::kSmall, &bytes);
  BOOST_TEST(hex(bytes) == "1800d0041354e1879435013de0770059d000cdb3fd29323e4792231a01");
  model::Histogram histogram;
  histogram.integer = true;
  histogram.schema = 2;
  histogram.positive_spans = {{1, 2}};
  histogram.positive_buckets = {3, 4};
  histogram.count = 7;
  const std::vector<const model::Histogram*> histograms = {&histogram, &histogram};
  bytes.clear();
  EncodeHistograms(histograms, Effort::kFast, &bytes);
  BOOST_TEST(hex(bytes) == "010101040101020200000400021c4002000002000004000208400400021040");
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

BOOST_AUTO_TEST_CASE(ColumnsOfHistogramsComeBackInEveryField) {
  const uint64_t seed = std::random_device()();
  Random random{std::mt19937_64(seed)};
  for (int round = 0; round < 300; ++round) {
    BOOST_TEST_CONTEXT("round " << round << " seed " << seed) {
      std::vector<model::Histogram> histograms;
      const size_t count = 1 + random.engine() % 120;
      // From all alike to all different.
      const uint64_t change = 1 + random.engine() % 40;
      for (size_t i = 0; i < count; ++i) {
        if (i == 0 || random.engine() % change == 0) {
          histograms.push_back(SomeHistogram(random, static_cast<double>(i)));
        } else {
          histograms.push_back(histograms.back());
          for (double& bucket : histograms.back().positive_buckets) bucket += random.Below(3);
        }
        if (random.engine() % 50 == 0) histograms.back() = model::Histogram::Stale();
        // What no histogram is comes back too.
        if (round % 10 == 0 && i == count / 2) histograms.back().positive_buckets.push_back(1);
        if (round % 10 == 1 && i == count / 2) histograms.back().positive_spans = {{0, 1}, {-1, 1}};
      }
      std::vector<const model::Histogram*> pointers;
      for (const model::Histogram& h : histograms) pointers.push_back(&h);
      for (const Effort effort : {Effort::kFast, Effort::kSmall}) {
        std::string bytes;
        EncodeHistograms(pointers, effort, &bytes);
        std::vector<model::Histogram> back(count);
        std::vector<model::Histogram*> out;
        // Some are not asked for.
        for (size_t i = 0; i < count; ++i) out.push_back(i % 3 == 1 ? nullptr : &back[i]);
        BOOST_REQUIRE(DecodeHistograms(bytes, out));
        for (size_t i = 0; i < count; ++i) {
          if (out[i] != nullptr) BOOST_TEST(SameBits(back[i], histograms[i]));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(ColumnsOfHistogramsAreSmallerThanHistogramsOneByOne) {
  Random random{std::mt19937_64(3)};
  model::Histogram h;
  h.integer = true;
  h.schema = 3;
  h.positive_spans = {{-10, 40}};
  h.positive_buckets.assign(40, 0);
  std::vector<model::Histogram> histograms;
  for (int row = 0; row < 120; ++row) {
    for (int n = 0; n < 20; ++n) ++h.positive_buckets[random.engine() % 40];
    h.count += 20;
    h.sum += 20 * 0.125;
    histograms.push_back(h);
  }
  std::string strings;
  std::vector<const model::Histogram*> pointers;
  for (const model::Histogram& one : histograms) {
    EncodeHistogram(one, &strings);
    pointers.push_back(&one);
  }
  std::string columns;
  EncodeHistograms(pointers, Effort::kFast, &columns);
  BOOST_TEST_MESSAGE("120 histograms of 40 buckets: " << strings.size() << " bytes one by one, "
                                                      << columns.size() << " in columns");
  BOOST_TEST(columns.size() * 4 < strings.size());
}

BOOST_AUTO_TEST_CASE(UnpackingIsTheSameWithAndWithoutAvx2) {
  std::mt19937_64 random(5);
  for (unsigned width = 1; width <= 64; ++width) {
    for (const size_t count : {1, 7, 8, 9, 64, 127, 128}) {
      std::vector<uint64_t> values(count);
      for (uint64_t& v : values) v = width == 64 ? random() : random() >> (64 - width);
      std::string bytes;
      PackBits(values, width, &bytes);
      BOOST_TEST(bytes.size() == (count * width + 7) / 8);
      bytes.resize(bytes.size() + kUnpackSlack);
      std::vector<uint64_t> fast(count);
      std::vector<uint64_t> plain(count);
      UnpackBits(bytes.data(), width, count, fast.data());
      UnpackBitsPlain(bytes.data(), width, count, plain.data());
      BOOST_TEST(fast == values);
      BOOST_TEST(plain == values);
    }
  }
}

BOOST_AUTO_TEST_CASE(EntropyCodedNumbersComeBack) {
  std::mt19937_64 random(6);
  for (int round = 0; round < 400; ++round) {
    BOOST_TEST_CONTEXT("round " << round) {
      const size_t count = 1 + random() % 1100;
      std::vector<uint64_t> numbers(count);
      TokenCounts counts{};
      for (uint64_t& u : numbers) {
        // From few small numbers to all widths.
        u = round % 4 == 0   ? random() % 3
            : round % 4 == 1 ? random() >> (random() % 64)
            : round % 4 == 2 ? 1000 + random() % 50
                             : (random() % 100 == 0 ? random() : 0);
        ++counts[TokenOf(u)];
      }
      const EntropyPlan plan = PlanEntropy(counts);
      std::string bytes;
      EncodeEntropy(numbers, plan, &bytes);
      // The plan is what the chooser goes by.
      BOOST_TEST(static_cast<double>(bytes.size()) * 8 <=
                 1.05 * static_cast<double>(plan.bits) + 80);
      const std::vector<char> exact(bytes.begin(), bytes.end());
      ByteReader in({exact.data(), exact.size()});
      std::vector<uint64_t> back(count);
      BOOST_REQUIRE(DecodeEntropy(&in, count, back.data()));
      BOOST_TEST(in.at_end());
      BOOST_TEST(back == numbers);
    }
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
