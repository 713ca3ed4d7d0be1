#include "query/operators/rank_heap.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tocsin::query {
namespace {

bool Worse(const RankElement& a, const RankElement& b, bool largest) {
  if (std::isnan(a.value)) return true;
  return largest ? a.value < b.value : a.value > b.value;
}

}  // namespace

void SortBestFirst(bool largest, std::vector<RankElement>* elements) {
  std::vector<RankElement>& all = *elements;
  if (all.size() > kInsertionMax) {
    const auto numbers_end = std::stable_partition(
        all.begin(), all.end(), [](const RankElement& e) { return !std::isnan(e.value); });
    std::stable_sort(all.begin(), numbers_end,
                     [largest](const RankElement& a, const RankElement& b) {
                       return largest ? a.value > b.value : a.value < b.value;
                     });
    return;
  }
  for (size_t i = 1; i < all.size(); ++i) {
    for (size_t j = i; j > 0 && Worse(all[j - 1], all[j], largest); --j) {
      std::swap(all[j - 1], all[j]);
    }
  }
}

void RankHeap::Push(RankElement element, bool largest) {
  elements_.push_back(element);
  for (size_t child = elements_.size() - 1; child > 0;) {
    const size_t parent = (child - 1) / 2;
    if (!Worse(elements_[child], elements_[parent], largest)) break;
    std::swap(elements_[child], elements_[parent]);
    child = parent;
  }
}

void RankHeap::PushBounded(RankElement element, size_t bound, bool largest) {
  if (elements_.size() < bound) return Push(element, largest);
  const double worst = elements_.front().value;
  const bool better = largest ? worst < element.value : worst > element.value;
  if (!better && (!std::isnan(worst) || std::isnan(element.value))) return;
  elements_.front() = element;
  SinkFront(largest);
}

void RankHeap::SinkFront(bool largest) {
  for (size_t parent = 0;;) {
    size_t child = 2 * parent + 1;
    if (child >= elements_.size()) return;
    if (child + 1 < elements_.size() && Worse(elements_[child + 1], elements_[child], largest)) {
      ++child;
    }
    if (!Worse(elements_[child], elements_[parent], largest)) return;
    std::swap(elements_[parent], elements_[child]);
    parent = child;
  }
}

}  // namespace tocsin::query
