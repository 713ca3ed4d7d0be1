// A frame: one row of one layout page (up to 4,096 slots of one source), coded against each slot's
// own last value. The same bytes are the WAL record and the open in-memory samples, so a sample is
// encoded once in its life before it is sealed. Exact layout: docs/format/frame.md.
//
//   flags | slot count | item count | set: which slots have an item | codes: 4 bits an item |
//   payload, in slot order | own timestamps | start timestamps
//
// What an item and its absence mean depends on the kind:
//
//   kind     a slot with an item                         a slot without one
//   full     has the item's value at this row, or        live: its last value again, at this row
//            (kAbsent) none, and is dead from then on    dead: nothing
//   partial  has the item's value (kSame: the last)      nothing at this row, and stays as it was
//   cover    has the item's value                        its last value again, at this row
//   late     has the item's value; the item is coded     nothing
//            against zero and leaves the slot as it was
//
// A cover is a partial frame that happens to sample every slot of the page, as a push of a whole
// target does. A slot is live when its last item in a full frame was a plain value with the row's
// timestamp. A staleness marker, a histogram, an own timestamp and kAbsent leave it dead, so that
// dead slots and slots with a clock of their own cost nothing in rows that do not touch them.
//
// Values are bit-exact: a decimal code is only used where dividing back gives the very same double.
//
// Thread contract: SlotStates and FrameEncoder belong to the shard's writer; FrameView and the
// decoders are pure functions of bytes that do not change.
#pragma once

#include <emmintrin.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/sample.h"

namespace tocsin::tsdb {

inline constexpr uint32_t kFrameSlotsMax = 4096;

enum class FrameKind : uint8_t { kFull = 0, kPartial = 1, kLate = 2, kCover = 3 };

// Codes of an item. The number in the name is the size of the payload.
enum class FrameCode : uint8_t {
  kStale = 0,   // staleness marker; the last value stays what deltas refer to
  kAbsent = 1,  // full: no sample, dead. partial (kSame): the last value
  kRaw8 = 2,
  kPlusOne = 3,  // decimal + 1 at the slot's exponent
  kDelta1 = 4,   // decimal + signed integer at the slot's exponent
  kDelta2 = 5,
  kDelta3 = 6,
  kDelta4 = 7,
  kDelta6 = 8,
  kRebase = 9,  // exponent | (bytes - 1) << 4, then the decimal itself; sets the slot's exponent
  kXor = 10,    // low zero bytes | bytes << 3, then that many bytes of (bits ^ last bits)
  kXor6 = 11,   // the low 6 bytes of (bits ^ last bits), the others are 0
  kXor7 = 12,
  kHistogram = 13,  // varint size, then the encoded histogram
};

// Exponents e of decimals k / 10^e. More than 15 digits never round-trip anyway.
inline constexpr int kExponentMax = 15;

// Coding state of the slots of one page. A new slot is dead, its last value 0, its exponent 0.
struct SlotStates {
  static constexpr uint8_t kExponentMask = 0x0f;
  // The last value was no decimal: the encoder tries exponents rarely. No meaning to decoders.
  static constexpr uint8_t kNoisy = 0x20;

  std::vector<uint64_t> bits;      // last value, staleness markers and histograms aside
  std::vector<uint8_t> mode;       // exponent | kNoisy
  std::vector<uint64_t> live;      // one bit a slot
  std::vector<int64_t> starts_ms;  // start timestamps; empty while no slot ever had one

  size_t size() const { return bits.size(); }
  void Resize(size_t slots);
  bool is_live(size_t slot) const { return ((live[slot / 64] >> (slot % 64)) & 1) != 0; }
  void SetLive(size_t slot) { live[slot / 64] |= uint64_t{1} << (slot % 64); }
  void SetDead(size_t slot) { live[slot / 64] &= ~(uint64_t{1} << (slot % 64)); }
  int64_t start_ms(size_t slot) const { return starts_ms.empty() ? 0 : starts_ms[slot]; }
  void SetStart(size_t slot, int64_t start_ms);
};

// One frame's parts, as pointers into its bytes. Parse checks every bound, so that the decoders
// below need not: a view that parsed can be decoded without reading outside `body`, provided that 8
// readable bytes follow it (kFrameSlack).
inline constexpr size_t kFrameSlack = 8;

struct FrameView {
  FrameKind kind = FrameKind::kFull;
  bool list = false;   // the set is a list of u16, not a bitmap of u64 words
  uint8_t ranges = 0;  // or so many ranges of two u16: the first slot, the number of slots
  uint32_t slots = 0;
  uint32_t items = 0;
  const char* set = nullptr;
  const char* codes = nullptr;
  const char* payload = nullptr;
  const char* payload_end = nullptr;
  std::string_view own;     // own timestamps section, "" when absent
  std::string_view starts;  // start timestamps section

  uint64_t word(uint32_t index) const {
    uint64_t w;
    std::memcpy(&w, set + size_t{8} * index, sizeof w);
    return w;
  }
  uint32_t word_count() const { return (slots + 63) / 64; }
  uint32_t list_slot(uint32_t item) const {
    uint16_t slot;
    std::memcpy(&slot, set + size_t{2} * item, sizeof slot);
    return slot;
  }
  struct SlotRange {
    uint32_t first;
    uint32_t count;
  };
  SlotRange range(uint32_t index) const {
    uint16_t pair[2];
    std::memcpy(pair, set + size_t{4} * index, sizeof pair);
    return {pair[0], pair[1]};
  }
  FrameCode code(uint32_t item) const {
    const auto pair = static_cast<uint8_t>(codes[item >> 1]);
    return static_cast<FrameCode>((item & 1) != 0 ? pair >> 4 : pair & 0x0f);
  }
  bool has_sections() const { return !own.empty() || !starts.empty(); }

  static Result<FrameView> Parse(std::string_view body);
  // Of a body that Parse accepted before; `sections_offset`: where its payload ends.
  static FrameView ParseTrusted(const char* body, uint32_t body_bytes, uint32_t sections_offset);
  // The same, when what the body begins with is known: its bytes are only read for sections.
  // `body_bytes` may count what follows the body.
  static FrameView FromParts(uint8_t flags, uint32_t slots, uint32_t items, uint8_t ranges,
                             const char* body, uint32_t body_bytes, uint32_t sections_offset);
};

// Encodes one frame after another; keeps its buffers. Items are added in ascending order of slots
// and change `states` just as decoding them does (late frames leave it alone).
class FrameEncoder {
 public:
  FrameEncoder();

  // `states` must outlive the frame; its size is the frame's slot count.
  void Begin(FrameKind kind, SlotStates& states);
  void AddValue(uint32_t slot, double value);
  void AddStale(uint32_t slot);
  void AddAbsent(uint32_t slot);  // full frames only
  void AddHistogram(uint32_t slot, std::string_view encoded);
  // Of the item just added: its own timestamp (differs from the row's), its start timestamp.
  void SetOwnTimestamp(int64_t own_minus_row_ms);
  void SetStart(int64_t start_ms);

  uint32_t items() const { return items_; }
  // The frame's body; valid until Begin.
  std::string_view Finish();
  // Of the finished body: where its payload ends.
  uint32_t sections_offset() const { return sections_offset_; }

 private:
  void PutItem(uint32_t slot, FrameCode code);
  // Appends the set to body_ in its shortest form; flags for that.
  uint8_t PutSet();
  void EncodeFloat(uint32_t slot, uint64_t bits);
  bool EncodeLate(uint32_t slot, uint64_t bits);
  void EncodeXor(uint32_t slot, uint64_t difference, uint64_t bits);
  void EncodeRebase(uint32_t slot, int64_t decimal, int exponent);
  char* Reserve(size_t bytes);

  FrameKind kind_ = FrameKind::kFull;
  SlotStates* states_ = nullptr;
  SlotStates late_;                         // zeros: what late items are coded against
  const SlotStates* late_hints_ = nullptr;  // the slots' own states: what exponent to try first
  uint32_t slots_ = 0;
  uint32_t items_ = 0;
  uint32_t tries_ = 0;  // spreads the rare searches for an exponent
  std::vector<uint16_t> item_slots_;
  std::vector<uint8_t> item_codes_;
  std::vector<char> payload_;
  size_t payload_used_ = 0;
  std::string own_;
  uint32_t own_count_ = 0;
  uint32_t own_last_ = 0;
  std::string starts_;
  uint32_t starts_count_ = 0;
  uint32_t starts_last_ = 0;
  uint32_t sections_offset_ = 0;
  std::string body_;
};

// --- decoding ---

namespace frame_internal {
inline constexpr double kPowersOfTen[kExponentMax + 1] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
// By code; -1: told by the payload itself.
inline constexpr int8_t kPayloadBytes[16] = {0, 0, 8, 0, 1, 2, 3, 4, 6, -1, -1, 6, 7, -1, 0, 0};
}  // namespace frame_internal

// The integer k of value = k / 10^exponent; 0 where there is none that a double holds exactly. Both
// sides of the codec call it on the same last value.
inline int64_t DecimalOf(uint64_t bits, int exponent) {
  const double scaled = std::bit_cast<double>(bits) * frame_internal::kPowersOfTen[exponent];
  // False for NaN, too. Adding and subtracting 1.5 * 2^52 would be faster and wrong from 2^51 on.
  if (!(scaled < 9007199254740992.0 && scaled > -9007199254740992.0)) return 0;
  return _mm_cvtsd_si64(_mm_set_sd(scaled));  // llrint without a call
}

inline uint64_t BitsOfDecimal(int64_t decimal, int exponent) {
  return std::bit_cast<uint64_t>(static_cast<double>(decimal) /
                                 frame_internal::kPowersOfTen[exponent]);
}

// Size of an item's payload, for codes of any kind.
inline size_t PayloadBytes(FrameCode code, const char* payload) {
  const int8_t size = frame_internal::kPayloadBytes[static_cast<uint8_t>(code)];
  if (size >= 0) [[likely]]
    return static_cast<size_t>(size);
  const auto head = static_cast<uint8_t>(*payload);
  if (code == FrameCode::kRebase) return size_t{2} + (head >> 4);
  if (code == FrameCode::kXor) return size_t{1} + (head >> 3);
  size_t length = 0;  // kHistogram
  size_t read = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<uint8_t>(payload[read++]);
    length |= static_cast<size_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return read + length;
  }
}

// The bytes of a kHistogram payload without their size.
std::string_view HistogramPayload(const char* payload);

// Decodes a value item: the new bits; changes `*exponent` for kRebase. Not for kStale, kAbsent,
// kHistogram.
inline uint64_t DecodeValue(FrameCode code, const char* payload, uint64_t last_bits,
                            int* exponent) {
  uint64_t raw;
  std::memcpy(&raw, payload, sizeof raw);
  const auto signed_low = [raw](int bytes) {
    return static_cast<int64_t>(raw << (64 - 8 * bytes)) >> (64 - 8 * bytes);
  };
  const auto plus = [&](int64_t delta) {
    return BitsOfDecimal(DecimalOf(last_bits, *exponent) + delta, *exponent);
  };
  switch (code) {
    case FrameCode::kRaw8:
      return raw;
    case FrameCode::kPlusOne:
      return plus(1);
    case FrameCode::kDelta1:
      return plus(signed_low(1));
    case FrameCode::kDelta2:
      return plus(signed_low(2));
    case FrameCode::kDelta3:
      return plus(signed_low(3));
    case FrameCode::kDelta4:
      return plus(signed_low(4));
    case FrameCode::kDelta6:
      return plus(signed_low(6));
    case FrameCode::kRebase: {
      const auto head = static_cast<uint8_t>(raw);
      *exponent = head & 0x0f;
      const int bytes = (head >> 4) + 1;
      uint64_t decimal;
      std::memcpy(&decimal, payload + 1, sizeof decimal);
      return BitsOfDecimal(static_cast<int64_t>(decimal << (64 - 8 * bytes)) >> (64 - 8 * bytes),
                           *exponent);
    }
    case FrameCode::kXor: {
      const auto head = static_cast<uint8_t>(raw);
      const int bytes = head >> 3;
      if (bytes == 0) return last_bits;
      uint64_t difference;
      std::memcpy(&difference, payload + 1, sizeof difference);
      if (bytes < 8) difference &= (uint64_t{1} << (8 * bytes)) - 1;
      return last_bits ^ (difference << (8 * (head & 7)));
    }
    case FrameCode::kXor6:
      return last_bits ^ (raw & 0x0000ffffffffffff);
    case FrameCode::kXor7:
      return last_bits ^ (raw & 0x00ffffffffffffff);
    default:
      return last_bits;  // kAbsent as kSame
  }
}

// Calls visit(item, slot, code, payload) for every item in order.
template <typename Visit>
void ForEachItem(const FrameView& frame, Visit visit) {
  const char* payload = frame.payload;
  uint32_t item = 0;
  const auto one = [&](uint32_t slot) {
    const FrameCode code = frame.code(item);
    visit(item, slot, code, payload);
    payload += PayloadBytes(code, payload);
    ++item;
  };
  if (frame.list) {
    while (item < frame.items) one(frame.list_slot(item));
    return;
  }
  for (uint32_t r = 0; r < frame.ranges; ++r) {
    const auto [first, count] = frame.range(r);
    for (uint32_t slot = first; slot < first + count; ++slot) one(slot);
  }
  if (frame.ranges > 0) return;
  const uint32_t words = frame.word_count();
  for (uint32_t w = 0; w < words; ++w) {
    for (uint64_t word = frame.word(w); word != 0; word &= word - 1) {
      one(64 * w + static_cast<uint32_t>(std::countr_zero(word)));
    }
  }
}

// The integer that a section (own or start timestamps) holds for `item`; false when it has none.
bool FindInSection(std::string_view section, uint32_t item, int64_t* value);
// All of a section: (item, value), ascending.
struct SectionEntry {
  uint32_t item;
  int64_t value;
};
void ReadSection(std::string_view section, std::vector<SectionEntry>* entries);

// Every item is a float, with the row's timestamp.
bool OnlyPlainValues(const FrameView& frame);

// Runs a frame through `states` as the encoder did (late frames change nothing). Grows `states` to
// the frame's slots.
void ApplyFrame(const FrameView& frame, SlotStates* states);

}  // namespace tocsin::tsdb
