// Selector: matchers to products of sources and keys. Shared by the head's index and the segments'.
//
// Sources are grouped by their set of label names (their schema), keys likewise. Within one pair of
// schemas every matcher is decided wholly on one side: on the source's when the source schema has
// the label, else on the key's when that has it, else on the empty string. So a selection is a
// short list of products (sources × keys), never a list of series, and a matcher is evaluated once
// per distinct value of a label and side. Which pairs of a product exist is the layouts' business.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/matcher.h"
#include "model/storage.h"
#include "tsdb/index/postings.h"

namespace tocsin::tsdb {

// One side, sources or keys, of an index.
class LabelSide {
 public:
  virtual ~LabelSide() = default;
  virtual uint32_t schema_count() const = 0;
  virtual bool SchemaHas(uint32_t schema, std::string_view name) const = 0;
  virtual Result<IdList> SchemaIds(uint32_t schema) const = 0;
  // Ids with exactly this label; empty when there are none.
  virtual Result<IdList> Lookup(std::string_view name, std::string_view value) const = 0;
  // Every distinct value of `name` that begins with `prefix`, in any order. `ids` fetches the list.
  using ValueVisitor =
      std::function<Status(std::string_view value, const std::function<Result<IdList>()>& ids)>;
  virtual Status ForEachValue(std::string_view name, std::string_view prefix,
                              const ValueVisitor& visit) const = 0;
};

// Every source × every key of it satisfies the matchers.
struct SelectedProduct {
  IdList sources;
  IdList keys;
};

Result<std::vector<SelectedProduct>> SelectProducts(const LabelSide& sources, const LabelSide& keys,
                                                    const model::MatcherSet& matchers);

}  // namespace tocsin::tsdb
