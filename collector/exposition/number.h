// Numbers of exposition formats: decimal text to double, exact, and the grammar of the reference
// implementation (Go's strconv.ParseFloat without hexadecimal and underscores).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tocsin::collector {

namespace number_internal {
// Powers of ten that are exact doubles.
inline constexpr double kPowersOfTen[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                          1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                          1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
inline bool IsDigit(char c) { return static_cast<unsigned char>(c - '0') < 10; }
// Correctly rounded for any mantissa of at most 19 digits: [begin, end) is its text.
const char* ParseLongDecimal(const char* begin, const char* end, double* value);
}  // namespace number_internal

// Reads the plain decimal number (-12, 0.5, 1e-7) at `p`; returns the first byte behind it, or null
// when this is not one that can be read at once (specials, more than 19 digits, malformed): the
// caller then cuts the token and asks ParseNumber. Exact: a mantissa up to 2^53 scaled by a power
// of ten up to 10^22 takes one correctly rounded operation; longer ones go to fast_float.
inline const char* ParseDecimal(const char* p, const char* end, double* value) {
  using number_internal::IsDigit;
  const char* const begin = p;
  const bool negative = p != end && *p == '-';
  p += negative;
  uint64_t mantissa = 0;
  const char* const integer = p;
  while (p != end && IsDigit(*p)) mantissa = mantissa * 10 + static_cast<uint64_t>(*p++ - '0');
  auto digits = p - integer;
  int64_t exponent = 0;
  if (p != end && *p == '.') {
    const char* const fraction = ++p;
    while (p != end && IsDigit(*p)) mantissa = mantissa * 10 + static_cast<uint64_t>(*p++ - '0');
    exponent = fraction - p;
    digits += p - fraction;
  }
  if (digits == 0 || digits > 19) return nullptr;
  if (p != end && (*p | 0x20) == 'e') {
    ++p;
    const bool negative_exponent = p != end && *p == '-';
    if (p != end && (*p == '-' || *p == '+')) ++p;
    const char* const first = p;
    int64_t written = 0;
    while (p != end && IsDigit(*p) && p - first < 5) written = written * 10 + (*p++ - '0');
    if (p == first || p - first == 5) return nullptr;
    exponent += negative_exponent ? -written : written;
  }
  if (mantissa > (uint64_t{1} << 53) || exponent < -22 || exponent > 22) [[unlikely]] {
    return number_internal::ParseLongDecimal(begin, p, value);
  }
  const auto magnitude = static_cast<double>(mantissa);
  const double scaled = exponent < 0 ? magnitude / number_internal::kPowersOfTen[-exponent]
                                     : magnitude * number_internal::kPowersOfTen[exponent];
  *value = negative ? -scaled : scaled;
  return p;
}

// A whole token: decimal, inf, infinity, nan in any case. "" = fine, else what Prometheus says:
// `strconv.ParseFloat: parsing "x": invalid syntax`. NaN comes out as model::NormalNan().
std::string ParseNumber(std::string_view token, double* value);

// "0.5", "1.0", "1e+06", "+Inf": the spelling that `le` and `quantile` are brought to.
std::string FormatBound(double value);

}  // namespace tocsin::collector
