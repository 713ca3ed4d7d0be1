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
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/matcher.h"
#include "model/storage.h"
#include "tsdb/index/matcher_cache.h"
#include "tsdb/index/postings.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {

// One side, sources or keys, of an index. Spans returned live as long as the side, or, where the
// side had to decode, as long as `scratch` is left alone.
class LabelSide {
 public:
  virtual ~LabelSide() = default;
  virtual uint32_t schema_count() const = 0;
  // A label name as this side knows it; kNoId when no id of this side carries it.
  virtual uint32_t ResolveName(std::string_view name) const = 0;
  virtual bool SchemaHas(uint32_t schema, uint32_t name) const = 0;
  virtual Result<IdSpan> SchemaIds(uint32_t schema, IdList* scratch) const = 0;
  // Ids with exactly this label; empty when there are none.
  virtual Result<IdSpan> Lookup(uint32_t name, std::string_view value, IdList* scratch) const = 0;
  // Ids whose value of `name` passes the matcher, a regular expression.
  virtual Result<MatchedIds> Match(uint32_t name, const model::Matcher& matcher) const {
    return MatchAnew(name, matcher);
  }

 protected:
  // Match without looking whether it is known: judges every value.
  Result<MatchedIds> MatchAnew(uint32_t name, const model::Matcher& matcher) const;
  // Every distinct value of `name` that begins with `prefix`, in any order. Where `matches` says
  // true, the value's ids are appended to `ids`; *all tells whether it always did.
  virtual Status CollectValues(uint32_t name, std::string_view prefix,
                               const std::function<bool(std::string_view)>& matches, IdList* ids,
                               bool* all) const = 0;
};

// Every source × every key of it satisfies the matchers. A source is in at most one product.
struct SelectedProduct {
  IdList sources;
  IdList keys;
};

// More matchers than this are refused with kResourceExhausted: which of them a schema decides is a
// 64-bit mask.
inline constexpr size_t kMatchersMax = 64;

Result<std::vector<SelectedProduct>> SelectProducts(const LabelSide& sources, const LabelSide& keys,
                                                    const model::MatcherSet& matchers);

}  // namespace tocsin::tsdb
