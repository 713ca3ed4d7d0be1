#include "collector/exposition/number.h"

#include <cmath>
#include <limits>

#include "base/number.h"
#include "fast_float/fast_float.h"
#include "model/labels.h"
#include "model/sample.h"

namespace tocsin::collector {
namespace {

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((text[i] | 0x20) != lower[i]) return false;
  }
  return true;
}

// [+-] digits [. digits] [e [+-] digits], with a digit somewhere in the mantissa.
bool IsDecimal(std::string_view text) {
  size_t i = 0;
  const auto digits = [&] {
    const size_t first = i;
    while (i < text.size() && number_internal::IsDigit(text[i])) ++i;
    return i - first;
  };
  const auto sign = [&] {
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  };
  sign();
  size_t mantissa = digits();
  if (i < text.size() && text[i] == '.') {
    ++i;
    mantissa += digits();
  }
  if (mantissa == 0) return false;
  if (i < text.size() && (text[i] | 0x20) == 'e') {
    ++i;
    sign();
    if (digits() == 0) return false;
  }
  return i == text.size();
}

bool ParseSpecial(std::string_view token, double* value) {
  if (EqualsIgnoringCase(token, "nan")) {
    *value = model::NormalNan();
    return true;
  }
  const bool negative = !token.empty() && token[0] == '-';
  if (!token.empty() && (token[0] == '-' || token[0] == '+')) token.remove_prefix(1);
  if (!EqualsIgnoringCase(token, "inf") && !EqualsIgnoringCase(token, "infinity")) return false;
  const double infinity = std::numeric_limits<double>::infinity();
  *value = negative ? -infinity : infinity;
  return true;
}

std::string Failure(std::string_view token, const char* why) {
  return "strconv.ParseFloat: parsing " + model::QuoteString(token) + ": " + why;
}

}  // namespace

namespace number_internal {

const char* ParseLongDecimal(const char* begin, const char* end, double* value) {
  const auto result = fast_float::from_chars(begin, end, *value);
  if (result.ec != std::errc() || result.ptr != end || std::isinf(*value)) return nullptr;
  return end;
}

}  // namespace number_internal

std::string ParseNumber(std::string_view token, double* value) {
  if (const char* end = ParseDecimal(token.data(), token.data() + token.size(), value);
      end == token.data() + token.size() && !token.empty()) {
    return {};
  }
  if (token.find_first_of("pP_") != std::string_view::npos) {
    return "unsupported character in float";
  }
  if (ParseSpecial(token, value)) return {};
  if (!IsDecimal(token)) return Failure(token, "invalid syntax");
  if (token[0] == '+') token.remove_prefix(1);
  const auto result = fast_float::from_chars(token.data(), token.data() + token.size(), *value);
  if (std::isinf(*value)) return Failure(token, "value out of range");
  if (result.ptr != token.data() + token.size()) return Failure(token, "invalid syntax");
  return {};
}

std::string FormatBound(double value) {
  std::string text = FormatFloatGo(value);
  if (std::isfinite(value) && text.find_first_of("e.") == std::string::npos) text += ".0";
  return text;
}

}  // namespace tocsin::collector
