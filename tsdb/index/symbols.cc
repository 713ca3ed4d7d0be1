#include "tsdb/index/symbols.h"

#include <xxhash.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "base/check.h"

namespace tocsin::tsdb {

// The text follows the struct in the same allocation.
struct SymbolTable::Symbol {
  uint32_t references = 0;  // the writer's
  uint32_t length = 0;

  std::string_view text() const { return {reinterpret_cast<const char*>(this + 1), length}; }
  static Symbol* New(std::string_view text) {
    void* memory = ::operator new(sizeof(Symbol) + text.size());
    auto* symbol = new (memory) Symbol;
    symbol->length = static_cast<uint32_t>(text.size());
    if (!text.empty()) std::memcpy(static_cast<void*>(symbol + 1), text.data(), text.size());
    return symbol;
  }
  static void Delete(void* symbol) { ::operator delete(symbol); }
};

// Open addressing, linear probing. A slot: high half of the hash << 32 | (id + 1); 0 = empty,
// kTombstone = removed.
struct SymbolTable::Table {
  explicit Table(size_t n) : mask(n - 1), slots(new std::atomic<uint64_t>[n]()) {}
  const size_t mask;
  const std::unique_ptr<std::atomic<uint64_t>[]> slots;
};

namespace {

constexpr size_t kFirstSlots = 256;
constexpr uint64_t kTombstone = uint64_t{1} << 32;

uint64_t HashOf(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }
uint64_t SlotOf(uint64_t hash, SymbolId id) {
  return (hash & 0xffffffff00000000) | (uint64_t{id} + 1);
}

}  // namespace

SymbolTable::SymbolTable(EpochDomain& domain) : domain_(domain), symbols_(domain) {
  table_.store(new Table(kFirstSlots), std::memory_order_release);
}

SymbolTable::~SymbolTable() {
  for (SymbolId id = 0; id < symbols_.end(); ++id) {
    if (Symbol* symbol = symbols_.Get(id)) Symbol::Delete(symbol);
  }
  delete table_.load(std::memory_order_relaxed);
}

size_t SymbolTable::SizeOf(size_t text_bytes) {
  // Text, head, allocator's round-up, pointer, about two table slots.
  return sizeof(Symbol) + text_bytes + 8 + sizeof(void*) + 16;
}

SymbolId SymbolTable::Find(std::string_view text) const {
  const uint64_t hash = HashOf(text);
  const Table* table = table_.load(std::memory_order_acquire);
  for (size_t i = hash & table->mask;; i = (i + 1) & table->mask) {
    const uint64_t slot = table->slots[i].load(std::memory_order_acquire);
    if (slot == 0) return kNoId;
    if (slot == kTombstone || (slot ^ hash) >> 32 != 0) continue;
    const auto id = static_cast<SymbolId>((slot & 0xffffffff) - 1);
    const Symbol* symbol = symbols_.Get(id);
    if (symbol != nullptr && symbol->text() == text) return id;
  }
}

std::string_view SymbolTable::Text(SymbolId id) const {
  const Symbol* symbol = symbols_.Get(id);
  return symbol == nullptr ? std::string_view() : symbol->text();
}

SymbolId SymbolTable::Intern(std::string_view text) {
  SymbolId id = Find(text);
  if (id != kNoId) {
    ++symbols_.Get(id)->references;
    return id;
  }
  Symbol* symbol = Symbol::New(text);
  symbol->references = 1;
  id = symbols_.Append(symbol);
  ++live_;
  memory_bytes_ += SizeOf(text.size());
  if ((used_slots_ + 1) * 4 > (table_.load(std::memory_order_relaxed)->mask + 1) * 3) {
    Rebuild();  // takes in the new symbol, too
  } else {
    Insert(*table_.load(std::memory_order_relaxed), HashOf(text), id);
  }
  return id;
}

void SymbolTable::AddReference(SymbolId id) { ++symbols_.Get(id)->references; }

void SymbolTable::Release(SymbolId id) {
  Symbol* symbol = symbols_.Get(id);
  DCHECK(symbol != nullptr && symbol->references > 0);
  if (--symbol->references > 0) return;
  const uint64_t hash = HashOf(symbol->text());
  const uint64_t wanted = SlotOf(hash, id);
  Table* table = table_.load(std::memory_order_relaxed);
  size_t i = hash & table->mask;
  while (table->slots[i].load(std::memory_order_relaxed) != wanted) i = (i + 1) & table->mask;
  table->slots[i].store(kTombstone, std::memory_order_release);
  symbols_.Erase(id);
  --live_;
  memory_bytes_ -= SizeOf(symbol->length);
  domain_.Retire(symbol, sizeof(Symbol) + symbol->length, &Symbol::Delete);
}

void SymbolTable::Insert(Table& table, uint64_t hash, SymbolId id) {
  size_t i = hash & table.mask;
  while (table.slots[i].load(std::memory_order_relaxed) != 0) i = (i + 1) & table.mask;
  table.slots[i].store(SlotOf(hash, id), std::memory_order_release);
  ++used_slots_;
}

void SymbolTable::Rebuild() {
  Table* old = table_.load(std::memory_order_relaxed);
  size_t slots = kFirstSlots;
  while (live_ * 2 > slots) slots *= 2;
  auto* table = new Table(slots);
  used_slots_ = 0;
  // Every live symbol is in the old table but the one just appended.
  for (size_t i = 0; i <= old->mask; ++i) {
    const uint64_t slot = old->slots[i].load(std::memory_order_relaxed);
    if (slot == 0 || slot == kTombstone) continue;
    const auto id = static_cast<SymbolId>((slot & 0xffffffff) - 1);
    Insert(*table, HashOf(symbols_.Get(id)->text()), id);
  }
  const SymbolId last = symbols_.end() - 1;
  Insert(*table, HashOf(symbols_.Get(last)->text()), last);
  table_.store(table, std::memory_order_release);
  domain_.RetireDelete(old, (old->mask + 1) * sizeof(uint64_t));
}

}  // namespace tocsin::tsdb
