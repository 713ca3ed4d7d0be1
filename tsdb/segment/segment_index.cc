#include "tsdb/segment/segment_index.h"

#include "base/bytes.h"
#include "tsdb/segment/section_packing.h"

namespace tocsin::tsdb {

Result<std::shared_ptr<const SegmentIndex>> SegmentIndex::Load(
    const Footer& footer, uint8_t version,
    const std::array<std::string_view, kSectionCount>& stored, MatcherCache* cache,
    Section* damaged) {
  std::shared_ptr<SegmentIndex> index(new SegmentIndex());
  uint64_t unpacked = 0;
  for (size_t s = 0; s < kSectionCount; ++s) {
    *damaged = static_cast<Section>(s);
    index->bytes_[s] = stored[s];
    const uint64_t raw_length = footer.sections[s].raw_length;
    if (raw_length == 0) continue;
    unpacked += raw_length;
    if (unpacked > kPackedIndexMax || !UnpackSection(stored[s], raw_length, &index->unpacked_[s])) {
      return Error(Code::kCorruption, "bad packed section");
    }
    index->bytes_[s] = index->unpacked_[s];
  }
  for (size_t s = 0; s < kSectionCount; ++s) {
    *damaged = static_cast<Section>(s);
    TOCSIN_TRY(index->Init(*damaged, version, footer.meta));
  }
  // Ids are random, so the sides' numbers are their own.
  const auto* id = reinterpret_cast<const char*>(footer.meta.id.bytes.data());
  const uint64_t file = LoadFixed<uint64_t>(id) & ~uint64_t{1};
  index->source_side_.UseCache(cache, file);
  index->key_side_.UseCache(cache, file | 1);
  return std::shared_ptr<const SegmentIndex>(std::move(index));
}

Status SegmentIndex::CountColumns(std::string_view blocks) {
  if (blocks.size() % kDirectoryBlockBytes != 0) return Status(Code::kCorruption, "bad directory");
  uint32_t columns = 0;
  for (size_t at = 0; at < blocks.size(); at += kDirectoryBlockBytes) {
    block_columns_.push_back(columns);
    columns += LoadFixed<uint32_t>(blocks.data() + at + 16);
  }
  return Status::Ok();
}

Status SegmentIndex::Init(Section section, uint8_t version, const SegmentMeta& meta) {
  switch (section) {
    case Section::kSymbols:
      return symbols_.Init(bytes(section), version);
    case Section::kSources:
      return sources_.Init(bytes(section), version, meta.source_count);
    case Section::kKeys:
      return keys_.Init(bytes(section), version, meta.key_count);
    case Section::kSourcePostings:
      return source_side_.Init(bytes(section), version, sources_.count(), &symbols_);
    case Section::kKeyPostings:
      return key_side_.Init(bytes(section), version, keys_.count(), &symbols_);
    case Section::kDirectory:
      return Status::Ok();
    case Section::kDirectoryBlocks:
      return CountColumns(bytes(section));
  }
  return Status::Ok();
}

}  // namespace tocsin::tsdb
