// LabelIndex: one side, sources or keys, of the head's index: postings per label name and value,
// and ids by schema (set of label names).
//
// Thread contract: Add and the Remove calls: one writer at a time. The LabelSide face and the other
// const calls: any thread that holds a pin on the domain.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tsdb/index/id_array.h"
#include "tsdb/index/posting_list.h"
#include "tsdb/index/selector.h"
#include "tsdb/index/symbol_map.h"
#include "tsdb/index/symbols.h"

namespace tocsin::tsdb {

// What a LabelIndex asks its owner about the ids that it lists.
struct LabeledItems {
  // One past the highest that all lists it belongs to have.
  std::function<uint32_t()> end;
  // kNoId: the id is gone, or has not this label.
  std::function<SymbolId(uint32_t id, SymbolId name)> value_of;
};

class LabelIndex final : public LabelSide {
 public:
  // `side`: the cache's number for this.
  LabelIndex(EpochDomain& domain, SymbolTable& symbols, LabeledItems items, MatcherCache& cache,
             uint64_t side);
  ~LabelIndex() override;

  // --- writer ---
  struct Entry {
    uint32_t schema;
    std::vector<SymbolId> values;  // one a name of the schema, in its order
  };
  // Interns the labels and lists `id`, which is above every earlier one.
  Entry Add(uint32_t id, const model::Labels& labels);
  // Removal goes list by list, so that the caller can let others in between: RemovalPlan names the
  // lists that hold the dead entries, RemoveStep cleans the next one.
  struct Removal {
    IdSet dead;
    std::vector<std::pair<SymbolId, SymbolId>> lists;  // (name, value)
    std::vector<uint32_t> schemas;
    std::vector<SymbolId> names;  // whose tables lose values
    size_t step = 0;
  };
  Removal PlanRemoval(IdSpan dead, const std::vector<Entry>& entries) const;
  bool RemoveStep(Removal* removal);  // false: nothing is left to do

  // --- readers ---
  uint32_t schema_count() const override { return schemas_.end(); }
  uint32_t ResolveName(std::string_view name) const override;
  bool SchemaHas(uint32_t schema, uint32_t name) const override;
  Result<IdSpan> SchemaIds(uint32_t schema, IdList* scratch) const override;
  Result<IdSpan> Lookup(uint32_t name, std::string_view value, IdList* scratch) const override;
  // From the cache, if need be with what was added since.
  Result<MatchedIds> Match(uint32_t name, const model::Matcher& matcher) const override;
  // Label names in label order; empty for a schema that is gone.
  std::span<const SymbolId> SchemaNames(uint32_t schema) const;
  void ForEachName(const std::function<void(std::string_view)>& visit) const;
  void ForEachValueOf(std::string_view name,
                      const std::function<void(std::string_view)>& visit) const;

  size_t memory_bytes() const;  // for the writer

 private:
  struct Schema {
    std::vector<SymbolId> names;
    std::string names_key;  // in schema_by_names_
    std::atomic<PostingList::Word> ids{0};
  };
  struct Name {
    explicit Name(EpochDomain& domain) : values(domain) {}
    SymbolMap values;  // value → PostingList
  };

  Status CollectValues(uint32_t name, std::string_view prefix,
                       const std::function<bool(std::string_view)>& matches, IdList* ids,
                       bool* all) const override;
  void Extend(uint32_t name, const model::Matcher& matcher, uint32_t end,
              MatchedIds* matched) const;
  // After `now` was published in the place of `old`.
  void Replaced(PostingList::Word old, PostingList::Word now);
  uint32_t SchemaFor(const model::Labels& labels);
  const Name* FindName(SymbolId name) const {
    return reinterpret_cast<const Name*>(names_.Find(name));
  }
  Name* FindName(SymbolId name) { return reinterpret_cast<Name*>(names_.Find(name)); }

  EpochDomain& domain_;
  SymbolTable& symbols_;
  const LabeledItems items_;
  MatcherCache& cache_;
  const uint64_t side_;
  SymbolMap names_;  // name → Name*
  IdArray<Schema> schemas_;
  std::unordered_map<std::string, uint32_t> schema_by_names_;  // the writer's
  size_t list_bytes_ = 0;                                      // the writer's
};

}  // namespace tocsin::tsdb
