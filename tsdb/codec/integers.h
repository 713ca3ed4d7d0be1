// The integer column codec: timestamps, decimal mantissas and start timestamps. Lossless for every
// int64_t sequence (differences wrap modulo 2^64).
//
//   head      u8: bits 0–1 order of differences (0, 1, 2) · bit 2 zigzag · bit 3 has divisor ·
//             bit 4 entropy
//   first     order ≥ 1: signed varint, value 0 · order 2 and count > 1: signed varint, value 1 -
//             value 0
//   base      signed varint, unless zigzag
//   divisor   varint ≥ 2, if bit 3: every residual is a multiple of it (memory comes in pages)
//   residual  r = base + u × divisor, or unzigzag(u) × divisor; values are r summed up `order`
//             times
//   with entropy, all residuals u as entropy.h has them; else
//   blocks    of 128 residuals u:
//     width     u8: bits 0–6 bits a residual (0 … 64) · bit 7 has outliers
//     bits      ⌈count × width / 8⌉ bytes, lowest bit first (bits.h)
//     outliers, if bit 7: u8 count, then each: u8 position, varint u >> width
//
// The count is not stored: who holds the column knows it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace tocsin::tsdb {

inline constexpr size_t kIntegerBlock = 128;

// How long an encoder may look for the smallest form. Half hours and quarters of days are read most
// and rewritten soon: blocks of bits. A day is kept: entropy coding too, where it saves enough.
enum class Effort : uint8_t { kFast, kSmall };

void EncodeIntegers(std::span<const int64_t> values, Effort effort, std::string* out);
// Reads `count` values. False, and the reader failed, when the bytes are not such a column.
[[nodiscard]] bool DecodeIntegers(ByteReader* in, size_t count, int64_t* out);

}  // namespace tocsin::tsdb
