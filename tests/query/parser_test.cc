// The trees that the parser makes: positions, matching, times; and its smaller grammars.
#include "query/parser.h"

#include <boost/test/unit_test.hpp>
#include <string>

namespace tocsin::query {
namespace {

// The text of every node, outermost first.
std::vector<std::string> NodeTexts(const std::string& text) {
  const Result<ExprPtr> expr = ParseExpr(text, LanguageOptions::All());
  std::vector<std::string> texts;
  if (!expr) return texts;
  BOOST_REQUIRE(Inspect(**expr, [&](const Expr& node, const std::vector<const Expr*>&) {
                  texts.push_back(
                      text.substr(static_cast<size_t>(node.position.start),
                                  static_cast<size_t>(node.position.end - node.position.start)));
                }).ok());
  return texts;
}

BOOST_AUTO_TEST_SUITE(ParserTest)

BOOST_AUTO_TEST_CASE(NodesKnowTheirText) {
  const struct {
    std::string text;
    std::vector<std::string> nodes;
  } kCases[] = {
      {" 1 + foo ", {"1 + foo", "1", "foo"}},
      {"sum(rate(foo{a=\"b\"}[5m] offset 1m)) by (x) / 2",
       {"sum(rate(foo{a=\"b\"}[5m] offset 1m)) by (x) / 2",
        "sum(rate(foo{a=\"b\"}[5m] offset 1m)) by (x)", "rate(foo{a=\"b\"}[5m] offset 1m)",
        "foo{a=\"b\"}[5m] offset 1m", "foo{a=\"b\"}", "2"}},
      {"-(foo @ 3 offset 5m)[5m:1m] @ end()", {"-(foo @ 3 offset 5m)[5m:1m] @ end()"}},
      {"topk by (a) (3, -foo)", {"topk by (a) (3, -foo)", "-foo", "foo", "3"}},
      {"foo [ 5m ]", {}},
  };
  BOOST_TEST(NodeTexts(kCases[0].text) == kCases[0].nodes, boost::test_tools::per_element());
  BOOST_TEST(NodeTexts(kCases[1].text) == kCases[1].nodes, boost::test_tools::per_element());
  BOOST_TEST(NodeTexts(kCases[3].text) == kCases[3].nodes, boost::test_tools::per_element());
  BOOST_TEST(NodeTexts("foo [ 5m ]").front() == "foo [ 5m ]");
}

BOOST_AUTO_TEST_CASE(MatchingIsKeptOnlyBetweenVectors) {
  const auto matching = [](const std::string& text) {
    const Result<ExprPtr> expr = ParseExpr(text, LanguageOptions::All());
    BOOST_REQUIRE(expr.has_value());
    return As<Binary>(**expr)->matching;
  };
  BOOST_CHECK(!matching("1 + foo").has_value());
  BOOST_CHECK(!matching("1 + 2").has_value());
  BOOST_CHECK(matching("foo + bar")->card == MatchCardinality::kOneToOne);
  BOOST_CHECK(matching("foo and bar")->card == MatchCardinality::kManyToMany);
  BOOST_CHECK(matching("foo + on(a) group_left bar")->card == MatchCardinality::kManyToOne);
  const auto fill = matching("foo + fill_right(-2) bar");
  BOOST_CHECK(!fill->fill_lhs.has_value());
  BOOST_TEST(fill->fill_rhs.value() == -2);
}

BOOST_AUTO_TEST_CASE(TimesAreInMilliseconds) {
  const Result<ExprPtr> expr = ParseExpr("foo[1.5] @ 2.0005 offset -1h", LanguageOptions::All());
  BOOST_REQUIRE(expr.has_value());
  const auto& matrix = *As<MatrixSelector>(**expr);
  BOOST_TEST(matrix.range_ms == 1500);
  BOOST_TEST(matrix.selector->time.at_ms.value() == 2001);
  BOOST_TEST(matrix.selector->time.offset_ms == -3'600'000);
}

BOOST_AUTO_TEST_CASE(SelectorsGiveMatchers) {
  const auto printed = [](const char* text) -> std::string {
    const auto matchers = ParseMetricSelector(text);
    if (!matchers) return matchers.error().message();
    std::string all;
    for (const model::Matcher& m : *matchers) all += m.ToString() + " ";
    return all;
  };
  BOOST_TEST(printed("up") == "__name__=\"up\" ");
  BOOST_TEST(printed("up{a!=\"b\"}") == "a!=\"b\" __name__=\"up\" ");
  BOOST_TEST(printed("{a=~\"b|c\"}") == "a=~\"b|c\" ");
  BOOST_TEST(printed("{\"x y\"}") == "__name__=\"x y\" ");
  BOOST_TEST(printed("{}") == "");
  BOOST_TEST(printed("") == "unknown position: parse error: unexpected end of input");
  BOOST_TEST(printed("up[5m]") == "1:3: parse error: unexpected \"[\"");
  BOOST_TEST(printed("sum(up)") == "1:4: parse error: unexpected \"(\"");
  BOOST_TEST(printed("1") == "1:1: parse error: unexpected number \"1\"");
  BOOST_TEST(printed("up{a=~\"(\"}") ==
             "1:4: parse error: error parsing regexp: missing closing ): `(`");
}

BOOST_AUTO_TEST_CASE(MetricsGiveLabels) {
  const auto printed = [](const char* text) -> std::string {
    const auto labels = ParseMetric(text);
    return labels ? labels->ToString() : labels.error().message();
  };
  BOOST_TEST(printed("up") == "up");
  BOOST_TEST(printed("up{b=\"2\", a='1',}") == "up{a=\"1\", b=\"2\"}");
  BOOST_TEST(printed("{a=\"1\"}") == "{a=\"1\"}");
  BOOST_TEST(printed("{\"x y\", \"l m\"=`v`}") == "{\"x y\", \"l m\"=\"v\"}");
  BOOST_TEST(printed("{}") == "{}");
  BOOST_TEST(printed("up{a}") == "1:5: parse error: unexpected \"}\" in label set, expected \"=\"");
  BOOST_TEST(printed("up{a=1}") == "1:6: parse error: unexpected character inside braces: '1'");
  BOOST_TEST(
      printed("up{a=\"1\" b=\"2\"}") ==
      "1:10: parse error: unexpected identifier \"b\" in label set, expected \",\" or \"}\"");
  BOOST_TEST(printed("up{=}") ==
             "1:4: parse error: unexpected \"=\" in label set, expected identifier or \"}\"");
  BOOST_TEST(printed("up 1") == "1:4: parse error: unexpected number \"1\"");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::query
