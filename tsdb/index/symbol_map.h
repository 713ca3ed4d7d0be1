// SymbolMap: symbol id → one non-zero word, readable without a lock. Open addressing; growing or
// cleaning makes a new table and retires the old one. One writer at a time; readers hold a pin.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "tsdb/index/epoch.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {

class SymbolMap {
 public:
  using Word = uintptr_t;

  explicit SymbolMap(EpochDomain& domain) : domain_(domain) {
    table_.store(new Table(kFirstSlots), std::memory_order_release);
  }
  ~SymbolMap() { delete table_.load(std::memory_order_relaxed); }

  Word Find(SymbolId symbol) const {  // 0: none
    const Table* table = table_.load(std::memory_order_acquire);
    const size_t slot = table->Probe(symbol);
    if (table->slots[slot].symbol.load(std::memory_order_acquire) != symbol) return 0;
    return table->slots[slot].word.load(std::memory_order_acquire);
  }

  // visit(symbol, word) for every non-zero word until it returns false.
  template <typename Visit>
  void ForEach(Visit visit) const {
    const Table* table = table_.load(std::memory_order_acquire);
    for (size_t i = 0; i <= table->mask; ++i) {
      const SymbolId symbol = table->slots[i].symbol.load(std::memory_order_acquire);
      if (symbol == kNoId) continue;
      const Word word = table->slots[i].word.load(std::memory_order_acquire);
      if (word != 0 && !visit(symbol, word)) return;
    }
  }

  // Adds or overwrites; word 0 empties the entry, which Compact then drops.
  void Put(SymbolId symbol, Word word) {
    Table* table = table_.load(std::memory_order_relaxed);
    size_t slot = table->Probe(symbol);
    if (table->slots[slot].symbol.load(std::memory_order_relaxed) == kNoId) {
      if ((used_ + 1) * 4 > (table->mask + 1) * 3) {
        table = Rehash(used_ + 1);
        slot = table->Probe(symbol);
      }
      ++used_;
      table->slots[slot].word.store(word, std::memory_order_release);
      table->slots[slot].symbol.store(symbol, std::memory_order_release);
      return;
    }
    table->slots[slot].word.store(word, std::memory_order_release);
  }

  // Drops the entries with word 0.
  void Compact() {
    size_t kept = 0;
    ForEach([&](SymbolId, Word) {
      ++kept;
      return true;
    });
    if (kept != used_) Rehash(kept);
  }

  bool HasAny() const {
    bool any = false;
    ForEach([&](SymbolId, Word) {
      any = true;
      return false;
    });
    return any;
  }

  size_t used() const { return used_; }
  size_t memory_bytes() const {
    return (table_.load(std::memory_order_relaxed)->mask + 1) * sizeof(Slot);
  }

 private:
  static constexpr size_t kFirstSlots = 4;

  struct Slot {
    std::atomic<SymbolId> symbol{kNoId};
    std::atomic<Word> word{0};
  };
  struct Table {
    explicit Table(size_t n) : mask(n - 1), slots(new Slot[n]) {}
    // The slot that holds `symbol`, or the free one where it would be put.
    size_t Probe(SymbolId symbol) const {
      size_t i = (symbol * size_t{0x9e3779b97f4a7c15}) >> 32 & mask;
      while (true) {
        const SymbolId found = slots[i].symbol.load(std::memory_order_acquire);
        if (found == symbol || found == kNoId) return i;
        i = (i + 1) & mask;
      }
    }
    const size_t mask;
    const std::unique_ptr<Slot[]> slots;
  };

  // A table for about `entries`, without the empty ones.
  Table* Rehash(size_t entries) {
    Table* old = table_.load(std::memory_order_relaxed);
    size_t slots = kFirstSlots;
    while (entries * 3 > slots * 2) slots *= 2;
    auto* table = new Table(slots);
    used_ = 0;
    for (size_t i = 0; i <= old->mask; ++i) {
      const SymbolId symbol = old->slots[i].symbol.load(std::memory_order_relaxed);
      const Word word = old->slots[i].word.load(std::memory_order_relaxed);
      if (symbol == kNoId || word == 0) continue;
      Slot& slot = table->slots[table->Probe(symbol)];
      slot.word.store(word, std::memory_order_relaxed);
      slot.symbol.store(symbol, std::memory_order_relaxed);
      ++used_;
    }
    table_.store(table, std::memory_order_release);
    domain_.RetireDelete(old, (old->mask + 1) * sizeof(Slot));
    return table;
  }

  EpochDomain& domain_;
  std::atomic<Table*> table_;
  size_t used_ = 0;  // slots with a symbol, empty words included
};

}  // namespace tocsin::tsdb
