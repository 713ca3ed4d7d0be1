// The decimal codec: doubles that are k / 10^e exactly, for one e a column, become integers. Most
// real metrics are: counts, bytes, seconds with a few digits. What does not fit (NaN, stale
// markers, -0, infinities, noise) is an exception stored by its bits; runs of one pattern are
// stored once.
//
//   exponent    u8, e
//   exceptions  varint count of runs, then each: varint rows since the end of the last run,
//               varint length, fixed64 bits
//   mantissas   an integer column (integers.h); a row with an exception repeats the one before
//
// Exact because k / 10^e is one correctly rounded division of two exact doubles, tested when
// encoding.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace tocsin::tsdb {

// False, with `out` as it was, when too many values are no decimals for this to pay.
[[nodiscard]] bool EncodeDecimal(std::span<const double> values, std::string* out);
[[nodiscard]] bool DecodeDecimal(std::string_view bytes, size_t count, double* out);

}  // namespace tocsin::tsdb
