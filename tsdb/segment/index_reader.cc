#include "tsdb/segment/index_reader.h"

#include <algorithm>

#include "base/bytes.h"

namespace tocsin::tsdb {
namespace {

constexpr size_t kOffsetBytes = 4;
constexpr size_t kPrintBytes = 16;
constexpr size_t kNameTableBytes = 12;
constexpr size_t kValueBytes = 8;  // of an entry, or of a block
constexpr uint8_t kBlockIndexVersion = 3;

Status Damaged(const char* what) { return Status(Code::kCorruption, what); }

uint32_t LoadAt(std::string_view table, uint64_t index) {
  return LoadFixed<uint32_t>(table.data() + index * kOffsetBytes);
}

}  // namespace

void EntryTable::InitBlocks(uint32_t count, ByteReader* in) {
  const uint64_t blocks = (uint64_t{count} + kIndexBlock - 1) / kIndexBlock;
  offsets_ = in->Bytes(blocks * kOffsetBytes);
  body_ = in->rest();
  in_blocks_ = true;
}

Result<std::string_view> EntryTable::Entry(uint32_t id) const {
  if (!in_blocks_) {
    const uint32_t begin = LoadAt(offsets_, id);
    const uint32_t end = LoadAt(offsets_, uint64_t{id} + 1);
    if (begin > end || end > body_.size()) return Error(Damaged("entry past the end"));
    return body_.substr(begin, end - begin);
  }
  const uint32_t begin = LoadAt(offsets_, id / kIndexBlock);
  if (begin > body_.size()) return Error(Damaged("block past the end"));
  ByteReader in(body_.substr(begin));
  for (uint32_t i = id % kIndexBlock; i > 0; --i) in.Skip(in.Varint());
  const std::string_view entry = in.String();
  if (!in.ok()) return Error(Damaged("entry past the end"));
  return entry;
}

Status SymbolSection::Init(std::string_view bytes, uint8_t version) {
  ByteReader in(bytes);
  count_ = in.Fixed32();
  if (version < kBlockIndexVersion) {
    const std::string_view offsets = in.Bytes((uint64_t{count_} + 1) * kOffsetBytes);
    texts_.InitOffsets(offsets, in.rest());
  } else {
    texts_.InitBlocks(count_, &in);
  }
  return in.ok() ? Status::Ok() : Damaged("symbols: count past the end");
}

Result<std::string_view> SymbolSection::Text(uint32_t id) const {
  if (id >= count_) return Error(Damaged("symbols: id past the end"));
  return texts_.Entry(id);
}

Result<uint32_t> SymbolSection::LowerBound(std::string_view text) const {
  uint32_t low = 0;
  uint32_t high = count_;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    TOCSIN_ASSIGN_OR_RETURN(const std::string_view found, Text(middle));
    if (found < text) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

Result<uint32_t> SymbolSection::Find(std::string_view text) const {
  TOCSIN_ASSIGN_OR_RETURN(const uint32_t id, LowerBound(text));
  if (id == count_) return kNoId;
  TOCSIN_ASSIGN_OR_RETURN(const std::string_view found, Text(id));
  return found == text ? id : kNoId;
}

Status RecordSection::Init(std::string_view bytes, uint8_t version, uint64_t expected_count) {
  ByteReader in(bytes);
  count_ = in.Fixed32();
  std::string_view offsets;
  if (version < kBlockIndexVersion) {
    offsets = in.Bytes((uint64_t{count_} + 1) * kOffsetBytes);
  } else {
    has_prints_ = in.Fixed8() != 0;
  }
  if (has_prints_) prints_ = in.Bytes(uint64_t{count_} * kPrintBytes);
  if (version < kBlockIndexVersion) {
    records_.InitOffsets(offsets, in.rest());
  } else {
    records_.InitBlocks(count_, &in);
  }
  if (!in.ok()) return Damaged("dictionary: count past the end");
  if (count_ != expected_count) return Damaged("dictionary: count differs from the footer's");
  return Status::Ok();
}

Result<std::string_view> RecordSection::Record(uint32_t id) const {
  if (id >= count_) return Error(Code::kInvalidArgument, "no such local id");
  return records_.Entry(id);
}

Result<Fingerprint> RecordSection::Print(uint32_t id) const {
  if (id >= count_ || !has_prints_) return Error(Code::kInvalidArgument, "no such local id");
  const char* at = prints_.data() + uint64_t{id} * kPrintBytes;
  return Fingerprint{LoadFixed<uint64_t>(at), LoadFixed<uint64_t>(at + 8)};
}

Result<model::Labels> ReadLabels(ByteReader* record, const SymbolSection& symbols) {
  const uint64_t count = record->Varint();
  if (!record->ok() || count > record->remaining() / 2) {
    return Error(Damaged("labels: count past the end"));
  }
  std::vector<model::LabelView> labels;
  labels.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    const uint32_t name = record->Varint32();
    const uint32_t value = record->Varint32();
    if (!record->ok()) return Error(Damaged("labels: cut short"));
    TOCSIN_ASSIGN_OR_RETURN(const std::string_view name_text, symbols.Text(name));
    TOCSIN_ASSIGN_OR_RETURN(const std::string_view value_text, symbols.Text(value));
    if (value_text.empty() || (i > 0 && labels.back().name >= name_text)) {
      return Error(Damaged("labels: not in order"));
    }
    labels.push_back({name_text, value_text});
  }
  return model::Labels::FromSorted(labels.data(), labels.size());
}

Status SegmentLabelSide::Init(std::string_view bytes, uint8_t version, uint32_t id_count,
                              const SymbolSection* symbols) {
  bytes_ = bytes;
  in_blocks_ = version >= kBlockIndexVersion;
  id_count_ = id_count;
  symbols_ = symbols;
  ByteReader in(bytes);
  const uint32_t name_count = in.Fixed32();
  schema_count_ = in.Fixed32();
  if (!in.ok() || name_count > in.remaining() / kNameTableBytes ||
      schema_count_ > in.remaining() / kOffsetBytes) {
    return Damaged("postings: count past the end");
  }
  names_.clear();
  schemas_.clear();
  uint64_t value_count = 0;
  for (uint32_t i = 0; i < name_count; ++i) {
    const NameTable name{in.Fixed32(), in.Fixed32(), in.Fixed32()};
    const uint64_t entries = in_blocks_
                                 ? (uint64_t{name.value_count} + kIndexBlock - 1) / kIndexBlock
                                 : name.value_count;
    if (name.values_offset > bytes.size() ||
        entries > (bytes.size() - name.values_offset) / kValueBytes ||
        (i > 0 && name.symbol <= names_.back().symbol)) {
      return Damaged("postings: bad label name table");
    }
    value_count += name.value_count;
    names_.push_back(name);
  }
  if (!in_blocks_) in.Skip(value_count * kValueBytes);
  for (uint32_t i = 0; i < schema_count_; ++i) {
    const uint32_t offset = in.Fixed32();
    if (!in.ok() || offset > bytes.size()) return Damaged("postings: bad schema offset");
    ByteReader schema(bytes.substr(offset));
    const uint64_t count = schema.Varint();
    if (!schema.ok() || count > schema.remaining()) return Damaged("postings: bad schema");
    Schema& s = schemas_.emplace_back();
    for (uint64_t n = 0; n < count; ++n) s.names.push_back(schema.Varint32());
    if (!schema.ok()) return Damaged("postings: schema past the end");
    s.ids_offset = offset + static_cast<uint32_t>(schema.position());
  }
  return Status::Ok();
}

const SegmentLabelSide::NameTable* SegmentLabelSide::FindName(uint32_t symbol) const {
  const auto at =
      std::lower_bound(names_.begin(), names_.end(), symbol,
                       [](const NameTable& name, uint32_t wanted) { return name.symbol < wanted; });
  return at != names_.end() && at->symbol == symbol ? &*at : nullptr;
}

uint32_t SegmentLabelSide::ResolveName(std::string_view name) const {
  const Result<uint32_t> symbol = symbols_->Find(name);
  // Damage shows when the symbol is read for the answer.
  if (!symbol || *symbol == kNoId || FindName(*symbol) == nullptr) return kNoId;
  return *symbol;
}

bool SegmentLabelSide::SchemaHas(uint32_t schema, uint32_t name) const {
  const std::vector<uint32_t>& names = schemas_[schema].names;
  return std::find(names.begin(), names.end(), name) != names.end();
}

Status SegmentLabelSide::ReadIds(uint32_t offset, IdList* ids) const {
  if (offset > bytes_.size()) return Damaged("postings: list past the end");
  ByteReader in(bytes_.substr(offset));
  return DecodeIds(&in, id_count_, ids) ? Status::Ok() : Damaged("postings: bad list");
}

Result<IdSpan> SegmentLabelSide::SchemaIds(uint32_t schema, IdList* scratch) const {
  TOCSIN_TRY(ReadIds(schemas_[schema].ids_offset, scratch));
  return *scratch;
}

// Walks the values of a label name in order, from any symbol on.
class SegmentLabelSide::ValueWalk {
 public:
  // At the first value whose symbol is `from` or higher.
  ValueWalk(const SegmentLabelSide& side, const NameTable& table, uint32_t from)
      : side_(side), table_(table) {
    const uint32_t entries =
        side.in_blocks_ ? (table.value_count + kIndexBlock - 1) / kIndexBlock : table.value_count;
    uint32_t low = 0;
    uint32_t high = entries;
    while (low < high) {
      const uint32_t middle = low + (high - low) / 2;
      if (SymbolAt(middle) < from) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    // A block begins with the symbol found for it: those before it may reach as far as `from`.
    at_ = side.in_blocks_ ? (low == 0 ? 0 : low - 1) * kIndexBlock : low;
    Load();
    while (side.in_blocks_ && status_.ok() && !done() && symbol_ < from) Next();
  }
  bool done() const { return at_ >= table_.value_count; }
  bool at_first() const { return at_ == 0; }
  const Status& status() const { return status_; }
  uint32_t symbol() const { return symbol_; }
  Status ReadIds(IdList* ids) const {
    if (!side_.in_blocks_) return side_.ReadIds(list_offset_, ids);
    ByteReader in(list_);
    return DecodeIds(&in, side_.id_count_, ids) ? Status::Ok() : Damaged("postings: bad list");
  }
  void Next() {
    ++at_;
    Load();
  }

 private:
  const char* EntryAt(uint32_t entry) const {
    return side_.bytes_.data() + table_.values_offset + uint64_t{entry} * kValueBytes;
  }
  uint32_t SymbolAt(uint32_t entry) const { return LoadFixed<uint32_t>(EntryAt(entry)); }
  void Load() {
    if (done() || !status_.ok()) return;
    if (!side_.in_blocks_) {
      symbol_ = SymbolAt(at_);
      list_offset_ = LoadFixed<uint32_t>(EntryAt(at_) + kOffsetBytes);
      return;
    }
    if (at_ % kIndexBlock == 0) {
      const auto offset = LoadFixed<uint32_t>(EntryAt(at_ / kIndexBlock) + kOffsetBytes);
      if (offset > side_.bytes_.size()) return Fail();
      block_ = ByteReader(side_.bytes_.substr(offset));
      symbol_ = SymbolAt(at_ / kIndexBlock);
    }
    const uint64_t step = block_.Varint();
    list_ = block_.String();
    if (!block_.ok() || step > UINT32_MAX - symbol_) return Fail();
    symbol_ += static_cast<uint32_t>(step);
  }
  void Fail() {
    status_ = Damaged("postings: value past the end");
    at_ = table_.value_count;
  }

  const SegmentLabelSide& side_;
  const NameTable& table_;
  Status status_;
  uint32_t at_ = 0;
  uint32_t symbol_ = 0;
  uint32_t list_offset_ = 0;
  ByteReader block_;
  std::string_view list_;
};

Result<IdSpan> SegmentLabelSide::Lookup(uint32_t name, std::string_view value,
                                        IdList* scratch) const {
  const NameTable* table = FindName(name);
  if (table == nullptr) return IdSpan();
  TOCSIN_ASSIGN_OR_RETURN(const uint32_t symbol, symbols_->Find(value));
  if (symbol == kNoId) return IdSpan();
  const ValueWalk walk(*this, *table, symbol);
  TOCSIN_TRY(walk.status());
  if (walk.done() || walk.symbol() != symbol) return IdSpan();
  TOCSIN_TRY(walk.ReadIds(scratch));
  return *scratch;
}

Status SegmentLabelSide::ForEachValue(
    uint32_t name, const std::function<Status(uint32_t value, IdSpan ids)>& visit) const {
  const NameTable* table = FindName(name);
  if (table == nullptr) return Status::Ok();
  IdList ids;
  ValueWalk walk(*this, *table, 0);
  for (; !walk.done(); walk.Next()) {
    TOCSIN_RETURN_IF_ERROR(walk.ReadIds(&ids));
    TOCSIN_RETURN_IF_ERROR(visit(walk.symbol(), ids));
  }
  return walk.status();
}

Result<MatchedIds> SegmentLabelSide::Match(uint32_t name, const model::Matcher& matcher) const {
  if (cache_ == nullptr) return MatchAnew(name, matcher);
  MatchedIds matched;
  if (cache_->Find(cache_side_, name, matcher, &matched)) return matched;
  TOCSIN_ASSIGN_OR_RETURN(matched, MatchAnew(name, matcher));
  matched.end = id_count_;
  cache_->Put(cache_side_, name, matcher, matched);
  return matched;
}

Status SegmentLabelSide::CollectValues(uint32_t name, std::string_view prefix,
                                       const std::function<bool(std::string_view)>& matches,
                                       IdList* ids, bool* all) const {
  *all = true;
  const NameTable* table = FindName(name);
  if (table == nullptr) return Status::Ok();
  // Values are in order of text: those with the prefix are neighbours.
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const uint32_t first_symbol, symbols_->LowerBound(prefix));
  ValueWalk walk(*this, *table, first_symbol);
  *all = walk.at_first();
  IdList list;
  for (; !walk.done(); walk.Next()) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::string_view value, symbols_->Text(walk.symbol()));
    if (!value.starts_with(prefix)) {
      *all = false;
      break;
    }
    if (!matches(value)) {
      *all = false;
      continue;
    }
    TOCSIN_RETURN_IF_ERROR(walk.ReadIds(&list));
    ids->insert(ids->end(), list.begin(), list.end());
  }
  return walk.status();
}

std::vector<uint32_t> SegmentLabelSide::Names() const {
  std::vector<uint32_t> names;
  for (const NameTable& name : names_) names.push_back(name.symbol);
  return names;
}

}  // namespace tocsin::tsdb
