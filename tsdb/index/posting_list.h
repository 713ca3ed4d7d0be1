// PostingList: an append-only list of ascending ids in one word, readable without a lock.
//
//   0              empty
//   id << 1 | 1    one id: most values of unbounded labels have just one
//   pointer        a block: capacity, published length, ids
//
// The word lives in an atomic of the owner's; appending gives the word to store there. Appending in
// place only raises the block's length; a full block is replaced by a larger copy and retired. One
// writer at a time; a reader's span lives as long as its pin.
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
  static Word Append(Word list, uint32_t id, EpochDomain& domain);
  // The list without the ids of `dead`; the old block is retired. The same word when none was in
  // it.
  static Word Without(Word list, const IdSet& dead, EpochDomain& domain);
  // `scratch` holds the span of a one-id list.
  static IdSpan View(Word list, IdList* scratch);
  static void Delete(Word list);  // no readers are left
  static size_t MemoryBytes(Word list);
};

}  // namespace tocsin::tsdb
