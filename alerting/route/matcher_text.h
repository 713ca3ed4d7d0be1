// Matchers as text, as in Alertmanager's configuration, silences and filters:
//   foo=bar   foo="bar baz"   foo=~"a|b"   "needs quotes"!=x   {a="b", c!~"d"}
// Names and values may be quoted (Go escapes) or bare; bare ones may hold any UTF-8 but spaces and
// {}!=~,\"'`. Texts that only the older grammar takes (values with such characters, unquoted) are
// still read by it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/matcher.h"

namespace tocsin::alerting {

inline constexpr size_t kMatcherTextBytesMax = 64 << 10;

// One or several, with or without braces.
Result<std::vector<model::Matcher>> ParseMatchers(std::string_view text);

// name="value" with the name quoted when need be.
std::string MatcherText(const model::Matcher& matcher);
// {a="b",c=~"d"}
std::string MatchersText(const std::vector<model::Matcher>& matchers);

}  // namespace tocsin::alerting
