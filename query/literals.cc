#include "query/literals.h"

#include <charconv>

#include "base/number.h"
#include "model/labels.h"

namespace tocsin::query {
namespace {

int HexValue(uint32_t c) {
  if (c >= '0' && c <= '9') return static_cast<int>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<int>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<int>(c - 'A' + 10);
  return 16;
}

// Go's ParseInt with base 0 for an unsigned text: prefix 0x, 0o, 0b, or 0 for octal. Underscores
// are left to ParseFloat.
std::optional<int64_t> ParseIntegerAnyBase(std::string_view text) {
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char prefix = static_cast<char>(text[1] | 0x20);
    base = prefix == 'x' ? 16 : prefix == 'b' ? 2 : 8;
    text.remove_prefix(prefix == 'x' || prefix == 'b' || prefix == 'o' ? 2 : 1);
  }
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

void AppendUtf8(uint32_t rune, std::string* out) {
  const auto byte = [out](uint32_t b) { out->push_back(static_cast<char>(b)); };
  if (rune < 0x80) {
    byte(rune);
  } else if (rune < 0x800) {
    byte(0xc0 | (rune >> 6));
    byte(0x80 | (rune & 0x3f));
  } else if (rune < 0x10000) {
    byte(0xe0 | (rune >> 12));
    byte(0x80 | ((rune >> 6) & 0x3f));
    byte(0x80 | (rune & 0x3f));
  } else {
    byte(0xf0 | (rune >> 18));
    byte(0x80 | ((rune >> 12) & 0x3f));
    byte(0x80 | ((rune >> 6) & 0x3f));
    byte(0x80 | (rune & 0x3f));
  }
}

// Reads `count` digits of `base` at *position.
std::optional<uint32_t> ReadEscapeDigits(std::string_view text, size_t* position, int count,
                                         int base) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i, ++*position) {
    if (*position >= text.size()) return std::nullopt;
    const int digit = HexValue(static_cast<uint8_t>(text[*position]));
    if (digit >= base) return std::nullopt;
    value = value * static_cast<uint32_t>(base) + static_cast<uint32_t>(digit);
  }
  return value;
}

// The escape whose backslash is at text[*position - 1].
bool UnescapeOne(std::string_view text, char quote, size_t* position, std::string* out) {
  static constexpr std::string_view kNames = "abfnrtv\\";
  static constexpr std::string_view kValues = "\a\b\f\n\r\t\v\\";
  const char c = text[*position];
  if (const size_t i = kNames.find(c); i != std::string_view::npos) {
    out->push_back(kValues[i]);
    ++*position;
    return true;
  }
  if (c == quote) {
    out->push_back(c);
    ++*position;
    return true;
  }
  if (c >= '0' && c <= '7') {
    const auto value = ReadEscapeDigits(text, position, 3, 8);
    if (!value || *value > 255) return false;
    out->push_back(static_cast<char>(*value));
    return true;
  }
  const int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (digits == 0) return false;
  ++*position;
  const auto value = ReadEscapeDigits(text, position, digits, 16);
  if (!value) return false;
  if (digits == 2) {
    out->push_back(static_cast<char>(*value));
    return true;
  }
  if (*value > 0x10ffff || (*value >= 0xd800 && *value < 0xe000)) return false;
  AppendUtf8(*value, out);
  return true;
}

}  // namespace

Result<double> ParseNumber(std::string_view text) {
  if (const auto integer = ParseIntegerAnyBase(text)) return static_cast<double>(*integer);
  if (const auto value = ParseFloat(text)) return *value;
  // Refused either for its form, or because the magnitude does not fit a double.
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool too_large = code == std::errc::result_out_of_range && end == text.data() + text.size();
  return Error(Code::kInvalidArgument, "strconv.ParseFloat: parsing " + model::QuoteString(text) +
                                           ": " +
                                           (too_large ? "value out of range" : "invalid syntax"));
}

std::optional<std::string> UnquoteString(std::string_view quoted) {
  if (quoted.size() < 2 || quoted.front() != quoted.back()) return std::nullopt;
  const char quote = quoted.front();
  const std::string_view body = quoted.substr(1, quoted.size() - 2);
  if (quote == '`') {
    if (body.find('`') != std::string_view::npos) return std::nullopt;
    return std::string(body);
  }
  if (quote != '"' && quote != '\'') return std::nullopt;
  std::string value;
  for (size_t i = 0; i < body.size();) {
    const char c = body[i];
    if (c == quote || c == '\n') return std::nullopt;
    ++i;
    if (c != '\\') {
      value.push_back(c);
    } else if (i == body.size() || !UnescapeOne(body, quote, &i, &value)) {
      return std::nullopt;
    }
  }
  return value;
}

int DecodeCharacter(std::string_view text, size_t position, uint32_t* rune) {
  if (position >= text.size()) return 0;
  const auto byte = [&](size_t i) -> uint32_t {
    return position + i < text.size() ? static_cast<uint8_t>(text[position + i]) : 0;
  };
  const uint32_t first = byte(0);
  if (first < 0x80) {
    *rune = first;
    return 1;
  }
  const int length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first >= 0xc2 && first <= 0xf4) {
    uint32_t value = first & (0x7fU >> length);
    bool well_formed = true;
    for (int i = 1; i < length; ++i) {
      const uint32_t next = byte(static_cast<size_t>(i));
      well_formed = well_formed && (next & 0xc0) == 0x80;
      value = (value << 6) | (next & 0x3f);
    }
    static constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (well_formed && value >= kLeast[length] && value <= 0x10ffff &&
        (value < 0xd800 || value >= 0xe000)) {
      *rune = value;
      return length;
    }
  }
  *rune = kRuneError;
  return 1;
}

std::string QuoteCharacter(uint32_t rune) {
  if (rune == '\'') return "'\\''";
  if (rune == '"') return "'\"'";
  std::string character;
  AppendUtf8(rune > 0x10ffff ? kRuneError : rune, &character);
  const std::string quoted = model::QuoteString(character);
  return "'" + quoted.substr(1, quoted.size() - 2) + "'";
}

}  // namespace tocsin::query
