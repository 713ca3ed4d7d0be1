#include "base/number.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace tocsin {
namespace {

// 2^53: below it a double holds every digit before the point.
constexpr double kWholeNumbersMax = 9007199254740992.0;
constexpr uint64_t kOrdinaryNanBits = 0x7ff8000000000001;

// v = 0.DIGITS × 10^point, DIGITS without leading or trailing zeros.
struct Decimal {
  char digits[24];
  int count = 0;
  int point = 0;
};

Decimal ShortestDecimal(double magnitude) {
  Decimal d;
  char text[32];
  const auto end =
      std::to_chars(text, text + sizeof text, magnitude, std::chars_format::scientific);
  const char* p = text;
  for (; p != end.ptr && *p != 'e'; ++p) {
    if (*p != '.') d.digits[d.count++] = *p;
  }
  int exponent = 0;
  const char* digits = p + 1;
  if (*digits == '+') ++digits;
  std::from_chars(digits, end.ptr, exponent);
  d.point = exponent + 1;
  while (d.count > 1 && d.digits[d.count - 1] == '0') --d.count;
  return d;
}

bool AppendSpecial(std::string& out, double v) {
  if (std::isnan(v)) {
    out += "NaN";
  } else if (std::isinf(v)) {
    out += v > 0 ? "+Inf" : "-Inf";
  } else if (v == 0) {
    out += std::signbit(v) ? "-0" : "0";
  } else {
    return false;
  }
  return true;
}

void AppendPlain(std::string& out, const Decimal& d) {
  if (d.point <= 0) {
    out += "0.";
    out.append(static_cast<size_t>(-d.point), '0');
    out.append(d.digits, static_cast<size_t>(d.count));
    return;
  }
  if (d.count <= d.point) {
    out.append(d.digits, static_cast<size_t>(d.count));
    out.append(static_cast<size_t>(d.point - d.count), '0');
    return;
  }
  out.append(d.digits, static_cast<size_t>(d.point));
  out += '.';
  out.append(d.digits + d.point, static_cast<size_t>(d.count - d.point));
}

void AppendExponent(std::string& out, const Decimal& d) {
  out += d.digits[0];
  if (d.count > 1) {
    out += '.';
    out.append(d.digits + 1, static_cast<size_t>(d.count - 1));
  }
  const int exponent = d.point - 1;
  const int magnitude = std::abs(exponent);
  out += 'e';
  out += exponent < 0 ? '-' : '+';
  if (magnitude < 10) out += '0';
  out += std::to_string(magnitude);
}

// Exponent form when the decimal exponent is below `low` or from `high` on.
void AppendWithBounds(std::string& out, double v, int low, int high) {
  if (AppendSpecial(out, v)) return;
  if (v < 0) out += '-';
  const Decimal d = ShortestDecimal(std::fabs(v));
  const int exponent = d.point - 1;
  if (exponent < low || exponent >= high) {
    AppendExponent(out, d);
  } else {
    AppendPlain(out, d);
  }
}

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// Takes out underscores that stand between digits (or after 0x); nothing when one stands elsewhere.
std::optional<std::string> WithoutUnderscores(std::string_view text) {
  const bool hex = text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const auto digit = [&](size_t at) {
      return at < text.size() && (hex ? IsHexDigit(text[at]) : IsDigit(text[at]));
    };
    const bool after_prefix = hex && i == 2;
    if (i == 0 || !(digit(i - 1) || after_prefix) || !digit(i + 1)) return std::nullopt;
  }
  return out;
}

// `text` has no sign. from_chars says "out of range" for too large and too small alike; strtod
// tells them apart.
std::optional<double> OutOfRange(std::string_view text, bool hex) {
  const std::string terminated = (hex ? "0x" : "") + std::string(text);
  const double v = std::strtod(terminated.c_str(), nullptr);
  if (std::isinf(v)) return std::nullopt;
  return v;
}

std::optional<double> ParseMagnitude(std::string_view text) {
  std::chars_format format = std::chars_format::general;
  const bool hex = text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
  if (hex) {
    text.remove_prefix(2);
    format = std::chars_format::hex;
    if (text.find_first_of("pP") == std::string_view::npos) return std::nullopt;
  }
  if (text.empty() || !(text[0] == '.' || (hex ? IsHexDigit(text[0]) : IsDigit(text[0])))) {
    return std::nullopt;
  }
  double v = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), v, format);
  if (end.ptr != text.data() + text.size()) return std::nullopt;
  if (end.ec == std::errc::result_out_of_range) return OutOfRange(text, hex);
  if (end.ec != std::errc()) return std::nullopt;
  return v;
}

template <typename T>
std::optional<T> ParseInteger(std::string_view text) {
  T v = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), v);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size()) return std::nullopt;
  return v;
}

}  // namespace

void AppendFloat(std::string& out, double v) {
  const double magnitude = std::fabs(v);
  // Most values of a query's answer. In this range the library's plain form is the shortest one
  // too; beyond it, it writes out digits that the double does not hold. -0 and NaN stay out.
  if (magnitude >= 1e-6 && magnitude < kWholeNumbersMax) {
    char text[40];
    const auto whole = static_cast<int64_t>(v);
    const auto end = static_cast<double>(whole) == v
                         ? std::to_chars(text, text + sizeof text, whole)
                         : std::to_chars(text, text + sizeof text, v, std::chars_format::fixed);
    out.append(text, end.ptr);
    return;
  }
  AppendWithBounds(out, v, -6, 21);
}

std::string FormatFloat(double v) {
  std::string out;
  AppendFloat(out, v);
  return out;
}

std::string FormatFloatDecimal(double v) {
  std::string out;
  AppendWithBounds(out, v, -1000, 1000);
  return out;
}

std::string FormatFloatGo(double v) {
  std::string out;
  AppendWithBounds(out, v, -4, 6);
  return out;
}

std::optional<double> ParseFloat(std::string_view text) {
  if (text.find('_') == std::string_view::npos) {
    const bool hex = text.find_first_of("xX") != std::string_view::npos;
    if (!hex) return ParseFloatPlain(text);
  }
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const std::optional<std::string> digits = WithoutUnderscores(text);
  if (!digits) return std::nullopt;
  const std::optional<double> magnitude = ParseMagnitude(*digits);
  if (!magnitude) return std::nullopt;
  return negative ? -*magnitude : *magnitude;
}

std::optional<double> ParseFloatPlain(std::string_view text) {
  const bool negative = text.starts_with('-');
  const bool has_sign = negative || text.starts_with('+');
  if (has_sign) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  if (!IsDigit(text[0]) && text[0] != '.') {
    if (EqualsIgnoringCase(text, "inf") || EqualsIgnoringCase(text, "infinity")) {
      return negative ? -HUGE_VAL : HUGE_VAL;
    }
    if (!has_sign && EqualsIgnoringCase(text, "nan")) {
      return std::bit_cast<double>(kOrdinaryNanBits);
    }
    return std::nullopt;
  }
  if (text.size() > 1 && (text[1] == 'x' || text[1] == 'X')) return std::nullopt;
  const std::optional<double> magnitude = ParseMagnitude(text);
  if (!magnitude) return std::nullopt;
  return negative ? -*magnitude : *magnitude;
}

std::optional<int64_t> ParseInt64(std::string_view text) { return ParseInteger<int64_t>(text); }
std::optional<uint64_t> ParseUint64(std::string_view text) { return ParseInteger<uint64_t>(text); }

std::optional<bool> ParseBool(std::string_view text) {
  for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

}  // namespace tocsin
