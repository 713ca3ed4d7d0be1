// KnownSeries: raw label bytes → the series they name, for one sender. An open-addressing table of
// 96-bit keyed hashes, so that a series costs 24 bytes over the load factor (0.54 … 0.75) instead
// of its label text a second time. The key is random per process: nobody can make two label sets
// meet, and that they meet by chance (10^-11 for a billion sets) is less likely than a flipped bit
// in memory.
//
// One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "model/storage.h"

namespace tocsin::collector {

class LabelHasher {
 public:
  struct Hash {
    uint64_t low = 0;
    uint32_t high = 0;  // also the place in the table
  };

  explicit LabelHasher(Env* env);
  Hash operator()(std::string_view raw_labels) const;

 private:
  unsigned char secret_[192];
};

struct KnownEntry {
  uint64_t hash_low = 0;  // both 0: free
  uint32_t hash_high = 0;
  uint32_t group = 0;
  model::Slot slot =
      model::kNoSlot;        // kNoSlot: a label set that is not stored (see remote_write.h)
  uint32_t last_seen_s = 0;  // coarse clock of the owner
};
static_assert(sizeof(KnownEntry) == 24);

class KnownSeries {
 public:
  // The table is larger than any cache: a caller that knows what it will ask for asks ahead. Always
  // inline: g++ 12 takes a function that only prefetches for one without effect, and drops the
  // call.
  [[gnu::always_inline]] void Prefetch(const LabelHasher::Hash& hash) const {
    if (!entries_.empty()) __builtin_prefetch(&entries_[Home(hash.high)]);
  }
  // Null when unknown. Valid until the next Insert or Sweep.
  KnownEntry* Find(const LabelHasher::Hash& hash);
  void Insert(const KnownEntry& entry);
  size_t size() const { return size_; }
  size_t MemoryBytes() const { return entries_.capacity() * sizeof(KnownEntry); }
  // Bytes the table would take with one more entry.
  size_t MemoryBytesAfterInsert() const;

  // Removes every entry that `old` is true for.
  template <typename Predicate>
  void Sweep(const Predicate& old) {
    std::vector<KnownEntry> kept;
    for (const KnownEntry& entry : entries_) {
      if (!IsFree(entry) && !old(entry)) kept.push_back(entry);
    }
    Rebuild(kept);
  }

 private:
  static bool IsFree(const KnownEntry& entry) {
    return entry.hash_low == 0 && entry.hash_high == 0;
  }
  bool IsFull() const { return (size_ + 1) * 4 > entries_.size() * 3; }
  // Any size, not only powers of two: the table grows by what it needs.
  size_t Home(uint32_t hash) const { return (uint64_t{hash} * entries_.size()) >> 32; }
  size_t After(size_t i) const { return i + 1 == entries_.size() ? 0 : i + 1; }
  size_t GrownSize() const;
  void Rebuild(const std::vector<KnownEntry>& kept);
  void Place(const KnownEntry& entry);

  std::vector<KnownEntry> entries_;
  size_t size_ = 0;
};

}  // namespace tocsin::collector
