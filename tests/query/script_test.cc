// The test script language: series descriptions, commands, and the comparison of results. Reads the
// conformance scripts when they are there.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "query/histogram_math.h"
#include "query/parser.h"
#include "query/printer.h"
#include "query/testing/result_check.h"
#include "query/testing/series_description.h"
#include "query/testing/test_script.h"

namespace tocsin::query {
namespace {

// The values of a line, as text.
std::string Expanded(const std::string& line) {
  const auto description = ParseSeriesDescription(line);
  if (!description) return "error: " + description.error().message();
  std::string text = description->metric.ToString();
  for (const ScriptValue& value : description->values) {
    text += " ";
    if (value.omitted) {
      text += "_";
    } else if (value.histogram != nullptr) {
      text += HistogramScriptText(*value.histogram);
    } else if (model::IsStale(value.value)) {
      text += "stale";
    } else {
      std::ostringstream number;
      number << value.value;
      text += number.str();
    }
  }
  return text;
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::filesystem::path> ConformanceScripts() {
  const std::filesystem::path dir =
      std::filesystem::path(TOCSIN_SHARED_DIR) / "conformance" / "promql";
  std::vector<std::filesystem::path> paths;
  if (!std::filesystem::exists(dir)) {
    BOOST_TEST_MESSAGE("skipped: no conformance scripts at " << dir);
    return paths;
  }
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    if (entry.path().extension() == ".test") paths.push_back(entry.path());
  }
  return paths;
}

const EvalCommand& LastEval(const TestScript& script) {
  return std::get<EvalCommand>(script.commands.back());
}

BOOST_AUTO_TEST_SUITE(ScriptTest)

BOOST_AUTO_TEST_CASE(SeriesDescriptionsExpand) {
  const struct {
    const char* line;
    const char* expanded;
  } kCases[] = {
      {"up 1 2 3", "up 1 2 3"},
      {"up{a=\"b c\"}\t1  2 ", "up{a=\"b c\"} 1 2"},
      {"{} 5", "{} 5"},
      {"{\"my.metric\", a='}'} 5", "{\"my.metric\", a=\"}\"} 5"},
      {"up _ _x3 1", "up _ _ _ _ 1"},
      {"up _x0 1", "up 1"},
      {"up 7x2", "up 7 7 7"},
      {"up 1+2x3", "up 1 3 5 7"},
      {"up 1-2x3", "up 1 -1 -3 -5"},
      {"up -5+1.5x2", "up -5 -3.5 -2"},
      {"up 0x3", "up 0 0 0 0"},
      {"up 0x1f", "up 31"},
      {"up 1e3 1e+3 1E-1x1", "up 1000 1000 0.1 0.1"},
      {"up Inf -Inf NaNx1 +inf", "up inf -inf nan nan inf"},
      {"up Inf-Infx1", "up inf -nan"},
      {"up stale 1", "up stale 1"},
      {"up 1_000", "up 1000"},
      {"up {{}}", "up {{}}"},
      {"up {{schema:1 sum:-0.3 count:3.1 z_bucket:7.1 z_bucket_w:0.05 buckets:[5.1 10 7] "
       "offset:-3 n_buckets:[4.1 5] n_offset:-5}}",
       "up {{schema:1 count:3.1 sum:-0.3 z_bucket:7.1 z_bucket_w:0.05 offset:-3 "
       "buckets:[5.1 10 7] n_offset:-5 n_buckets:[4.1 5]}}"},
      {"up {{ schema:-53 custom_values:[5 10] buckets:[1 2] counter_reset_hint:gauge }}x1",
       "up {{schema:-53 custom_values:[5 10] counter_reset_hint:gauge buckets:[1 2]}} "
       "{{schema:-53 custom_values:[5 10] counter_reset_hint:gauge buckets:[1 2]}}"},
      {"up {{count:1 buckets:[1]}}+{{count:2 offset:1 buckets:[2]}}x2",
       "up {{count:1 buckets:[1]}} {{count:3 buckets:[1 2]}} {{count:5 buckets:[1 4]}}"},
      {"up {{count:5 buckets:[5]}}-{{count:2 buckets:[2]}}x1 1",
       "up {{count:5 buckets:[5]}} {{count:3 buckets:[3]}} 1"},
      {"up", "up"},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.line) { BOOST_TEST(Expanded(c.line) == c.expanded); }
  }
}

BOOST_AUTO_TEST_CASE(BadSeriesDescriptionsAreRefused) {
  for (const char* line : {"",
                           "1 2",
                           "up{a=b} 1",
                           "up {a=\"b\"} 1",
                           "up 1+2",
                           "up x5",
                           "up 1x",
                           "up 1x-1",
                           "up 1,2",
                           "up 1y2",
                           "up --1",
                           "up 1x99999999999",
                           "up 1x2000000",
                           "up stales",
                           "up {{",
                           "up {{sum}}",
                           "up {{sum:}}",
                           "up {{sum:1 sum:2}}",
                           "up {{foo:1}}",
                           "up {{buckets:[1}}",
                           "up {{buckets:1}}",
                           "up {{schema:x}}",
                           "up {{counter_reset_hint:maybe}}",
                           "up {{}}+{{}}",
                           "up {{schema:1}}+{{schema:0}}x1",
                           "up {{}}1",
                           "up {{}}+{{schema:-53}}x1"}) {
    BOOST_TEST_CONTEXT(line) { BOOST_TEST(Expanded(line).starts_with("error: ")); }
  }
}

BOOST_AUTO_TEST_CASE(StartTimestampLinesExpand) {
  BOOST_TEST(IsStartTimestampLine("up{a=\"x y\"}@st -1m"));
  BOOST_TEST(!IsStartTimestampLine("up@st"));
  BOOST_TEST(!IsStartTimestampLine("up{a=\"@st\"} 1"));
  const auto line = ParseStartTimestampLine("up{a=\"b\"}@st _ -1mx1 0s+10sx2 _x2 1s-500msx1");
  BOOST_REQUIRE(line.has_value());
  using Offset = std::optional<int64_t>;
  const std::vector<Offset> want = {{},       {-60'000}, {-60'000}, {0},    {10'000},
                                    {20'000}, {},        {},        {1000}, {500}};
  BOOST_CHECK(line->offsets_ms == want);
  BOOST_TEST(line->metric.ToString() == "up{a=\"b\"}");
  for (const char* bad : {"up@st x", "up@st 1", "up@st 1sx", "up@st _y"}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_TEST(!ParseStartTimestampLine(bad).has_value()); }
  }
}

BOOST_AUTO_TEST_CASE(CommandsAreRead) {
  const auto script = ParseTestScript(R"(
# a comment
load 1m
  up{a="1"}@st -1m _
  up{a="1"} 1 2
  up{a="1"} 3 _ 5
  down 1x2

clear
eval instant at 1h30m sum(up) # not a comment
  expect no_warn
  expect info msg:  some text
  expect info regex: so.e
  expect ordered
  {} 5
  up {{}}

eval range from 0 to 10m step 5m up
  up 1 _ 3
)");
  BOOST_REQUIRE_MESSAGE(script.has_value(), (script ? "" : script.error().message()));
  BOOST_REQUIRE(script->commands.size() == 4U);
  const auto& load = std::get<LoadCommand>(script->commands[0]);
  BOOST_REQUIRE(load.series.size() == 2U);
  BOOST_REQUIRE(load.series[0].samples.size() == 2U);  // the later line replaced the earlier
  BOOST_TEST(load.series[0].samples[1].timestamp_ms == 120'000);
  BOOST_TEST(load.series[0].samples[1].value.value == 5);
  const auto& instant = std::get<EvalCommand>(script->commands[2]);
  BOOST_TEST(instant.line == 10);
  BOOST_TEST(instant.time_ms == 5'400'000);
  BOOST_TEST(instant.query == "sum(up) # not a comment");
  BOOST_TEST(instant.warnings.none);
  BOOST_TEST(instant.infos.expected.size() == 2U);
  BOOST_TEST(instant.infos.expected[0].message.value() == "some text");
  BOOST_TEST(instant.ordered);
  BOOST_REQUIRE(instant.expected.size() == 2U);
  BOOST_TEST(instant.expected[1].position == 2);
  BOOST_TEST(LastEval(*script).step_ms == 300'000);
}

BOOST_AUTO_TEST_CASE(OldSpellingsAndSpecialExpectationsAreRead) {
  const auto eval = [](const std::string& text) {
    const auto script = ParseTestScript(text);
    BOOST_REQUIRE_MESSAGE(script.has_value(), text);
    return LastEval(*script);
  };
  EvalCommand command = eval("eval_fail instant at 0 up\n expected_fail_message a b\n");
  BOOST_TEST(command.failure->message.value() == "a b");
  command = eval("eval_fail range from 0 to 1m step 1m up\n expected_fail_regexp a+b");
  BOOST_TEST(command.failure->Matches("xaab"));
  BOOST_TEST(!command.failure->Matches("b"));
  command = eval("eval_warn instant at 0 up\n");
  BOOST_TEST(command.warnings.expected.size() == 1U);
  command = eval("eval_ordered instant at 0 up");
  BOOST_TEST(command.ordered);
  command = eval("eval instant at 0 up\n expect fail");
  BOOST_TEST(command.failure->Matches("anything"));
  command = eval("eval instant at 0 1\n 0x10");
  BOOST_TEST(command.expected_scalar.value() == 16);
  command = eval("eval instant at 0 1\n -Inf");
  BOOST_TEST(command.expected_scalar.value() == -std::numeric_limits<double>::infinity());
  command = eval("eval instant at 0 \"x\"\n expect string `a\"`");
  BOOST_TEST(command.expected_string.value() == "a\"");
  command =
      eval("eval instant at 5m up[1m]\n expect range vector from 10s to 1m step 10s\n up 1 2");
  BOOST_TEST(command.time_ms == 60'000);
  BOOST_TEST(command.start_ms == 10'000);
}

BOOST_AUTO_TEST_CASE(BrokenScriptsNameTheLine) {
  const struct {
    const char* text;
    const char* error;
  } kCases[] = {
      {"\nfoo", "line 2: invalid command \"foo\""},
      {"load x", "line 1: not a valid duration string: \"x\""},
      {"load 1m\n up 1+2", "line 2: "},
      {"load 1m\n up@st -1m\n down 1", "line 3: "},
      {"load 1m\n up@st -1m\n up 1 2", "line 3: "},
      {"load 1m\n up@st -1m", "line 2: "},
      {"eval instant at 1m", "line 1: "},
      {"eval instant at x up", "line 1: "},
      {"eval range from 0 to 1m up", "line 1: "},
      {"eval range from 1m to 0 step 1m up", "line 1: "},
      {"eval instant at 0 sum(", "line 1: 1:5: parse error: unclosed left parenthesis"},
      {"eval instant at 0 up\n up 1 2", "line 2: "},
      {"eval instant at 0 up\n up", "line 2: "},
      {"eval instant at 0 up\n expect foo", "line 2: "},
      {"eval instant at 0 up\n expect fail\n expect fail", "line 3: "},
      {"eval instant at 0 up\n expect warn\n expect no_warn", "line 3: "},
      {"eval instant at 0 up\n expect info regex: (", "line 2: "},
      {"eval instant at 0 up\n expect string abc", "line 2: "},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.text) {
      const auto script = ParseTestScript(c.text);
      BOOST_REQUIRE(!script.has_value());
      BOOST_TEST(script.error().message().starts_with(c.error), script.error().message());
    }
  }
}

BOOST_AUTO_TEST_CASE(ClassicHistogramsBecomeNativeOnes) {
  const auto script = ParseTestScript(R"(load_with_nhcb 1m
  h_bucket{le="1", a="b"} 1 2
  h_bucket{le="5", a="b"} 3 6
  h_bucket{le="+Inf", a="b"} 4 8
  h_bucket{le="x", a="b"} 9 9
  h_sum{a="b"} 10 20
  h_count{a="b"} 4 8
  other 1
)");
  BOOST_REQUIRE(script.has_value());
  const auto& load = std::get<LoadCommand>(script->commands[0]);
  BOOST_REQUIRE(load.series.size() == 8U);
  BOOST_TEST(load.series[7].metric.ToString() == "h{a=\"b\"}");
  BOOST_TEST(HistogramScriptText(*load.series[7].samples[1].value.histogram) ==
             "{{schema:-53 count:8 sum:20 custom_values:[1 5] buckets:[2 4 2]}}");
  BOOST_TEST(!ParseTestScript("load_with_nhcb 1m\n h_bucket{le=\"1\"} 5\n h_bucket{le=\"2\"} 3")
                  .has_value());
  BOOST_TEST(
      !ParseTestScript("load_with_nhcb 1m\n h_bucket{le=\"+Inf\"} 5\n h_count 3").has_value());
}

BOOST_AUTO_TEST_CASE(AlmostEqualIsRelative) {
  const double stale = model::StaleMarker();
  const double nan = std::nan("");
  const double inf = std::numeric_limits<double>::infinity();
  const auto equal = [](double a, double b) { return AlmostEqual(a, b, kScriptTolerance); };
  BOOST_TEST(equal(1, 1 + 1e-7));
  BOOST_TEST(!equal(1, 1 + 1e-5));
  BOOST_TEST(equal(1e300, 1e300 * (1 + 1e-7)));
  BOOST_TEST(equal(nan, nan));
  BOOST_TEST(!equal(nan, stale));
  BOOST_TEST(equal(stale, stale));
  BOOST_TEST(equal(inf, inf));
  BOOST_TEST(!equal(inf, -inf));
  BOOST_TEST(!equal(0, 1e-300));
  BOOST_TEST(equal(0, 0));
}

BOOST_AUTO_TEST_CASE(ResultsAreCompared) {
  const auto script =
      ParseTestScript("eval instant at 0 up\n up{a=\"1\"} 1\n up{a=\"2\"} {{count:2}}");
  const EvalCommand& eval = LastEval(*script);
  const auto one = model::Labels::FromPairs({{"__name__", "up"}, {"a", "1"}});
  const auto two = model::Labels::FromPairs({{"__name__", "up"}, {"a", "2"}});
  auto histogram = std::make_shared<model::Histogram>();
  histogram->count = 2;
  const VectorSample first{one, 0, 1, nullptr};
  const VectorSample second{two, 0, 0, histogram};
  BOOST_TEST(CheckValue(eval, Vector{first, second}).ok());
  BOOST_TEST(CheckValue(eval, Vector{second, first}).ok());
  BOOST_TEST(!CheckValue(eval, Vector{first}).ok());
  BOOST_TEST(!CheckValue(eval, Vector{first, first, second}).ok());
  BOOST_TEST(!CheckValue(eval, Vector{first, {two, 0, 2, nullptr}}).ok());
  BOOST_TEST(!CheckValue(eval, Vector{{one, 0, 2, nullptr}, second}).ok());
  BOOST_TEST(!CheckValue(eval, Scalar{0, 1}).ok());
  const auto ranged = ParseTestScript("eval range from 0 to 2m step 1m up\n up{a=\"1\"} 1 _ 3");
  const Series good{one, {{0, 1}, {120'000, 3}}, {}};
  BOOST_TEST(CheckValue(LastEval(*ranged), Matrix{good}).ok());
  const Series shifted{one, {{0, 1}, {60'000, 3}}, {}};
  BOOST_TEST(!CheckValue(LastEval(*ranged), Matrix{shifted}).ok());
  const Series longer{one, {{0, 1}, {60'000, 2}, {120'000, 3}}, {}};
  BOOST_TEST(!CheckValue(LastEval(*ranged), Matrix{longer}).ok());
  BOOST_TEST(!CheckSorted(Matrix{{two, {}, {}}, {one, {}, {}}}).ok());
}

BOOST_AUTO_TEST_CASE(ConformanceScriptsParseAndTheirQueriesRoundTrip) {
  int evals = 0;
  for (const auto& path : ConformanceScripts()) {
    const auto script = ParseTestScript(ReadFile(path));
    BOOST_TEST_CONTEXT(path) {
      BOOST_REQUIRE_MESSAGE(script.has_value(), (script ? "" : script.error().message()));
      for (const ScriptCommand& command : script->commands) {
        const auto* eval = std::get_if<EvalCommand>(&command);
        if (eval == nullptr) continue;
        ++evals;
        const auto expr = ParseExpr(eval->query, LanguageOptions::All());
        BOOST_REQUIRE(expr.has_value());
        const std::string printed = Print(**expr);
        const auto again = ParseExpr(printed, LanguageOptions::All());
        BOOST_TEST_CONTEXT(eval->query) {
          BOOST_REQUIRE(again.has_value());
          BOOST_TEST(Print(**again) == printed);
          BOOST_TEST(ParseExpr(Prettify(**expr), LanguageOptions::All()).has_value());
        }
      }
    }
  }
  if (evals > 0) BOOST_TEST(evals == 1596);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::query
