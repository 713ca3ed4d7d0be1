// IdArray<T>: pointers by id, ids counted up from 0 and never reused. Readers need no lock; what
// they get lives as long as their pin on `domain`. One writer at a time. A chunk all of whose ids
// are erased is given back, so that churn costs nothing in the long run.
//
// IdValues<V>: the same with words of another kind; V() is none.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "tsdb/index/epoch.h"

namespace tocsin::tsdb {

template <typename V>
class IdValues {
 public:
  explicit IdValues(EpochDomain& domain) : domain_(domain) {
    directory_.store(new Directory(kFirstDirectory), std::memory_order_release);
  }
  // Items that values point at are the owner's to delete.
  ~IdValues() {
    Directory* directory = directory_.load(std::memory_order_relaxed);
    for (uint32_t i = 0; i < directory->capacity; ++i) {
      delete directory->chunks[i].load(std::memory_order_relaxed);
    }
    delete directory;
  }

  uint32_t end() const { return end_.load(std::memory_order_acquire); }

  // V() for an id that was erased or not given yet.
  V Get(uint32_t id) const {
    const std::atomic<V>* place = Place(id);
    return place == nullptr ? V() : place->load(std::memory_order_acquire);
  }
  // Where the value is: for whoever reads it again, and for the writer until the id is erased.
  const std::atomic<V>* Place(uint32_t id) const {
    const Directory* directory = directory_.load(std::memory_order_acquire);
    if (id / kChunkIds >= directory->capacity) return nullptr;
    const Chunk* chunk = directory->chunks[id / kChunkIds].load(std::memory_order_acquire);
    return chunk == nullptr ? nullptr : &chunk->items[id % kChunkIds];
  }
  std::atomic<V>* Place(uint32_t id) {
    return const_cast<std::atomic<V>*>(std::as_const(*this).Place(id));
  }

  // Has the item's address in the cache by the time that Get is called, some steps later.
  void Prefetch(uint32_t id) const {
    const Directory* directory = directory_.load(std::memory_order_acquire);
    if (id / kChunkIds >= directory->capacity) return;
    const Chunk* chunk = directory->chunks[id / kChunkIds].load(std::memory_order_acquire);
    if (chunk != nullptr) __builtin_prefetch(&chunk->items[id % kChunkIds]);
  }

  // The id that the next Append gives.
  uint32_t next_id() const { return end_.load(std::memory_order_relaxed); }

  uint32_t Append(V item) {
    const uint32_t id = end_.load(std::memory_order_relaxed);
    Directory* directory = directory_.load(std::memory_order_relaxed);
    if (id / kChunkIds >= directory->capacity) directory = Grow(directory);
    std::atomic<Chunk*>& slot = directory->chunks[id / kChunkIds];
    Chunk* chunk = slot.load(std::memory_order_relaxed);
    if (chunk == nullptr) {
      chunk = new Chunk();
      slot.store(chunk, std::memory_order_release);
    }
    chunk->items[id % kChunkIds].store(item, std::memory_order_release);
    ++chunk->live;
    end_.store(id + 1, std::memory_order_release);
    return id;
  }

  // The caller retires what the value points at.
  void Erase(uint32_t id) {
    Directory* directory = directory_.load(std::memory_order_relaxed);
    std::atomic<Chunk*>& slot = directory->chunks[id / kChunkIds];
    Chunk* chunk = slot.load(std::memory_order_relaxed);
    chunk->items[id % kChunkIds].store(V(), std::memory_order_release);
    --chunk->live;
    const bool full = id / kChunkIds < end_.load(std::memory_order_relaxed) / kChunkIds;
    if (chunk->live == 0 && full) {
      slot.store(nullptr, std::memory_order_release);
      domain_.RetireDelete(chunk);
    }
  }

 private:
  static constexpr uint32_t kChunkIds = 1024;
  static constexpr uint32_t kFirstDirectory = 64;

  struct Chunk {
    std::array<std::atomic<V>, kChunkIds> items{};
    uint32_t live = 0;  // the writer's
  };
  struct Directory {
    explicit Directory(uint32_t n) : capacity(n), chunks(new std::atomic<Chunk*>[n]()) {}
    const uint32_t capacity;
    const std::unique_ptr<std::atomic<Chunk*>[]> chunks;
  };

  Directory* Grow(Directory* old) {
    auto* bigger = new Directory(old->capacity * 2);
    for (uint32_t i = 0; i < old->capacity; ++i) {
      bigger->chunks[i].store(old->chunks[i].load(std::memory_order_relaxed),
                              std::memory_order_relaxed);
    }
    directory_.store(bigger, std::memory_order_release);
    domain_.RetireDelete(old, old->capacity * sizeof(void*));
    return bigger;
  }

  EpochDomain& domain_;
  std::atomic<Directory*> directory_;
  std::atomic<uint32_t> end_{0};
};

template <typename T>
using IdArray = IdValues<T*>;

}  // namespace tocsin::tsdb
