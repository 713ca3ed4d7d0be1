// Layouts: which key each slot of a source stands for.
//
// A layout is a list of pages of kLayoutPageSlots slots. Pages are shared between sources, by
// content, and grow together: a source's layout is its pages plus its own length, so a source that
// adds the same keys in the same order as an earlier one walks along that one's page and stores
// nothing.
//
//   page      k0 k1 k2 k3 k4          keys by slot; only ever appended to while shared
//   source A  ----------------|       length 5
//   source B  -----------|            length 4: its next key, k4, is there already
//   source C  -------| then k9        differs: gets a copy of its part, found by hash by the next
//   one
//
// Thread contract: LayoutStore's writing calls: one writer at a time. Layout's reading calls: any
// thread that holds a pin on the domain.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "model/storage.h"
#include "tsdb/index/epoch.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {

// Layout pages are addressed by 12 bits of a slot; a change copies at most 16 KiB.
inline constexpr uint32_t kLayoutPageSlots = 4096;

// Keys by slot. Compared by address: equal pages are the same page, but for pages that differ in
// history.
class LayoutPage {
 public:
  KeyId KeyAt(uint32_t slot) const {  // below a length read from a Layout
    return keys_.load(std::memory_order_acquire)[slot].load(std::memory_order_relaxed);
  }
  // No key outside of these was ever in it.
  KeyId lowest_key() const { return lowest_key_.load(std::memory_order_relaxed); }
  KeyId highest_key() const { return highest_key_.load(std::memory_order_relaxed); }

 private:
  friend class LayoutStore;
  using Keys = std::atomic<KeyId>;

  std::atomic<Keys*> keys_{nullptr};
  std::atomic<KeyId> lowest_key_{kNoId};
  std::atomic<KeyId> highest_key_{0};
  // The writer's.
  uint32_t capacity_ = 0;
  uint32_t size_ = 0;
  uint32_t users_ = 0;  // layouts that hold the page
  uint64_t hash_ = 0;   // under which the store may list it
  // key → slot, open addressing, slot + 1, made by the first look-up in a page of some size.
  std::unique_ptr<uint16_t[]> slot_table_;
  uint32_t slot_table_mask_ = 0;
};

class Layout {
 public:
  Layout() = default;
  ~Layout() { delete pages_.load(std::memory_order_relaxed); }
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;

  struct PageView {
    const LayoutPage* page;
    uint32_t slot_base;
    uint32_t length;
  };

  uint32_t slot_count() const { return slot_count_.load(std::memory_order_acquire); }
  KeyId KeyAt(uint32_t slot) const {
    if (slot >= slot_count()) return kNoId;
    const PageList* list = pages_.load(std::memory_order_acquire);
    return list->pages[slot / kLayoutPageSlots]->KeyAt(slot % kLayoutPageSlots);
  }
  template <typename Visit>
  void ForEachPage(Visit visit) const {
    // The count first: pages that are read later hold at least that many slots.
    const uint32_t count = slot_count();
    if (count == 0) return;
    const PageList* list = pages_.load(std::memory_order_acquire);
    for (uint32_t base = 0; base < count; base += kLayoutPageSlots) {
      visit(PageView{list->pages[base / kLayoutPageSlots], base,
                     std::min(count - base, kLayoutPageSlots)});
    }
  }

 private:
  friend class LayoutStore;
  struct PageList {
    std::vector<LayoutPage*> pages;
  };
  std::atomic<uint32_t> slot_count_{0};
  std::atomic<PageList*> pages_{nullptr};
};

class LayoutStore {
 public:
  // `count_key(key, ±1)`: a page began or ceased to hold the key.
  LayoutStore(EpochDomain& domain, std::function<void(KeyId, int)> count_key);
  ~LayoutStore();

  uint32_t AddSlot(Layout& layout, KeyId key);
  void ReplaceSlot(Layout& layout, uint32_t slot, KeyId key);
  uint32_t FindSlot(const Layout& layout, KeyId key);  // or kNoSlot
  // Lets go of all pages. The layout must not be used for writing again.
  void Release(Layout& layout);

  size_t memory_bytes() const { return memory_bytes_; }
  size_t page_count() const { return page_count_; }

 private:
  static uint64_t HashOf(const std::vector<KeyId>& keys);
  static std::vector<KeyId> Prefix(const LayoutPage& page, uint32_t length);
  // The page that begins with `keys`, found or made; takes a use of it.
  LayoutPage* Acquire(const std::vector<KeyId>& keys);
  void Drop(LayoutPage* page);
  void AppendKey(LayoutPage* page, KeyId key);
  static void WidenKeys(LayoutPage* page, KeyId key);
  // Puts `page` at `index`, one past the end included.
  void SetPage(Layout& layout, uint32_t index, LayoutPage* page);
  uint32_t FindInPage(LayoutPage* page, KeyId key, uint32_t length);
  static void BuildSlotTable(LayoutPage* page);
  static void DeletePage(void* page);

  EpochDomain& domain_;
  std::function<void(KeyId, int)> count_key_;
  std::unordered_map<uint64_t, LayoutPage*> by_hash_;  // of some prefix; content is compared
  size_t memory_bytes_ = 0;
  size_t page_count_ = 0;
};

}  // namespace tocsin::tsdb
