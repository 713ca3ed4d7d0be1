// The dictionaries and postings of an open segment, read in place from its mapped bytes. Nothing is
// unpacked when opening; every access checks its bounds, so damaged bytes give kCorruption.
// Immutable and thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/labels.h"
#include "model/storage.h"
#include "tsdb/index/selector.h"
#include "tsdb/segment/format.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {

// Byte strings by number: in blocks, or in versions 1 and 2 with an offset each.
class EntryTable {
 public:
  // Blocks: to the end of `in`.
  void InitBlocks(uint32_t count, ByteReader* in);
  void InitOffsets(std::string_view offsets, std::string_view body) {
    offsets_ = offsets;
    body_ = body;
    in_blocks_ = false;
  }
  // `id` < the count.
  Result<std::string_view> Entry(uint32_t id) const;

 private:
  std::string_view offsets_;
  std::string_view body_;
  bool in_blocks_ = true;
};

// Sorted strings: id = place in the order.
class SymbolSection {
 public:
  // `version`: of the file's format.
  Status Init(std::string_view bytes, uint8_t version);
  uint32_t count() const { return count_; }
  Result<std::string_view> Text(uint32_t id) const;
  Result<uint32_t> Find(std::string_view text) const;        // kNoId: none
  Result<uint32_t> LowerBound(std::string_view text) const;  // first id with a text >= `text`

 private:
  uint32_t count_ = 0;
  EntryTable texts_;
};

// Labels and more, and fingerprints of the labels where they are kept.
class RecordSection {
 public:
  Status Init(std::string_view bytes, uint8_t version, uint64_t expected_count);
  uint32_t count() const { return count_; }
  Result<std::string_view> Record(uint32_t id) const;
  bool has_prints() const { return has_prints_; }
  Result<Fingerprint> Print(uint32_t id) const;

 private:
  uint32_t count_ = 0;
  bool has_prints_ = true;
  std::string_view prints_;
  EntryTable records_;
};

// The labels at the front of what `record` reads.
Result<model::Labels> ReadLabels(ByteReader* record, const SymbolSection& symbols);

// Postings and schemas of one side.
class SegmentLabelSide final : public LabelSide {
 public:
  // `id_count`: sources or keys. `symbols` must outlive this.
  Status Init(std::string_view bytes, uint8_t version, uint32_t id_count,
              const SymbolSection* symbols);

  // `side`: this one's number there. Null: none.
  void UseCache(MatcherCache* cache, uint64_t side) {
    cache_ = cache;
    cache_side_ = side;
  }

  uint32_t schema_count() const override { return schema_count_; }
  uint32_t ResolveName(std::string_view name) const override;
  bool SchemaHas(uint32_t schema, uint32_t name) const override;
  Result<IdSpan> SchemaIds(uint32_t schema, IdList* scratch) const override;
  Result<IdSpan> Lookup(uint32_t name, std::string_view value, IdList* scratch) const override;
  Result<MatchedIds> Match(uint32_t name, const model::Matcher& matcher) const override;

  // Label names as symbols, ascending.
  std::vector<uint32_t> Names() const;
  const std::vector<uint32_t>& SchemaNames(uint32_t schema) const { return schemas_[schema].names; }
  // Every value of a name with its ids, in order of value.
  Status ForEachValue(uint32_t name,
                      const std::function<Status(uint32_t value, IdSpan ids)>& visit) const;

 private:
  struct NameTable {
    uint32_t symbol;
    uint32_t value_count;
    uint32_t values_offset;
  };
  struct Schema {
    std::vector<uint32_t> names;
    uint32_t ids_offset;
  };
  class ValueWalk;
  Status CollectValues(uint32_t name, std::string_view prefix,
                       const std::function<bool(std::string_view)>& matches, IdList* ids,
                       bool* all) const override;
  const NameTable* FindName(uint32_t symbol) const;
  Status ReadIds(uint32_t offset, IdList* ids) const;

  std::string_view bytes_;
  bool in_blocks_ = true;
  uint32_t id_count_ = 0;
  uint32_t schema_count_ = 0;
  const SymbolSection* symbols_ = nullptr;
  MatcherCache* cache_ = nullptr;
  uint64_t cache_side_ = 0;
  // Few, and asked for by every select: unpacked when opening.
  std::vector<NameTable> names_;
  std::vector<Schema> schemas_;
};

}  // namespace tocsin::tsdb
