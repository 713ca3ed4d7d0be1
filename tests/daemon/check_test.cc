#include "daemon/tools/check.h"

#include <fstream>

#include <boost/test/unit_test.hpp>

#include "base/env.h"
#include "base/mem_env.h"

namespace tocsin::daemon {
namespace check_test {
namespace {

struct Run {
  int exit_code;
  std::string text;  // both streams, in order
};

Run Check(Env& env, std::vector<std::string> args) {
  std::string text;
  const auto append = [&](std::string_view part) { text += part; };
  const int exit_code = RunCheck(env, args, Console{.out = append, .err = append});
  return {exit_code, text};
}

void Write(Env& env, const std::string& path, std::string_view bytes) {
  BOOST_REQUIRE(env.CreateDirs(std::string(DirName(path))).ok());
  BOOST_REQUIRE(env.WriteFileAtomically(path, bytes).ok());
}

// Calls `check` for every line of an expected.tsv with the file's path and its verdict.
template <typename F>
int ForEachExpected(const std::string& folder, F check) {
  const std::string directory = std::string(TOCSIN_SHARED_DIR) + "/conformance/" + folder + "/";
  std::ifstream expected(directory + "expected.tsv");
  std::string line;
  std::getline(expected, line);
  int count = 0;
  while (std::getline(expected, line)) {
    const size_t tab = line.find('\t');
    const size_t end = line.find('\t', tab + 1);
    check(directory + line.substr(0, tab), line.substr(tab + 1, end - tab - 1));
    ++count;
  }
  return count;
}

constexpr char kRules[] =
    "groups: [{name: g, rules: [{record: a, expr: up}, {alert: B, expr: up == 0}]}]";

BOOST_AUTO_TEST_SUITE(Check_)

BOOST_AUTO_TEST_CASE(ConfigurationsOfTheReferenceGetTheirVerdict) {
  const int count =
      ForEachExpected("config/prometheus", [](const std::string& path, const std::string& verdict) {
        BOOST_TEST_CONTEXT(path) {
          Env& env = Env::Default();
          if (verdict == "good") {
            const Run run = Check(env, {"config", "--syntax-only", path});
            BOOST_TEST(run.exit_code == 0, run.text);
          } else if (verdict == "bad") {
            const Run run = Check(env, {"config", path});
            BOOST_TEST(run.exit_code == 1, run.text);
          } else {
            BOOST_TEST(Check(env, {"config", "--agent", path}).exit_code == 1);
          }
        }
      });
  if (count == 0) BOOST_TEST_MESSAGE("skipped: no conformance material");
}

BOOST_AUTO_TEST_CASE(RuleFilesOfTheReferenceGetTheirVerdict) {
  int count = 0;
  for (const char* folder : {"rules/rulefmt", "rules/fixtures"}) {
    count += ForEachExpected(folder, [](const std::string& path, const std::string& verdict) {
      const Run run = Check(Env::Default(), {"rules", path});
      BOOST_TEST_CONTEXT(path) {
        BOOST_TEST(run.exit_code == (verdict == "good" ? 0 : 1), run.text);
      }
    });
  }
  if (count == 0) BOOST_TEST_MESSAGE("skipped: no conformance material");
}

BOOST_AUTO_TEST_CASE(GoodConfigurationsReadAsPromtoolWritesThem) {
  MemEnv env;
  Write(env, "/c/p.yml",
        "rule_files: [r/*.yml]\nscrape_configs: [{job_name: a, dns_sd_configs: [{names: [x]}]}]");
  Write(env, "/c/r/one.yml", kRules);
  const Run run = Check(env, {"config", "/c/p.yml"});
  BOOST_TEST(run.exit_code == 0);
  BOOST_TEST(run.text ==
             "Checking /c/p.yml\n"
             "  NOT BUILT YET: /c/p.yml:2:48: dns_sd_configs\n"
             "  SUCCESS: 1 rule files found\n"
             " SUCCESS: /c/p.yml is valid prometheus config file syntax\n"
             "\n"
             "Checking /c/r/one.yml\n"
             "  SUCCESS: 2 rules found\n"
             "\n");
}

BOOST_AUTO_TEST_CASE(FilesThatAreMissingOrBrokenAreFound) {
  const struct {
    const char* config;
    const char* want;
  } kCases[] = {
      {"rule_files: [gone.yml]", "FAILED: /c/p.yml: \"/c/gone.yml\" does not point to an existing"},
      {"rule_files: [bad.yml]", "FAILED:\n"},
      {"scrape_configs: [{job_name: a, tls_config: {cert_file: c, key_file: k}}]",
       "/c/p.yml:1:56: error checking client cert file \"/c/c\""},
      {"scrape_configs: [{job_name: a, file_sd_configs: [{files: [sd.yml]}]}]",
       "checking SD file \"/c/sd.yml\""},
      {"scrape_configs: [{job_name: a, bearer_token_file: t}]",
       "error checking authorization credentials or bearer token file"},
      {"scrape_configs: [{job_name: a, static_configs: [{targets: ['h:1', '']}]}]",
       "scrape job \"a\": instance 1 in group 0: no address"},
      {"nope: 1", "/c/p.yml:1:1: field nope not found"},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.config) {
      MemEnv env;
      Write(env, "/c/p.yml", c.config);
      Write(env, "/c/bad.yml", "groups: [{name: g, rules: [{record: a, expr: 'sum('}]}]");
      Write(env, "/c/sd.yml", "- targets: {");
      const Run run = Check(env, {"config", "/c/p.yml"});
      BOOST_TEST(run.exit_code == 1, run.text);
      BOOST_TEST(run.text.find(c.want) != std::string::npos, run.text);
    }
  }
  MemEnv env;
  Write(env, "/c/p.yml", "rule_files: [gone.yml]");
  BOOST_TEST(Check(env, {"config", "--syntax-only", "/c/p.yml"}).exit_code == 0);
  BOOST_TEST(Check(env, {"config", "/c/none.yml"}).exit_code == 1);
}

BOOST_AUTO_TEST_CASE(LintAloneFailsOnlyWhenFatal) {
  MemEnv env;
  Write(env, "/c/dup.yml",
        "groups: [{name: g, rules: [{record: a, expr: up}, {record: a, expr: up}]}]");
  Write(env, "/c/p.yml", "global: {scrape_interval: 10m}\nscrape_configs: [{job_name: slow}]\n");
  const Run run = Check(env, {"rules", "/c/dup.yml"});
  BOOST_TEST(run.exit_code == 0);
  BOOST_TEST(run.text.find("duplicate rule(s) found") != std::string::npos, run.text);
  BOOST_TEST(Check(env, {"rules", "--lint-fatal", "/c/dup.yml"}).exit_code == 3);
  BOOST_TEST(Check(env, {"rules", "--lint=none", "--lint-fatal", "/c/dup.yml"}).exit_code == 0);
  BOOST_TEST(Check(env, {"config", "--lint=all", "--lint-fatal", "/c/p.yml"}).exit_code == 3);
  BOOST_TEST(Check(env, {"config", "--lint-fatal", "/c/p.yml"}).exit_code == 0);
}

BOOST_AUTO_TEST_CASE(WrongUseIsToldPlainly) {
  MemEnv env;
  const struct {
    std::vector<std::string> args;
    const char* want;
  } kCases[] = {
      {{}, "say what: config or rules"},
      {{"nonsense"}, "say what: config or rules"},
      {{"config"}, "name the files to check"},
      {{"config", "--nope", "x"}, "--nope"},
      {{"rules", "--lint=nope", "x"}, "--lint: unknown lint \"nope\""},
  };
  for (const auto& c : kCases) {
    const Run run = Check(env, c.args);
    BOOST_TEST(run.exit_code == 1);
    BOOST_TEST(run.text.find(c.want) != std::string::npos, run.text);
  }
  BOOST_TEST(Check(env, {"--help"}).exit_code == 0);
  BOOST_TEST(Check(env, {"rules", "--help"}).exit_code == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace check_test
}  // namespace tocsin::daemon
