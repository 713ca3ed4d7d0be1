// Postings: strictly ascending lists of source or key ids, and the set operations on them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tocsin::tsdb {

using IdList = std::vector<uint32_t>;
using IdSpan = std::span<const uint32_t>;

// Gallops through the longer side when the other is much shorter.
IdList Intersect(IdSpan a, IdSpan b);
IdList Difference(IdSpan a, IdSpan b);  // a without b
// Sorts ids that were gathered from lists and drops repeats; by a bitmap where that is cheaper.
void SortUnique(IdList* ids);

// Membership in a fixed list, one bit an id between its ends.
class IdSet {
 public:
  explicit IdSet(IdSpan ids);
  bool Contains(uint32_t id) const {
    const uint32_t bit = id - first_;  // wraps below first_
    return bit < bits_ && (words_[bit / 64] >> (bit % 64) & 1) != 0;
  }

 private:
  uint32_t first_ = 0;
  uint32_t bits_ = 0;
  std::vector<uint64_t> words_;
};

}  // namespace tocsin::tsdb
