// The engine against whole scripts over the fake store: the conformance scripts when they are there
// (how they must pass against the real database is tests/tsdb's matter), as a quick check of
// evaluation alone.
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

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

BOOST_AUTO_TEST_CASE(ConformanceScriptsPass) {
  const std::filesystem::path dir =
      std::filesystem::path(TOCSIN_SHARED_DIR) / "conformance" / "promql";
  if (!std::filesystem::exists(dir)) {
    BOOST_TEST_MESSAGE("skipped: no conformance scripts at " << dir);
    return;
  }
  const char* only = std::getenv("TOCSIN_SCRIPT");
  Engine engine(ScriptEngineOptions());
  int passed = 0;
  int failed = 0;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    if (entry.path().extension() == ".test") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    if (only != nullptr && path.stem() != only) continue;
    FakeScriptStorage storage;
    const ScriptResult result = RunTestScript(ReadScript(path), ScriptOptions{}, &engine, &storage);
    passed += result.passed;
    failed += static_cast<int>(result.failures.size());
    BOOST_TEST(result.failures.empty(), DescribeScriptResult(path.filename().string(), result));
  }
  BOOST_TEST_MESSAGE(passed << " evals passed, " << failed << " failed");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::query
