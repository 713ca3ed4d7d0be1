#include "tsdb/codec/entropy.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "tsdb/codec/scratch.h"

namespace tocsin::tsdb {
namespace {

constexpr unsigned kSlotBits = 10;
constexpr uint32_t kSlots = 1 << kSlotBits;
constexpr uint32_t kStateMin = 1 << 16;
constexpr unsigned kConfigs = 4;
struct Config {
  unsigned direct;
  unsigned leading;
};
constexpr std::array<Config, kConfigs> kConfig = {{{4, 2}, {4, 1}, {2, 1}, {1, 0}}};

constexpr unsigned Token(const Config& c, uint64_t u) {
  if (u < uint64_t{1} << c.direct) return static_cast<unsigned>(u);
  const auto n = static_cast<unsigned>(std::bit_width(u)) - 1;
  const auto leading = static_cast<unsigned>(u >> (n - c.leading)) & ((1u << c.leading) - 1);
  return (1u << c.direct) + ((n - c.direct) << c.leading) + leading;
}

// What a token stands for: base + raw bits.
struct TokenValue {
  uint64_t base = 0;
  unsigned raw_bits = 0;
};
constexpr TokenValue ValueOf(const Config& c, unsigned token) {
  if (token < 1u << c.direct) return {token, 0};
  const unsigned above = token - (1u << c.direct);
  const unsigned n = c.direct + (above >> c.leading);
  if (n > 63) return {};
  const uint64_t leading = above & ((1u << c.leading) - 1);
  return {uint64_t{1} << n | leading << (n - c.leading), n - c.leading};
}

// What can be looked up instead of computed, by config.
struct Tables {
  std::array<std::array<TokenValue, kTokens>, kConfigs> values{};
  // Tokens of config 0 to those of each.
  std::array<std::array<uint8_t, kTokens>, kConfigs> coarser{};
  std::array<unsigned, kConfigs> tokens{};
};
constexpr Tables kTables = [] {
  Tables t;
  for (unsigned c = 0; c < kConfigs; ++c) {
    t.tokens[c] = (1u << kConfig[c].direct) + ((64 - kConfig[c].direct) << kConfig[c].leading);
    for (unsigned token = 0; token < kTokens; ++token) {
      t.values[c][token] = ValueOf(kConfig[c], token);
      t.coarser[c][token] =
          static_cast<uint8_t>(Token(kConfig[c], ValueOf(kConfig[0], token).base));
    }
  }
  return t;
}();
static_assert(kTables.tokens[0] == kTokens);

// Of counts up to kSlots.
const std::array<float, kSlots + 1>& Log2() {
  static const std::array<float, kSlots + 1> table = [] {
    std::array<float, kSlots + 1> t{};
    for (size_t i = 1; i <= kSlots; ++i) t[i] = std::log2(static_cast<float>(i));
    return t;
  }();
  return table;
}

unsigned GammaBits(unsigned v) { return 2 * static_cast<unsigned>(std::bit_width(v)) - 1; }

// Shares the slots out: every token that comes gets one at least.
void Normalize(const TokenCounts& counts, unsigned end, uint64_t total,
               std::array<uint16_t, kTokens>* out) {
  out->fill(0);
  int64_t left = kSlots;
  unsigned largest = 0;
  for (unsigned t = 0; t < end; ++t) {
    if (counts[t] == 0) continue;
    const uint64_t share = (uint64_t{counts[t]} * kSlots + total / 2) / total;
    (*out)[t] = static_cast<uint16_t>(std::max<uint64_t>(share, 1));
    left -= (*out)[t];
    if (counts[t] > counts[largest]) largest = t;
  }
  // Rounding left some over, or too few, which the common tokens notice least.
  while (left < 0) {
    const auto most = std::max_element(out->begin(), out->end());
    const auto take = static_cast<int64_t>(std::min<int64_t>(-left, (*most + 7) / 8));
    *most = static_cast<uint16_t>(*most - take);
    left += take;
  }
  (*out)[largest] = static_cast<uint16_t>((*out)[largest] + left);
}

uint64_t TableBits(const std::array<uint16_t, kTokens>& frequencies, unsigned end) {
  uint64_t bits = 10;
  int previous = -1;
  for (unsigned t = 0; t < end; ++t) {
    if (frequencies[t] == 0) continue;
    bits += GammaBits(static_cast<unsigned>(static_cast<int>(t) - previous));
    const auto width = static_cast<unsigned>(std::bit_width(frequencies[t] - 1u));
    bits += 4 + (width > 0 ? width - 1 : 0);
    previous = static_cast<int>(t);
  }
  return bits;
}

class BitWriter {
 public:
  explicit BitWriter(std::string* out) : out_(out) {}
  ~BitWriter() {
    for (; used_ > 0; used_ -= std::min(used_, 8u)) {
      out_->push_back(static_cast<char>(buffer_));
      buffer_ >>= 8;
    }
  }
  BitWriter(const BitWriter&) = delete;
  BitWriter& operator=(const BitWriter&) = delete;
  // `value` < 2^width, width ≤ 63.
  void Put(uint64_t value, unsigned width) {
    buffer_ |= value << used_;
    if (used_ + width < 64) {
      used_ += width;
      return;
    }
    PutFixed64(*out_, buffer_);
    const unsigned taken = 64 - used_;
    used_ = width - taken;
    buffer_ = used_ == 0 ? 0 : value >> taken;
  }
  void PutGamma(unsigned value) {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    Put(uint64_t{1} << (width - 1), width);  // width - 1 zeros, then the leading one
    Put(value & ((1u << (width - 1)) - 1), width - 1);
  }

 private:
  std::string* out_;
  uint64_t buffer_ = 0;
  unsigned used_ = 0;
};

// Reads bits, lowest first; past the end they are zeros and ok() is false.
class BitReader {
 public:
  explicit BitReader(std::string_view bytes) : bytes_(bytes) {}
  bool ok() const { return bit_ <= bytes_.size() * 8; }
  size_t bytes_used() const { return (bit_ + 7) / 8; }
  unsigned Get(unsigned width) {
    unsigned value = 0;
    for (unsigned i = 0; i < width; ++i, ++bit_) {
      if (bit_ / 8 >= bytes_.size()) continue;
      value |= (static_cast<unsigned>(static_cast<uint8_t>(bytes_[bit_ / 8])) >> (bit_ % 8) & 1u)
               << i;
    }
    return value;
  }
  // 0: not a code of at most 9 bits.
  unsigned GetGamma() {
    unsigned zeros = 0;
    while (Get(1) == 0) {
      if (++zeros > 8 || !ok()) return 0;
    }
    return 1u << zeros | Get(zeros);
  }

 private:
  std::string_view bytes_;
  size_t bit_ = 0;
};

// A token's slots, and what divides a state by their number: by a multiplication, which is exact
// for all of 32 bits (T. Granlund and P. Montgomery, "Division by invariant integers using
// multiplication").
struct Symbol {
  uint32_t start = 0;
  uint32_t frequency = 0;
  uint64_t reciprocal = 0;
  unsigned shift = 0;

  Symbol() = default;
  Symbol(uint32_t its_start, uint32_t its_frequency)
      : start(its_start),
        frequency(its_frequency),
        shift(32 + static_cast<unsigned>(std::bit_width(its_frequency - 1))) {
    reciprocal = ((uint64_t{1} << shift) + frequency - 1) / frequency;
  }
  uint32_t Quotient(uint32_t state) const {
    return static_cast<uint32_t>(static_cast<unsigned __int128>(state) * reciprocal >> shift);
  }
};

// A slot: frequency (11 bits), slot - start of its token (10 bits), token (8 bits).
using Slots = std::array<uint32_t, kSlots>;
constexpr unsigned kOffsetShift = 11;
constexpr unsigned kTokenShift = 21;

bool ReadTable(ByteReader* in, unsigned* config, Slots* slots) {
  BitReader bits(in->rest());
  *config = bits.Get(2);
  const unsigned symbols = bits.Get(8) + 1;
  unsigned token_end = 0;  // one past the token before
  uint32_t start = 0;
  for (unsigned s = 0; s < symbols; ++s) {
    const unsigned step = bits.GetGamma();
    if (step == 0 || token_end + step > kTables.tokens[*config]) return false;
    token_end += step;
    uint32_t frequency = kSlots - start;
    if (s + 1 < symbols) {
      const unsigned width = bits.Get(4);
      if (width > kSlotBits) return false;
      frequency = (width == 0 ? 0 : 1u << (width - 1) | bits.Get(width - 1)) + 1;
    }
    if (frequency == 0 || frequency > kSlots - start) return false;
    uint32_t slot = frequency | (token_end - 1) << kTokenShift;
    for (uint32_t i = 0; i < frequency; ++i, slot += 1u << kOffsetShift) (*slots)[start + i] = slot;
    start += frequency;
  }
  if (!bits.ok()) return false;
  in->Skip(bits.bytes_used());
  return in->ok();
}

// Tokens into `out`, one a number.
template <unsigned kStates>
bool DecodeTokens(ByteReader* in, const Slots& slots, size_t count, uint64_t* out) {
  std::array<uint32_t, kStates> x;
  for (uint32_t& state : x) state = in->Fixed32();
  if (!in->ok()) return false;
  const std::string_view words = in->rest();
  const char* at = words.data();
  const char* const end = at + words.size() / 2 * 2;
  bool short_of_words = false;
  const auto step = [&](uint32_t& state) {
    const uint32_t slot = slots[state & (kSlots - 1)];
    state =
        (slot & (2 * kSlots - 1)) * (state >> kSlotBits) + (slot >> kOffsetShift & (kSlots - 1));
    if (state < kStateMin) {
      if (at == end) {
        short_of_words = true;
        return slot >> kTokenShift;
      }
      state = state << 16 | LoadFixed<uint16_t>(at);
      at += 2;
    }
    return slot >> kTokenShift;
  };
  size_t i = 0;
  for (; i + kStates <= count; i += kStates) {
    for (unsigned s = 0; s < kStates; ++s) out[i + s] = step(x[s]);
  }
  for (unsigned s = 0; i + s < count; ++s) out[i + s] = step(x[s]);
  for (const uint32_t state : x) short_of_words |= state != kStateMin;
  in->Skip(static_cast<uint64_t>(at - words.data()));
  return !short_of_words;
}

// Replaces tokens by their numbers.
bool AddRawBits(ByteReader* in, const std::array<TokenValue, kTokens>& values, size_t count,
                uint64_t* out) {
  uint64_t bits = 0;
  for (size_t i = 0; i < count; ++i) bits += values[out[i]].raw_bits;
  const std::string_view raw = in->Bytes((bits + 7) / 8);
  if (!in->ok()) return false;
  if (bits == 0) {
    for (size_t i = 0; i < count; ++i) out[i] = values[out[i]].base;
    return true;
  }
  // Eight bytes from any place on: the last ones from a copy with room behind it.
  constexpr size_t kTail = 16;
  std::array<char, 2 * kTail> tail{};
  const size_t tail_from = raw.size() > kTail ? raw.size() - kTail : 0;
  std::copy(raw.begin() + static_cast<ptrdiff_t>(tail_from), raw.end(), tail.begin());
  uint64_t bit = 0;
  for (size_t i = 0; i < count; ++i) {
    const TokenValue& value = values[out[i]];
    const unsigned width = value.raw_bits;
    const uint64_t byte = bit / 8;
    const char* from = byte + 9 <= raw.size() ? raw.data() + byte : tail.data() + byte - tail_from;
    const auto shift = static_cast<unsigned>(bit % 8);
    uint64_t low = LoadFixed<uint64_t>(from) >> shift;
    if (width + shift > 64) low |= uint64_t{static_cast<uint8_t>(from[8])} << (64 - shift);
    out[i] = value.base | (low & ((uint64_t{1} << width) - 1));
    bit += width;
  }
  return true;
}

}  // namespace

unsigned TokenOf(uint64_t u) { return Token(kConfig[0], u); }

double EntropyOf(const TokenCounts& counts) {
  const std::array<float, kSlots + 1>& log2 = Log2();
  uint64_t total = 0;
  double bits = 0;
  for (unsigned t = 0; t < kTokens; ++t) {
    const uint32_t count = counts[t];
    if (count == 0) continue;
    total += count;
    const double log = count <= kSlots ? log2[count] : std::log2(count);
    bits += count * (kTables.values[0][t].raw_bits - log);
  }
  return total == 0 ? 0 : bits + static_cast<double>(total) * std::log2(total);
}

EntropyPlan PlanEntropy(const TokenCounts& counts) {
  uint64_t total = 0;
  unsigned end = 0;  // one past the last token that comes
  for (unsigned t = 0; t < kTokens; ++t) {
    total += counts[t];
    if (counts[t] != 0) end = t + 1;
  }
  EntropyPlan best;
  EntropyPlan plan;
  for (plan.config = 0; plan.config < kConfigs; ++plan.config) {
    TokenCounts coarse{};
    for (unsigned t = 0; t < end; ++t) coarse[kTables.coarser[plan.config][t]] += counts[t];
    const unsigned coarse_end = kTables.coarser[plan.config][end - 1] + 1u;
    Normalize(coarse, coarse_end, total, &plan.frequencies);
    double bits = 0;
    uint64_t raw = 0;
    for (unsigned t = 0; t < coarse_end; ++t) {
      if (coarse[t] == 0) continue;
      bits += coarse[t] * static_cast<double>(float{kSlotBits} - Log2()[plan.frequencies[t]]);
      raw += uint64_t{coarse[t]} * kTables.values[plan.config][t].raw_bits;
    }
    const unsigned states = total < kTwoStates ? 1 : 2;
    plan.bits = static_cast<uint64_t>(bits) + raw + TableBits(plan.frequencies, coarse_end) +
                24 * states + 8;
    if (plan.bits < best.bits) best = plan;
  }
  return best;
}

void EncodeEntropy(std::span<const uint64_t> numbers, const EntropyPlan& plan, std::string* out) {
  const Config config = kConfig[plan.config];
  std::array<Symbol, kTokens> symbols{};
  uint32_t start = 0;
  {
    BitWriter bits(out);
    unsigned count = 0;
    for (const uint16_t frequency : plan.frequencies) count += frequency != 0 ? 1 : 0;
    bits.Put(plan.config, 2);
    bits.Put(count - 1, 8);
    int previous = -1;
    for (unsigned t = 0; t < kTokens; ++t) {
      const uint32_t frequency = plan.frequencies[t];
      if (frequency == 0) continue;
      bits.PutGamma(static_cast<unsigned>(static_cast<int>(t) - previous));
      previous = static_cast<int>(t);
      symbols[t] = Symbol(start, frequency);
      start += frequency;
      if (--count == 0) break;
      const auto width = static_cast<unsigned>(std::bit_width(frequency - 1));
      bits.Put(width, 4);
      if (width > 1) bits.Put((frequency - 1) & ((1u << (width - 1)) - 1), width - 1);
    }
  }
  // From the last number to the first, as the decoder's states run backwards.
  const unsigned states = numbers.size() < kTwoStates ? 1 : 2;
  std::array<uint32_t, 2> x = {kStateMin, kStateMin};
  Scratch<uint8_t> token_memory;
  const std::span<uint8_t> tokens = token_memory.Take(numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    tokens[i] = static_cast<uint8_t>(Token(config, numbers[i]));
  }
  // From the back on: at most one word a number.
  Scratch<uint16_t> word_memory;
  const std::span<uint16_t> words = word_memory.Take(numbers.size());
  size_t first = words.size();
  for (size_t i = numbers.size(); i-- > 0;) {
    const Symbol& symbol = symbols[tokens[i]];
    uint32_t& state = x[i % states];
    if (state >= uint64_t{symbol.frequency} << (32 - kSlotBits)) {
      words[--first] = static_cast<uint16_t>(state);
      state >>= 16;
    }
    const uint32_t quotient = symbol.Quotient(state);
    state = (quotient << kSlotBits) + (state - quotient * symbol.frequency) + symbol.start;
  }
  for (unsigned s = 0; s < states; ++s) PutFixed32(*out, x[s]);
  out->append(reinterpret_cast<const char*>(words.data() + first),
              (words.size() - first) * sizeof(uint16_t));
  BitWriter raw(out);
  for (size_t i = 0; i < numbers.size(); ++i) {
    const unsigned width = kTables.values[plan.config][tokens[i]].raw_bits;
    if (width > 0) raw.Put(numbers[i] & ((uint64_t{1} << width) - 1), width);
  }
}

bool DecodeEntropy(ByteReader* in, size_t count, uint64_t* out) {
  unsigned config = 0;
  Slots slots;
  const bool read = ReadTable(in, &config, &slots) &&
                    (count < kTwoStates ? DecodeTokens<1>(in, slots, count, out)
                                        : DecodeTokens<2>(in, slots, count, out)) &&
                    AddRawBits(in, kTables.values[config], count, out);
  if (!read) in->Fail();
  return read;
}

}  // namespace tocsin::tsdb
