#include "model/relabel.h"

#include <boost/test/unit_test.hpp>

namespace tocsin::model {
namespace {

BOOST_AUTO_TEST_SUITE(Relabel_)

using enum RelabelAction;

RelabelConfig Config(RelabelAction action, std::vector<std::string> sources, std::string regex,
                     std::string target, std::string replacement = "$1", uint64_t modulus = 0) {
  RelabelConfig c;
  c.action = action;
  c.source_labels = std::move(sources);
  c.regex = std::move(regex);
  c.target_label = std::move(target);
  c.replacement = std::move(replacement);
  c.modulus = modulus;
  return c;
}

constexpr const char* kDropped = "dropped";

std::string Run(const RelabelConfig& config, const Labels& labels,
                NameScheme scheme = NameScheme::kUtf8) {
  const auto rule = RelabelRule::Create(config, scheme);
  if (!rule) return "error: " + rule.error().message();
  LabelsBuilder builder(labels);
  return rule->Apply(&builder) ? builder.Build().ToString() : kDropped;
}

BOOST_AUTO_TEST_CASE(EveryActionDoesWhatItsNameSays) {
  const Labels base = Labels::FromPairs({{"a", "foo"}, {"b", "bar"}, {"c", "baz"}});
  struct Case {
    const char* name;
    RelabelConfig config;
    const char* want;
  };
  const Case cases[] = {
      {"replace with a group", Config(kReplace, {"a"}, "f(.*)", "d", "ch${1}-ch${1}"),
       R"({a="foo", b="bar", c="baz", d="choo-choo"})"},
      {"named group", Config(kReplace, {"a"}, "f(?P<rest>.*)", "d", "$rest"),
       R"({a="foo", b="bar", c="baz", d="oo"})"},
      {"joined by the separator", Config(kReplace, {"a", "b"}, "(.*);(.*)", "d", "$2$1"),
       R"({a="foo", b="bar", c="baz", d="barfoo"})"},
      {"the longest word is the name: $1x is no group", Config(kReplace, {"a"}, "(.*)", "d", "$1x"),
       R"({a="foo", b="bar", c="baz"})"},
      {"$$ is a dollar", Config(kReplace, {"a"}, "(.*)", "d", "$$$1"),
       R"({a="foo", b="bar", c="baz", d="$foo"})"},
      {"a lone $ stays", Config(kReplace, {"a"}, "(.*)", "d", "x$-$"),
       R"({a="foo", b="bar", c="baz", d="x$-$"})"},
      {"target from a group", Config(kReplace, {"a"}, "(f).*", "${1}_x", "v"),
       R"({a="foo", b="bar", c="baz", f_x="v"})"},
      {"empty target name: nothing", Config(kReplace, {"a"}, "(x)?foo", "${1}", "v"),
       R"({a="foo", b="bar", c="baz"})"},
      {"no match: nothing", Config(kReplace, {"a"}, "x", "b", "v"),
       R"({a="foo", b="bar", c="baz"})"},
      {"anchored", Config(kReplace, {"a"}, "o", "b", "v"), R"({a="foo", b="bar", c="baz"})"},
      {"empty replacement deletes", Config(kReplace, {"a"}, "(foo)", "b", ""),
       R"({a="foo", c="baz"})"},
      {"constant on an absent label", Config(kReplace, {"x"}, "(.*)", "d", "k"),
       R"({a="foo", b="bar", c="baz", d="k"})"},
      {"keep", Config(kKeep, {"a"}, "f.*", ""), R"({a="foo", b="bar", c="baz"})"},
      {"keep drops", Config(kKeep, {"a"}, "x", ""), kDropped},
      {"keep by default regex", Config(kKeep, {"x"}, "(.*)", ""), R"({a="foo", b="bar", c="baz"})"},
      {"drop", Config(kDrop, {"a"}, ".*o", ""), kDropped},
      {"drop by default regex", Config(kDrop, {"x"}, "(.*)", ""), kDropped},
      {"drop keeps", Config(kDrop, {"a"}, "o", ""), R"({a="foo", b="bar", c="baz"})"},
      {"keepequal", Config(kKeepEqual, {"a"}, "(.*)", "b"), kDropped},
      {"dropequal", Config(kDropEqual, {"a"}, "(.*)", "a"), kDropped},
      {"dropequal keeps", Config(kDropEqual, {"a"}, "(.*)", "b"), R"({a="foo", b="bar", c="baz"})"},
      {"hashmod", Config(kHashMod, {"c"}, "(.*)", "d", "$1", 1000),
       R"({a="foo", b="bar", c="baz", d="976"})"},
      {"labelmap", Config(kLabelMap, {}, "(a|b)", "", "my_$1"),
       R"({a="foo", b="bar", c="baz", my_a="foo", my_b="bar"})"},
      {"labelmap onto one that exists", Config(kLabelMap, {}, "a", "", "b"),
       R"({a="foo", b="foo", c="baz"})"},
      {"labeldrop", Config(kLabelDrop, {}, "(b|c)", ""), R"({a="foo"})"},
      {"labelkeep", Config(kLabelKeep, {}, "b.*", ""), R"({b="bar"})"},
      {"uppercase", Config(kUppercase, {"a"}, "(.*)", "d"),
       R"({a="foo", b="bar", c="baz", d="FOO"})"},
      {"lowercase", Config(kLowercase, {"a", "b"}, "(.*)", "d"),
       R"({a="foo", b="bar", c="baz", d="foo;bar"})"},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.name) { BOOST_TEST(Run(c.config, base) == c.want); }
  }
}

BOOST_AUTO_TEST_CASE(CaseFoldsBeyondAscii) {
  const Labels base = Labels::FromPairs({{"a", "äÖé日"}});
  BOOST_TEST(Run(Config(kUppercase, {"a"}, "(.*)", "a"), base) == R"({a="ÄÖÉ日"})");
  BOOST_TEST(Run(Config(kLowercase, {"a"}, "(.*)", "a"), base) == R"({a="äöé日"})");
}

BOOST_AUTO_TEST_CASE(LegacyNamesRefuseWhatUtf8Allows) {
  const Labels base = Labels::FromPairs({{"a", "x.y"}});
  const RelabelConfig to_dotted = Config(kReplace, {"a"}, "(.*)", "${1}", "v");
  BOOST_TEST(Run(to_dotted, base) == R"({a="x.y", "x.y"="v"})");
  BOOST_TEST(Run(to_dotted, base, NameScheme::kLegacy) == R"({a="x.y"})");
}

BOOST_AUTO_TEST_CASE(WrongRulesAreRefusedInTheKnownWords) {
  struct Case {
    const char* name;
    RelabelConfig config;
    NameScheme scheme;
    const char* want;
  };
  RelabelConfig drop_with_source = Config(kLabelDrop, {"a"}, "x", "");
  RelabelConfig equal_with_separator = Config(kKeepEqual, {"a"}, "(.*)", "b");
  equal_with_separator.separator = ",";
  const auto utf8 = NameScheme::kUtf8;
  const auto legacy = NameScheme::kLegacy;
  const Case cases[] = {
      {"modulus", Config(kHashMod, {"a"}, "(.*)", "b"), utf8,
       "relabel configuration for hashmod requires non-zero modulus"},
      {"target", Config(kReplace, {"a"}, "(.*)", ""), utf8,
       "relabel configuration for replace action requires 'target_label' value"},
      {"target of keepequal", Config(kKeepEqual, {"a"}, "(.*)", ""), utf8,
       "relabel configuration for keepequal action requires 'target_label' value"},
      {"target name", Config(kReplace, {"a"}, "(.*)", "a-b"), legacy,
       R"("a-b" is invalid 'target_label' for replace action)"},
      {"target template", Config(kReplace, {"a"}, "(.*)", "${a"), legacy,
       R"("${a" is invalid 'target_label' for replace action)"},
      {"target of lowercase", Config(kLowercase, {"a"}, "(.*)", "0a"), legacy,
       R"("0a" is invalid 'target_label' for lowercase action)"},
      {"replacement of uppercase", Config(kUppercase, {"a"}, "(.*)", "b", "x"), utf8,
       "'replacement' can not be set for uppercase action"},
      {"labelmap", Config(kLabelMap, {}, "(.*)", "", "a-$1"), legacy,
       R"("a-$1" is invalid 'replacement' for labelmap action)"},
      {"equal", equal_with_separator, utf8,
       "keepequal action requires only 'source_labels' and `target_label`, and no other fields"},
      {"labeldrop", drop_with_source, utf8,
       "labeldrop action requires only 'regex', and no other fields"},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      const auto rule = RelabelRule::Create(c.config, c.scheme);
      BOOST_REQUIRE(!rule.has_value());
      BOOST_TEST(rule.error().message() == c.want);
    }
  }
  BOOST_TEST(RelabelRule::Create(Config(kKeep, {"a"}, "(", ""))
                 .error()
                 .message()
                 .starts_with("error parsing regexp: "));
}

BOOST_AUTO_TEST_CASE(RulesSeeWhatEarlierOnesLeft) {
  const std::vector<RelabelRule> rules = {
      *RelabelRule::Create(Config(kReplace, {"a"}, "(.*)", "b", "x$1")),
      *RelabelRule::Create(Config(kKeep, {"b"}, "x1", "")),
      *RelabelRule::Create(Config(kLabelDrop, {}, "a", "")),
  };
  LabelsBuilder kept(Labels::FromPairs({{"a", "1"}}));
  BOOST_TEST(ApplyRelabelRules(rules, &kept));
  BOOST_TEST(kept.Build().ToString() == R"({b="x1"})");
  LabelsBuilder dropped(Labels::FromPairs({{"a", "2"}}));
  BOOST_TEST(!ApplyRelabelRules(rules, &dropped));
}

BOOST_AUTO_TEST_CASE(ActionNamesReadBackInAnyCase) {
  BOOST_TEST((ParseRelabelAction("LabelMap") == kLabelMap));
  BOOST_TEST(!ParseRelabelAction("labelmaps").has_value());
  BOOST_TEST(RelabelActionName(kHashMod) == "hashmod");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::model
