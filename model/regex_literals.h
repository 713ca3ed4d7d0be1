// RegexLiterals: what an anchored regular expression promises about the strings it accepts, read
// off its text: how they begin and end, and what they hold in between. Nearly all patterns on
// dashboards are literals with `.*` around them, and comparing bytes is ten times faster than
// running RE2.
//
// Sound, not complete: what it cannot read (alternations, flags, \Q…\E) promises nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tocsin::model {

struct RegexLiterals {
  std::string prefix;
  std::string suffix;
  std::string inside;  // the longest literal; may be the prefix or the suffix

  // The whole pattern is literals with `.*` or `.+` between: a string is accepted exactly when
  // GlobMatches says so. The gap before literals[i] has at least gaps[i] bytes (0 or 1), or none at
  // all (kNoGap); `gaps` has one more, for what follows the last literal.
  static constexpr int kNoGap = -1;
  bool is_glob = false;
  std::vector<std::string> literals;
  std::vector<int> gaps;

  static RegexLiterals Of(std::string_view pattern);

  // False: the pattern does not accept `text`.
  bool MayMatch(std::string_view text) const {
    return text.starts_with(prefix) && text.ends_with(suffix) &&
           (inside.empty() || text.find(inside) != std::string_view::npos);
  }
  // Precondition: is_glob.
  bool GlobMatches(std::string_view text) const;
};

}  // namespace tocsin::model
