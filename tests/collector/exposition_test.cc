// Numbers, labels, escapes, timestamps, exemplars, and the choice of a format.
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <random>

#include "collector/exposition/format.h"
#include "collector/exposition/number.h"

namespace tocsin::collector {
namespace {

BOOST_AUTO_TEST_SUITE(Exposition_)

uint64_t Bits(double value) { return std::bit_cast<uint64_t>(value); }

BOOST_AUTO_TEST_CASE(NumbersReadAsTheReferenceReadsThem) {
  struct Case {
    const char* text;
    double want;
  };
  const double inf = std::numeric_limits<double>::infinity();
  const Case good[] = {{"0", 0},
                       {"-0", -0.0},
                       {"1", 1},
                       {"+1", 1},
                       {".5", 0.5},
                       {"5.", 5},
                       {"1e3", 1000},
                       {"1E+3", 1000},
                       {"1.5e-7", 1.5e-7},
                       {"9007199254740993", 9007199254740992.0},
                       {"18446744073709551615", 18446744073709551615.0},
                       {"123456789012345678901234567890", 123456789012345678901234567890.0},
                       {"0.1000000000000000055511151231257827", 0.1},
                       {"1e-400", 0},
                       {"4.9e-324", 4.9e-324},
                       {"1.7976931348623157e308", 1.7976931348623157e308},
                       {"inf", inf},
                       {"+Inf", inf},
                       {"-INFINITY", -inf},
                       {"000012", 12}};
  for (const Case& c : good) {
    BOOST_TEST_CONTEXT(c.text) {
      double value = 42;
      BOOST_TEST(ParseNumber(c.text, &value) == "");
      BOOST_TEST(Bits(value) == Bits(c.want));
    }
  }
  double value = 0;
  BOOST_TEST(ParseNumber("NaN", &value) == "");
  BOOST_TEST(Bits(value) == model::kNormalNanBits);
  for (const char* bad :
       {"", "x", "1x", "+", ".", "1e", "e5", "--1", "0x1", "1 ", "+nan", "1.1.1"}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_TEST(ParseNumber(bad, &value).ends_with("invalid syntax")); }
  }
  BOOST_TEST(ParseNumber("1e309", &value).ends_with("value out of range"));
  BOOST_TEST(ParseNumber("1_0", &value) == "unsupported character in float");
  BOOST_TEST(ParseNumber("0x1p-3", &value) == "unsupported character in float");
}

BOOST_AUTO_TEST_CASE(EveryDoubleSurvivesItsText) {
  std::mt19937_64 random(20261124);
  char text[64];
  for (int i = 0; i < 200'000; ++i) {
    double want = std::bit_cast<double>(random());
    if (i % 2 == 0) want = static_cast<double>(random() % 100'000'000) / 1000;
    if (std::isnan(want) || std::isinf(want)) continue;
    std::snprintf(text, sizeof text, i % 3 == 0 ? "%.17g" : "%.12g", want);
    want = std::strtod(text, nullptr);
    double got = 0;
    BOOST_REQUIRE(ParseNumber(text, &got) == "");
    BOOST_REQUIRE_MESSAGE(Bits(got) == Bits(want), text);
  }
}

BOOST_AUTO_TEST_CASE(BoundsAreSpelledInOneWay) {
  for (const auto& [value, want] : std::initializer_list<std::pair<double, const char*>>{
           {1, "1.0"},
           {0, "0.0"},
           {0.5, "0.5"},
           {1e6, "1e+06"},
           {123456, "123456.0"},
           {1e-5, "1e-05"},
           {2.5e10, "2.5e+10"},
           {std::numeric_limits<double>::infinity(), "+Inf"}}) {
    BOOST_TEST(FormatBound(value) == want);
  }
}

std::string Show(ExpositionFormat format, std::string_view line) {
  Item item;
  const ItemKind kind = ReadItem(format, line, true, &item);
  if (kind == ItemKind::kInvalid) return "error: " + item.error;
  if (kind != ItemKind::kSample) return "kind " + std::to_string(static_cast<int>(kind));
  const auto text = [](const RawText& raw) {
    return raw.escaped ? Unescape(raw.text) : std::string(raw.text);
  };
  std::string out = text(item.metric);
  for (const RawLabel& label : item.labels) {
    out += "|" + text(label.name) + "=" + text(label.value);
  }
  const auto number = [](double v) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.17g", v);
    return std::string(buffer);
  };
  out += " " + number(item.tail.value);
  if (item.tail.has_timestamp) out += " @" + std::to_string(item.tail.timestamp_ms);
  if (item.tail.has_exemplar) {
    out += " #";
    for (const RawLabel& label : item.tail.exemplar_labels) {
      out += text(label.name) + "=" + text(label.value);
    }
    out += " " + number(item.tail.exemplar_value);
    if (item.tail.exemplar_has_timestamp) {
      out += " @" + std::to_string(item.tail.exemplar_timestamp_ms);
    }
  }
  BOOST_TEST(item.value_offset < item.length);
  return out;
}

BOOST_AUTO_TEST_CASE(LinesComeApartAsWritten) {
  struct Case {
    ExpositionFormat format;
    const char* line;
    const char* want;
  };
  const auto text = ExpositionFormat::kText;
  const auto om = ExpositionFormat::kOpenMetrics;
  const Case cases[] = {
      {text, "a 1\n", "a 1"},
      {text, "  a \t 1 \t\n", "a 1"},
      {text, "a 1", "a 1"},
      {text, "a{} 1 5\n", "a 1 @5"},
      {text, "a { b = \"c\" , d=\"e\" , } 2\n", "a|b=c|d=e 2"},
      {text, "a{b=\"c\"d=\"e\"}2\n", "a|b=c|d=e 2"},
      {text, "{\"a.b\",\"c.d\"=\"e\"} 1\n", "a.b|c.d=e 1"},
      {text, "{b=\"c\", \"a\\\"x\"} 1\n", "a\"x|b=c 1"},
      {text, "a{b=\"x\\\\y\\n\\\"z\\\"\\q\"} 1\n", "a|b=x\\y\n\"z\"\\q 1"},
      {text, "a{b=\"\"} 1\n", "a|b= 1"},
      {text, "a{\"b\",\"c\"} 1\n", "error: metric name already set while parsing: \"a{\\\"b\\\"\""},
      {text, "a{b=\"\xff\"} 1\n", "error: invalid UTF-8 label value: \"\\xff\""},
      {text, "a 1 -5\n",
       "error: expected timestamp or new record, got \"-5\" (\"INVALID\") while parsing: \"a 1 "
       "-5\""},
      {text, "a 1 # x\n",
       "error: expected timestamp or new record, got \"# \" (\"INVALID\") while parsing: \"a 1 # "
       "\""},
      {om, "a{b=\"c\"} 1 1.5\n", "a|b=c 1 @1500"},
      {om, "a 1 # {t=\"x\"} 0.5\n", "a 1 #t=x 0.5"},
      {om, "a 1 2 # {t=\"x\"} 0.5 3.25\n", "a 1 @2000 #t=x 0.5 @3250"},
      {om, "{\"a.b\",c=\"d\"} 1\n", "a.b|c=d 1"},
      {om, "a 1", "error: data does not end with # EOF"},
      {om, "# EOF", "kind 5"},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.line) { BOOST_TEST(Show(c.format, c.line) == c.want); }
  }
}

BOOST_AUTO_TEST_CASE(AcceptListsProtocolsWithFallingWeight) {
  const ScrapeConfig defaults;
  BOOST_TEST(AcceptHeader(defaults.scrape_protocols, model::NameScheme::kUtf8) ==
             "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
             "application/openmetrics-text;version=0.0.1;q=0.5,"
             "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
             "text/plain;version=0.0.4;q=0.3,*/*;q=0.2");
}

BOOST_AUTO_TEST_CASE(ContentTypeDecidesAndTheFallbackHelps) {
  const auto none = ScrapeProtocol::kNone;
  const auto om = ScrapeProtocol::kOpenMetricsText1_0_0;
  BOOST_TEST((*ChooseFormat("text/plain; version=0.0.4", none) == ExpositionFormat::kText));
  BOOST_TEST((*ChooseFormat("Text/Plain", om) == ExpositionFormat::kText));
  BOOST_TEST((*ChooseFormat("application/openmetrics-text; version=1.0.0; charset=utf-8", none) ==
              ExpositionFormat::kOpenMetrics));
  BOOST_TEST((*ChooseFormat("", om) == ExpositionFormat::kOpenMetrics));
  BOOST_TEST((*ChooseFormat("text/html", ScrapeProtocol::kPrometheusText0_0_4) ==
              ExpositionFormat::kText));
  BOOST_TEST(ChooseFormat("", none).error().message() ==
             "non-compliant scrape target sending blank Content-Type and no "
             "fallback_scrape_protocol specified for target");
  BOOST_TEST(ChooseFormat("text/html", none).error().message() ==
             "received unsupported Content-Type \"text/html\" and no fallback_scrape_protocol "
             "specified for target");
  BOOST_TEST(ChooseFormat("nonsense", none).error().message() ==
             "cannot parse Content-Type \"nonsense\" and no fallback_scrape_protocol for target");
}

BOOST_AUTO_TEST_CASE(ProtocolNamesReadBack) {
  for (const char* name : {"PrometheusProto", "PrometheusText0.0.4", "PrometheusText1.0.0",
                           "OpenMetricsText0.0.1", "OpenMetricsText1.0.0"}) {
    BOOST_TEST(ScrapeProtocolName(ParseScrapeProtocol(name)) == name);
  }
  BOOST_TEST((ParseScrapeProtocol("x") == ScrapeProtocol::kNone));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::collector
