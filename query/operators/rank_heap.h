// The order that topk, bottomk and sort give to values, and the binary heap that topk keeps its
// elements in: both as the reference has them, step by step. Which of several equal elements has to
// go when the heap is full, and how equal elements follow each other in the answer, is not said
// anywhere but follows from how they are moved.
//
// The best element is the largest or the smallest; a NaN is worse than everything, another NaN too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tocsin::query {

struct RankElement {
  double value;
  uint32_t series;
};

// The reference sorts up to so many elements by insertion; how it orders equal elements of longer
// lists is nothing to rely upon (here they keep their order).
inline constexpr size_t kInsertionMax = 12;

// Best first.
void SortBestFirst(bool largest, std::vector<RankElement>* elements);

// The worst element is at the front.
class RankHeap {
 public:
  void Push(RankElement element, bool largest);
  // At most `bound` elements: what is not better than the worst one stays outside.
  void PushBounded(RankElement element, size_t bound, bool largest);
  void Sort(bool largest) { SortBestFirst(largest, &elements_); }  // a heap no longer
  const std::vector<RankElement>& elements() const { return elements_; }
  size_t size() const { return elements_.size(); }

 private:
  void SinkFront(bool largest);

  std::vector<RankElement> elements_;
};

}  // namespace tocsin::query
