#include "tsdb/codec/bits.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tocsin::tsdb {
namespace {

// An unaligned load of 8 bytes holds this many bits from any bit position on.
constexpr unsigned kLoadBits = 57;

#if defined(__x86_64__)

// Eight numbers take `width` bytes, so their places within those repeat. Two neighbours lie in 16
// bytes, from which a shuffle brings each one's 8 bytes into its word; a shift and a mask do the
// rest.
struct Places {
  alignas(32) std::array<std::array<uint8_t, 32>, 2> shuffle;  // four numbers each
  alignas(32) std::array<std::array<uint64_t, 4>, 2> shift;
  std::array<uint8_t, 4> offset;  // of the 16 bytes of each pair
};

// 16 bytes hold two numbers of this width at any place.
constexpr unsigned kPairBits = 56;

constexpr std::array<Places, kPairBits + 1> kPlaces = [] {
  std::array<Places, kPairBits + 1> all{};
  for (unsigned width = 1; width <= kPairBits; ++width) {
    Places& p = all[width];
    for (unsigned pair = 0; pair < 4; ++pair) {
      p.offset[pair] = static_cast<uint8_t>(pair * 2 * width / 8);
      for (unsigned i = 0; i < 2; ++i) {
        const unsigned bit = (pair * 2 + i) * width;
        const unsigned word = (pair % 2) * 2 + i;
        p.shift[pair / 2][word] = bit % 8;
        for (unsigned b = 0; b < 8; ++b) {
          const unsigned from = bit / 8 - p.offset[pair] + b;
          p.shuffle[pair / 2][word * 8 + b] = from < 16 ? static_cast<uint8_t>(from) : 0x80;
        }
      }
    }
  }
  return all;
}();

TOCSIN_AVX2 void UnpackBitsAvx2(const char* bytes, unsigned width, size_t count, uint64_t* out) {
  const Places& p = kPlaces[width];
  const __m256i mask = _mm256_set1_epi64x(static_cast<int64_t>((uint64_t{1} << width) - 1));
  const auto* shuffles = reinterpret_cast<const __m256i*>(p.shuffle.data());
  const auto* shifts = reinterpret_cast<const __m256i*>(p.shift.data());
  const __m256i shuffle[2] = {_mm256_load_si256(shuffles), _mm256_load_si256(shuffles + 1)};
  const __m256i shift[2] = {_mm256_load_si256(shifts), _mm256_load_si256(shifts + 1)};
  size_t i = 0;
  for (; i + 8 <= count; i += 8, bytes += width) {
    for (unsigned half = 0; half < 2; ++half) {
      const auto* low = reinterpret_cast<const __m128i*>(bytes + p.offset[2 * half]);
      const auto* high = reinterpret_cast<const __m128i*>(bytes + p.offset[2 * half + 1]);
      __m256i v = _mm256_loadu2_m128i(high, low);
      v = _mm256_and_si256(_mm256_srlv_epi64(_mm256_shuffle_epi8(v, shuffle[half]), shift[half]),
                           mask);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i + 4 * half), v);
    }
  }
  UnpackBitsPlain(bytes, width, count - i, out + i);
}

#endif

}  // namespace

bool HasAvx2() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                          __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("lzcnt");
  return has;
#else
  return false;
#endif
}

void PackBits(std::span<const uint64_t> values, unsigned width, std::string* out) {
  if (width == 0) return;
  const uint64_t mask = width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
  uint64_t buffer = 0;
  unsigned used = 0;
  for (const uint64_t value : values) {
    const uint64_t v = value & mask;
    buffer |= v << used;
    if (used + width < 64) {
      used += width;
      continue;
    }
    PutFixed64(*out, buffer);
    const unsigned taken = 64 - used;
    buffer = taken == 64 ? 0 : v >> taken;
    used = width - taken;
    if (used == 0) buffer = 0;
  }
  for (; used > 0; used -= std::min(used, 8u)) {
    out->push_back(static_cast<char>(buffer));
    buffer >>= 8;
  }
}

void UnpackBitsPlain(const char* bytes, unsigned width, size_t count, uint64_t* out) {
  if (width <= kLoadBits) {
    const uint64_t mask = (uint64_t{1} << width) - 1;
    size_t bit = 0;
    for (size_t i = 0; i < count; ++i, bit += width) {
      out[i] = LoadFixed<uint64_t>(bytes + bit / 8) >> (bit % 8) & mask;
    }
    return;
  }
  const uint64_t mask = width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
  size_t bit = 0;
  for (size_t i = 0; i < count; ++i, bit += width) {
    const auto shift = static_cast<unsigned>(bit % 8);
    uint64_t v = LoadFixed<uint64_t>(bytes + bit / 8) >> shift;
    if (shift > 0) {
      v |= uint64_t{static_cast<uint8_t>(bytes[bit / 8 + 8])} << (64 - shift);
    }
    out[i] = v & mask;
  }
}

void UnpackBits(const char* bytes, unsigned width, size_t count, uint64_t* out) {
#if defined(__x86_64__)
  if (width <= kPairBits && HasAvx2()) return UnpackBitsAvx2(bytes, width, count, out);
#endif
  UnpackBitsPlain(bytes, width, count, out);
}

}  // namespace tocsin::tsdb
