// Filters and pages of GET /api/v1/rules.
#include "alerting/rules/rule_view.h"

#include <boost/test/unit_test.hpp>

namespace tocsin::alerting {
namespace rule_view_test {
namespace {

RuleView Rule(bool is_alert, std::string name, model::Labels labels) {
  RuleView rule;
  rule.is_alert = is_alert;
  rule.name = std::move(name);
  rule.labels = std::move(labels);
  rule.alerts.resize(1);
  return rule;
}

RuleGroupView Group(std::string file, std::string name, std::vector<RuleView> rules) {
  RuleGroupView group;
  group.file = std::move(file);
  group.name = std::move(name);
  group.rules = std::move(rules);
  return group;
}

std::vector<RuleGroupView> Groups() {
  const model::Labels x = model::Labels::FromPairs({{"team", "x"}});
  const model::Labels y = model::Labels::FromPairs({{"team", "y"}});
  return {Group("a.yml", "g1", {Rule(true, "A", x), Rule(false, "r", {})}),
          Group("a.yml", "g2", {Rule(true, "B", y)}), Group("b.yml", "g1", {Rule(false, "s", {})})};
}

std::vector<model::Matcher> Team(const char* value) {
  return {model::Matcher::Equal("team", value)};
}

std::string Shown(const RuleGroupPage& page) {
  std::string out;
  for (const RuleGroupView& group : page.groups) {
    out += group.file + "/" + group.name + ":";
    for (const RuleView& rule : group.rules) out += rule.name;
    out += " ";
  }
  return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(rule_view_test_suite)

BOOST_AUTO_TEST_CASE(FiltersCombine) {
  const struct {
    void (*change)(RuleFilter* filter);
    std::string want;
  } cases[] = {
      {[](RuleFilter*) {}, "a.yml/g1:Ar a.yml/g2:B b.yml/g1:s "},
      {[](RuleFilter* f) { f->records = false; }, "a.yml/g1:A a.yml/g2:B "},
      {[](RuleFilter* f) { f->alerts = false; }, "a.yml/g1:r b.yml/g1:s "},
      {[](RuleFilter* f) { f->rule_names = {"A", "s"}; }, "a.yml/g1:A b.yml/g1:s "},
      {[](RuleFilter* f) { f->group_names = {"g1"}; }, "a.yml/g1:Ar b.yml/g1:s "},
      {[](RuleFilter* f) { f->files = {"b.yml"}; }, "b.yml/g1:s "},
      {[](RuleFilter* f) { f->files = {"a.yml"}, f->group_names = {"g1"}; }, "a.yml/g1:Ar "},
      {[](RuleFilter* f) { f->matcher_sets = {Team("x")}; }, "a.yml/g1:A "},
      {[](RuleFilter* f) { f->matcher_sets = {Team("x"), Team("y")}; }, "a.yml/g1:A a.yml/g2:B "},
      {[](RuleFilter* f) { f->rule_names = {"nope"}; }, ""},
  };
  for (const auto& c : cases) {
    RuleFilter filter;
    c.change(&filter);
    BOOST_TEST(Shown(SelectRuleGroups(Groups(), filter).value()) == c.want);
  }
}

BOOST_AUTO_TEST_CASE(PagesFollowTheirTokens) {
  RuleFilter filter;
  filter.group_limit = 2;
  const RuleGroupPage first = SelectRuleGroups(Groups(), filter).value();
  BOOST_TEST(Shown(first) == "a.yml/g1:Ar a.yml/g2:B ");
  BOOST_TEST(first.next_token.size() == 64u);
  filter.next_token = first.next_token;
  const RuleGroupPage second = SelectRuleGroups(Groups(), filter).value();
  BOOST_TEST(Shown(second) == "b.yml/g1:s ");
  BOOST_TEST(second.next_token == "");
  filter.next_token = "00";
  BOOST_TEST((SelectRuleGroups(Groups(), filter).error().code() == Code::kInvalidArgument));
}

BOOST_AUTO_TEST_CASE(AlertsCanBeLeftOut) {
  RuleFilter filter;
  filter.exclude_alerts = true;
  const RuleGroupPage page = SelectRuleGroups(Groups(), filter).value();
  BOOST_TEST(page.groups[0].rules[0].alerts.empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace rule_view_test
}  // namespace tocsin::alerting
