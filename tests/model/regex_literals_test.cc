#include "model/regex_literals.h"

#include <boost/test/unit_test.hpp>
#include <random>

#include "base/regex.h"

namespace tocsin::model {
namespace {

BOOST_AUTO_TEST_SUITE(RegexLiterals_)

BOOST_AUTO_TEST_CASE(PromisesAreReadOffTheText) {
  struct Case {
    const char* pattern;
    const char* prefix;
    const char* suffix;
    const char* inside;
    bool is_glob;
  };
  const Case cases[] = {
      {"abc", "abc", "abc", "abc", true},
      {"abc.*", "abc", "", "abc", true},
      {".*abc", "", "abc", "abc", true},
      {".+abc.*de", "", "de", "abc", true},
      {R"(10\.0\.[13]\..*5:9100)", "10.0.", "5:9100", "5:9100", false},
      {"ab*c", "a", "c", "a", false},
      {"ab+c", "ab", "c", "ab", false},
      {"(abc)?d", "", "d", "d", false},
      {"a|b", "", "", "", false},
      {"(?i)abc", "", "", "", false},
      {R"(\d+x\pNy)", "", "", "x", false},
      {R"(\Qa.b\E)", "", "", "", false},
      {"[]a]b", "", "b", "b", false},
      {"x{2}y", "", "y", "y", false},
      {"", "", "", "", true},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.pattern) {
      const RegexLiterals got = RegexLiterals::Of(c.pattern);
      BOOST_TEST(got.prefix == c.prefix);
      BOOST_TEST(got.suffix == c.suffix);
      BOOST_TEST(got.inside == c.inside);
      BOOST_TEST(got.is_glob == c.is_glob);
    }
  }
}

// Random patterns of few pieces over few letters, against RE2.
BOOST_AUTO_TEST_CASE(WhatRe2AcceptsIsNeverRefused) {
  const char* pieces[] = {"a",        "b",       "ab",          "\u00e9", ".",    ".*",   ".+",
                          ".*?",      "a*",      "b+",          "ab?",    "a{2}", "[ab]", "[^a]*",
                          "(ab)",     "(a)*",    R"(\.)",       R"(\d)",  "^",    "$",    "b{0,1}",
                          "(a[)b]c)", R"(\x41)", "[[:alpha:]]", "}"};
  const char* letters[] = {"a", "b", "ab", "\u00e9", ".", "1", "A", "c", ")", "}"};
  std::mt19937_64 random(7);
  size_t accepted = 0;
  size_t globs = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string pattern;
    for (uint64_t n = random() % 6; n > 0; --n) pattern += pieces[random() % std::size(pieces)];
    const auto regex = Regex::Compile(pattern);
    if (!regex) continue;
    const RegexLiterals literals = RegexLiterals::Of(pattern);
    globs += literals.is_glob ? 1 : 0;
    for (int t = 0; t < 60; ++t) {
      std::string text;
      for (uint64_t n = random() % 7; n > 0; --n) text += letters[random() % std::size(letters)];
      const bool want = regex->FullMatch(text);
      accepted += want ? 1 : 0;
      BOOST_TEST_CONTEXT(pattern << " on " << text) {
        if (want) BOOST_REQUIRE(literals.MayMatch(text));
        if (literals.is_glob) BOOST_REQUIRE_EQUAL(literals.GlobMatches(text), want);
      }
    }
  }
  BOOST_TEST(accepted > 1000u);
  BOOST_TEST(globs > 100u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::model
