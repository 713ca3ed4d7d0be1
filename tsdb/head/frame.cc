#include "tsdb/head/frame.h"

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "base/check.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {

namespace {

constexpr uint8_t kKindMask = 0x03;
constexpr uint8_t kListFlag = 0x04;
constexpr uint8_t kOwnFlag = 0x08;
constexpr uint8_t kStartsFlag = 0x10;
constexpr uint8_t kRangesFlag = 0x20;
constexpr uint8_t kKnownFlags = 0x3f;
// Ranges are walked one by one where a slot is looked for.
constexpr uint32_t kRangesMax = 32;

size_t SetBytes(const FrameView& frame) {
  if (frame.list) return size_t{2} * frame.items;
  return frame.ranges > 0 ? size_t{4} * frame.ranges : size_t{8} * frame.word_count();
}

// A slot that was noisy is tried for an exponent once in so many changes.
constexpr uint32_t kExponentTryInterval = 16;
// Above the largest finite payload of an item that is no histogram, with slack for 8-byte stores.
constexpr size_t kItemBytesMax = 24;

Status Damaged(const char* what) {
  return Status(Code::kCorruption, std::string("frame: ") + what);
}

int BytesOfSigned(int64_t v) {
  const auto magnitude = static_cast<uint64_t>(v < 0 ? ~v : v);
  return static_cast<int>(std::bit_width(magnitude)) / 8 + 1;
}

// Finds the end of the payload, checking that all items lie within `bytes`.
Result<const char*> CheckPayload(const FrameView& frame, const char* begin, const char* end) {
  const char* p = begin;
  for (uint32_t item = 0; item < frame.items; ++item) {
    const FrameCode code = frame.code(item);
    const int8_t fixed = frame_internal::kPayloadBytes[static_cast<uint8_t>(code)];
    size_t size = static_cast<size_t>(fixed);
    if (static_cast<uint8_t>(code) > static_cast<uint8_t>(FrameCode::kHistogram))
      return Error(Damaged("unknown code"));
    if (fixed < 0) {
      if (p == end) return Error(Damaged("payload past end"));
      const auto head = static_cast<uint8_t>(*p);
      if (code == FrameCode::kRebase) {
        if ((head >> 4) > 7) return Error(Damaged("decimal longer than 8 bytes"));
        size = size_t{2} + (head >> 4);
      } else if (code == FrameCode::kXor) {
        if ((head >> 3) + (head & 7) > 8) return Error(Damaged("xor longer than 8 bytes"));
        size = size_t{1} + (head >> 3);
      } else {
        ByteReader reader(std::string_view(p, static_cast<size_t>(end - p)));
        const uint64_t length = reader.Varint();
        if (!reader.ok() || length > reader.remaining())
          return Error(Damaged("histogram past end"));
        size = reader.position() + static_cast<size_t>(length);
      }
    }
    if (size > static_cast<size_t>(end - p)) return Error(Damaged("payload past end"));
    p += size;
  }
  return p;
}

Status CheckSet(const FrameView& frame) {
  if (frame.list) {
    uint32_t previous = 0;
    for (uint32_t item = 0; item < frame.items; ++item) {
      const uint32_t slot = frame.list_slot(item);
      if (slot >= frame.slots || (item > 0 && slot <= previous)) return Damaged("slot list");
      previous = slot;
    }
    return Status::Ok();
  }
  uint32_t count = 0;
  if (frame.ranges > 0) {
    uint32_t end = 0;
    for (uint32_t r = 0; r < frame.ranges; ++r) {
      const auto [first, slots] = frame.range(r);
      if (slots == 0 || (r > 0 && first <= end) || first + slots > frame.slots)
        return Damaged("slot ranges");
      end = first + slots;
      count += slots;
    }
    if (count != frame.items) return Damaged("ranges disagree with item count");
    return Status::Ok();
  }
  for (uint32_t w = 0; w < frame.word_count(); ++w)
    count += static_cast<uint32_t>(std::popcount(frame.word(w)));
  const uint32_t tail = frame.slots % 64;
  if (tail != 0 && (frame.word(frame.word_count() - 1) >> tail) != 0)
    return Damaged("bitmap past slot count");
  if (count != frame.items) return Damaged("bitmap disagrees with item count");
  return Status::Ok();
}

// Between a row's time and a sample's own.
constexpr int64_t kOwnDifferenceMax = 2 * kTimestampMax;

// `differences`: its values are such; else they are start timestamps, the sender's word.
Result<std::string_view> CheckSection(ByteReader& reader, uint32_t items, bool differences) {
  const char* begin = reader.rest().data();
  const size_t before = reader.position();
  const uint64_t count = reader.Varint();
  if (count == 0 || count > items) return Error(Damaged("section count"));
  uint64_t item = 0;
  for (uint64_t i = 0; i < count; ++i) {
    item += reader.Varint32() + (i == 0 ? 0 : 1);
    const int64_t value = reader.SignedVarint();
    const bool fits = !differences || (value >= -kOwnDifferenceMax && value <= kOwnDifferenceMax);
    if (!reader.ok() || item >= items || !fits) return Error(Damaged("section"));
  }
  return std::string_view(begin, reader.position() - before);
}

}  // namespace

void SlotStates::Resize(size_t slots) {
  bits.resize(slots, 0);
  mode.resize(slots, 0);
  live.resize((slots + 63) / 64, 0);
  if (!starts_ms.empty()) starts_ms.resize(slots, 0);
}

void SlotStates::SetStart(size_t slot, int64_t start_ms) {
  if (starts_ms.empty()) {
    if (start_ms == 0) return;
    starts_ms.resize(bits.size(), 0);
  }
  starts_ms[slot] = start_ms;
}

Result<FrameView> FrameView::Parse(std::string_view body) {
  FrameView frame;
  ByteReader reader(body);
  const uint8_t flags = reader.Fixed8();
  if ((flags & ~kKnownFlags) != 0) return Error(Damaged("flags"));
  frame.kind = static_cast<FrameKind>(flags & kKindMask);
  frame.list = (flags & kListFlag) != 0;
  frame.slots = reader.Varint32();
  frame.items = reader.Varint32();
  if (!reader.ok() || frame.slots > kFrameSlotsMax || frame.items > frame.slots ||
      reader.position() != 1 + VarintSize(frame.slots) + VarintSize(frame.items))
    return Error(Damaged("counts"));
  if ((flags & kRangesFlag) != 0) {
    frame.ranges = reader.Fixed8();
    const bool part = frame.kind == FrameKind::kPartial || frame.kind == FrameKind::kLate;
    if (!reader.ok() || frame.list || !part || frame.ranges == 0 || frame.ranges > kRangesMax)
      return Error(Damaged("ranges"));
  }
  frame.set = reader.Bytes(SetBytes(frame)).data();
  frame.codes = reader.Bytes((frame.items + 1) / 2).data();
  if (!reader.ok()) return Error(Damaged("shorter than its set"));
  TOCSIN_TRY(CheckSet(frame));
  frame.payload = body.data() + reader.position();
  TOCSIN_ASSIGN_OR_RETURN(frame.payload_end,
                          CheckPayload(frame, frame.payload, body.data() + body.size()));
  reader.Skip(static_cast<size_t>(frame.payload_end - frame.payload));
  if ((flags & kOwnFlag) != 0) {
    TOCSIN_ASSIGN_OR_RETURN(frame.own, CheckSection(reader, frame.items, true));
  }
  if ((flags & kStartsFlag) != 0) {
    TOCSIN_ASSIGN_OR_RETURN(frame.starts, CheckSection(reader, frame.items, false));
  }
  if (!reader.at_end()) return Error(Damaged("bytes after its end"));
  return frame;
}

FrameView FrameView::ParseTrusted(const char* body, uint32_t body_bytes, uint32_t sections_offset) {
  const char* p = body + 1;
  const auto varint = [&p] {
    uint32_t v = static_cast<uint8_t>(*p) & 0x7f;
    if ((static_cast<uint8_t>(*p++) & 0x80) != 0) v |= uint32_t{static_cast<uint8_t>(*p++)} << 7;
    return v;
  };
  static_assert(kFrameSlotsMax < (1 << 14), "counts are varints of at most two bytes");
  const uint32_t slots = varint();
  const uint32_t items = varint();
  const auto flags = static_cast<uint8_t>(*body);
  const auto ranges = static_cast<uint8_t>((flags & kRangesFlag) != 0 ? *p : 0);
  return FromParts(flags, slots, items, ranges, body, body_bytes, sections_offset);
}

FrameView FrameView::FromParts(uint8_t flags, uint32_t slots, uint32_t items, uint8_t ranges,
                               const char* body, uint32_t body_bytes, uint32_t sections_offset) {
  FrameView frame;
  frame.kind = static_cast<FrameKind>(flags & kKindMask);
  frame.list = (flags & kListFlag) != 0;
  frame.slots = slots;
  frame.items = items;
  frame.ranges = ranges;
  frame.set = body + 3 + (slots >= 0x80 ? 1 : 0) + (items >= 0x80 ? 1 : 0) + (ranges > 0 ? 1 : 0);
  frame.codes = frame.set + SetBytes(frame);
  frame.payload = frame.codes + (frame.items + 1) / 2;
  frame.payload_end = body + sections_offset;
  if ((flags & (kOwnFlag | kStartsFlag)) == 0) return frame;
  std::string_view rest(frame.payload_end, body_bytes - sections_offset);
  const auto section = [&rest] {
    ByteReader reader(rest);
    const uint64_t count = reader.Varint();
    for (uint64_t i = 0; i < 2 * count; ++i) reader.Varint();
    const std::string_view bytes = rest.substr(0, reader.position());
    rest.remove_prefix(reader.position());
    return bytes;
  };
  if ((flags & kOwnFlag) != 0) frame.own = section();
  if ((flags & kStartsFlag) != 0) frame.starts = section();
  return frame;
}

// ----------------------------------------------------------------------------------------------------------
// encoding

FrameEncoder::FrameEncoder() {
  item_slots_.resize(kFrameSlotsMax);
  item_codes_.resize(kFrameSlotsMax);
  payload_.resize(kFrameSlotsMax * kItemBytesMax / 4);
}

void FrameEncoder::Begin(FrameKind kind, SlotStates& states) {
  DCHECK(states.size() <= kFrameSlotsMax);
  kind_ = kind;
  slots_ = static_cast<uint32_t>(states.size());
  states_ = &states;
  if (kind == FrameKind::kLate) {
    late_.bits.assign(slots_, 0);
    late_.mode.assign(slots_, 0);
    late_.live.assign((slots_ + 63) / 64, 0);
    late_.starts_ms.clear();
    late_hints_ = &states;
    states_ = &late_;
  }
  items_ = 0;
  payload_used_ = 0;
  own_.clear();
  starts_.clear();
  own_count_ = starts_count_ = own_last_ = starts_last_ = 0;
}

char* FrameEncoder::Reserve(size_t bytes) {
  if (payload_used_ + bytes > payload_.size())
    payload_.resize(std::max(payload_.size() * 2, payload_used_ + bytes));
  return payload_.data() + payload_used_;
}

void FrameEncoder::PutItem(uint32_t slot, FrameCode code) {
  DCHECK(slot < slots_ && (items_ == 0 || slot > item_slots_[items_ - 1]));
  item_slots_[items_] = static_cast<uint16_t>(slot);
  item_codes_[items_] = static_cast<uint8_t>(code);
  ++items_;
}

void FrameEncoder::EncodeRebase(uint32_t slot, int64_t decimal, int exponent) {
  const int bytes = BytesOfSigned(decimal);
  char* out = payload_.data() + payload_used_;
  *out = static_cast<char>(exponent | (bytes - 1) << 4);
  std::memcpy(out + 1, &decimal, sizeof decimal);
  payload_used_ += size_t{1} + static_cast<size_t>(bytes);
  PutItem(slot, FrameCode::kRebase);
}

void FrameEncoder::EncodeXor(uint32_t slot, uint64_t difference, uint64_t bits) {
  char* out = payload_.data() + payload_used_;
  const int high = difference == 0 ? 8 : std::countl_zero(difference) / 8;
  const int low = difference == 0 ? 0 : std::countr_zero(difference) / 8;
  const int bytes = 8 - high - low;
  const int plain = high >= 2 ? 6 : high == 1 ? 7 : 8;
  if (bytes + 1 < plain) {
    *out = static_cast<char>(low | bytes << 3);
    const uint64_t shifted = difference >> (8 * low);
    std::memcpy(out + 1, &shifted, sizeof shifted);
    payload_used_ += size_t{1} + static_cast<size_t>(bytes);
    PutItem(slot, FrameCode::kXor);
    return;
  }
  const uint64_t stored = plain == 8 ? bits : difference;
  std::memcpy(out, &stored, sizeof stored);
  payload_used_ += static_cast<size_t>(plain);
  PutItem(slot, plain == 6 ? FrameCode::kXor6 : plain == 7 ? FrameCode::kXor7 : FrameCode::kRaw8);
}

// The exponent that the slot's other values have, or none. False: nothing is known to fit.
bool FrameEncoder::EncodeLate(uint32_t slot, uint64_t bits) {
  const uint8_t hint = late_hints_->mode[slot];
  const int exponent = hint & SlotStates::kExponentMask;
  if ((hint & SlotStates::kNoisy) == 0) {
    const int64_t decimal = DecimalOf(bits, exponent);
    if (exponent == 0 || BitsOfDecimal(decimal, exponent) != bits || BytesOfSigned(decimal) > 6)
      return false;
    Reserve(kItemBytesMax);
    EncodeRebase(slot, decimal, exponent);
    return true;
  }
  if (BitsOfDecimal(DecimalOf(bits, 0), 0) == bits) return false;
  Reserve(kItemBytesMax);
  EncodeXor(slot, bits, bits);
  return true;
}

void FrameEncoder::EncodeFloat(uint32_t slot, uint64_t bits) {
  static constexpr FrameCode kByBytes[7] = {
      FrameCode::kDelta1, FrameCode::kDelta1, FrameCode::kDelta2, FrameCode::kDelta3,
      FrameCode::kDelta4, FrameCode::kDelta6, FrameCode::kDelta6};
  Reserve(kItemBytesMax);
  uint8_t& mode = states_->mode[slot];
  const uint64_t last = states_->bits[slot];
  const int exponent = mode & SlotStates::kExponentMask;
  const int64_t decimal = DecimalOf(bits, exponent);
  if (BitsOfDecimal(decimal, exponent) == bits) {
    const int64_t delta = decimal - DecimalOf(last, exponent);
    const int bytes = BytesOfSigned(delta);
    if (delta == 1) {
      PutItem(slot, FrameCode::kPlusOne);
    } else if (bytes <= 6) {
      std::memcpy(payload_.data() + payload_used_, &delta, sizeof delta);
      payload_used_ += static_cast<size_t>(bytes == 5 ? 6 : bytes);
      PutItem(slot, kByBytes[bytes]);
    } else {
      EncodeRebase(slot, decimal, exponent);
    }
    mode &= static_cast<uint8_t>(~SlotStates::kNoisy);
    return;
  }
  if ((mode & SlotStates::kNoisy) == 0 || ++tries_ % kExponentTryInterval == 0) {
    // Shorter exponents first: the value may have lost digits. Beyond 10 digits of fraction
    // XOR is as short.
    for (int e = 0; e <= 10; ++e) {
      const int64_t k = DecimalOf(bits, e);
      if (BitsOfDecimal(k, e) != bits) continue;
      if (BytesOfSigned(k) > 6) break;
      EncodeRebase(slot, k, e);
      mode = static_cast<uint8_t>(e);
      return;
    }
    mode |= SlotStates::kNoisy;
  }
  EncodeXor(slot, bits ^ last, bits);
}

void FrameEncoder::AddValue(uint32_t slot, double value) {
  const auto bits = std::bit_cast<uint64_t>(value);
  if (bits == states_->bits[slot] && kind_ == FrameKind::kPartial) {
    PutItem(slot, FrameCode::kAbsent);  // kSame
    return;
  }
  if (kind_ == FrameKind::kLate) {
    if (!EncodeLate(slot, bits)) EncodeFloat(slot, bits);
    return;
  }
  EncodeFloat(slot, bits);
  states_->bits[slot] = bits;
  if (kind_ == FrameKind::kFull) states_->SetLive(slot);
}

void FrameEncoder::AddStale(uint32_t slot) {
  PutItem(slot, FrameCode::kStale);
  if (kind_ == FrameKind::kFull) states_->SetDead(slot);
}

void FrameEncoder::AddAbsent(uint32_t slot) {
  DCHECK(kind_ == FrameKind::kFull);
  PutItem(slot, FrameCode::kAbsent);
  states_->SetDead(slot);
}

void FrameEncoder::AddHistogram(uint32_t slot, std::string_view encoded) {
  char* out = Reserve(kVarintBytesMax + encoded.size() + kFrameSlack);
  char* p = EncodeVarint(out, encoded.size());
  std::memcpy(p, encoded.data(), encoded.size());
  payload_used_ += static_cast<size_t>(p - out) + encoded.size();
  PutItem(slot, FrameCode::kHistogram);
  if (kind_ == FrameKind::kFull) states_->SetDead(slot);
}

void FrameEncoder::SetOwnTimestamp(int64_t own_minus_row_ms) {
  const uint32_t item = items_ - 1;
  PutVarint(own_, own_count_ == 0 ? item : item - own_last_ - 1);
  PutSignedVarint(own_, own_minus_row_ms);
  own_last_ = item;
  ++own_count_;
  if (kind_ == FrameKind::kFull) states_->SetDead(item_slots_[item]);
}

void FrameEncoder::SetStart(int64_t start_ms) {
  const uint32_t item = items_ - 1;
  const uint32_t slot = item_slots_[item];
  if (states_->start_ms(slot) == start_ms) return;
  states_->SetStart(slot, start_ms);
  PutVarint(starts_, starts_count_ == 0 ? item : item - starts_last_ - 1);
  PutSignedVarint(starts_, start_ms);
  starts_last_ = item;
  ++starts_count_;
}

// Parts of rows that are pushed piece by piece are neighbours: each piece's series came together
// the first time, too.
uint8_t FrameEncoder::PutSet() {
  const size_t bitmap_bytes = size_t{8} * ((slots_ + 63) / 64);
  const size_t list_bytes = size_t{2} * items_;
  struct Range {
    uint16_t first;
    uint16_t count;
  };
  Range ranges[kRangesMax];
  size_t count = 0;
  const bool may_be_ranges = kind_ == FrameKind::kPartial || kind_ == FrameKind::kLate;
  for (uint32_t i = 0; i < items_ && may_be_ranges; ++i) {
    if (count > 0 && item_slots_[i] == ranges[count - 1].first + ranges[count - 1].count) {
      ++ranges[count - 1].count;
      continue;
    }
    if (count == kRangesMax) {
      count = 0;
      break;
    }
    ranges[count++] = {item_slots_[i], 1};
  }
  if (count > 0 && 1 + count * sizeof(Range) < std::min(bitmap_bytes, list_bytes)) {
    PutFixed8(body_, static_cast<uint8_t>(count));
    body_.append(reinterpret_cast<const char*>(ranges), count * sizeof(Range));
    return kRangesFlag;
  }
  if (list_bytes < bitmap_bytes) {
    body_.append(reinterpret_cast<const char*>(item_slots_.data()), list_bytes);
    return kListFlag;
  }
  uint64_t words[kFrameSlotsMax / 64] = {};
  for (uint32_t i = 0; i < items_; ++i)
    words[item_slots_[i] / 64] |= uint64_t{1} << (item_slots_[i] % 64);
  body_.append(reinterpret_cast<const char*>(words), bitmap_bytes);
  return 0;
}

std::string_view FrameEncoder::Finish() {
  uint8_t flags = static_cast<uint8_t>(kind_);
  if (own_count_ > 0) flags |= kOwnFlag;
  if (starts_count_ > 0) flags |= kStartsFlag;
  body_.clear();
  PutFixed8(body_, flags);
  PutVarint(body_, slots_);
  PutVarint(body_, items_);
  flags |= PutSet();
  body_[0] = static_cast<char>(flags);
  const size_t codes_at = body_.size();
  body_.resize(codes_at + (items_ + 1) / 2);
  char* codes = body_.data() + codes_at;
  for (uint32_t i = 0; i + 1 < items_; i += 2)
    codes[i / 2] = static_cast<char>(item_codes_[i] | item_codes_[i + 1] << 4);
  if (items_ % 2 != 0) codes[items_ / 2] = static_cast<char>(item_codes_[items_ - 1]);
  body_.append(payload_.data(), payload_used_);
  sections_offset_ = static_cast<uint32_t>(body_.size());
  if (own_count_ > 0) {
    PutVarint(body_, own_count_);
    body_.append(own_);
  }
  if (starts_count_ > 0) {
    PutVarint(body_, starts_count_);
    body_.append(starts_);
  }
  return body_;
}

// ----------------------------------------------------------------------------------------------------------
// decoding

std::string_view HistogramPayload(const char* payload) {
  const size_t total = PayloadBytes(FrameCode::kHistogram, payload);
  size_t prefix = 1;
  while ((static_cast<uint8_t>(payload[prefix - 1]) & 0x80) != 0) ++prefix;
  return {payload + prefix, total - prefix};
}

bool FindInSection(std::string_view section, uint32_t item, int64_t* value) {
  if (section.empty()) return false;
  ByteReader reader(section);
  const uint64_t count = reader.Varint();
  uint64_t at = 0;
  for (uint64_t i = 0; i < count; ++i) {
    at += reader.Varint() + (i == 0 ? 0 : 1);
    const int64_t v = reader.SignedVarint();
    if (at == item) {
      *value = v;
      return true;
    }
    if (at > item) return false;
  }
  return false;
}

void ReadSection(std::string_view section, std::vector<SectionEntry>* entries) {
  entries->clear();
  if (section.empty()) return;
  ByteReader reader(section);
  const uint64_t count = reader.Varint();
  uint64_t at = 0;
  for (uint64_t i = 0; i < count && reader.ok(); ++i) {
    at += reader.Varint() + (i == 0 ? 0 : 1);
    const int64_t value = reader.SignedVarint();
    entries->push_back({static_cast<uint32_t>(at), value});
  }
}

namespace {

// Codes from kPlusOne to kDelta6: what is shifted out of the 8 bytes that are loaded.
constexpr uint8_t kDeltaShift[16] = {0, 0, 0, 0, 56, 48, 40, 32, 16};

// Replay's inner loop. Nearly all items are deltas, of sizes that no branch predictor can know:
// they are one case.
template <bool kFull>
inline __attribute__((always_inline)) const char* ApplyItem(FrameCode code, const char* payload,
                                                            uint32_t slot, SlotStates* states) {
  const auto number = static_cast<uint8_t>(code);
  uint64_t& bits = states->bits[slot];
  uint8_t& mode = states->mode[slot];
  if (static_cast<uint8_t>(number - static_cast<uint8_t>(FrameCode::kPlusOne)) <= 5) [[likely]] {
    uint64_t raw;
    std::memcpy(&raw, payload, sizeof raw);
    const uint8_t shift = kDeltaShift[number];
    const int64_t read = static_cast<int64_t>(raw << shift) >> shift;
    const int64_t delta = code == FrameCode::kPlusOne ? 1 : read;
    const int exponent = mode & SlotStates::kExponentMask;
    bits = BitsOfDecimal(DecimalOf(bits, exponent) + delta, exponent);
    mode = static_cast<uint8_t>(exponent);
    if (kFull) states->SetLive(slot);
    return payload + frame_internal::kPayloadBytes[number];
  }
  switch (code) {
    case FrameCode::kStale:
    case FrameCode::kHistogram:
    case FrameCode::kAbsent:
      if (kFull) states->SetDead(slot);
      break;
    default: {
      int exponent = mode & SlotStates::kExponentMask;
      bits = DecodeValue(code, payload, bits, &exponent);
      mode = static_cast<uint8_t>(exponent);
      if (kFull) states->SetLive(slot);
    }
  }
  return payload + PayloadBytes(code, payload);
}

template <bool kFull>
void ApplyItems(const FrameView& frame, SlotStates* states) {
  const char* payload = frame.payload;
  if (frame.list) {
    for (uint32_t item = 0; item < frame.items; ++item)
      payload = ApplyItem<kFull>(frame.code(item), payload, frame.list_slot(item), states);
    return;
  }
  uint32_t item = 0;
  for (uint32_t r = 0; r < frame.ranges; ++r) {
    const auto [first, count] = frame.range(r);
    for (uint32_t slot = first; slot < first + count; ++slot)
      payload = ApplyItem<kFull>(frame.code(item++), payload, slot, states);
  }
  if (frame.ranges > 0) return;
  for (uint32_t w = 0; w < frame.word_count(); ++w) {
    for (uint64_t word = frame.word(w); word != 0; word &= word - 1) {
      const uint32_t slot = 64 * w + static_cast<uint32_t>(std::countr_zero(word));
      payload = ApplyItem<kFull>(frame.code(item++), payload, slot, states);
    }
  }
}

}  // namespace

void ApplyFrame(const FrameView& frame, SlotStates* states) {
  if (states->size() < frame.slots) states->Resize(frame.slots);
  if (frame.kind == FrameKind::kLate) return;
  const bool full = frame.kind == FrameKind::kFull;
  if (full) {
    ApplyItems<true>(frame, states);
  } else {
    ApplyItems<false>(frame, states);
  }
  if (!frame.has_sections()) return;
  std::vector<SectionEntry> own;
  std::vector<SectionEntry> starts;
  ReadSection(frame.own, &own);
  ReadSection(frame.starts, &starts);
  std::vector<uint32_t> slots;
  slots.reserve(frame.items);
  ForEachItem(frame,
              [&](uint32_t, uint32_t slot, FrameCode, const char*) { slots.push_back(slot); });
  for (const SectionEntry& entry : own) {
    if (full) states->SetDead(slots[entry.item]);
  }
  for (const SectionEntry& entry : starts) states->SetStart(slots[entry.item], entry.value);
}

namespace {

constexpr uint64_t kEachNibble = 0x1111111111111111;

// One of the word's 16 nibbles is that code.
bool HasCode(uint64_t word, FrameCode code) {
  const uint64_t zero_there = word ^ (kEachNibble * static_cast<uint64_t>(code));
  return ((zero_there - kEachNibble) & ~zero_there & (kEachNibble << 3)) != 0;
}

}  // namespace

bool OnlyPlainValues(const FrameView& frame) {
  if (!frame.own.empty()) return false;
  const bool full = frame.kind == FrameKind::kFull;
  for (uint32_t item = 0; item < frame.items; item += 16) {
    uint64_t codes;
    std::memcpy(&codes, frame.codes + item / 2, sizeof codes);
    if (const uint32_t left = frame.items - item; left < 16) {
      const uint64_t there = (uint64_t{1} << (4 * left)) - 1;
      codes = (codes & there) | (~there & (kEachNibble * static_cast<uint64_t>(FrameCode::kRaw8)));
    }
    if (HasCode(codes, FrameCode::kStale) || HasCode(codes, FrameCode::kHistogram) ||
        (full && HasCode(codes, FrameCode::kAbsent)))
      return false;
  }
  return true;
}

}  // namespace tocsin::tsdb
