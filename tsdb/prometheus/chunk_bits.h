// The bit codes inside Prometheus' chunks, reading and writing: varbit integers, XORed doubles,
// zero thresholds and custom bounds. Bits run from the highest of a byte to the lowest.
//
//   varbit       0 | 10 + 3 bits | 110 + 6 | 1110 + 9 | 11110 + 12 | 111110 + 18 | 1111110 + 25 |
//                11111110 + 56 | 11111111 + 64. A signed value of n bits lies in (-2^(n-1),
//                2^(n-1)].
//   XOR          0 same | 10 bits inside the last window | 11, 5 bits leading zeros, 6 bits length
//                (0 = 64), bits
#pragma once

#include <cstdint>

#include "base/bitstream.h"

namespace tocsin::tsdb {

// Signed number of `bits` bits as above: the highest pattern is positive.
inline int64_t SignedOf(uint64_t raw, unsigned bits) {
  if (bits < 64 && raw > uint64_t{1} << (bits - 1)) raw -= uint64_t{1} << bits;
  return static_cast<int64_t>(raw);
}
inline bool FitsSigned(int64_t v, unsigned bits) {
  const int64_t half = int64_t{1} << (bits - 1);
  return v > -half && v <= half;
}

int64_t ReadVarbitInt(BitReader& in);
uint64_t ReadVarbitUint(BitReader& in);
void WriteVarbitInt(BitWriter& out, int64_t v);
void WriteVarbitUint(BitWriter& out, uint64_t v);

// Bytes of a Go varint at any bit position. A number of more than 64 bits sets `*ok` to false.
uint64_t ReadUvarintBits(BitReader& in, bool* ok);
int64_t ReadVarintBits(BitReader& in, bool* ok);
void WriteUvarintBits(BitWriter& out, uint64_t v);
void WriteVarintBits(BitWriter& out, int64_t v);

double ReadZeroThreshold(BitReader& in);
void WriteZeroThreshold(BitWriter& out, double threshold);
double ReadCustomBound(BitReader& in);
void WriteCustomBound(BitWriter& out, double bound);

// A stream of doubles, each XORed with the one before.
class XorDecoder {
 public:
  void Start(double first) { bits_ = std::bit_cast<uint64_t>(first); }
  // False when the window is nonsense.
  [[nodiscard]] bool Next(BitReader& in);
  // The two forms without the first bit(s), for XOR2.
  void SameWindow(BitReader& in);
  [[nodiscard]] bool NewWindow(BitReader& in);
  double value() const { return std::bit_cast<double>(bits_); }

 private:
  uint64_t bits_ = 0;
  unsigned leading_ = 0;
  unsigned trailing_ = 0;
};

class XorEncoder {
 public:
  void Start(double first) { bits_ = std::bit_cast<uint64_t>(first); }
  void Next(BitWriter& out, double value);

 private:
  uint64_t bits_ = 0;
  unsigned leading_ = 64;  // no window yet
  unsigned trailing_ = 0;
};

}  // namespace tocsin::tsdb
