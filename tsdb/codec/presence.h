// Presence: which of n rows a column has a sample at.
//
//   varint present
//   if 0 < present < n: u8 form (0 bitmap, 1 runs), then
//     bitmap  ⌈n / 8⌉ bytes, lowest bit first
//     runs    varint absent, varint present, varint absent, … until n rows are told; the first may
//     be 0
//
// The encoder takes what is smaller: series come and go in runs, pushes mix.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace tocsin::tsdb {

// `rows`: strictly ascending, below `row_count`.
void EncodePresence(std::span<const uint32_t> rows, size_t row_count, std::string* out);
// Replaces `rows`. *full (then `rows` stays empty): every row is present.
[[nodiscard]] bool DecodePresence(ByteReader* in, size_t row_count, bool* full,
                                  std::vector<uint32_t>* rows);

}  // namespace tocsin::tsdb
