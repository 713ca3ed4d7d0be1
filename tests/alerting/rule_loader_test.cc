// Finding and reading the files of rule_files.
#include "alerting/rules/rule_loader.h"

#include <boost/test/unit_test.hpp>

#include "base/mem_env.h"

namespace tocsin::alerting {
namespace rule_loader_test {
namespace {

void Write(MemEnv* env, const std::string& path, const std::string& text) {
  BOOST_REQUIRE(env->CreateDirs(std::string(DirName(path))).ok());
  BOOST_REQUIRE(env->WriteFileAtomically(path, text).ok());
}

std::string GroupText(const std::string& name) { return "groups: [{name: " + name + "}]\n"; }

}  // namespace

BOOST_AUTO_TEST_SUITE(rule_loader_test_suite)

BOOST_AUTO_TEST_CASE(PatternsFindFiles) {
  MemEnv env;
  for (const char* path :
       {"rules/a.yml", "rules/b.yml", "rules/c.yaml", "rules/sub/d.yml", "/etc/r/e.yml"}) {
    Write(&env, path, "");
  }
  const struct {
    std::string pattern;
    std::vector<std::string> want;
  } cases[] = {
      {"rules/*.yml", {"rules/a.yml", "rules/b.yml"}},
      {"./rules/*.yml", {"rules/a.yml", "rules/b.yml"}},
      {"rules/[ac].*", {"rules/a.yml", "rules/c.yaml"}},
      {"rules/*/d.yml", {"rules/sub/d.yml"}},
      {"ru?es/*/*", {"rules/sub/d.yml"}},
      {"/etc/r/*", {"/etc/r/e.yml"}},
      {"rules/none*", {}},
      {"nowhere/*.yml", {}},
      {"rules/missing.yml", {"rules/missing.yml"}},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.pattern) {
      BOOST_TEST(ExpandPattern(env, c.pattern).value() == c.want, boost::test_tools::per_element());
    }
  }
  BOOST_TEST(!ExpandPattern(env, "rules/[a").has_value());
}

BOOST_AUTO_TEST_CASE(AllComplaintsOfAllFilesAreTold) {
  MemEnv env;
  Write(&env, "r/a.yml", GroupText("a"));
  Write(&env, "r/b.yml", "groups: [{name: ''}]\n");
  Write(&env, "r/c.yml", "nope: 1\n");
  const auto groups = LoadRuleFiles(env, {"r/*.yml", "r/missing.yml"}, {});
  BOOST_REQUIRE(!groups.has_value());
  BOOST_TEST(
      groups.error().message().starts_with("r/b.yml:1:10: Groupname must not be empty\n"
                                           "r/c.yml:1:1: field nope not found in type "
                                           "rulefmt.RuleGroups\nr/missing.yml: "));
}

BOOST_AUTO_TEST_CASE(AFileThatTwoPatternsNameIsReadOnce) {
  MemEnv env;
  Write(&env, "r/a.yml", GroupText("a"));
  const auto groups = LoadRuleFiles(env, {"r/*.yml", "./r/a.yml"}, {});
  BOOST_REQUIRE(groups.has_value());
  BOOST_TEST(groups->size() == 1u);
  BOOST_TEST((*groups)[0].file == "r/a.yml");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace rule_loader_test
}  // namespace tocsin::alerting
