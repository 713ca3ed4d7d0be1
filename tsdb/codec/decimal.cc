#include "tsdb/codec/decimal.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "tsdb/codec/integers.h"

namespace tocsin::tsdb {
namespace {

// Powers of ten up to 10^22 are exact doubles; 15 digits is what a double holds anyway.
constexpr unsigned kExponentMax = 15;
constexpr std::array<double, kExponentMax + 1> kPowers = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
// Above 2^53 a scaled mantissa is no longer exact; whole numbers are, up to the integer's range.
constexpr double kMantissaMax = 9007199254740992.0;
constexpr double kWholeMax = 9.2e18;
// More exceptions than one value in so many: XOR is the better codec.
constexpr size_t kExceptionShare = 4;
constexpr size_t kProbes = 8;

bool SameBits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

// k with k / 10^e == v, bit for bit.
std::optional<int64_t> Mantissa(double v, unsigned e) {
  const double scaled = v * kPowers[e];
  // Written so that NaN fails.
  if (!(std::fabs(scaled) < (e == 0 ? kWholeMax : kMantissaMax))) return std::nullopt;
  const double rounded = std::nearbyint(scaled);
  const auto k = static_cast<int64_t>(rounded);
  const double back = e == 0 ? static_cast<double>(k) : static_cast<double>(k) / kPowers[e];
  if (!SameBits(back, v)) return std::nullopt;
  return k;
}

// The smallest exponent from `from` on that makes `v` a decimal.
std::optional<unsigned> ExponentOf(double v, unsigned from) {
  for (unsigned e = from; e <= kExponentMax; ++e) {
    if (Mantissa(v, e)) return e;
  }
  return std::nullopt;
}

// Looks at a few values before any work on all of them.
std::optional<unsigned> ProbeExponent(std::span<const double> values) {
  unsigned exponent = 0;
  size_t misses = 0;
  const size_t probes = std::min(kProbes, values.size());
  for (size_t i = 0; i < probes; ++i) {
    const std::optional<unsigned> e = ExponentOf(values[i * values.size() / probes], exponent);
    if (e) {
      exponent = *e;
    } else {
      ++misses;
    }
  }
  if (misses * 2 > probes) return std::nullopt;
  return exponent;
}

struct Exceptions {
  std::string bytes;
  size_t runs = 0;
  size_t end = 0;  // of the last run

  void Add(size_t begin, size_t length, uint64_t bits) {
    PutVarint(bytes, begin - end);
    PutVarint(bytes, length);
    PutFixed64(bytes, bits);
    ++runs;
    end = begin + length;
  }
};

}  // namespace

bool EncodeDecimal(std::span<const double> values, std::string* out) {
  const std::optional<unsigned> probed = ProbeExponent(values);
  if (!probed) return false;
  unsigned exponent = *probed;
  std::vector<int64_t> mantissas(values.size());
  const size_t allowed = values.size() / kExceptionShare;
  size_t count = 0;
  for (size_t i = 0; i < values.size();) {
    const std::optional<int64_t> k = Mantissa(values[i], exponent);
    if (k) {
      mantissas[i++] = *k;
      continue;
    }
    const std::optional<unsigned> e =
        exponent < kExponentMax ? ExponentOf(values[i], exponent + 1) : std::nullopt;
    if (e) {  // more digits than probed: start again with them
      exponent = *e;
      count = 0;
      i = 0;
      continue;
    }
    if (++count > allowed) return false;
    mantissas[i] = i == 0 ? 0 : mantissas[i - 1];
    ++i;
  }
  Exceptions exceptions;
  if (count > 0) {
    for (size_t i = 0; i < values.size();) {
      if (Mantissa(values[i], exponent)) {
        ++i;
        continue;
      }
      size_t end = i + 1;
      while (end < values.size() && SameBits(values[end], values[i])) ++end;
      exceptions.Add(i, end - i, std::bit_cast<uint64_t>(values[i]));
      i = end;
    }
  }
  PutFixed8(*out, static_cast<uint8_t>(exponent));
  PutVarint(*out, exceptions.runs);
  out->append(exceptions.bytes);
  EncodeIntegers(mantissas, out);
  return true;
}

bool DecodeDecimal(std::string_view bytes, size_t count, double* out) {
  ByteReader in(bytes);
  const unsigned exponent = in.Fixed8();
  const uint64_t runs = in.Varint();
  if (!in.ok() || exponent > kExponentMax || runs > count) return false;
  ByteReader exceptions = in;
  for (uint64_t i = 0; i < runs; ++i) {
    in.Varint();
    in.Varint();
    in.Fixed64();
  }
  if (!in.ok()) return false;
  static_assert(sizeof(int64_t) == sizeof(double));
  auto* mantissas = reinterpret_cast<int64_t*>(out);
  if (!DecodeIntegers(&in, count, mantissas)) return false;
  const double power = kPowers[exponent];
  if (exponent == 0) {
    for (size_t i = 0; i < count; ++i) {
      out[i] = static_cast<double>(LoadFixed<int64_t>(reinterpret_cast<const char*>(out + i)));
    }
  } else {
    for (size_t i = 0; i < count; ++i) {
      out[i] =
          static_cast<double>(LoadFixed<int64_t>(reinterpret_cast<const char*>(out + i))) / power;
    }
  }
  size_t at = 0;
  for (uint64_t i = 0; i < runs; ++i) {
    const uint64_t gap = exceptions.Varint();
    const uint64_t length = exceptions.Varint();
    const double value = exceptions.Double();
    if (gap > count - at || length > count - at - gap) return false;
    std::fill_n(out + at + gap, length, value);
    at += gap + length;
  }
  return true;
}

}  // namespace tocsin::tsdb
