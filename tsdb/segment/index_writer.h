// IndexWriter: the dictionaries and postings of a segment, as the sections of
// docs/format/segment.md.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "model/labels.h"
#include "model/storage.h"
#include "tsdb/segment/format.h"

namespace tocsin::tsdb {

struct SourceRecord {
  model::Origin origin;
  model::Labels labels;
  std::vector<SectionPlace> axes;  // 0: the row timestamps
};

class IndexWriter {
 public:
  // Both in order of local id; they must outlive the writer. Postings list only those that have a
  // column: `source_used` and `key_used` by local id.
  IndexWriter(const std::vector<SourceRecord>& sources, const std::vector<model::Labels>& keys,
              uint64_t fingerprint_seed, std::vector<bool> source_used, std::vector<bool> key_used);

  std::string Symbols() const;
  std::string Sources() const;
  std::string Keys() const;
  std::string SourcePostings() const;
  std::string KeyPostings() const;

 private:
  uint32_t SymbolOf(std::string_view text) const { return symbol_ids_.at(text); }
  void PutLabels(const model::Labels& labels, std::string* out) const;
  // A null item is left out.
  std::string Postings(const std::vector<const model::Labels*>& items) const;

  const std::vector<SourceRecord>& sources_;
  const std::vector<model::Labels>& keys_;
  const uint64_t seed_;
  const std::vector<bool> source_used_;
  const std::vector<bool> key_used_;
  std::vector<std::string_view> symbols_;  // sorted
  std::unordered_map<std::string_view, uint32_t> symbol_ids_;
};

}  // namespace tocsin::tsdb
