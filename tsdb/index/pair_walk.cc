#include "tsdb/index/pair_walk.h"

#include <algorithm>
#include <atomic>

namespace tocsin::tsdb {
namespace {

// So often is read again what the writer changed meanwhile, before a source is looked at by itself.
constexpr int kShapeTries = 4;
// More wanted keys than this among those of followers are not looked at one by one.
constexpr ptrdiff_t kJudgedKeysMax = 4096;

}  // namespace

void PairWalk::Run(const IdList& sources) {
  out_.entries.reserve(out_.entries.size() + sources.size());
  const size_t first = out_.entries.size();
  IdList rest;
  for (const SourceId source : sources) {
    if (!AddByShape(source)) rest.push_back(source);
  }
  if (rest.empty()) return;
  const auto by_shape = static_cast<ptrdiff_t>(out_.entries.size());
  // Four places to wait for memory at; each is asked for this many sources ahead of the next.
  static constexpr size_t kAhead = 4;
  const auto ahead = [&](size_t i, auto prefetch) {
    if (i >= rest.size()) return;
    if (const Layout* layout = index_.layout(rest[i])) prefetch(*layout);
  };
  for (size_t i = 0; i < rest.size(); ++i) {
    ahead(i + 4 * kAhead, [](const Layout& layout) { __builtin_prefetch(&layout); });
    ahead(i + 3 * kAhead, [](const Layout& layout) { layout.PrefetchList(); });
    ahead(i + 2 * kAhead, [](const Layout& layout) { layout.PrefetchPage(); });
    ahead(i + kAhead, [](const Layout& layout) { layout.PrefetchDifference(); });
    if (const Layout* layout = index_.layout(rest[i])) AddByPages(rest[i], *layout);
  }
  std::inplace_merge(out_.entries.begin() + static_cast<ptrdiff_t>(first),
                     out_.entries.begin() + by_shape, out_.entries.end(),
                     [](const auto& a, const auto& b) { return a.source < b.source; });
}

void PairWalk::AddEntry(SourceId source, uint32_t slot_base, uint32_t list) {
  const size_t size = out_.lists[list].size();
  if (size == 0) return;
  out_.entries.push_back({source, slot_base, list});
  out_.series_count += size;
}

// ----------------------------------------------------------------------------------------------------------
// by shape

bool PairWalk::AddByShape(SourceId source) {
  const std::atomic<LayoutShape>* place = index_.shapes.Place(source);
  for (int i = 0; place != nullptr && i < kShapeTries; ++i) {
    const LayoutShape shape = place->load(std::memory_order_acquire);
    if (!shape) return false;
    const uint32_t list = ListOf(shape);
    // What was read of the page holds for the source if it still has it.
    std::atomic_thread_fence(std::memory_order_acquire);
    if (place->load(std::memory_order_relaxed) != shape) continue;
    if (list == kNoId) return false;
    AddEntry(source, 0, list);
    return true;
  }
  return false;
}

uint32_t PairWalk::ListOf(LayoutShape shape) {
  for (int i = 0; i < kShapeTries; ++i) {
    Found& found = Find(shape.page(), shape.length());
    if (shape.follows() && !found.followers_judged) {
      found.followers_share = FollowersShare(found);
      found.followers_judged = true;
    }
    const uint32_t version = found.version;
    if (!shape.page()->StillIs(version)) continue;
    return shape.follows() && !found.followers_share ? kNoId : found.list;
  }
  return kNoId;
}

bool PairWalk::FollowersShare(const Found& found) const {
  for (const SlotKey& slot : out_.lists[found.list]) {
    if (found.page->Hidden(slot.slot)) return false;
  }
  const auto [lowest, highest] = found.page->FollowersKeys();
  const auto begin = std::lower_bound(keys_.begin(), keys_.end(), lowest);
  const auto end = std::upper_bound(begin, keys_.end(), highest);
  if (end - begin > kJudgedKeysMax) return false;
  return std::none_of(begin, end, index_.may_be_own);
}

// ----------------------------------------------------------------------------------------------------------
// by pages

void PairWalk::AddByPages(SourceId source, const Layout& layout) {
  layout.ForEachPage([&](const Layout::PageView& view) { AddPage(source, layout, view); });
}

void PairWalk::AddPage(SourceId source, const Layout& layout, Layout::PageView view) {
  uint32_t list = ListOf(view);
  while (!layout.Holds(view)) {
    if (layout.slot_count() == 0) return;  // the source was removed
    view = layout.ViewAt(view.slot_base, view.length);
    list = ListOf(view);
  }
  AddEntry(source, view.slot_base, list);
}

uint32_t PairWalk::ListOf(const Layout::PageView& view) {
  LayoutPage::Difference own = view.own;
  if (own.base == nullptr) return Find(view.page, view.length).list;
  Found& base = Find(own.base, view.length);
  while (!own.slots.empty() && own.slots.back() >= view.length)
    own.slots = own.slots.first(own.slots.size() - 1);
  return MayHold(*view.page) || Hides(base, own.slots) ? Merge(base.list, own) : base.list;
}

bool PairWalk::MayHold(const LayoutPage& page) const {
  const auto first = std::lower_bound(keys_.begin(), keys_.end(), page.lowest_key());
  return first != keys_.end() && *first <= page.highest_key();
}

PairWalk::Found& PairWalk::Find(const LayoutPage* page, uint32_t length) {
  if (last_ == nullptr || last_->page != page || last_->length != length)
    last_ = &pages_.try_emplace({page, length}).first->second;
  Found& found = *last_;
  if (found.page != nullptr && page->StillIs(found.version)) return found;
  const uint32_t version = page->version();
  found = {page, length, version, static_cast<uint32_t>(out_.lists.size()), false, false, {}};
  // A follower may be longer than its base: its own slots are all that it has there.
  const uint32_t slots = std::min(length, page->size());
  SlotKey* list = nullptr;
  SlotKey* end = nullptr;
  if (MayHold(*page)) {
    list = end = out_.NewSlots(slots);
    const LayoutPage::Keys* keys = page->keys();
    for (uint32_t s = 0; s < slots; ++s) {
      const KeyId key = keys[s].load(std::memory_order_relaxed);
      if (wanted_.Contains(key)) *end++ = {s, key};
    }
  }
  out_.AddList({list, end});
  return found;
}

bool PairWalk::Hides(Found& base, std::span<const uint16_t> slots) const {
  if (base.slots.empty()) {
    base.slots.resize(base.length / 64 + 1);
    for (const SlotKey& slot : out_.lists[base.list])
      base.slots[slot.slot / 64] |= uint64_t{1} << (slot.slot % 64);
  }
  uint64_t hidden = 0;
  for (const uint16_t slot : slots) hidden |= base.slots[slot / 64] >> (slot % 64);
  return (hidden & 1) != 0;
}

uint32_t PairWalk::Merge(uint32_t base, const LayoutPage::Difference& own) {
  const std::span<const SlotKey> theirs = out_.lists[base];
  SlotKey* const list = out_.NewSlots(theirs.size() + own.slots.size());
  SlotKey* end = list;
  size_t next = 0;
  const auto take_own = [&](uint32_t below) {
    for (; next < own.slots.size() && own.slots[next] < below; ++next) {
      const KeyId key = own.keys[next].load(std::memory_order_relaxed);
      if (wanted_.Contains(key)) *end++ = {own.slots[next], key};
    }
  };
  for (const SlotKey& slot : theirs) {
    take_own(slot.slot);
    if (next == own.slots.size() || own.slots[next] != slot.slot) *end++ = slot;
  }
  take_own(kLayoutPageSlots);
  out_.AddList({list, end});
  return static_cast<uint32_t>(out_.lists.size() - 1);
}

}  // namespace tocsin::tsdb
