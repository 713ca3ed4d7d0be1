// Bit packing: numbers of one width end to end, lowest bit first. Unpacking uses AVX2 where the
// processor has it, found out once at run time; the bytes and the numbers are the same without.
// So do other loops of the codecs: theirs are compiled twice from one body.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace tocsin::tsdb {

// Of functions that run only where HasAvx2() is true.
#if defined(__x86_64__)
#define TOCSIN_AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt")))
#else
#define TOCSIN_AVX2
#endif
// The processor has these four.
bool HasAvx2();

// Appends ⌈count × width / 8⌉ bytes; of each value, its low `width` ≤ 64 bits.
void PackBits(std::span<const uint64_t> values, unsigned width, std::string* out);

// Bytes behind the packed ones that must be readable: loads are wide.
inline constexpr size_t kUnpackSlack = 32;
// Width 1 … 64.
void UnpackBits(const char* bytes, unsigned width, size_t count, uint64_t* out);
// The same without AVX2: for tests, which compare.
void UnpackBitsPlain(const char* bytes, unsigned width, size_t count, uint64_t* out);

}  // namespace tocsin::tsdb
