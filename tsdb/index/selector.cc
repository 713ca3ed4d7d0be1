#include "tsdb/index/selector.h"

#include <algorithm>
#include <map>
#include <optional>

namespace tocsin::tsdb {
namespace {

using model::Matcher;
using model::MatchType;

// What one matcher leaves of the ids, of one side, that carry its label.
struct Filter {
  enum class Kind : uint8_t { kAll, kOnly, kExcept };
  Kind kind = Kind::kAll;
  std::shared_ptr<const IdList> ids;  // not with kAll
};

// The filters of one side, made when first asked for: a matcher whose label the side never carries
// costs nothing.
class SideFilters {
 public:
  SideFilters(const LabelSide& side, const model::MatcherSet& matchers)
      : side_(side), matchers_(matchers), filters_(matchers.size()) {
    for (const Matcher& matcher : matchers) names_.push_back(side.ResolveName(matcher.name()));
  }

  // Which matchers test a label that the schema has.
  uint64_t DecidedMask(uint32_t schema) const {
    uint64_t mask = 0;
    for (size_t i = 0; i < names_.size(); ++i) {
      if (names_[i] != kNoId && side_.SchemaHas(schema, names_[i])) mask |= uint64_t{1} << i;
    }
    return mask;
  }

  Result<const Filter*> Get(size_t matcher) {
    if (!filters_[matcher]) {
      TOCSIN_ASSIGN_OR_RETURN(filters_[matcher], Make(matchers_[matcher], names_[matcher]));
    }
    return &*filters_[matcher];
  }

  // Ids of `schema` that pass every matcher in `mask`, all of which the schema decides.
  Result<IdList> Apply(uint32_t schema, uint64_t mask) {
    std::vector<const Filter*> only;
    std::vector<const Filter*> except;
    for (size_t i = 0; i < matchers_.size(); ++i) {
      if ((mask >> i & 1) == 0) continue;
      TOCSIN_ASSIGN_OR_RETURN(const Filter* filter, Get(i));
      if (filter->kind == Filter::Kind::kOnly) only.push_back(filter);
      if (filter->kind == Filter::Kind::kExcept) except.push_back(filter);
    }
    for (const Filter* filter : only) {
      if (filter->ids->empty()) return IdList();
    }
    IdList scratch;
    TOCSIN_ASSIGN_OR_RETURN(const IdSpan all, side_.SchemaIds(schema, &scratch));
    IdList ids;
    if (only.empty()) {
      ids.assign(all.begin(), all.end());
    } else {
      std::sort(only.begin(), only.end(),
                [](const Filter* a, const Filter* b) { return a->ids->size() < b->ids->size(); });
      ids = Intersect(*only[0]->ids, all);
      for (size_t i = 1; i < only.size() && !ids.empty(); ++i) ids = Intersect(ids, *only[i]->ids);
    }
    for (const Filter* filter : except) ids = Difference(ids, *filter->ids);
    return ids;
  }

 private:
  // A label that is there has a non-empty value, so tests against "" are decided by presence.
  Result<Filter> Make(const Matcher& matcher, uint32_t name) const {
    const bool negative =
        matcher.type() == MatchType::kNotEqual || matcher.type() == MatchType::kNotRegex;
    if (matcher.type() == MatchType::kEqual || matcher.type() == MatchType::kNotEqual) {
      return FromValues(name, {matcher.value()}, negative);
    }
    if (matcher.value() == ".*" || matcher.value() == ".+") {
      // RE2's dot does not match a line feed, but PromQL's does (model/matcher.h).
      if (matcher.Matches("\n")) {
        if (!negative) return Filter();
        return Filter{Filter::Kind::kOnly, std::make_shared<const IdList>()};
      }
    }
    if (!matcher.set_matches().empty()) {
      return FromValues(name, matcher.set_matches(), negative);
    }
    TOCSIN_ASSIGN_OR_RETURN(const MatchedIds matched, side_.Match(name, matcher));
    if (matched.all) return Filter();
    return Filter{Filter::Kind::kOnly, matched.ids};
  }

  Result<Filter> FromValues(uint32_t name, const std::vector<std::string>& values,
                            bool negative) const {
    auto all = std::make_shared<IdList>();
    IdList scratch;
    for (const std::string& value : values) {
      if (value.empty()) continue;
      TOCSIN_ASSIGN_OR_RETURN(const IdSpan ids, side_.Lookup(name, value, &scratch));
      all->insert(all->end(), ids.begin(), ids.end());
    }
    SortUnique(all.get());
    return Filter{negative ? Filter::Kind::kExcept : Filter::Kind::kOnly, std::move(all)};
  }

  const LabelSide& side_;
  const model::MatcherSet& matchers_;
  std::vector<uint32_t> names_;
  std::vector<std::optional<Filter>> filters_;
};

// Keys that pass the matchers outside `source_mask`.
Result<IdList> KeysFor(const LabelSide& keys, SideFilters& filters,
                       const model::MatcherSet& matchers, uint64_t source_mask) {
  IdList all;
  uint64_t empty_fails = 0;  // matchers that an absent label does not pass
  for (size_t i = 0; i < matchers.size(); ++i) {
    if (!matchers[i].MatchesEmpty()) empty_fails |= uint64_t{1} << i;
  }
  for (uint32_t schema = 0; schema < keys.schema_count(); ++schema) {
    const uint64_t decided = filters.DecidedMask(schema);
    if ((empty_fails & ~source_mask & ~decided) != 0) continue;
    TOCSIN_ASSIGN_OR_RETURN(const IdList ids, filters.Apply(schema, decided & ~source_mask));
    all.insert(all.end(), ids.begin(), ids.end());
  }
  SortUnique(&all);
  return all;
}

}  // namespace

Result<MatchedIds> LabelSide::MatchAnew(uint32_t name, const model::Matcher& matcher) const {
  // What a negative one passes need not begin with anything.
  const std::string_view prefix =
      matcher.type() == MatchType::kNotRegex ? std::string_view() : matcher.prefix();
  auto ids = std::make_shared<IdList>();
  MatchedIds matched;
  TOCSIN_TRY(CollectValues(
      name, prefix, [&matcher](std::string_view value) { return matcher.Matches(value); },
      ids.get(), &matched.all));
  SortUnique(ids.get());
  ids->shrink_to_fit();
  matched.ids = std::move(ids);
  return matched;
}

Result<std::vector<SelectedProduct>> SelectProducts(const LabelSide& sources, const LabelSide& keys,
                                                    const model::MatcherSet& matchers) {
  if (matchers.size() > kMatchersMax) {
    return Error(Code::kResourceExhausted, "more than 64 matchers in one selector");
  }
  SideFilters source_filters(sources, matchers);
  SideFilters key_filters(keys, matchers);
  std::map<uint64_t, SelectedProduct> by_mask;
  std::map<uint64_t, bool> dead;  // masks without any key
  for (uint32_t schema = 0; schema < sources.schema_count(); ++schema) {
    const uint64_t mask = source_filters.DecidedMask(schema);
    if (dead[mask]) continue;
    TOCSIN_ASSIGN_OR_RETURN(const IdList ids, source_filters.Apply(schema, mask));
    if (ids.empty()) continue;
    const auto [product, fresh] = by_mask.try_emplace(mask);
    if (fresh) {
      TOCSIN_ASSIGN_OR_RETURN(product->second.keys, KeysFor(keys, key_filters, matchers, mask));
      if (product->second.keys.empty()) {
        by_mask.erase(product);
        dead[mask] = true;
        continue;
      }
    }
    IdList& all = product->second.sources;
    all.insert(all.end(), ids.begin(), ids.end());
  }
  std::vector<SelectedProduct> products;
  for (auto& [mask, product] : by_mask) {
    SortUnique(&product.sources);
    products.push_back(std::move(product));
  }
  return products;
}

}  // namespace tocsin::tsdb
