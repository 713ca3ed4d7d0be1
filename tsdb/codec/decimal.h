// The decimal codecs: doubles that are, or nearly are, k / 10^e for one e a column become integers.
// Most real metrics are: counts, bytes, seconds with a few digits. What does not fit (NaN, stale
// markers, -0, infinities, noise) is an exception stored by its bits; runs of one pattern are
// stored once.
//
// Decimal: every value but the exceptions is k / 10^e.
//
//   exponent    u8, e ≤ 15
//   exceptions  varint count of runs, then each: varint values since the end of the last run,
//               varint length, fixed64 bits
//   mantissas   an integer column (integers.h); a value that is an exception repeats the one before
//
// Exact because k / 10^e is one correctly rounded division of two exact doubles, tested when
// encoding.
//
// Scaled: exporters that compute x * 0.001 or x / 1e3 / 1e3, or add up durations, miss the decimal
// by a few ulps; and a histogram's bucket is much like the one before it.
//
//   head        u8: bits 0–3 exponent e · bits 4–5 the way from k to a double: 0 k / 10^e ·
//               1 k × 10^-e, with the double next to 10^-e · 2 k / 10^(e-3) / 1000, e ≥ 3
//               · bit 6 ulps · bit 7 residual
//   exceptions, mantissas   as above; with bit 7, what is stored is k - p, where p is the
//               reference's value of the same place times 10^e, rounded to the nearest whole number
//               (ties to even), or 0 where that is not below 2^53 in magnitude
//   ulps        if bit 6, an integer column: the value's bits minus the bits of what k gives,
//               modulo 2^64
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tsdb/codec/integers.h"

namespace tocsin::tsdb {

// False, with `out` as it was, when too many values are no decimals for this to pay.
[[nodiscard]] bool EncodeDecimal(std::span<const double> values, Effort effort, std::string* out);
[[nodiscard]] bool DecodeDecimal(std::string_view bytes, size_t count, double* out);

// With ulps: false, with `out` as it was, when the values are not near decimals.
[[nodiscard]] bool EncodeScaled(std::span<const double> values, Effort effort, std::string* out);
// Against a reference of as many values; true decimals only.
[[nodiscard]] bool EncodeResidual(std::span<const double> values, std::span<const double> reference,
                                  Effort effort, std::string* out);
// The smaller of EncodeDecimal and EncodeResidual. `reference` may be empty.
[[nodiscard]] bool EncodeDecimalOrResidual(std::span<const double> values,
                                           std::span<const double> reference, Effort effort,
                                           std::string* out, bool* residual);
// `reference`: of `count` values, or empty where there is none.
[[nodiscard]] bool DecodeScaled(std::string_view bytes, size_t count,
                                std::span<const double> reference, double* out);
bool ScaledByReference(std::string_view bytes);

// One double as mantissa / 10^exponent.
struct Decimal {
  unsigned exponent = 0;
  int64_t mantissa = 0;
};
// With the fewest digits behind the point; nothing for what is no decimal.
std::optional<Decimal> ShortestDecimal(double value);
// Nothing when the exponent is too large.
std::optional<double> FromDecimal(const Decimal& decimal);

}  // namespace tocsin::tsdb
