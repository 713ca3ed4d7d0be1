#include "tsdb/codec/integers.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <numeric>
#include <vector>

#include "tsdb/codec/bits.h"
#include "tsdb/codec/entropy.h"

namespace tocsin::tsdb {
namespace {

constexpr uint8_t kOrderMask = 3;
constexpr uint8_t kZigZagBit = 4;
constexpr uint8_t kDivisorBit = 8;
constexpr uint8_t kEntropyBit = 16;
constexpr uint8_t kHeadMax = 31;
constexpr uint8_t kOutliersBit = 0x80;
constexpr unsigned kOrders = 3;
constexpr unsigned kOutliersMax = kIntegerBlock / 4;
// Decoding entropy-coded numbers takes twice as long: not for less than 7 % of the bytes.
constexpr uint64_t kEntropyPercentMax = 93;

using Histogram = std::array<uint16_t, 65>;  // residuals of a block by their width

uint64_t AsUnsigned(int64_t v) { return static_cast<uint64_t>(v); }
int64_t AsSigned(uint64_t v) { return static_cast<int64_t>(v); }

// Replaces values by their differences to the one before, from `from` on.
void Difference(std::vector<int64_t>* values, size_t from) {
  for (size_t i = values->size(); i-- > from;) {
    (*values)[i] = AsSigned(AsUnsigned((*values)[i]) - AsUnsigned((*values)[i - 1]));
  }
}

uint64_t Magnitude(int64_t v) { return v < 0 ? 0 - AsUnsigned(v) : AsUnsigned(v); }

// The width that packs a block smallest, outliers included, and its cost in bits.
struct BlockPlan {
  unsigned width;
  unsigned outliers;
  uint64_t bits;
};

BlockPlan PlanBlock(const Histogram& widths, size_t count) {
  unsigned above = 0;
  uint64_t outlier_bits = 0;
  int highest = 64;
  while (highest > 0 && widths[static_cast<size_t>(highest)] == 0) --highest;
  const auto full = static_cast<unsigned>(highest);
  BlockPlan best{full, 0, 8 + count * full};
  for (unsigned width = full; width-- > 0;) {
    // An outlier costs its position and a varint of the bits above `width`: a byte to begin with,
    // one more whenever 7 further bits lie above.
    above += widths[width + 1];
    if (above > kOutliersMax) break;
    outlier_bits += uint64_t{16} * widths[width + 1];
    for (unsigned w = width + 8; w <= full; w += 7) outlier_bits += uint64_t{8} * widths[w];
    const uint64_t bits = 16 + count * width + outlier_bits;
    if (bits < best.bits) best = {width, above, bits};
  }
  return best;
}

struct Transform {
  unsigned order = 0;
  bool zigzag = false;
  int64_t base = 0;
  uint64_t divisor = 1;
  int shift = 0;  // log2 of the divisor, or -1

  void SetDivisor(uint64_t d) {
    divisor = d;
    shift = std::has_single_bit(d) ? std::countr_zero(d) : -1;
  }
  // The divisions are exact. Most divisors are sizes of pages: a shift is ten times as fast.
  uint64_t Apply(int64_t r) const {
    if (zigzag) return ZigZag(shift >= 0 ? r >> shift : r / AsSigned(divisor));
    const uint64_t u = AsUnsigned(r) - AsUnsigned(base);
    return shift >= 0 ? u >> shift : u / divisor;
  }
};

// The greatest common divisor of the magnitudes; 1 when all are 0.
template <typename MagnitudeOf>
uint64_t CommonDivisor(std::span<const int64_t> residuals, MagnitudeOf magnitude_of) {
  uint64_t divisor = 0;
  for (const int64_t r : residuals) {
    const uint64_t m = magnitude_of(r);
    // Mostly a power of two that divides this one, too: no division then.
    if (std::has_single_bit(divisor) && (m & (divisor - 1)) == 0) continue;
    divisor = std::gcd(divisor, m);
    if (divisor == 1) break;
  }
  return std::max<uint64_t>(divisor, 1);
}

uint64_t HeadBits(const Transform& transform) {
  return 8 * ((transform.zigzag ? 0 : VarintSize(ZigZag(transform.base))) +
              (transform.divisor > 1 ? VarintSize(transform.divisor) : 0));
}

// Transforms are compared on runs of residuals here and there: comparing them on all would cost
// more than coding them.
constexpr size_t kSampleRun = 64;
constexpr size_t kSampleStep = 3;  // of so many runs, one
constexpr size_t kSampleAllMax = 4 * kSampleRun;

void TakeSample(std::span<const int64_t> residuals, std::vector<int64_t>* sample) {
  sample->clear();
  const size_t step = residuals.size() <= kSampleAllMax ? 1 : kSampleStep;
  for (size_t at = 0; at < residuals.size(); at += kSampleRun * step) {
    const auto run = residuals.subspan(at, std::min(kSampleRun, residuals.size() - at));
    sample->insert(sample->end(), run.begin(), run.end());
  }
}

// What the chooser knows of a way to code the residuals, from the sample.
struct Candidate {
  Transform transform;
  uint64_t block_bits = 0;
  double entropy_bits = 0;
};

void Estimate(std::span<const int64_t> sample, Effort effort, Candidate* candidate) {
  TokenCounts counts{};
  for (size_t at = 0; at < sample.size(); at += kSampleRun) {
    const size_t count = std::min(kSampleRun, sample.size() - at);
    Histogram widths{};
    for (size_t i = at; i < at + count; ++i) {
      const uint64_t u = candidate->transform.Apply(sample[i]);
      ++widths[static_cast<size_t>(std::bit_width(u))];
      if (effort == Effort::kSmall) ++counts[TokenOf(u)];
    }
    candidate->block_bits += PlanBlock(widths, count).bits;
  }
  if (effort == Effort::kSmall) candidate->entropy_bits = EntropyOf(counts);
}

// All ways to code the values that are worth a look.
class Candidates {
 public:
  Candidates(std::span<const int64_t> values, Effort effort) : effort_(effort) {
    for (unsigned order = 0; order < kOrders && order < values.size(); ++order) {
      if (order == 0) {
        differences_[0].assign(values.begin(), values.end());
      } else {
        differences_[order] = differences_[order - 1];
        Difference(&differences_[order], order);
      }
      AddOrder(order);
    }
  }
  // The values as order `order` has them; the first `order` are stored whole.
  std::span<const int64_t> differences(unsigned order) const { return differences_[order]; }
  std::span<const int64_t> residuals(unsigned order) const {
    return differences(order).subspan(order);
  }
  const Transform& best_in_blocks() const { return best_in_blocks_.transform; }
  const Transform& best_as_tokens() const { return best_as_tokens_.transform; }

 private:
  void AddOrder(unsigned order) {
    const std::span<const int64_t> all = residuals(order);
    TakeSample(all, &sample_);
    Transform from_base{.order = order};
    if (!all.empty()) from_base.base = *std::min_element(all.begin(), all.end());
    from_base.SetDivisor(
        CommonDivisor(all, [&](int64_t r) { return AsUnsigned(r) - AsUnsigned(from_base.base); }));
    Add(from_base);
    // Zigzag can only win where an outlier below drags the base away from the rest.
    if (order == 0 || from_base.base >= 0) return;
    Transform zigzag{.order = order, .zigzag = true};
    const uint64_t divisor = CommonDivisor(all, Magnitude);
    if (divisor <= AsUnsigned(INT64_MAX)) zigzag.SetDivisor(divisor);
    Add(zigzag);
  }
  void Add(const Transform& transform) {
    Candidate candidate{.transform = transform};
    Estimate(sample_, effort_, &candidate);
    candidate.block_bits += HeadBits(transform);
    candidate.entropy_bits += static_cast<double>(HeadBits(transform));
    if (!any_ || candidate.block_bits < best_in_blocks_.block_bits) best_in_blocks_ = candidate;
    if (!any_ || candidate.entropy_bits < best_as_tokens_.entropy_bits) {
      best_as_tokens_ = candidate;
    }
    any_ = true;
  }

  const Effort effort_;
  std::array<std::vector<int64_t>, kOrders> differences_;
  std::vector<int64_t> sample_;
  bool any_ = false;
  Candidate best_in_blocks_;
  Candidate best_as_tokens_;
};

void PutHead(const Transform& transform, std::span<const int64_t> differences, bool entropy,
             std::string* out) {
  out->push_back(static_cast<char>(transform.order | (transform.zigzag ? kZigZagBit : 0) |
                                   (transform.divisor > 1 ? kDivisorBit : 0) |
                                   (entropy ? kEntropyBit : 0)));
  for (unsigned i = 0; i < transform.order; ++i) PutSignedVarint(*out, differences[i]);
  if (!transform.zigzag) PutSignedVarint(*out, transform.base);
  if (transform.divisor > 1) PutVarint(*out, transform.divisor);
}

void EncodeBlock(std::span<const int64_t> residuals, const Transform& transform, std::string* out) {
  std::array<uint64_t, kIntegerBlock> u;
  Histogram widths{};
  for (size_t i = 0; i < residuals.size(); ++i) {
    u[i] = transform.Apply(residuals[i]);
    ++widths[static_cast<size_t>(std::bit_width(u[i]))];
  }
  const BlockPlan plan = PlanBlock(widths, residuals.size());
  out->push_back(static_cast<char>(plan.width | (plan.outliers > 0 ? kOutliersBit : 0)));
  PackBits({u.data(), residuals.size()}, plan.width, out);
  if (plan.outliers == 0) return;
  out->push_back(static_cast<char>(plan.outliers));
  for (size_t i = 0; i < residuals.size(); ++i) {
    if (static_cast<unsigned>(std::bit_width(u[i])) <= plan.width) continue;
    out->push_back(static_cast<char>(i));
    PutVarint(*out, u[i] >> plan.width);
  }
}

void EncodeBlocks(const Candidates& candidates, std::string* out) {
  const Transform& best = candidates.best_in_blocks();
  PutHead(best, candidates.differences(best.order), false, out);
  const std::span<const int64_t> residuals = candidates.residuals(best.order);
  for (size_t at = 0; at < residuals.size(); at += kIntegerBlock) {
    EncodeBlock(residuals.subspan(at, std::min(kIntegerBlock, residuals.size() - at)), best, out);
  }
}

// False, with `out` as it was, when that would not be enough smaller than `block_bytes`.
bool EncodeTokens(const Candidates& candidates, size_t block_bytes, std::string* out) {
  const Transform& best = candidates.best_as_tokens();
  const std::span<const int64_t> residuals = candidates.residuals(best.order);
  if (residuals.empty()) return false;
  std::vector<uint64_t> numbers(residuals.size());
  TokenCounts counts{};
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = best.Apply(residuals[i]);
    ++counts[TokenOf(numbers[i])];
  }
  const EntropyPlan plan = PlanEntropy(counts);
  if ((plan.bits + HeadBits(best)) * 100 > uint64_t{block_bytes} * 8 * kEntropyPercentMax) {
    return false;
  }
  PutHead(best, candidates.differences(best.order), true, out);
  EncodeEntropy(numbers, plan, out);
  return true;
}

bool DecodeBlock(ByteReader* in, size_t count, uint64_t* out) {
  const uint8_t head = in->Fixed8();
  const unsigned width = head & 0x7f;
  if (width > 64) return false;
  const std::string_view bits = in->Bytes((count * width + 7) / 8);
  if (!in->ok()) return false;
  if (width == 0) {
    std::fill_n(out, count, 0);
  } else if (in->remaining() >= kUnpackSlack) {
    UnpackBits(bits.data(), width, count, out);
  } else {
    std::array<char, kIntegerBlock * 8 + kUnpackSlack> padded{};
    std::memcpy(padded.data(), bits.data(), bits.size());
    UnpackBits(padded.data(), width, count, out);
  }
  if ((head & kOutliersBit) == 0) return true;
  const unsigned outliers = in->Fixed8();
  for (unsigned i = 0; i < outliers; ++i) {
    const uint8_t position = in->Fixed8();
    const uint64_t high = in->Varint();
    if (!in->ok() || position >= count || width == 64) return false;
    out[position] |= high << width;
  }
  return true;
}

}  // namespace

void EncodeIntegers(std::span<const int64_t> values, Effort effort, std::string* out) {
  if (values.empty()) return;
  const Candidates candidates(values, effort);
  if (effort == Effort::kFast) return EncodeBlocks(candidates, out);
  std::string blocks;
  EncodeBlocks(candidates, &blocks);
  if (!EncodeTokens(candidates, blocks.size(), out)) out->append(blocks);
}

bool DecodeIntegers(ByteReader* in, size_t count, int64_t* out) {
  if (count == 0) return true;
  const uint8_t head = in->Fixed8();
  const unsigned order = head & kOrderMask;
  const bool zigzag = (head & kZigZagBit) != 0;
  if (!in->ok() || order >= kOrders || order > count || head > kHeadMax) return false;
  std::array<uint64_t, 2> first{};
  for (unsigned i = 0; i < order; ++i) first[i] = AsUnsigned(in->SignedVarint());
  const uint64_t base = zigzag ? 0 : AsUnsigned(in->SignedVarint());
  const uint64_t divisor = (head & kDivisorBit) != 0 ? in->Varint() : 1;
  if (!in->ok() || divisor == 0) return false;
  // Residuals straight into place, as unsigned words.
  static_assert(sizeof(int64_t) == sizeof(uint64_t));
  auto* words = reinterpret_cast<uint64_t*>(out);
  if ((head & kEntropyBit) != 0) {
    if (order >= count || !DecodeEntropy(in, count - order, words + order)) return false;
  } else {
    for (size_t at = order; at < count; at += kIntegerBlock) {
      if (!DecodeBlock(in, std::min(kIntegerBlock, count - at), words + at)) return false;
    }
  }
  if (zigzag) {
    for (size_t i = order; i < count; ++i) words[i] = AsUnsigned(UnZigZag(words[i])) * divisor;
  } else if (divisor != 1) {
    for (size_t i = order; i < count; ++i) words[i] = words[i] * divisor + base;
  } else if (base != 0) {
    for (size_t i = order; i < count; ++i) words[i] += base;
  }
  if (order == 1) {
    words[0] = first[0];
    for (size_t i = 1; i < count; ++i) words[i] += words[i - 1];
  } else if (order == 2) {
    words[0] = first[0];
    uint64_t delta = first[1];
    words[1] = words[0] + delta;
    for (size_t i = 2; i < count; ++i) {
      delta += words[i];
      words[i] = words[i - 1] + delta;
    }
  }
  return in->ok();
}

}  // namespace tocsin::tsdb
