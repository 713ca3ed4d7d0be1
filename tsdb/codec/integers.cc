#include "tsdb/codec/integers.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <numeric>
#include <vector>

#include "tsdb/codec/bits.h"
#include "tsdb/codec/entropy.h"
#include "tsdb/codec/scratch.h"

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

uint64_t AsUnsigned(int64_t v) { return static_cast<uint64_t>(v); }
int64_t AsSigned(uint64_t v) { return static_cast<int64_t>(v); }

using Histogram = std::array<uint16_t, 65>;  // residuals of a block by their width

// --- loops over residuals, as plain code and for processors with AVX2 ---

// How wide residuals are, summed up: less the least of them, and as zigzags.
struct Widths {
  uint64_t from_base = 0;
  uint64_t zigzag = 0;
  uint64_t above_base = 0;  // residuals that are not the least
  uint64_t not_zero = 0;
};

[[gnu::always_inline]] inline Widths SumWidthsBody(std::span<const int64_t> residuals,
                                                   int64_t base) {
  Widths sum;
  for (const int64_t r : residuals) {
    sum.from_base += static_cast<unsigned>(std::bit_width(AsUnsigned(r) - AsUnsigned(base)));
    sum.zigzag += static_cast<unsigned>(std::bit_width(ZigZag(r)));
    sum.above_base += r != base ? 1 : 0;
    sum.not_zero += r != 0 ? 1 : 0;
  }
  return sum;
}

// The least of one residual at least. Lanes, so that no comparison waits for the one before.
[[gnu::always_inline]] inline int64_t LeastBody(std::span<const int64_t> residuals) {
  constexpr size_t kLanes = 16;
  std::array<int64_t, kLanes> least;
  least.fill(residuals[0]);
  size_t i = 0;
  for (; i + kLanes <= residuals.size(); i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) {
      const int64_t r = residuals[i + l];
      least[l] = r < least[l] ? r : least[l];
    }
  }
  int64_t all = least[0];
  for (const int64_t r : least) all = std::min(all, r);
  for (; i < residuals.size(); ++i) all = std::min(all, residuals[i]);
  return all;
}

// Differences between neighbours: one fewer than values.
[[gnu::always_inline]] inline void DifferencesBody(std::span<const int64_t> values,
                                                   std::span<int64_t> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = AsSigned(AsUnsigned(values[i + 1]) - AsUnsigned(values[i]));
  }
}

[[gnu::always_inline]] inline void CountWidthsBody(std::span<const uint64_t> numbers,
                                                   Histogram* widths) {
  for (const uint64_t u : numbers) ++(*widths)[static_cast<size_t>(std::bit_width(u))];
}

TOCSIN_AVX2 Widths SumWidthsAvx2(std::span<const int64_t> residuals, int64_t base) {
  return SumWidthsBody(residuals, base);
}
Widths SumWidths(std::span<const int64_t> residuals, int64_t base) {
  return HasAvx2() ? SumWidthsAvx2(residuals, base) : SumWidthsBody(residuals, base);
}
TOCSIN_AVX2 int64_t LeastAvx2(std::span<const int64_t> residuals) { return LeastBody(residuals); }
int64_t Least(std::span<const int64_t> residuals) {
  return HasAvx2() ? LeastAvx2(residuals) : LeastBody(residuals);
}
TOCSIN_AVX2 void DifferencesAvx2(std::span<const int64_t> values, std::span<int64_t> out) {
  DifferencesBody(values, out);
}
void Differences(std::span<const int64_t> values, std::span<int64_t> out) {
  HasAvx2() ? DifferencesAvx2(values, out) : DifferencesBody(values, out);
}
TOCSIN_AVX2 void CountWidthsAvx2(std::span<const uint64_t> numbers, Histogram* widths) {
  CountWidthsBody(numbers, widths);
}
void CountWidths(std::span<const uint64_t> numbers, Histogram* widths) {
  HasAvx2() ? CountWidthsAvx2(numbers, widths) : CountWidthsBody(numbers, widths);
}

uint64_t Magnitude(int64_t v) { return v < 0 ? 0 - AsUnsigned(v) : AsUnsigned(v); }

// The width that packs a block smallest, outliers included, and its cost in bits.
struct BlockPlan {
  unsigned width;
  unsigned outliers;
  uint64_t bits;
};

BlockPlan PlanBlock(std::span<const uint64_t> numbers) {
  Histogram widths{};
  CountWidths(numbers, &widths);
  const size_t count = numbers.size();
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

  // The divisions are exact. Most divisors are sizes of pages: a shift is ten times as fast.
  void Apply(std::span<const int64_t> residuals, std::span<uint64_t> out) const {
    const int shift = std::has_single_bit(divisor) ? std::countr_zero(divisor) : -1;
    const size_t count = residuals.size();
    if (zigzag && shift == 0) {
      for (size_t i = 0; i < count; ++i) out[i] = ZigZag(residuals[i]);
    } else if (zigzag) {
      for (size_t i = 0; i < count; ++i) {
        const int64_t r = residuals[i];
        out[i] = ZigZag(shift >= 0 ? r >> shift : r / AsSigned(divisor));
      }
    } else {
      for (size_t i = 0; i < count; ++i) out[i] = AsUnsigned(residuals[i]) - AsUnsigned(base);
      if (shift > 0) {
        for (uint64_t& u : out) u >>= shift;
      } else if (shift < 0) {
        for (uint64_t& u : out) u /= divisor;
      }
    }
  }
  uint64_t head_bits() const {
    return 8 * ((zigzag ? 0 : VarintSize(ZigZag(base))) + (divisor > 1 ? VarintSize(divisor) : 0));
  }
  bool operator==(const Transform&) const = default;
};

// The greatest common divisor of what residuals are more than `least`; 0 when all are it.
uint64_t DivisorAbove(std::span<const int64_t> residuals, int64_t least) {
  uint64_t divisor = 0;
  // Mostly a power of two that divides the next one, too: no division then.
  uint64_t mask = ~uint64_t{0};
  for (const int64_t r : residuals) {
    const uint64_t m = AsUnsigned(r) - AsUnsigned(least);
    if ((m & mask) == 0 || m == divisor) continue;
    divisor = std::gcd(divisor, m);
    if (divisor == 1) break;
    mask = std::has_single_bit(divisor) ? divisor - 1 : ~uint64_t{0};
  }
  return divisor;
}

// Transforms are compared on runs of residuals here and there: comparing them on all would cost
// more than coding them.
constexpr size_t kSampleRun = 64;
constexpr size_t kSampleStep = 3;  // of so many runs, one
constexpr size_t kSampleAllMax = 4 * kSampleRun;
// Of all transforms those are compared whose residuals are at most this much wider than the
// narrowest ones.
constexpr uint64_t kWidthPercentMax = 115;
// Of so few values all ways are compared: what is stored once weighs as much as the residuals.
constexpr size_t kFewValues = 32;

// Of a half hour, to begin with, every second run of so many.
constexpr size_t kQuickRun = 32;

// Calls `visit` with every `step`th run.
template <typename Visit>
void VisitRuns(std::span<const int64_t> residuals, size_t run, size_t step, Visit visit) {
  for (size_t at = 0; at < residuals.size(); at += run * step) {
    visit(residuals.subspan(at, std::min(run, residuals.size() - at)));
  }
}
// With each run of the sample.
template <typename Visit>
void VisitSample(std::span<const int64_t> residuals, Visit visit) {
  VisitRuns(residuals, kSampleRun, residuals.size() <= kSampleAllMax ? 1 : kSampleStep, visit);
}

// The way to code a column's values in blocks, and the one to code them as tokens.
class TransformChooser {
 public:
  TransformChooser(std::span<const int64_t> values, Effort effort) : effort_(effort) {
    residuals_[0] = values;
    AddOrder(0);
    // Differences are only taken of what they made narrower.
    for (unsigned order = 1; order < kOrders && order < values.size(); ++order) {
      if (order == 2 && !SecondOrderPromises()) break;
      const std::span<int64_t> out = differences_[order - 1].Take(residuals_[order - 1].size() - 1);
      Differences(residuals_[order - 1], out);
      residuals_[order] = out;
      AddOrder(order);
      if (!few() && orders_[order].narrowest() > orders_[order - 1].narrowest()) break;
    }
    Compare();
  }
  std::span<const int64_t> residuals(unsigned order) const { return residuals_[order]; }
  // Value 0, and the first difference: what the transform stores whole.
  int64_t first(unsigned order) const { return residuals_[order][0]; }
  const Transform& in_blocks() const { return in_blocks_; }
  const Transform& as_tokens() const { return as_tokens_; }

 private:
  struct Order {
    int64_t least = 0;
    uint64_t divisor_above = 1;
    uint64_t zigzag_divisor = 1;
    // Of the sample; UINT64_MAX: not on offer.
    uint64_t from_base_width = 0;
    uint64_t zigzag_width = UINT64_MAX;
    uint64_t narrowest() const { return std::min(from_base_width, zigzag_width); }
  };

  // Of a half hour's differences, the differences of the first few are no wider: else not worth the
  // time that the rest would take.
  bool SecondOrderPromises() const {
    if (effort_ == Effort::kSmall || few()) return true;
    const std::span<const int64_t> first = residuals_[1].first(kQuickRun);
    std::array<int64_t, kQuickRun - 1> second;
    Differences(first, second);
    const Widths widths = SumWidths(first, orders_[1].least);
    const Widths narrower = SumWidths(second, Least(second));
    return std::min(narrower.from_base, narrower.zigzag) <=
           std::min(widths.from_base, widths.zigzag);
  }

  bool few() const { return residuals_[0].size() <= kFewValues; }

  void AddOrder(unsigned order) {
    Order& o = orders_[order];
    const int64_t least = o.least = Least(residuals_[order]);
    const uint64_t above = DivisorAbove(residuals_[order], least);
    o.divisor_above = std::max<uint64_t>(above, 1);
    // All are the least and a multiple of that.
    const uint64_t whole = std::gcd(above, Magnitude(least));
    if (whole > 0 && whole <= AsUnsigned(INT64_MAX)) o.zigzag_divisor = whole;
    Widths widths;
    const auto add = [&widths, least](std::span<const int64_t> run) {
      const Widths its = SumWidths(run, least);
      widths.from_base += its.from_base;
      widths.zigzag += its.zigzag;
      widths.above_base += its.above_base;
      widths.not_zero += its.not_zero;
    };
    const size_t count = residuals_[order].size();
    if (effort_ == Effort::kFast && count <= kSampleAllMax && !few()) {
      VisitRuns(residuals_[order], kQuickRun, 2, add);
    } else {
      VisitSample(residuals_[order], add);
    }
    const auto saved = [](uint64_t divisor, uint64_t numbers) {
      return numbers * static_cast<unsigned>(std::bit_width(divisor) - 1);
    };
    o.from_base_width = widths.from_base - saved(o.divisor_above, widths.above_base);
    // Zigzag can only win where an outlier below drags the base away from the rest.
    if (order > 0 && least < 0) {
      o.zigzag_width = widths.zigzag - saved(o.zigzag_divisor, widths.not_zero);
    }
    order_count_ = order + 1;
    narrowest_ = std::min(narrowest_, o.narrowest());
  }

  bool WorthALook(uint64_t width) const {
    return width != UINT64_MAX && (few() || width * 100 <= narrowest_ * kWidthPercentMax);
  }

  void Compare() {
    std::array<Transform, 2 * kOrders> looked_at;
    size_t count = 0;
    for (unsigned order = 0; order < order_count_; ++order) {
      const Order& o = orders_[order];
      if (WorthALook(o.from_base_width)) {
        looked_at[count++] = {.order = order, .base = o.least, .divisor = o.divisor_above};
      }
      if (WorthALook(o.zigzag_width)) {
        looked_at[count++] = {.order = order, .zigzag = true, .divisor = o.zigzag_divisor};
      }
    }
    in_blocks_ = as_tokens_ = looked_at[0];
    if (count == 1) return;
    uint64_t least_in_blocks = UINT64_MAX;
    double least_as_tokens = 1e300;
    for (size_t i = 0; i < count; ++i) {
      const auto [block_bits, entropy_bits] = Estimate(looked_at[i]);
      if (block_bits < least_in_blocks) {
        least_in_blocks = block_bits;
        in_blocks_ = looked_at[i];
      }
      if (entropy_bits < least_as_tokens) {
        least_as_tokens = entropy_bits;
        as_tokens_ = looked_at[i];
      }
    }
  }

  // Bits of the sample in blocks and, where tokens are considered, as tokens.
  std::pair<uint64_t, double> Estimate(const Transform& transform) const {
    uint64_t block_bits = transform.head_bits();
    TokenCounts counts{};
    VisitSample(residuals_[transform.order], [&](std::span<const int64_t> run) {
      std::array<uint64_t, kSampleRun> numbers;
      const std::span<uint64_t> u(numbers.data(), run.size());
      transform.Apply(run, u);
      block_bits += PlanBlock(u).bits;
      if (effort_ != Effort::kSmall) return;
      for (const uint64_t number : u) ++counts[TokenOf(number)];
    });
    const double entropy_bits = effort_ == Effort::kSmall ? EntropyOf(counts) : 0;
    return {block_bits, entropy_bits + static_cast<double>(transform.head_bits())};
  }

  const Effort effort_;
  std::array<Scratch<int64_t>, kOrders - 1> differences_;
  std::array<std::span<const int64_t>, kOrders> residuals_;
  std::array<Order, kOrders> orders_;
  unsigned order_count_ = 0;
  uint64_t narrowest_ = UINT64_MAX;
  Transform in_blocks_;
  Transform as_tokens_;
};

void PutHead(const Transform& transform, const TransformChooser& values, bool entropy,
             std::string* out) {
  out->push_back(static_cast<char>(transform.order | (transform.zigzag ? kZigZagBit : 0) |
                                   (transform.divisor > 1 ? kDivisorBit : 0) |
                                   (entropy ? kEntropyBit : 0)));
  for (unsigned i = 0; i < transform.order; ++i) PutSignedVarint(*out, values.first(i));
  if (!transform.zigzag) PutSignedVarint(*out, transform.base);
  if (transform.divisor > 1) PutVarint(*out, transform.divisor);
}

void EncodeBlock(std::span<const uint64_t> numbers, const BlockPlan& plan, std::string* out) {
  out->push_back(static_cast<char>(plan.width | (plan.outliers > 0 ? kOutliersBit : 0)));
  PackBits(numbers, plan.width, out);
  if (plan.outliers == 0) return;
  out->push_back(static_cast<char>(plan.outliers));
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (static_cast<unsigned>(std::bit_width(numbers[i])) <= plan.width) continue;
    out->push_back(static_cast<char>(i));
    PutVarint(*out, numbers[i] >> plan.width);
  }
}

// Calls `visit` with each block of the numbers.
template <typename Visit>
void VisitBlocks(std::span<const uint64_t> numbers, Visit visit) {
  for (size_t at = 0; at < numbers.size(); at += kIntegerBlock) {
    visit(numbers.subspan(at, std::min(kIntegerBlock, numbers.size() - at)));
  }
}

// Whole bytes, as they are written.
uint64_t BlockBytes(std::span<const uint64_t> numbers) {
  uint64_t bytes = 0;
  VisitBlocks(numbers,
              [&](std::span<const uint64_t> block) { bytes += (PlanBlock(block).bits + 7) / 8; });
  return bytes;
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
    // In place as far as loads stay inside; groups of eight begin at whole bytes.
    const size_t groups =
        bits.size() > kUnpackSlack ? (bits.size() - kUnpackSlack) / width : size_t{0};
    const size_t in_place = std::min(groups * 8, count / 8 * 8);
    if (in_place > 0) UnpackBits(bits.data(), width, in_place, out);
    const std::string_view rest = bits.substr(in_place / 8 * width);
    std::array<char, kIntegerBlock * 8 + kUnpackSlack> padded;
    std::memcpy(padded.data(), rest.data(), rest.size());
    std::memset(padded.data() + rest.size(), 0, kUnpackSlack);
    UnpackBits(padded.data(), width, count - in_place, out + in_place);
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
  const TransformChooser chooser(values, effort);
  const Transform& blocks = chooser.in_blocks();
  Scratch<uint64_t> numbers;
  const auto apply = [&](const Transform& transform) {
    const std::span<const int64_t> residuals = chooser.residuals(transform.order);
    const std::span<uint64_t> u = numbers.Take(residuals.size());
    transform.Apply(residuals, u);
    return u;
  };
  std::span<uint64_t> u = apply(blocks);
  if (effort == Effort::kSmall && !u.empty()) {
    uint64_t block_bytes = 1 + blocks.head_bits() / 8 + BlockBytes(u);
    for (unsigned i = 0; i < blocks.order; ++i) {
      block_bytes += VarintSize(ZigZag(chooser.first(i)));
    }
    const Transform& tokens = chooser.as_tokens();
    if (!(tokens == blocks)) u = apply(tokens);
    TokenCounts counts{};
    for (const uint64_t number : u) ++counts[TokenOf(number)];
    const EntropyPlan plan = PlanEntropy(counts);
    if ((plan.bits + tokens.head_bits()) * 100 <= block_bytes * 8 * kEntropyPercentMax) {
      PutHead(tokens, chooser, true, out);
      return EncodeEntropy(u, plan, out);
    }
    if (!(tokens == blocks)) u = apply(blocks);
  }
  PutHead(blocks, chooser, false, out);
  VisitBlocks(
      u, [out](std::span<const uint64_t> block) { EncodeBlock(block, PlanBlock(block), out); });
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
  if (order == 1 && !zigzag && divisor == 1) {
    // Most counters and times: one pass.
    uint64_t value = first[0];
    words[0] = value;
    for (size_t i = 1; i < count; ++i) words[i] = value += words[i] + base;
    return in->ok();
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
