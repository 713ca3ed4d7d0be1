// Scanner: the steps that both text formats share, over a buffer that may end too early. Internal
// to collector/exposition.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "collector/exposition/item.h"

namespace tocsin::collector::scanning {

inline bool IsNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
inline bool IsNameChar(char c) { return IsNameStart(c) || (c >= '0' && c <= '9'); }
inline bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// Position in the buffer of one item. `last`: no more bytes will come.
struct Scanner {
  const char* begin;  // the item's first byte
  const char* p;
  const char* end;
  bool last;
  std::string* error;

  bool AtEnd() const { return p == end; }
  bool At(char c) const { return p != end && *p == c; }
  std::string_view Rest() const { return {p, static_cast<size_t>(end - p)}; }
  void SkipBlanks() {
    while (p != end && IsBlank(*p)) ++p;
  }
  std::string_view Name(bool colon) {
    const char* const first = p;
    while (p != end && (IsNameChar(*p) || (colon && *p == ':'))) ++p;
    return {first, static_cast<size_t>(p - first)};
  }
  // The quoted text at `p` (which is at its opening quote). False when it does not end here.
  bool Quoted(bool newline_ends, RawText* out);

  // kIncomplete when more bytes may change the verdict, else kInvalid with
  //   WHAT, got "TOKEN" ("KIND") while parsing: "LINE SO FAR"
  ItemKind Unexpected(std::string_view what, const char* token, const char* token_end,
                      std::string_view kind) const;
  ItemKind Fail(std::string message) const;
  ItemKind FailWhileParsing(std::string message) const;
};

// The labels behind an opening brace, up to and with the closing one. `metric`: where a quoted name
// among them goes; null for exemplars. kSample = fine.
struct LabelRules {
  bool blanks_between;      // text: blanks may stand around tokens
  bool comma_optional;      // text: a missing comma between labels is overlooked
  bool newline_ends_value;  // OpenMetrics: a raw newline in a label value is an error
};
ItemKind ScanLabels(Scanner& scanner, const LabelRules& rules, RawText* metric, bool* has_metric,
                    std::vector<RawLabel>* labels);

}  // namespace tocsin::collector::scanning
