#include "tsdb/segment/index_reader.h"

#include <algorithm>

#include "base/bytes.h"

namespace tocsin::tsdb {
namespace {

constexpr size_t kOffsetBytes = 4;
constexpr size_t kPrintBytes = 16;
constexpr size_t kNameTableBytes = 12;
constexpr size_t kValueBytes = 8;

Status Damaged(const char* what) { return Status(Code::kCorruption, what); }

uint32_t LoadAt(std::string_view table, uint64_t index) {
  return LoadFixed<uint32_t>(table.data() + index * kOffsetBytes);
}

}  // namespace

Status SymbolSection::Init(std::string_view bytes) {
  ByteReader in(bytes);
  count_ = in.Fixed32();
  offsets_ = in.Bytes((uint64_t{count_} + 1) * kOffsetBytes);
  text_ = in.rest();
  return in.ok() ? Status::Ok() : Damaged("symbols: count past the end");
}

Result<std::string_view> SymbolSection::Text(uint32_t id) const {
  if (id >= count_) return Error(Damaged("symbols: id past the end"));
  const uint32_t begin = LoadAt(offsets_, id);
  const uint32_t end = LoadAt(offsets_, uint64_t{id} + 1);
  if (begin > end || end > text_.size()) return Error(Damaged("symbols: offset past the end"));
  return text_.substr(begin, end - begin);
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

Status RecordSection::Init(std::string_view bytes, uint64_t expected_count) {
  ByteReader in(bytes);
  count_ = in.Fixed32();
  offsets_ = in.Bytes((uint64_t{count_} + 1) * kOffsetBytes);
  prints_ = in.Bytes(uint64_t{count_} * kPrintBytes);
  records_ = in.rest();
  if (!in.ok()) return Damaged("dictionary: count past the end");
  if (count_ != expected_count) return Damaged("dictionary: count differs from the footer's");
  return Status::Ok();
}

Result<std::string_view> RecordSection::Record(uint32_t id) const {
  if (id >= count_) return Error(Code::kInvalidArgument, "no such local id");
  const uint32_t begin = LoadAt(offsets_, id);
  const uint32_t end = LoadAt(offsets_, uint64_t{id} + 1);
  if (begin > end || end > records_.size()) {
    return Error(Damaged("dictionary: offset past the end"));
  }
  return records_.substr(begin, end - begin);
}

Result<Fingerprint> RecordSection::Print(uint32_t id) const {
  if (id >= count_) return Error(Code::kInvalidArgument, "no such local id");
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

Status SegmentLabelSide::Init(std::string_view bytes, uint32_t id_count,
                              const SymbolSection* symbols) {
  bytes_ = bytes;
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
    if (name.values_offset > bytes.size() ||
        name.value_count > (bytes.size() - name.values_offset) / kValueBytes ||
        (i > 0 && name.symbol <= names_.back().symbol)) {
      return Damaged("postings: bad label name table");
    }
    value_count += name.value_count;
    names_.push_back(name);
  }
  in.Skip(value_count * kValueBytes);
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

Result<IdSpan> SegmentLabelSide::Lookup(uint32_t name, std::string_view value,
                                        IdList* scratch) const {
  const NameTable* table = FindName(name);
  if (table == nullptr) return IdSpan();
  TOCSIN_ASSIGN_OR_RETURN(const uint32_t symbol, symbols_->Find(value));
  if (symbol == kNoId) return IdSpan();
  const char* values = bytes_.data() + table->values_offset;
  uint32_t low = 0;
  uint32_t high = table->value_count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (LoadFixed<uint32_t>(values + middle * kValueBytes) < symbol) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const char* found = values + low * kValueBytes;
  if (low == table->value_count || LoadFixed<uint32_t>(found) != symbol) return IdSpan();
  TOCSIN_TRY(ReadIds(LoadFixed<uint32_t>(found + kOffsetBytes), scratch));
  return *scratch;
}

Status SegmentLabelSide::ForEachValue(
    uint32_t name, const std::function<Status(uint32_t value, IdSpan ids)>& visit) const {
  const NameTable* table = FindName(name);
  if (table == nullptr) return Status::Ok();
  const char* at = bytes_.data() + table->values_offset;
  IdList ids;
  for (uint32_t i = 0; i < table->value_count; ++i, at += kValueBytes) {
    TOCSIN_RETURN_IF_ERROR(ReadIds(LoadFixed<uint32_t>(at + kOffsetBytes), &ids));
    TOCSIN_RETURN_IF_ERROR(visit(LoadFixed<uint32_t>(at), ids));
  }
  return Status::Ok();
}

Status SegmentLabelSide::CollectValues(uint32_t name, std::string_view prefix,
                                       const std::function<bool(std::string_view)>& matches,
                                       IdList* ids, bool* all) const {
  *all = true;
  const NameTable* table = FindName(name);
  if (table == nullptr) return Status::Ok();
  // Values are in order of text: those with the prefix are neighbours.
  const char* values = bytes_.data() + table->values_offset;
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const uint32_t first_symbol, symbols_->LowerBound(prefix));
  uint32_t low = 0;
  uint32_t high = table->value_count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (LoadFixed<uint32_t>(values + middle * kValueBytes) < first_symbol) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  *all = low == 0;
  IdList list;
  for (uint32_t i = low; i < table->value_count; ++i) {
    const char* entry = values + i * kValueBytes;
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::string_view value,
                                   symbols_->Text(LoadFixed<uint32_t>(entry)));
    if (!value.starts_with(prefix)) {
      *all = false;
      break;
    }
    if (!matches(value)) {
      *all = false;
      continue;
    }
    TOCSIN_RETURN_IF_ERROR(ReadIds(LoadFixed<uint32_t>(entry + kOffsetBytes), &list));
    ids->insert(ids->end(), list.begin(), list.end());
  }
  return Status::Ok();
}

std::vector<uint32_t> SegmentLabelSide::Names() const {
  std::vector<uint32_t> names;
  for (const NameTable& name : names_) names.push_back(name.symbol);
  return names;
}

}  // namespace tocsin::tsdb
