#include "tsdb/index/posting_list.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

#include "base/check.h"

namespace tocsin::tsdb {
namespace {

struct Block {
  uint32_t capacity;
  std::atomic<uint32_t> size;

  uint32_t* ids() { return reinterpret_cast<uint32_t*>(this + 1); }
  const uint32_t* ids() const { return reinterpret_cast<const uint32_t*>(this + 1); }
};

constexpr uint32_t kFirstCapacity = 6;  // a block of 32 bytes

size_t BytesOf(uint32_t capacity) { return sizeof(Block) + size_t{capacity} * sizeof(uint32_t); }

bool IsInline(PostingList::Word list) { return (list & 1) != 0; }
uint32_t InlineId(PostingList::Word list) { return static_cast<uint32_t>(list >> 1); }
PostingList::Word MakeInline(uint32_t id) { return static_cast<uintptr_t>(id) << 1 | 1; }
Block* AsBlock(PostingList::Word list) { return reinterpret_cast<Block*>(list); }

Block* NewBlock(uint32_t capacity) {
  auto* block = new (::operator new(BytesOf(capacity))) Block;
  block->capacity = capacity;
  block->size.store(0, std::memory_order_relaxed);
  return block;
}

void DeleteBlock(void* block) { ::operator delete(block); }

}  // namespace

PostingList::Word PostingList::Append(Word list, uint32_t id) {
  if (list == 0) return MakeInline(id);
  if (IsInline(list)) {
    DCHECK(id > InlineId(list));
    Block* block = NewBlock(kFirstCapacity);
    block->ids()[0] = InlineId(list);
    block->ids()[1] = id;
    block->size.store(2, std::memory_order_release);
    return reinterpret_cast<Word>(block);
  }
  Block* block = AsBlock(list);
  const uint32_t size = block->size.load(std::memory_order_relaxed);
  DCHECK(id > block->ids()[size - 1]);
  if (size < block->capacity) {
    block->ids()[size] = id;
    block->size.store(size + 1, std::memory_order_release);
    return list;
  }
  // Half as much again: lists of many ids waste a sixth on average.
  Block* bigger = NewBlock(block->capacity + block->capacity / 2 + 1);
  std::memcpy(bigger->ids(), block->ids(), size * sizeof(uint32_t));
  bigger->ids()[size] = id;
  bigger->size.store(size + 1, std::memory_order_release);
  return reinterpret_cast<Word>(bigger);
}

PostingList::Word PostingList::Without(Word list, const IdSet& dead) {
  if (list == 0) return list;
  if (IsInline(list)) return dead.Contains(InlineId(list)) ? 0 : list;
  Block* block = AsBlock(list);
  const uint32_t size = block->size.load(std::memory_order_relaxed);
  IdList kept;
  kept.reserve(size);
  std::copy_if(block->ids(), block->ids() + size, std::back_inserter(kept),
               [&](uint32_t id) { return !dead.Contains(id); });
  if (kept.size() == size) return list;
  Word result = 0;
  if (kept.size() == 1) {
    result = MakeInline(kept[0]);
  } else if (!kept.empty()) {
    const auto count = static_cast<uint32_t>(kept.size());
    Block* copy = NewBlock(std::max(kFirstCapacity, count + count / 8));
    std::memcpy(copy->ids(), kept.data(), count * sizeof(uint32_t));
    copy->size.store(count, std::memory_order_release);
    result = reinterpret_cast<Word>(copy);
  }
  return result;
}

void PostingList::Retire(Word old, Word now, EpochDomain& domain) {
  if (old == now || old == 0 || IsInline(old)) return;
  domain.Retire(AsBlock(old), BytesOf(AsBlock(old)->capacity), &DeleteBlock);
}

IdSpan PostingList::View(Word list, IdList* scratch) {
  if (list == 0) return {};
  if (IsInline(list)) {
    scratch->assign(1, InlineId(list));
    return *scratch;
  }
  const Block* block = AsBlock(list);
  return {block->ids(), block->size.load(std::memory_order_acquire)};
}

void PostingList::Delete(Word list) {
  if (list != 0 && !IsInline(list)) DeleteBlock(AsBlock(list));
}

size_t PostingList::MemoryBytes(Word list) {
  return list == 0 || IsInline(list) ? 0 : BytesOf(AsBlock(list)->capacity);
}

}  // namespace tocsin::tsdb
