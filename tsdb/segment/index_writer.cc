#include "tsdb/segment/index_writer.h"

#include <xxhash.h>

#include <algorithm>
#include <numeric>

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
  const auto hash = [](std::string_view text) { return XXH3_64bits(text.data(), text.size()); };
  std::unordered_map<std::string_view, uint32_t, decltype(hash)> known(2 * keys.size(), hash);
  std::vector<std::string_view> texts;  // as they come
  const auto number_of = [&](std::string_view text) {
    const auto [at, fresh] = known.try_emplace(text, static_cast<uint32_t>(texts.size()));
    if (fresh) texts.push_back(text);
    return at->second;
  };
  // Neighbours have most of their labels in common.
  const auto like = [&](std::string_view text, uint32_t number) {
    return number != kNoId && texts[number] == text ? number : number_of(text);
  };
  const auto collect = [&](const model::Labels& labels, Side* side) {
    const std::vector<size_t>& ends = side->ends;
    size_t before = ends.size() < 2 ? 0 : ends[ends.size() - 2];
    const size_t before_end = side->pairs.size();
    for (const model::LabelView label : labels) {
      const Pair other = before < before_end ? side->pairs[before++] : Pair{kNoId, kNoId};
      const uint32_t name = like(label.name, other.name);
      side->pairs.push_back({name, like(label.value, other.value)});
    }
    side->ends.push_back(side->pairs.size());
  };
  for (const SourceRecord& source : sources) collect(source.labels, &source_side_);
  for (const model::Labels& key : keys) collect(key, &key_side_);

  std::vector<uint32_t> order(texts.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&texts](uint32_t a, uint32_t b) { return texts[a] < texts[b]; });
  std::vector<uint32_t> symbol_of(texts.size());
  for (uint32_t i = 0; i < order.size(); ++i) {
    symbol_of[order[i]] = i;
    symbols_.push_back(texts[order[i]]);
  }
  for (Side* side : {&source_side_, &key_side_}) {
    for (Pair& pair : side->pairs) pair = {symbol_of[pair.name], symbol_of[pair.value]};
  }
}

std::string IndexWriter::Symbols() const {
  std::string out;
  PutFixed32(out, static_cast<uint32_t>(symbols_.size()));
  return out + BlockTable(symbols_);
}

void IndexWriter::PutLabels(std::span<const Pair> labels, std::string* out) {
  PutVarint(*out, labels.size());
  for (const Pair& label : labels) {
    PutVarint(*out, label.name);
    PutVarint(*out, label.value);
  }
}

std::string IndexWriter::Sources() const {
  std::vector<std::string> records;
  std::vector<Fingerprint> prints;
  for (const SourceRecord& source : sources_) {
    std::string& record = records.emplace_back();
    PutFixed8(record, static_cast<uint8_t>(source.origin.kind));
    PutString(record, source.origin.id);
    PutLabels(source_side_.of(records.size() - 1), &record);
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
    std::string& record = records.emplace_back();
    PutLabels(key_side_.of(records.size() - 1), &record);
    if (keys_.size() > kUnprintedKeysMax) prints.push_back(FingerprintOf(key, seed_));
  }
  return Table(records, prints);
}

std::string IndexWriter::SourcePostings() const { return Postings(source_side_, source_used_); }

std::string IndexWriter::KeyPostings() const { return Postings(key_side_, key_used_); }

void IndexWriter::SortBy(uint32_t Posting::* symbol, size_t symbols,
                         std::vector<Posting>* postings) {
  std::vector<uint32_t> place(symbols + 1, 0);
  for (const Posting& posting : *postings) ++place[posting.*symbol + 1];
  std::partial_sum(place.begin(), place.end(), place.begin());
  std::vector<Posting> sorted(postings->size());
  for (const Posting& posting : *postings) sorted[place[posting.*symbol]++] = posting;
  postings->swap(sorted);
}

std::string IndexWriter::Postings(const Side& side, const std::vector<bool>& used) const {
  std::vector<Posting> postings;
  postings.reserve(side.pairs.size());
  std::map<std::vector<uint32_t>, IdList> schemas;
  std::vector<uint32_t> schema;
  auto last = schemas.end();
  for (uint32_t id = 0; id < side.ends.size(); ++id) {
    if (!used[id]) continue;
    schema.clear();
    for (const Pair& label : side.of(id)) {
      postings.push_back({label.name, label.value, id});
      schema.push_back(label.name);
    }
    if (last == schemas.end() || last->first != schema) last = schemas.try_emplace(schema).first;
    last->second.push_back(id);
  }
  // Symbols are in order of text, so by symbol is by name and value; ids ascend already.
  SortBy(&Posting::value, symbols_.size(), &postings);
  SortBy(&Posting::name, symbols_.size(), &postings);
  struct Value {
    uint32_t symbol;
    IdList ids;
  };
  std::vector<std::pair<uint32_t, std::vector<Value>>> names;
  for (const Posting& posting : postings) {
    if (names.empty() || names.back().first != posting.name) names.push_back({posting.name, {}});
    std::vector<Value>& values = names.back().second;
    if (values.empty() || values.back().symbol != posting.value) {
      values.push_back({posting.value, {}});
    }
    values.back().ids.push_back(posting.id);
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
