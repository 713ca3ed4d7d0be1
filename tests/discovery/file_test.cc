#include "discovery/file.h"

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <sstream>

#include "base/log.h"
#include "base/mem_env.h"

namespace tocsin::discovery {
namespace {

BOOST_AUTO_TEST_SUITE(File_)

std::string Show(const std::vector<TargetGroup>& groups) {
  std::string out;
  for (const TargetGroup& group : groups) {
    out += group.source + group.labels.ToString();
    for (const model::Labels& target : group.targets) {
      out += " " + std::string(target.Get("__address__"));
    }
    out += "\n";
  }
  return out;
}

std::string Parse(const std::string& path, std::string_view text) {
  const auto groups = ParseTargetGroups(path, text);
  return groups ? Show(*groups) : "error: " + groups.error().message();
}

BOOST_AUTO_TEST_CASE(BothSyntaxesGiveTheSameGroups) {
  const std::string want =
      "f:0{__meta_filepath=\"f\", a=\"b\", n=\"1\"} h:1 h:2\nf:1{__meta_filepath=\"f\"} i\n";
  const auto named = [&](const std::string& path) {
    std::string text = want;
    for (size_t at; (at = text.find("f:")) != std::string::npos;) text.replace(at, 1, path);
    for (size_t at = 0; (at = text.find("\"f\"", at)) != std::string::npos; ++at) {
      text.replace(at + 1, 1, path);
    }
    return text;
  };
  BOOST_TEST(Parse("x.yml", "- targets: ['h:1', h:2]\n  labels: {a: b, n: 1}\n- targets: [i]\n") ==
             named("x.yml"));
  BOOST_TEST(Parse("x.json", R"([{"targets":["h:1","h:2"],"labels":{"a":"b","n":"1"}},
                               {"targets":["i"]}])") == named("x.json"));
  BOOST_TEST(Parse("x.yml", "") == "");
  BOOST_TEST(Parse("x.json", "[]") == "");
}

BOOST_AUTO_TEST_CASE(WrongFilesAreRefusedWithThePlace) {
  struct Case {
    const char* path;
    const char* text;
    const char* want;
  };
  const Case cases[] = {
      {"x.json", "[{\"targets\":[\"a\"]},null]",
       "error: x.json: nil target group item found (index 1)"},
      {"x.yml", "- targets: [a]\n- null\n",
       "error: x.yml:2:3: nil target group item found (index 1)"},
      {"x.json", "{}", "error: x.json: a list of target groups is wanted"},
      {"x.yml", "a: b", "error: x.yml:1:1: a list of target groups is wanted"},
      {"x.json", "[{\"target\":[]}]", "error: x.json: group 0: unknown field \"target\""},
      {"x.json", "[{\"targets\":[1]}]", "error: x.json: group 0: targets are texts"},
      {"x.json", "[{\"targets\":\"a\"}]", "error: x.json: group 0: targets is a list of texts"},
      {"x.json", "[{\"labels\":{\"\":\"v\"}}]",
       "error: x.json: group 0: \"\" is not a valid label name"},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.text) { BOOST_TEST(Parse(c.path, c.text) == c.want); }
  }
  BOOST_TEST(Parse("x.yml", "- target: [a]\n").starts_with("error: x.yml:1:3: field target not"));
  BOOST_TEST(Parse("x.json", "[").starts_with("error: x.json: JSON"));
}

BOOST_AUTO_TEST_CASE(PatternsHaveStarsOnlyInTheLastElement) {
  for (const char* good : {"a.json", "dir/*.yml", "dir/x*y.YAML", "/abs/*.json"}) {
    BOOST_TEST(ValidateFilePattern(good).ok());
  }
  for (const char* bad : {"a.txt", "*/a.json", "a", "dir/*/x.yml"}) {
    BOOST_TEST(!ValidateFilePattern(bad).ok());
  }
  BOOST_TEST(ValidateFilePattern("a.b").message() ==
             "path name \"a.b\" is not valid for file discovery");
}

struct Quiet {
  Quiet() {
    SetLogSink([this](std::string_view) { ++lines; });
  }
  ~Quiet() { SetLogSink({}); }
  int lines = 0;
};

BOOST_AUTO_TEST_CASE(FilesAreWatchedAndBadOnesKeepTheirLastGoodTargets) {
  Quiet log;
  MemEnv env;
  BOOST_TEST(env.CreateDirs("/sd").ok());
  const auto write = [&](const char* path, const char* text) {
    env.AdvanceMs(10);
    BOOST_TEST(env.WriteFileAtomically(path, text).ok());
  };
  FileProvider provider(&env, {.files = {"/sd/*.yml", "/sd/one.json"}});
  const auto poll = [&] {
    env.AdvanceMs(1000);
    return provider.Poll(env.NowMs());
  };
  BOOST_TEST(poll());
  BOOST_TEST(provider.groups().empty());
  BOOST_TEST(!poll());

  write("/sd/a.yml", "- targets: [a]\n");
  write("/sd/one.json", "[{\"targets\":[\"j\"]}]");
  write("/sd/other.json", "[{\"targets\":[\"x\"]}]");
  BOOST_TEST(poll());
  BOOST_TEST(provider.groups().size() == 2u);
  BOOST_TEST(!poll());

  write("/sd/a.yml", "- targets: [b]\n");
  BOOST_TEST(poll());
  BOOST_TEST(provider.groups()[0].targets[0].Get("__address__") == "b");

  write("/sd/a.yml", "- targets: [\n");
  BOOST_TEST(!poll());
  BOOST_TEST(provider.groups()[0].targets[0].Get("__address__") == "b");
  BOOST_TEST(provider.last_error().find("/sd/a.yml") != std::string::npos);
  BOOST_TEST(!poll());
  BOOST_TEST(log.lines == 1);

  write("/sd/a.yml", "- targets: [c]\n");
  BOOST_TEST(poll());
  BOOST_TEST(provider.last_error() == "");
  BOOST_TEST(provider.groups()[0].targets[0].Get("__address__") == "c");

  BOOST_TEST(env.Remove("/sd/a.yml").ok());
  BOOST_TEST(poll());
  BOOST_TEST(provider.groups().size() == 1u);
}

BOOST_AUTO_TEST_CASE(TheConformanceFilesGetTheirVerdict) {
  const std::string root = std::string(TOCSIN_SHARED_DIR) + "/conformance/sd/file/";
  struct Case {
    const char* name;
    int groups;  // -1: refused
  };
  for (const Case& c : {Case{"valid.json", 2},
                        {"valid.yml", 2},
                        {"valid2.yml", 3},
                        {"valid3.yml", 2},
                        {"invalid_nil.json", -1},
                        {"invalid_nil.yml", -1}}) {
    std::ifstream in(root + c.name);
    if (!in) {
      BOOST_TEST_MESSAGE("skipped: " << root << c.name << " is absent");
      return;
    }
    std::ostringstream text;
    text << in.rdbuf();
    const auto groups = ParseTargetGroups(c.name, text.str());
    BOOST_TEST_CONTEXT(c.name) {
      BOOST_TEST((groups ? static_cast<int>(groups->size()) : -1) == c.groups);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::discovery
