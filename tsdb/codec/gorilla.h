// Gorilla: the XOR codec for doubles that are no decimals (float walks, ratios). Bit-exact for
// every 64-bit pattern. Scheme: T. Pelkonen et al., "Gorilla: A Fast, Scalable, In-Memory Time
// Series Database", VLDB 2015, section 4.1.2, over a whole column at once and without timestamps.
//
//   bits, highest first: value 0 in 64 bits, then for each value, x = bits XOR the previous one's:
//   0                                      x = 0
//   10 · payload                           x's significant bits lie in the window of the last "11"
//   11 · leading:5 · length-1:6 · payload  a new window: `leading` zeros (31 at most), `length`
//   bits
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace tocsin::tsdb {

void EncodeGorilla(std::span<const double> values, std::string* out);
// False when `bytes` hold fewer values than `count`, or an impossible window.
[[nodiscard]] bool DecodeGorilla(std::string_view bytes, size_t count, double* out);

}  // namespace tocsin::tsdb
