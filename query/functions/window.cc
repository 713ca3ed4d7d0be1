#include "query/functions/window.h"

#include "query/functions/window_kernels.h"

namespace tocsin::query {

using model::Timestamp;

namespace {

// The longest run of steps, from somewhere in the middle of those with pairs, that advance by one.
void FindEvenSteps(Windows* windows) {
  windows->even_begin = 0;
  windows->even_end = 0;
  if (!windows->pairs_run || windows->pairs_begin == windows->pairs_end) return;
  const auto advances = [windows](size_t t) {
    return windows->begin[t + 1] - windows->begin[t] == 1 &&
           windows->end[t + 1] - windows->end[t] == 1;
  };
  size_t begin = (windows->pairs_begin + windows->pairs_end) / 2;
  size_t end = begin + 1;
  while (begin > windows->pairs_begin && advances(begin - 1)) --begin;
  while (end < windows->pairs_end && advances(end - 1)) ++end;
  windows->even_begin = begin;
  windows->even_end = end;
}

}  // namespace

void FindWindows(std::span<const Timestamp> samples, std::span<const Timestamp> times,
                 int64_t range_ms, Windows* out) {
  out->begin.resize(times.size());
  out->end.resize(times.size());
  out->total = 0;
  out->pairs_begin = 0;
  out->pairs_end = 0;
  size_t pairs = 0;
  const auto count = static_cast<uint32_t>(samples.size());
  uint32_t begin = 0;
  uint32_t end = 0;
  for (size_t t = 0; t < times.size(); ++t) {
    const Timestamp open_start = times[t] - range_ms;
    while (end < count && samples[end] <= times[t]) ++end;
    while (begin < end && samples[begin] <= open_start) ++begin;
    out->begin[t] = begin;
    out->end[t] = end;
    out->total += end - begin;
    if (end - begin >= 2) {
      if (pairs == 0) out->pairs_begin = t;
      out->pairs_end = t + 1;
      ++pairs;
    }
  }
  out->pairs_run = pairs == out->pairs_end - out->pairs_begin;
  FindEvenSteps(out);
}

void AnnotateIgnoredHistograms(const WindowCall& call, const WindowInput& in) {
  if (in.histograms == nullptr) return;
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (in.FloatsIn(t) > 0 && in.HistogramsIn(t) > 0) {
      call.context->annotations.HistogramsIgnoredInRange(call.namer->MetricName(in.series),
                                                         call.first_position);
      return;
    }
  }
}

bool RefusesMix(const WindowCall& call, const WindowInput& in, size_t t) {
  if (in.FloatsIn(t) == 0 || in.HistogramsIn(t) == 0) return false;
  call.context->annotations.MixedFloatsHistograms(call.namer->MetricName(in.series), call.position);
  return true;
}

bool IsStartTimeReset(Timestamp previous_time, Timestamp previous_start, Timestamp time,
                      Timestamp start) {
  if (start == 0 || start >= time) return false;
  if (start > previous_time) return true;
  return start == previous_time && previous_start != 0 && previous_start < previous_time;
}

namespace {

struct KernelEntry {
  std::string_view function;
  WindowKernel kernel;
  WindowKernel anchored = nullptr;
  WindowKernel smoothed = nullptr;
};

constexpr KernelEntry kKernels[] = {
    {"avg_over_time", AvgOverTime},
    {"changes", Changes, AnchoredChanges},
    {"count_over_time", CountOverTime},
    {"delta", Delta, AnchoredDelta, SmoothedDelta},
    {"deriv", Deriv},
    {"double_exponential_smoothing", DoubleExponentialSmoothing},
    {"first_over_time", FirstOverTime},
    {"idelta", Idelta},
    {"increase", Increase, AnchoredIncrease, SmoothedIncrease},
    {"irate", Irate},
    {"last_over_time", LastOverTime},
    {"mad_over_time", MadOverTime},
    {"max_over_time", MaxOverTime},
    {"min_over_time", MinOverTime},
    {"predict_linear", PredictLinear},
    {"present_over_time", PresentOverTime},
    {"quantile_over_time", QuantileOverTime},
    {"rate", Rate, AnchoredRate, SmoothedRate},
    {"resets", Resets, AnchoredResets},
    {"stddev_over_time", StddevOverTime},
    {"stdvar_over_time", StdvarOverTime},
    {"sum_over_time", SumOverTime},
    {"ts_of_first_over_time", TsOfFirstOverTime},
    {"ts_of_last_over_time", TsOfLastOverTime},
    {"ts_of_max_over_time", TsOfMaxOverTime},
    {"ts_of_min_over_time", TsOfMinOverTime},
};

}  // namespace

WindowKernel FindWindowKernel(std::string_view function, RangeModifier modifier) {
  for (const KernelEntry& entry : kKernels) {
    if (entry.function != function) continue;
    if (modifier == RangeModifier::kAnchored) return entry.anchored;
    return modifier == RangeModifier::kSmoothed ? entry.smoothed : entry.kernel;
  }
  return nullptr;
}

}  // namespace tocsin::query
