#include "tsdb/index/layout.h"

#include <xxhash.h>

#include <memory>

#include "base/check.h"

namespace tocsin::tsdb {
namespace {

constexpr uint32_t kFirstCapacity = 4;
// Below this, walking a page's keys is as fast as a table and needs none.
constexpr uint32_t kSlotTableFrom = 16;
// A page and its entry in the hash map.
constexpr size_t kPageBytes = sizeof(LayoutPage) + 48;

size_t TableIndex(KeyId key) { return (key * size_t{0x9e3779b97f4a7c15}) >> 32; }

}  // namespace

LayoutPage::Patch* LayoutPage::Patch::New(LayoutPage* base, uint32_t capacity) {
  auto* patch = new (::operator new(Bytes(capacity))) Patch(base, capacity);
  std::uninitialized_value_construct_n(patch->slots(), capacity);
  std::uninitialized_value_construct_n(patch->keys(), capacity);
  return patch;
}

LayoutStore::LayoutStore(EpochDomain& domain, CountKey count_key)
    : domain_(domain), count_key_(std::move(count_key)) {}

LayoutStore::~LayoutStore() = default;

uint64_t LayoutStore::HashOf(const std::vector<KeyId>& keys) {
  return XXH3_64bits(keys.data(), keys.size() * sizeof(KeyId));
}

std::vector<KeyId> LayoutStore::Prefix(const LayoutPage& page, uint32_t length) {
  std::vector<KeyId> keys(length);
  for (uint32_t i = 0; i < length; ++i) keys[i] = page.KeyAt(i);
  return keys;
}

LayoutPage* LayoutStore::Acquire(const std::vector<KeyId>& keys, LayoutPage* like) {
  const uint64_t hash = HashOf(keys);
  const auto known = by_hash_.find(hash);
  if (known != by_hash_.end() && known->second->size() >= keys.size()) {
    LayoutPage* page = known->second;
    bool equal = true;
    for (uint32_t i = 0; i < keys.size() && equal; ++i) equal = page->KeyAt(i) == keys[i];
    if (equal) {
      ++page->users_;
      return page;
    }
  }
  auto* page = new LayoutPage();
  page->hash_ = hash;
  page->users_ = 1;
  ++page_count_;
  memory_bytes_ += kPageBytes;
  LayoutPage* base = like;
  if (like != nullptr) {
    const LayoutPage::Patch* patch = like->patch_.load(std::memory_order_relaxed);
    if (patch != nullptr) base = patch->base;
  }
  if (base == nullptr || !Follow(page, base, keys)) {
    for (const KeyId key : keys) AppendKey(page, key);
  }
  by_hash_[hash] = page;
  return page;
}

void LayoutStore::Drop(LayoutPage* page) {
  if (--page->users_ > 0) {
    ForgetUnseen(page);
    return;
  }
  const auto listed = by_hash_.find(page->hash_);
  if (listed != by_hash_.end() && listed->second == page) by_hash_.erase(listed);
  --page_count_;
  size_t bytes = page->capacity_ * sizeof(KeyId);
  if (const auto* patch = page->patch_.load(std::memory_order_relaxed)) {
    {
      const LayoutPage::Change change(patch->base);
      CountOwn(*patch, -1);
    }
    Unfollow(page, *patch);
    bytes += LayoutPage::Patch::Bytes(patch->capacity);
  } else {
    for (uint32_t i = 0; i < page->size(); ++i) {
      const KeyId key = page->KeyAt(i);
      if (key != kNoId) count_key_(key, -1, false);
    }
  }
  if (const auto* followed = page->followed_.load(std::memory_order_relaxed))
    bytes += followed->memory_bytes();
  memory_bytes_ -= kPageBytes + bytes;
  DropSlotTable(page);
  domain_.Retire(page, kPageBytes + bytes, &DeletePage);
}

void LayoutStore::DropSlotTable(LayoutPage* page) {
  if (page->slot_table_ == nullptr) return;
  memory_bytes_ -= (page->slot_table_mask_ + 1) * 2;
  page->slot_table_.reset();
}

void LayoutStore::DeletePage(void* memory) {
  auto* page = static_cast<LayoutPage*>(memory);
  delete[] page->keys_.load(std::memory_order_relaxed);
  LayoutPage::Patch::Delete(page->patch_.load(std::memory_order_relaxed));
  delete page->followed_.load(std::memory_order_relaxed);
  delete page;
}

void LayoutStore::WidenKeys(LayoutPage* page, KeyId key) {
  if (key == kNoId) return;
  if (key < page->lowest_key()) page->lowest_key_.store(key, std::memory_order_relaxed);
  if (key > page->highest_key()) page->highest_key_.store(key, std::memory_order_relaxed);
}

void LayoutStore::AppendKey(LayoutPage* page, KeyId key) {
  if (page->patch_.load(std::memory_order_relaxed) != nullptr) return AppendToFollower(page, key);
  WidenKeys(page, key);
  LayoutPage::Keys* keys = page->keys_.load(std::memory_order_relaxed);
  if (page->size() == page->capacity_) {
    const uint32_t capacity =
        page->capacity_ == 0 ? kFirstCapacity : std::min(page->capacity_ * 2, kLayoutPageSlots);
    auto* bigger = new LayoutPage::Keys[capacity];
    for (uint32_t i = 0; i < page->size(); ++i) {
      bigger[i].store(keys[i].load(std::memory_order_relaxed), std::memory_order_relaxed);
    }
    page->keys_.store(bigger, std::memory_order_release);
    if (keys != nullptr) {
      domain_.Retire(keys, page->capacity_ * sizeof(KeyId),
                     [](void* p) { delete[] static_cast<LayoutPage::Keys*>(p); });
    }
    memory_bytes_ += (capacity - page->capacity_) * sizeof(KeyId);
    page->capacity_ = capacity;
    keys = bigger;
  }
  keys[page->size()].store(key, std::memory_order_relaxed);
  page->size_.store(page->size() + 1, std::memory_order_release);
  if (page->followers_ > 0) {
    LayoutPage::Followed& followed = FollowedOf(page);
    memory_bytes_ -= followed.memory_bytes();
    followed.covered.push_back(page->followers_);
    memory_bytes_ += followed.memory_bytes();
  }
  if (key != kNoId) count_key_(key, 1, false);
  PutInSlotTable(page, page->size() - 1);
}

// ----------------------------------------------------------------------------------------------------------
// pages that follow others

LayoutPage::Followed& LayoutStore::FollowedOf(LayoutPage* page) {
  LayoutPage::Followed* followed = page->followed_.load(std::memory_order_relaxed);
  if (followed == nullptr) {
    followed = new LayoutPage::Followed();
    memory_bytes_ += followed->memory_bytes();
    page->followed_.store(followed, std::memory_order_release);
  }
  return *followed;
}

void LayoutStore::NoteOwn(LayoutPage* base, uint32_t slot, KeyId key, int change) {
  LayoutPage::Followed& followed = *base->followed_.load(std::memory_order_relaxed);
  std::atomic<uint64_t>& hidden = followed.hidden[slot / 64];
  const uint64_t word = hidden.load(std::memory_order_relaxed);
  const uint64_t bit = uint64_t{1} << (slot % 64);
  followed.own[slot] += static_cast<uint32_t>(change);
  hidden.store(followed.own[slot] > 0 ? word | bit : word & ~bit, std::memory_order_relaxed);
  if (change < 0 || key == kNoId) return;
  if (key < followed.lowest_key.load(std::memory_order_relaxed))
    followed.lowest_key.store(key, std::memory_order_relaxed);
  if (key > followed.highest_key.load(std::memory_order_relaxed))
    followed.highest_key.store(key, std::memory_order_relaxed);
}

void LayoutStore::CountOwn(const LayoutPage::Patch& patch, int change) {
  const LayoutPage::Difference own = patch.view();
  LayoutPage::Followed& followed = *patch.base->followed_.load(std::memory_order_relaxed);
  if (!own.slots.empty() && own.slots.back() >= followed.own.size()) {
    memory_bytes_ -= followed.memory_bytes();
    followed.own.resize(own.slots.back() + 1);
    memory_bytes_ += followed.memory_bytes();
  }
  for (size_t i = 0; i < own.slots.size(); ++i) {
    const KeyId key = own.keys[i].load(std::memory_order_relaxed);
    NoteOwn(patch.base, own.slots[i], key, change);
    if (key != kNoId) count_key_(key, change, true);
  }
}

// False when they differ too much; then nothing has happened.
bool LayoutStore::Follow(LayoutPage* page, LayoutPage* base, const std::vector<KeyId>& keys) {
  const auto size = static_cast<uint32_t>(keys.size());
  const auto differs = [&](uint32_t s) { return s >= base->size() || base->KeyAt(s) != keys[s]; };
  uint32_t own = 0;
  for (uint32_t s = 0; s < size; ++s) own += differs(s) ? 1 : 0;
  if (own > OwnMax(size)) return false;
  auto* patch = LayoutPage::Patch::New(base, std::max(own, kFirstCapacity));
  LayoutPage::Followed& followed = FollowedOf(base);
  if (base->followers_++ == 0) {
    memory_bytes_ -= followed.memory_bytes();
    followed.covered.assign(base->size(), 0);
    memory_bytes_ += followed.memory_bytes();
  }
  ++base->users_;
  for (uint32_t s = 0; s < base->size(); ++s)
    followed.covered[s] += s >= size || differs(s) ? 1 : 0;
  own = 0;
  for (uint32_t s = 0; s < size; ++s) {
    if (!differs(s)) continue;
    patch->Set(own++, s, keys[s]);
    WidenKeys(page, keys[s]);
  }
  patch->count.store(own, std::memory_order_release);
  {
    const LayoutPage::Change change(base);
    CountOwn(*patch, 1);
  }
  page->size_.store(size, std::memory_order_release);
  memory_bytes_ += LayoutPage::Patch::Bytes(patch->capacity);
  page->patch_.store(patch, std::memory_order_release);
  return true;
}

// The base may be out of readers' reach after this.
void LayoutStore::Unfollow(LayoutPage* page, const LayoutPage::Patch& patch) {
  const std::span<const uint16_t> own = patch.view().slots;
  LayoutPage* base = patch.base;
  LayoutPage::Followed& followed = FollowedOf(base);
  size_t next = 0;
  for (uint32_t s = 0; s < base->size(); ++s) {
    const bool is_own = next < own.size() && own[next] == s;
    if (is_own) ++next;
    if (is_own || s >= page->size()) --followed.covered[s];
  }
  --base->followers_;
  Drop(base);
}

void LayoutStore::SetPatch(LayoutPage* page, LayoutPage::Patch* patch) {
  LayoutPage::Patch* old = page->patch_.load(std::memory_order_relaxed);
  page->patch_.store(patch, std::memory_order_release);
  memory_bytes_ -= LayoutPage::Patch::Bytes(old->capacity);
  memory_bytes_ += LayoutPage::Patch::Bytes(patch->capacity);
  domain_.Retire(old, LayoutPage::Patch::Bytes(old->capacity), &LayoutPage::Patch::Delete);
}

LayoutPage::Patch* LayoutStore::GrowPatch(LayoutPage* page, uint32_t at) {
  LayoutPage::Patch* old = page->patch_.load(std::memory_order_relaxed);
  const uint32_t count = old->count.load(std::memory_order_relaxed);
  if (at == count && count < old->capacity) return old;
  auto* patch = LayoutPage::Patch::New(old->base, count + std::max(count / 2, kFirstCapacity));
  for (uint32_t i = 0; i < count; ++i) {
    patch->Set(i + (i >= at ? 1 : 0), old->slots()[i],
               old->keys()[i].load(std::memory_order_relaxed));
  }
  patch->count.store(count, std::memory_order_relaxed);
  return patch;
}

bool LayoutStore::RoomFor(const LayoutPage& page, uint32_t slot, KeyId key) {
  const LayoutPage::Difference own = page.difference();
  if (own.base == nullptr) return true;
  const uint32_t at = LayoutPage::PlaceOf(own.slots, slot);
  if (at < own.slots.size() && own.slots[at] == slot) return true;
  if (slot == page.size() && slot < own.base->size() && own.base->KeyAt(slot) == key) return true;
  return own.slots.size() + 1 <= OwnMax(std::max(page.size(), slot + 1));
}

// Precondition: RoomFor the key.
void LayoutStore::AppendToFollower(LayoutPage* page, KeyId key) {
  LayoutPage::Patch* patch = page->patch_.load(std::memory_order_relaxed);
  const uint32_t slot = page->size();
  LayoutPage* base = patch->base;
  if (slot < base->size() && base->KeyAt(slot) == key) {
    --FollowedOf(base).covered[slot];
    page->size_.store(page->size() + 1, std::memory_order_release);
    return;
  }
  PutOwn(page, patch->count.load(std::memory_order_relaxed), slot, key);
  page->size_.store(page->size() + 1, std::memory_order_release);
}

// Precondition: nobody else uses the page, and RoomFor the key.
void LayoutStore::ReplaceInFollower(LayoutPage* page, uint32_t slot, KeyId key) {
  LayoutPage::Patch* patch = page->patch_.load(std::memory_order_relaxed);
  LayoutPage* base = patch->base;
  const std::span<const uint16_t> own = patch->view().slots;
  const uint32_t at = LayoutPage::PlaceOf(own, slot);
  if (at < own.size() && own[at] == slot) {
    const LayoutPage::Change change(base);
    WidenKeys(page, key);
    NoteOwn(base, slot, key, 1);
    if (key != kNoId) count_key_(key, 1, true);
    const KeyId old = patch->keys()[at].exchange(key, std::memory_order_release);
    NoteOwn(base, slot, old, -1);
    if (old != kNoId) count_key_(old, -1, true);
    return;
  }
  PutOwn(page, at, slot, key);
  ++FollowedOf(base).covered[slot];
  ForgetUnseen(base);
}

void LayoutStore::PutOwn(LayoutPage* page, uint32_t at, uint32_t slot, KeyId key) {
  LayoutPage::Patch* patch = page->patch_.load(std::memory_order_relaxed);
  LayoutPage::Followed& followed = FollowedOf(patch->base);
  if (slot >= followed.own.size()) {
    memory_bytes_ -= followed.memory_bytes();
    followed.own.resize(slot + 1);
    memory_bytes_ += followed.memory_bytes();
  }
  const LayoutPage::Change change(patch->base);
  WidenKeys(page, key);
  NoteOwn(patch->base, slot, key, 1);
  if (key != kNoId) count_key_(key, 1, true);
  const uint32_t count = patch->count.load(std::memory_order_relaxed);
  LayoutPage::Patch* larger = GrowPatch(page, at);
  larger->Set(at, slot, key);
  larger->count.store(count + 1, std::memory_order_release);
  if (larger != patch) SetPatch(page, larger);
}

void LayoutStore::ForgetUnseen(LayoutPage* page) {
  if (page->followers_ == 0 || page->users_ > page->followers_) return;
  LayoutPage::Keys* keys = page->keys_.load(std::memory_order_relaxed);
  const LayoutPage::Followed& followed = FollowedOf(page);
  const LayoutPage::Change change(page);
  for (uint32_t s = 0; s < page->size(); ++s) {
    if (followed.covered[s] < page->followers_) continue;
    const KeyId key = keys[s].exchange(kNoId, std::memory_order_release);
    if (key != kNoId) count_key_(key, -1, false);
  }
}

// ----------------------------------------------------------------------------------------------------------
// layouts

void LayoutStore::SetPage(Layout& layout, uint32_t index, LayoutPage* page) {
  Layout::PageList* old = layout.pages_.load(std::memory_order_relaxed);
  const size_t count = old == nullptr ? 0 : old->count;
  auto* list = Layout::PageList::New(std::max<size_t>(count, index + 1));
  if (old != nullptr) std::copy_n(old->pages(), count, list->pages());
  list->pages()[index] = page;
  memory_bytes_ += (list->count - count) * sizeof(LayoutPage*);
  layout.pages_.store(list, std::memory_order_release);
  TellShape(layout);
  if (old != nullptr) domain_.Retire(old, sizeof(*old), &Layout::PageList::Delete);
}

// Before others may write in place to a page that the layout has left.
void LayoutStore::TellShape(Layout& layout) {
  if (layout.shape_ == nullptr) return;
  const uint32_t count = layout.slot_count_.load(std::memory_order_relaxed);
  const Layout::PageList* list = layout.pages_.load(std::memory_order_relaxed);
  const bool one = count > 0 && list->count == 1;
  layout.shape_->store(one ? LayoutShape::Of(*list->pages()[0], count) : LayoutShape(),
                       std::memory_order_release);
}

uint32_t LayoutStore::AddSlot(Layout& layout, KeyId key) {
  const uint32_t slot = layout.slot_count_.load(std::memory_order_relaxed);
  const uint32_t index = slot / kLayoutPageSlots;
  const uint32_t length = slot % kLayoutPageSlots;
  if (length == 0) {
    SetPage(layout, index, Acquire({key}, nullptr));
  } else {
    LayoutPage* page = layout.pages_.load(std::memory_order_relaxed)->pages()[index];
    const bool at_end = length == page->size();
    if (at_end && RoomFor(*page, length, key)) {
      AppendKey(page, key);
    } else if (at_end || page->KeyAt(length) != key) {
      std::vector<KeyId> keys = Prefix(*page, length);
      keys.push_back(key);
      SetPage(layout, index, Acquire(keys, page));
      Drop(page);
    }
  }
  layout.slot_count_.store(slot + 1, std::memory_order_release);
  TellShape(layout);
  return slot;
}

void LayoutStore::ReplaceSlot(Layout& layout, uint32_t slot, KeyId key) {
  const uint32_t count = layout.slot_count_.load(std::memory_order_relaxed);
  CHECK(slot < count);
  const uint32_t index = slot / kLayoutPageSlots;
  const uint32_t position = slot % kLayoutPageSlots;
  LayoutPage* page = layout.pages_.load(std::memory_order_relaxed)->pages()[index];
  const KeyId old = page->KeyAt(position);
  if (old == key) return;
  const bool follows = page->patch_.load(std::memory_order_relaxed) != nullptr;
  if (page->users_ == 1 && follows && RoomFor(*page, position, key)) {
    ReplaceInFollower(page, position, key);
    return;
  }
  if (page->users_ == 1 && !follows) {
    const LayoutPage::Change change(page);
    WidenKeys(page, key);
    page->keys_.load(std::memory_order_relaxed)[position].store(key, std::memory_order_release);
    if (old != kNoId) count_key_(old, -1, false);
    if (key != kNoId) count_key_(key, 1, false);
    PutInSlotTable(page, position);  // the old key's entry is passed over
    return;
  }
  std::vector<KeyId> keys =
      Prefix(*page, std::min(count - index * kLayoutPageSlots, kLayoutPageSlots));
  keys[position] = key;
  SetPage(layout, index, Acquire(keys, page));
  Drop(page);
}

void LayoutStore::BuildSlotTable(LayoutPage* page) {
  uint32_t slots = 64;
  while (page->size() * 3 > slots) slots *= 2;
  page->slot_table_.reset(new uint16_t[slots]());
  page->slot_table_mask_ = slots - 1;
  page->slot_table_used_ = 0;
  memory_bytes_ += slots * sizeof(uint16_t);
  for (uint32_t s = 0; s < page->size(); ++s) PutInSlotTable(page, s);
}

void LayoutStore::PutInSlotTable(LayoutPage* page, uint32_t slot) {
  if (page->slot_table_ == nullptr) return;
  // Nobody looks for the slots without a key, of which there may be thousands: all in one place.
  const KeyId key = page->KeyAt(slot);
  if (key == kNoId) return;
  if (++page->slot_table_used_ * 2 > page->slot_table_mask_ + 1) {
    DropSlotTable(page);  // the next look-up makes a new one
    return;
  }
  size_t i = TableIndex(key) & page->slot_table_mask_;
  while (page->slot_table_[i] != 0) i = (i + 1) & page->slot_table_mask_;
  page->slot_table_[i] = static_cast<uint16_t>(slot + 1);
}

uint32_t LayoutStore::FindInPage(LayoutPage* page, KeyId key, uint32_t length) {
  if (const LayoutPage::Patch* patch = page->patch_.load(std::memory_order_relaxed)) {
    if (key >= page->lowest_key() && key <= page->highest_key()) {
      const LayoutPage::Difference own = patch->view();
      for (size_t i = 0; i < own.slots.size(); ++i) {
        if (own.keys[i].load(std::memory_order_relaxed) == key)
          return own.slots[i] < length ? own.slots[i] : model::kNoSlot;
      }
    }
    const uint32_t slot = FindInPage(patch->base, key, std::min(length, patch->base->size()));
    return slot == model::kNoSlot || patch->Has(slot) ? model::kNoSlot : slot;
  }
  if (length < kSlotTableFrom) {
    for (uint32_t s = 0; s < length; ++s) {
      if (page->KeyAt(s) == key) return s;
    }
    return model::kNoSlot;
  }
  if (page->slot_table_ == nullptr) BuildSlotTable(page);
  for (size_t i = TableIndex(key) & page->slot_table_mask_; page->slot_table_[i] != 0;
       i = (i + 1) & page->slot_table_mask_) {
    const uint32_t s = page->slot_table_[i] - 1u;
    if (s < length && page->KeyAt(s) == key) return s;
  }
  return model::kNoSlot;
}

uint32_t LayoutStore::FindSlot(const Layout& layout, KeyId key) {
  const uint32_t count = layout.slot_count_.load(std::memory_order_relaxed);
  const Layout::PageList* list = layout.pages_.load(std::memory_order_relaxed);
  for (uint32_t base = 0; base < count; base += kLayoutPageSlots) {
    const uint32_t found = FindInPage(list->pages()[base / kLayoutPageSlots], key,
                                      std::min(count - base, kLayoutPageSlots));
    if (found != model::kNoSlot) return base + found;
  }
  return model::kNoSlot;
}

void LayoutStore::Release(Layout& layout) {
  Layout::PageList* list = layout.pages_.load(std::memory_order_relaxed);
  if (list == nullptr) return;
  if (layout.shape_ != nullptr) layout.shape_->store(LayoutShape(), std::memory_order_release);
  layout.shape_ = nullptr;
  // Before others may write in place to its pages. Readers that saw the old count still find them:
  // the list stays until the layout dies.
  layout.slot_count_.store(0, std::memory_order_release);
  for (size_t i = 0; i < list->count; ++i) Drop(list->pages()[i]);
  memory_bytes_ -= list->count * sizeof(LayoutPage*);
}

}  // namespace tocsin::tsdb
