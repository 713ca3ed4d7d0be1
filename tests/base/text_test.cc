// number.h, duration.h, time_text.h: values as text.
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include <boost/test/unit_test.hpp>

#include "base/duration.h"
#include "base/number.h"
#include "base/time_text.h"

namespace tocsin {
namespace text_test {
namespace {

BOOST_AUTO_TEST_SUITE(Text)

BOOST_AUTO_TEST_CASE(FloatsPrintAsGoPrintsThem) {
  const struct {
    double v;
    const char* json;
    const char* decimal;
    const char* go;
  } kCases[] = {
      {0, "0", "0", "0"},
      {-0.0, "-0", "-0", "-0"},
      {1, "1", "1", "1"},
      {-1.5, "-1.5", "-1.5", "-1.5"},
      {0.1, "0.1", "0.1", "0.1"},
      {100, "100", "100", "100"},
      {123456, "123456", "123456", "123456"},
      {1234567, "1234567", "1234567", "1.234567e+06"},
      {1e20, "100000000000000000000", "100000000000000000000", "1e+20"},
      {1e21, "1e+21", "1000000000000000000000", "1e+21"},
      {1.5e-6, "0.0000015", "0.0000015", "1.5e-06"},
      {1e-7, "1e-07", "0.0000001", "1e-07"},
      {0.0001, "0.0001", "0.0001", "0.0001"},
      {0.00001, "0.00001", "0.00001", "1e-05"},
      {1.7976931348623157e308, "1.7976931348623157e+308", nullptr, "1.7976931348623157e+308"},
      {5e-324, "5e-324", nullptr, "5e-324"},
      {std::numeric_limits<double>::quiet_NaN(), "NaN", "NaN", "NaN"},
      {HUGE_VAL, "+Inf", "+Inf", "+Inf"},
      {-HUGE_VAL, "-Inf", "-Inf", "-Inf"},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.json) {
      BOOST_TEST(FormatFloat(c.v) == c.json);
      if (c.decimal != nullptr) BOOST_TEST(FormatFloatDecimal(c.v) == c.decimal);
      BOOST_TEST(FormatFloatGo(c.v) == c.go);
    }
  }
}

BOOST_AUTO_TEST_CASE(EveryFloatReadsBackBitForBit) {
  std::mt19937_64 random(11);
  for (int i = 0; i < 20000; ++i) {
    const double v = std::bit_cast<double>(random());
    if (std::isnan(v)) continue;
    for (const std::string& text : {FormatFloat(v), FormatFloatDecimal(v), FormatFloatGo(v)}) {
      const auto back = ParseFloat(text);
      BOOST_REQUIRE_MESSAGE(back.has_value(), text);
      BOOST_REQUIRE_EQUAL(std::bit_cast<uint64_t>(*back), std::bit_cast<uint64_t>(v));
    }
  }
}

// The API's text and the plain one agree where neither has an exponent; they are made in two ways.
BOOST_AUTO_TEST_CASE(PlainTextsAgree) {
  std::mt19937_64 random(13);
  for (int i = 0; i < 20000; ++i) {
    const double values[] = {
        std::round(static_cast<double>(random() % 1'000'000'000)) / 100,
        std::ldexp(static_cast<double>(random() >> 11), -static_cast<int>(i % 73)),
        -static_cast<double>(random() % 2'000'000)};
    for (const double v : values) {
      if (std::fabs(v) >= 1e-6) BOOST_REQUIRE_EQUAL(FormatFloat(v), FormatFloatDecimal(v));
    }
  }
}

BOOST_AUTO_TEST_CASE(FloatsParseAsInGo) {
  const struct {
    const char* text;
    double want;
  } kGood[] = {
      {"1", 1},          {"+1", 1},           {"-1.5e3", -1500},
      {".5", 0.5},       {"5.", 5},           {"1E-2", 0.01},
      {"Inf", HUGE_VAL}, {"-inf", -HUGE_VAL}, {"+Infinity", HUGE_VAL},
      {"1_000", 1000},   {"0x1p-2", 0.25},    {"0x_1.8p1", 3},
      {"-0X1P4", -16},   {"1e-400", 0},       {"007", 7},
  };
  for (const auto& c : kGood) {
    BOOST_TEST_CONTEXT(c.text) {
      BOOST_REQUIRE(ParseFloat(c.text).has_value());
      BOOST_TEST(*ParseFloat(c.text) == c.want);
    }
  }
  for (const char* bad : {"",   "+",    "-",     ".",      "e5",     "1e",  "1e+", "--1",  "+-1",
                          " 1", "1 ",   "1x",    "+nan",   "nan(1)", "_1",  "1_",  "1__0", "0x1",
                          "0x", "0xp1", "1e400", "-1e400", "infin",  "1,5", "0x1p"}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_TEST(!ParseFloat(bad).has_value()); }
  }
  for (const char* bad : {"1_000", "0x1p-2", "0x1"}) BOOST_TEST(!ParseFloatPlain(bad).has_value());
  BOOST_TEST(std::bit_cast<uint64_t>(ParseFloat("NaN").value()) == 0x7ff8000000000001u);
}

BOOST_AUTO_TEST_CASE(IntegersAndBoolsParseWhole) {
  BOOST_TEST(ParseInt64("-9223372036854775808").value() == INT64_MIN);
  BOOST_TEST(!ParseInt64("9223372036854775808").has_value());
  BOOST_TEST(!ParseInt64("1 ").has_value());
  BOOST_TEST(!ParseInt64("").has_value());
  BOOST_TEST(ParseUint64("18446744073709551615").value() == UINT64_MAX);
  BOOST_TEST(!ParseUint64("-1").has_value());
  BOOST_TEST(ParseBool("T").value());
  BOOST_TEST(!ParseBool("false").value());
  BOOST_TEST(!ParseBool("yes").has_value());
}

BOOST_AUTO_TEST_CASE(DurationsParseAndPrint) {
  const struct {
    const char* text;
    int64_t ms;
    const char* printed;
  } kGood[] = {
      {"0", 0, "0s"},
      {"0s", 0, "0s"},
      {"15s", 15'000, "15s"},
      {"1h30m", 5'400'000, "1h30m"},
      {"90m", 5'400'000, "1h30m"},
      {"1d", 86'400'000, "1d"},
      {"36h", 129'600'000, "1d12h"},
      {"8d", 691'200'000, "8d"},
      {"7d", 604'800'000, "1w"},
      {"365d", 31'536'000'000, "1y"},
      {"1s5ms", 1005, "1s5ms"},
      {"1500ms", 1500, "1s500ms"},
      {"1m0s", 60'000, "1m"},
  };
  for (const auto& c : kGood) {
    BOOST_TEST_CONTEXT(c.text) {
      BOOST_TEST(ParseDuration(c.text).value() == c.ms);
      BOOST_TEST(FormatDuration(c.ms) == c.printed);
    }
  }
  BOOST_TEST(FormatDuration(-90'000) == "-1m30s");
  for (const char* bad : {"", "1", "s", "-1s", "1m1h", "1s1s", "1.5h", "1 s", "1us", "1S", "300y",
                          "99999999999999999999s"}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_TEST(!ParseDuration(bad).has_value()); }
  }
  BOOST_TEST(ParseDuration("1x").error().message() == "not a valid duration string: \"1x\"");
}

BOOST_AUTO_TEST_CASE(TimesPrintAndParse) {
  BOOST_TEST(FormatTimeMs(0) == "1970-01-01T00:00:00.000Z");
  BOOST_TEST(FormatTimeMs(1'435'781'451'781) == "2015-07-01T20:10:51.781Z");
  BOOST_TEST(FormatTime(1'435'781'451'780) == "2015-07-01T20:10:51.78Z");
  BOOST_TEST(FormatTime(1'435'781'451'000) == "2015-07-01T20:10:51Z");
  BOOST_TEST(FormatTime(-1) == "1969-12-31T23:59:59.999Z");
  const struct {
    const char* text;
    int64_t ms;
  } kGood[] = {
      {"2015-07-01T20:10:51.781Z", 1'435'781'451'781},
      {"2015-07-01T22:10:51.7819+02:00", 1'435'781'451'781},
      {"2015-07-01T20:10:51-00:30", 1'435'783'251'000},
      {"0001-01-01T00:00:00Z", -62'135'596'800'000},
  };
  for (const auto& c : kGood) BOOST_TEST(ParseTime(c.text).value() == c.ms);
  for (const char* bad :
       {"", "2015-07-01", "2015-07-01T20:10:51", "2015-02-30T00:00:00Z", "2015-07-01T24:00:00Z",
        "2015-07-01T20:10:51.Z", "2015-07-01T20:10:51Zx"}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_TEST(!ParseTime(bad).has_value()); }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace text_test
}  // namespace tocsin
