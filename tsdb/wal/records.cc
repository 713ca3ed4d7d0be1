#include "tsdb/wal/records.h"

#include <algorithm>
#include <cstdlib>

#include "base/bytes.h"

namespace tocsin::tsdb {
namespace {

// Sources beyond this many pages do not exist: 2^20 pages are 4 billion slots.
constexpr uint32_t kPageNumberMax = 1u << 20;
// Label sets and origins in the log are ours; this bounds what damage may make us allocate.
constexpr size_t kStringBytesMax = size_t{16} << 20;

Status Damaged(const char* what) {
  return Status(Code::kCorruption, std::string("log record: ") + what);
}

// Of bytes that may be anything.
int64_t AddWrapping(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

void PutRecord(std::string& out, RecordType type, std::string_view payload) {
  PutVarint(out, payload.size() + 1);
  PutFixed8(out, static_cast<uint8_t>(type));
  out.append(payload);
}

Result<model::Labels> ReadLabels(ByteReader& reader) {
  const std::string_view packed = reader.String();
  if (!reader.ok() || packed.size() > kStringBytesMax || !model::Labels::ValidatePacked(packed))
    return Error(Damaged("labels"));
  return model::Labels::FromPacked(std::string(packed));
}

void PutWords(std::string& out, const std::vector<uint64_t>& words) {
  for (const uint64_t word : words) PutFixed64(out, word);
}

void ReadWords(ByteReader& reader, std::vector<uint64_t>* words) {
  for (uint64_t& word : *words) word = reader.Fixed64();
}

// Bits of state words beyond the slot count would let later loops run past the arrays.
void MaskWords(std::vector<uint64_t>* words, uint32_t slots) {
  if (slots % 64 != 0 && !words->empty()) words->back() &= (uint64_t{1} << (slots % 64)) - 1;
}

constexpr uint8_t kHasFullRow = 0x01;
constexpr uint8_t kHasLastMs = 0x02;
constexpr uint8_t kHasStarts = 0x04;
constexpr uint8_t kHasHistograms = 0x08;

}  // namespace

void PutSourceRecord(std::string& out, SourceId id, uint64_t incarnation,
                     const model::Origin& origin, const model::Labels& labels) {
  std::string payload;
  PutVarint(payload, id);
  PutFixed64(payload, incarnation);
  PutFixed8(payload, static_cast<uint8_t>(origin.kind));
  PutString(payload, origin.id);
  PutString(payload, labels.packed());
  PutRecord(out, RecordType::kSource, payload);
}

void PutKeyRecord(std::string& out, KeyId id, const model::Labels& labels) {
  std::string payload;
  PutVarint(payload, id);
  PutString(payload, labels.packed());
  PutRecord(out, RecordType::kKey, payload);
}

void PutLayoutRecord(std::string& out, SourceId source, uint32_t page, uint32_t first_slot,
                     const std::vector<KeyId>& keys) {
  std::string payload;
  PutVarint(payload, source);
  PutVarint(payload, page);
  PutVarint(payload, first_slot);
  PutVarint(payload, keys.size());
  int64_t previous = 0;
  for (const KeyId key : keys) {
    if (key == kNoId) {
      PutVarint(payload, 0);
      continue;
    }
    PutVarint(payload, ZigZag(int64_t{key} - previous) + 1);
    previous = key;
  }
  PutRecord(out, RecordType::kLayout, payload);
}

void PutStateRecord(std::string& out, const Page& page, model::Timestamp base_ms) {
  const SlotStates& states = page.states;
  const uint32_t slots = page.slots();
  std::string payload;
  PutVarint(payload, page.source);
  PutVarint(payload, page.number);
  PutVarint(payload, page.sequence);
  PutVarint(payload, slots);
  uint8_t flags = 0;
  if (page.last_full_ms != model::kMinTimestamp) flags |= kHasFullRow;
  if (!page.last_ms.empty()) flags |= kHasLastMs;
  if (!states.starts_ms.empty()) flags |= kHasStarts;
  if (!page.histogram_hashes.empty()) flags |= kHasHistograms;
  PutFixed8(payload, flags);
  if ((flags & kHasFullRow) != 0) PutSignedVarint(payload, page.last_full_ms - base_ms);
  PutWords(payload, states.live);
  PutWords(payload, page.current);
  PutWords(payload, page.stale);
  PutWords(payload, page.histogram);
  // One bit a slot: the value is no decimal of at most six bytes at the slot's exponent.
  std::vector<uint64_t> raw((slots + 63) / 64, 0);
  std::string values;
  for (uint32_t slot = 0; slot < slots; ++slot) {
    const int exponent = states.mode[slot] & SlotStates::kExponentMask;
    const int64_t decimal = DecimalOf(states.bits[slot], exponent);
    if (BitsOfDecimal(decimal, exponent) == states.bits[slot] &&
        std::abs(decimal) < (int64_t{1} << 48)) {
      PutSignedVarint(values, decimal);
    } else {
      raw[slot / 64] |= uint64_t{1} << (slot % 64);
      PutFixed64(values, states.bits[slot]);
    }
  }
  PutWords(payload, raw);
  for (uint32_t slot = 0; slot < slots; slot += 2) {
    const int low = states.mode[slot] & SlotStates::kExponentMask;
    const int high = slot + 1 < slots ? states.mode[slot + 1] & SlotStates::kExponentMask : 0;
    PutFixed8(payload, static_cast<uint8_t>(low | high << 4));
  }
  payload.append(values);
  if ((flags & kHasLastMs) != 0) {
    int64_t previous = base_ms;
    for (const model::Timestamp t : page.last_ms) {
      if (t == model::kMinTimestamp) {
        PutVarint(payload, 0);
        continue;
      }
      // Timestamps of neighbours are mostly equal: 1.
      PutVarint(payload, ZigZag(t - previous) + 1);
      previous = t;
    }
  }
  if ((flags & kHasStarts) != 0) {
    for (const int64_t start : states.starts_ms) PutSignedVarint(payload, start);
  }
  if ((flags & kHasHistograms) != 0) {
    PutVarint(payload, page.histogram_hashes.size());
    for (const auto& [slot, hash] : page.histogram_hashes) {
      PutVarint(payload, slot);
      PutFixed64(payload, hash);
    }
  }
  PutRecord(out, RecordType::kState, payload);
}

void PutFrameRecord(std::string& out, const Page& page, model::Timestamp row_ms,
                    model::Timestamp base_ms, std::string_view body) {
  char head[4 * kVarintBytesMax];
  char* p = EncodeVarint(head, page.source);
  p = EncodeVarint(p, page.number);
  p = EncodeVarint(p, page.sequence);
  p = EncodeVarint(p, ZigZag(row_ms - base_ms));
  const auto head_bytes = static_cast<size_t>(p - head);
  PutVarint(out, 1 + head_bytes + body.size());
  PutFixed8(out, static_cast<uint8_t>(RecordType::kFrame));
  out.append(head, head_bytes);
  out.append(body);
}

void PutCommitRecord(std::string& out, uint64_t commit, uint64_t shards) {
  std::string payload;
  PutVarint(payload, commit);
  PutVarint(payload, shards);
  PutRecord(out, RecordType::kCommit, payload);
}

void PutMarkRecord(std::string& out, std::string_view key, std::string_view bytes) {
  std::string payload;
  PutString(payload, key);
  payload.append(bytes);
  PutRecord(out, RecordType::kMark, payload);
}

void PutExemplarRecord(std::string& out, SourceId source, model::Slot slot,
                       const model::Exemplar& exemplar) {
  std::string payload;
  PutVarint(payload, source);
  PutVarint(payload, slot);
  PutDouble(payload, exemplar.value);
  PutFixed8(payload, exemplar.has_timestamp ? 1 : 0);
  PutSignedVarint(payload, exemplar.timestamp_ms);
  PutString(payload, exemplar.labels);
  PutRecord(out, RecordType::kExemplar, payload);
}

void PutSyncRecord(std::string& out, uint32_t number, uint64_t bytes) {
  std::string payload;
  PutVarint(payload, number);
  PutVarint(payload, bytes);
  PutRecord(out, RecordType::kSync, payload);
}

Result<LoggedSource> ReadSourceRecord(std::string_view payload) {
  ByteReader reader(payload);
  LoggedSource record;
  record.id = reader.Varint32();
  record.incarnation = reader.Fixed64();
  const uint8_t kind = reader.Fixed8();
  if (kind > static_cast<uint8_t>(model::OriginKind::kInternal)) return Error(Damaged("origin"));
  record.origin.kind = static_cast<model::OriginKind>(kind);
  const std::string_view id = reader.String();
  if (!reader.ok() || id.size() > kStringBytesMax) return Error(Damaged("origin"));
  record.origin.id = std::string(id);
  TOCSIN_ASSIGN_OR_RETURN(record.labels, ReadLabels(reader));
  return record;
}

Result<LoggedKey> ReadKeyRecord(std::string_view payload) {
  ByteReader reader(payload);
  LoggedKey record;
  record.id = reader.Varint32();
  TOCSIN_ASSIGN_OR_RETURN(record.labels, ReadLabels(reader));
  return record;
}

Result<LoggedLayout> ReadLayoutRecord(std::string_view payload) {
  ByteReader reader(payload);
  LoggedLayout record;
  record.source = reader.Varint32();
  record.page = reader.Varint32();
  record.first_slot = reader.Varint32();
  const uint32_t count = reader.Varint32();
  if (!reader.ok() || record.page > kPageNumberMax || record.first_slot > kFrameSlotsMax ||
      count > kFrameSlotsMax - record.first_slot)
    return Error(Damaged("layout"));
  record.keys.reserve(count);
  int64_t previous = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t v = reader.Varint();
    if (v == 0) {
      record.keys.push_back(kNoId);
      continue;
    }
    previous = AddWrapping(previous, UnZigZag(v - 1));
    if (previous < 0 || previous >= int64_t{kNoId}) return Error(Damaged("layout key"));
    record.keys.push_back(static_cast<KeyId>(previous));
  }
  if (!reader.ok()) return Error(Damaged("layout"));
  return record;
}

Result<LoggedFrame> ReadFrameRecord(std::string_view payload, model::Timestamp base_ms) {
  ByteReader reader(payload);
  LoggedFrame record;
  record.source = reader.Varint32();
  record.page = reader.Varint32();
  record.sequence = reader.Varint32();
  record.row_ms = AddWrapping(base_ms, reader.SignedVarint());
  if (!reader.ok() || record.page > kPageNumberMax || !IsPlausible(record.row_ms))
    return Error(Damaged("frame"));
  record.body = reader.rest();
  return record;
}

Result<LoggedCommit> ReadCommitRecord(std::string_view payload) {
  ByteReader reader(payload);
  LoggedCommit record;
  record.commit = reader.Varint();
  record.shards = reader.Varint();
  if (!reader.ok() || !reader.at_end()) return Error(Damaged("commit"));
  return record;
}

Result<LoggedMark> ReadMarkRecord(std::string_view payload) {
  ByteReader reader(payload);
  LoggedMark record;
  record.key = reader.String();
  if (!reader.ok()) return Error(Damaged("mark"));
  record.bytes = reader.rest();
  return record;
}

Result<LoggedSync> ReadSyncRecord(std::string_view payload) {
  ByteReader reader(payload);
  LoggedSync record;
  record.number = reader.Varint32();
  record.bytes = reader.Varint();
  if (!reader.ok() || !reader.at_end()) return Error(Damaged("sync"));
  return record;
}

Result<LoggedExemplar> ReadExemplarRecord(std::string_view payload) {
  ByteReader reader(payload);
  LoggedExemplar record;
  record.source = reader.Varint32();
  record.slot = reader.Varint32();
  record.exemplar.value = reader.Double();
  record.exemplar.has_timestamp = reader.Fixed8() != 0;
  record.exemplar.timestamp_ms = reader.SignedVarint();
  TOCSIN_ASSIGN_OR_RETURN(const model::Labels labels, ReadLabels(reader));
  record.exemplar.labels = labels.packed();
  return record;
}

Result<StateRecordHead> ReadStateRecordHead(std::string_view payload) {
  ByteReader reader(payload);
  StateRecordHead head;
  head.source = reader.Varint32();
  head.page = reader.Varint32();
  if (!reader.ok() || head.page > kPageNumberMax) return Error(Damaged("state"));
  return head;
}

Status ApplyStateRecord(std::string_view payload, model::Timestamp base_ms, Page* page) {
  ByteReader reader(payload);
  reader.Varint();
  reader.Varint();
  const uint32_t sequence = reader.Varint32();
  const uint32_t slots = reader.Varint32();
  const uint8_t flags = reader.Fixed8();
  if (!reader.ok() || slots > kFrameSlotsMax) return Damaged("state");
  Page fresh(page->source, page->number);
  fresh.Resize(slots);
  if ((flags & kHasFullRow) != 0) {
    fresh.last_full_ms = AddWrapping(base_ms, reader.SignedVarint());
    if (!IsPlausible(fresh.last_full_ms)) return Damaged("state: time");
  }
  ReadWords(reader, &fresh.states.live);
  ReadWords(reader, &fresh.current);
  ReadWords(reader, &fresh.stale);
  ReadWords(reader, &fresh.histogram);
  std::vector<uint64_t> raw((slots + 63) / 64, 0);
  ReadWords(reader, &raw);
  for (auto* words : {&fresh.states.live, &fresh.current, &fresh.stale, &fresh.histogram})
    MaskWords(words, slots);
  for (uint32_t slot = 0; slot < slots; slot += 2) {
    const uint8_t pair = reader.Fixed8();
    fresh.states.mode[slot] = pair & 0x0f;
    if (slot + 1 < slots) fresh.states.mode[slot + 1] = pair >> 4;
  }
  for (uint32_t slot = 0; slot < slots && reader.ok(); ++slot) {
    const bool is_raw = ((raw[slot / 64] >> (slot % 64)) & 1) != 0;
    fresh.states.bits[slot] =
        is_raw ? reader.Fixed64() : BitsOfDecimal(reader.SignedVarint(), fresh.states.mode[slot]);
  }
  if ((flags & kHasLastMs) != 0) {
    fresh.last_ms.resize(slots, model::kMinTimestamp);
    int64_t previous = base_ms;
    for (uint32_t slot = 0; slot < slots && reader.ok(); ++slot) {
      const uint64_t v = reader.Varint();
      if (v == 0) continue;
      previous = AddWrapping(previous, UnZigZag(v - 1));
      if (!IsPlausible(previous)) return Damaged("state: time");
      fresh.last_ms[slot] = previous;
    }
  }
  if ((flags & kHasStarts) != 0) {
    for (uint32_t slot = 0; slot < slots && reader.ok(); ++slot)
      fresh.states.SetStart(slot, reader.SignedVarint());
  }
  if ((flags & kHasHistograms) != 0) {
    const uint64_t count = reader.Varint();
    for (uint64_t i = 0; i < count && reader.ok(); ++i) {
      const uint32_t slot = reader.Varint32();
      const uint64_t hash = reader.Fixed64();
      if (slot < slots) fresh.histogram_hashes[slot] = hash;
    }
  }
  if (!reader.ok() || !reader.at_end()) return Damaged("state");
  const uint32_t known = std::max(slots, page->slots());
  page->states = std::move(fresh.states);
  page->current = std::move(fresh.current);
  page->stale = std::move(fresh.stale);
  page->histogram = std::move(fresh.histogram);
  page->last_ms = std::move(fresh.last_ms);
  page->histogram_hashes = std::move(fresh.histogram_hashes);
  page->last_full_ms = fresh.last_full_ms;
  page->sequence = sequence;
  page->Resize(known);
  page->RefreshNewest();
  page->RequireRun();
  return Status::Ok();
}

}  // namespace tocsin::tsdb
