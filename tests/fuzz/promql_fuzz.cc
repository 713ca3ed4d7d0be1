// Any text: it is parsed or refused. What is parsed prints to a text that parses and prints the
// same, and survives cloning, prettifying and translation to JSON. The text also goes through the
// other grammars of the folder: selectors, metrics, series descriptions, test scripts. Folding
// numbers while they are read changes neither what is refused nor how.
//   promql_fuzz corpus/    with the queries of conformance/promql as corpus, one a file
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "query/parser.h"
#include "query/printer.h"
#include "query/promql_json.h"
#include "query/testing/series_description.h"
#include "query/testing/test_script.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tocsin::query;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const LanguageOptions options = LanguageOptions::All();
  (void)ParseMetricSelector(text);
  (void)ParseMetric(text);
  // Repetitions are bounded, but a million values a line make slow runs.
  if (text.find("x") == std::string::npos) {
    (void)ParseSeriesDescription(text);
    (void)ParseTestScript(text);
  }
  const auto expr = ParseExpr(text, options);
  const auto folded = ParseForEvaluation(text, options);
  if (!expr) {
    const std::string_view error = expr.error().message();
    if (error.find("nested too deeply") == std::string_view::npos) {
      CHECK(!folded.has_value() && folded.error().message() == error);
    }
    return 0;
  }
  CHECK(folded.has_value() && TypeOf(**folded) == TypeOf(**expr));
  const std::string printed = Print(**expr);
  CHECK(Print(*Clone(**expr)) == printed);
  const auto again = ParseExpr(printed, options);
  CHECK(again.has_value());
  CHECK(Print(**again) == printed);
  CHECK(ParseExpr(Prettify(**expr), options).has_value());
  std::string json;
  CHECK(AppendExprJson(**expr, &json).ok());
  CHECK(!json.empty());
  return 0;
}
