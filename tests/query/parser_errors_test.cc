// The exact errors of what is refused. Those of everything that Prometheus 2.42 knows were compared
// with its promtool; the rest follows the grammar of 3.14.
#include <boost/test/unit_test.hpp>
#include <string>

#include "query/parser.h"

namespace tocsin::query {
namespace {

struct Refused {
  const char* text;
  const char* error;
};
constexpr Refused kRefused[] = {
    {"sum some_metric by (test)", "1:5: parse error: unexpected identifier \"some_metric\""},
    {"MIN keep_common (some_metric)", "1:5: parse error: unexpected identifier \"keep_common\""},
    {"MIN (some_metric) keep_common", "1:19: parse error: unexpected identifier \"keep_common\""},
    {"sum(foo bar)", "1:9: parse error: unexpected identifier \"bar\" in aggregation"},
    {"sum(rate(foo[5m] bar))", "1:18: parse error: unexpected identifier \"bar\" in aggregation"},
    {"sum by (a) (foo bar)", "1:17: parse error: unexpected identifier \"bar\" in aggregation"},
    {"sum by (a) foo", "1:12: parse error: unexpected identifier \"foo\" in aggregation"},
    {"sum +", "1:6: parse error: unexpected end of input"},
    {"foo(a,,b)", "1:6: parse error: trailing commas not allowed in function call args"},
    {"abs(a,,b)", "1:6: parse error: trailing commas not allowed in function call args"},
    {"abs(a,)", "1:6: parse error: trailing commas not allowed in function call args"},
    {"abs(a,=)", "1:6: parse error: trailing commas not allowed in function call args"},
    {"abs(,a)", "1:5: parse error: unexpected \",\""},
    {")", "1:2: parse error: unexpected right parenthesis ')'"},
    {"(", "1:2: parse error: unclosed left parenthesis"},
    {"(1", "1:3: parse error: unclosed left parenthesis"},
    {"1)", "1:3: parse error: unexpected right parenthesis ')'"},
    {"foo{a}",
     "1:6: parse error: unexpected \"}\" in label matching, expected label matching operator"},
    {"foo{a=}", "1:7: parse error: unexpected \"}\" in label matching, expected string"},
    {"foo{a=\"b\" c=\"d\"}",
     "1:11: parse error: unexpected identifier \"c\" in label matching, expected \",\" or \"}\""},
    {"foo{,}",
     "1:5: parse error: unexpected \",\" in label matching, expected identifier or \"}\""},
    {"foo{a=\"b\",,}",
     "1:11: parse error: unexpected \",\" in label matching, expected identifier or \"}\""},
    {"foo{1}", "1:5: parse error: unexpected character inside braces: '1'"},
    {"foo[", "1:5: parse error: unexpected end of input in duration expression"},
    {"foo[5m", "1:7: parse error: unclosed left bracket"},
    {"foo[]",
     "1:5: parse error: unexpected \"]\" in subquery or range selector, expected number, duration, "
     "step(), or range()"},
    {"foo[5m:", "1:8: parse error: unclosed left bracket"},
    {"foo[5m:5m", "1:10: parse error: unclosed left bracket"},
    {"foo[5m:]]", "1:9: parse error: unexpected right bracket ']'"},
    {"foo[5m:5m:5m]", "1:10: parse error: unexpected colon ':'"},
    {"foo[x]", "1:5: parse error: unexpected character in duration expression: 'x'"},
    {"foo[:5m]", "1:6: parse error: unexpected colon before duration in duration expression"},
    {"foo[5m 5m]",
     "1:8: parse error: unexpected duration \"5m\" in subquery or range, expected \":\" or \"]\""},
    {"foo offset",
     "1:11: parse error: unexpected end of input in offset, expected number, duration, step(), or "
     "range()"},
    {"foo offset foo",
     "1:12: parse error: unexpected identifier \"foo\" in offset, expected number, duration, "
     "step(), or range()"},
    {"foo offset -",
     "1:13: parse error: unexpected end of input in offset, expected number, duration, step(), or "
     "range()"},
    {"foo @", "1:6: parse error: unexpected end of input in @, expected timestamp"},
    {"foo @ x", "1:7: parse error: unexpected identifier \"x\" in @, expected timestamp"},
    {"foo @ start", "1:12: parse error: unexpected end of input in @, expected timestamp"},
    {"foo @ start(", "1:13: parse error: unclosed left parenthesis"},
    {"foo @ start(1)", "1:13: parse error: unexpected number \"1\" in @, expected timestamp"},
    {"foo @ -", "1:8: parse error: unexpected end of input in @, expected timestamp"},
    {"1 == 2", "1:3: parse error: comparisons between scalars must use BOOL modifier"},
    {"1 and 2", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"},
    {"foo and 1", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"},
    {"foo + bool 1", "1:5: parse error: bool modifier can only be used on comparison operators"},
    {"foo + on(a) 1", "1:1: parse error: vector matching only allowed between instant vectors"},
    {"foo or on(a) group_left bar", "1:1: parse error: no grouping allowed for \"or\" operation"},
    {"foo + on(a) group_left(a) bar",
     "1:5: parse error: label \"a\" must not occur in ON and GROUP clause at once"},
    {"foo + on(a bar",
     "1:12: parse error: unexpected identifier \"bar\" in grouping opts, expected \",\" or \")\""},
    {"foo + on a bar",
     "1:10: parse error: unexpected identifier \"a\" in grouping opts, expected \"(\""},
    {"foo + group_left bar", "1:7: parse error: unexpected <group_left>"},
    {"foo + on(a) group_left( bar", "1:28: parse error: unclosed left parenthesis"},
    {"foo + ignoring(1) bar",
     "1:16: parse error: unexpected number \"1\" in grouping opts, expected label"},
    {"sum by (1) (foo)",
     "1:9: parse error: unexpected number \"1\" in grouping opts, expected label"},
    {"sum by (without) (foo)",
     "1:9: parse error: unexpected <without> in grouping opts, expected label"},
    {"sum(foo) by (a) by (b)", "1:17: parse error: unexpected <by>"},
    {"sum(foo) by (a,,)", "1:16: parse error: unexpected \",\" in grouping opts, expected label"},
    {"sum(foo) by", "1:12: parse error: unexpected end of input in grouping opts, expected \"(\""},
    {"count_values(foo)",
     "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, "
     "got 1"},
    {"count_values(1, foo)",
     "1:14: parse error: expected type string in aggregation parameter, got scalar"},
    {"count_values(\"x\", foo, 3)",
     "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, "
     "got 3"},
    {"topk(\"x\", foo)",
     "1:6: parse error: expected type scalar in aggregation parameter, got string"},
    {"topk(foo)",
     "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, "
     "got 1"},
    {"sum(1)",
     "1:5: parse error: expected type instant vector in aggregation expression, got scalar"},
    {"sum(\"x\")",
     "1:5: parse error: expected type instant vector in aggregation expression, got string"},
    {"sum(foo[5m])",
     "1:5: parse error: expected type instant vector in aggregation expression, got range vector"},
    {"rate(foo)",
     "1:6: parse error: expected type range vector in call to function \"rate\", got instant "
     "vector"},
    {"rate(foo[5m], 1)", "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 2"},
    {"rate()", "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 0"},
    {"round(foo,1,2)",
     "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3"},
    {"label_join(foo)",
     "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 1"},
    {"-\"x\"",
     "1:1: parse error: unary expression only allowed on expressions of type scalar or instant "
     "vector, got \"string\""},
    {"-foo[5m]",
     "1:1: parse error: unary expression only allowed on expressions of type scalar or instant "
     "vector, got \"range vector\""},
    {"+foo[5m]",
     "1:1: parse error: unary expression only allowed on expressions of type scalar or instant "
     "vector, got \"range vector\""},
    {"\"x\" + 1",
     "1:1: parse error: binary expression must contain only scalar and instant vector types"},
    {"foo[5m] + 1",
     "1:1: parse error: binary expression must contain only scalar and instant vector types"},
    {"foo[5m:] + 1",
     "1:1: parse error: binary expression must contain only scalar and instant vector types"},
    {"(foo)[5m]", "1:6: parse error: ranges only allowed for vector selectors"},
    {"rate(foo[5m])[5m]", "1:14: parse error: ranges only allowed for vector selectors"},
    {"1[5m]", "1:2: parse error: ranges only allowed for vector selectors"},
    {"1[5m:]", "1:1: parse error: subquery is only allowed on instant vector, got scalar instead"},
    {"\"x\"[5m:]",
     "1:1: parse error: subquery is only allowed on instant vector, got string instead"},
    {"foo offset 5m offset 3m", "1:1: parse error: offset may not be set multiple times"},
    {"1 offset 5m",
     "1:1: parse error: offset modifier must be preceded by an instant vector selector or range "
     "vector selector or a subquery"},
    {"foo @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"},
    {"1 @ 2",
     "1:1: parse error: @ modifier must be preceded by an instant vector selector or range vector "
     "selector or a subquery"},
    {"foo @ Inf", "1:1: parse error: timestamp out of bounds for @ modifier: +Inf"},
    {"foo @ 1e20",
     "1:1: parse error: timestamp out of bounds for @ modifier: 100000000000000000000.000000"},
    {"foo offset 5m [5m]", "1:15: parse error: no offset modifiers allowed before range"},
    {"foo @ 1 [5m]", "1:9: parse error: no @ modifiers allowed before range"},
    {"{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
    {"{a=\"\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
    {"{a=~\".*\"}",
     "1:1: parse error: vector selector must contain at least one non-empty matcher"},
    {"foo{__name__=\"bar\"}",
     "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\""},
    {"\"", "1:1: parse error: unterminated quoted string"},
    {"\"abc", "1:1: parse error: unterminated quoted string"},
    {"'abc\\q'", "1:1: parse error: unknown escape sequence U+0071 'q'"},
    {"\"\\xzz\"", "1:1: parse error: illegal character U+007A 'z' in escape sequence"},
    {"`abc", "1:1: parse error: unterminated raw string"},
    {"foo{a=\"b}", "1:7: parse error: unterminated quoted string"},
    {"1e", "1:1: parse error: bad number or duration syntax: \"1e\""},
    {"0x",
     "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \"0x\": invalid syntax"},
    {"1e999",
     "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \"1e999\": value out of "
     "range"},
    {"1.2.3", "1:1: parse error: bad number or duration syntax: \"1.2.\""},
    {"1..2", "1:1: parse error: bad number or duration syntax: \"1..\""},
    {"1__2", "1:1: parse error: bad number or duration syntax: \"1__\""},
    {"1_", "1:1: parse error: bad number or duration syntax: \"1_\""},
    {"5h3h", "1:1: parse error: not a valid duration string: \"5h3h\""},
    {"5mm", "1:1: parse error: bad number or duration syntax: \"5mm\""},
    {"5m5m", "1:1: parse error: not a valid duration string: \"5m5m\""},
    {"1d1y", "1:1: parse error: bad number or duration syntax: \"1d1\""},
    {"foo[0]", "1:5: parse error: duration must be greater than 0"},
    {"foo[0s]", "1:5: parse error: duration must be greater than 0"},
    {"0b1", "1:1: parse error: bad number or duration syntax: \"0\""},
    {"5x", "1:1: parse error: bad number or duration syntax: \"5\""},
    {"$", "1:1: parse error: unexpected character: '$'"},
    {"foo$", "1:4: parse error: unexpected character: '$'"},
    {"!foo", "1:1: parse error: unexpected character after '!': 'f'"},
    {"foo!bar", "1:4: parse error: unexpected character after '!': 'b'"},
    {"foo=bar", "1:4: parse error: unexpected \"=\""},
    {"foo=~bar", "1:4: parse error: unexpected character after '=': '~'"},
    {"foo{a!b}", "1:6: parse error: unexpected character after '!' inside braces: 'b'"},
    {"foo{a=~\"(\"}", "1:5: parse error: error parsing regexp: missing closing ): `(`"},
    {"foo{a=~\"[z-a]\"}",
     "1:5: parse error: error parsing regexp: invalid character class range: `z-a`"},
    {"foo{a=~\"*\"}",
     "1:5: parse error: error parsing regexp: missing argument to repetition operator: `*`"},
    {"foo{a=~\"(?P<x)\"}",
     "1:5: parse error: error parsing regexp: invalid named capture: `(?P<x)`"},
    {"foo bar", "1:5: parse error: unexpected identifier \"bar\""},
    {"foo 1", "1:5: parse error: unexpected number \"1\""},
    {"1 2", "1:3: parse error: unexpected number \"2\""},
    {",", "1:1: parse error: unexpected \",\""},
    {"foo,", "1:4: parse error: unexpected \",\""},
    {"on", "1:1: parse error: unexpected <on>"},
    {"bool", "1:1: parse error: unexpected <bool>"},
    {"atan2", "1:1: parse error: unexpected <op:atan2>"},
    {"group_left", "1:1: parse error: unexpected <group_left>"},
    {"foo{a:b=\"c\"}", "1:6: parse error: unexpected character inside braces: ':'"},
    {"a:b(foo)", "1:4: parse error: unexpected \"(\""},
    {"sum(", "1:5: parse error: unclosed left parenthesis"},
    {"sum(foo", "1:8: parse error: unclosed left parenthesis"},
    {"sum()", "1:1: parse error: no arguments for aggregate expression provided"},
    {"xyz(foo)", "1:1: parse error: unknown function with name \"xyz\""},
    {"xyz(foo", "1:8: parse error: unclosed left parenthesis"},
    {"XYZ(\"a\",1)", "1:1: parse error: unknown function with name \"XYZ\""},
    {"Rate(foo[5m])", "1:1: parse error: unknown function with name \"Rate\""},
    {"foo or", "1:7: parse error: unexpected end of input"},
    {"foo or or bar", "1:11: parse error: unexpected identifier \"bar\""},
    {"# only comment", "1:1: parse error: no expression found in input"},
    {"", "unknown position: parse error: no expression found in input"},
    {"foo[5m anchored]", "1:8: parse error: unexpected character: 'a', expected ':'"},
    {"foo[5m] anchored smoothed",
     "1:1: parse error: anchored and smoothed modifiers cannot be used together"},
    {"foo[5m:1m] anchored", "1:1: parse error: anchored modifier is not supported for subqueries"},
    {"rate(foo[5m]) smoothed", "1:1: parse error: smoothed modifier not implemented"},
    {"foo[5m + ]",
     "1:10: parse error: unexpected \"]\" in subquery or range selector, expected number, "
     "duration, step(), or range()"},
    {"foo[5m:1m + ]",
     "1:13: parse error: unexpected \"]\" in subquery selector, expected number, duration, step(), "
     "range(), or \"]\""},
    {"foo[5m:1m 3]",
     "1:11: parse error: unexpected number \"3\" in subquery selector, expected \"]\""},
    {"foo[5m / 0]", "1:8: parse error: division by zero"},
    {"foo[5m % 0s]", "1:8: parse error: modulo by zero"},
    {"foo[0 - ]",
     "1:9: parse error: unexpected \"]\" in subquery or range selector, expected number, duration, "
     "step(), or range()"},
    {"foo[-5m]", "1:5: parse error: duration must be greater than 0"},
    {"foo[5m][5m:]",
     "1:1: parse error: subquery is only allowed on instant vector, got matrix instead"},
    {"foo[step(]",
     "1:10: parse error: unexpected \"]\" in subquery or range selector, expected number, "
     "duration, step(), or range()"},
    {"foo[step]",
     "1:9: parse error: unexpected \"]\" in subquery or range selector, expected number, duration, "
     "step(), or range()"},
    {"foo[min_of(1)]",
     "1:13: parse error: unexpected \")\" in subquery or range selector, expected number, "
     "duration, step(), or range()"},
    {"foo[9223372037]", "1:5: parse error: duration out of range"},
    {"foo offset 99999999999", "1:12: parse error: duration out of range"},
    {"foo offset NaN", "1:12: parse error: duration out of range"},
    {"foo[NaN]", "1:5: parse error: unexpected character in duration expression: 'N'"},
    {"foo offset (5m", "1:15: parse error: unclosed left parenthesis"},
    {"foo offset min_of(5m)",
     "1:21: parse error: unexpected \")\" in offset, expected number, duration, step(), or "
     "range()"},
    {"foo + fill(x) bar", "1:12: parse error: unexpected identifier \"x\""},
    {"foo + fill() bar", "1:12: parse error: unexpected \")\""},
    {"foo + fill(0) 1",
     "1:1: parse error: filling in missing series only allowed between instant vectors"},
    {"foo or fill(0) bar",
     "1:1: parse error: filling in missing series not allowed for set operators"},
    {"foo and on(a) fill(0) bar",
     "1:1: parse error: filling in missing series not allowed for set operators"},
    {"info(foo, bar)",
     "1:11: parse error: expected label selectors only, got vector selector instead"},
    {"info(foo, 1)",
     "1:1: parse error: expected type instant vector in call to function \"info\", got scalar"},
    {"info(foo, sum({a=\"b\"}))", "1:11: parse error: expected label selectors only"},
    {"info(foo, {a=\"\"}, 1)",
     "1:1: parse error: expected at most 2 argument(s) in call to \"info\", got 3"},
    {"step(1)", "1:1: parse error: expected 0 argument(s) in call to \"step\", got 1"},
    {"min_of(1)", "1:1: parse error: expected 2 argument(s) in call to \"min_of\", got 1"},
    {"histogram_quantiles(foo, \"a\")",
     "1:1: parse error: expected at least 3 argument(s) in call to \"histogram_quantiles\", got 2"},
    {"histogram_quantiles(foo, \"a\", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)",
     "1:1: parse error: expected at most 12 argument(s) in call to \"histogram_quantiles\", got "
     "13"},
    {"time(1)", "1:1: parse error: expected 0 argument(s) in call to \"time\", got 1"},
    {"label_replace(foo, \"a\", \"b\", \"c\")",
     "1:1: parse error: expected 5 argument(s) in call to \"label_replace\", got 4"},
    {"label_replace(foo, a, \"b\", \"c\", \"d\")",
     "1:20: parse error: expected type string in call to function \"label_replace\", got instant "
     "vector"},
    {"sum by (\"\") (foo)", "1:9: parse error: invalid label name for grouping: \"\""},
    {"foo{\"a\" \"b\"}",
     "1:9: parse error: unexpected string \"\\\"b\\\"\" in label matching, expected \",\" or "
     "\"}\""},
    {"foo{\"a\"=}", "1:9: parse error: unexpected \"}\" in label matching, expected string"},
    {"foo{a=\"b\"", "1:10: parse error: unexpected end of input inside braces"},
    {"foo{{}}", "1:5: parse error: unexpected left brace '{'"},
    {"sum(foo) by (a b)",
     "1:16: parse error: unexpected identifier \"b\" in grouping opts, expected \",\" or \")\""},
    {"sum(foo{a=\"b\"}, bar)",
     "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 1, "
     "got 2"},
    {"foo == bool", "1:12: parse error: unexpected end of input"},
    {"foo +", "1:6: parse error: unexpected end of input"},
    {"(foo +)", "1:7: parse error: unexpected \")\""},
    {"sum(foo +)", "1:10: parse error: unexpected \")\" in aggregation"},
    {"foo[5m] offset",
     "1:15: parse error: unexpected end of input in offset, expected number, duration, step(), or "
     "range()"},
    {"foo @ 1 2", "1:9: parse error: unexpected number \"2\""},
    {"'it''s", "1:5: parse error: unterminated quoted string"},
    {"a\\b", "1:2: parse error: unexpected character: '\\\\'"},
    {"foo{a=~\"a{2000}\"}",
     "1:5: parse error: error parsing regexp: invalid repeat count: `{2000}`"},
    {"\"a", "1:1: parse error: unterminated quoted string"},
    {"b\"", "1:2: parse error: unterminated quoted string"},
    {"#", "1:1: parse error: no expression found in input"},
    {"foo[5m#]", "1:9: parse error: unclosed left bracket"},
    // What is wrong earlier is reported, although the lexer gives up later.
    {"sum(xyz(foo)", "1:5: parse error: unknown function with name \"xyz\""},
    {"3[1m])", "1:2: parse error: ranges only allowed for vector selectors"},
    {"exp(exp @ 1 [5m]", "1:13: parse error: no @ modifiers allowed before range"},
    {"foo[0s", "1:7: parse error: unclosed left bracket"},
    {"sum()$", "1:6: parse error: unexpected character: '$'"},
    {"foo + on(a) group_left",
     "1:23: parse error: unexpected end of input in grouping opts, expected \"(\""},
    {"'\\q'", "1:1: parse error: unknown escape sequence U+0071 'q'"},
    {"\"\\'\"", "1:1: parse error: unknown escape sequence U+0027 \x27\x27\x27"},
    {"\"\\x\\\"", "1:1: parse error: illegal character U+005C '\\' in escape sequence"},
};

std::string Repeat(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

std::string ErrorOf(const std::string& text, const LanguageOptions& options) {
  const Result<ExprPtr> expr = ParseExpr(text, options);
  return expr ? "none" : expr.error().message();
}

BOOST_AUTO_TEST_SUITE(ParserErrorsTest)

BOOST_AUTO_TEST_CASE(RefusedTextsGiveTheReferencesErrors) {
  for (const Refused& c : kRefused) {
    BOOST_TEST_CONTEXT(c.text) {
      const Result<ExprPtr> expr = ParseExpr(c.text, LanguageOptions::All());
      BOOST_REQUIRE(!expr.has_value());
      BOOST_TEST(expr.error().message() == c.error);
      BOOST_CHECK(expr.error().code() == Code::kInvalidArgument);
      const Result<ExprPtr> folded = ParseForEvaluation(c.text, LanguageOptions::All());
      BOOST_REQUIRE(!folded.has_value());
      BOOST_TEST(folded.error().message() == c.error);
    }
  }
}

BOOST_AUTO_TEST_CASE(ErrorsNameLineAndColumn) {
  BOOST_TEST(ErrorOf("sum(\n  foo,\n  bar baz)", {}) ==
             "3:7: parse error: unexpected identifier \"baz\" in aggregation");
  BOOST_TEST(ErrorOf("é", {}) == "1:1: parse error: unexpected character: 'é'");
  BOOST_TEST(ErrorOf("\"é\" \xff", {}) == "1:6: parse error: unexpected character: '\xef\xbf\xbd'");
}

BOOST_AUTO_TEST_CASE(ExperimentalSyntaxIsRefusedUnlessSwitchedOn) {
  const struct {
    const char* text;
    const char* error;
  } kCases[] = {
      {"mad_over_time(foo[5m])", "1:1: parse error: function \"mad_over_time\" is not enabled"},
      {"limitk(1, foo)",
       "1:1: parse error: limitk() is experimental and must be enabled with "
       "--enable-feature=promql-experimental-functions"},
      {"foo[5m] anchored", "1:1: parse error: anchored modifier is experimental and not enabled"},
      {"foo smoothed", "1:1: parse error: smoothed modifier is experimental and not enabled"},
      {"foo + fill(0) bar",
       "1:1: parse error: binop fill modifiers are experimental and not enabled"},
  };
  for (const auto& c : kCases) {
    BOOST_TEST(ErrorOf(c.text, {}) == c.error);
    BOOST_TEST(ErrorOf(c.text, LanguageOptions::All()) == "none");
  }
  LanguageOptions old;
  old.duration_expressions = false;
  for (const char* text :
       {"foo[5m + 1m]", "foo[step()]", "foo offset (5m)", "foo[min_of(1m, 2m)]"}) {
    BOOST_TEST_CONTEXT(text) {
      BOOST_TEST(ErrorOf(text, old).ends_with("experimental duration expression is not enabled"));
      BOOST_TEST(ErrorOf(text, {}) == "none");
    }
  }
  BOOST_TEST(ErrorOf("foo offset -5m", old) == "none");
}

BOOST_AUTO_TEST_CASE(DurationsAreBoundedInHeight) {
  const int kMany = 10'000;
  for (const std::string& text :
       {"foo[" + Repeat("min_of(1,", kMany) + "5m" + Repeat(")", kMany) + "]",
        "foo[5m" + Repeat(" + 5m", kMany) + "]"}) {
    const std::string error = ErrorOf(text, LanguageOptions::All());
    BOOST_TEST_CONTEXT(text.substr(0, 30)) {
      BOOST_TEST(error.find("nested too deeply, more than 1000 levels") != std::string::npos);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::query
