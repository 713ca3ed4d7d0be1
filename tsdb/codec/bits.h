// Bit packing: numbers of one width end to end, lowest bit first. Unpacking uses AVX2 where the
// processor has it, found out once at run time; the bytes and the numbers are the same without.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace tocsin::tsdb {

// Appends ⌈count × width / 8⌉ bytes; of each value, its low `width` ≤ 64 bits.
void PackBits(std::span<const uint64_t> values, unsigned width, std::string* out);

// Bytes behind the packed ones that must be readable: loads are wide.
inline constexpr size_t kUnpackSlack = 32;
// Width 1 … 64.
void UnpackBits(const char* bytes, unsigned width, size_t count, uint64_t* out);
// The same without AVX2: for tests, which compare.
void UnpackBitsPlain(const char* bytes, unsigned width, size_t count, uint64_t* out);

}  // namespace tocsin::tsdb
