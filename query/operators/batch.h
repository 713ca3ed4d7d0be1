// Batch: the block of values that operators hand each other: S series × T steps, one row a series,
// steps side by side.
//
//   values      double[S][T]     meaningful where the kind is kFloat
//   kinds       PointKind[S][T]  presence is explicit: no NaN stands for "nothing here"
//   histograms  HistogramPtr[T]  a row, only for series that have any; set where the kind is
//                                kHistogram
//
// Grid: the times that the steps stand for. One thread at a time; buffers are kept from use to use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"
#include "model/sample.h"
#include "query/budget.h"
#include "query/value.h"

namespace tocsin::query {

// Evaluation times start, start + step, …: `count` of them.
struct Grid {
  model::Timestamp start_ms = 0;
  int64_t step_ms = 1;
  size_t count = 1;

  model::Timestamp at(size_t step) const { return start_ms + static_cast<int64_t>(step) * step_ms; }
  friend bool operator==(const Grid&, const Grid&) = default;
};

enum class PointKind : uint8_t { kAbsent = 0, kFloat = 1, kHistogram = 2 };

// One series' part of a batch.
struct Row {
  double* values;
  PointKind* kinds;
  HistogramPtr* histograms;  // null: no histograms in this row
};

class Batch {
 public:
  Batch() = default;
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  Batch(Batch&&) = default;
  Batch& operator=(Batch&&) = default;

  // Makes room for series × steps points, all absent, charged to `memory` before it is allocated.
  Status Reset(size_t series, size_t steps, Budget* memory);

  size_t series() const { return series_; }
  size_t steps() const { return steps_; }
  double* values(size_t s) { return values_.get() + s * steps_; }
  const double* values(size_t s) const { return values_.get() + s * steps_; }
  PointKind* kinds(size_t s) { return kinds_.get() + s * steps_; }
  const PointKind* kinds(size_t s) const { return kinds_.get() + s * steps_; }
  bool has_histograms(size_t s) const { return s < rows_.size() && rows_[s] != nullptr; }
  // Null when the series has none.
  const HistogramPtr* histograms(size_t s) const {
    return has_histograms(s) ? rows_[s].get() : nullptr;
  }
  // The row of pointers, made on first use.
  HistogramPtr* MutableHistograms(size_t s);
  Row row(size_t s) { return {values(s), kinds(s), has_histograms(s) ? rows_[s].get() : nullptr}; }

  void SetFloat(size_t s, size_t step, double value) {
    values(s)[step] = value;
    kinds(s)[step] = PointKind::kFloat;
  }
  void SetHistogram(size_t s, size_t step, HistogramPtr histogram) {
    MutableHistograms(s)[step] = std::move(histogram);
    kinds(s)[step] = PointKind::kHistogram;
  }
  // Charges what the histograms of `source`, and the rows of pointers to them, will take here when
  // its rows are copied.
  Status ReserveHistograms(const Batch& source, Budget* memory);
  // Copies series `from` of `source` (same number of steps) over series `to`.
  void CopyRow(const Batch& source, size_t from, size_t to);
  // Repeats the first step over all steps of every row. `source` has one step.
  void Broadcast(const Batch& source);
  size_t CountPoints() const;  // points that are there
  // What the histograms and the rows of pointers to them hold.
  uint64_t HistogramBytes() const;

 private:
  size_t series_ = 0;
  size_t steps_ = 0;
  size_t capacity_ = 0;
  std::unique_ptr<double[]> values_;
  std::unique_ptr<PointKind[]> kinds_;
  std::vector<std::unique_ptr<HistogramPtr[]>> rows_;  // shorter than series_, or an entry a series
  MemoryCharge charge_;
  uint64_t histogram_bytes_ = 0;  // reserved
  MemoryCharge histograms_charge_;
};

// Points of a row that are there.
size_t CountPresent(const PointKind* kinds, size_t steps);
// True when the row's points are floats at all steps of [begin, end) and nowhere else; such rows
// are added without looking at each kind. An empty row has begin = end.
bool IsFloatRun(const PointKind* kinds, size_t steps, size_t* begin, size_t* end);

}  // namespace tocsin::query
