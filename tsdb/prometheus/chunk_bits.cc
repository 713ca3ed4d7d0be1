#include "tsdb/prometheus/chunk_bits.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "base/bytes.h"

namespace tocsin::tsdb {
namespace {

constexpr std::array<unsigned, 9> kVarbitBits = {0, 3, 6, 9, 12, 18, 25, 56, 64};

// A zero threshold of 2^e, -243 ≤ e ≤ 10, is the byte e + 244; frexp's exponent is one more.
constexpr int kThresholdExponentMin = -242;
constexpr int kThresholdExponentMax = 11;
constexpr uint64_t kThresholdPlain = 255;

// Bounds up to this, in thousandths, are varbit integers.
constexpr double kCustomBoundMax = 33554430;

unsigned ReadVarbitWidth(BitReader& in) {
  size_t ones = 0;
  while (ones < 8 && in.Bit()) ++ones;
  return kVarbitBits[ones];
}

void WriteVarbitPrefix(BitWriter& out, size_t ones) {
  if (ones == 8) {
    out.Bits(0xff, 8);
  } else {
    out.Bits(((uint64_t{1} << ones) - 1) << 1, static_cast<unsigned>(ones) + 1);
  }
}

uint64_t LowBits(uint64_t v, unsigned count) {
  return count == 64 ? v : v & ((uint64_t{1} << count) - 1);
}

}  // namespace

int64_t ReadVarbitInt(BitReader& in) {
  const unsigned bits = ReadVarbitWidth(in);
  return bits == 0 ? 0 : SignedOf(in.Bits(bits), bits);
}

uint64_t ReadVarbitUint(BitReader& in) {
  const unsigned bits = ReadVarbitWidth(in);
  return bits == 0 ? 0 : in.Bits(bits);
}

void WriteVarbitInt(BitWriter& out, int64_t v) {
  size_t ones = 0;
  if (v != 0) {
    ones = 1;
    while (ones < 8 && !FitsSigned(v, kVarbitBits[ones])) ++ones;
  }
  WriteVarbitPrefix(out, ones);
  out.Bits(LowBits(static_cast<uint64_t>(v), kVarbitBits[ones]), kVarbitBits[ones]);
}

void WriteVarbitUint(BitWriter& out, uint64_t v) {
  size_t ones = 0;
  while (ones < 8 && v >> kVarbitBits[ones] != 0) ++ones;
  WriteVarbitPrefix(out, ones);
  out.Bits(v, kVarbitBits[ones]);
}

uint64_t ReadUvarintBits(BitReader& in, bool* ok) {
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const uint64_t byte = in.Bits(8);
    if (shift == 63 && byte > 1) break;
    v |= (byte & 0x7f) << shift;
    if (byte < 0x80) return v;
  }
  *ok = false;
  return 0;
}

int64_t ReadVarintBits(BitReader& in, bool* ok) { return UnZigZag(ReadUvarintBits(in, ok)); }

void WriteUvarintBits(BitWriter& out, uint64_t v) {
  while (v >= 0x80) {
    out.Bits((v & 0x7f) | 0x80, 8);
    v >>= 7;
  }
  out.Bits(v, 8);
}

void WriteVarintBits(BitWriter& out, int64_t v) { WriteUvarintBits(out, ZigZag(v)); }

double ReadZeroThreshold(BitReader& in) {
  const uint64_t code = in.Bits(8);
  if (code == 0) return 0;
  if (code == kThresholdPlain) return std::bit_cast<double>(in.Bits(64));
  return std::ldexp(0.5, static_cast<int>(code) + kThresholdExponentMin - 1);
}

void WriteZeroThreshold(BitWriter& out, double threshold) {
  if (std::bit_cast<uint64_t>(threshold) == 0) return out.Bits(0, 8);
  int exponent = 0;
  if (std::isfinite(threshold) && std::frexp(threshold, &exponent) == 0.5 &&
      exponent >= kThresholdExponentMin && exponent <= kThresholdExponentMax) {
    return out.Bits(static_cast<uint64_t>(exponent - kThresholdExponentMin + 1), 8);
  }
  out.Bits(kThresholdPlain, 8);
  out.Bits(std::bit_cast<uint64_t>(threshold), 64);
}

double ReadCustomBound(BitReader& in) {
  const uint64_t code = ReadVarbitUint(in);
  if (code == 0) return std::bit_cast<double>(in.Bits(64));
  return static_cast<double>(code - 1) / 1000;
}

void WriteCustomBound(BitWriter& out, double bound) {
  const double thousandths = bound * 1000;
  if (thousandths >= 0 && thousandths <= kCustomBoundMax && !std::signbit(bound) &&
      thousandths == std::floor(thousandths) && thousandths / 1000 == bound) {
    return WriteVarbitUint(out, static_cast<uint64_t>(thousandths) + 1);
  }
  out.Bit(false);
  out.Bits(std::bit_cast<uint64_t>(bound), 64);
}

bool XorDecoder::Next(BitReader& in) {
  if (!in.Bit()) return true;
  if (in.Bit()) return NewWindow(in);
  SameWindow(in);
  return true;
}

void XorDecoder::SameWindow(BitReader& in) {
  bits_ ^= in.Bits(64 - leading_ - trailing_) << trailing_;
}

bool XorDecoder::NewWindow(BitReader& in) {
  const auto leading = static_cast<unsigned>(in.Bits(5));
  auto length = static_cast<unsigned>(in.Bits(6));
  if (length == 0) length = 64;
  if (leading + length > 64) return false;
  leading_ = leading;
  trailing_ = 64 - leading - length;
  bits_ ^= in.Bits(length) << trailing_;
  return true;
}

void XorEncoder::Next(BitWriter& out, double value) {
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  const uint64_t x = bits ^ bits_;
  bits_ = bits;
  if (x == 0) return out.Bit(false);
  out.Bit(true);
  const unsigned leading = std::min(static_cast<unsigned>(std::countl_zero(x)), 31U);
  const auto trailing = static_cast<unsigned>(std::countr_zero(x));
  if (leading_ != 64 && leading >= leading_ && trailing >= trailing_) {
    out.Bit(false);
    return out.Bits(x >> trailing_, 64 - leading_ - trailing_);
  }
  leading_ = leading;
  trailing_ = trailing;
  const unsigned length = 64 - leading - trailing;
  out.Bit(true);
  out.Bits(leading, 5);
  out.Bits(length & 63, 6);
  out.Bits(x >> trailing, length);
}

}  // namespace tocsin::tsdb
