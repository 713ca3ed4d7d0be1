#include "tsdb/segment/format.h"

#include <algorithm>

namespace tocsin::tsdb {
namespace {

// What a footer may claim, so that a damaged count cannot ask for much memory.
constexpr uint64_t kCutsMax = 1 << 20;
constexpr uint8_t kPackedIndexVersion = 5;

std::string RunsOf(IdSpan ids) {
  std::string runs;
  uint64_t end = 0;
  for (size_t i = 0; i < ids.size();) {
    size_t last = i;
    while (last + 1 < ids.size() && ids[last + 1] == ids[last] + 1) ++last;
    PutVarint(runs, ids[i] - end);
    PutVarint(runs, last - i);
    end = uint64_t{ids[last]} + 1;
    i = last + 1;
  }
  return runs;
}

std::string GapsOf(IdSpan ids) {
  std::string gaps;
  uint64_t end = 0;
  for (const uint32_t id : ids) {
    PutVarint(gaps, id - end);
    end = uint64_t{id} + 1;
  }
  return gaps;
}

void PutId(std::string* out, const SegmentId& id) {
  out->append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
}

SegmentId ReadId(ByteReader* in) {
  SegmentId id;
  const std::string_view bytes = in->Bytes(id.bytes.size());
  std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
  return id;
}

}  // namespace

void EncodeFooter(const Footer& footer, std::string* out) {
  const SegmentMeta& meta = footer.meta;
  PutId(out, meta.id);
  PutFixed8(*out, meta.level);
  PutVarint(*out, meta.shard);
  PutVarint(*out, meta.generation);
  PutFixed64(*out, meta.fingerprint_seed);
  PutSignedVarint(*out, meta.range.min_ms);
  PutSignedVarint(*out, meta.range.max_ms);
  PutVarint(*out, meta.cuts.size());
  for (const SegmentCut& cut : meta.cuts) {
    PutVarint(*out, cut.group);
    PutSignedVarint(*out, cut.window_start_ms);
    PutVarint(*out, cut.commit);
  }
  PutVarint(*out, meta.replaces.size());
  for (const SegmentId& id : meta.replaces) PutId(out, id);
  PutVarint(*out, meta.source_count);
  PutVarint(*out, meta.key_count);
  PutVarint(*out, meta.column_count);
  PutVarint(*out, meta.sample_count);
  PutVarint(*out, footer.page_table_offset);
  PutFixed32(*out, footer.page_table_crc);
  for (const SectionPlace& place : footer.sections) {
    PutVarint(*out, place.offset);
    PutVarint(*out, place.length);
    PutVarint(*out, place.raw_length);
  }
  PutVarint(*out, footer.extra.size());
  for (const auto& [number, place] : footer.extra) {
    PutVarint(*out, number);
    PutVarint(*out, place.offset);
    PutVarint(*out, place.length);
  }
  PutVarint(*out, std::max(meta.deletes_applied, meta.commit()) - meta.commit());
}

bool DecodeFooter(std::string_view bytes, uint8_t version, uint64_t file_bytes, Footer* footer) {
  ByteReader in(bytes);
  const auto read_place = [&in, footer](SectionPlace* place) {
    place->offset = in.Varint();
    place->length = in.Varint();
    const uint64_t end = footer->page_table_offset;
    return place->offset <= end && place->length <= end - place->offset;
  };
  SegmentMeta& meta = footer->meta;
  meta.id = ReadId(&in);
  meta.level = in.Fixed8();
  meta.shard = in.Varint32();
  meta.generation = in.Varint();
  meta.fingerprint_seed = in.Fixed64();
  meta.range.min_ms = in.SignedVarint();
  meta.range.max_ms = in.SignedVarint();
  const uint64_t cuts = in.Varint();
  if (!in.ok() || cuts > std::min<uint64_t>(in.remaining(), kCutsMax)) return false;
  meta.cuts.clear();
  for (uint64_t i = 0; i < cuts; ++i) {
    SegmentCut cut;
    cut.group = in.Varint32();
    cut.window_start_ms = in.SignedVarint();
    cut.commit = in.Varint();
    meta.cuts.push_back(cut);
  }
  const uint64_t replaces = in.Varint();
  if (!in.ok() || replaces > in.remaining() / 16) return false;
  meta.replaces.clear();
  for (uint64_t i = 0; i < replaces; ++i) meta.replaces.push_back(ReadId(&in));
  meta.source_count = in.Varint();
  meta.key_count = in.Varint();
  meta.column_count = in.Varint();
  meta.sample_count = in.Varint();
  meta.file_bytes = file_bytes;
  footer->page_table_offset = in.Varint();
  footer->page_table_crc = in.Fixed32();
  for (SectionPlace& place : footer->sections) {
    if (!read_place(&place)) return false;
    place.raw_length = version >= kPackedIndexVersion ? in.Varint() : 0;
  }
  footer->extra.clear();
  const uint64_t extra = version >= 2 ? in.Varint() : 0;
  for (uint64_t i = 0; i < extra && in.ok(); ++i) {
    const uint32_t number = in.Varint32();
    if (!read_place(&footer->extra[number])) return false;
  }
  // There were no deletes in version 1's days.
  meta.deletes_applied = meta.commit() + (version >= 2 ? in.Varint() : 0);
  return in.ok() && in.at_end() && meta.level <= kMaxSegmentLevel &&
         footer->page_table_offset >= kSegmentHeaderBytes &&
         footer->page_table_offset <= file_bytes && meta.source_count < kNoId &&
         meta.key_count < kNoId;
}

void EncodeIds(IdSpan ids, std::string* out) {
  if (ids.size() == 1) {  // gaps: most values of a small file
    PutVarint(*out, 2);
    PutVarint(*out, ids[0]);
    return;
  }
  const std::string gaps = GapsOf(ids);
  const std::string runs = RunsOf(ids);
  const bool take_runs = runs.size() < gaps.size();
  PutVarint(*out, ids.size() << 1 | (take_runs ? 1 : 0));
  out->append(take_runs ? runs : gaps);
}

bool DecodeIds(ByteReader* in, uint32_t limit, IdList* ids) {
  ids->clear();
  const uint64_t head = in->Varint();
  const uint64_t count = head >> 1;
  if (!in->ok() || count > limit) return false;
  ids->reserve(count);
  uint64_t end = 0;
  while (ids->size() < count) {
    const uint64_t gap = in->Varint();
    const uint64_t more = (head & 1) != 0 ? in->Varint() : 0;
    if (!in->ok() || gap >= limit - end || more >= limit - end - gap ||
        more >= count - ids->size()) {
      return false;
    }
    const uint64_t first = end + gap;
    for (uint64_t i = 0; i <= more; ++i) ids->push_back(static_cast<uint32_t>(first + i));
    end = first + more + 1;
  }
  return true;
}

}  // namespace tocsin::tsdb
