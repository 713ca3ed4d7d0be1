// PairWalk: which pairs of a product of sources and keys exist, by walking the sources' layouts.
//
// What was found for a page is found once, for all sources that share it. Of sources whose pages
// follow it, too, where nothing that is wanted lies in a slot where any of them differs: then a
// source costs the word that tells its shape. Else its own slots are merged into the page's list.
//
// For one thread, which holds a pin on the index.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include "tsdb/index/head_index.h"
#include "tsdb/index/id_array.h"
#include "tsdb/index/layout.h"
#include "tsdb/index/postings.h"
#include "tsdb/index/selector.h"

namespace tocsin::tsdb {

// What the walk asks the index.
struct WalkedIndex {
  const IdValues<LayoutShape>& shapes;            // by source
  std::function<const Layout*(SourceId)> layout;  // null: removed, or not there yet
  std::function<bool(KeyId)> may_be_own;          // false: in no page that follows another
};

class PairWalk {
 public:
  // Adds to `out`, which may have entries of other products.
  PairWalk(const WalkedIndex& index, const SelectedProduct& product, HeadSelection* out)
      : index_(index), keys_(product.keys), wanted_(product.keys), out_(*out) {}

  void Run(const IdList& sources);

 private:
  // What was found of the first `length` slots of a page that follows no other.
  struct Found {
    const LayoutPage* page = nullptr;
    uint32_t length = 0;
    uint32_t version = 1;  // of the page; odd: nothing was found yet
    uint32_t list = 0;
    bool followers_judged = false;
    bool followers_share = false;  // the pages that follow it show no other wanted keys
    std::vector<uint64_t> slots;   // of the list, a bit each; empty until asked for
  };
  struct PageHash {
    size_t operator()(const std::pair<const LayoutPage*, uint32_t>& page) const {
      const auto address = reinterpret_cast<uintptr_t>(page.first);
      return (address ^ page.second) * uintptr_t{0x9e3779b97f4a7c15} >> 16;
    }
  };

  // The list of all sources of this shape, or kNoId when they have to be looked at one by one.
  uint32_t ListOf(LayoutShape shape);
  bool FollowersShare(const Found& found) const;
  // Adds the source if its shape tells its list; false when it does not.
  bool AddByShape(SourceId source);
  void AddByPages(SourceId source, const Layout& layout);
  void AddPage(SourceId source, const Layout& layout, Layout::PageView view);
  uint32_t ListOf(const Layout::PageView& view);
  void AddEntry(SourceId source, uint32_t slot_base, uint32_t list);

  // Keys of a source's own were added one after another: most of its pages have none of few.
  bool MayHold(const LayoutPage& page) const;
  Found& Find(const LayoutPage* page, uint32_t length);
  bool Hides(Found& base, std::span<const uint16_t> slots) const;
  // The base's list, but for the slots of `own`, and those of `own` that are wanted.
  uint32_t Merge(uint32_t base, const LayoutPage::Difference& own);

  const WalkedIndex& index_;
  const IdList& keys_;
  const IdSet wanted_;
  HeadSelection& out_;
  std::unordered_map<std::pair<const LayoutPage*, uint32_t>, Found, PageHash> pages_;
  Found* last_ = nullptr;
};

}  // namespace tocsin::tsdb
