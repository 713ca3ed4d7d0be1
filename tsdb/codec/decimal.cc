#include "tsdb/codec/decimal.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "tsdb/codec/bits.h"
#include "tsdb/codec/integers.h"
#include "tsdb/codec/scratch.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

// Exceptions of a column as they are stored: runs of one pattern.
class Exceptions {
 public:
  void Add(size_t place, double value) {
    const auto bits = std::bit_cast<uint64_t>(value);
    if (length_ > 0 && place == begin_ + length_ && bits == bits_) {
      ++length_;
      return;
    }
    EndRun();
    begin_ = place;
    length_ = 1;
    bits_ = bits;
  }
  void Put(std::string* out) {
    EndRun();
    PutVarint(*out, runs_);
    out->append(bytes_);
  }

 private:
  void EndRun() {
    if (length_ == 0) return;
    PutVarint(bytes_, begin_ - end_);
    PutVarint(bytes_, length_);
    PutFixed64(bytes_, bits_);
    ++runs_;
    end_ = begin_ + length_;
    length_ = 0;
  }

  std::string bytes_;
  size_t runs_ = 0;
  size_t end_ = 0;  // of the last run written
  size_t begin_ = 0;
  size_t length_ = 0;
  uint64_t bits_ = 0;
};

// The runs are told over before anything is written; `at` then walks them.
bool SkipExceptions(ByteReader* in, size_t count, uint64_t* runs) {
  *runs = in->Varint();
  if (!in->ok() || *runs > count) return false;
  for (uint64_t i = 0; i < *runs; ++i) {
    in->Varint();
    in->Varint();
    in->Fixed64();
  }
  return in->ok();
}

bool ApplyExceptions(ByteReader exceptions, size_t count, double* out) {
  const uint64_t runs = exceptions.Varint();
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

struct Mantissas {
  unsigned exponent = 0;
  Scratch<int64_t> memory;
  std::span<int64_t> values;
  Exceptions exceptions;
  size_t exception_count = 0;
};

// Values whose mantissas are found together, without a branch for each.
constexpr size_t kMantissaRun = 16;

// Adding this to a number below 2^51 in magnitude rounds it to whole, as nearbyint does, and leaves
// it in the low bits of the sum.
constexpr double kRounder = 6755399441055744.0;  // 1.5 × 2^52
constexpr double kRounderMax = 2251799813685248.0;

// Mantissas of a run; false when one of its values must be looked at by itself.
[[gnu::always_inline]] inline bool RunOfMantissasBody(const double* values, double power,
                                                      int64_t* out) {
  uint64_t bad = 0;
  for (size_t i = 0; i < kMantissaRun; ++i) {
    const double scaled = values[i] * power;
    const double sum = scaled + kRounder;
    out[i] = static_cast<int64_t>(std::bit_cast<uint64_t>(sum) - std::bit_cast<uint64_t>(kRounder));
    const double back = (sum - kRounder) / power;
    bad |= std::bit_cast<uint64_t>(back) ^ std::bit_cast<uint64_t>(values[i]);
    // Written so that NaN fails.
    bad |= std::fabs(scaled) < kRounderMax ? 0 : 1;
  }
  return bad == 0;
}
TOCSIN_AVX2 bool RunOfMantissasAvx2(const double* values, double power, int64_t* out) {
  return RunOfMantissasBody(values, power, out);
}
bool RunOfMantissas(const double* values, double power, int64_t* out) {
  return HasAvx2() ? RunOfMantissasAvx2(values, power, out)
                   : RunOfMantissasBody(values, power, out);
}

bool FindMantissas(std::span<const double> values, Mantissas* found) {
  const std::optional<unsigned> probed = ProbeExponent(values);
  if (!probed) return false;
  unsigned exponent = *probed;
  found->values = found->memory.Take(values.size());
  const size_t allowed = values.size() / kExceptionShare;
  size_t one_by_one_end = 0;
  for (size_t i = 0; i < values.size();) {
    if (i >= one_by_one_end && i + kMantissaRun <= values.size()) {
      if (RunOfMantissas(values.data() + i, kPowers[exponent], found->values.data() + i)) {
        i += kMantissaRun;
        continue;
      }
      one_by_one_end = i + kMantissaRun;
    }
    const std::optional<int64_t> k = Mantissa(values[i], exponent);
    if (k) {
      found->values[i++] = *k;
      continue;
    }
    const std::optional<unsigned> e =
        exponent < kExponentMax ? ExponentOf(values[i], exponent + 1) : std::nullopt;
    if (e) {  // more digits than probed: start again with them
      exponent = *e;
      found->exceptions = Exceptions();
      found->exception_count = 0;
      i = one_by_one_end = 0;
      continue;
    }
    if (++found->exception_count > allowed) return false;
    found->exceptions.Add(i, values[i]);
    found->values[i] = i == 0 ? 0 : found->values[i - 1];
    ++i;
  }
  found->exponent = exponent;
  return true;
}

// --- scaled ---

constexpr uint8_t kExponentMask = 15;
constexpr unsigned kWayShift = 4;
constexpr unsigned kWays = 3;
constexpr uint8_t kUlpsBit = 64;
constexpr uint8_t kResidualBit = 128;

constexpr std::array<double, kExponentMax + 1> kInverses = {1e0,   1e-1,  1e-2,  1e-3, 1e-4,  1e-5,
                                                            1e-6,  1e-7,  1e-8,  1e-9, 1e-10, 1e-11,
                                                            1e-12, 1e-13, 1e-14, 1e-15};

double FromMantissa(double k, unsigned e, unsigned way) {
  switch (way) {
    case 0:
      return k / kPowers[e];
    case 1:
      return k * kInverses[e];
    default:
      return k / kPowers[e - 3] / 1000;
  }
}

int64_t UlpsBetween(double from, double to) {
  return static_cast<int64_t>(std::bit_cast<uint64_t>(to) - std::bit_cast<uint64_t>(from));
}

// Of a near decimal: how far the probes may miss, and how much coarser than an ulp its last digit
// must be, so that the ulps are few and not half of the information.
constexpr int64_t kProbeUlpsMax = 32;
constexpr double kNearMantissaMax = kMantissaMax / 128;
// A value that misses by more is an exception.
constexpr int64_t kUlpsMax = 1 << 20;
constexpr size_t kNearProbes = 16;

struct Scale {
  unsigned exponent;
  unsigned way;
};

// The fewest digits at which the probes are near decimals, and the way that comes nearest.
std::optional<Scale> ProbeScale(std::span<const double> values) {
  std::array<double, kNearProbes> probes;
  size_t count = 0;
  for (size_t i = 0; i < std::min(kNearProbes, values.size()); ++i) {
    const double v = values[i * values.size() / std::min(kNearProbes, values.size())];
    if (std::isfinite(v) && v != 0) probes[count++] = v;
  }
  if (count * 2 < std::min(kNearProbes, values.size())) return std::nullopt;
  for (unsigned e = 0; e <= kExponentMax; ++e) {
    std::array<uint64_t, kWays> total{};
    std::array<size_t, kWays> near{};
    for (size_t i = 0; i < count; ++i) {
      const double k = std::nearbyint(probes[i] * kPowers[e]);
      if (!(std::fabs(k) < kNearMantissaMax)) continue;
      for (unsigned way = 0; way < kWays; ++way) {
        if (way == 2 && e < 3) continue;
        const int64_t ulps = UlpsBetween(FromMantissa(k, e, way), probes[i]);
        if (ulps > kProbeUlpsMax || ulps < -kProbeUlpsMax) continue;
        ++near[way];
        total[way] += static_cast<uint64_t>(std::abs(ulps));
      }
    }
    std::optional<Scale> best;
    for (unsigned way = 0; way < kWays; ++way) {
      if (near[way] * 8 < count * 7) continue;
      if (!best || total[way] < total[best->way]) best = {e, way};
    }
    if (best) return best;
  }
  return std::nullopt;
}

// What a residual is to: the reference's mantissa at this exponent, exact or not.
int64_t Prediction(double reference, double power) {
  const double scaled = reference * power;
  // Written so that NaN fails.
  return std::fabs(scaled) < kMantissaMax ? static_cast<int64_t>(std::nearbyint(scaled)) : 0;
}

int64_t WrappingAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
int64_t WrappingSubtract(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

// The words of `out` hold integers yet.
int64_t IntegerAt(const double* out, size_t i) {
  return LoadFixed<int64_t>(reinterpret_cast<const char*>(out + i));
}

void DividePlain(size_t count, double power, double* out) {
  if (power == 1) {
    for (size_t i = 0; i < count; ++i) out[i] = static_cast<double>(IntegerAt(out, i));
  } else {
    for (size_t i = 0; i < count; ++i) out[i] = static_cast<double>(IntegerAt(out, i)) / power;
  }
}

#if defined(__x86_64__)

// Four at a time, every conversion and division rounded as the plain one. AVX2 has no conversion of
// 64-bit integers: the upper half, moved to 2^84 (its sign flipped), and the lower, at 2^52, are
// doubles by their bits; the first less the sum of both offsets is exact, and adding the other
// rounds once.
__attribute__((target("avx2"))) void DivideAvx2(size_t count, double power, double* out) {
  const __m256i low_bits = _mm256_set1_epi64x(0x4330000000000000);
  const __m256i high_bits = _mm256_set1_epi64x(0x4530000080000000);
  const __m256d offsets = _mm256_castsi256_pd(_mm256_set1_epi64x(0x4530000080100000));
  const __m256d powers = _mm256_set1_pd(power);
  static constexpr int kLowHalves = 0b01010101;
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(out + i));
    const __m256i low = _mm256_blend_epi32(low_bits, v, kLowHalves);
    const __m256i high = _mm256_xor_si256(_mm256_srli_epi64(v, 32), high_bits);
    const __m256d upper = _mm256_sub_pd(_mm256_castsi256_pd(high), offsets);
    const __m256d whole = _mm256_add_pd(upper, _mm256_castsi256_pd(low));
    _mm256_storeu_pd(out + i, power == 1 ? whole : _mm256_div_pd(whole, powers));
  }
  DividePlain(count - i, power, out + i);
}

#endif

void Divide(size_t count, double power, double* out) {
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  if (has_avx2) return DivideAvx2(count, power, out);
#endif
  DividePlain(count, power, out);
}

void PutDecimal(Mantissas* found, Effort effort, std::string* out) {
  PutFixed8(*out, static_cast<uint8_t>(found->exponent));
  found->exceptions.Put(out);
  EncodeIntegers(found->values, effort, out);
}

// The mantissas become residuals.
void PutResidual(Mantissas* found, std::span<const double> reference, Effort effort,
                 std::string* out) {
  const double power = kPowers[found->exponent];
  for (size_t i = 0; i < found->values.size(); ++i) {
    found->values[i] = WrappingSubtract(found->values[i], Prediction(reference[i], power));
  }
  PutFixed8(*out, static_cast<uint8_t>(found->exponent | kResidualBit));
  found->exceptions.Put(out);
  EncodeIntegers(found->values, effort, out);
}

}  // namespace

bool EncodeDecimal(std::span<const double> values, Effort effort, std::string* out) {
  Mantissas found;
  if (!FindMantissas(values, &found)) return false;
  PutDecimal(&found, effort, out);
  return true;
}

bool EncodeResidual(std::span<const double> values, std::span<const double> reference,
                    Effort effort, std::string* out) {
  Mantissas found;
  if (!FindMantissas(values, &found)) return false;
  PutResidual(&found, reference, effort, out);
  return true;
}

bool EncodeDecimalOrResidual(std::span<const double> values, std::span<const double> reference,
                             Effort effort, std::string* out, bool* residual) {
  *residual = false;
  Mantissas found;
  if (!FindMantissas(values, &found)) return false;
  const size_t start = out->size();
  PutDecimal(&found, effort, out);
  if (reference.empty()) return true;
  std::string told;
  PutResidual(&found, reference, effort, &told);
  if (told.size() >= out->size() - start) return true;
  *residual = true;
  out->replace(start, std::string::npos, told);
  return true;
}

bool DecodeDecimal(std::string_view bytes, size_t count, double* out) {
  ByteReader in(bytes);
  const unsigned exponent = in.Fixed8();
  const ByteReader exceptions = in;
  uint64_t runs = 0;
  if (exponent > kExponentMax || !SkipExceptions(&in, count, &runs)) return false;
  static_assert(sizeof(int64_t) == sizeof(double));
  if (!DecodeIntegers(&in, count, reinterpret_cast<int64_t*>(out))) return false;
  Divide(count, kPowers[exponent], out);
  return runs == 0 || ApplyExceptions(exceptions, count, out);
}

bool EncodeScaled(std::span<const double> values, Effort effort, std::string* out) {
  const std::optional<Scale> scale = ProbeScale(values);
  if (!scale) return false;
  const auto [exponent, way] = *scale;
  Scratch<int64_t> mantissas_memory;
  Scratch<int64_t> ulps_memory;
  const std::span<int64_t> mantissas = mantissas_memory.Take(values.size());
  const std::span<int64_t> ulps = ulps_memory.Take(values.size());
  Exceptions exceptions;
  size_t allowed = values.size() / kExceptionShare;
  bool any_ulps = false;
  for (size_t i = 0; i < values.size(); ++i) {
    const double scaled = std::nearbyint(values[i] * kPowers[exponent]);
    const bool whole = std::fabs(scaled) < kMantissaMax;  // NaN fails
    const int64_t k = whole ? static_cast<int64_t>(scaled) : 0;
    ulps[i] = whole ? UlpsBetween(FromMantissa(static_cast<double>(k), exponent, way), values[i])
                    : INT64_MAX;
    if (ulps[i] <= kUlpsMax && ulps[i] >= -kUlpsMax) {
      mantissas[i] = k;
      any_ulps |= ulps[i] != 0;
      continue;
    }
    if (allowed-- == 0) return false;
    exceptions.Add(i, values[i]);
    mantissas[i] = i == 0 ? 0 : mantissas[i - 1];
    ulps[i] = 0;
  }
  PutFixed8(*out, static_cast<uint8_t>(exponent | way << kWayShift | (any_ulps ? kUlpsBit : 0)));
  exceptions.Put(out);
  EncodeIntegers(mantissas, effort, out);
  if (any_ulps) EncodeIntegers(ulps, effort, out);
  return true;
}

std::optional<Decimal> ShortestDecimal(double value) {
  const std::optional<unsigned> exponent = ExponentOf(value, 0);
  if (!exponent) return std::nullopt;
  return Decimal{*exponent, *Mantissa(value, *exponent)};
}

std::optional<double> FromDecimal(const Decimal& decimal) {
  if (decimal.exponent > kExponentMax) return std::nullopt;
  return static_cast<double>(decimal.mantissa) / kPowers[decimal.exponent];
}

bool ScaledByReference(std::string_view bytes) {
  return !bytes.empty() && (static_cast<uint8_t>(bytes[0]) & kResidualBit) != 0;
}

bool DecodeScaled(std::string_view bytes, size_t count, std::span<const double> reference,
                  double* out) {
  ByteReader in(bytes);
  const uint8_t head = in.Fixed8();
  const unsigned exponent = head & kExponentMask;
  const unsigned way = head >> kWayShift & 3u;
  const ByteReader exceptions = in;
  uint64_t runs = 0;
  if (way >= kWays || (way == 2 && exponent < 3) || !SkipExceptions(&in, count, &runs)) {
    return false;
  }
  auto* integers = reinterpret_cast<int64_t*>(out);
  if (!DecodeIntegers(&in, count, integers)) return false;
  const double power = kPowers[exponent];
  if ((head & kResidualBit) != 0) {
    if (reference.size() != count) return false;
    for (size_t i = 0; i < count; ++i) {
      integers[i] = WrappingAdd(integers[i], Prediction(reference[i], power));
    }
  }
  switch (way) {
    case 0:
      Divide(count, power, out);
      break;
    case 1:
      for (size_t i = 0; i < count; ++i) {
        out[i] = static_cast<double>(IntegerAt(out, i)) * kInverses[exponent];
      }
      break;
    default:
      for (size_t i = 0; i < count; ++i) {
        out[i] = static_cast<double>(IntegerAt(out, i)) / kPowers[exponent - 3] / 1000;
      }
  }
  if ((head & kUlpsBit) != 0) {
    std::vector<int64_t> ulps(count);
    if (!DecodeIntegers(&in, count, ulps.data())) return false;
    for (size_t i = 0; i < count; ++i) {
      out[i] = std::bit_cast<double>(
          static_cast<uint64_t>(WrappingAdd(std::bit_cast<int64_t>(out[i]), ulps[i])));
    }
  }
  return in.at_end() && (runs == 0 || ApplyExceptions(exceptions, count, out));
}

}  // namespace tocsin::tsdb
