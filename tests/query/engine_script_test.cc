// The engine against whole scripts over the fake store: the conformance scripts when they are there
// (how they must pass against the real database is tests/tsdb's matter), as a quick check of
// evaluation alone.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "query/engine.h"
#include "query/testing/script_runner.h"
#include "tests/support/fake_queryable.h"

namespace tocsin::query {
namespace {

std::string ReadScript(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

BOOST_AUTO_TEST_SUITE(EngineScriptTest)

// Scripts whose answers depend on when metric names are dropped.
constexpr const char* kDelayedOnly[] = {"name_label_dropping", "type_and_unit"};

// Annotations of the histogram functions tell a metric's name only when it is still there.
std::string WithoutNamesOfHistograms(const std::string& script) {
  std::istringstream in(script);
  std::string out;
  for (std::string line; std::getline(in, line);) {
    const size_t name = line.find(" for metric name ");
    const bool of_histogram_function = line.find("NaN observations") != std::string::npos ||
                                       line.find("classic and native") != std::string::npos;
    if (of_histogram_function && name != std::string::npos) {
      line.erase(name, line.find(" (", name) - name);
    }
    out += line + "\n";
  }
  return out;
}

void RunAll(const EngineOptions& options) {
  const std::filesystem::path dir =
      std::filesystem::path(TOCSIN_SHARED_DIR) / "conformance" / "promql";
  if (!std::filesystem::exists(dir)) {
    BOOST_TEST_MESSAGE("skipped: no conformance scripts at " << dir);
    return;
  }
  Engine engine(options);
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    if (entry.path().extension() == ".test") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    const bool delayed_only = std::find(std::begin(kDelayedOnly), std::end(kDelayedOnly),
                                        path.stem()) != std::end(kDelayedOnly);
    if (delayed_only && !options.language.delayed_name_removal) continue;
    FakeScriptStorage storage;
    std::string script = ReadScript(path);
    if (!options.language.delayed_name_removal) script = WithoutNamesOfHistograms(script);
    const ScriptResult result = RunTestScript(script, ScriptOptions{}, &engine, &storage);
    BOOST_TEST(result.failures.empty(), DescribeScriptResult(path.filename().string(), result));
  }
}

BOOST_AUTO_TEST_CASE(ConformanceScriptsPass) { RunAll(ScriptEngineOptions()); }

BOOST_AUTO_TEST_CASE(ConformanceScriptsPassWithNamesDroppedAtOnce) {
  EngineOptions options = ScriptEngineOptions();
  options.language.delayed_name_removal = false;
  RunAll(options);
}

// Found by random runs beside Prometheus.
BOOST_AUTO_TEST_CASE(DuplicatesHarmOnlyWhereTheOtherSideHasSomething) {
  static constexpr std::string_view kScript = R"(
load 1m
  many{a="1"} _ _ 1 1
  one{a="1", b="1"} 1x3
  one{a="1", b="2"} 1x3

eval instant at 0 many + on(a) one

eval range from 0 to 1m step 1m many + on(a) one

eval instant at 2m many + on(a) one
  expect fail regex: found duplicate series for the match group \{a="1"\} on the right hand-side

eval range from 0 to 3m step 1m many + on(a) one
  expect fail regex: found duplicate series for the match group

eval instant at 1m many + on(a) fill(0) one
  expect fail regex: found duplicate series for the match group
)";
  Engine engine(ScriptEngineOptions());
  FakeScriptStorage storage;
  const ScriptResult result = RunTestScript(kScript, ScriptOptions{}, &engine, &storage);
  BOOST_TEST(result.failures.empty(), DescribeScriptResult("duplicates", result));
  BOOST_TEST(result.passed == 5);
}

// As Go's math.Min and math.Max have it.
BOOST_AUTO_TEST_CASE(InfinityWinsOverNanInClamps) {
  static constexpr std::string_view kScript = R"(
load 1m
  m NaN

eval instant at 0 clamp_min(m, Inf)
  {} Inf

eval instant at 0 clamp_min(m, -Inf)
  {} NaN

eval instant at 0 clamp_max(m, -Inf)
  {} -Inf

eval instant at 0 clamp_max(m, Inf)
  {} NaN

eval instant at 0 clamp(m, 0, 1)
  {} NaN

eval instant at 0 1 / clamp_max(vector(0), -0)
  {} -Inf

eval instant at 0 min_of(NaN, -Inf)
  -Inf

eval instant at 0 max_of(Inf, NaN)
  Inf

eval instant at 0 max_of(1, NaN)
  NaN
)";
  Engine engine(ScriptEngineOptions());
  FakeScriptStorage storage;
  const ScriptResult result = RunTestScript(kScript, ScriptOptions{}, &engine, &storage);
  BOOST_TEST(result.failures.empty(), DescribeScriptResult("clamps", result));
  BOOST_TEST(result.passed == 9);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::query
