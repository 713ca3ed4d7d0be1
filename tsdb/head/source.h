// Source: what the head keeps of one source: its pages, and how many writers hold it.
//
// Thread contract: the writer's members are guarded by the mutex of the source's shard. Readers
// take page() without a lock; a source dies after the last pin that could know it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "model/labels.h"
#include "model/storage.h"
#include "tsdb/head/page.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {

class Source {
 public:
  Source(SourceId source_id, model::Origin source_origin, model::Labels source_labels,
         uint32_t shard_number, uint64_t source_incarnation)
      : id(source_id),
        origin(std::move(source_origin)),
        labels(std::move(source_labels)),
        shard(shard_number),
        incarnation(source_incarnation) {}

  // --- fixed ---
  const SourceId id;
  const model::Origin origin;
  const model::Labels labels;
  const uint32_t shard;
  // Random, kept over restarts: a source that was removed and came back has other slots, and the
  // log may still hold frames of both.
  const uint64_t incarnation;

  // --- for readers: null when the source has no such page (yet) ---
  const Page* page(uint32_t number) const {
    const Table* table = table_.load(std::memory_order_acquire);
    if (table == nullptr || number >= table->capacity) return nullptr;
    return table->pages[number].load(std::memory_order_acquire);
  }

  // --- the writer's ---
  uint32_t page_count() const { return static_cast<uint32_t>(pages_.size()); }
  Page& writable_page(uint32_t number) { return *pages_[number]; }
  // Makes pages up to `number`.
  Page& AddPage(uint32_t number);
  bool has_runs() const;

  uint32_t handles = 0;                 // SourceWriters that are open
  uint64_t live_slots = 0;              // with a key
  std::vector<model::Slot> free_slots;  // without a key, to be used again
  bool logged = false;                  // the open log file knows the source
  int64_t idle_since_ms = 0;            // without handles and samples since then; 0 = it is not
  uint64_t batch = 0;  // last batch that has a row of it: finds batches with several

 private:
  struct Table {
    explicit Table(uint32_t n) : capacity(n), pages(new std::atomic<Page*>[n]()) {}
    const uint32_t capacity;
    const std::unique_ptr<std::atomic<Page*>[]> pages;
  };

  std::atomic<Table*> table_{nullptr};
  // Owns. Outgrown tables stay until the source dies: together they are no larger than the last.
  std::vector<std::unique_ptr<Table>> tables_;
  std::vector<std::unique_ptr<Page>> pages_;
};

}  // namespace tocsin::tsdb
