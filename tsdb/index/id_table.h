// IdTable: hash → id, for the writer's look-ups. 4 bytes a slot: hashes are asked of the items
// themselves. One thread at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tsdb/types.h"

namespace tocsin::tsdb {

class IdTable {
 public:
  // The id under `hash` for which equal(id) holds, or kNoId.
  template <typename Equal>
  uint32_t Find(uint64_t hash, Equal equal) const {
    for (size_t i = hash & mask();; i = (i + 1) & mask()) {
      if (slots_[i] == kNoId) return kNoId;
      if (equal(slots_[i])) return slots_[i];
    }
  }

  // hash_of(id) gives the hash of any id that is in the table.
  template <typename HashOf>
  void Insert(uint64_t hash, uint32_t id, HashOf hash_of) {
    if ((used_ + 1) * 3 > slots_.size() * 2) Resize(slots_.size() * 2, hash_of);
    Put(hash, id);
    ++used_;
  }

  template <typename HashOf>
  void Erase(uint64_t hash, uint32_t id, HashOf hash_of) {
    size_t hole = hash & mask();
    while (slots_[hole] != id) hole = (hole + 1) & mask();
    // Close the gap: whatever follows and may move nearer to its place does.
    for (size_t i = (hole + 1) & mask(); slots_[i] != kNoId; i = (i + 1) & mask()) {
      const size_t home = hash_of(slots_[i]) & mask();
      if (((i - home) & mask()) >= ((i - hole) & mask())) {
        slots_[hole] = slots_[i];
        hole = i;
      }
    }
    slots_[hole] = kNoId;
    --used_;
    if (slots_.size() > kFirstSlots && used_ * 8 < slots_.size())
      Resize(slots_.size() / 2, hash_of);
  }

  size_t memory_bytes() const { return slots_.capacity() * sizeof(uint32_t); }

 private:
  static constexpr size_t kFirstSlots = 64;

  size_t mask() const { return slots_.size() - 1; }
  void Put(uint64_t hash, uint32_t id) {
    size_t i = hash & mask();
    while (slots_[i] != kNoId) i = (i + 1) & mask();
    slots_[i] = id;
  }
  template <typename HashOf>
  void Resize(size_t size, HashOf hash_of) {
    std::vector<uint32_t> old(size, kNoId);
    old.swap(slots_);
    for (const uint32_t id : old) {
      if (id != kNoId) Put(hash_of(id), id);
    }
  }

  std::vector<uint32_t> slots_ = std::vector<uint32_t>(kFirstSlots, kNoId);
  size_t used_ = 0;
};

}  // namespace tocsin::tsdb
