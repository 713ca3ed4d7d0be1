// SlidingFold: the fold of each window over an ascending run of samples, in O(samples + steps)
// combinations and without ever taking a sample out again (subtracting what left the window would
// leave its rounding errors behind, or an Inf). It keeps the folds of all suffixes of a front part
// and the fold of what came after; when the front part is used up, the rest becomes the next one.
//
//   begin   boundary          end
//     |--suffix--|---tail------|     fold = suffix[begin] + tail
//
// KahanSum: Neumaier's compensated sum, with the reference's treatment of infinities.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tocsin::query {

struct KahanSum {
  double sum = 0;
  double compensation = 0;

  void Add(double value) {
    const double total = sum + value;
    if (std::isinf(total)) [[unlikely]] {
      compensation = 0;
    } else if (std::fabs(sum) >= std::fabs(value)) {
      compensation += (sum - total) + value;
    } else {
      compensation += (value - total) + sum;
    }
    sum = total;
  }
  void Add(const KahanSum& other) {
    Add(other.sum);
    compensation += other.compensation;
    if (std::isinf(sum)) [[unlikely]]
      compensation = 0;
  }
  double value() const { return std::isinf(sum) ? sum : sum + compensation; }
};

// Fold needs: Fold() is the fold of nothing; void Append(const Fold& later).
template <typename Fold, typename MakeFold>
class SlidingFold {
 public:
  // make(i): the fold of sample i alone.
  explicit SlidingFold(MakeFold make) : make_(std::move(make)) {}

  // Both arguments never fall from call to call.
  Fold Window(size_t begin, size_t end) {
    if (begin >= boundary_) MoveBoundary(begin, end);
    for (; tail_end_ < end; ++tail_end_) tail_.Append(make_(tail_end_));
    if (begin >= boundary_) return tail_;  // an empty front part
    Fold fold = suffixes_[boundary_ - 1 - begin];
    fold.Append(tail_);
    return fold;
  }

 private:
  void MoveBoundary(size_t begin, size_t end) {
    suffixes_.clear();
    Fold fold;
    for (size_t i = end; i > begin; --i) {
      Fold one = make_(i - 1);
      one.Append(fold);
      fold = one;
      suffixes_.push_back(fold);
    }
    boundary_ = end;
    tail_end_ = end;
    tail_ = Fold();
  }

  MakeFold make_;
  std::vector<Fold> suffixes_;  // suffixes_[boundary_ - 1 - i]: samples [i, boundary_)
  size_t boundary_ = 0;
  size_t tail_end_ = 0;
  Fold tail_;  // samples [boundary_, tail_end_)
};

}  // namespace tocsin::query
