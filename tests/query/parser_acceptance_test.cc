// What parses, and how it is printed back; then what becomes of such texts when they are damaged.
#include <boost/test/unit_test.hpp>
#include <string>

#include "query/parser.h"
#include "query/printer.h"

namespace tocsin::query {
namespace {

struct Accepted {
  const char* text;
  const char* printed;
};
constexpr Accepted kAccepted[] = {
    {"sum", "sum"},
    {"sum + 1", "sum + 1"},
    {"sum[5m]", "sum[5m]"},
    {"sum offset 5m", "sum offset 5m"},
    {"foo @ start()", "foo @ start()"},
    {"foo == bool 1", "foo == bool 1"},
    {"foo + on() bar", "foo + on () bar"},
    {"sum by (by) (foo)", "sum by (by) (foo)"},
    {"sum(foo) by (a,)", "sum by (a) (foo)"},
    {"{__name__=\"a\",__name__=\"b\"}", "{__name__=\"a\",__name__=\"b\"}"},
    {"0x1e", "30"},
    {"1_000", "1000"},
    {"foo[5]", "foo[5s]"},
    {"by", "by"},
    {"offset", "offset"},
    {"foo:bar", "foo:bar"},
    {"1 + + 1", "1 + 1"},
    {"1 - -1", "1 - -1"},
    {"1 + - - foo", "1 + --foo"},
    {"foo ^ -1", "foo ^ -1"},
    {"1 ^ 2 ^ 3", "1 ^ 2 ^ 3"},
    {"-1 ^ 2", "-1 ^ 2"},
    {"2 * 3 atan2 4", "2 * 3 atan2 4"},
    {"foo # comment", "foo"},
    {"1", "1"},
    {"5m", "5m"},
    {"1h30m15s", "1h30m15s"},
    {"0x1f", "31"},
    {"010", "8"},
    {"1e3", "1000"},
    {".5", "0.5"},
    {"1_000_000", "1000000"},
    {"+5", "5"},
    {"-5", "-5"},
    {"Inf", "+Inf"},
    {"-inf", "-Inf"},
    {"NAN", "NaN"},
    {"1 + 2 * 3", "1 + 2 * 3"},
    {"(1 + 2) * 3", "(1 + 2) * 3"},
    {"2 ^ 3 ^ 2", "2 ^ 3 ^ 2"},
    {"-2 ^ 2", "-2 ^ 2"},
    {"-foo ^ 2", "-foo ^ 2"},
    {"-foo * 2", "-foo * 2"},
    {"2 ^ -3 * 4", "2 ^ -3 * 4"},
    {"1 - - - 1", "1 - 1"},
    {"foo", "foo"},
    {"foo:bar:baz", "foo:bar:baz"},
    {":foo", ":foo"},
    {"by{a=\"b\"}", "by{a=\"b\"}"},
    {"sum{a=\"b\"}", "sum{a=\"b\"}"},
    {"step", "step"},
    {"range[5m]", "range[5m]"},
    {"start offset 5m", "start offset 5m"},
    {"fill + fill_left", "fill + fill_left"},
    {"foo{a=\"b\",c!=\"d\",e=~\"f.*\",g!~\"h\"}", "foo{a=\"b\",c!=\"d\",e=~\"f.*\",g!~\"h\"}"},
    {"foo{a=\"b\",}", "foo{a=\"b\"}"},
    {"foo{\"a b\"='c\\'d'}", "foo{\"a b\"=\"c'd\"}"},
    {"{\"my.metric\", x=\"y\"}", "{__name__=\"my.metric\",x=\"y\"}"},
    {"{`raw`}", "{__name__=\"raw\"}"},
    {"{\"foo\",a=\"b\"}", "{__name__=\"foo\",a=\"b\"}"},
    {"{__name__=~\"a|b\"}", "{__name__=~\"a|b\"}"},
    {"{a=\"x\\u00e9\\xff\\n\"}", "{a=\"xé\\xff\\n\"}"},
    {"foo{a=\"\\\"quoted\\\"\"}", "foo{a=\"\\\"quoted\\\"\"}"},
    {"foo offset 5m", "foo offset 5m"},
    {"foo offset -5m", "foo offset -5m"},
    {"foo offset 90", "foo offset 1m30s"},
    {"foo offset 1.5", "foo offset 1s500ms"},
    {"foo @ 123", "foo @ 123.000"},
    {"foo @ -1.5", "foo @ -1.500"},
    {"foo @ 5m", "foo @ 300.000"},
    {"foo @ END()", "foo @ end()"},
    {"foo offset 5m @ 3", "foo @ 3.000 offset 5m"},
    {"foo @ 3 offset 5m", "foo @ 3.000 offset 5m"},
    {"foo[5m]", "foo[5m]"},
    {"foo[5m] offset 1h @ 10", "foo[5m] @ 10.000 offset 1h"},
    {"foo[90]", "foo[1m30s]"},
    {"foo[1.5]", "foo[1s500ms]"},
    {"foo[5m:]", "foo[5m:]"},
    {"foo[5m:1m]", "foo[5m:1m]"},
    {"foo[5m:1m] offset 1m @ end()", "foo[5m:1m] @ end() offset 1m"},
    {"rate(foo[5m])[1h:5m]", "rate(foo[5m])[1h:5m]"},
    {"sum(foo)", "sum(foo)"},
    {"sum by (a) (foo)", "sum by (a) (foo)"},
    {"sum(foo) by (a, b)", "sum by (a, b) (foo)"},
    {"sum without(a)(foo)", "sum without (a) (foo)"},
    {"sum without () (foo)", "sum without () (foo)"},
    {"sum by () (foo)", "sum(foo)"},
    {"SUM BY (a) (foo)", "sum by (a) (foo)"},
    {"sum by (\"a b\", c) (foo)", "sum by (\"a b\", c) (foo)"},
    {"topk(3, foo)", "topk(3, foo)"},
    {"quantile by (a) (0.9, foo)", "quantile by (a) (0.9, foo)"},
    {"count_values(\"x\", foo)", "count_values(\"x\", foo)"},
    {"limitk(2, foo)", "limitk(2, foo)"},
    {"limit_ratio(-0.5, foo)", "limit_ratio(-0.5, foo)"},
    {"foo + bar", "foo + bar"},
    {"foo + on(a) bar", "foo + on (a) bar"},
    {"foo + ignoring(a,b) bar", "foo + ignoring (a, b) bar"},
    {"foo / on(a) group_left bar", "foo / on (a) group_left () bar"},
    {"foo / on(a) group_left(b) bar", "foo / on (a) group_left (b) bar"},
    {"foo * ignoring(a) group_right(b,c) bar", "foo * ignoring (a) group_right (b, c) bar"},
    {"foo == bool bar", "foo == bool bar"},
    {"foo > bool on(a) bar", "foo > bool on (a) bar"},
    {"foo and bar", "foo and bar"},
    {"foo or on(a) bar", "foo or on (a) bar"},
    {"foo unless bar", "foo unless bar"},
    {"foo atan2 bar", "foo atan2 bar"},
    {"foo </ 5", "foo </ 5"},
    {"foo >/ 5", "foo >/ 5"},
    {"foo + fill(0) bar", "foo + fill (0) bar"},
    {"foo + fill_left(1) bar", "foo + fill_left (1) bar"},
    {"foo + fill_right(-1.5) bar", "foo + fill_right (-1.5) bar"},
    {"foo + fill_left(1) fill_right(2) bar", "foo + fill_left (1) fill_right (2) bar"},
    {"foo + fill_right(2) fill_left(1) bar", "foo + fill_left (1) fill_right (2) bar"},
    {"foo + on(a) group_left(b) fill(NaN) bar", "foo + on (a) group_left (b) fill (NaN) bar"},
    {"abs(foo)", "abs(foo)"},
    {"time()", "time()"},
    {"round(foo)", "round(foo)"},
    {"round(foo, 5)", "round(foo, 5)"},
    {"label_replace(foo, \"a\", \"$1\", \"b\", \"(.*)\")",
     "label_replace(foo, \"a\", \"$1\", \"b\", \"(.*)\")"},
    {"label_join(foo, \"a\", \",\")", "label_join(foo, \"a\", \",\")"},
    {"label_join(foo, \"a\", \",\", \"b\", \"c\")", "label_join(foo, \"a\", \",\", \"b\", \"c\")"},
    {"sort_by_label(foo, \"a\", \"b\")", "sort_by_label(foo, \"a\", \"b\")"},
    {"histogram_quantile(0.9, rate(foo[5m]))", "histogram_quantile(0.9, rate(foo[5m]))"},
    {"info(foo)", "info(foo)"},
    {"info(foo, {})", "info(foo, {})"},
    {"info(foo, {a=\"b\"})", "info(foo, {a=\"b\"})"},
    {"min_of(1, 2)", "min_of(1, 2)"},
    {"step() + start() - end() * range()", "step() + start() - end() * range()"},
    {"foo[5m] anchored", "foo[5m] anchored"},
    {"foo[5m] smoothed @ 5", "foo[5m] smoothed @ 5.000"},
    {"foo smoothed", "foo smoothed"},
    {"foo[5m + 1m]", "foo[5m + 1m]"},
    {"foo[5m*2 - (1m + 30s)/2 % 7]", "foo[5m * 2 - (1m + 30s) / 2 % 7]"},
    {"foo[2 ^ 3 ^ 2 * 1s]", "foo[2 ^ 3 ^ 2 * 1s]"},
    {"foo[-(-5m)]", "foo[-(-5m)]"},
    {"foo[step()]", "foo[step()]"},
    {"foo[range():step()]", "foo[range():step()]"},
    {"foo[min_of(step(), 5m) + max_of(1, range())]",
     "foo[min_of(step(), 5m) + max_of(1, range())]"},
    {"foo[5m:step() * 2]", "foo[5m:step() * 2]"},
    {"foo offset (5m + 1m)", "foo offset (5m + 1m)"},
    {"foo offset -(5m + 1m)", "foo offset -(5m + 1m)"},
    {"foo offset (5m)", "foo offset (5m)"},
    {"foo offset step()", "foo offset step()"},
    {"foo offset -step()", "foo offset -step()"},
    {"foo offset 1m + 2", "foo offset 1m + 2"},
    {"foo offset step() * 2", "foo offset step() * 2"},
    {"foo offset min_of(1m, step()) + 3", "foo offset min_of(1m, step()) + 3"},
    {"foo offset -(1m) ^ 2", "foo offset -(1m) ^ 2"},
    {"\"a string\"", "\"a string\""},
    {"\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"\\101\\x41\\u0041\\U00000041\"",
     "\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"AAAA\""},
    {"(((foo)))", "(((foo)))"},
    {"(foo)[5m:] offset 1m", "(foo)[5m:] offset 1m"},
    {"-foo", "-foo"},
    {"+foo", "+foo"},
    {"- - foo", "--foo"},
    {"-(foo)", "-(foo)"},
    {"foo == 1", "foo == 1"},
    {"1 == bool 2", "1 == bool 2"},
    {"foo > 1 > 2", "foo > 1 > 2"},
    {"foo or bar and baz unless qux", "foo or bar and baz unless qux"},
};

std::string ProblemOf(const Result<ExprPtr>& expr) {
  return expr ? "none" : expr.error().message();
}

BOOST_AUTO_TEST_SUITE(ParserAcceptanceTest)

BOOST_AUTO_TEST_CASE(AcceptedTextsPrintInCanonicalForm) {
  for (const Accepted& c : kAccepted) {
    BOOST_TEST_CONTEXT(c.text) {
      const Result<ExprPtr> expr = ParseExpr(c.text, LanguageOptions::All());
      BOOST_REQUIRE_MESSAGE(expr.has_value(), ProblemOf(expr));
      BOOST_TEST(Print(**expr) == c.printed);
      BOOST_TEST(Print(*Clone(**expr)) == c.printed);
      const Result<ExprPtr> again = ParseExpr(c.printed, LanguageOptions::All());
      BOOST_REQUIRE_MESSAGE(again.has_value(), ProblemOf(again));
      BOOST_TEST(Print(**again) == c.printed);
    }
  }
}

// Cuts, joins and overwrites pieces of accepted texts: whatever comes out must be parsed or
// refused, and what is parsed must print to a text that parses and prints the same.
BOOST_AUTO_TEST_CASE(MangledTextsNeitherCrashNorPrintWrong) {
  uint64_t state = 0x9e3779b97f4a7c15;
  const auto random = [&state](size_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return static_cast<size_t>(state % below);
  };
  static constexpr std::string_view kBytes = "(){}[],:=!~<>@+-*/%^\"'`\\#. \n_x5m0eEI\xc3\xa9\xff";
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string a = kAccepted[random(std::size(kAccepted))].text;
    const std::string b = kAccepted[random(std::size(kAccepted))].text;
    a = a.substr(0, random(a.size() + 1)) + b.substr(random(b.size() + 1));
    for (size_t edits = random(3); edits > 0 && !a.empty(); --edits) {
      a[random(a.size())] = kBytes[random(kBytes.size())];
    }
    const Result<ExprPtr> expr = ParseExpr(a, LanguageOptions::All());
    if (!expr) continue;
    ++accepted;
    const std::string printed = Print(**expr);
    const Result<ExprPtr> again = ParseExpr(printed, LanguageOptions::All());
    BOOST_TEST_CONTEXT(a) {
      BOOST_REQUIRE_MESSAGE(again.has_value(), printed + ": " + ProblemOf(again));
      BOOST_REQUIRE(Print(**again) == printed);
    }
  }
  BOOST_TEST(accepted > 1000);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::query
