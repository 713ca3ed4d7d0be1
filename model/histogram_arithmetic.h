// Arithmetic on native histograms: adding and subtracting (over different resolutions, zero buckets
// and custom bounds), scaling, counter resets, comparing. Everything works on absolute double
// populations.
//
// Layout: a bucket has an index; a run of neighbouring indices is a span. Results may hold buckets
// with population zero until CompactHistogram removes them. Thread-safe: free functions on values.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/histogram.h"

namespace tocsin::model {

// One bucket with its bounds in values, not indices.
struct HistogramBucket {
  double lower = 0;
  double upper = 0;
  double count = 0;
  int32_t index = 0;  // meaningless for the zero bucket
  bool lower_inclusive = false;
  bool upper_inclusive = false;
};

// Upper bound of the bucket `index` of an exponential schema: 2^(index * 2^-schema).
double ExponentialBound(int32_t index, int32_t schema);

// All buckets in ascending order of value: negative ones, the zero bucket if it is populated,
// positive ones; empty buckets that the spans name included. Where the outermost buckets overlap
// the zero bucket their bound is its threshold.
std::vector<HistogramBucket> AscendingBuckets(const Histogram& histogram);

// What a combination of two histograms had to gloss over, for annotations.
struct CombineNotes {
  bool counter_reset_collision = false;  // one says reset, the other not reset
  bool bounds_reconciled = false;        // different custom bounds: only common ones remain
};

// *sum += addend. Nothing (and no change) when one has custom buckets and the other exponential
// ones. Of different resolutions the lower one wins; zero buckets grow to the wider one.
std::optional<CombineNotes> AddHistogram(const Histogram& addend, Histogram* sum);
std::optional<CombineNotes> SubtractHistogram(const Histogram& subtrahend, Histogram* difference);

// A sum whose rounding errors are carried along (Kahan and Neumaier): for sums of many.
//   CompensatedHistogram total(first);  total.Add(next) …;  total.Sum()
class CompensatedHistogram {
 public:
  explicit CompensatedHistogram(const Histogram& first);
  std::optional<CombineNotes> Add(const Histogram& addend);
  // Scales the sum and its error terms.
  void Scale(double factor);
  void Divide(double divisor);
  // Without the error terms: what has been added so far, uncorrected.
  const Histogram& uncompensated() const { return sum_; }
  Histogram Sum() const;  // corrected

 private:
  Histogram sum_;
  Histogram error_;  // same layout as sum_
};

// A negative factor or divisor makes the result a gauge. Division by zero leaves no buckets.
void ScaleHistogram(double factor, Histogram* histogram);
void DivideHistogram(double divisor, Histogram* histogram);

// To a schema of lower or equal resolution. Exponential histograms only.
void ReduceResolution(int32_t schema, Histogram* histogram);

// Removes empty buckets; spans that touch become one.
void CompactHistogram(Histogram* histogram);

// True when `current` cannot be `previous` plus observations. Follows the hint when there is one.
bool IsCounterReset(const Histogram& current, const Histogram& previous);
// The same whatever the hint says.
bool HasLostObservations(const Histogram& current, const Histogram& previous);

// Bit for bit the same data (hints aside); spans of length zero do not matter.
bool SameHistogram(const Histogram& a, const Histogram& b);

}  // namespace tocsin::model
