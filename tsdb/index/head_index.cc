#include "tsdb/index/head_index.h"

#include <algorithm>
#include <map>
#include <new>
#include <set>

#include "base/check.h"
#include "base/mutex.h"
#include "tsdb/index/epoch.h"
#include "tsdb/index/id_array.h"
#include "tsdb/index/id_table.h"
#include "tsdb/index/label_index.h"
#include "tsdb/index/layout.h"
#include "tsdb/index/pair_walk.h"
#include "tsdb/index/symbols.h"

namespace tocsin::tsdb {

namespace {

struct Source {
  model::Origin origin;
  LabelIndex::Entry labels;
  Fingerprint fingerprint;
  uint64_t origin_hash;
  Layout layout;

  uint64_t table_hash() const { return fingerprint.low ^ origin_hash; }
};

// Keys are many: one allocation each, the values' symbols behind the struct.
struct Key {
  Fingerprint fingerprint;
  uint32_t schema;
  uint32_t value_count;
  // Twice the number of layout pages that hold it; odd once one did that follows another.
  std::atomic<uint32_t> holders{0};
  uint32_t last_wanted = 0;  // the writer's: the sweep before which it was last asked for

  bool held() const { return holders.load(std::memory_order_relaxed) > 1; }
  bool may_be_own() const { return holders.load(std::memory_order_relaxed) % 2 != 0; }
  void Hold(int change, bool own) {
    const uint32_t was = holders.load(std::memory_order_relaxed);
    holders.store((was + 2 * static_cast<uint32_t>(change)) | (own ? 1 : 0),
                  std::memory_order_relaxed);
  }

  uint64_t table_hash() const { return fingerprint.low; }
  const SymbolId* values() const { return reinterpret_cast<const SymbolId*>(this + 1); }

  static Key* New(Fingerprint fingerprint, const LabelIndex::Entry& labels) {
    auto* key = new (::operator new(sizeof(Key) + labels.values.size() * sizeof(SymbolId))) Key{};
    key->fingerprint = fingerprint;
    key->schema = labels.schema;
    key->value_count = static_cast<uint32_t>(labels.values.size());
    std::copy(labels.values.begin(), labels.values.end(), reinterpret_cast<SymbolId*>(key + 1));
    return key;
  }
  static void Delete(void* key) { ::operator delete(key); }
  static size_t Bytes(size_t values) { return sizeof(Key) + values * sizeof(SymbolId); }
};

std::span<const SymbolId> ValuesOf(const Source& source) { return source.labels.values; }
std::span<const SymbolId> ValuesOf(const Key& key) { return {key.values(), key.value_count}; }
uint32_t SchemaOf(const Source& source) { return source.labels.schema; }
uint32_t SchemaOf(const Key& key) { return key.schema; }

// A source's or key's labels, in label order. Empty when its schema is gone.
template <typename Item>
void AppendLabels(const Item& item, const LabelIndex& index, const SymbolTable& symbols,
                  std::vector<model::LabelView>* out) {
  const std::span<const SymbolId> names = index.SchemaNames(SchemaOf(item));
  const std::span<const SymbolId> values = ValuesOf(item);
  for (size_t i = 0; i < std::min(names.size(), values.size()); ++i) {
    out->push_back({symbols.Text(names[i]), symbols.Text(values[i])});
  }
}

template <typename Item>
bool HasLabels(const Item& item, const LabelIndex& index, const SymbolTable& symbols,
               const model::Labels& labels) {
  std::vector<model::LabelView> views;
  AppendLabels(item, index, symbols, &views);
  return std::equal(views.begin(), views.end(), labels.begin(), labels.end());
}

template <typename Item>
SymbolId ValueOf(const Item* item, const LabelIndex& index, SymbolId name) {
  if (item == nullptr) return kNoId;
  const std::span<const SymbolId> names = index.SchemaNames(SchemaOf(*item));
  const auto at = std::find(names.begin(), names.end(), name);
  return at == names.end() ? kNoId : ValuesOf(*item)[static_cast<size_t>(at - names.begin())];
}

// Of the matcher cache; ids of both sides have the same names there.
constexpr uint64_t kSourceSide = 0;
constexpr uint64_t kKeySide = 1;

// An allocation's own cost in the estimate.
constexpr size_t kAllocationBytes = 8;

}  // namespace

struct HeadIndex::Impl {
  Impl(uint64_t fingerprint_seed, size_t collect_bytes)
      : seed(fingerprint_seed),
        domain(collect_bytes),
        symbols(domain),
        matcher_cache(kMatcherCacheBytesMax),
        source_index(domain, symbols,
                     {[this] { return sources.end(); },
                      [this](uint32_t id, SymbolId name) {
                        return ValueOf(sources.Get(id), source_index, name);
                      }},
                     matcher_cache, kSourceSide),
        key_index(
            domain, symbols,
            {[this] { return keys.end(); },
             [this](uint32_t id, SymbolId name) { return ValueOf(keys.Get(id), key_index, name); }},
            matcher_cache, kKeySide),
        sources(domain),
        keys(domain),
        shapes(domain),
        layouts(domain, [this](KeyId key, int change, bool own) NO_THREAD_SAFETY_ANALYSIS {
          Key& k = *keys.Get(key);
          k.Hold(change, own);
          if (!k.held()) idle_keys.push_back(key);
        }) {}
  ~Impl() {
    for (SourceId id = 0; id < sources.end(); ++id) {
      if (Source* source = sources.Get(id)) {
        layouts.Release(source->layout);
        delete source;
      }
    }
    for (KeyId id = 0; id < keys.end(); ++id) {
      if (Key* key = keys.Get(id)) Key::Delete(key);
    }
  }

  SourceId FindSource(const model::Origin& origin, const model::Labels& labels,
                      Fingerprint fingerprint, uint64_t origin_hash) const REQUIRES(mu) {
    return source_table.Find(fingerprint.low ^ origin_hash, [&](uint32_t id) {
      const Source& source = *sources.Get(id);
      return source.fingerprint == fingerprint && source.origin == origin &&
             HasLabels(source, source_index, symbols, labels);
    });
  }
  KeyId FindKey(const model::Labels& labels, Fingerprint fingerprint) const REQUIRES(mu) {
    return key_table.Find(fingerprint.low, [&](uint32_t id) {
      const Key& key = *keys.Get(id);
      return key.fingerprint == fingerprint && HasLabels(key, key_index, symbols, labels);
    });
  }
  // Unlinks keys that nobody holds; their ids, ascending.
  IdList UnlinkDeadKeys(std::vector<LabelIndex::Entry>* entries) REQUIRES(mu);

  const uint64_t seed;
  mutable Mutex mu;  // serialises writing
  Mutex sweep_mu;    // one sweep at a time; taken before mu
  // Readers: whatever they reach through a pin. Writing: under mu.
  EpochDomain domain;
  SymbolTable symbols;
  MatcherCache matcher_cache;
  LabelIndex source_index;
  LabelIndex key_index;
  IdArray<Source> sources;
  IdArray<Key> keys;
  IdValues<LayoutShape> shapes;  // by source
  LayoutStore layouts;

  IdTable source_table GUARDED_BY(mu);
  IdTable key_table GUARDED_BY(mu);
  size_t source_count GUARDED_BY(mu) = 0;
  size_t key_count GUARDED_BY(mu) = 0;
  size_t series_count GUARDED_BY(mu) = 0;
  size_t item_bytes GUARDED_BY(mu) = 0;
  // Removed since the last sweep, in order of removal.
  std::vector<std::pair<SourceId, LabelIndex::Entry>> dead_sources GUARDED_BY(mu);
  IdList idle_keys GUARDED_BY(mu);  // that have left their last layout
  KeyId first_unswept_key GUARDED_BY(mu) = 0;
  uint32_t sweeps GUARDED_BY(mu) = 0;
};

SlotKey* HeadSelection::NewSlots(size_t count) {
  static constexpr size_t kFirstBlock = 256;
  static constexpr size_t kBlockMax = 8 * kLayoutPageSlots;
  if (count > room_slots_) {
    block_slots_ = std::clamp(2 * block_slots_, std::max(count, kFirstBlock), kBlockMax);
    blocks_.push_back(std::make_unique_for_overwrite<SlotKey[]>(block_slots_));
    room_ = blocks_.back().get();
    room_slots_ = block_slots_;
  }
  return room_;
}

void HeadSelection::AddList(std::span<const SlotKey> list) {
  if (!list.empty()) {
    room_ += list.size();
    room_slots_ -= list.size();
  }
  lists.push_back(list);
}

HeadIndex::HeadIndex(uint64_t fingerprint_seed, size_t collect_bytes)
    : impl_(std::make_unique<Impl>(fingerprint_seed, collect_bytes)) {}
HeadIndex::~HeadIndex() = default;

uint64_t HeadIndex::fingerprint_seed() const { return impl_->seed; }

// --- writing ---

SourceId HeadIndex::AddSource(const model::Origin& origin, const model::Labels& labels,
                              bool* added) {
  Impl& d = *impl_;
  const Fingerprint fingerprint = FingerprintOf(labels, d.seed);
  const uint64_t origin_hash = OriginHash(origin, d.seed);
  MutexLock lock(d.mu);
  const SourceId known = d.FindSource(origin, labels, fingerprint, origin_hash);
  if (added != nullptr) *added = known == kNoId;
  if (known != kNoId) return known;
  auto* source = new Source{origin, {}, fingerprint, origin_hash, {}};
  const SourceId id = d.sources.next_id();
  // Listed before it is reachable by id: a reader of a list skips what it cannot reach yet.
  source->labels = d.source_index.Add(id, labels);
  d.shapes.Append({});
  source->layout.TellShape(d.shapes.Place(id));
  d.sources.Append(source);
  d.source_table.Insert(source->table_hash(), id,
                        [&](uint32_t other) { return d.sources.Get(other)->table_hash(); });
  ++d.source_count;
  d.item_bytes +=
      sizeof(Source) + origin.id.size() + labels.size() * sizeof(SymbolId) + 3 * kAllocationBytes;
  return id;
}

KeyId HeadIndex::AddKey(const model::Labels& labels, bool* added) {
  Impl& d = *impl_;
  const Fingerprint fingerprint = FingerprintOf(labels, d.seed);
  MutexLock lock(d.mu);
  const KeyId known = d.FindKey(labels, fingerprint);
  if (added != nullptr) *added = known == kNoId;
  if (known != kNoId) {
    d.keys.Get(known)->last_wanted = d.sweeps;
    return known;
  }
  const KeyId id = d.keys.next_id();
  Key* key = Key::New(fingerprint, d.key_index.Add(id, labels));
  key->last_wanted = d.sweeps;
  d.keys.Append(key);
  d.key_table.Insert(key->table_hash(), id,
                     [&](uint32_t other) { return d.keys.Get(other)->table_hash(); });
  ++d.key_count;
  d.item_bytes += Key::Bytes(key->value_count) + kAllocationBytes;
  return id;
}

bool HeadIndex::ids_used_up() const {
  constexpr uint32_t kIdsMax =
      kNoId - (uint32_t{1} << 20);  // room for callers that have just asked
  return impl_->keys.next_id() >= kIdsMax || impl_->sources.next_id() >= kIdsMax;
}

model::Slot HeadIndex::FindSlot(SourceId source, KeyId key) const {
  MutexLock lock(impl_->mu);
  return impl_->layouts.FindSlot(impl_->sources.Get(source)->layout, key);
}

model::Slot HeadIndex::AddSlot(SourceId source, KeyId key) {
  MutexLock lock(impl_->mu);
  ++impl_->series_count;
  return impl_->layouts.AddSlot(impl_->sources.Get(source)->layout, key);
}

void HeadIndex::ReplaceSlot(SourceId source, model::Slot slot, KeyId key) {
  Impl& d = *impl_;
  MutexLock lock(d.mu);
  Layout& layout = d.sources.Get(source)->layout;
  d.series_count -= layout.KeyAt(slot) != kNoId ? 1 : 0;
  d.series_count += key != kNoId ? 1 : 0;
  d.layouts.ReplaceSlot(layout, slot, key);
}

void HeadIndex::RemoveSource(SourceId id) {
  Impl& d = *impl_;
  MutexLock lock(d.mu);
  Source* source = d.sources.Get(id);
  CHECK(source != nullptr);
  size_t series = 0;
  source->layout.ForEachPage([&series](const Layout::PageView& view) {
    for (uint32_t s = 0; s < view.length; ++s) series += view.page->KeyAt(s) != kNoId ? 1 : 0;
  });
  d.series_count -= series;
  d.source_table.Erase(source->table_hash(), id,
                       [&](uint32_t other) { return d.sources.Get(other)->table_hash(); });
  d.dead_sources.emplace_back(id, source->labels);
  // Out of reach first, then its pages: what is retired must not be found any more.
  d.sources.Erase(id);
  d.layouts.Release(source->layout);
  d.shapes.Erase(id);
  --d.source_count;
  const size_t bytes = sizeof(Source) + source->origin.id.size() +
                       source->labels.values.size() * sizeof(SymbolId) + 3 * kAllocationBytes;
  d.item_bytes -= bytes;
  d.domain.RetireDelete(source, bytes);
}

IdList HeadIndex::Impl::UnlinkDeadKeys(std::vector<LabelIndex::Entry>* entries) {
  IdList dead;
  IdList waiting;
  for (KeyId id = first_unswept_key; id < keys.end(); ++id) {
    const Key* key = keys.Get(id);
    if (key != nullptr && !key->held()) idle_keys.push_back(id);
  }
  first_unswept_key = keys.end();
  SortUnique(&idle_keys);
  for (const KeyId id : idle_keys) {
    Key* key = keys.Get(id);
    if (key->held()) continue;
    // Somebody may be about to put it into a layout.
    if (key->last_wanted == sweeps) {
      waiting.push_back(id);
      continue;
    }
    dead.push_back(id);
    const std::span<const SymbolId> values = ValuesOf(*key);
    entries->push_back({key->schema, {values.begin(), values.end()}});
    key_table.Erase(key->table_hash(), id,
                    [&](uint32_t other) { return keys.Get(other)->table_hash(); });
    keys.Erase(id);
    --key_count;
    const size_t bytes = Key::Bytes(values.size()) + kAllocationBytes;
    item_bytes -= bytes;
    domain.Retire(key, bytes, &Key::Delete);
  }
  idle_keys = std::move(waiting);
  ++sweeps;
  return dead;
}

HeadIndex::SweepResult HeadIndex::Sweep() {
  Impl& d = *impl_;
  MutexLock sweep_lock(d.sweep_mu);
  SweepResult result;
  LabelIndex::Removal sources{IdSet({}), {}, {}, {}, 0};
  LabelIndex::Removal keys{IdSet({}), {}, {}, {}, 0};
  {
    MutexLock lock(d.mu);
    std::sort(d.dead_sources.begin(), d.dead_sources.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    IdList dead;
    std::vector<LabelIndex::Entry> entries;
    for (auto& [id, entry] : d.dead_sources) {
      dead.push_back(id);
      entries.push_back(std::move(entry));
    }
    d.dead_sources.clear();
    sources = d.source_index.PlanRemoval(dead, entries);
    result.sources_removed = dead.size();
    entries.clear();
    dead = d.UnlinkDeadKeys(&entries);
    keys = d.key_index.PlanRemoval(dead, entries);
    result.keys_removed = dead.size();
  }
  // The lock is let go between lists.
  const auto run = [&d](LabelIndex& index, LabelIndex::Removal* removal) {
    bool more = true;
    while (more) {
      MutexLock lock(d.mu);
      more = index.RemoveStep(removal);
    }
  };
  run(d.source_index, &sources);
  run(d.key_index, &keys);
  d.matcher_cache.Forget(kSourceSide, sources.dead);
  d.matcher_cache.Forget(kKeySide, keys.dead);
  MutexLock lock(d.mu);
  d.domain.Collect();
  return result;
}

SourceId HeadIndex::FindSource(const model::Origin& origin, const model::Labels& labels) const {
  MutexLock lock(impl_->mu);
  return impl_->FindSource(origin, labels, FingerprintOf(labels, impl_->seed),
                           OriginHash(origin, impl_->seed));
}

KeyId HeadIndex::FindKey(const model::Labels& labels) const {
  MutexLock lock(impl_->mu);
  return impl_->FindKey(labels, FingerprintOf(labels, impl_->seed));
}

// --- figures ---

size_t HeadIndex::source_count() const {
  MutexLock lock(impl_->mu);
  return impl_->source_count;
}
size_t HeadIndex::key_count() const {
  MutexLock lock(impl_->mu);
  return impl_->key_count;
}
size_t HeadIndex::series_count() const {
  MutexLock lock(impl_->mu);
  return impl_->series_count;
}
size_t HeadIndex::memory_bytes() const {
  const Impl& d = *impl_;
  MutexLock lock(d.mu);
  // Pointers by id: 8 bytes a live entry; of sources their shapes, too.
  return d.item_bytes + (2 * d.source_count + d.key_count) * sizeof(void*) +
         d.symbols.memory_bytes() + d.source_index.memory_bytes() + d.key_index.memory_bytes() +
         d.layouts.memory_bytes() + d.source_table.memory_bytes() + d.key_table.memory_bytes() +
         d.matcher_cache.figures().bytes;
}

MatcherCache::Figures HeadIndex::matcher_cache() const { return impl_->matcher_cache.figures(); }

// --- reading ---

struct HeadIndex::Pin::State {
  const Impl* index;
  EpochDomain::Pin pin;
};

HeadIndex::Pin::Pin(std::unique_ptr<State> state) : state_(std::move(state)) {}
HeadIndex::Pin::Pin(Pin&&) noexcept = default;
HeadIndex::Pin& HeadIndex::Pin::operator=(Pin&&) noexcept = default;
HeadIndex::Pin::~Pin() = default;

HeadIndex::Pin HeadIndex::NewPin() const {
  return Pin(std::make_unique<Pin::State>(Pin::State{impl_.get(), impl_->domain.NewPin()}));
}

Result<HeadSelection> HeadIndex::Pin::Select(const model::MatcherSet& matchers) const {
  const Impl& d = *state_->index;
  TOCSIN_ASSIGN_OR_RETURN(const std::vector<SelectedProduct> products,
                          SelectProducts(d.source_index, d.key_index, matchers));
  HeadSelection selection;
  const WalkedIndex walked{d.shapes,
                           [&d](SourceId id) {
                             const Source* source = d.sources.Get(id);
                             return source == nullptr ? nullptr : &source->layout;
                           },
                           [&d](KeyId id) {
                             const Key* key = d.keys.Get(id);
                             return key != nullptr && key->may_be_own();
                           }};
  for (const SelectedProduct& product : products)
    PairWalk(walked, product, &selection).Run(product.sources);
  if (products.size() > 1) {
    std::sort(selection.entries.begin(), selection.entries.end(), [](const auto& a, const auto& b) {
      return std::pair(a.source, a.slot_base) < std::pair(b.source, b.slot_base);
    });
  }
  return selection;
}

namespace {

// The sources and keys of the series that any of the sets selects.
struct Participants {
  IdList sources;
  IdList keys;
};

Result<Participants> ParticipantsOf(const HeadIndex::Pin& pin,
                                    std::span<const model::MatcherSet> matcher_sets) {
  Participants all;
  for (const model::MatcherSet& matchers : matcher_sets) {
    TOCSIN_ASSIGN_OR_RETURN(const HeadSelection selection, pin.Select(matchers));
    std::vector<bool> seen(selection.lists.size());
    for (const HeadSelection::Entry& entry : selection.entries) {
      all.sources.push_back(entry.source);
      if (seen[entry.list]) continue;
      seen[entry.list] = true;
      for (const SlotKey& slot : selection.lists[entry.list]) all.keys.push_back(slot.key);
    }
  }
  SortUnique(&all.sources);
  SortUnique(&all.keys);
  return all;
}

}  // namespace

Result<std::vector<std::string>> HeadIndex::Pin::LabelNames(
    std::span<const model::MatcherSet> matcher_sets) const {
  const Impl& d = *state_->index;
  std::set<std::string> names;
  if (matcher_sets.empty()) {
    const auto add = [&](std::string_view name) { names.emplace(name); };
    d.source_index.ForEachName(add);
    d.key_index.ForEachName(add);
  } else {
    TOCSIN_ASSIGN_OR_RETURN(const Participants all, ParticipantsOf(*this, matcher_sets));
    std::set<uint32_t> source_schemas;
    std::set<uint32_t> key_schemas;
    for (const SourceId id : all.sources) {
      if (const Source* source = d.sources.Get(id)) source_schemas.insert(source->labels.schema);
    }
    for (const KeyId id : all.keys) {
      if (const Key* key = d.keys.Get(id)) key_schemas.insert(key->schema);
    }
    for (const uint32_t schema : source_schemas) {
      for (const SymbolId name : d.source_index.SchemaNames(schema)) {
        names.emplace(d.symbols.Text(name));
      }
    }
    for (const uint32_t schema : key_schemas) {
      for (const SymbolId name : d.key_index.SchemaNames(schema)) {
        names.emplace(d.symbols.Text(name));
      }
    }
  }
  return std::vector<std::string>(names.begin(), names.end());
}

Result<std::vector<std::string>> HeadIndex::Pin::LabelValues(
    std::string_view name, std::span<const model::MatcherSet> matcher_sets) const {
  const Impl& d = *state_->index;
  std::set<std::string> values;
  const auto add = [&](std::string_view value) { values.emplace(value); };
  if (matcher_sets.empty()) {
    d.source_index.ForEachValueOf(name, add);
    d.key_index.ForEachValueOf(name, add);
    return std::vector<std::string>(values.begin(), values.end());
  }
  TOCSIN_ASSIGN_OR_RETURN(const Participants all, ParticipantsOf(*this, matcher_sets));
  IdList symbols;
  const SymbolId wanted = d.symbols.Find(name);
  const auto collect = [&](const auto& item, const LabelIndex& index) {
    const std::span<const SymbolId> names = index.SchemaNames(SchemaOf(item));
    const auto at = std::find(names.begin(), names.end(), wanted);
    if (at != names.end()) {
      symbols.push_back(ValuesOf(item)[static_cast<size_t>(at - names.begin())]);
    }
  };
  for (const SourceId id : all.sources) {
    if (const Source* source = d.sources.Get(id)) collect(*source, d.source_index);
  }
  for (const KeyId id : all.keys) {
    if (const Key* key = d.keys.Get(id)) collect(*key, d.key_index);
  }
  SortUnique(&symbols);
  for (const SymbolId symbol : symbols) add(d.symbols.Text(symbol));
  return std::vector<std::string>(values.begin(), values.end());
}

model::Labels HeadIndex::Pin::SourceLabels(SourceId id) const {
  const Impl& d = *state_->index;
  std::vector<model::LabelView> labels;
  if (const Source* source = d.sources.Get(id)) {
    AppendLabels(*source, d.source_index, d.symbols, &labels);
  }
  return model::Labels::FromSorted(labels.data(), labels.size());
}

model::Origin HeadIndex::Pin::SourceOrigin(SourceId id) const {
  const Source* source = state_->index->sources.Get(id);
  return source == nullptr ? model::Origin() : source->origin;
}

model::Labels HeadIndex::Pin::KeyLabels(KeyId id) const {
  const Impl& d = *state_->index;
  std::vector<model::LabelView> labels;
  if (const Key* key = d.keys.Get(id)) AppendLabels(*key, d.key_index, d.symbols, &labels);
  return model::Labels::FromSorted(labels.data(), labels.size());
}

model::Labels HeadIndex::Pin::SeriesLabels(SourceId source_id, KeyId key_id) const {
  const Impl& d = *state_->index;
  std::vector<model::LabelView> labels;
  if (const Source* source = d.sources.Get(source_id)) {
    AppendLabels(*source, d.source_index, d.symbols, &labels);
  }
  const auto middle = static_cast<ptrdiff_t>(labels.size());
  if (const Key* key = d.keys.Get(key_id)) AppendLabels(*key, d.key_index, d.symbols, &labels);
  std::inplace_merge(labels.begin(), labels.begin() + middle, labels.end(),
                     [](const auto& a, const auto& b) { return a.name < b.name; });
  return model::Labels::FromSorted(labels.data(), labels.size());
}

Fingerprint HeadIndex::Pin::SourceFingerprint(SourceId id) const {
  const Source* source = state_->index->sources.Get(id);
  return source == nullptr ? Fingerprint() : source->fingerprint;
}

uint64_t HeadIndex::Pin::SourceOriginHash(SourceId id) const {
  const Source* source = state_->index->sources.Get(id);
  return source == nullptr ? 0 : source->origin_hash;
}

Fingerprint HeadIndex::Pin::KeyFingerprint(KeyId id) const {
  const Key* key = state_->index->keys.Get(id);
  return key == nullptr ? Fingerprint() : key->fingerprint;
}

uint32_t HeadIndex::Pin::slot_count(SourceId id) const {
  const Source* source = state_->index->sources.Get(id);
  return source == nullptr ? 0 : source->layout.slot_count();
}

KeyId HeadIndex::Pin::KeyAt(SourceId id, model::Slot slot) const {
  const Source* source = state_->index->sources.Get(id);
  return source == nullptr ? kNoId : source->layout.KeyAt(slot);
}

SourceId HeadIndex::Pin::source_id_end() const { return state_->index->sources.end(); }

bool HeadIndex::Pin::SourceAlive(SourceId id) const {
  return state_->index->sources.Get(id) != nullptr;
}

}  // namespace tocsin::tsdb
