// `tocsin test promql`: its lines and exit codes.
#include "daemon/tools/test_promql.h"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <string>

namespace tocsin {
namespace {

// A folder of scripts, removed at the end.
class ScriptFolder {
 public:
  ScriptFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "tocsin_promql.XXXXXX").string();
    BOOST_REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~ScriptFolder() { std::filesystem::remove_all(path_); }
  ScriptFolder(const ScriptFolder&) = delete;
  ScriptFolder& operator=(const ScriptFolder&) = delete;

  std::string Add(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return (path_ / name).string();
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

struct Run {
  int exit_code;
  std::string output;
};

Run RunOn(const std::vector<std::string>& paths) {
  Run run{0, ""};
  run.exit_code = daemon::TestPromql(paths, [&run](std::string_view text) { run.output += text; });
  return run;
}

constexpr const char* kLoad = "load 1m\n  up{job=\"a\"} 1 2 3\n  up{job=\"b\"} 4 5 6\n\n";

BOOST_AUTO_TEST_SUITE(TestPromqlTest)

BOOST_AUTO_TEST_CASE(EveryScriptGetsALineAndTheLastLineCounts) {
  const ScriptFolder folder;
  folder.Add("a.test", std::string(kLoad) + "eval instant at 2m sum(up)\n  {} 9\n");
  folder.Add("b.test",
             std::string(kLoad) + "eval instant at 1m up{job=\"b\"}\n  up{job=\"b\"} 5\n");
  folder.Add("ignored.txt", "nonsense");
  const Run run = RunOn({folder.path()});
  BOOST_TEST(run.exit_code == 0);
  BOOST_TEST(run.output == folder.path() + "/a.test: 1 passed, 0 failed\n" + folder.path() +
                               "/b.test: 1 passed, 0 failed\n2 passed, 0 failed\n");
}

BOOST_AUTO_TEST_CASE(FailuresShowLineQueryAndDifference) {
  const ScriptFolder folder;
  const std::string path = folder.Add("a.test", std::string(kLoad) +
                                                    "eval instant at 2m sum(up)\n  {} 8\n\n"
                                                    "eval instant at 2m count(up)\n  {} 2\n");
  const Run run = RunOn({path});
  BOOST_TEST(run.exit_code == 1);
  BOOST_TEST(run.output == path +
                               ": 1 passed, 1 failed\n"
                               "  line 5: sum(up)\n"
                               "    as written: expected 8 for {}, got 9\n"
                               "1 passed, 1 failed\n");
}

BOOST_AUTO_TEST_CASE(BrokenScriptsAndMissingPathsFail) {
  const ScriptFolder folder;
  const std::string broken = folder.Add("a.test", "eval instant at 2m sum(\n");
  Run run = RunOn({broken});
  BOOST_TEST(run.exit_code == 1);
  BOOST_TEST(run.output.find("line 1: 1:5: parse error: unclosed left parenthesis") !=
             std::string::npos);
  run = RunOn({folder.path() + "/nowhere"});
  BOOST_TEST(run.exit_code == 2);
  const std::string late =
      folder.Add("b.test", std::string(kLoad) + "load 1m\n  up{job=\"a\"} 7\n");
  run = RunOn({late});
  BOOST_TEST(run.exit_code == 1);
  BOOST_TEST(run.output.find("refused") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin
