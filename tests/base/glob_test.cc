// glob.h and byte_size.h.
#include "base/glob.h"

#include <boost/test/unit_test.hpp>

#include "base/byte_size.h"
#include "base/mem_env.h"

namespace tocsin {
namespace glob_test {
namespace {

BOOST_AUTO_TEST_SUITE(Glob_)

BOOST_AUTO_TEST_CASE(PatternsMatchAsInGo) {
  const struct {
    const char* pattern;
    const char* name;
    bool want;
  } kCases[] = {
      {"abc", "abc", true},
      {"*", "abc", true},
      {"*", "a/c", false},
      {"*c", "abc", true},
      {"a*", "a", true},
      {"a*/b", "abc/b", true},
      {"a*/b", "a/c/b", false},
      {"a*b*c*d*e*/f", "axbxcxdxe/f", true},
      {"a*b?c*x", "abxbbxdbxebxczzx", true},
      {"a*b?c*x", "abxbbxdbxebxczzy", false},
      {"ab[c]", "abc", true},
      {"ab[b-d]", "abc", true},
      {"ab[^c]", "abc", false},
      {"ab[^e-g]", "abc", true},
      {"a\\*b", "a*b", true},
      {"a\\*b", "ab", false},
      {"a?b", "a/b", false},
      {"[a-ζ]*", "a", true},
      {"*x", "xxx", true},
      {"", "", true},
      {"", "a", false},
      {"[\\]a]", "]", true},
      {"**", "ab", true},
      {"a**c", "abc", true},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.pattern << " on " << c.name) {
      BOOST_TEST(GlobMatch(c.pattern, c.name).value() == c.want);
    }
  }
  for (const char* bad : {"[]a]", "[", "[^", "[a-", "a["}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_TEST(!GlobMatch(bad, "ab").has_value()); }
  }
}

BOOST_AUTO_TEST_CASE(GlobListsExistingPaths) {
  MemEnv env;
  BOOST_REQUIRE(env.CreateDirs("/r/x").ok());
  BOOST_REQUIRE(env.CreateDirs("/r/y").ok());
  for (const char* path : {"/r/a.yml", "/r/b.yml", "/r/c.json", "/r/x/d.yml", "/r/y/e.yml"}) {
    BOOST_REQUIRE(env.WriteFileAtomically(path, "x").ok());
  }
  using Paths = std::vector<std::string>;
  BOOST_TEST((Glob(env, "/r/*.yml").value() == Paths{"/r/a.yml", "/r/b.yml"}));
  BOOST_TEST((Glob(env, "/r/*/*.yml").value() == Paths{"/r/x/d.yml", "/r/y/e.yml"}));
  BOOST_TEST((Glob(env, "/r/a.yml").value() == Paths{"/r/a.yml"}));
  BOOST_TEST(Glob(env, "/r/none").value().empty());
  BOOST_TEST(Glob(env, "/none/*").value().empty());
  BOOST_TEST(!Glob(env, "/r/[").has_value());
}

BOOST_AUTO_TEST_CASE(ByteSizesParseAndPrint) {
  const struct {
    const char* text;
    int64_t bytes;
    const char* printed;
  } kCases[] = {
      {"0", 0, "0B"},
      {"100B", 100, "100B"},
      {"15MB", 15 << 20, "15MB"},
      {"15MiB", 15 << 20, "15MB"},
      {"1.5KB", 1536, "1KB512B"},
      {"1GB512MB", 1610612736, "1GB512MB"},
      {"-1GB", -1073741824, "-1GB"},
      {"2EB", int64_t{2} << 60, "2EB"},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.text) {
      BOOST_TEST(ParseByteSize(c.text).value() == c.bytes);
      BOOST_TEST(FormatByteSize(c.bytes) == c.printed);
    }
  }
  for (const char* bad : {"", "100", "MB", "1kb", "1XB", "100EB", "1 MB", "-"}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_TEST(!ParseByteSize(bad).has_value()); }
  }
  BOOST_TEST(ParseByteSize("100").error().message() == "units: unknown unit  in 100");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace glob_test
}  // namespace tocsin
