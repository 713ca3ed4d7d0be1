#include "tsdb/index/layout.h"

#include <xxhash.h>

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

LayoutStore::LayoutStore(EpochDomain& domain, std::function<void(KeyId, int)> count_key)
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

LayoutPage* LayoutStore::Acquire(const std::vector<KeyId>& keys) {
  const uint64_t hash = HashOf(keys);
  const auto known = by_hash_.find(hash);
  if (known != by_hash_.end() && known->second->size_ >= keys.size()) {
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
  for (const KeyId key : keys) AppendKey(page, key);
  by_hash_[hash] = page;
  return page;
}

void LayoutStore::Drop(LayoutPage* page) {
  if (--page->users_ > 0) return;
  for (uint32_t i = 0; i < page->size_; ++i) {
    const KeyId key = page->KeyAt(i);
    if (key != kNoId) count_key_(key, -1);
  }
  const auto listed = by_hash_.find(page->hash_);
  if (listed != by_hash_.end() && listed->second == page) by_hash_.erase(listed);
  --page_count_;
  const size_t bytes = page->capacity_ * sizeof(KeyId);
  memory_bytes_ -= kPageBytes + bytes;
  if (page->slot_table_ != nullptr) memory_bytes_ -= (page->slot_table_mask_ + 1) * 2;
  domain_.Retire(page, kPageBytes + bytes, &DeletePage);
}

void LayoutStore::DeletePage(void* memory) {
  auto* page = static_cast<LayoutPage*>(memory);
  delete[] page->keys_.load(std::memory_order_relaxed);
  delete page;
}

void LayoutStore::WidenKeys(LayoutPage* page, KeyId key) {
  if (key == kNoId) return;
  if (key < page->lowest_key()) page->lowest_key_.store(key, std::memory_order_relaxed);
  if (key > page->highest_key()) page->highest_key_.store(key, std::memory_order_relaxed);
}

void LayoutStore::AppendKey(LayoutPage* page, KeyId key) {
  WidenKeys(page, key);
  LayoutPage::Keys* keys = page->keys_.load(std::memory_order_relaxed);
  if (page->size_ == page->capacity_) {
    const uint32_t capacity =
        page->capacity_ == 0 ? kFirstCapacity : std::min(page->capacity_ * 2, kLayoutPageSlots);
    auto* bigger = new LayoutPage::Keys[capacity];
    for (uint32_t i = 0; i < page->size_; ++i) {
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
  keys[page->size_].store(key, std::memory_order_relaxed);
  ++page->size_;
  if (key != kNoId) count_key_(key, 1);
  if (page->slot_table_ == nullptr) return;
  if (page->size_ * 2 > page->slot_table_mask_ + 1) {
    memory_bytes_ -= (page->slot_table_mask_ + 1) * 2;
    page->slot_table_.reset();  // the next look-up makes a larger one
    return;
  }
  size_t i = TableIndex(key) & page->slot_table_mask_;
  while (page->slot_table_[i] != 0) i = (i + 1) & page->slot_table_mask_;
  page->slot_table_[i] = static_cast<uint16_t>(page->size_);
}

void LayoutStore::SetPage(Layout& layout, uint32_t index, LayoutPage* page) {
  Layout::PageList* old = layout.pages_.load(std::memory_order_relaxed);
  auto* list = new Layout::PageList();
  if (old != nullptr) list->pages = old->pages;
  if (index == list->pages.size()) {
    list->pages.push_back(page);
    memory_bytes_ += sizeof(LayoutPage*);
  } else {
    list->pages[index] = page;
  }
  layout.pages_.store(list, std::memory_order_release);
  domain_.RetireDelete(old);
}

uint32_t LayoutStore::AddSlot(Layout& layout, KeyId key) {
  const uint32_t slot = layout.slot_count_.load(std::memory_order_relaxed);
  const uint32_t index = slot / kLayoutPageSlots;
  const uint32_t length = slot % kLayoutPageSlots;
  if (length == 0) {
    SetPage(layout, index, Acquire({key}));
  } else {
    LayoutPage* page = layout.pages_.load(std::memory_order_relaxed)->pages[index];
    if (length == page->size_) {
      AppendKey(page, key);
    } else if (page->KeyAt(length) != key) {
      std::vector<KeyId> keys = Prefix(*page, length);
      keys.push_back(key);
      SetPage(layout, index, Acquire(keys));
      Drop(page);
    }
  }
  layout.slot_count_.store(slot + 1, std::memory_order_release);
  return slot;
}

void LayoutStore::ReplaceSlot(Layout& layout, uint32_t slot, KeyId key) {
  const uint32_t count = layout.slot_count_.load(std::memory_order_relaxed);
  CHECK(slot < count);
  const uint32_t index = slot / kLayoutPageSlots;
  const uint32_t position = slot % kLayoutPageSlots;
  LayoutPage* page = layout.pages_.load(std::memory_order_relaxed)->pages[index];
  const KeyId old = page->KeyAt(position);
  if (old == key) return;
  if (page->users_ == 1) {
    WidenKeys(page, key);
    page->keys_.load(std::memory_order_relaxed)[position].store(key, std::memory_order_relaxed);
    if (old != kNoId) count_key_(old, -1);
    if (key != kNoId) count_key_(key, 1);
    if (page->slot_table_ != nullptr) memory_bytes_ -= (page->slot_table_mask_ + 1) * 2;
    page->slot_table_.reset();
    return;
  }
  std::vector<KeyId> keys =
      Prefix(*page, std::min(count - index * kLayoutPageSlots, kLayoutPageSlots));
  keys[position] = key;
  SetPage(layout, index, Acquire(keys));
  Drop(page);
}

void LayoutStore::BuildSlotTable(LayoutPage* page) {
  uint32_t slots = 64;
  while (page->size_ * 3 > slots) slots *= 2;
  page->slot_table_.reset(new uint16_t[slots]());
  page->slot_table_mask_ = slots - 1;
  for (uint32_t s = 0; s < page->size_; ++s) {
    size_t i = TableIndex(page->KeyAt(s)) & page->slot_table_mask_;
    while (page->slot_table_[i] != 0) i = (i + 1) & page->slot_table_mask_;
    page->slot_table_[i] = static_cast<uint16_t>(s + 1);
  }
}

uint32_t LayoutStore::FindInPage(LayoutPage* page, KeyId key, uint32_t length) {
  if (length < kSlotTableFrom) {
    for (uint32_t s = 0; s < length; ++s) {
      if (page->KeyAt(s) == key) return s;
    }
    return model::kNoSlot;
  }
  if (page->slot_table_ == nullptr) {
    BuildSlotTable(page);
    memory_bytes_ += (page->slot_table_mask_ + 1) * 2;
  }
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
    const uint32_t found = FindInPage(list->pages[base / kLayoutPageSlots], key,
                                      std::min(count - base, kLayoutPageSlots));
    if (found != model::kNoSlot) return base + found;
  }
  return model::kNoSlot;
}

void LayoutStore::Release(Layout& layout) {
  Layout::PageList* list = layout.pages_.load(std::memory_order_relaxed);
  if (list == nullptr) return;
  for (LayoutPage* page : list->pages) Drop(page);
  memory_bytes_ -= list->pages.size() * sizeof(LayoutPage*);
  layout.slot_count_.store(0, std::memory_order_release);
  // Readers that saw the old count still find the pages: the list stays until the layout dies.
}

}  // namespace tocsin::tsdb
