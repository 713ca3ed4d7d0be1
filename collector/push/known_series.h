// KnownSeries: raw label bytes → the series they name, for one sender. An open-addressing table of
// 128-bit keyed hashes, so that a series costs 32 bytes over the load factor instead of its label
// text a second time. The key is random per process: nobody can make two label sets meet, and that
// they meet by chance is less likely (10^-20 for a billion sets) than a flipped bit in memory.
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
    uint64_t high = 0;
  };

  explicit LabelHasher(Env* env);
  Hash operator()(std::string_view raw_labels) const;

 private:
  unsigned char secret_[192];
};

struct KnownEntry {
  LabelHasher::Hash hash;  // {0, 0} = free
  uint32_t group = 0;
  model::Slot slot =
      model::kNoSlot;        // kNoSlot: a label set that is not stored (see remote_write.h)
  uint32_t last_seen_s = 0;  // coarse clock of the owner
};

class KnownSeries {
 public:
  // The table is larger than any cache: a caller that knows what it will ask for asks ahead. Always
  // inline: g++ 12 takes a function that only prefetches for one without effect, and drops the
  // call.
  [[gnu::always_inline]] void Prefetch(const LabelHasher::Hash& hash) const {
    if (!entries_.empty()) __builtin_prefetch(&entries_[hash.high & (entries_.size() - 1)]);
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
    return entry.hash.low == 0 && entry.hash.high == 0;
  }
  bool IsFull() const { return (size_ + 1) * 4 > entries_.size() * 3; }
  void Rebuild(const std::vector<KnownEntry>& kept);
  void Place(const KnownEntry& entry);

  std::vector<KnownEntry> entries_;  // a power of two, or empty
  size_t size_ = 0;
};

}  // namespace tocsin::collector
