#include "tsdb/index/label_index.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "base/check.h"

namespace tocsin::tsdb {

LabelIndex::LabelIndex(EpochDomain& domain, SymbolTable& symbols, LabeledItems items,
                       MatcherCache& cache, uint64_t side)
    : domain_(domain),
      symbols_(symbols),
      items_(std::move(items)),
      cache_(cache),
      side_(side),
      names_(domain),
      schemas_(domain) {}

LabelIndex::~LabelIndex() {
  names_.ForEach([](SymbolId, SymbolMap::Word word) {
    Name* name = reinterpret_cast<Name*>(word);
    name->values.ForEach([](SymbolId, SymbolMap::Word list) {
      PostingList::Delete(list);
      return true;
    });
    delete name;
    return true;
  });
  for (uint32_t id = 0; id < schemas_.end(); ++id) {
    Schema* schema = schemas_.Get(id);
    if (schema == nullptr) continue;
    PostingList::Delete(schema->ids.load(std::memory_order_relaxed));
    delete schema;
  }
}

// A schema holds one reference on each of its names; a value's non-empty list holds one on the
// value.
uint32_t LabelIndex::SchemaFor(const model::Labels& labels) {
  std::string names_key;
  for (const model::LabelView label : labels) PutString(names_key, label.name);
  const auto known = schema_by_names_.find(names_key);
  if (known != schema_by_names_.end()) return known->second;
  auto* schema = new Schema();
  for (const model::LabelView label : labels) {
    const SymbolId name = symbols_.Intern(label.name);
    schema->names.push_back(name);
    if (names_.Find(name) == 0) {
      // Names are few: an entry stays, and keeps a reference of its own on the symbol.
      symbols_.AddReference(name);
      names_.Put(name, reinterpret_cast<SymbolMap::Word>(new Name(domain_)));
    }
  }
  schema->names_key = names_key;
  const uint32_t id = schemas_.Append(schema);
  schema_by_names_.emplace(std::move(names_key), id);
  return id;
}

void LabelIndex::Replaced(PostingList::Word old, PostingList::Word now) {
  // An in-place append gives the same word and changes no figure.
  list_bytes_ += PostingList::MemoryBytes(now);
  list_bytes_ -= PostingList::MemoryBytes(old);
  PostingList::Retire(old, now, domain_);
}

LabelIndex::Entry LabelIndex::Add(uint32_t id, const model::Labels& labels) {
  Entry entry{SchemaFor(labels), {}};
  Schema* schema = schemas_.Get(entry.schema);
  entry.values.reserve(schema->names.size());
  size_t position = 0;
  for (const model::LabelView label : labels) {
    SymbolMap& values = FindName(schema->names[position++])->values;
    SymbolId value = symbols_.Find(label.value);
    PostingList::Word list = value == kNoId ? 0 : values.Find(value);
    if (list == 0) value = symbols_.Intern(label.value);  // the new table entry's reference
    const PostingList::Word longer = PostingList::Append(list, id);
    values.Put(value, longer);
    Replaced(list, longer);
    entry.values.push_back(value);
  }
  const PostingList::Word ids = schema->ids.load(std::memory_order_relaxed);
  const PostingList::Word longer = PostingList::Append(ids, id);
  schema->ids.store(longer, std::memory_order_release);
  Replaced(ids, longer);
  return entry;
}

LabelIndex::Removal LabelIndex::PlanRemoval(IdSpan dead, const std::vector<Entry>& entries) const {
  Removal removal{IdSet(dead), {}, {}, {}, 0};
  for (const Entry& entry : entries) {
    const Schema* schema = schemas_.Get(entry.schema);
    removal.schemas.push_back(entry.schema);
    for (size_t i = 0; i < entry.values.size(); ++i) {
      removal.lists.emplace_back(schema->names[i], entry.values[i]);
      removal.names.push_back(schema->names[i]);
    }
  }
  const auto unique = [](auto& list) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  };
  unique(removal.lists);
  unique(removal.schemas);
  unique(removal.names);
  return removal;
}

bool LabelIndex::RemoveStep(Removal* removal) {
  size_t step = removal->step++;
  if (step < removal->lists.size()) {
    const auto [name, value] = removal->lists[step];
    SymbolMap& values = FindName(name)->values;
    const PostingList::Word list = values.Find(value);
    const PostingList::Word rest = PostingList::Without(list, removal->dead);
    if (rest != list) values.Put(value, rest);
    Replaced(list, rest);
    // The emptied entry keeps its place, under a symbol that may be gone, until the table is
    // compacted; filling it again takes a new reference.
    if (rest == 0 && list != 0) symbols_.Release(value);
    return true;
  }
  step -= removal->lists.size();
  if (step < removal->schemas.size()) {
    Schema* schema = schemas_.Get(removal->schemas[step]);
    const PostingList::Word ids = schema->ids.load(std::memory_order_relaxed);
    const PostingList::Word rest = PostingList::Without(ids, removal->dead);
    schema->ids.store(rest, std::memory_order_release);
    Replaced(ids, rest);
    if (rest == 0) {
      schema_by_names_.erase(schema->names_key);
      schemas_.Erase(removal->schemas[step]);
      for (const SymbolId name : schema->names) symbols_.Release(name);
      domain_.RetireDelete(schema);
    }
    return true;
  }
  step -= removal->schemas.size();
  if (step < removal->names.size()) {
    FindName(removal->names[step])->values.Compact();
    return true;
  }
  return false;
}

uint32_t LabelIndex::ResolveName(std::string_view name) const {
  const SymbolId symbol = symbols_.Find(name);
  return symbol != kNoId && names_.Find(symbol) != 0 ? symbol : kNoId;
}

bool LabelIndex::SchemaHas(uint32_t schema, uint32_t name) const {
  const std::span<const SymbolId> names = SchemaNames(schema);
  return std::find(names.begin(), names.end(), name) != names.end();
}

Result<IdSpan> LabelIndex::SchemaIds(uint32_t schema, IdList* scratch) const {
  const Schema* s = schemas_.Get(schema);
  if (s == nullptr) return IdSpan();
  return PostingList::View(s->ids.load(std::memory_order_acquire), scratch);
}

Result<IdSpan> LabelIndex::Lookup(uint32_t name, std::string_view value, IdList* scratch) const {
  const Name* entry = FindName(name);
  const SymbolId symbol = symbols_.Find(value);
  if (entry == nullptr || symbol == kNoId) return IdSpan();
  return PostingList::View(entry->values.Find(symbol), scratch);
}

Status LabelIndex::CollectValues(uint32_t name, std::string_view prefix,
                                 const std::function<bool(std::string_view)>& matches, IdList* ids,
                                 bool* all) const {
  *all = true;
  const Name* entry = FindName(name);
  if (entry == nullptr) return Status::Ok();
  IdList scratch;
  const auto judge = [&](SymbolId symbol, SymbolMap::Word list) {
    const std::string_view value = symbols_.Text(symbol);
    if (!value.starts_with(prefix) || !matches(value)) {
      *all = false;
      return;
    }
    const IdSpan span = PostingList::View(list, &scratch);
    ids->insert(ids->end(), span.begin(), span.end());
  };
  // Waiting for texts, one by one, would be most of the time: they are asked for a batch ahead.
  static constexpr size_t kBatch = 32;
  std::array<std::pair<SymbolId, SymbolMap::Word>, kBatch> batch;
  size_t filled = 0;
  const auto flush = [&] {
    for (size_t i = 0; i < filled; ++i) symbols_.PrefetchAddress(batch[i].first);
    for (size_t i = 0; i < filled; ++i) symbols_.PrefetchText(batch[i].first);
    for (size_t i = 0; i < filled; ++i) judge(batch[i].first, batch[i].second);
    filled = 0;
  };
  entry->values.ForEach([&](SymbolId symbol, SymbolMap::Word list) {
    batch[filled++] = {symbol, list};
    if (filled == kBatch) flush();
    return true;
  });
  flush();
  return Status::Ok();
}

Result<MatchedIds> LabelIndex::Match(uint32_t name, const model::Matcher& matcher) const {
  const uint32_t end = items_.end();
  MatchedIds matched;
  if (cache_.Find(side_, name, matcher, &matched)) {
    if (matched.end >= end) return matched;
    Extend(name, matcher, end, &matched);
  } else {
    TOCSIN_ASSIGN_OR_RETURN(matched, MatchAnew(name, matcher));
    // Ids that came during the walk: whoever extends the entry judges them.
    if (!matched.ids->empty() && matched.ids->back() >= end) {
      const auto last = std::lower_bound(matched.ids->begin(), matched.ids->end(), end);
      matched.ids = std::make_shared<const IdList>(matched.ids->begin(), last);
    }
  }
  matched.end = end;
  cache_.Put(side_, name, matcher, matched);
  return matched;
}

void LabelIndex::Extend(uint32_t name, const model::Matcher& matcher, uint32_t end,
                        MatchedIds* matched) const {
  std::unordered_map<SymbolId, bool> verdicts;
  IdList added;
  for (uint32_t id = matched->end; id < end; ++id) {
    const SymbolId value = items_.value_of(id, name);
    if (value == kNoId) continue;
    const auto [verdict, fresh] = verdicts.try_emplace(value, false);
    if (fresh) verdict->second = matcher.Matches(symbols_.Text(value));
    if (verdict->second) added.push_back(id);
    matched->all = matched->all && verdict->second;
  }
  if (added.empty()) return;
  auto ids = std::make_shared<IdList>();
  ids->reserve(matched->ids->size() + added.size());
  *ids = *matched->ids;
  ids->insert(ids->end(), added.begin(), added.end());
  matched->ids = std::move(ids);
}

std::span<const SymbolId> LabelIndex::SchemaNames(uint32_t schema) const {
  const Schema* s = schemas_.Get(schema);
  if (s == nullptr) return {};
  return s->names;
}

void LabelIndex::ForEachName(const std::function<void(std::string_view)>& visit) const {
  names_.ForEach([&](SymbolId symbol, SymbolMap::Word word) {
    if (reinterpret_cast<const Name*>(word)->values.HasAny()) visit(symbols_.Text(symbol));
    return true;
  });
}

void LabelIndex::ForEachValueOf(std::string_view name,
                                const std::function<void(std::string_view)>& visit) const {
  const SymbolId symbol = symbols_.Find(name);
  const Name* entry = symbol == kNoId ? nullptr : FindName(symbol);
  if (entry == nullptr) return;
  entry->values.ForEach([&](SymbolId value, SymbolMap::Word) {
    visit(symbols_.Text(value));
    return true;
  });
}

size_t LabelIndex::memory_bytes() const {
  size_t bytes = list_bytes_ + names_.memory_bytes();
  names_.ForEach([&](SymbolId, SymbolMap::Word word) {
    bytes += sizeof(Name) + reinterpret_cast<const Name*>(word)->values.memory_bytes();
    return true;
  });
  return bytes + schemas_.end() * sizeof(Schema);
}

}  // namespace tocsin::tsdb
