#include "query/functions/window_facts.h"

#include <cmath>

#include "query/functions/extrapolation.h"
#include "query/functions/sliding.h"
#include "query/functions/window_histogram.h"
#include "query/functions/window_kernels.h"
#include "query/histogram_math.h"

namespace tocsin::query {

using model::Facts;
using model::Timestamp;

namespace {

#define TOCSIN_FACTS_KERNEL(name) \
  Status name(const WindowCall& call, const FactsInput& in, const WindowOutput& out)

int64_t SamplesIn(const FactsInput& in, size_t t) {
  const Windows& w = in.windows();
  return in.scratch->counts[w.end[t]] - in.scratch->counts[w.begin[t]];
}

// A kernel over samples, of which each run has one: `value` of it, at the run's end.
Status OverRuns(WindowKernel kernel, const WindowCall& call, const FactsInput& in,
                const WindowOutput& out, double Facts::* value) {
  FactsScratch& scratch = *in.scratch;
  scratch.values.clear();
  for (const Facts& run : in.runs) scratch.values.push_back(run.*value);
  model::Column column;
  column.timestamps = scratch.ends;
  column.values = scratch.values;
  column.may_hold_stale = false;
  WindowInput samples;
  samples.series = in.series;
  samples.column = &column;
  samples.floats = &scratch.windows;
  samples.scratch = &scratch.window;
  return kernel(call, samples, out);
}

TOCSIN_FACTS_KERNEL(FactsCount) {
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (const int64_t samples = SamplesIn(in, t); samples > 0)
      out.Set(t, static_cast<double>(samples));
  }
  return Status::Ok();
}

TOCSIN_FACTS_KERNEL(FactsPresent) { return OverRuns(PresentOverTime, call, in, out, &Facts::last); }
TOCSIN_FACTS_KERNEL(FactsLast) {
  if (!in.of_histograms()) return OverRuns(LastOverTime, call, in, out, &Facts::last);
  const Windows& w = in.windows();
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (w.size(t) > 0) out.Set(t, *in.column->histograms[in.scratch->kept[w.end[t]] - 1]);
  }
  return Status::Ok();
}
TOCSIN_FACTS_KERNEL(FactsMin) { return OverRuns(MinOverTime, call, in, out, &Facts::min); }
TOCSIN_FACTS_KERNEL(FactsMax) { return OverRuns(MaxOverTime, call, in, out, &Facts::max); }

// The sums of the runs added up.
Status SumHistogramRuns(const WindowCall& call, const FactsInput& in, const WindowOutput& out,
                        bool average) {
  std::vector<const model::Histogram*> sums;
  for (const Facts& run : in.runs) sums.push_back(run.histogram_sum);
  const Windows& w = in.windows();
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (w.size(t) == 0) continue;
    const std::span<const model::Histogram* const> window(sums.data() + w.begin[t], w.size(t));
    std::optional<model::Histogram> sum = AddUpHistograms(
        call, in.series, window, average ? static_cast<double>(SamplesIn(in, t)) : 1);
    if (sum.has_value()) out.Set(t, *std::move(sum));
  }
  return Status::Ok();
}

TOCSIN_FACTS_KERNEL(FactsSum) {
  if (in.of_histograms()) return SumHistogramRuns(call, in, out, false);
  return OverRuns(SumOverTime, call, in, out, &Facts::sum);
}

TOCSIN_FACTS_KERNEL(FactsFirst) {
  const Windows& w = in.windows();
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (w.size(t) == 0) continue;
    if (in.of_histograms()) {
      out.Set(t, *in.column->histograms[in.scratch->kept[w.begin[t]]]);
    } else {
      out.Set(t, in.runs[w.begin[t]].first);
    }
  }
  return Status::Ok();
}

TOCSIN_FACTS_KERNEL(FactsTsOfLast) {
  const Windows& w = in.windows();
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (w.size(t) > 0) out.Set(t, static_cast<double>(in.runs[w.end[t] - 1].last_ms) / 1000);
  }
  return Status::Ok();
}

TOCSIN_FACTS_KERNEL(FactsAvg) {
  if (in.of_histograms()) return SumHistogramRuns(call, in, out, true);
  TOCSIN_RETURN_IF_ERROR(FactsSum(call, in, out));
  double* values = out.batch->values(out.row);
  const PointKind* kinds = out.batch->kinds(out.row);
  const Windows& w = in.windows();
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (kinds[t] != PointKind::kFloat) continue;
    const auto samples = static_cast<double>(SamplesIn(in, t));
    if (!std::isinf(values[t])) {
      values[t] /= samples;
      continue;
    }
    // A sum beyond the range of a double; the mean need not be.
    KahanSum mean;
    for (uint32_t i = w.begin[t]; i < w.end[t]; ++i) mean.Add(in.runs[i].sum / samples);
    values[t] = mean.value();
  }
  return Status::Ok();
}

// ----------------------------------------------------------------------------------------------------------
// counters

void CollectResets(const FactsInput& in) {
  FactsScratch& scratch = *in.scratch;
  scratch.reset_places.clear();
  scratch.before_resets.clear();
  for (size_t i = 0; i < in.runs.size(); ++i) {
    const Facts& run = in.runs[i];
    if (i > 0 && run.first < in.runs[i - 1].last) {
      scratch.reset_places.push_back(2 * i);
      scratch.before_resets.push_back(in.runs[i - 1].last);
    }
    for (uint32_t r = 0; r < run.resets; ++r) {
      scratch.reset_places.push_back(2 * i + 1);
      scratch.before_resets.push_back(run.before_resets[r]);
    }
  }
  scratch.reset_totals.clear();
  double total = 0;
  scratch.reset_totals.push_back(total);
  for (const double value : scratch.before_resets) {
    total += value;
    scratch.reset_totals.push_back(total);
  }
}

// The resets inside windows that never move back: [first, last) of the collected ones.
class ResetWindow {
 public:
  explicit ResetWindow(const FactsScratch& scratch) : scratch_(scratch) {}
  void Move(uint32_t begin, uint32_t end) {
    const std::vector<uint64_t>& places = scratch_.reset_places;
    while (first_ < places.size() && places[first_] <= uint64_t{2} * begin) ++first_;
    while (last_ < places.size() && places[last_] < uint64_t{2} * end) ++last_;
  }
  size_t count() const { return last_ > first_ ? last_ - first_ : 0; }
  // As window_rate.cc adds them up.
  double Correction() const {
    if (count() == 0) return 0;
    static constexpr size_t kOneByOne = 32;
    if (count() > kOneByOne) return scratch_.reset_totals[last_] - scratch_.reset_totals[first_];
    double sum = 0;
    for (size_t r = first_; r < last_; ++r) sum += scratch_.before_resets[r];
    return sum;
  }

 private:
  const FactsScratch& scratch_;
  size_t first_ = 0;
  size_t last_ = 0;
};

// The kept histograms of each step's window.
WindowInput KeptWindows(const WindowCall& call, const FactsInput& in) {
  FactsScratch& scratch = *in.scratch;
  const Windows& w = in.windows();
  Windows& kept = scratch.kept_windows;
  kept.begin.clear();
  kept.end.clear();
  for (size_t t = 0; t < call.times.size(); ++t) {
    kept.begin.push_back(scratch.kept[w.begin[t]]);
    kept.end.push_back(scratch.kept[w.end[t]]);
  }
  WindowInput input;
  input.series = in.series;
  input.column = in.column;
  input.histograms = &kept;
  input.scratch = &in.scratch->window;
  input.scratch->histograms.valid = false;
  return input;
}

// As RateHistograms (window_rate.cc).
void RateOfHistogramRuns(const WindowCall& call, const FactsInput& in, const WindowOutput& out,
                         RateKind kind) {
  const bool counter = kind != RateKind::kDelta;
  const double range_seconds = RangeSeconds(call, kind);
  const WindowInput kept = KeptWindows(call, in);
  const Windows& w = in.windows();
  for (size_t t = 0; t < call.times.size(); ++t) {
    const int64_t samples = SamplesIn(in, t);
    if (samples < 2) continue;
    std::optional<model::Histogram> increase = HistogramIncrease(call, kept, t, counter, false);
    if (!increase.has_value()) continue;
    Extrapolation e =
        Extrapolate(in.runs[w.begin[t]].first_ms, in.runs[w.end[t] - 1].last_ms,
                    static_cast<size_t>(samples - 1), call.times[t] - call.range_ms, call.times[t]);
    if (counter) StopAtZero(kept.Histograms(t).front()->count, increase->count, &e);
    ScaleHistogram(e.Factor(range_seconds), &*increase);
    out.Set(t, *std::move(increase));
  }
}

Status FactsRateOf(const WindowCall& call, const FactsInput& in, const WindowOutput& out,
                   RateKind kind) {
  if (in.of_histograms()) {
    RateOfHistogramRuns(call, in, out, kind);
    return Status::Ok();
  }
  const bool counter = kind != RateKind::kDelta;
  const double range_seconds = RangeSeconds(call, kind);
  if (counter) CollectResets(in);
  ResetWindow resets(*in.scratch);
  const Windows& w = in.windows();
  bool any = false;
  for (size_t t = 0; t < call.times.size(); ++t) {
    const int64_t samples = SamplesIn(in, t);
    if (samples < 2) continue;
    const Facts& first = in.runs[w.begin[t]];
    const Facts& last = in.runs[w.end[t] - 1];
    double increase = last.last - first.first;
    if (counter && !in.scratch->before_resets.empty()) {
      resets.Move(w.begin[t], w.end[t]);
      increase += resets.Correction();
    }
    Extrapolation e = Extrapolate(first.first_ms, last.last_ms, static_cast<size_t>(samples - 1),
                                  call.times[t] - call.range_ms, call.times[t]);
    if (counter && first.first * e.sampled_seconds < e.to_start_seconds * increase &&
        first.first >= 0) {
      StopAtZero(first.first, increase, &e);
    }
    out.Set(t, increase * e.Factor(range_seconds));
    any = true;
  }
  if (counter && any) AnnotateNonCounter(call, in.series);
  return Status::Ok();
}

TOCSIN_FACTS_KERNEL(FactsRate) { return FactsRateOf(call, in, out, RateKind::kRate); }
TOCSIN_FACTS_KERNEL(FactsIncrease) { return FactsRateOf(call, in, out, RateKind::kIncrease); }
TOCSIN_FACTS_KERNEL(FactsDelta) { return FactsRateOf(call, in, out, RateKind::kDelta); }

Status ResetsOfHistogramRuns(const WindowCall& call, const FactsInput& in,
                             const WindowOutput& out) {
  const WindowInput kept = KeptWindows(call, in);
  for (size_t t = 0; t < call.times.size(); ++t) {
    const std::span<const model::Histogram* const> window = kept.Histograms(t);
    if (window.empty()) continue;
    size_t resets = 0;
    for (size_t i = 1; i < window.size(); ++i)
      resets += IsHistogramReset(*window[i - 1], *window[i]) ? 1 : 0;
    out.Set(t, static_cast<double>(resets));
  }
  return Status::Ok();
}

TOCSIN_FACTS_KERNEL(FactsResets) {
  if (in.of_histograms()) return ResetsOfHistogramRuns(call, in, out);
  CollectResets(in);
  ResetWindow resets(*in.scratch);
  const Windows& w = in.windows();
  for (size_t t = 0; t < call.times.size(); ++t) {
    if (w.size(t) == 0) continue;
    resets.Move(w.begin[t], w.end[t]);
    out.Set(t, static_cast<double>(resets.count()));
  }
  return Status::Ok();
}

struct FactsEntry {
  std::string_view function;
  FactsFunction found;
};

constexpr FactsEntry kFactsFunctions[] = {
    {"avg_over_time", {FactsAvg, model::kFactSum}},
    {"count_over_time", {FactsCount, 0}},
    {"delta", {FactsDelta, model::kFactFirst}},
    {"first_over_time", {FactsFirst, model::kFactFirst}},
    {"increase", {FactsIncrease, model::kFactFirst | model::kFactResets}},
    {"last_over_time", {FactsLast, 0}},
    {"max_over_time", {FactsMax, model::kFactExtremes}},
    {"min_over_time", {FactsMin, model::kFactExtremes}},
    {"present_over_time", {FactsPresent, 0}},
    {"rate", {FactsRate, model::kFactFirst | model::kFactResets}},
    {"resets", {FactsResets, model::kFactFirst | model::kFactResets}},
    {"sum_over_time", {FactsSum, model::kFactSum}},
    {"ts_of_last_over_time", {FactsTsOfLast, 0}},
};

}  // namespace

FactsFunction FindFactsFunction(std::string_view function) {
  for (const FactsEntry& entry : kFactsFunctions) {
    if (entry.function == function) return entry.found;
  }
  return {};
}

FactsInput PrepareFacts(const WindowCall& call, size_t series, const model::Column& column,
                        FactsScratch* scratch) {
  scratch->runs.clear();
  scratch->ends.clear();
  scratch->counts.assign(1, 0);
  scratch->kept.assign(1, 0);
  for (const Facts& run : column.facts) {
    if (run.count == 0) continue;
    scratch->runs.push_back(run);
    scratch->ends.push_back(run.last_ms);
    scratch->counts.push_back(scratch->counts.back() + run.count);
    scratch->kept.push_back(scratch->kept.back() + run.kept_count);
  }
  FindWindows(scratch->ends, call.times, call.range_ms, &scratch->windows);
  FactsInput in;
  in.series = series;
  in.runs = scratch->runs;
  in.column = &column;
  in.scratch = scratch;
  call.context->CountQueryable(
      call.grid,
      [&] {
        int64_t total = 0;
        for (size_t t = 0; t < call.times.size(); ++t) total += SamplesIn(in, t);
        return total;
      }(),
      [&](size_t t) { return SamplesIn(in, t); });
  return in;
}

}  // namespace tocsin::query
