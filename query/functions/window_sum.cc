// sum, avg, stddev and stdvar over time. Windows that overlap little are added up one by one, in
// the reference's own order of operations; others through SlidingFold.
#include <cmath>

#include "query/functions/sliding.h"
#include "query/functions/window_histogram.h"
#include "query/functions/window_kernels.h"

namespace tocsin::query {
namespace {

// How often a sample may be visited by adding windows up one by one before folding pays.
constexpr int64_t kDirectVisits = 6;

// Adding a histogram, in additions of floats.
constexpr size_t kHistogramCost = 50;

bool IsDirect(const WindowInput& in) {
  return in.floats->total <= kDirectVisits * static_cast<int64_t>(in.column->values.size());
}

KahanSum DirectSum(std::span<const double> values) {
  KahanSum sum;
  for (const double value : values) sum.Add(value);
  return sum;
}

// Calls emit(t, sum) for every step with floats.
template <typename Emit>
void ForEachSum(const WindowCall& call, const WindowInput& in, const Emit& emit) {
  const std::span<const double> values = in.column->values;
  if (IsDirect(in)) {
    for (size_t t = 0; t < call.times.size(); ++t) {
      if (in.FloatsIn(t) > 0) emit(t, DirectSum(in.FloatValues(t)));
    }
    return;
  }
  struct Fold {
    KahanSum sum;
    void Append(const Fold& later) { sum.Add(later.sum); }
  };
  const auto make = [values](size_t i) {
    Fold fold;
    fold.sum.sum = values[i];
    return fold;
  };
  SlidingFold<Fold, decltype(make)> sliding(make);
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (in.FloatsIn(t) > 0) emit(t, sliding.Window(in.floats->begin[t], in.floats->end[t]).sum);
  }
}

// The mean by small steps: for sums that leave the range of a double.
double IncrementalMean(std::span<const double> values) {
  KahanSum sum;
  sum.sum = values.front();
  KahanSum mean;
  bool incremental = false;
  double count = 1;
  for (const double value : values.subspan(1)) {
    count += 1;
    if (!incremental) {
      KahanSum next = sum;
      next.Add(value);
      if (!std::isinf(next.sum)) {
        sum = next;
        continue;
      }
      incremental = true;
      mean.sum = sum.sum / (count - 1);
      mean.compensation = sum.compensation / (count - 1);
    }
    const double q = (count - 1) / count;
    mean.sum *= q;
    mean.compensation *= q;
    mean.Add(value / count);
  }
  if (incremental) return mean.sum + mean.compensation;
  return sum.sum / count + sum.compensation / count;
}

// Welford's count, mean and sum of squared distances; Append by Chan's formula.
struct Moments {
  double count = 0;
  double mean = 0;
  double squares = 0;

  void Append(const Moments& later) {
    if (later.count == 0) return;
    if (count == 0) {
      *this = later;
      return;
    }
    const double total = count + later.count;
    const double delta = later.mean - mean;
    mean += delta * (later.count / total);
    squares += later.squares + delta * delta * (count * later.count / total);
    count = total;
  }
  double variance() const { return squares / count; }
};

double DirectVariance(std::span<const double> values) {
  double count = 0;
  KahanSum mean;
  KahanSum squares;
  for (const double value : values) {
    count += 1;
    const double delta = value - (mean.sum + mean.compensation);
    mean.Add(delta / count);
    squares.Add(delta * (value - (mean.sum + mean.compensation)));
  }
  return (squares.sum + squares.compensation) / count;
}

template <typename Emit>
void ForEachVariance(const WindowCall& call, const WindowInput& in, const Emit& emit) {
  const std::span<const double> values = in.column->values;
  if (IsDirect(in)) {
    for (size_t t = 0; t < call.times.size(); ++t) {
      if (in.FloatsIn(t) > 0) emit(t, DirectVariance(in.FloatValues(t)));
    }
    return;
  }
  // An infinity spoils the distance from the mean, as it does sample by sample.
  const auto make = [values](size_t i) { return Moments{1, values[i], 0 * values[i]}; };
  SlidingFold<Moments, decltype(make)> sliding(make);
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (in.FloatsIn(t) > 0) {
      emit(t, sliding.Window(in.floats->begin[t], in.floats->end[t]).variance());
    }
  }
}

Status HistogramSums(const WindowCall& call, const WindowInput& in, const WindowOutput& out,
                     bool average) {
  if (in.histograms == nullptr) return Status::Ok();
  RunningPoll poll(*call.context);
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (in.HistogramsIn(t) == 0) continue;
    TOCSIN_RETURN_IF_ERROR(poll.LookedAt(kHistogramCost * in.HistogramsIn(t)));
    if (RefusesMix(call, in, t)) {
      out.batch->kinds(out.row)[t] = PointKind::kAbsent;
    } else {
      SumHistograms(call, in, out, t, average);
    }
  }
  return Status::Ok();
}

}  // namespace

TOCSIN_WINDOW_KERNEL(SumOverTime) {
  ForEachSum(call, in, [&](size_t t, const KahanSum& sum) { out.Set(t, sum.value()); });
  return HistogramSums(call, in, out, false);
}

TOCSIN_WINDOW_KERNEL(AvgOverTime) {
  ForEachSum(call, in, [&](size_t t, const KahanSum& sum) {
    const auto count = static_cast<double>(in.FloatsIn(t));
    out.Set(t, std::isfinite(sum.sum) ? sum.sum / count + sum.compensation / count
                                      : IncrementalMean(in.FloatValues(t)));
  });
  return HistogramSums(call, in, out, true);
}

TOCSIN_WINDOW_KERNEL(StdvarOverTime) {
  AnnotateIgnoredHistograms(call, in);
  ForEachVariance(call, in, [&](size_t t, double variance) { out.Set(t, variance); });
  return Status::Ok();
}

TOCSIN_WINDOW_KERNEL(StddevOverTime) {
  AnnotateIgnoredHistograms(call, in);
  ForEachVariance(call, in, [&](size_t t, double variance) { out.Set(t, std::sqrt(variance)); });
  return Status::Ok();
}

}  // namespace tocsin::query
