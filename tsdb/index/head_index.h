// HeadIndex: the in-memory index of the head and the open day: sources, keys, postings per label
// value for each side, schemas, and layouts, which say what keys a source has in which slot.
//
//   SourceId source = index.AddSource(origin, labels);        // the same id for the same pair
//   KeyId key = index.AddKey(labels);
//   Slot slot = index.AddSlot(source, key);                   // slots count up from 0
//   …
//   HeadIndex::Pin pin = index.NewPin();
//   auto selection = pin.Select(matchers);                    // sources × slots
//
// Costs: a layout is a list of pages of up to 4,096 slots; sources that add the same keys in the
// same order share one page (layout.h), so that 2,000 targets with the same 500 keys store them
// once, and sources that differ in a few slots store these alone. A series of a shared layout
// costs nothing here, a series of its own about 70 bytes
// (tests/bench/RESULTS.md).
//
// Thread contract: thread-safe. Writing calls take one internal mutex, briefly and without I/O.
// Readers hold a Pin and take no lock but the matcher cache's (for a pointer): what they read is
// append-only with a published length, or replaced whole and kept until no older pin lives. A pin
// sees everything added before it was made, and may see what is added or removed later: visibility
// of samples is the commit number's business, not the index'. Ids are never reused. Views and spans
// got through a pin live as long as the pin.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/storage.h"
#include "tsdb/index/matcher_cache.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {

struct SlotKey {
  model::Slot slot;
  KeyId key;
};

// A selection: entries of (source, list of slots). Sources whose layout pages are shared, or differ
// in slots that are not selected, share the list, too; a list may be no entry's.
struct HeadSelection {
  struct Entry {
    SourceId source;
    uint32_t slot_base;  // added to every slot of the list
    uint32_t list;       // index into `lists`
  };
  std::vector<Entry> entries;                   // ascending by source, then slot_base
  std::vector<std::span<const SlotKey>> lists;  // each ascending by slot; in memory of this
  size_t series_count = 0;                      // sum of the lists' sizes over entries

  // Room for the next list; AddList says how much of it that one took.
  SlotKey* NewSlots(size_t count);
  void AddList(std::span<const SlotKey> list);

 private:
  std::vector<std::unique_ptr<SlotKey[]>> blocks_;
  SlotKey* room_ = nullptr;  // in the last block
  size_t room_slots_ = 0;
  size_t block_slots_ = 0;
};

class HeadIndex {
 public:
  // `collect_bytes`: replaced memory is given back in portions of this size (epoch.h). Tests pass
  // 1, so that what is freed too early shows at once.
  explicit HeadIndex(uint64_t fingerprint_seed, size_t collect_bytes = 1 << 20);
  ~HeadIndex();
  HeadIndex(const HeadIndex&) = delete;
  HeadIndex& operator=(const HeadIndex&) = delete;

  // --- writing ---
  // The id of (origin, labels); `*added` tells whether it is new.
  SourceId AddSource(const model::Origin& origin, const model::Labels& labels,
                     bool* added = nullptr);
  KeyId AddKey(const model::Labels& labels, bool* added = nullptr);
  // Ids are never given twice in a process: after some four billion keys or sources (a year of
  // heavy churn) nothing new must be added.
  bool ids_used_up() const;
  // The slot that stands for `key` in the source's layout, or model::kNoSlot. About 10 ns a layout
  // page; the table behind it is shared like the page.
  model::Slot FindSlot(SourceId source, KeyId key) const;
  // Appends `key` to the layout of `source`: the new slot. Precondition: FindSlot found none.
  model::Slot AddSlot(SourceId source, KeyId key);
  // The slot's samples have left the head: it stands for another key from now on, or, with kNoId,
  // for none. Later AddSlot calls never return it.
  void ReplaceSlot(SourceId source, model::Slot slot, KeyId key);
  // The source's samples have left the head. Its slots go with it. Keys stay until Sweep.
  void RemoveSource(SourceId source);

  // Frees what RemoveSource and ReplaceSlot left behind: keys that no layout holds, empty postings,
  // unused symbols. Works list by list, so that the extra memory is one list and writers wait no
  // longer than for one; called by the compactor after a seal. Keys that AddKey gave since the last
  // call are kept though no layout holds them yet. Costs what has gone, not what there is.
  struct SweepResult {
    size_t sources_removed = 0;
    size_t keys_removed = 0;
  };
  SweepResult Sweep();

  // --- dictionary look-up by the writer ---
  SourceId FindSource(const model::Origin& origin, const model::Labels& labels) const;  // or kNoId
  KeyId FindKey(const model::Labels& labels) const;                                     // or kNoId

  // --- figures ---
  size_t source_count() const;  // live ones
  size_t key_count() const;
  size_t series_count() const;  // (source, slot) pairs with a key
  size_t memory_bytes() const;  // estimate, pages counted once however often they are shared

  MatcherCache::Figures matcher_cache() const;

  uint64_t fingerprint_seed() const;

  // --- reading ---
  class Pin {
   public:
    Pin(Pin&&) noexcept;
    Pin& operator=(Pin&&) noexcept;
    ~Pin();

    // Pairs that match. kResourceExhausted when there are more matchers than kMatchersMax
    // (selector.h); nothing else can fail.
    Result<HeadSelection> Select(const model::MatcherSet& matchers) const;
    // Sorted. `matcher_sets` are or-ed; none = all.
    Result<std::vector<std::string>> LabelNames(
        std::span<const model::MatcherSet> matcher_sets) const;
    Result<std::vector<std::string>> LabelValues(
        std::string_view name, std::span<const model::MatcherSet> matcher_sets) const;

    // Empty labels for ids that were removed.
    model::Labels SourceLabels(SourceId source) const;
    model::Origin SourceOrigin(SourceId source) const;
    model::Labels KeyLabels(KeyId key) const;
    model::Labels SeriesLabels(SourceId source, KeyId key) const;  // both parts merged
    Fingerprint SourceFingerprint(SourceId source) const;
    uint64_t SourceOriginHash(SourceId source) const;
    Fingerprint KeyFingerprint(KeyId key) const;

    uint32_t slot_count(SourceId source) const;
    KeyId KeyAt(SourceId source, model::Slot slot) const;  // kNoId: none
    // One past the highest source id given so far.
    SourceId source_id_end() const;
    bool SourceAlive(SourceId source) const;

   private:
    friend class HeadIndex;
    struct State;
    explicit Pin(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
  };
  Pin NewPin() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::tsdb
