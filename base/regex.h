// Regex: RE2, with Go's spelling and Go's expansion of $1 and ${name}, as Prometheus uses them in
// matchers, relabelling, label_replace and templates. `.` matches a newline where Prometheus says
// so (Dot::kAny). Copies share the compiled form. Thread-safe to use.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace re2 {
class RE2;
}

namespace tocsin {

class Regex {
 public:
  enum class Dot : bool { kNotNewline, kAny };

  // kInvalidArgument, "error parsing regexp: …", when the pattern does not compile.
  static Result<Regex> Compile(std::string_view pattern, Dot dot = Dot::kAny);

  Regex() = default;  // empty: usable only as a place to assign to
  const std::string& pattern() const { return pattern_; }

  bool FullMatch(std::string_view text) const;     // the whole text
  bool PartialMatch(std::string_view text) const;  // anywhere in it

  // When the whole text matches: `replacement` with its references filled in (relabelling,
  // label_replace).
  //   $1 ${1} $name ${name}  the group; "" when there is none such or it took no part
  //   $$                     one $
  // As in Go a name is as long as it can be: $1x is group "1x".
  std::optional<std::string> MatchAndExpand(std::string_view text,
                                            std::string_view replacement) const;
  // Every match in `text` replaced (templates' reReplaceAll).
  std::string ReplaceAll(std::string_view text, std::string_view replacement) const;

 private:
  std::string pattern_;
  std::shared_ptr<const re2::RE2> compiled_;
};

// The text with all characters that mean something in a regular expression escaped.
std::string QuoteRegex(std::string_view text);

}  // namespace tocsin
