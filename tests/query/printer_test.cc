// Prettify, parse_query's JSON, literals and duration expressions. The broken lines were compared
// with format_query of Prometheus 2.42.
#include "query/printer.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "query/duration_expr.h"
#include "query/literals.h"
#include "query/parser.h"
#include "query/promql_json.h"

namespace tocsin::query {
namespace {

ExprPtr Parsed(const std::string& text) {
  Result<ExprPtr> expr = ParseExpr(text, LanguageOptions::All());
  BOOST_REQUIRE_MESSAGE(expr.has_value(), text);
  return *std::move(expr);
}

std::string Json(const std::string& text) {
  std::string json;
  BOOST_REQUIRE(AppendExprJson(*Parsed(text), &json).ok());
  return json;
}

BOOST_AUTO_TEST_SUITE(PrinterTest)

BOOST_AUTO_TEST_CASE(LongExpressionsAreBrokenOverLines) {
  const struct {
    const char* text;
    const char* pretty;
  } kCases[] = {
      {"sum by(job)(rate(foo[5m]))", "sum by (job) (rate(foo[5m]))"},
      {R"(histogram_quantile(0.9, sum by (le, job) (rate(http_request_duration_seconds_bucket{job="api-server", handler="/api/v1/query"}[5m]))))",
       R"(histogram_quantile(
  0.9,
  sum by (le, job) (
    rate(http_request_duration_seconds_bucket{handler="/api/v1/query",job="api-server"}[5m])
  )
))"},
      {R"((sum(rate(http_requests_total_very_long_name_indeed_yes{job="api-server"}[5m])) + sum(rate(http_requests_total_other_long{job="x"}[5m]))) > bool 5)",
       R"(  (
      sum(rate(http_requests_total_very_long_name_indeed_yes{job="api-server"}[5m]))
    +
      sum(rate(http_requests_total_other_long{job="x"}[5m]))
  )
> bool
  5)"},
      {R"(topk(5, sum by (job, instance, aaaaaaaaaaaaaaaaaaaaaa) (rate(http_requests_total{job="api-server", instance=~"foo.*", code!="500"}[5m]))))",
       R"(topk(
  5,
  sum by (job, instance, aaaaaaaaaaaaaaaaaaaaaa) (
    rate(http_requests_total{code!="500",instance=~"foo.*",job="api-server"}[5m])
  )
))"},
      {R"(-(sum by (job, instance) (rate(http_requests_total{job="api-server", instance=~"foo.*", code!="500", aaaaaaaaaaaa="b"}[5m]))))",
       R"(-(
  sum by (job, instance) (
    rate(http_requests_total{aaaaaaaaaaaa="b",code!="500",instance=~"foo.*",job="api-server"}[5m])
  )
))"},
      {R"(max_over_time(sum by (job, instance) (rate(http_requests_total{job="api-server", instance=~"foo.*", code!="500", aa="b"}[5m]))[1h:1m] offset 5m))",
       R"(max_over_time(
  sum by (job, instance) (
    rate(http_requests_total{aa="b",code!="500",instance=~"foo.*",job="api-server"}[5m])
  )[1h:1m] offset 5m
))"},
      {R"(a_very_long_metric_name_for_this_purpose{label_one="value one",label_two="value two"} * on (label_one, label_two) group_left (label_three) another_long_metric_name{x="y"})",
       R"(  a_very_long_metric_name_for_this_purpose{label_one="value one",label_two="value two"}
* on (label_one, label_two) group_left (label_three)
  another_long_metric_name{x="y"})"},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.text) {
      BOOST_TEST(Prettify(*Parsed(c.text)) == c.pretty);
      BOOST_TEST(Print(*Parsed(c.pretty)) == Print(*Parsed(c.text)));
    }
  }
}

BOOST_AUTO_TEST_CASE(TreesBecomeJson) {
  BOOST_TEST(Json("1e3") == R"({"type":"numberLiteral","val":"1000"})");
  BOOST_TEST(Json("\"a\\\"<\"") == R"({"type":"stringLiteral","val":"a\"\u003c"})");
  const std::string up =
      R"({"anchored":false,"matchers":[{"name":"a","type":"=~","value":"b"},)"
      R"({"name":"__name__","type":"=","value":"up"}],"name":"up","offset":300000,)"
      R"("offsetExpr":null,"smoothed":false,"startOrEnd":null,"timestamp":1500,)"
      R"("type":"vectorSelector"})";
  BOOST_TEST(Json("up{a=~\"b\"} offset 5m @ 1.5") == up);
  BOOST_TEST(Json("-(up{a=~\"b\"} offset 5m @ 1.5)") ==
             R"({"expr":{"expr":)" + up + R"(,"type":"parenExpr"},"op":"-","type":"unaryExpr"})");
  BOOST_TEST(Json("up[5m] @ end()") ==
             R"({"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"up"}],)"
             R"("name":"up","offset":0,"offsetExpr":null,"range":300000,"rangeExpr":null,)"
             R"("smoothed":false,"startOrEnd":"end","timestamp":null,"type":"matrixSelector"})");
}

BOOST_AUTO_TEST_CASE(OperatorsAndCallsBecomeJson) {
  const std::string a =
      R"({"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"a"}],"name":"a",)"
      R"("offset":0,"offsetExpr":null,"smoothed":false,"startOrEnd":null,"timestamp":null,)"
      R"("type":"vectorSelector"})";
  BOOST_TEST(Json("a * on(x) group_left(y) fill_right(2) a") ==
             R"({"bool":false,"lhs":)" + a +
                 R"(,"matching":{"card":"many-to-one","fillValues":{"lhs":null,"rhs":2},)"
                 R"("include":["y"],"labels":["x"],"on":true},"op":"*","rhs":)" +
                 a + R"(,"type":"binaryExpr"})");
  BOOST_TEST(Json("1 == bool 2") ==
             R"({"bool":true,"lhs":{"type":"numberLiteral","val":"1"},"matching":null,"op":"==",)"
             R"("rhs":{"type":"numberLiteral","val":"2"},"type":"binaryExpr"})");
  BOOST_TEST(Json("round(a, 2)") ==
             R"({"args":[)" + a +
                 R"(,{"type":"numberLiteral","val":"2"}],"func":{"argTypes":["vector","scalar"],)"
                 R"("name":"round","returnType":"vector","variadic":1},"type":"call"})");
  BOOST_TEST(Json("topk without (x) (3, a)") ==
             R"({"expr":)" + a +
                 R"(,"grouping":["x"],"op":"topk","param":{"type":"numberLiteral","val":"3"},)"
                 R"("type":"aggregation","without":true})");
  BOOST_TEST(Json("a[5m + step():1m] offset -(2)") ==
             R"({"expr":)" + a +
                 R"(,"offset":0,"offsetExpr":{"lhs":null,"op":"-","rhs":{"lhs":null,"op":"+",)"
                 R"("rhs":{"duration":false,"type":"numberLiteral","val":"2"},)"
                 R"("type":"durationExpr","wrapped":true},"type":"durationExpr","wrapped":false},)"
                 R"("range":0,"rangeExpr":{"lhs":{"duration":true,"type":"numberLiteral",)"
                 R"("val":"300"},"op":"+","rhs":{"lhs":null,"op":"step","rhs":null,)"
                 R"("type":"durationExpr","wrapped":false},"type":"durationExpr",)"
                 R"("wrapped":false},"startOrEnd":null,"step":60000,"stepExpr":null,)"
                 R"("timestamp":null,"type":"subquery"})");
}

BOOST_AUTO_TEST_CASE(DurationExpressionsAreComputed) {
  const DurationContext context{.step_ms = 5'000, .range_ms = 60'000};
  const struct {
    const char* text;
    int64_t range_ms;
  } kCases[] = {
      {"a[5m + 1m]", 360'000},
      {"a[1h / 2]", 1'800'000},
      {"a[1h30m % 1h]", 1'800'000},
      {"a[2 ^ 3 ^ 0]", 2'000},
      {"a[60 * 30]", 1'800'000},
      {"a[1.5 * 2m]", 180'000},
      {"a[step()]", 5'000},
      {"a[range() - step()]", 55'000},
      {"a[-(-5m)]", 300'000},
      {"a[min_of(step(), 1s)]", 1'000},
      {"a[max_of(step(), 1h)]", 3'600'000},
      {"a[(5m)]", 300'000},
      {"a[0.0015 * 1]", 1},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.text) {
      const ExprPtr expr = Parsed(c.text);
      BOOST_TEST(ResolveDurations(expr.get(), context).ok());
      BOOST_TEST(As<MatrixSelector>(*expr)->range_ms == c.range_ms);
    }
  }
  const ExprPtr offset = Parsed("sum(a offset -(step() * 2)) + max_over_time(a[1m:step()])");
  BOOST_TEST(ResolveDurations(offset.get(), context).ok());
  std::vector<int64_t> found;
  BOOST_REQUIRE(Inspect(*offset, [&](const Expr& node, const std::vector<const Expr*>&) {
                  if (const auto* selector = As<VectorSelector>(node))
                    found.push_back(selector->time.offset_ms);
                  if (const auto* subquery = As<Subquery>(node)) found.push_back(subquery->step_ms);
                }).ok());
  const std::vector<int64_t> want = {-10'000, 5'000, 0};
  BOOST_TEST(found == want, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(ImpossibleDurationsFailWhenComputed) {
  const struct {
    const char* text;
    const char* error;
  } kCases[] = {
      {"a[1m - 1m]", "duration must be greater than 0"},
      {"a[1m - 2m]", "duration must be greater than 0"},
      {"a[step()]", "duration must be greater than 0"},
      {"a[1m / (1 - 1)]", "division by zero"},
      {"a[1m % (1 - 1)]", "modulo by zero"},
      {"a offset (10 ^ 300)", "duration is out of range"},
      {"a offset ((0 - 1) ^ 0.5)", "duration is out of range"},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.text) {
      const ExprPtr expr = Parsed(c.text);
      const Status status = ResolveDurations(expr.get(), {});
      BOOST_TEST(status.message() == c.error);
      BOOST_CHECK(status.code() == Code::kExecution);
    }
  }
}

BOOST_AUTO_TEST_CASE(NumbersReadAsInGo) {
  const struct {
    const char* text;
    double value;
  } kGood[] = {{"0", 0},          {"42", 42},    {"010", 8},
               {"08", 8},         {"0x1F", 31},  {"1_000", 1000},
               {"1.5e-3", .0015}, {"1.", 1},     {".5", .5},
               {"1e308", 1e308},  {"1e-400", 0}, {"9223372036854775808", 9223372036854775808.0}};
  for (const auto& c : kGood) {
    BOOST_TEST_CONTEXT(c.text) { BOOST_TEST(ParseNumber(c.text).value() == c.value); }
  }
  BOOST_TEST(std::isnan(ParseNumber("nan").value()));
  BOOST_TEST(ParseNumber("INF").value() == std::numeric_limits<double>::infinity());
  for (const char* bad : {"", "x", "1x", "1__0", "_1", "1_", "0x", "0xg", "1e", "1e999", "1.2.3"}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_TEST(!ParseNumber(bad).has_value()); }
  }
}

BOOST_AUTO_TEST_CASE(StringsUnquoteAsInGo) {
  BOOST_TEST(UnquoteString(R"("a\n\t\"\\\x41\101\u00e9\U0001F600")").value() ==
             "a\n\t\"\\AA\u00e9\U0001F600");
  BOOST_TEST(UnquoteString(R"('a\'b"c')").value() == "a'b\"c");
  BOOST_TEST(UnquoteString(R"(`a\n"'`)").value() == R"(a\n"')");
  BOOST_TEST(UnquoteString("\"\"").value() == "");
  for (const char* bad : {"", "\"", "a", "\"a", "\"a'", "\"\\q\"", "\"\\'\"", "\"\\x4\"",
                          "\"\\400\"", "\"\\ud800\"", "\"a\nb\"", "\"a\"b\"", "\"\\\"", "`a`b`"}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_TEST(!UnquoteString(bad).has_value()); }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::query
