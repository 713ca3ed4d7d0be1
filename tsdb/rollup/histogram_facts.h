// Native histograms folded into facts (model/facts.h): of a run the first, both sides of each reset
// and the last are kept, of gauges their sum as well.
//
// What is kept is checked where it is made: if two kept neighbours would not be judged as the
// samples between them were (populations that are not numbers), or if a histogram in between is
// coarser than they are, then first and resets count as unknown.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/facts.h"
#include "model/histogram_arithmetic.h"
#include "model/storage.h"

namespace tocsin::tsdb {

// Folds ascending histograms. One thread.
class HistogramFolder {
 public:
  // Sums are made in `batch`.
  explicit HistogramFolder(model::ColumnBatch* batch) : batch_(batch) {}

  // `histogram` stays where it is as long as what is kept is used. A stale one is a marker.
  void Add(model::Timestamp t, const model::Histogram* histogram);
  void AddMarker(model::Timestamp t);
  // Nothing was added, not even a marker.
  bool empty() const { return facts_.count == 0 && !facts_.ends_stale; }
  // The facts of what was added since the last Take. `kept` stays null: the last `kept_count` of
  // kept().
  model::Facts Take();
  // Of all runs, run by run.
  const std::vector<const model::Histogram*>& kept() const { return kept_; }
  // Counters and gauges were mixed.
  bool mixed() const { return mixed_; }
  bool gauges() const { return gauges_.value_or(false); }

 private:
  void Keep(const model::Histogram* histogram, bool reset);
  void AddToSum(const model::Histogram& histogram);
  bool KeptTellAll(size_t begin) const;

  model::ColumnBatch* const batch_;
  model::Facts facts_;
  std::vector<const model::Histogram*> kept_;
  std::vector<bool> reset_;  // of each kept one: it follows on a reset
  size_t run_begin_ = 0;     // in kept_
  const model::Histogram* last_ = nullptr;
  std::optional<bool> gauges_;  // of the whole column
  bool mixed_ = false;
  int32_t schema_ = 0;  // the coarsest of the run
  bool mixes_schemas_ = false;
  std::optional<model::CompensatedHistogram> sum_;
  bool sum_known_ = false;
};

// Calls visit(time, histogram), null for a staleness marker, in order of time. False as soon as a
// float is among them.
template <typename Visit>
bool ForEachHistogram(const model::Column& column, const Visit& visit) {
  size_t f = 0;
  for (size_t h = 0; h <= column.histograms.size(); ++h) {
    const bool end = h == column.histograms.size();
    for (;
         f < column.values.size() && (end || column.timestamps[f] < column.histogram_timestamps[h]);
         ++f) {
      if (!model::IsStale(column.values[f])) return false;
      visit(column.timestamps[f], nullptr);
    }
    if (!end) visit(column.histogram_timestamps[h], column.histograms[h]);
  }
  return true;
}

// FoldByTile (segment/facts.h) for a column of histograms: appends to `runs`. False: floats, or
// counters and gauges mixed.
bool FoldHistogramsByTile(const model::Column& column, const model::FactsWish& wish,
                          std::span<const model::Facts> between, model::ColumnBatch* batch,
                          std::vector<model::Facts>* runs);

}  // namespace tocsin::tsdb
