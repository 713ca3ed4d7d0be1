#include "model/matcher.h"

#include <boost/test/unit_test.hpp>

namespace tocsin::model {
namespace {

BOOST_AUTO_TEST_SUITE(Matcher_)

BOOST_AUTO_TEST_CASE(EveryTypeOnPresentAndAbsentLabels) {
  struct Case {
    MatchType type;
    const char* pattern;
    const char* value;
    bool want;
  };
  const Case cases[] = {
      {MatchType::kEqual, "a", "a", true},         {MatchType::kEqual, "a", "b", false},
      {MatchType::kEqual, "", "", true},           {MatchType::kNotEqual, "a", "b", true},
      {MatchType::kRegex, "a|bc", "bc", true},     {MatchType::kRegex, "a|bc", "abc", false},
      {MatchType::kRegex, "a.*", "abc", true},     {MatchType::kRegex, "a.*", "ba", false},
      {MatchType::kRegex, ".+", "", false},        {MatchType::kRegex, ".*", "", true},
      {MatchType::kRegex, "a.b", "a\nb", true},    {MatchType::kNotRegex, "a.*", "ba", true},
      {MatchType::kRegex, "ab*", "a", true},       {MatchType::kRegex, "(?i)ab", "AB", true},
      {MatchType::kRegex, "(?<n>ab)", "ab", true}, {MatchType::kRegex, "a\\.b", "a.b", true},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(MatchTypeSymbol(c.type) << c.pattern << " on " << c.value) {
      const auto m = Matcher::Create(c.type, "l", c.pattern);
      BOOST_REQUIRE(m.has_value());
      BOOST_TEST(m->Matches(c.value) == c.want);
      BOOST_TEST(m->MatchesEmpty() == m->Matches(""));
    }
  }
}

BOOST_AUTO_TEST_CASE(BadRegexIsAnErrorThatSaysSo) {
  const auto m = Matcher::Create(MatchType::kRegex, "l", "a(b");
  BOOST_REQUIRE(!m.has_value());
  BOOST_TEST(m.error().message().starts_with("error parsing regexp: "));
}

BOOST_AUTO_TEST_CASE(LiteralsAndPrefixesAreFound) {
  BOOST_TEST(Matcher::Create(MatchType::kRegex, "l", "a|b|c")->set_matches().size() == 3u);
  BOOST_TEST(Matcher::Create(MatchType::kRegex, "l", "a.c")->set_matches().empty());
  BOOST_TEST(Matcher::Create(MatchType::kRegex, "l", "abc.*")->prefix() == "abc");
  BOOST_TEST(Matcher::Create(MatchType::kRegex, "l", "abc*")->prefix() == "ab");
  BOOST_TEST(Matcher::Create(MatchType::kRegex, "l", "abc.*|d")->prefix() == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::model
