#include "base/regex.h"

#include <boost/test/unit_test.hpp>

namespace tocsin {
namespace regex_test {
namespace {

BOOST_AUTO_TEST_SUITE(Regex_)

BOOST_AUTO_TEST_CASE(FullMatchIsAnchoredAtBothEnds) {
  const Regex r = Regex::Compile("a|bc").value();
  BOOST_TEST(r.FullMatch("a"));
  BOOST_TEST(r.FullMatch("bc"));
  BOOST_TEST(!r.FullMatch("abc"));
  BOOST_TEST(!r.FullMatch(""));
  BOOST_TEST(r.PartialMatch("xbcx"));
  BOOST_TEST(Regex::Compile("a.b").value().FullMatch("a\nb"));
  BOOST_TEST(!Regex::Compile("a.b", Regex::Dot::kNotNewline).value().FullMatch("a\nb"));
}

BOOST_AUTO_TEST_CASE(GoSpellingOfNamedGroupsIsTaken) {
  BOOST_TEST(Regex::Compile("(?<n>a+)b").value().MatchAndExpand("aab", "${n}").value() == "aa");
  BOOST_TEST(Regex::Compile("(?P<n>a+)b").value().MatchAndExpand("aab", "${n}").value() == "aa");
  // Not a group: a class, a quotation, an escape.
  BOOST_TEST(!Regex::Compile("[(?<]").value().FullMatch("P"));
  BOOST_TEST(Regex::Compile("[](?<]").value().FullMatch("]"));
  BOOST_TEST(Regex::Compile("\\Q(?<n>\\E").value().FullMatch("(?<n>"));
  BOOST_TEST(Regex::Compile("\\(?<n>").value().FullMatch("<n>"));
}

BOOST_AUTO_TEST_CASE(BadPatternsAreErrors) {
  for (const char* bad : {"(", "a**", "[z-a]", "(?<=a)b", "a{2000}", "\\8"}) {
    BOOST_TEST_CONTEXT(bad) {
      const auto r = Regex::Compile(bad);
      BOOST_REQUIRE(!r.has_value());
      BOOST_TEST(r.error().message().starts_with("error parsing regexp: "));
    }
  }
}

BOOST_AUTO_TEST_CASE(ReferencesExpandAsInGo) {
  const Regex r = Regex::Compile("(.*)-(?P<port>\\d+)(x)?").value();
  const struct {
    const char* replacement;
    const char* want;
  } kCases[] = {
      {"$1:${2}", "host:80"},
      {"$port", "80"},
      {"${port}s", "80s"},
      {"$ports", ""},
      {"$1x", ""},
      {"$0", "host-80"},
      {"$3", ""},
      {"$9", ""},
      {"$$1", "$1"},
      {"100$", "100$"},
      {"$-$1", "$-host"},
      {"${1", "${1"},
      {"${}", "${}"},
      {"a$1$1b", "ahost"},
      {"", ""},
      {"$01", ""},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.replacement) {
      BOOST_TEST(r.MatchAndExpand("host-80", c.replacement).value() == c.want);
    }
  }
  BOOST_TEST(!r.MatchAndExpand("host", "$1").has_value());
}

BOOST_AUTO_TEST_CASE(ReplaceAllAgreesWithGo) {
  const struct {
    const char* pattern;
    const char* text;
    const char* replacement;
    const char* want;
  } kCases[] = {
      {"a", "banana", "o", "bonono"},
      {"a*", "baaac", "x", "xbxcx"},
      {"", "abc", "-", "-a-b-c-"},
      {"(a)(b)", "abab", "$2$1", "baba"},
      {"x", "abc", "y", "abc"},
      {"", "", "z", "z"},
      {"a*", "b\xc3\xa9", "-", "-b-\xc3\xa9-"},
      {"^a", "aa", "b", "ba"},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.pattern << " in " << c.text) {
      BOOST_TEST(Regex::Compile(c.pattern).value().ReplaceAll(c.text, c.replacement) == c.want);
    }
  }
}

BOOST_AUTO_TEST_CASE(QuotedTextMatchesItself) {
  const std::string text = R"(a.b*c[d]{e}(f)|^$+?\)";
  BOOST_TEST(Regex::Compile(QuoteRegex(text)).value().FullMatch(text));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace regex_test
}  // namespace tocsin
