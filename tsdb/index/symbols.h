// SymbolTable: label names and values, interned: one number a distinct string.
//
// Thread contract: one writer at a time (Intern, Release); Find and Text from any thread that holds
// a pin on the domain. Ids are never reused; a string lives as long as it is referenced, and then
// as long as the pins of that moment.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tsdb/index/epoch.h"
#include "tsdb/index/id_array.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {

class SymbolTable {
 public:
  explicit SymbolTable(EpochDomain& domain);
  ~SymbolTable();

  // Takes one reference on the symbol.
  SymbolId Intern(std::string_view text);
  // One more reference on a symbol that has some.
  void AddReference(SymbolId id);
  // Drops one; with the last one the symbol goes.
  void Release(SymbolId id);

  SymbolId Find(std::string_view text) const;  // or kNoId
  std::string_view Text(SymbolId id) const;    // "" for a symbol that is gone
  // For walks over many texts, which lie anywhere: the place of the text's address, then the text,
  // each some steps ahead of the next.
  void PrefetchAddress(SymbolId id) const { symbols_.Prefetch(id); }
  void PrefetchText(SymbolId id) const { __builtin_prefetch(symbols_.Get(id)); }

  size_t size() const { return live_; }
  size_t memory_bytes() const { return memory_bytes_; }

 private:
  struct Symbol;
  struct Table;
  void Insert(Table& table, uint64_t hash, SymbolId id);
  void Rebuild();
  static size_t SizeOf(size_t text_bytes);

  EpochDomain& domain_;
  IdArray<Symbol> symbols_;
  std::atomic<Table*> table_;
  // The writer's.
  size_t live_ = 0;
  size_t used_slots_ = 0;  // tombstones included
  size_t memory_bytes_ = 0;
};

}  // namespace tocsin::tsdb
