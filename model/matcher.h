// Matcher: one test on one label of a series: =, !=, =~ or !~. An absent label counts as the empty
// string. Regular expressions are RE2, anchored at both ends, and compiled once; copies share the
// compiled form. Thread-safe to use.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/labels.h"

namespace tocsin::model {

enum class MatchType : uint8_t { kEqual, kNotEqual, kRegex, kNotRegex };

std::string_view MatchTypeSymbol(MatchType type);  // "=", "!=", "=~", "!~"

class Matcher {
 public:
  // kInvalidArgument when the regular expression does not compile; the message is RE2's.
  static Result<Matcher> Create(MatchType type, std::string name, std::string value);
  // For type kEqual and kNotEqual only: cannot fail.
  static Matcher Equal(std::string name, std::string value);
  static Matcher NotEqual(std::string name, std::string value);

  MatchType type() const { return type_; }
  const std::string& name() const { return name_; }
  const std::string& value() const { return value_; }

  bool Matches(std::string_view label_value) const;
  bool MatchesEmpty() const { return matches_empty_; }
  bool Matches(const Labels& labels) const { return Matches(labels.Get(name_)); }

  // For kRegex and kNotRegex: the complete set of strings that the pattern accepts, when it is a
  // plain alternation of literals ("a|b|c", "a"); empty when it is anything else.
  const std::vector<std::string>& set_matches() const;
  // A literal that every accepted string begins with; "" when there is none.
  const std::string& prefix() const;

  std::string ToString() const;  // job=~"a|b"

 private:
  struct Compiled;
  Matcher() = default;

  MatchType type_ = MatchType::kEqual;
  bool matches_empty_ = false;
  std::string name_;
  std::string value_;
  std::shared_ptr<const Compiled> compiled_;  // null for = and !=
};

bool MatchesAll(const std::vector<Matcher>& matchers, const Labels& labels);

}  // namespace tocsin::model
