// PostingList: an append-only list of ascending ids in one word, readable without a lock.
//
//   0              empty
//   id << 1 | 1    one id: most values of unbounded labels have just one
//   pointer        a block: capacity, published length, ids
//
// The word lives in an atomic of the owner's. Appending in place only raises the block's length; a
// full block is replaced by a larger copy: the owner stores the new word and then, never before,
// retires the old one. One writer at a time; a reader's span lives as long as its pin.
//
//   Word longer = PostingList::Append(list, id);
//   atomic.store(longer); PostingList::Retire(list, longer, domain);
#pragma once

#include <cstddef>
#include <cstdint>

#include "tsdb/index/epoch.h"
#include "tsdb/index/postings.h"

namespace tocsin::tsdb {

class PostingList {
 public:
  using Word = uintptr_t;

  // Precondition: `id` is above every id in the list.
  static Word Append(Word list, uint32_t id);
  // The list without the ids of `dead`. The same word when none was in it.
  static Word Without(Word list, const IdSet& dead);
  // `old` was replaced by `now`: retires its block, if it is another one.
  static void Retire(Word old, Word now, EpochDomain& domain);
  // `scratch` holds the span of a one-id list.
  static IdSpan View(Word list, IdList* scratch);
  static void Delete(Word list);  // no readers are left
  static size_t MemoryBytes(Word list);
};

}  // namespace tocsin::tsdb
