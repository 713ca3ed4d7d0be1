#include "tsdb/index/postings.h"

#include <algorithm>
#include <bit>

namespace tocsin::tsdb {
namespace {

// From this ratio of lengths on, galloping beats walking both lists.
constexpr size_t kGallopRatio = 16;

// First position at or after `from` with value >= id.
size_t Gallop(IdSpan list, size_t from, uint32_t id) {
  size_t step = 1;
  size_t low = from;
  while (low + step < list.size() && list[low + step] < id) {
    low += step;
    step *= 2;
  }
  const auto first = list.begin() + static_cast<ptrdiff_t>(low);
  const auto last = list.begin() + static_cast<ptrdiff_t>(std::min(low + step + 1, list.size()));
  return static_cast<size_t>(std::lower_bound(first, last, id) - list.begin());
}

}  // namespace

IdList Intersect(IdSpan a, IdSpan b) {
  if (a.size() > b.size()) std::swap(a, b);
  // All ids from one to another, as a side with one schema has them.
  if (!b.empty() && b.back() - b.front() == b.size() - 1) {
    return {std::lower_bound(a.begin(), a.end(), b.front()),
            std::upper_bound(a.begin(), a.end(), b.back())};
  }
  IdList out;
  out.reserve(a.size());
  if (a.size() * kGallopRatio < b.size()) {
    size_t at = 0;
    for (const uint32_t id : a) {
      at = Gallop(b, at, id);
      if (at == b.size()) break;
      if (b[at] == id) out.push_back(id);
    }
    return out;
  }
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

IdList Difference(IdSpan a, IdSpan b) {
  IdList out;
  out.reserve(a.size());
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

void SortUnique(IdList* ids) {
  if (std::is_sorted(ids->begin(), ids->end())) {
    ids->erase(std::unique(ids->begin(), ids->end()), ids->end());
    return;
  }
  const uint32_t highest = *std::max_element(ids->begin(), ids->end());
  // A word of bitmap costs about what sorting one id costs.
  if (ids->size() < 256 || highest / 64 > ids->size()) {
    std::sort(ids->begin(), ids->end());
    ids->erase(std::unique(ids->begin(), ids->end()), ids->end());
    return;
  }
  std::vector<uint64_t> words(highest / 64 + 1);
  for (const uint32_t id : *ids) words[id / 64] |= uint64_t{1} << (id % 64);
  ids->clear();
  for (size_t w = 0; w < words.size(); ++w) {
    for (uint64_t word = words[w]; word != 0; word &= word - 1) {
      ids->push_back(static_cast<uint32_t>(w * 64 + static_cast<size_t>(std::countr_zero(word))));
    }
  }
}

IdSet::IdSet(IdSpan ids) {
  if (ids.empty()) return;
  first_ = ids.front();
  bits_ = ids.back() - first_ + 1;
  words_.resize(bits_ / 64 + 1);
  for (const uint32_t id : ids) words_[(id - first_) / 64] |= uint64_t{1} << ((id - first_) % 64);
}

}  // namespace tocsin::tsdb
