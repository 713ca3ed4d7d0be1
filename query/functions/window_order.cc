// min, max, their times, quantile and median absolute deviation over time. Extremes slide on a
// monotonic queue; quantiles on the sorted window, kept by binary insertion and removal.
#include <algorithm>
#include <cmath>

#include "query/functions/quantile.h"
#include "query/functions/window_kernels.h"

namespace tocsin::query {
namespace {

// Which of equal values counts: 0 and -0 are equal, and times differ.
enum class OfEqual { kFirst, kLast };

// Indices of the candidates for the extreme of the current window, best first. NaN is never a
// candidate.
template <typename Better, OfEqual kOfEqual>
class ExtremeQueue {
 public:
  ExtremeQueue(std::span<const double> values, std::vector<uint32_t>* buffer)
      : values_(values), queue_(*buffer) {
    queue_.clear();
  }
  // Windows never move back. SIZE_MAX when the window holds no number.
  size_t Window(uint32_t begin, uint32_t end) {
    for (; next_ < end; ++next_) {
      if (std::isnan(values_[next_])) continue;
      while (queue_.size() > head_ && Beats(values_[next_], values_[queue_.back()]))
        queue_.pop_back();
      queue_.push_back(next_);
    }
    while (head_ < queue_.size() && queue_[head_] < begin) ++head_;
    return head_ < queue_.size() ? queue_[head_] : SIZE_MAX;
  }

 private:
  static bool Beats(double later, double earlier) {
    return kOfEqual == OfEqual::kFirst ? Better()(later, earlier) : !Better()(earlier, later);
  }

  const std::span<const double> values_;
  std::vector<uint32_t>& queue_;
  size_t head_ = 0;
  uint32_t next_ = 0;
};

template <typename Better, OfEqual kOfEqual>
Status Extreme(const WindowCall& call, const WindowInput& in, const WindowOutput& out) {
  AnnotateIgnoredHistograms(call, in);
  ExtremeQueue<Better, kOfEqual> queue(in.column->values, &in.scratch->indices);
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (in.FloatsIn(t) == 0) continue;
    size_t best = queue.Window(in.floats->begin[t], in.floats->end[t]);
    // Nothing but NaN: the reference then goes from NaN to NaN up to the last.
    if (best == SIZE_MAX) best = in.floats->end[t] - 1;
    const bool want_time = kOfEqual == OfEqual::kLast;
    out.Set(t, want_time ? static_cast<double>(in.column->timestamps[best]) / 1000
                         : in.column->values[best]);
  }
  return Status::Ok();
}

struct NanFirst {
  bool operator()(double a, double b) const {
    if (std::isnan(b)) return false;
    return std::isnan(a) || a < b;
  }
};

// The values of a window that never moves back, sorted, NaN first.
class SortedWindow {
 public:
  SortedWindow(std::span<const double> values, std::vector<double>* buffer)
      : values_(values), sorted_(*buffer) {
    sorted_.clear();
  }
  const std::vector<double>& Window(uint32_t begin, uint32_t end) {
    if (begin >= end_ || (begin - begin_) + (end - end_) > kChangesMax) {
      sorted_.assign(values_.begin() + begin, values_.begin() + end);
      std::sort(sorted_.begin(), sorted_.end(), NanFirst());
    } else {
      for (; begin_ < begin; ++begin_) Remove(values_[begin_]);
      for (; end_ < end; ++end_) {
        sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), values_[end_], NanFirst()),
                       values_[end_]);
      }
    }
    begin_ = begin;
    end_ = end;
    return sorted_;
  }

 private:
  void Remove(double value) {
    const auto it = std::lower_bound(sorted_.begin(), sorted_.end(), value, NanFirst());
    DCHECK(it != sorted_.end());
    sorted_.erase(it);
  }

  // Each change moves half the window; sorting it anew costs as much as about so many of them.
  static constexpr uint32_t kChangesMax = 64;

  const std::span<const double> values_;
  std::vector<double>& sorted_;
  uint32_t begin_ = 0;
  uint32_t end_ = 0;
};

// NaN as soon as one value is NaN.
double MedianAbsoluteDeviation(const std::vector<double>& sorted, std::vector<double>* distances) {
  if (std::isnan(sorted.front())) return model::NormalNan();
  const double median = QuantileOfSorted(0.5, sorted);
  distances->clear();
  for (const double value : sorted) distances->push_back(std::fabs(value - median));
  std::sort(distances->begin(), distances->end(), NanFirst());
  return QuantileOfSorted(0.5, *distances);
}

}  // namespace

double QuantileOfSorted(double q, std::span<const double> sorted) {
  if (sorted.empty() || std::isnan(q)) return model::NormalNan();
  if (q < 0) return -INFINITY;
  if (q > 1) return INFINITY;
  const auto n = static_cast<double>(sorted.size());
  const double rank = q * (n - 1);
  const double lower = std::max(0.0, std::floor(rank));
  const double upper = std::min(n - 1, lower + 1);
  const double weight = rank - std::floor(rank);
  return sorted[static_cast<size_t>(lower)] * (1 - weight) +
         sorted[static_cast<size_t>(upper)] * weight;
}

void SortForQuantile(std::vector<double>* values) {
  std::sort(values->begin(), values->end(), NanFirst());
}

TOCSIN_WINDOW_KERNEL(MinOverTime) {
  return Extreme<std::less<double>, OfEqual::kFirst>(call, in, out);
}
TOCSIN_WINDOW_KERNEL(MaxOverTime) {
  return Extreme<std::greater<double>, OfEqual::kFirst>(call, in, out);
}
// The time of the last of them.
TOCSIN_WINDOW_KERNEL(TsOfMinOverTime) {
  return Extreme<std::less<double>, OfEqual::kLast>(call, in, out);
}
TOCSIN_WINDOW_KERNEL(TsOfMaxOverTime) {
  return Extreme<std::greater<double>, OfEqual::kLast>(call, in, out);
}

TOCSIN_WINDOW_KERNEL(QuantileOverTime) {
  AnnotateIgnoredHistograms(call, in);
  SortedWindow window(in.column->values, &in.scratch->sorted);
  RunningPoll poll(*call.context);
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (in.FloatsIn(t) == 0) continue;
    TOCSIN_RETURN_IF_ERROR(poll.LookedAt(in.FloatsIn(t)));
    const double q = call.scalars[0][t];
    if (!(q >= 0 && q <= 1)) {
      call.context->annotations.InvalidQuantile(q, call.first_position);
    }
    out.Set(t, QuantileOfSorted(q, window.Window(in.floats->begin[t], in.floats->end[t])));
  }
  return Status::Ok();
}

TOCSIN_WINDOW_KERNEL(MadOverTime) {
  AnnotateIgnoredHistograms(call, in);
  SortedWindow window(in.column->values, &in.scratch->sorted);
  RunningPoll poll(*call.context);
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (in.FloatsIn(t) == 0) continue;
    TOCSIN_RETURN_IF_ERROR(poll.LookedAt(in.FloatsIn(t)));
    out.Set(t, MedianAbsoluteDeviation(window.Window(in.floats->begin[t], in.floats->end[t]),
                                       &in.scratch->doubles));
  }
  return Status::Ok();
}

}  // namespace tocsin::query
