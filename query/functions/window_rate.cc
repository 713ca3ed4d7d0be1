// rate, increase, delta (extrapolated to the window's ends) and irate, idelta (last two samples).
//
// Everything that depends on timestamps alone is computed once for all columns that share them
// (RateFactors); per series and step remain a difference, the resets in between and a product.
// Source of the extrapolation rules: the documentation of rate() and the reference's behaviour.
#include <algorithm>
#include <cmath>

#include "query/functions/extrapolation.h"
#include "query/functions/window_histogram.h"
#include "query/functions/window_kernels.h"
#include "query/histogram_math.h"

namespace tocsin::query {

using model::Timestamp;

void AnnotateNonCounter(const WindowCall& call, size_t series) {
  if (call.namer->SameForAll() && call.counter_checked->exchange(true)) return;
  const std::string name = call.namer->MetricName(series);
  if (name.empty()) return;
  if (call.context->language.type_and_unit_labels) {
    const std::string type = call.namer->TypeLabel(series);
    if (type != "counter" && type != "histogram") {
      call.context->annotations.PossibleNonCounterType(name, type, call.position);
    }
    return;
  }
  for (const std::string_view suffix : {"_total", "_sum", "_count", "_bucket"}) {
    if (name.ends_with(suffix)) return;
  }
  call.context->annotations.PossibleNonCounter(name, call.position);
}

namespace {

void ComputeFactors(const WindowCall& call, const WindowInput& in, RateKind kind) {
  RateFactors& f = in.scratch->rate;
  const size_t steps = call.times.size();
  f.sampled_seconds.resize(steps);
  f.to_start_seconds.resize(steps);
  f.to_end_seconds.resize(steps);
  f.factor.resize(steps);
  const double range_seconds = RangeSeconds(call, kind);
  const std::span<const Timestamp> times = in.column->timestamps;
  for (size_t t = 0; t < steps; ++t) {
    const uint32_t begin = in.floats->begin[t];
    const uint32_t end = in.floats->end[t];
    if (end - begin < 2) continue;
    const Extrapolation e = Extrapolate(times[begin], times[end - 1], end - begin - 1,
                                        call.times[t] - call.range_ms, call.times[t]);
    f.sampled_seconds[t] = e.sampled_seconds;
    f.to_start_seconds[t] = e.to_start_seconds;
    f.to_end_seconds[t] = e.to_end_seconds;
    f.factor[t] = e.Factor(range_seconds);
  }
  f.valid = true;
}

bool UsesStartTimes(const WindowCall& call, const WindowInput& in) {
  return call.context->language.start_timestamps && !in.column->start_timestamps.empty();
}

[[gnu::always_inline]] inline bool AnyFallIn(const double* v, size_t count) {
  uint64_t any = 0;
  for (size_t i = 1; i < count; ++i) any |= static_cast<uint64_t>(v[i] < v[i - 1]);
  return any != 0;
}

[[gnu::target("avx2")]] bool AnyFallAvx2(const double* v, size_t count) {
  return AnyFallIn(v, count);
}

// Some sample is less than the one before it.
bool AnyFall(std::span<const double> values) {
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  return has_avx2 ? AnyFallAvx2(values.data(), values.size())
                  : AnyFallIn(values.data(), values.size());
}

// Indices of samples that follow a counter reset, and the value before it.
void FindResets(const WindowCall& call, const WindowInput& in, std::vector<uint32_t>* resets) {
  const std::span<const double> values = in.column->values;
  resets->clear();
  const bool any = AnyFall(values);
  const bool start_times = UsesStartTimes(call, in);
  if (!any && !start_times) return;
  const std::span<const Timestamp> times = in.column->timestamps;
  const std::span<const Timestamp> starts = in.column->start_timestamps;
  for (size_t i = 1; i < values.size(); ++i) {
    if (values[i] < values[i - 1] ||
        (start_times && IsStartTimeReset(times[i - 1], starts[i - 1], times[i], starts[i]))) {
      resets->push_back(static_cast<uint32_t>(i));
    }
  }
}

// Sums the values before the resets inside each window. A few resets are added one by one, as
// exactly as the reference does; very many through a running total.
class ResetCorrection {
 public:
  ResetCorrection(std::span<const double> values, const std::vector<uint32_t>& resets)
      : values_(values), resets_(resets) {
    total_.reserve(resets.size() + 1);
    double total = 0;
    total_.push_back(total);
    for (const uint32_t reset : resets) {
      total += values[reset - 1];
      total_.push_back(total);
    }
  }
  // Windows [begin, end) that never move back.
  double Of(uint32_t begin, uint32_t end) {
    while (first_ < resets_.size() && resets_[first_] <= begin) ++first_;
    while (last_ < resets_.size() && resets_[last_] < end) ++last_;
    if (last_ <= first_) return 0;
    static constexpr size_t kOneByOne = 32;
    if (last_ - first_ > kOneByOne) return total_[last_] - total_[first_];
    double sum = 0;
    for (size_t r = first_; r < last_; ++r) sum += values_[resets_[r] - 1];
    return sum;
  }

 private:
  const std::span<const double> values_;
  const std::vector<uint32_t>& resets_;
  std::vector<double> total_;
  size_t first_ = 0;  // first reset behind the window's first sample
  size_t last_ = 0;   // one past the last reset in the window
};

// The columns of one call to RateSimple.
struct RateRows {
  const double* samples;
  const uint32_t* begin;  // windows
  const uint32_t* end;
  const double* factor;
  const double* sampled;
  const double* to_start;
  double* values;
};

// Whether a counter would have to stop at zero somewhere in steps [t, last). The bodies are inlined
// into one function for each instruction set, which all give the same numbers.
template <bool kCounter, typename FirstOf, typename LastOf>
[[gnu::always_inline]] inline bool RateRun(const RateRows& rows, size_t t, size_t last,
                                           const FirstOf& first_of, const LastOf& last_of) {
  double* const __restrict values = rows.values;
  const double* const factor = rows.factor;
  const double* const sampled = rows.sampled;
  const double* const to_start = rows.to_start;
  uint64_t stops = 0;
  for (; t < last; ++t) {
    const double first = first_of(t);
    const double increase = last_of(t) - first;
    values[t] = increase * factor[t];
    if constexpr (kCounter) {
      stops |= static_cast<uint64_t>(first * sampled[t] < to_start[t] * increase) &
               static_cast<uint64_t>(first >= 0);
    }
  }
  return stops != 0;
}

// Steps [pairs_begin, pairs_end). Where windows move on by one sample a step, samples are read side
// by side; else where the windows say.
template <bool kCounter>
[[gnu::always_inline]] inline bool RateSteps(const RateRows& rows, const Windows& windows) {
  const auto anywhere = [&rows](size_t begin, size_t end) {
    return RateRun<kCounter>(
        rows, begin, end, [&rows](size_t t) { return rows.samples[rows.begin[t]]; },
        [&rows](size_t t) { return rows.samples[rows.end[t] - 1]; });
  };
  if (windows.even_begin == windows.even_end) {
    return anywhere(windows.pairs_begin, windows.pairs_end);
  }
  bool stops = anywhere(windows.pairs_begin, windows.even_begin);
  const double* first = rows.samples + rows.begin[windows.even_begin] - windows.even_begin;
  const double* last = rows.samples + rows.end[windows.even_begin] - 1 - windows.even_begin;
  stops |= RateRun<kCounter>(
      rows, windows.even_begin, windows.even_end, [first](size_t t) { return first[t]; },
      [last](size_t t) { return last[t]; });
  return anywhere(windows.even_end, windows.pairs_end) || stops;
}

template <bool kCounter>
[[gnu::target("avx2")]] bool RateStepsAvx2(const RateRows& rows, const Windows& windows) {
  return RateSteps<kCounter>(rows, windows);
}

// Without resets, over neighbouring steps that have two samples each: no branch, so that it can be
// vectorised. False when a counter would have to stop at zero somewhere; nothing counts then.
template <bool kCounter>
bool RateSimple(const RateFactors& f, const Windows& windows, const double* v, double* values) {
  const RateRows rows{v,
                      windows.begin.data(),
                      windows.end.data(),
                      f.factor.data(),
                      f.sampled_seconds.data(),
                      f.to_start_seconds.data(),
                      values};
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  return !(has_avx2 ? RateStepsAvx2<kCounter>(rows, windows) : RateSteps<kCounter>(rows, windows));
}

// The common case: floats without start timestamps.
template <bool kCounter>
void RateFloats(const WindowCall& call, const WindowInput& in, const WindowOutput& out,
                const std::vector<uint32_t>& resets, double range_seconds) {
  const RateFactors& f = in.scratch->rate;
  const double* v = in.column->values.data();
  double* values = out.batch->values(out.row);
  PointKind* kinds = out.batch->kinds(out.row);
  const bool no_resets = resets.empty();
  if (in.column->constant && in.floats->pairs_run && std::isfinite(v[0])) {
    // Nothing rises: no stop at zero, and the factors are finite and positive.
    std::fill(values + in.floats->pairs_begin, values + in.floats->pairs_end, 0.0);
    std::fill(kinds + in.floats->pairs_begin, kinds + in.floats->pairs_end, PointKind::kFloat);
    return;
  }
  if (no_resets && in.floats->pairs_run && RateSimple<kCounter>(f, *in.floats, v, values)) {
    std::fill(kinds + in.floats->pairs_begin, kinds + in.floats->pairs_end, PointKind::kFloat);
    return;
  }
  ResetCorrection correction(in.column->values, resets);
  for (size_t t = 0; t < call.times.size(); ++t) {
    const uint32_t begin = in.floats->begin[t];
    const uint32_t end = in.floats->end[t];
    if (end - begin < 2) continue;
    const double first = v[begin];
    double increase = v[end - 1] - first;
    double factor = f.factor[t];
    if constexpr (kCounter) {
      if (!no_resets) increase += correction.Of(begin, end);
      if (first * f.sampled_seconds[t] < f.to_start_seconds[t] * increase && first >= 0)
          [[unlikely]] {
        Extrapolation e{f.sampled_seconds[t], f.to_start_seconds[t], f.to_end_seconds[t]};
        StopAtZero(first, increase, &e);
        factor = e.Factor(range_seconds);
      }
    }
    values[t] = increase * factor;
    kinds[t] = PointKind::kFloat;
  }
}

// The start timestamp of the first sample in a window, where it lies inside: the counter was zero
// there, an exact point instead of an extrapolation to the left. Else 0.
Timestamp StartInside(Timestamp window_start, Timestamp first_time, Timestamp start) {
  return start != 0 && start > window_start && start < first_time ? start : 0;
}

// The extrapolation from a known zero at `start`. What lies between samples on average is judged by
// the samples alone: a single one does not reach further to the right.
Extrapolation ExtrapolateFromStart(Timestamp start, Timestamp first, Timestamp last,
                                   size_t intervals, Timestamp window_start, Timestamp window_end) {
  Extrapolation e{};
  if (intervals > 0) e = Extrapolate(first, last, intervals, window_start, window_end);
  e.sampled_seconds = static_cast<double>(last - start) / 1000;
  e.to_start_seconds = 0;
  return e;
}

void RateWithStartTimes(const WindowCall& call, const WindowInput& in, const WindowOutput& out,
                        const std::vector<uint32_t>& resets, double range_seconds) {
  const std::span<const Timestamp> times = in.column->timestamps;
  const std::span<const Timestamp> starts = in.column->start_timestamps;
  ResetCorrection correction(in.column->values, resets);
  for (size_t t = 0; t < call.times.size(); ++t) {
    const uint32_t begin = in.floats->begin[t];
    const uint32_t end = in.floats->end[t];
    if (begin == end) continue;
    const Timestamp window_start = call.times[t] - call.range_ms;
    const Timestamp start = StartInside(window_start, times[begin], starts[begin]);
    if (end - begin < 2 && start == 0) continue;
    const double first = in.column->values[begin];
    double increase = in.column->values[end - 1] - first + correction.Of(begin, end);
    Extrapolation e{};
    if (start != 0) {
      increase += first;
      e = ExtrapolateFromStart(start, times[begin], times[end - 1], end - begin - 1, window_start,
                               call.times[t]);
    } else {
      e = Extrapolate(times[begin], times[end - 1], end - begin - 1, window_start, call.times[t]);
      StopAtZero(first, increase, &e);
    }
    out.Set(t, increase * e.Factor(range_seconds));
  }
}

// Once a series, when the start of a sample lies before its predecessor in the same window although
// both have not the same start.
void AnnotateStartTimeOverlap(const WindowCall& call, const WindowInput& in, const Windows& windows,
                              std::span<const Timestamp> times, std::span<const Timestamp> starts) {
  uint32_t next = 0;  // looked at up to here
  for (size_t t = 0; t < call.times.size(); ++t) {
    for (uint32_t i = std::max(next, windows.begin[t] + 1); i < windows.end[t]; ++i) {
      if (starts[i] != 0 && starts[i] < times[i - 1] && starts[i] != starts[i - 1]) {
        call.context->annotations.StartTimeOverlap(call.namer->MetricName(in.series),
                                                   call.position);
        return;
      }
    }
    next = std::max(next, windows.end[t]);
  }
}

// What the arithmetic of one step of histograms is counted as.
constexpr size_t kHistogramStepSamples = 100;

Status RateHistograms(const WindowCall& call, const WindowInput& in, const WindowOutput& out,
                      RateKind kind) {
  const double range_seconds = RangeSeconds(call, kind);
  const bool counter = kind != RateKind::kDelta;
  const std::span<const Timestamp> starts = in.column->histogram_start_timestamps;
  const bool start_times = counter && call.context->language.start_timestamps && !starts.empty();
  if (start_times) {
    AnnotateStartTimeOverlap(call, in, *in.histograms, in.column->histogram_timestamps, starts);
  }
  RunningPoll poll(*call.context);
  for (size_t t = 0; t < call.times.size(); ++t) {
    const size_t count = in.HistogramsIn(t);
    if (count == 0) continue;
    TOCSIN_RETURN_IF_ERROR(poll.LookedAt(kHistogramStepSamples));
    if (in.FloatsIn(t) > 0) {
      call.context->annotations.MixedFloatsHistograms(call.namer->MetricName(in.series),
                                                      call.position);
      out.batch->kinds(out.row)[t] = PointKind::kAbsent;
      continue;
    }
    const std::span<const Timestamp> times = in.HistogramTimes(t);
    const Timestamp window_start = call.times[t] - call.range_ms;
    const Timestamp start =
        start_times ? StartInside(window_start, times.front(), starts[in.histograms->begin[t]]) : 0;
    if (count < 2 && start == 0) continue;
    std::optional<model::Histogram> increase = HistogramIncrease(call, in, t, counter, start != 0);
    if (!increase.has_value()) continue;
    Extrapolation e{};
    if (start != 0) {
      e = ExtrapolateFromStart(start, times.front(), times.back(), count - 1, window_start,
                               call.times[t]);
    } else {
      e = Extrapolate(times.front(), times.back(), count - 1, window_start, call.times[t]);
      if (counter) StopAtZero(in.Histograms(t).front()->count, increase->count, &e);
    }
    ScaleHistogram(e.Factor(range_seconds), &*increase);
    out.Set(t, std::move(*increase));
  }
  return Status::Ok();
}

Status RateOf(const WindowCall& call, const WindowInput& in, const WindowOutput& out,
              RateKind kind) {
  const double range_seconds = RangeSeconds(call, kind);
  const bool counter = kind != RateKind::kDelta;
  if (!in.column->values.empty()) {
    if (!in.scratch->rate.valid) ComputeFactors(call, in, kind);
    std::vector<uint32_t>& resets = in.scratch->indices;
    resets.clear();
    if (counter && !in.column->constant) FindResets(call, in, &resets);
    if (counter && UsesStartTimes(call, in)) {
      if (in.column->constant) FindResets(call, in, &resets);
      AnnotateStartTimeOverlap(call, in, *in.floats, in.column->timestamps,
                               in.column->start_timestamps);
      RateWithStartTimes(call, in, out, resets, range_seconds);
    } else if (counter) {
      RateFloats<true>(call, in, out, resets, range_seconds);
    } else {
      RateFloats<false>(call, in, out, resets, range_seconds);
    }
    if (counter && CountPresent(out.batch->kinds(out.row), call.times.size()) > 0) {
      AnnotateNonCounter(call, in.series);
    }
  }
  if (in.histograms != nullptr) TOCSIN_RETURN_IF_ERROR(RateHistograms(call, in, out, kind));
  return Status::Ok();
}

// irate and idelta: the last two samples, whatever they are.
Status InstantOf(const WindowCall& call, const WindowInput& in, const WindowOutput& out,
                 bool rate) {
  const model::Column& column = *in.column;
  const bool start_times = UsesStartTimes(call, in);
  for (size_t t = 0; t < call.times.size(); ++t) {
    const size_t histograms = in.HistogramsIn(t);
    if (histograms > 0) {
      InstantHistogramChange(call, in, out, t, rate);
      continue;
    }
    if (in.FloatsIn(t) < 2) continue;
    const uint32_t last = in.floats->end[t] - 1;
    const double seconds =
        static_cast<double>(column.timestamps[last] - column.timestamps[last - 1]) / 1000;
    const double before = column.values[last - 1];
    double value = column.values[last];
    const bool reset =
        rate && (value < before ||
                 (start_times &&
                  IsStartTimeReset(column.timestamps[last - 1], column.start_timestamps[last - 1],
                                   column.timestamps[last], column.start_timestamps[last])));
    if (!reset) value -= before;
    out.Set(t, rate ? value / seconds : value);
  }
  return Status::Ok();
}

}  // namespace

TOCSIN_WINDOW_KERNEL(Rate) { return RateOf(call, in, out, RateKind::kRate); }
TOCSIN_WINDOW_KERNEL(Increase) { return RateOf(call, in, out, RateKind::kIncrease); }
TOCSIN_WINDOW_KERNEL(Delta) { return RateOf(call, in, out, RateKind::kDelta); }
TOCSIN_WINDOW_KERNEL(Irate) { return InstantOf(call, in, out, true); }
TOCSIN_WINDOW_KERNEL(Idelta) { return InstantOf(call, in, out, false); }

}  // namespace tocsin::query
