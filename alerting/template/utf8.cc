#include "alerting/template/utf8.h"

namespace tocsin::alerting::tmpl {
namespace {

constexpr char32_t kReplacement = U'\ufffd';

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace

Rune DecodeRune(std::string_view text) {
  if (text.empty()) return {kReplacement, 0, false};
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1, true};
  const size_t size = lead >= 0xf0 && lead <= 0xf4  ? 4
                      : lead >= 0xe0 && lead < 0xf0 ? 3
                      : lead >= 0xc2 && lead < 0xe0 ? 2
                                                    : 0;
  if (size == 0 || text.size() < size) return {kReplacement, 1, false};
  char32_t value = lead & (0xff >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if (!IsContinuation(text[i])) return {kReplacement, 1, false};
    value = value << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
  }
  const bool too_long = (size == 3 && value < 0x800) || (size == 4 && value < 0x10000);
  const bool surrogate = value >= 0xd800 && value < 0xe000;
  if (too_long || surrogate || value > 0x10ffff) return {kReplacement, 1, false};
  return {value, size, true};
}

std::string EncodeRune(char32_t value) {
  if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) value = kReplacement;
  std::string out;
  if (value < 0x80) {
    out += static_cast<char>(value);
  } else if (value < 0x800) {
    out += static_cast<char>(0xc0 | value >> 6);
    out += static_cast<char>(0x80 | (value & 0x3f));
  } else if (value < 0x10000) {
    out += static_cast<char>(0xe0 | value >> 12);
    out += static_cast<char>(0x80 | (value >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (value & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | value >> 18);
    out += static_cast<char>(0x80 | (value >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (value >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (value & 0x3f));
  }
  return out;
}

size_t CountRunes(std::string_view text) {
  size_t count = 0;
  while (!text.empty()) {
    text.remove_prefix(DecodeRune(text).size);
    ++count;
  }
  return count;
}

bool IsPrintable(char32_t v) {
  if (v < 0x20 || (v >= 0x7f && v < 0xa1) || v == 0xad) return false;
  if (v == 0x1680 || (v >= 0x2000 && v <= 0x200f) || (v >= 0x2028 && v <= 0x202f)) return false;
  if ((v >= 0x205f && v <= 0x206f) || v == 0x3000 || v == 0xfeff || (v >= 0xfff0 && v <= 0xfffb))
    return false;
  if ((v >= 0xd800 && v <= 0xf8ff) || (v & 0xfffe) == 0xfffe) return false;
  return v < 0xe0000;
}

}  // namespace tocsin::alerting::tmpl
