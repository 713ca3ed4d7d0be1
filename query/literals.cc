#include "query/literals.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "model/labels.h"
#include "model/sample.h"

namespace tocsin::query {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

int HexValue(uint32_t c) {
  if (c >= '0' && c <= '9') return static_cast<int>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<int>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<int>(c - 'A' + 10);
  return 16;
}

bool IsHexLiteral(std::string_view text) {
  return text.size() > 1 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

// Underscores may stand between digits, and between a base prefix and the first digit.
bool UnderscoresWellPlaced(std::string_view text) {
  const bool hex = IsHexLiteral(text);
  const auto digit = [hex](char c) {
    return IsDigit(c) || (hex && HexValue(static_cast<uint8_t>(c)) < 16);
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') continue;
    const bool after_prefix = hex && i == 2;
    if (i == 0 || !(after_prefix || digit(text[i - 1]))) return false;
    if (i + 1 == text.size() || !digit(text[i + 1])) return false;
  }
  return true;
}

std::string WithoutUnderscores(std::string_view text) {
  std::string plain;
  for (const char c : text) {
    if (c != '_') plain += c;
  }
  return plain;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// Go's ParseInt with base 0 for an unsigned text: prefix 0x, 0o, 0b, or 0 for octal.
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

std::string_view NonFiniteText(double value) {
  if (std::isnan(value)) return "NaN";
  return value > 0 ? "+Inf" : "-Inf";
}

// The shortest digits of a finite value and the exponent of the first one (d.ddd × 10^exponent).
struct ShortestDecimal {
  bool negative = false;
  std::string digits;
  int exponent = 0;
};

ShortestDecimal Shortest(double value) {
  char buffer[64];
  const auto [end, error] =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  (void)error;  // 64 bytes hold every double
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  ShortestDecimal shortest;
  if (text.front() == '-') {
    shortest.negative = true;
    text.remove_prefix(1);
  }
  const size_t e = text.find('e');
  for (const char c : text.substr(0, e)) {
    if (c != '.') shortest.digits += c;
  }
  std::string_view exponent = text.substr(e + 1);
  if (exponent.front() == '+') exponent.remove_prefix(1);
  std::from_chars(exponent.data(), exponent.data() + exponent.size(), shortest.exponent);
  return shortest;
}

}  // namespace

Result<double> ParseNumber(std::string_view text) {
  const auto error = [text](std::string_view what) {
    return Error(Code::kInvalidArgument, "strconv.ParseFloat: parsing " + model::QuoteString(text) +
                                             ": " + std::string(what));
  };
  const std::string lower = Lower(text);
  if (lower == "inf" || lower == "+inf") return std::numeric_limits<double>::infinity();
  if (lower == "-inf") return -std::numeric_limits<double>::infinity();
  if (lower == "nan") return model::NormalNan();
  if (!UnderscoresWellPlaced(text)) return error("invalid syntax");
  const std::string plain = WithoutUnderscores(text);
  if (const auto integer = ParseIntegerAnyBase(plain)) return static_cast<double>(*integer);
  if (IsHexLiteral(plain)) return error("invalid syntax");
  double value = 0;
  const char* first = plain.data();
  const char* last = first + plain.size();
  const auto [end, code] = std::from_chars(first, last, value);
  if (end != last || plain.empty() || code == std::errc::invalid_argument) {
    return error("invalid syntax");
  }
  if (code == std::errc::result_out_of_range) {
    // Too small reads as zero (or a denormal), too large is an error.
    value = std::strtod(plain.c_str(), nullptr);
    if (std::isinf(value)) return error("value out of range");
  }
  return value;
}

Result<int64_t> ParseDuration(std::string_view text) {
  struct Unit {
    std::string_view name;
    int64_t ms;
  };
  static constexpr int64_t kDayMs = 24LL * 60 * 60 * 1000;
  static constexpr Unit kUnits[] = {
      {"y", 365 * kDayMs}, {"w", 7 * kDayMs}, {"d", kDayMs}, {"h", 3'600'000},
      {"m", 60'000},       {"s", 1000},       {"ms", 1}};
  // The reference holds durations in nanoseconds.
  static constexpr int64_t kMaxMs = std::numeric_limits<int64_t>::max() / 1'000'000;
  if (text.empty()) return Error(Code::kInvalidArgument, "empty duration string");
  if (text == "0") return 0;
  const auto malformed = [text] {
    return Error(Code::kInvalidArgument,
                 "not a valid duration string: " + model::QuoteString(text));
  };
  int64_t total = 0;
  size_t next_unit = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    uint64_t count = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), count);
    const bool overflow = error == std::errc::result_out_of_range;
    if (error != std::errc() && !overflow) return malformed();
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    size_t letters = 0;
    while (letters < rest.size() && !IsDigit(rest[letters])) ++letters;
    const std::string_view name = rest.substr(0, letters);
    rest.remove_prefix(letters);
    while (next_unit < std::size(kUnits) && kUnits[next_unit].name != name) ++next_unit;
    if (next_unit == std::size(kUnits)) return malformed();
    const int64_t unit_ms = kUnits[next_unit++].ms;
    if (overflow || count > static_cast<uint64_t>((kMaxMs - total) / unit_ms)) {
      return Error(Code::kInvalidArgument, "duration out of range");
    }
    total += static_cast<int64_t>(count) * unit_ms;
  }
  return total;
}

std::string FormatDuration(int64_t duration_ms) {
  struct Unit {
    const char* name;
    uint64_t ms;
    bool only_whole;  // years and weeks only when nothing remains
  };
  static constexpr uint64_t kDayMs = 24ULL * 60 * 60 * 1000;
  static constexpr Unit kUnits[] = {{"y", 365 * kDayMs, true}, {"w", 7 * kDayMs, true},
                                    {"d", kDayMs, false},      {"h", 3'600'000, false},
                                    {"m", 60'000, false},      {"s", 1000, false},
                                    {"ms", 1, false}};
  if (duration_ms == 0) return "0s";
  std::string text = duration_ms < 0 ? "-" : "";
  uint64_t rest =
      duration_ms < 0 ? 0 - static_cast<uint64_t>(duration_ms) : static_cast<uint64_t>(duration_ms);
  for (const Unit& unit : kUnits) {
    if (unit.only_whole && rest % unit.ms != 0) continue;
    if (const uint64_t count = rest / unit.ms; count > 0) {
      text += std::to_string(count) + unit.name;
      rest -= count * unit.ms;
    }
  }
  return text;
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

std::string FormatFloatPlain(double value) {
  if (!std::isfinite(value)) return std::string(NonFiniteText(value));
  const ShortestDecimal shortest = Shortest(value);
  const int count = static_cast<int>(shortest.digits.size());
  const int whole = shortest.exponent + 1;  // digits before the point
  std::string text = shortest.negative ? "-" : "";
  if (whole <= 0) {
    text += "0." + std::string(static_cast<size_t>(-whole), '0') + shortest.digits;
  } else if (count <= whole) {
    text += shortest.digits + std::string(static_cast<size_t>(whole - count), '0');
  } else {
    text += shortest.digits.substr(0, static_cast<size_t>(whole)) + "." +
            shortest.digits.substr(static_cast<size_t>(whole));
  }
  return text;
}

std::string FormatFloatShort(double value) {
  if (!std::isfinite(value)) return std::string(NonFiniteText(value));
  const ShortestDecimal shortest = Shortest(value);
  // Go's %g of the shortest digits writes an exponent below -4 and from 6 on.
  if (value == 0 || (shortest.exponent >= -4 && shortest.exponent < 6)) {
    return FormatFloatPlain(value);
  }
  std::string text = shortest.negative ? "-" : "";
  text += shortest.digits.substr(0, 1);
  if (shortest.digits.size() > 1) text += "." + shortest.digits.substr(1);
  char exponent[8];
  std::snprintf(exponent, sizeof exponent, "e%+03d", shortest.exponent);
  return text + exponent;
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
