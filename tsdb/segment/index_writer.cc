#include "tsdb/segment/index_writer.h"

#include <algorithm>

#include "base/bytes.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {
namespace {

// count | count + 1 offsets | fingerprints of 16 bytes, if asked | records
std::string Table(const std::vector<std::string>& records, const std::vector<Fingerprint>& prints) {
  std::string out;
  PutFixed32(out, static_cast<uint32_t>(records.size()));
  uint32_t offset = 0;
  for (const std::string& record : records) {
    PutFixed32(out, offset);
    offset += static_cast<uint32_t>(record.size());
  }
  PutFixed32(out, offset);
  for (const Fingerprint& print : prints) {
    PutFixed64(out, print.high);
    PutFixed64(out, print.low);
  }
  for (const std::string& record : records) out += record;
  return out;
}

}  // namespace

IndexWriter::IndexWriter(const std::vector<SourceRecord>& sources,
                         const std::vector<model::Labels>& keys, uint64_t fingerprint_seed,
                         std::vector<bool> source_used, std::vector<bool> key_used)
    : sources_(sources),
      keys_(keys),
      seed_(fingerprint_seed),
      source_used_(std::move(source_used)),
      key_used_(std::move(key_used)) {
  const auto collect = [this](const model::Labels& labels) {
    for (const model::LabelView label : labels) {
      for (const std::string_view text : {label.name, label.value}) {
        if (symbol_ids_.emplace(text, 0).second) symbols_.push_back(text);
      }
    }
  };
  for (const SourceRecord& source : sources) collect(source.labels);
  for (const model::Labels& key : keys) collect(key);
  std::sort(symbols_.begin(), symbols_.end());
  for (uint32_t i = 0; i < symbols_.size(); ++i) symbol_ids_[symbols_[i]] = i;
}

std::string IndexWriter::Symbols() const {
  std::string out;
  PutFixed32(out, static_cast<uint32_t>(symbols_.size()));
  uint32_t offset = 0;
  for (const std::string_view symbol : symbols_) {
    PutFixed32(out, offset);
    offset += static_cast<uint32_t>(symbol.size());
  }
  PutFixed32(out, offset);
  for (const std::string_view symbol : symbols_) out += symbol;
  return out;
}

void IndexWriter::PutLabels(const model::Labels& labels, std::string* out) const {
  PutVarint(*out, labels.size());
  for (const model::LabelView label : labels) {
    PutVarint(*out, SymbolOf(label.name));
    PutVarint(*out, SymbolOf(label.value));
  }
}

std::string IndexWriter::Sources() const {
  std::vector<std::string> records;
  std::vector<Fingerprint> prints;
  for (const SourceRecord& source : sources_) {
    std::string& record = records.emplace_back();
    PutFixed8(record, static_cast<uint8_t>(source.origin.kind));
    PutString(record, source.origin.id);
    PutLabels(source.labels, &record);
    PutVarint(record, source.axes.size());
    for (const SectionPlace& axis : source.axes) {
      PutVarint(record, axis.offset);
      PutVarint(record, axis.length);
    }
    prints.push_back(FingerprintOf(source.labels, seed_));
  }
  return Table(records, prints);
}

std::string IndexWriter::Keys() const {
  std::vector<std::string> records;
  std::vector<Fingerprint> prints;
  for (const model::Labels& key : keys_) {
    PutLabels(key, &records.emplace_back());
    prints.push_back(FingerprintOf(key, seed_));
  }
  return Table(records, prints);
}

std::string IndexWriter::SourcePostings() const {
  std::vector<const model::Labels*> items;
  for (size_t i = 0; i < sources_.size(); ++i) {
    items.push_back(source_used_[i] ? &sources_[i].labels : nullptr);
  }
  return Postings(items);
}

std::string IndexWriter::KeyPostings() const {
  std::vector<const model::Labels*> items;
  for (size_t i = 0; i < keys_.size(); ++i) {
    items.push_back(key_used_[i] ? &keys_[i] : nullptr);
  }
  return Postings(items);
}

std::string IndexWriter::Postings(const std::vector<const model::Labels*>& items) const {
  // Symbols are in order of text, so maps by symbol are in order of name and value.
  std::map<uint32_t, std::map<uint32_t, IdList>> names;
  std::map<std::vector<uint32_t>, IdList> schemas;
  std::vector<uint32_t> schema;
  for (uint32_t id = 0; id < items.size(); ++id) {
    if (items[id] == nullptr) continue;
    schema.clear();
    for (const model::LabelView label : *items[id]) {
      const uint32_t name = SymbolOf(label.name);
      names[name][SymbolOf(label.value)].push_back(id);
      schema.push_back(name);
    }
    schemas[schema].push_back(id);
  }
  size_t value_count = 0;
  for (const auto& [name, values] : names) value_count += values.size();
  // name table | value tables | schema offsets | lists, then schemas
  const size_t lists_at = 8 + names.size() * 12 + value_count * 8 + schemas.size() * 4;
  std::string name_table;
  std::string value_tables;
  std::string schema_offsets;
  std::string blob;
  const auto blob_offset = [&] { return static_cast<uint32_t>(lists_at + blob.size()); };
  for (const auto& [name, values] : names) {
    PutFixed32(name_table, name);
    PutFixed32(name_table, static_cast<uint32_t>(values.size()));
    PutFixed32(name_table, static_cast<uint32_t>(8 + names.size() * 12 + value_tables.size()));
    for (const auto& [value, ids] : values) {
      PutFixed32(value_tables, value);
      PutFixed32(value_tables, blob_offset());
      EncodeIds(ids, &blob);
    }
  }
  for (const auto& [schema_names, ids] : schemas) {
    PutFixed32(schema_offsets, blob_offset());
    PutVarint(blob, schema_names.size());
    for (const uint32_t name : schema_names) PutVarint(blob, name);
    EncodeIds(ids, &blob);
  }
  std::string out;
  PutFixed32(out, static_cast<uint32_t>(names.size()));
  PutFixed32(out, static_cast<uint32_t>(schemas.size()));
  return out + name_table + value_tables + schema_offsets + blob;
}

}  // namespace tocsin::tsdb
