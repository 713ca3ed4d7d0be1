#include "tsdb/segment/segment_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/resident_pages.h"
#include "tsdb/segment/facts.h"

namespace tocsin::tsdb {
namespace {

// Damaged differences must not overflow.
int64_t AddWrapping(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

// Some id of the list lies in [min, max].
bool Meets(const IdList& ids, uint32_t min, uint32_t max) {
  const auto at = std::lower_bound(ids.begin(), ids.end(), min);
  return at != ids.end() && *at <= max;
}

}  // namespace

Result<std::shared_ptr<const SegmentReader>> SegmentReader::Open(
    Env& env, const std::string& path, uint64_t fingerprint_seed,
    std::shared_ptr<MatcherCache> cache) {
  auto mapping = env.MapFile(path);
  if (!mapping) return Error(mapping.error().Annotate("segment " + path));
  const std::string_view bytes = (*mapping)->bytes();
  return SegmentFile::Create(std::move(*mapping), bytes, path, fingerprint_seed, true,
                             std::move(cache));
}

Result<std::shared_ptr<const SegmentReader>> SegmentReader::OpenBytes(std::string_view bytes,
                                                                      const std::string& name,
                                                                      uint64_t fingerprint_seed,
                                                                      bool verify_checksums) {
  return SegmentFile::Create(nullptr, bytes, name, fingerprint_seed, verify_checksums);
}

Result<std::shared_ptr<const SegmentReader>> SegmentFile::Create(
    std::unique_ptr<MappedFile> mapping, std::string_view bytes, std::string path, uint64_t seed,
    bool verify_checksums, std::shared_ptr<MatcherCache> cache) {
  std::shared_ptr<SegmentFile> file(new SegmentFile());
  file->matcher_cache_ = std::move(cache);
  file->mapping_ = std::move(mapping);
  file->bytes_ = bytes;
  file->path_ = std::move(path);
  file->seed_ = seed;
  TOCSIN_TRY(file->Open(verify_checksums));
  return std::shared_ptr<const SegmentReader>(std::move(file));
}

Status SegmentFile::Damaged(uint64_t offset, std::string_view what) const {
  return Status(Code::kCorruption, fmt::format("segment {}: offset {}: {}", path_, offset, what));
}

Status SegmentFile::Open(bool verify_checksums) {
  if (bytes_.size() < kSegmentHeaderBytes + kSegmentTrailerBytes) {
    return Damaged(0, "too short to be a segment");
  }
  const uint64_t trailer_at = bytes_.size() - kSegmentTrailerBytes;
  const std::string_view trailer = bytes_.substr(trailer_at);
  const size_t magic_at = kSegmentTrailerBytes - kSegmentEndMagic.size();
  if (!bytes_.starts_with(kSegmentMagic)) return Damaged(0, "not a segment");
  if (trailer.substr(magic_at) != kSegmentEndMagic) {
    return Damaged(trailer_at, "no end mark: the file is cut short or unfinished");
  }
  const auto version = static_cast<uint8_t>(trailer[8]);
  if (static_cast<uint8_t>(bytes_[kSegmentMagic.size()]) != version ||
      version < kSegmentFormatVersionMin) {
    return Damaged(trailer_at, fmt::format("format version {}", version));
  }
  if (version > kSegmentFormatVersion) {
    return Status(Code::kUnimplemented,
                  fmt::format("segment {}: format version {}, this program reads {} to {}", path_,
                              version, kSegmentFormatVersionMin, kSegmentFormatVersion));
  }
  if (trailer.find_first_not_of('\0', 9) != magic_at) return Damaged(trailer_at, "bad trailer");
  const auto footer_length = LoadFixed<uint32_t>(trailer.data());
  if (footer_length > trailer_at - kSegmentHeaderBytes) {
    return Damaged(trailer_at, "footer longer than the file");
  }
  const uint64_t footer_at = trailer_at - footer_length;
  const std::string_view footer = bytes_.substr(footer_at, footer_length);
  if (verify_checksums && Crc32c(footer) != LoadFixed<uint32_t>(trailer.data() + 4)) {
    return Damaged(footer_at, "footer checksum");
  }
  if (!DecodeFooter(footer, version, bytes_.size(), &footer_))
    return Damaged(footer_at, "bad footer");
  const uint64_t pages = (footer_.page_table_offset + kPageBytes - 1) / kPageBytes;
  if (footer_.page_table_offset > footer_at ||
      footer_at - footer_.page_table_offset != pages * sizeof(uint32_t)) {
    return Damaged(footer_at, "page table does not fit");
  }
  page_table_ = bytes_.substr(footer_.page_table_offset, pages * sizeof(uint32_t));
  if (verify_checksums) {
    if (Crc32c(page_table_) != footer_.page_table_crc) {
      return Damaged(footer_.page_table_offset, "page table checksum");
    }
    verified_.reset(new std::atomic<uint64_t>[pages / 64 + 1]());
  }
  // The header repeats what the footer says: a file glued from two shows here.
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::string_view header, Bytes(0, kSegmentHeaderBytes));
  if (header.substr(16) !=
      std::string_view(reinterpret_cast<const char*>(footer_.meta.id.bytes.data()), 16)) {
    return Damaged(0, "header and footer name different segments");
  }
  if (std::max(footer_.meta.source_count, footer_.meta.key_count) > UINT32_MAX)
    return Damaged(footer_at, "too many sources or keys");
  version_ = version;
  return Status::Ok();
}

Result<std::shared_ptr<const SegmentIndex>> SegmentFile::LoadIndex() const {
  std::array<std::string_view, kSectionCount> stored;
  for (size_t section = 0; section < kSectionCount; ++section) {
    const SectionPlace& place = footer_.sections[section];
    TOCSIN_ASSIGN_OR_RETURN(stored[section], Bytes(place.offset, place.length));
  }
  Section damaged = Section::kSymbols;
  auto index = SegmentIndex::Load(footer_, version_, stored, matcher_cache_.get(), &damaged);
  if (!index) return Error(Damaged(footer_.section(damaged).offset, index.error().message()));
  return index;
}

Result<std::shared_ptr<const SegmentIndex>> SegmentFile::Index() const {
  {
    MutexLock lock(index_mu_);
    if (index_ != nullptr) return index_;
  }
  // Two threads may both load it: no harm.
  TOCSIN_ASSIGN_OR_RETURN(std::shared_ptr<const SegmentIndex> index, LoadIndex());
  MutexLock lock(index_mu_);
  index_ = index;
  return index;
}

Result<size_t> SegmentFile::DirectoryBlockCount() const {
  TOCSIN_ASSIGN_OR_RETURN(const std::shared_ptr<const SegmentIndex> index, Index());
  return index->directory_block_count();
}

Status SegmentFile::VerifyIndex() const {
  const auto index = Index();
  return index ? Status::Ok() : index.error();
}

Result<std::string_view> SegmentFile::ExtraBytes(ExtraSection number) const {
  const auto place = footer_.extra.find(static_cast<uint32_t>(number));
  if (place == footer_.extra.end()) return std::string_view();
  return Bytes(place->second.offset, place->second.length);
}

Status SegmentFile::VerifyPage(uint64_t page) const {
  std::atomic<uint64_t>& word = verified_[page / 64];
  const uint64_t bit = uint64_t{1} << (page % 64);
  if ((word.load(std::memory_order_relaxed) & bit) != 0) return Status::Ok();
  const uint64_t begin = page * kPageBytes;
  const uint64_t end = std::min(begin + kPageBytes, footer_.page_table_offset);
  if (Crc32c(bytes_.substr(begin, end - begin)) !=
      LoadFixed<uint32_t>(page_table_.data() + page * sizeof(uint32_t))) {
    return Damaged(begin, "page checksum");
  }
  // Two threads may both verify a page: no harm.
  word.fetch_or(bit, std::memory_order_relaxed);
  return Status::Ok();
}

Result<std::string_view> SegmentFile::Bytes(uint64_t offset, uint64_t length) const {
  const uint64_t end = footer_.page_table_offset;
  if (offset > end || length > end - offset) return Error(Damaged(offset, "past the end"));
  if (verified_ != nullptr && length > 0) {
    for (uint64_t page = offset / kPageBytes; page <= (offset + length - 1) / kPageBytes; ++page) {
      TOCSIN_TRY(VerifyPage(page));
    }
  }
  return bytes_.substr(offset, length);
}

Result<std::string_view> SegmentFile::AxisBytes(uint32_t source, uint32_t axis) const {
  TOCSIN_ASSIGN_OR_RETURN(const std::shared_ptr<const SegmentIndex> index, Index());
  TOCSIN_ASSIGN_OR_RETURN(const std::string_view record, index->sources().Record(source));
  const uint64_t at = footer_.section(Section::kSources).offset;
  ByteReader in(record);
  in.Fixed8();
  in.String();
  for (uint64_t pairs = in.Varint(); in.ok() && pairs > 0; --pairs) {
    in.Varint();
    in.Varint();
  }
  const uint64_t axes = in.Varint();
  if (!in.ok() || axis >= axes) return Error(Damaged(at, "no such axis"));
  for (uint32_t i = 0; i < axis; ++i) {
    in.Varint();
    in.Varint();
    if (!in.ok()) return Error(Damaged(at, "source record cut short"));
  }
  const uint64_t offset = in.Varint();
  const uint64_t length = in.Varint();
  if (!in.ok()) return Error(Damaged(at, "source record cut short"));
  return Bytes(offset, length);
}

Result<model::Labels> SegmentFile::SourceLabels(uint32_t source) const {
  TOCSIN_ASSIGN_OR_RETURN(const std::shared_ptr<const SegmentIndex> index, Index());
  TOCSIN_ASSIGN_OR_RETURN(const std::string_view record, index->sources().Record(source));
  ByteReader in(record);
  in.Fixed8();
  in.String();
  Result<model::Labels> labels = ReadLabels(&in, index->symbols());
  if (!labels) {
    return Error(Damaged(footer_.section(Section::kSources).offset, labels.error().message()));
  }
  return labels;
}

Result<model::Origin> SegmentFile::SourceOrigin(uint32_t source) const {
  TOCSIN_ASSIGN_OR_RETURN(const std::shared_ptr<const SegmentIndex> index, Index());
  TOCSIN_ASSIGN_OR_RETURN(const std::string_view record, index->sources().Record(source));
  ByteReader in(record);
  model::Origin origin;
  const uint8_t kind = in.Fixed8();
  origin.kind = static_cast<model::OriginKind>(kind);
  origin.id = std::string(in.String());
  if (!in.ok() || kind > static_cast<uint8_t>(model::OriginKind::kInternal)) {
    return Error(Damaged(footer_.section(Section::kSources).offset, "bad origin"));
  }
  return origin;
}

Result<Fingerprint> SegmentFile::SourceFingerprint(uint32_t source) const {
  TOCSIN_ASSIGN_OR_RETURN(const std::shared_ptr<const SegmentIndex> index, Index());
  if (footer_.meta.fingerprint_seed == seed_ && index->sources().has_prints()) {
    return index->sources().Print(source);
  }
  TOCSIN_ASSIGN_OR_RETURN(const model::Labels labels, SourceLabels(source));
  return FingerprintOf(labels, seed_);
}

Result<model::Labels> SegmentFile::KeyLabels(uint32_t key) const {
  TOCSIN_ASSIGN_OR_RETURN(const std::shared_ptr<const SegmentIndex> index, Index());
  TOCSIN_ASSIGN_OR_RETURN(const std::string_view record, index->keys().Record(key));
  ByteReader in(record);
  Result<model::Labels> labels = ReadLabels(&in, index->symbols());
  if (!labels) {
    return Error(Damaged(footer_.section(Section::kKeys).offset, labels.error().message()));
  }
  return labels;
}

Result<Fingerprint> SegmentFile::KeyFingerprint(uint32_t key) const {
  TOCSIN_ASSIGN_OR_RETURN(const std::shared_ptr<const SegmentIndex> index, Index());
  if (footer_.meta.fingerprint_seed == seed_ && index->keys().has_prints())
    return index->keys().Print(key);
  return ComputedKeyPrint(key);
}

Result<Fingerprint> SegmentFile::ComputedKeyPrint(uint32_t key) const {
  if (key < key_count() && key_count() <= kUnprintedKeysMax) {
    std::call_once(key_prints_once_, [this] { ComputeKeyPrints(); });
    if (!key_prints_.empty()) return key_prints_[key];
  }
  TOCSIN_ASSIGN_OR_RETURN(const model::Labels labels, KeyLabels(key));
  return FingerprintOf(labels, seed_);
}

Status SegmentFile::SeriesFingerprints(std::span<const ColumnRef> columns,
                                       std::vector<Fingerprint>* prints) const {
  prints->clear();
  prints->reserve(columns.size());
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::shared_ptr<const SegmentIndex> index, Index());
  const bool stored = footer_.meta.fingerprint_seed == seed_ && index->keys().has_prints();
  uint32_t source = kNoId;
  Fingerprint source_print;
  for (const ColumnRef& ref : columns) {
    if (ref.source != source || source == kNoId) {
      TOCSIN_ASSIGN_OR_RETURN_STATUS(source_print, SourceFingerprint(ref.source));
      source = ref.source;
    }
    TOCSIN_ASSIGN_OR_RETURN_STATUS(
        const Fingerprint key, stored ? index->keys().Print(ref.key) : ComputedKeyPrint(ref.key));
    prints->push_back(source_print + key);
  }
  return Status::Ok();
}

void SegmentFile::ComputeKeyPrints() const {
  std::vector<Fingerprint> prints;
  prints.reserve(key_count());
  for (uint32_t key = 0; key < key_count(); ++key) {
    const Result<model::Labels> labels = KeyLabels(key);
    // Damage shows where the key itself is asked for.
    if (!labels) return;
    prints.push_back(FingerprintOf(*labels, seed_));
  }
  key_prints_ = std::move(prints);
}

Status SegmentFile::ReadDirectoryBlock(size_t number, std::vector<ColumnRef>* columns) const {
  columns->clear();
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::shared_ptr<const SegmentIndex> index, Index());
  const char* block = index->directory_blocks().data() + number * kDirectoryBlockBytes;
  const std::string_view directory = index->directory();
  const uint64_t at = footer_.section(Section::kDirectory).offset;
  auto data_offset = LoadFixed<uint64_t>(block);
  const auto directory_offset = LoadFixed<uint64_t>(block + 8);
  const auto count = LoadFixed<uint32_t>(block + 16);
  if (directory_offset > directory.size() || count > kDirectoryBlockColumns) {
    return Damaged(at, "bad directory block");
  }
  ByteReader in(directory.substr(directory_offset));
  ColumnRef ref;
  for (uint32_t i = 0; i < count; ++i) {
    const uint64_t head = in.Varint();
    if ((head & 4) != 0) ref.flags = in.Fixed8();
    const uint64_t length = head >> 3;
    int64_t source = ref.source;
    int64_t key = ref.key;
    switch (static_cast<DirectoryStep>(head & 3)) {
      case DirectoryStep::kNextKey:
        ++key;
        break;
      case DirectoryStep::kNextSource:
        ++source;
        break;
      case DirectoryStep::kExplicit:
        source = AddWrapping(source, in.SignedVarint());
        key = AddWrapping(key, in.SignedVarint());
        break;
      default:
        in.Fail();
    }
    if (!in.ok() || length == 0 || length > UINT32_MAX || source < 0 || source >= source_count() ||
        key < 0 || key >= key_count() || data_offset > footer_.page_table_offset) {
      return Damaged(at + directory_offset, "bad directory entry");
    }
    ref.source = static_cast<uint32_t>(source);
    ref.key = static_cast<uint32_t>(key);
    ref.offset = data_offset;
    ref.length = static_cast<uint32_t>(length);
    ref.number = index->columns_before(number) + i;
    data_offset += length;
    columns->push_back(ref);
  }
  return Status::Ok();
}

Status SegmentFile::VisitColumns(
    const std::function<bool(uint32_t, uint32_t, uint32_t, uint32_t)>& wants_block,
    const std::function<bool(const ColumnRef&)>& visit) const {
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::shared_ptr<const SegmentIndex> index, Index());
  const std::string_view blocks = index->directory_blocks();
  std::vector<ColumnRef> columns;
  for (size_t i = 0; i < index->directory_block_count(); ++i) {
    const char* block = blocks.data() + i * kDirectoryBlockBytes;
    if (!wants_block(LoadFixed<uint32_t>(block + 20), LoadFixed<uint32_t>(block + 24),
                     LoadFixed<uint32_t>(block + 28), LoadFixed<uint32_t>(block + 32))) {
      continue;
    }
    TOCSIN_RETURN_IF_ERROR(ReadDirectoryBlock(i, &columns));
    for (const ColumnRef& ref : columns) {
      if (!visit(ref)) return Status::Ok();
    }
  }
  return Status::Ok();
}

Status SegmentFile::ForEachColumn(const std::function<bool(const ColumnRef&)>& visit) const {
  return VisitColumns([](uint32_t, uint32_t, uint32_t, uint32_t) { return true; }, visit);
}

Result<std::vector<ColumnRef>> SegmentFile::Select(const model::MatcherSet& matchers,
                                                   model::TimeRange range) const {
  std::vector<ColumnRef> columns;
  if (!footer_.meta.range.Overlaps(range)) return columns;
  TOCSIN_ASSIGN_OR_RETURN(const std::shared_ptr<const SegmentIndex> index, Index());
  const auto products = SelectProducts(index->source_side(), index->key_side(), matchers);
  if (!products) {
    if (products.error().code() != Code::kCorruption) return Error(products.error());
    return Error(Damaged(footer_.section(Section::kSymbols).offset, products.error().message()));
  }
  // Sources of different products are different, so a column is in one product at most; products
  // are walked one by one and put back into file order.
  for (const SelectedProduct& product : *products) {
    const IdSet sources(product.sources);
    const IdSet keys(product.keys);
    TOCSIN_TRY(VisitColumns(
        [&](uint32_t key_min, uint32_t key_max, uint32_t source_min, uint32_t source_max) {
          return Meets(product.keys, key_min, key_max) &&
                 Meets(product.sources, source_min, source_max);
        },
        [&](const ColumnRef& ref) {
          if (sources.Contains(ref.source) && keys.Contains(ref.key)) columns.push_back(ref);
          return true;
        }));
  }
  if (products->size() > 1) {
    // Offsets rise in file order; a column always has bytes.
    std::sort(columns.begin(), columns.end(),
              [](const ColumnRef& a, const ColumnRef& b) { return a.offset < b.offset; });
  }
  return columns;
}

Result<SegmentFile::Participants> SegmentFile::ParticipantsOf(
    std::span<const model::MatcherSet> matcher_sets) const {
  Participants all{std::vector<bool>(source_count()), std::vector<bool>(key_count())};
  for (const model::MatcherSet& matchers : matcher_sets) {
    TOCSIN_ASSIGN_OR_RETURN(const std::vector<ColumnRef> columns,
                            Select(matchers, model::TimeRange()));
    for (const ColumnRef& ref : columns) {
      all.sources[ref.source] = true;
      all.keys[ref.key] = true;
    }
  }
  return all;
}

Result<std::vector<std::string>> SegmentFile::LabelNames(
    std::span<const model::MatcherSet> matcher_sets) const {
  TOCSIN_ASSIGN_OR_RETURN(const std::shared_ptr<const SegmentIndex> index, Index());
  std::set<uint32_t> symbols;
  const auto add = [&](const SegmentLabelSide& side, const std::vector<bool>* among) -> Status {
    if (among == nullptr) {
      const std::vector<uint32_t> names = side.Names();
      symbols.insert(names.begin(), names.end());
      return Status::Ok();
    }
    IdList scratch;
    for (uint32_t schema = 0; schema < side.schema_count(); ++schema) {
      TOCSIN_ASSIGN_OR_RETURN_STATUS(const IdSpan ids, side.SchemaIds(schema, &scratch));
      if (std::none_of(ids.begin(), ids.end(), [&](uint32_t id) { return (*among)[id]; })) {
        continue;
      }
      const std::vector<uint32_t>& names = side.SchemaNames(schema);
      symbols.insert(names.begin(), names.end());
    }
    return Status::Ok();
  };
  if (matcher_sets.empty()) {
    TOCSIN_TRY(add(index->source_side(), nullptr));
    TOCSIN_TRY(add(index->key_side(), nullptr));
  } else {
    TOCSIN_ASSIGN_OR_RETURN(const Participants all, ParticipantsOf(matcher_sets));
    TOCSIN_TRY(add(index->source_side(), &all.sources));
    TOCSIN_TRY(add(index->key_side(), &all.keys));
  }
  std::vector<std::string> names;
  for (const uint32_t symbol : symbols) {
    TOCSIN_ASSIGN_OR_RETURN(const std::string_view text, index->symbols().Text(symbol));
    names.emplace_back(text);
  }
  return names;
}

Result<std::vector<std::string>> SegmentFile::LabelValues(
    std::string_view name, std::span<const model::MatcherSet> matcher_sets) const {
  TOCSIN_ASSIGN_OR_RETURN(const std::shared_ptr<const SegmentIndex> index, Index());
  TOCSIN_ASSIGN_OR_RETURN(const uint32_t symbol, index->symbols().Find(name));
  if (symbol == kNoId) return std::vector<std::string>();
  std::set<uint32_t> symbols;
  const auto add = [&](const SegmentLabelSide& side, const std::vector<bool>* among) {
    return side.ForEachValue(symbol, [&](uint32_t value, IdSpan ids) {
      if (among == nullptr ||
          std::any_of(ids.begin(), ids.end(), [&](uint32_t id) { return (*among)[id]; })) {
        symbols.insert(value);
      }
      return Status::Ok();
    });
  };
  if (matcher_sets.empty()) {
    TOCSIN_TRY(add(index->source_side(), nullptr));
    TOCSIN_TRY(add(index->key_side(), nullptr));
  } else {
    TOCSIN_ASSIGN_OR_RETURN(const Participants all, ParticipantsOf(matcher_sets));
    TOCSIN_TRY(add(index->source_side(), &all.sources));
    TOCSIN_TRY(add(index->key_side(), &all.keys));
  }
  std::vector<std::string> values;
  for (const uint32_t value : symbols) {
    TOCSIN_ASSIGN_OR_RETURN(const std::string_view text, index->symbols().Text(value));
    values.emplace_back(text);
  }
  return values;
}

void SegmentFile::DropResidentPages() const {
  {
    MutexLock lock(index_mu_);
    if (footer_.packed_index()) index_.reset();
  }
  if (const auto* pages = dynamic_cast<const ResidentPages*>(mapping_.get())) pages->Drop();
}

Status SegmentFile::Verify() const {
  for (uint64_t page = 0; verified_ != nullptr && page * sizeof(uint32_t) < page_table_.size();
       ++page) {
    TOCSIN_RETURN_IF_ERROR(VerifyPage(page));
  }
  for (uint32_t source = 0; source < source_count(); ++source) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS([[maybe_unused]] const model::Labels labels,
                                   SourceLabels(source));
    TOCSIN_ASSIGN_OR_RETURN_STATUS([[maybe_unused]] const model::Origin origin,
                                   SourceOrigin(source));
  }
  for (uint32_t key = 0; key < key_count(); ++key) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS([[maybe_unused]] const model::Labels labels, KeyLabels(key));
  }
  SegmentCursor cursor(*this);
  FactsReader facts(*this);
  model::ColumnBatch batch;
  model::Column column;
  Status status;
  uint64_t samples = 0;
  uint64_t columns = 0;
  TOCSIN_RETURN_IF_ERROR(ForEachColumn([&](const ColumnRef& ref) {
    batch.Clear();
    cursor.BatchCleared();
    status = cursor.Read(ref, model::TimeRange(), &batch, &column);
    samples += column.timestamps.size() + column.histogram_timestamps.size();
    ++columns;
    if (status.ok() && has_facts()) status = facts.Verify(ref, column, &batch);
    return status.ok();
  }));
  TOCSIN_RETURN_IF_ERROR(status);
  if (samples != meta().sample_count || columns != meta().column_count) {
    return Damaged(0, "counts differ from the footer's");
  }
  return Status::Ok();
}

}  // namespace tocsin::tsdb
