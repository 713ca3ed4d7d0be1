// The ordered codec: doubles by their bits, as integers of the same order as the numbers (negative
// ones count down), in an integer column. Noise of one magnitude keeps the bits that are noise.
//
//   word  bits, if the sign bit is 0; else bits XOR 0x7fffffffffffffff: taken as an int64_t, these
//         ascend as the doubles do
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "tsdb/codec/integers.h"

namespace tocsin::tsdb {

void EncodeOrdered(std::span<const double> values, Effort effort, std::string* out);
[[nodiscard]] bool DecodeOrdered(std::string_view bytes, size_t count, double* out);

}  // namespace tocsin::tsdb
