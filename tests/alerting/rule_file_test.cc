// Rule files: promtool's verdict on the shared corpus, and our own table of what is wrong and
// where.
#include "alerting/rules/rule_file.h"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace tocsin::alerting {
namespace rule_file_test {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += (out.empty() ? "" : "\n") + line;
  return out;
}

void CheckFolder(const std::string& folder, int at_least) {
  const std::string root = std::string(TOCSIN_SHARED_DIR) + "/conformance/rules/" + folder;
  if (!std::filesystem::exists(root)) {
    BOOST_TEST_MESSAGE("SKIP: no " << root);
    return;
  }
  std::istringstream expected(ReadAll(root + "/expected.tsv"));
  std::string line;
  std::getline(expected, line);
  int files = 0;
  while (std::getline(expected, line)) {
    const size_t tab = line.find('\t');
    const std::string name = line.substr(0, tab);
    const bool good = line.substr(tab + 1).starts_with("good");
    const RuleFileReport report = ParseRuleFile(name, ReadAll(root + "/" + name), {});
    BOOST_TEST_CONTEXT(name << ": " << Joined(report.errors)) { BOOST_TEST(report.ok() == good); }
    for (const std::string& error : report.errors) BOOST_TEST(error.starts_with(name + ":"));
    ++files;
  }
  BOOST_TEST(files >= at_least);
}

// A file of one group with one rule, indented right.
std::string OneRule(const std::string& rule) {
  return "groups:\n- name: g\n  rules:\n  - " + rule + "\n";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(rule_file_test_suite)

BOOST_AUTO_TEST_CASE(RulefmtVerdictsArePromtools) { CheckFolder("rulefmt", 13); }
BOOST_AUTO_TEST_CASE(FixtureVerdictsArePromtools) { CheckFolder("fixtures", 13); }

BOOST_AUTO_TEST_CASE(ErrorsNameThePlace) {
  const struct {
    std::string text;
    std::string want;  // "" = good
  } cases[] = {
      {"", ""},
      {"groups:\n", ""},
      {"groups: []\n", ""},
      {"groups:\n- name: g\n", ""},
      {"groups: 5\n", "f:1:9: cannot unmarshal !!int `5` into a list"},
      {"rules: []\n", "f:1:1: field rules not found in type rulefmt.RuleGroups"},
      {"groups:\n- name: ''\n", "f:2:3: Groupname must not be empty"},
      {"groups:\n- name: a\n- name: a\n", "f:3:3: groupname: \"a\" is repeated in the same file"},
      {"groups:\n- name: a\n  interval: x\n", "f:3:13: not a valid duration string: \"x\""},
      {"groups:\n- name: a\n  labels: {__name__: x}\n",
       "f:3:22: group \"a\": invalid label name: __name__"},
      {"groups:\n- name: a\n  query_offset: 30s\n  limit: 3\n  labels: {team: x}\n", ""},
      {OneRule("{record: a, expr: up}"), ""},
      {OneRule("{alert: A, expr: up}"), ""},
      {OneRule("{record: a, expr: 'up +'}"),
       "f:4:23: group \"g\", rule 1, \"a\": could not parse expression: 1:5: parse error: "
       "unexpected "
       "end of input"},
      {OneRule("{alert: A, expr: up, for: 1x}"), "f:4:31: not a valid duration string: \"1x\""},
      {OneRule("{alert: A, expr: up, for: 5m, keep_firing_for: 10m}"), ""},
      {OneRule("{expr: up}"),
       "f:4:5: group \"g\", rule 1, \"\": one of 'record' or 'alert' must be set"},
      {OneRule("{record: a}"),
       "f:4:5: group \"g\", rule 1, \"a\": field 'expr' must be set in rule"},
      {OneRule("{record: 'a{b}', expr: up}"),
       "f:4:14: group \"g\", rule 1, \"a{b}\": braces present in the recording rule name; should "
       "it "
       "be in expr?: a{b}"},
      {OneRule("{record: a, expr: up, annotations: {x: y}}"),
       "f:4:14: group \"g\", rule 1, \"a\": invalid field 'annotations' in recording rule"},
      {OneRule("{alert: A, expr: up, labels: {x: '{{ nosuch }}'}}"),
       "f:4:38: group \"g\", rule 1, \"A\": label \"x\": template: __alert_A:1: function "
       "\"nosuch\" not "
       "defined"},
      {OneRule("{alert: A, expr: up, annotations: {x: '{{ if }}'}}"),
       "f:4:43: group \"g\", rule 1, \"A\": annotation \"x\": template: __alert_A:1: missing value "
       "for "
       "if"},
      {OneRule("{record: a, expr: up, labels: {x: '{{ nosuch }}'}}"), ""},
      {OneRule("{alert: A, expr: up, annotations: {x: '{{ $labels.a }} {{ $value | humanize }}'}}"),
       ""},
      {OneRule("{alert: A, expr: up, labels: [a]}"),
       "f:4:34: cannot unmarshal !!seq into map[string]string"},
      {"groups:\n- name: a\n  name: b\n", "f:3:3: field name already set (line 2)"},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.text) {
      BOOST_TEST(Joined(ParseRuleFile("f", c.text, {}).errors) == c.want);
    }
  }
}

BOOST_AUTO_TEST_CASE(AllFieldsAreRead) {
  const RuleFileReport report = ParseRuleFile("f", R"(groups:
- name: g
  interval: 30s
  query_offset: 1m
  limit: 7
  labels: {team: a}
  rules:
  - alert: A
    expr: up == 0
    for: 5m
    keep_firing_for: 1h
    labels: {severity: crit, b: 2}
    annotations: {summary: x}
  - record: r
    expr: sum(up)
)",
                                              {});
  BOOST_REQUIRE(report.ok());
  BOOST_REQUIRE(report.groups.size() == 1u);
  const RuleGroupDefinition& group = report.groups[0];
  BOOST_TEST(group.name == "g");
  BOOST_TEST(group.file == "f");
  BOOST_TEST(group.interval_ms == 30'000);
  BOOST_TEST(group.query_offset_ms.value() == 60'000);
  BOOST_TEST(group.limit == 7);
  BOOST_TEST(report.rule_count() == 2u);
  const RuleDefinition& alert = group.rules[0];
  BOOST_TEST(alert.is_alert);
  BOOST_TEST(alert.for_ms == 300'000);
  BOOST_TEST(alert.keep_firing_for_ms == 3'600'000);
  BOOST_TEST((alert.labels == NamedTexts{{"b", "2"}, {"severity", "crit"}}));
  BOOST_TEST(alert.line == 8);
  BOOST_TEST(alert.column == 12);
  BOOST_TEST(!group.rules[1].is_alert);
}

BOOST_AUTO_TEST_CASE(UnknownFieldsPassWhenAskedFor) {
  RuleFileOptions options;
  options.ignore_unknown_fields = true;
  BOOST_TEST(ParseRuleFile("f", "groups:\n- name: g\n  x: 1\n", options).ok());
}

BOOST_AUTO_TEST_CASE(LegacyNamesAreHeldToTheOldAlphabet) {
  RuleFileOptions options;
  options.legacy_names = true;
  const std::string text = OneRule("{record: a, expr: up, labels: {ins-tance: x}}");
  BOOST_TEST(ParseRuleFile("f", text, {}).ok());
  BOOST_TEST(!ParseRuleFile("f", text, options).ok());
}

BOOST_AUTO_TEST_CASE(RepeatedRulesAreFound) {
  const RuleFileReport report = ParseRuleFile("f", R"(groups:
- name: a
  labels: {x: y}
  rules: [{record: r, expr: up}]
- name: b
  rules: [{record: r, expr: up, labels: {x: y}}, {record: r, expr: up}]
)",
                                              {});
  const auto duplicates = FindDuplicateRules(report.groups);
  BOOST_REQUIRE(duplicates.size() == 1u);
  BOOST_TEST(duplicates[0].name == "r");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace rule_file_test
}  // namespace tocsin::alerting
