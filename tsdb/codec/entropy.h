// Entropy coding of unsigned numbers: rANS over tokens, the rest of each number as raw bits.
//
// A number becomes a token, which says how large it is and its leading bits, and raw bits, which
// are the others: small numbers are tokens whole. Tokens are coded by how often they come (range
// asymmetric numeral systems: J. Duda, "Asymmetric numeral systems", arXiv:1311.2540), with
// frequencies in 1,024ths; two coders take turns, so that a processor works at both.
//
//   table   bits, lowest first, padded to a byte:
//     config 2 · symbols - 1, 8 bits · each symbol: gap to the one before, as the Elias gamma code
//     of gap + 1 (gap from -1 for the first) · its frequency - 1, unless it is the last: 4 bits
//     length n, then n - 1 bits below the leading one (n = 0: zero)
//   states  u32 each: one below kTwoStates numbers, else two
//   words   u16 each, read when a state falls below 2^16
//   raw     ⌈bits / 8⌉ bytes, lowest bit first, in order of the numbers
//
// Config c has (direct, leading) = (4, 2), (4, 1), (2, 1), (1, 0): u < 2^direct is token u; else,
// with n = bit width of u - 1, the token is 2^direct + (n - direct) × 2^leading + the `leading`
// bits below the highest one, and the n - leading lowest bits are raw. Number i belongs to state i
// mod states. Decoding ends with every state 2^16: a check of its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/bytes.h"

namespace tocsin::tsdb {

inline constexpr size_t kTokens = 256;
inline constexpr size_t kTwoStates = 512;

// Tokens of the finest config by number.
using TokenCounts = std::array<uint32_t, kTokens>;
unsigned TokenOf(uint64_t u);

// About the bits that numbers of these tokens take: a bound that needs no plan.
double EntropyOf(const TokenCounts& counts);

struct EntropyPlan {
  unsigned config = 0;
  uint64_t bits = UINT64_MAX;  // of all that is written
  std::array<uint16_t, kTokens> frequencies{};
};
// The config that codes numbers of these tokens smallest. One symbol at least.
EntropyPlan PlanEntropy(const TokenCounts& counts);
void EncodeEntropy(std::span<const uint64_t> numbers, const EntropyPlan& plan, std::string* out);
// False, and the reader failed, when the bytes are not `count` ≥ 1 numbers.
[[nodiscard]] bool DecodeEntropy(ByteReader* in, size_t count, uint64_t* out);

}  // namespace tocsin::tsdb
