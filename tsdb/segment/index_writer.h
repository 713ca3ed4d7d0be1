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
  struct Pair {
    uint32_t name = 0;  // symbols
    uint32_t value = 0;
  };
  // The labels of all sources or all keys, as symbols.
  struct Side {
    std::vector<Pair> pairs;
    std::vector<size_t> ends;  // in `pairs`, by local id

    std::span<const Pair> of(size_t id) const {
      const size_t begin = id == 0 ? 0 : ends[id - 1];
      return std::span(pairs).subspan(begin, ends[id] - begin);
    }
  };
  static void PutLabels(std::span<const Pair> labels, std::string* out);
  struct Posting {
    uint32_t name;  // symbols
    uint32_t value;
    uint32_t id;
  };
  // Stable, by one of the two symbols, of which there are `symbols`.
  static void SortBy(uint32_t Posting::* symbol, size_t symbols, std::vector<Posting>* postings);
  std::string Postings(const Side& side, const std::vector<bool>& used) const;

  const std::vector<SourceRecord>& sources_;
  const std::vector<model::Labels>& keys_;
  const uint64_t seed_;
  const std::vector<bool> source_used_;
  const std::vector<bool> key_used_;
  std::vector<std::string_view> symbols_;  // sorted
  Side source_side_;
  Side key_side_;
};

}  // namespace tocsin::tsdb
