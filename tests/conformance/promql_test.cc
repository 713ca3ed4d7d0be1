// The scripts of conformance/promql over the real storage, each once with everything in the head
// and once half sealed. Without the folder the cases are skipped, and say so.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/log.h"
#include "daemon/tools/script_database.h"
#include "query/testing/script_runner.h"

namespace tocsin {
namespace {

std::vector<std::filesystem::path> Scripts() {
  const auto dir = std::filesystem::path(TOCSIN_SHARED_DIR) / "conformance" / "promql";
  std::vector<std::filesystem::path> scripts;
  if (!std::filesystem::exists(dir)) {
    BOOST_TEST_MESSAGE("skipped: no conformance scripts at " << dir);
    return scripts;
  }
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    if (entry.path().extension() == ".test") scripts.push_back(entry.path());
  }
  std::sort(scripts.begin(), scripts.end());
  return scripts;
}

void RunAll(bool seal_halfway) {
  ConfigureLog(LogLevel::kWarn, LogFormat::kLogfmt);
  query::Engine engine(query::ScriptEngineOptions());
  query::ScriptOptions options;
  options.seal_halfway = seal_halfway;
  for (const auto& path : Scripts()) {
    std::ifstream file(path);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    const auto storage = daemon::NewScriptDatabase();
    BOOST_REQUIRE(storage.has_value());
    const auto result = query::RunTestScript(text, options, &engine, storage->get());
    BOOST_TEST_MESSAGE(path.filename() << ": " << result.passed << " passed");
    BOOST_CHECK_MESSAGE(result.failures.empty(),
                        query::DescribeScriptResult(path.filename().string(), result));
    BOOST_TEST(result.passed > 0);
  }
}

BOOST_AUTO_TEST_SUITE(PromqlConformanceTest)

BOOST_AUTO_TEST_CASE(ScriptsPassWithEverythingInTheHead) { RunAll(false); }

BOOST_AUTO_TEST_CASE(ScriptsPassHalfSealed) { RunAll(true); }

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin
