// Queries that nobody should send: huge, deep, absurd. They are answered as the reference answers
// them, or refused with its words, and nothing overflows a stack.
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <string>

#include "query/engine.h"
#include "query/parser.h"
#include "query/printer.h"
#include "query/promql_json.h"
#include "tests/support/fake_queryable.h"

namespace tocsin::query {
namespace {
namespace bad_input_test {

std::string Repeat(std::string_view piece, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += piece;
  return text;
}

std::string ErrorOf(const std::string& text) {
  const Result<ExprPtr> expr = ParseExpr(text, LanguageOptions::All());
  return expr ? "none" : std::string(expr.error().message());
}

FakeQueryable OneSeries() {
  FakeQueryable store;
  for (int64_t t = 0; t <= 600'000; t += 15'000) {
    store.Add(model::Labels::FromPairs({{"__name__", "up"}, {"job", "a"}}), t, 1);
  }
  return store;
}

constexpr int kMany = 10'000;
constexpr int kChain = 100'000;

BOOST_AUTO_TEST_SUITE(BadInput)

BOOST_AUTO_TEST_CASE(DeepExpressionsAreParsedPrintedAndDestroyed) {
  const std::string deep[] = {
      Repeat("(", kMany) + "1" + Repeat(")", kMany),
      Repeat("-(", kMany) + "foo" + Repeat(")", kMany),
      Repeat("abs(", kMany) + "foo" + Repeat(")", kMany),
      Repeat("sum(", kMany) + "foo" + Repeat(")", kMany),
      "foo" + Repeat(" ^ foo", kMany),
      Repeat("max_over_time(", kMany) + "foo" + Repeat("[5m:])", kMany),
      "foo" + Repeat(" or foo", kChain),
      "foo" + Repeat(" + foo", kChain),
      "1" + Repeat(" + 1", kChain),
  };
  for (const std::string& text : deep) {
    BOOST_TEST_CONTEXT(text.substr(0, 30)) {
      Result<ExprPtr> expr = ParseExpr(text, LanguageOptions::All());
      BOOST_REQUIRE_MESSAGE(expr.has_value(),
                            (expr ? std::string() : std::string(expr.error().message())));
      BOOST_TEST((Print(**expr) == text));
      BOOST_TEST((Prettify(**expr).size() >= text.size()));
      std::string json;
      BOOST_TEST(AppendExprJson(**expr, &json).ok());
      BOOST_TEST(json.size() > text.size());
    }
  }
}

BOOST_AUTO_TEST_CASE(ErrorsOfDeepTextsAreTheReferences) {
  const std::string unclosed = Repeat("(", kMany);
  BOOST_TEST(ErrorOf(unclosed) == "1:10001: parse error: unclosed left parenthesis");
  BOOST_TEST(ErrorOf("up" + Repeat(" + up", kMany) + " +") ==
             "1:50005: parse error: unexpected end of input");
  BOOST_TEST(ErrorOf(Repeat("sum(", kMany) + "1" + Repeat(")", kMany)).find("expected type") !=
             std::string::npos);
  BOOST_TEST(ErrorOf(Repeat("(", 300'000)).find("nested too deeply, more than 200000 levels") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(DeepExpressionsAreEvaluated) {
  const FakeQueryable store = OneSeries();
  EngineOptions options;
  options.threads = 2;
  Engine engine(options);
  const struct {
    std::string text;
    double value;
  } cases[] = {
      {"1" + Repeat(" + 1", kChain), kChain + 1},
      {"time()" + Repeat(" + 1", kChain), kChain + 600},
      {Repeat("(", kMany) + "up" + Repeat(")", kMany), 1},
      {Repeat("abs(", kMany) + "up" + Repeat(")", kMany), 1},
      {Repeat("sum(", kMany) + "up" + Repeat(")", kMany), 1},
      {Repeat("-(", kMany) + "up" + Repeat(")", kMany), 1},
      {"up" + Repeat(" * 1", kChain), 1},
      {"up" + Repeat(" + up", 20'000), 20'001},
      {"up" + Repeat(" or up", 20'000), 1},
      {Repeat("(up + ", kMany) + "up" + Repeat(")", kMany), kMany + 1},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.text.substr(0, 30)) {
      const auto begun = std::chrono::steady_clock::now();
      const Result<QueryResult> result = engine.Instant(store, c.text, 600'000, {});
      const auto took = std::chrono::steady_clock::now() - begun;
      BOOST_TEST_MESSAGE(c.text.substr(0, 20)
                         << " took "
                         << std::chrono::duration_cast<std::chrono::milliseconds>(took).count()
                         << " ms");
      BOOST_REQUIRE_MESSAGE(result.has_value(),
                            (result ? std::string() : std::string(result.error().message())));
      if (const auto* scalar = std::get_if<Scalar>(&result->value)) {
        BOOST_TEST(scalar->value == c.value);
      } else {
        const auto& vector = std::get<Vector>(result->value);
        BOOST_REQUIRE(vector.size() == 1u);
        BOOST_TEST(vector.front().value == c.value);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(AMegabyteOfArithmeticIsOneNumber) {
  const FakeQueryable store = OneSeries();
  EngineOptions options;
  options.threads = 1;
  Engine engine(options);
  const struct {
    std::string text;
    double value;
  } kCases[] = {
      {Repeat("1+", 524'288) + "1", 524'289},
      {Repeat("1 - 2 * 3 + ", 80'000) + "1", -399'999},
      {"2 ^ 3 ^ 2 / 5m", 512.0 / 300},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.text.substr(0, 30)) {
      const auto result = engine.Instant(store, c.text, 600'000, {});
      BOOST_REQUIRE(result.has_value());
      BOOST_TEST(std::get<Scalar>(result->value).value == c.value);
    }
  }
  // A vector at the left end is no number: each addition is an operator then.
  const auto vectors = engine.Instant(store, "up + " + Repeat("1+", 400'000) + "1", 600'000, {});
  BOOST_REQUIRE(!vectors);
  BOOST_TEST(vectors.error().message().find("nested too deeply") != std::string::npos);
  // What is wrong with a number stays an error.
  const auto compared = engine.Instant(store, Repeat("1+", 500'000) + "1 == 1", 600'000, {});
  BOOST_REQUIRE(!compared);
  BOOST_TEST(compared.error().message().ends_with(
      "parse error: comparisons between scalars must use BOOL modifier"));
  const auto matched = engine.Instant(store, "1 + on(a) 1", 600'000, {});
  BOOST_REQUIRE(!matched);
  BOOST_TEST(matched.error().message() ==
             "1:1: parse error: vector matching only allowed between instant vectors");
}

BOOST_AUTO_TEST_CASE(HugeTextsAreRefusedInMicroseconds) {
  const struct {
    std::string text;
    std::string error;  // its end
  } cases[] = {
      {std::string(1 << 20, 'a') + " $", "parse error: unexpected character: '$'"},
      {Repeat("up + ", 200'000) + "nofunction(1)",
       "parse error: unknown function with name "
       "\"nofunction\""},
      {"up{a=\"\xff\"}", "parse error: invalid UTF-8 rune"},
      {"up[5m", "parse error: unclosed left bracket"},
      {"up[-5m]", "parse error: duration must be greater than 0"},
      {"rate(up)",
       "parse error: expected type range vector in call to function \"rate\", got "
       "instant vector"},
      {"up offset 1000000y", "parse error: duration out of range"},
      {"up{a=~\"(\"}", ""},
      {"up{a=~\"" + Repeat("(a*)*", 1000) + "\"}", ""},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.text.substr(0, 30)) {
      const std::string error = ErrorOf(c.text);
      BOOST_TEST_MESSAGE(error.substr(0, 200));
      BOOST_TEST(error.ends_with(c.error));
    }
  }
}

BOOST_AUTO_TEST_CASE(AbsurdTimesAreRefusedOrEmpty) {
  const FakeQueryable store = OneSeries();
  EngineOptions options;
  options.threads = 1;
  Engine engine(options);
  const int64_t far = 9'223'372'036'854'775;  // ms: the reference's largest time
  const char* queries[] = {
      "up",
      "rate(up[5m])",
      "up offset -100y",
      "up offset 290y",
      "max_over_time(up[290y])",
      "max_over_time(up[100y:1y])",
      "sum_over_time(up[1y:1s])",
      "up @ 9223372036854775",
      "up @ -9223372036854775",
      "predict_linear(up[5m], 1e300)",
      "rate(up[5m] offset -290y)",
  };
  for (const char* query : queries) {
    BOOST_TEST_CONTEXT(query) {
      for (const int64_t time : {-far, int64_t{0}, far}) {
        const auto result = engine.Instant(store, query, time, {});
        BOOST_TEST((result.has_value() || !result.error().message().empty()));
      }
      const auto wide = engine.Range(store, query, -far, far, far / 100, {});
      BOOST_TEST((wide.has_value() || !wide.error().message().empty()));
      const auto narrow = engine.Range(store, query, 0, 600'000, 1, {});
      BOOST_TEST((narrow.has_value() || !narrow.error().message().empty()));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace bad_input_test
}  // namespace
}  // namespace tocsin::query
