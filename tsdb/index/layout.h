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
// A page that is followed never follows another, and one that follows does so until it dies. When
// no source has a followed page any more, but followers do, it forgets the keys that none of them
// shows.
//
// Of layouts of one page a word tells nearly all (LayoutShape): a selection walks thousands of
// sources without touching their layouts.
//
// Thread contract: LayoutStore's writing calls: one writer at a time. Layout's reading calls: any
// thread that holds a pin on the domain; of what it reads through a PageView it is sure once Holds
// has said so.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <span>
#include <unordered_map>
#include <utility>
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
  using Keys = std::atomic<KeyId>;

  // How the page differs from the one that it follows: slots, ascending, and the key of each. No
  // base: it does not.
  struct Difference {
    const LayoutPage* base = nullptr;
    std::span<const uint16_t> slots;
    const Keys* keys = nullptr;
  };
  Difference difference() const {
    const Patch* patch = patch_.load(std::memory_order_acquire);
    return patch == nullptr ? Difference() : patch->view();
  }
  void PrefetchDifference() const { __builtin_prefetch(patch_.load(std::memory_order_relaxed)); }

  // `slot`: below a length read from a Layout.
  KeyId KeyAt(uint32_t slot) const { return KeyAt(difference(), slot); }
  // As long as the page differed from another one like this.
  KeyId KeyAt(const Difference& own, uint32_t slot) const {
    if (own.base == nullptr)
      return keys_.load(std::memory_order_acquire)[slot].load(std::memory_order_relaxed);
    const uint32_t at = PlaceOf(own.slots, slot);
    if (at < own.slots.size() && own.slots[at] == slot)
      return own.keys[at].load(std::memory_order_relaxed);
    return own.base->KeyAt(slot);
  }
  // The slots' keys, in order, of a page that does not follow another.
  const Keys* keys() const { return keys_.load(std::memory_order_acquire); }
  // Odd: what the page's layouts and followers show is being changed. The same even number before
  // and after reading: nothing of it was, but for slots that were appended.
  uint32_t version() const { return version_.load(std::memory_order_acquire); }
  bool StillIs(uint32_t version) const {
    std::atomic_thread_fence(std::memory_order_acquire);
    return version % 2 == 0 && version_.load(std::memory_order_relaxed) == version;
  }
  // Whether a page that follows this one has a key of its own in the slot.
  bool Hidden(uint32_t slot) const {
    const Followed* followed = followed_.load(std::memory_order_acquire);
    if (followed == nullptr) return false;
    return (followed->hidden[slot / 64].load(std::memory_order_relaxed) >> (slot % 64) & 1) != 0;
  }
  // The own keys of the pages that follow or followed this one are among these.
  std::pair<KeyId, KeyId> FollowersKeys() const {
    const Followed* followed = followed_.load(std::memory_order_acquire);
    if (followed == nullptr) return {kNoId, 0};
    return {followed->lowest_key.load(std::memory_order_relaxed),
            followed->highest_key.load(std::memory_order_relaxed)};
  }
  // Slots that have keys; a page that follows another may have more than that one.
  uint32_t size() const { return size_.load(std::memory_order_acquire); }
  // No key outside of these was ever in it; of a page that follows another: among its own.
  KeyId lowest_key() const { return lowest_key_.load(std::memory_order_relaxed); }
  KeyId highest_key() const { return highest_key_.load(std::memory_order_relaxed); }

 private:
  friend class LayoutStore;

  // One allocation: the struct, the slots, the keys.
  struct Patch {
    static Patch* New(LayoutPage* base, uint32_t capacity);
    static void Delete(void* patch) { ::operator delete(patch); }
    static size_t Bytes(uint32_t capacity) {
      return sizeof(Patch) + KeysOffset(capacity) + capacity * sizeof(KeyId);
    }
    Difference view() const {
      return {base, {slots(), count.load(std::memory_order_acquire)}, keys()};
    }
    const uint16_t* slots() const { return reinterpret_cast<const uint16_t*>(this + 1); }
    uint16_t* slots() { return reinterpret_cast<uint16_t*>(this + 1); }
    const Keys* keys() const {
      return reinterpret_cast<const Keys*>(reinterpret_cast<const char*>(this + 1) +
                                           KeysOffset(capacity));
    }
    Keys* keys() { return const_cast<Keys*>(std::as_const(*this).keys()); }
    void Set(uint32_t at, uint32_t slot, KeyId key) {
      slots()[at] = static_cast<uint16_t>(slot);
      keys()[at].store(key, std::memory_order_relaxed);
    }
    bool Has(uint32_t slot) const {
      const Difference own = view();
      const uint32_t at = PlaceOf(own.slots, slot);
      return at < own.slots.size() && own.slots[at] == slot;
    }

    LayoutPage* const base;
    const uint32_t capacity;
    std::atomic<uint32_t> count;

   private:
    Patch(LayoutPage* followed, uint32_t n) : base(followed), capacity(n), count(0) {}
    static size_t KeysOffset(uint32_t n) { return (n * sizeof(uint16_t) + 3) & ~size_t{3}; }
  };
  // Of a page that was ever followed.
  struct Followed {
    std::array<std::atomic<uint64_t>, kLayoutPageSlots / 64> hidden{};
    std::atomic<KeyId> lowest_key{kNoId};
    std::atomic<KeyId> highest_key{0};
    // The writer's, by slot: how many followers do not show the page's key, for whatever reason;
    // and how many have a key of their own.
    std::vector<uint32_t> covered;
    std::vector<uint32_t> own;

    size_t memory_bytes() const {
      return sizeof(*this) + (covered.capacity() + own.capacity()) * sizeof(uint32_t);
    }
  };
  // Readers do not trust what they read of the page while one of these lives.
  class Change {
   public:
    explicit Change(LayoutPage* page) : page_(page) {
      page_->version_.store(page_->version_.load(std::memory_order_relaxed) + 1,
                            std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_release);
    }
    ~Change() {
      page_->version_.store(page_->version_.load(std::memory_order_relaxed) + 1,
                            std::memory_order_release);
    }
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;

   private:
    LayoutPage* const page_;
  };
  // Where `slot` is, or would be put.
  static uint32_t PlaceOf(std::span<const uint16_t> slots, uint32_t slot) {
    return static_cast<uint32_t>(std::lower_bound(slots.begin(), slots.end(), slot) -
                                 slots.begin());
  }

  std::atomic<Keys*> keys_{nullptr};
  std::atomic<Patch*> patch_{nullptr};  // then there are no keys_
  std::atomic<KeyId> lowest_key_{kNoId};
  std::atomic<KeyId> highest_key_{0};
  std::atomic<uint32_t> size_{0};
  std::atomic<uint32_t> version_{0};
  std::atomic<Followed*> followed_{nullptr};
  // The writer's.
  uint32_t capacity_ = 0;
  uint32_t users_ = 0;      // layouts and followers that hold the page
  uint32_t followers_ = 0;  // of these, pages
  uint64_t hash_ = 0;       // under which the store may list it
  // key → slot, open addressing, slot + 1, made by the first look-up in a page of some size. An
  // entry whose slot has another key by now is passed over.
  std::unique_ptr<uint16_t[]> slot_table_;
  uint32_t slot_table_mask_ = 0;
  uint32_t slot_table_used_ = 0;
};

// Of a layout of one page: whose keys it shows up to which slot, and whether that is a page that
// its own one follows, so that it may have keys of its own.
class LayoutShape {
 public:
  LayoutShape() = default;  // any other layout
  static LayoutShape Of(const LayoutPage& page, uint32_t length) {
    const LayoutPage* base = page.difference().base;
    const auto address = reinterpret_cast<uint64_t>(base != nullptr ? base : &page);
    LayoutShape shape;
    if (address >> kAddressBits == 0)
      shape.bits_ = address | uint64_t{length} << kAddressBits | uint64_t{base != nullptr} << 63;
    return shape;
  }

  explicit operator bool() const { return bits_ != 0; }
  bool operator==(const LayoutShape&) const = default;
  const LayoutPage* page() const {
    return reinterpret_cast<const LayoutPage*>(bits_ & ((uint64_t{1} << kAddressBits) - 1));
  }
  uint32_t length() const { return bits_ >> kAddressBits & (2 * kLayoutPageSlots - 1); }
  bool follows() const { return bits_ >> 63 != 0; }

 private:
  static constexpr int kAddressBits = 48;  // of all addresses that programs have; others get none
  uint64_t bits_ = 0;
};

class Layout {
 public:
  Layout() = default;
  ~Layout() { PageList::Delete(pages_.load(std::memory_order_relaxed)); }
  Layout(const Layout&) = delete;
  Layout& operator=(const Layout&) = delete;

  struct PageView {
    const LayoutPage* page;
    LayoutPage::Difference own;
    uint32_t slot_base;
    uint32_t length;
  };

  uint32_t slot_count() const { return slot_count_.load(std::memory_order_acquire); }
  KeyId KeyAt(uint32_t slot) const {
    if (slot >= slot_count()) return kNoId;
    const uint32_t in_page = slot % kLayoutPageSlots;
    PageView view = ViewAt(slot - in_page, in_page + 1);
    KeyId key = view.page->KeyAt(view.own, in_page);
    while (!Holds(view)) {
      if (slot >= slot_count()) return kNoId;  // released
      view = ViewAt(slot - in_page, in_page + 1);
      key = view.page->KeyAt(view.own, in_page);
    }
    return key;
  }
  template <typename Visit>
  void ForEachPage(Visit visit) const {
    // The count first: pages that are read later hold at least that many slots.
    const uint32_t count = slot_count();
    for (uint32_t base = 0; base < count; base += kLayoutPageSlots)
      visit(ViewAt(base, std::min(count - base, kLayoutPageSlots)));
  }
  // Of slots that the layout has.
  PageView ViewAt(uint32_t slot_base, uint32_t length) const {
    const PageList* list = pages_.load(std::memory_order_acquire);
    const LayoutPage* page = list->pages()[slot_base / kLayoutPageSlots];
    return {page, page->difference(), slot_base, length};
  }
  // False: the keys read through the view may be another layout's. A page that a layout has left is
  // written in place by those who still have it; so whoever has read keys asks this, and if need be
  // reads them again through a new view, as long as there are slots: one that was released has
  // none, and has left all its pages.
  bool Holds(const PageView& view) const {
    std::atomic_thread_fence(std::memory_order_acquire);
    const PageList* list = pages_.load(std::memory_order_acquire);
    return list->pages()[view.slot_base / kLayoutPageSlots] == view.page && slot_count() > 0;
  }
  // Where the layout's shape is told from now on, until it is released. Before its first slot.
  void TellShape(std::atomic<LayoutShape>* shape) { shape_ = shape; }

  // For walks over many layouts, a few ahead of the walk and in this order: each reads what the one
  // before has fetched.
  void PrefetchList() const { __builtin_prefetch(pages_.load(std::memory_order_relaxed)); }
  void PrefetchPage() const {
    if (const PageList* list = pages_.load(std::memory_order_acquire))
      __builtin_prefetch(list->pages()[0]);
  }
  void PrefetchDifference() const {
    if (const PageList* list = pages_.load(std::memory_order_acquire))
      list->pages()[0]->PrefetchDifference();
  }

 private:
  friend class LayoutStore;
  // At least one page; they follow the struct.
  struct PageList {
    static PageList* New(size_t count) {
      return new (::operator new(sizeof(PageList) + count * sizeof(LayoutPage*))) PageList{count};
    }
    static void Delete(void* list) { ::operator delete(list); }
    LayoutPage* const* pages() const { return reinterpret_cast<LayoutPage* const*>(this + 1); }
    LayoutPage** pages() { return reinterpret_cast<LayoutPage**>(this + 1); }
    size_t count;
  };
  std::atomic<uint32_t> slot_count_{0};
  std::atomic<PageList*> pages_{nullptr};
  std::atomic<LayoutShape>* shape_ = nullptr;  // the writer's
};

class LayoutStore {
 public:
  // `count_key(key, ±1, own)`: a page began or ceased to hold the key, `own` telling whether as one
  // that the page which it follows has not.
  using CountKey = std::function<void(KeyId key, int change, bool own)>;
  LayoutStore(EpochDomain& domain, CountKey count_key);
  ~LayoutStore();

  uint32_t AddSlot(Layout& layout, KeyId key);
  void ReplaceSlot(Layout& layout, uint32_t slot, KeyId key);
  // Or kNoSlot. Not for kNoId.
  uint32_t FindSlot(const Layout& layout, KeyId key);
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
  static void TellShape(Layout& layout);
  uint32_t FindInPage(LayoutPage* page, KeyId key, uint32_t length);
  void BuildSlotTable(LayoutPage* page);
  void PutInSlotTable(LayoutPage* page, uint32_t slot);  // if there is one
  void DropSlotTable(LayoutPage* page);
  static void DeletePage(void* page);

  // --- pages that follow others ---
  static uint32_t OwnMax(uint32_t slots) { return 4 + slots / 8; }
  void CountOwn(const LayoutPage::Patch& patch, int change);
  bool Follow(LayoutPage* page, LayoutPage* base, const std::vector<KeyId>& keys);
  void Unfollow(LayoutPage* page, const LayoutPage::Patch& patch);
  void AppendToFollower(LayoutPage* page, KeyId key);
  void ReplaceInFollower(LayoutPage* page, uint32_t slot, KeyId key);
  // A key of the page's own in a slot that had none, to be entry `at`.
  void PutOwn(LayoutPage* page, uint32_t at, uint32_t slot, KeyId key);
  // Room for one entry more, at `at`.
  LayoutPage::Patch* GrowPatch(LayoutPage* page, uint32_t at);
  void SetPatch(LayoutPage* page, LayoutPage::Patch* patch);
  // Whether the page, if it follows another, may have this key in this slot and still follow.
  static bool RoomFor(const LayoutPage& page, uint32_t slot, KeyId key);
  // The page's, made when first asked for.
  LayoutPage::Followed& FollowedOf(LayoutPage* page);
  // Notes that a follower of `base` has, or has not any more, a key of its own in the slot.
  static void NoteOwn(LayoutPage* base, uint32_t slot, KeyId key, int change);
  void ForgetUnseen(LayoutPage* page);

  EpochDomain& domain_;
  CountKey count_key_;
  std::unordered_map<uint64_t, LayoutPage*> by_hash_;  // of some prefix; content is compared
  size_t memory_bytes_ = 0;
  size_t page_count_ = 0;
};

}  // namespace tocsin::tsdb
