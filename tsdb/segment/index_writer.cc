#include "tsdb/segment/index_writer.h"

#include <algorithm>

#include "base/bytes.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {
namespace {

// Block offsets | entries
template <typename Entries>
std::string BlockTable(const Entries& entries) {
  std::string offsets;
  std::string body;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i % kIndexBlock == 0) PutFixed32(offsets, static_cast<uint32_t>(body.size()));
    PutString(body, entries[i]);
  }
  return offsets + body;
}

// count | u8 has fingerprints | fingerprints of 16 bytes | block table of records
std::string Table(const std::vector<std::string>& records, const std::vector<Fingerprint>& prints) {
  std::string out;
  PutFixed32(out, static_cast<uint32_t>(records.size()));
  PutFixed8(out, prints.empty() ? 0 : 1);
  for (const Fingerprint& print : prints) {
    PutFixed64(out, print.high);
    PutFixed64(out, print.low);
  }
  return out + BlockTable(records);
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
  return out + BlockTable(symbols_);
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
    if (keys_.size() > kUnprintedKeysMax) prints.push_back(FingerprintOf(key, seed_));
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
  // name table | schema offsets | value tables, then schemas
  const size_t blob_at = 8 + names.size() * 12 + schemas.size() * 4;
  std::string name_table;
  std::string schema_offsets;
  std::string blob;
  const auto blob_offset = [&] { return static_cast<uint32_t>(blob_at + blob.size()); };
  for (const auto& [name, values] : names) {
    PutFixed32(name_table, name);
    PutFixed32(name_table, static_cast<uint32_t>(values.size()));
    PutFixed32(name_table, blob_offset());
    const size_t blocks = (values.size() + kIndexBlock - 1) / kIndexBlock;
    const size_t entries_at = blob_at + blob.size() + blocks * 8;
    std::string entries;
    std::string list;
    uint32_t previous = 0;
    for (size_t i = 0; const auto& [value, ids] : values) {
      if (i++ % kIndexBlock == 0) {
        PutFixed32(blob, value);
        PutFixed32(blob, static_cast<uint32_t>(entries_at + entries.size()));
        previous = value;
      }
      PutVarint(entries, value - previous);
      previous = value;
      list.clear();
      EncodeIds(ids, &list);
      PutString(entries, list);
    }
    blob += entries;
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
  return out + name_table + schema_offsets + blob;
}

}  // namespace tocsin::tsdb
