// Layouts: which key each slot of a source stands for.
//
// A layout is a list of pages of kLayoutPageSlots slots. Pages are shared between sources, by
// content, and grow together: a source's layout is its pages plus its own length, so a source that
// adds the same keys in the same order as an earlier one walks along that one's page and stores
// nothing. Where it differs in a few slots only, it gets a page that follows the other one and
// holds just these.
//
//   page      k0 k1 k2 k3 k4          keys by slot; only ever appended to while shared
//   source A  ----------------|       length 5
//   source B  -----------|            length 4: its next key, k4, is there already
//   page'     follows; slot 3: k9     found by hash by the next source of that kind
//   source C  -- k2 k9 k4|            length 5
//
// A page that is followed never follows another. When no source has it any more, but followers do,
// it forgets the keys that none of them shows.
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
#include <span>
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
  // A slot of a page that follows another, where it differs.
  struct Own {
    std::atomic<KeyId> key{kNoId};
    uint16_t slot = 0;
  };
  // How the page differs from the one that it follows: ascending by slot. No base: it does not.
  struct Difference {
    const LayoutPage* base = nullptr;
    std::span<const Own> own;
  };
  Difference difference() const {
    const Patch* patch = patch_.load(std::memory_order_acquire);
    return patch == nullptr ? Difference() : Difference{patch->base, patch->entries()};
  }

  KeyId KeyAt(uint32_t slot) const {  // below a length read from a Layout
    if (const Patch* patch = patch_.load(std::memory_order_acquire)) {
      const Own* own = FindOwn(patch->entries(), slot);
      if (own != nullptr) return own->key.load(std::memory_order_relaxed);
      return patch->base->KeyAt(slot);
    }
    return keys_.load(std::memory_order_acquire)[slot].load(std::memory_order_relaxed);
  }
  // Slots that have keys; a page that follows another may have more than that one.
  uint32_t size() const { return size_.load(std::memory_order_acquire); }
  // No key outside of these was ever in it; of a page that follows another: among its own.
  KeyId lowest_key() const { return lowest_key_.load(std::memory_order_relaxed); }
  KeyId highest_key() const { return highest_key_.load(std::memory_order_relaxed); }

 private:
  friend class LayoutStore;
  using Keys = std::atomic<KeyId>;

  struct Patch {
    Patch(LayoutPage* followed, uint32_t n) : base(followed), capacity(n), own(new Own[n]) {}
    std::span<const Own> entries() const {
      return {own.get(), count.load(std::memory_order_acquire)};
    }
    LayoutPage* const base;
    const uint32_t capacity;
    std::atomic<uint32_t> count{0};
    const std::unique_ptr<Own[]> own;
  };
  static const Own* FindOwn(std::span<const Own> own, uint32_t slot) {
    const auto at = std::lower_bound(own.begin(), own.end(), slot,
                                     [](const Own& entry, uint32_t s) { return entry.slot < s; });
    return at != own.end() && at->slot == slot ? &*at : nullptr;
  }

  std::atomic<Keys*> keys_{nullptr};
  std::atomic<Patch*> patch_{nullptr};  // then there are no keys_
  std::atomic<KeyId> lowest_key_{kNoId};
  std::atomic<KeyId> highest_key_{0};
  std::atomic<uint32_t> size_{0};
  // The writer's.
  uint32_t capacity_ = 0;
  uint32_t users_ = 0;      // layouts and followers that hold the page
  uint32_t followers_ = 0;  // of these, pages
  uint64_t hash_ = 0;       // under which the store may list it
  // Of a page with followers: how many of them do not show a slot's key, by slot.
  std::vector<uint32_t> covered_;
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
  // The page that begins with `keys`, found or made; takes a use of it. One that is made follows
  // `like`, or what that one follows, where it differs little from it.
  LayoutPage* Acquire(const std::vector<KeyId>& keys, LayoutPage* like);
  void Drop(LayoutPage* page);
  void AppendKey(LayoutPage* page, KeyId key);
  static void WidenKeys(LayoutPage* page, KeyId key);
  // Puts `page` at `index`, one past the end included.
  void SetPage(Layout& layout, uint32_t index, LayoutPage* page);
  uint32_t FindInPage(LayoutPage* page, KeyId key, uint32_t length);
  static void BuildSlotTable(LayoutPage* page);
  void DropSlotTable(LayoutPage* page);
  static void DeletePage(void* page);

  // --- pages that follow others ---
  static uint32_t OwnMax(uint32_t slots) { return 4 + slots / 8; }
  bool Follow(LayoutPage* page, LayoutPage* base, const std::vector<KeyId>& keys);
  void Unfollow(LayoutPage* page, const LayoutPage::Patch& patch);
  void AppendToFollower(LayoutPage* page, KeyId key);
  void ReplaceInFollower(LayoutPage* page, uint32_t slot, KeyId key);
  // Room for one entry more, at `at`.
  LayoutPage::Patch* GrowPatch(LayoutPage* page, uint32_t at);
  void SetPatch(LayoutPage* page, LayoutPage::Patch* patch);
  // Gives a page that follows another all of its keys.
  void Detach(LayoutPage* page);
  void ForgetUnseen(LayoutPage* page);

  EpochDomain& domain_;
  std::function<void(KeyId, int)> count_key_;
  std::unordered_map<uint64_t, LayoutPage*> by_hash_;  // of some prefix; content is compared
  size_t memory_bytes_ = 0;
  size_t page_count_ = 0;
};

}  // namespace tocsin::tsdb
