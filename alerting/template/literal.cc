#include "alerting/template/literal.h"

#include <charconv>

#include "alerting/template/utf8.h"
#include "base/number.h"

namespace tocsin::alerting::tmpl {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 16;
}

// Reads `digits` digits of `base` at the start of *rest.
std::optional<uint32_t> ReadDigits(std::string_view* rest, size_t digits, int base) {
  if (rest->size() < digits) return std::nullopt;
  uint32_t value = 0;
  for (size_t i = 0; i < digits; ++i) {
    const int digit = HexDigit((*rest)[i]);
    if (digit >= base) return std::nullopt;
    value = value * static_cast<uint32_t>(base) + static_cast<uint32_t>(digit);
  }
  rest->remove_prefix(digits);
  return value;
}

// One escape after its backslash; appends what it stands for.
bool Unescape(std::string_view* rest, char quote, std::string* out) {
  if (rest->empty()) return false;
  const char c = rest->front();
  constexpr std::string_view kNames = "abfnrtv\\";
  constexpr std::string_view kBytes = "\a\b\f\n\r\t\v\\";
  if (const size_t i = kNames.find(c); i != std::string_view::npos) {
    *out += kBytes[i];
    rest->remove_prefix(1);
    return true;
  }
  if (c == quote) {
    *out += c;
    rest->remove_prefix(1);
    return true;
  }
  if (c >= '0' && c <= '7') {
    const auto value = ReadDigits(rest, 3, 8);
    if (!value || *value > 255) return false;
    *out += static_cast<char>(*value);
    return true;
  }
  if (c != 'x' && c != 'u' && c != 'U') return false;
  rest->remove_prefix(1);
  const auto value = ReadDigits(rest, c == 'x' ? 2 : c == 'u' ? 4 : 8, 16);
  if (!value) return false;
  if (c == 'x') {
    *out += static_cast<char>(*value);
    return true;
  }
  if (*value > 0x10ffff || (*value >= 0xd800 && *value < 0xe000)) return false;
  *out += EncodeRune(*value);
  return true;
}

std::optional<Value> ParseChar(std::string_view literal) {
  std::string_view body = literal.substr(1, literal.size() - 2);
  std::string bytes;
  if (body.empty()) return std::nullopt;
  if (body[0] == '\\') {
    const bool byte_escape =
        body.size() > 1 && (body[1] == 'x' || (body[1] >= '0' && body[1] <= '7'));
    body.remove_prefix(1);
    if (!Unescape(&body, '\'', &bytes) || !body.empty()) return std::nullopt;
    if (byte_escape) return Value(static_cast<int64_t>(static_cast<unsigned char>(bytes[0])));
  } else {
    bytes = std::string(body);
  }
  const Rune rune = DecodeRune(bytes);
  if (rune.size != bytes.size()) return std::nullopt;
  return Value(static_cast<int64_t>(rune.value));
}

// Underscores stand between digits, or between a base prefix and a digit; `digits` gets the rest.
bool DropUnderscores(std::string_view text, bool based, std::string* digits) {
  bool after_digit = based;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      after_digit = HexDigit(text[i]) < 16;
      *digits += text[i];
      continue;
    }
    if (!after_digit || i + 1 == text.size() || HexDigit(text[i + 1]) == 16) return false;
    after_digit = false;
  }
  return true;
}

std::optional<int64_t> ParseInt(std::string_view digits, int base, bool negative) {
  uint64_t magnitude = 0;
  const auto [end, ec] =
      std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, base);
  if (ec != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  const uint64_t limit = (uint64_t{1} << 63) - (negative ? 0 : 1);
  if (magnitude > limit) return std::nullopt;
  return static_cast<int64_t>(negative ? 0 - magnitude : magnitude);
}

}  // namespace

std::optional<std::string> UnquoteGo(std::string_view literal) {
  if (literal.size() < 2 || literal.front() != literal.back()) return std::nullopt;
  const char quote = literal.front();
  std::string_view body = literal.substr(1, literal.size() - 2);
  std::string out;
  if (quote == '`') {
    for (const char c : body) {
      if (c != '\r') out += c;
    }
    return out;
  }
  while (!body.empty()) {
    if (body[0] != '\\') {
      out += body[0];
      body.remove_prefix(1);
      continue;
    }
    body.remove_prefix(1);
    if (!Unescape(&body, quote, &out)) return std::nullopt;
  }
  return out;
}

std::optional<Value> ParseGoNumber(std::string_view literal) {
  if (literal.front() == '\'') return ParseChar(literal);
  const bool negative = literal.front() == '-';
  std::string_view text = literal;
  if (negative || text.front() == '+') text.remove_prefix(1);
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char c = static_cast<char>(text[1] | 0x20);
    base = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 10;
  }
  const bool prefixed = base != 10;
  if (prefixed) text.remove_prefix(2);
  std::string digits;
  if (text.empty() || !DropUnderscores(text, prefixed, &digits)) return std::nullopt;
  const bool is_float = digits.find_first_of(base == 16 ? ".pP" : ".eEpP") != std::string::npos;
  if (!is_float) {
    // A leading zero alone means octal, as in Go.
    if (!prefixed && digits.size() > 1 && digits[0] == '0') base = 8;
    const auto value = ParseInt(digits, base, negative);
    if (!value) return std::nullopt;
    return Value(*value);
  }
  if (base == 16 && digits.find_first_of("pP") == std::string::npos) return std::nullopt;
  const auto number = ParseFloat(base == 16 ? "0x" + digits : digits);
  if (!number) return std::nullopt;
  return Value(negative ? -*number : *number);
}

}  // namespace tocsin::alerting::tmpl
