// Postings: sorted lists of source or key ids, and the set operations on them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tocsin::tsdb {

using IdList = std::vector<uint32_t>;  // strictly ascending
using IdSpan = std::span<const uint32_t>;

// Gallops when one side is much shorter.
IdList Intersect(IdSpan a, IdSpan b);
IdList Union(std::vector<IdList> lists);
IdList Difference(IdSpan a, IdSpan b);

}  // namespace tocsin::tsdb
