// Range functions over whole columns: one call computes a series for all steps, walking its samples
// once or twice (sliding windows) instead of once a window.
//
// The window of step t holds the samples in (time(t) - range, time(t)]; windows begin and end at
// indices that never fall from step to step. FindWindows computes them once for all columns that
// share their timestamps.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/storage.h"
#include "query/ast.h"
#include "query/context.h"
#include "query/operators/batch.h"

namespace tocsin::query {

// Samples [begin[t], end[t]) lie in the window of step t.
struct Windows {
  std::vector<uint32_t> begin;
  std::vector<uint32_t> end;
  int64_t total = 0;  // of all windows' sizes
  // Steps [pairs_begin, pairs_end) are those with two samples or more; meaningful when `pairs_run`
  // says that they are neighbours.
  size_t pairs_begin = 0;
  size_t pairs_end = 0;
  bool pairs_run = true;
  // Within those, steps [even_begin, even_end) move both ends on by one sample each.
  size_t even_begin = 0;
  size_t even_end = 0;

  size_t size(size_t t) const { return end[t] - begin[t]; }
};

// `times` (the windows' ends) ascends.
void FindWindows(std::span<const model::Timestamp> samples, std::span<const model::Timestamp> times,
                 int64_t range_ms, Windows* out);

// Asked only when an annotation is due.
class MetricNamer {
 public:
  virtual ~MetricNamer() = default;
  virtual std::string MetricName(size_t series) const = 0;
  virtual std::string TypeLabel(size_t series) const = 0;
  // True: all series have one name and one type, so that asking for one of them is enough.
  virtual bool SameForAll() const = 0;
};

// What is equal for all series of one call.
struct WindowCall {
  QueryContext* context = nullptr;
  std::string_view function;
  Grid grid;                                // evaluation times
  std::span<const model::Timestamp> times;  // ends of the windows: shifted by @ and offset
  int64_t range_ms = 0;
  PositionRange position;                    // of the range vector in the query text
  PositionRange first_position;              // of the first argument
  std::vector<std::vector<double>> scalars;  // the scalar arguments, one value a step
  const MetricNamer* namer = nullptr;
  std::atomic<bool>* counter_checked = nullptr;  // set by the first series that was looked at
};

// What rate & co. derive from the timestamps of a column alone; kept while columns share them.
struct RateFactors {
  bool valid = false;
  std::vector<double> sampled_seconds;   // from the first to the last sample of the window
  std::vector<double> to_start_seconds;  // how far to extrapolate to the left
  std::vector<double> to_end_seconds;
  std::vector<double> factor;  // of the whole extrapolation
};

// What counter functions ask of the histograms of a column, found once for all its windows.
struct HistogramSteps {
  bool valid = false;
  std::vector<uint32_t> resets;          // histograms that begin anew after the one before
  std::vector<uint32_t> gauges_before;   // [i]: gauges among the first i
  std::vector<uint32_t> customs_before;  // the same of custom buckets
  std::vector<uint32_t> schema_changes;  // histograms with another schema than the one before
};

// Buffers that a cursor keeps from column to column.
struct WindowScratch {
  RateFactors rate;
  HistogramSteps histograms;  // of the column at hand
  std::vector<double> doubles;
  std::vector<uint32_t> indices;
  std::vector<double> sorted;
};

// One series.
struct WindowInput {
  size_t series = 0;                      // for MetricNamer
  const model::Column* column = nullptr;  // free of staleness markers
  const Windows* floats = nullptr;
  const Windows* histograms = nullptr;  // null: the column has none
  WindowScratch* scratch = nullptr;

  size_t FloatsIn(size_t t) const { return floats->size(t); }
  size_t HistogramsIn(size_t t) const { return histograms == nullptr ? 0 : histograms->size(t); }
  std::span<const double> FloatValues(size_t t) const {
    return column->values.subspan(floats->begin[t], floats->size(t));
  }
  std::span<const model::Timestamp> FloatTimes(size_t t) const {
    return column->timestamps.subspan(floats->begin[t], floats->size(t));
  }
  std::span<const model::Histogram* const> Histograms(size_t t) const {
    return column->histograms.subspan(histograms->begin[t], histograms->size(t));
  }
  std::span<const model::Timestamp> HistogramTimes(size_t t) const {
    return column->histogram_timestamps.subspan(histograms->begin[t], histograms->size(t));
  }
};

// Where the answer goes: one row of a batch, absent so far.
struct WindowOutput {
  Batch* batch;
  size_t row;

  void Set(size_t t, double value) const { batch->SetFloat(row, t, value); }
  void Set(size_t t, model::Histogram histogram) const {
    batch->SetHistogram(row, t, std::make_shared<const model::Histogram>(std::move(histogram)));
  }
};

using WindowKernel = Status (*)(const WindowCall&, const WindowInput&, const WindowOutput&);

// The kernel of a function that takes a range vector; null when `function` is none. Which samples
// `anchored` and `smoothed` want besides is RangeMargins' matter (range_source.h).
enum class RangeModifier : uint8_t { kNone, kAnchored, kSmoothed };
WindowKernel FindWindowKernel(std::string_view function, RangeModifier modifier);

// Annotates windows that hold floats and histograms, for functions that only look at floats.
void AnnotateIgnoredHistograms(const WindowCall& call, const WindowInput& in);
// True (and annotated) when the window mixes floats and histograms, for functions that refuse that.
bool RefusesMix(const WindowCall& call, const WindowInput& in, size_t t);

// A counter reset between two samples that their start timestamps tell: the later one's lies behind
// the earlier sample (or at it, when the earlier one's start is known and before it, as in delta
// streams). Start timestamps of 0, or not before their own sample, say nothing.
bool IsStartTimeReset(model::Timestamp previous_time, model::Timestamp previous_start,
                      model::Timestamp time, model::Timestamp start);

}  // namespace tocsin::query
