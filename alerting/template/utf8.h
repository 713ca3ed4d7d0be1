// UTF-8 as Go reads it: one rune at a time, a broken byte counting as one invalid rune.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tocsin::alerting::tmpl {

struct Rune {
  char32_t value;  // U+FFFD when not valid
  size_t size;     // bytes; 1 when not valid; 0 only for an empty text
  bool valid;
};
Rune DecodeRune(std::string_view text);
std::string EncodeRune(char32_t value);  // U+FFFD for surrogates and beyond U+10FFFF
size_t CountRunes(std::string_view text);
// What Go's %q leaves as it is: no controls, separators other than the space, private use or
// unassigned planes. (Unassigned code points inside assigned blocks count as printable here.)
bool IsPrintable(char32_t value);

}  // namespace tocsin::alerting::tmpl
