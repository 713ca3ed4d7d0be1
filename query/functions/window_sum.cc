// sum, avg, stddev and stdvar over time. Windows that overlap little are added up one by one, in
// the reference's own order of operations; others through SlidingFold. Sums fold pieces: what lies
// between two neighbouring ends of windows is added up once, four samples at a time, where such
// pieces are long enough.
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

// Four sums side by side, each with its rounding errors (Knuth's two-sum), put together in order.
constexpr size_t kLanes = 4;
[[gnu::always_inline]] inline KahanSum LaneSum(const double* v, size_t count) {
  double sum[kLanes] = {};
  double compensation[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const double total = sum[lane] + v[i + lane];
      const double part = total - sum[lane];
      compensation[lane] += (sum[lane] - (total - part)) + (v[i + lane] - part);
      sum[lane] = total;
    }
  }
  KahanSum all{sum[0], compensation[0]};
  for (size_t lane = 1; lane < kLanes; ++lane) all.Add(KahanSum{sum[lane], compensation[lane]});
  for (; i < count; ++i) all.Add(v[i]);
  return all;
}

// The same numbers with wider registers.
[[gnu::target("avx2")]] KahanSum LaneSumAvx2(const double* v, size_t count) {
  return LaneSum(v, count);
}

KahanSum PieceSum(std::span<const double> values) {
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  const KahanSum sum =
      has_avx2 ? LaneSumAvx2(values.data(), values.size()) : LaneSum(values.data(), values.size());
  // Infinities: as they are added up one by one.
  return std::isfinite(sum.sum) ? sum : DirectSum(values);
}

struct SumFold {
  KahanSum sum;
  void Append(const SumFold& later) { sum.Add(later.sum); }
};

// Samples that a piece must have, on average, to be worth it.
constexpr size_t kPieceSamplesMin = 4;

// The ends of all windows, in order: piece p is samples [ends[p], ends[p + 1]). False when there
// are too many.
bool FindPieces(const Windows& windows, size_t samples, std::vector<uint32_t>* ends) {
  const size_t most = samples / kPieceSamplesMin;
  ends->clear();
  size_t b = 0;
  size_t e = 0;
  const size_t steps = windows.begin.size();
  while (e < steps) {
    const bool begins = b < steps && windows.begin[b] <= windows.end[e];
    const uint32_t at = begins ? windows.begin[b++] : windows.end[e++];
    if (!ends->empty() && ends->back() == at) continue;
    if (ends->size() > most) return false;
    ends->push_back(at);
  }
  return true;
}

template <typename Emit>
void ForEachSumOfPieces(const WindowCall& call, const WindowInput& in,
                        const std::vector<uint32_t>& ends, const Emit& emit) {
  const std::span<const double> values = in.column->values;
  std::vector<SumFold> pieces;
  pieces.reserve(ends.size());
  for (size_t p = 0; p + 1 < ends.size(); ++p) {
    pieces.push_back({PieceSum(values.subspan(ends[p], ends[p + 1] - ends[p]))});
  }
  const auto piece = [&pieces](size_t p) { return pieces[p]; };
  SlidingFold<SumFold, decltype(piece)> sliding(piece);
  size_t begin = 0;
  size_t end = 0;
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (in.FloatsIn(t) == 0) continue;
    while (ends[begin] < in.floats->begin[t]) ++begin;
    while (ends[end] < in.floats->end[t]) ++end;
    emit(t, sliding.Window(begin, end).sum);
  }
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
  std::vector<uint32_t>& ends = in.scratch->indices;
  if (FindPieces(*in.floats, values.size(), &ends)) {
    return ForEachSumOfPieces(call, in, ends, emit);
  }
  const auto make = [values](size_t i) {
    SumFold fold;
    fold.sum.sum = values[i];
    return fold;
  };
  SlidingFold<SumFold, decltype(make)> sliding(make);
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
