// Arithmetic on native histograms, as the functions and operators of PromQL need it: adding and
// subtracting (over different resolutions, zero buckets and custom bounds), scaling, counter
// resets, quantiles and fractions by interpolation, trimming. Everything works on absolute double
// populations.
//
// Layout: a bucket has an index; a run of neighbouring indices is a span. Results may hold buckets
// with population zero until CompactHistogram removes them. Thread-safe: free functions on values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/histogram.h"

namespace tocsin::query {

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
std::vector<HistogramBucket> AscendingBuckets(const model::Histogram& histogram);

// What a combination of two histograms had to gloss over, for annotations.
struct CombineNotes {
  bool counter_reset_collision = false;  // one says reset, the other not reset
  bool bounds_reconciled = false;        // different custom bounds: only common ones remain
};

// *sum += addend. Nothing (and no change) when one has custom buckets and the other exponential
// ones. Of different resolutions the lower one wins; zero buckets grow to the wider one.
std::optional<CombineNotes> AddHistogram(const model::Histogram& addend, model::Histogram* sum);
std::optional<CombineNotes> SubtractHistogram(const model::Histogram& subtrahend,
                                              model::Histogram* difference);

// A sum whose rounding errors are carried along (Kahan and Neumaier): for sums of many.
//   CompensatedHistogram total(first);  total.Add(next) …;  total.Sum()
class CompensatedHistogram {
 public:
  explicit CompensatedHistogram(const model::Histogram& first);
  std::optional<CombineNotes> Add(const model::Histogram& addend);
  // Scales the sum and its error terms.
  void Scale(double factor);
  void Divide(double divisor);
  // Without the error terms: what has been added so far, uncorrected.
  const model::Histogram& uncompensated() const { return sum_; }
  model::Histogram Sum() const;  // corrected

 private:
  model::Histogram sum_;
  model::Histogram error_;  // same layout as sum_
};

// A negative factor or divisor makes the result a gauge. Division by zero leaves no buckets.
void ScaleHistogram(double factor, model::Histogram* histogram);
void DivideHistogram(double divisor, model::Histogram* histogram);

// To a schema of lower or equal resolution. Exponential histograms only.
void ReduceResolution(int32_t schema, model::Histogram* histogram);

// Removes empty buckets; spans that touch become one.
void CompactHistogram(model::Histogram* histogram);

// True when `current` cannot be `previous` plus observations. Follows the hint when there is one.
bool IsCounterReset(const model::Histogram& current, const model::Histogram& previous);

// Bit for bit the same data (hints aside); spans of length zero do not matter.
bool SameHistogram(const model::Histogram& a, const model::Histogram& b);

// An estimate, and whether NaN observations had a part in it (both for annotations).
struct HistogramEstimate {
  double value = 0;
  bool nan_result = false;  // the rank lies among the NaN observations
  bool nan_skew = false;    // NaN observations shifted the result
};

// The value below which a share q of the observations lies, interpolated inside its bucket:
// linearly for custom buckets and the zero bucket, else exponentially. q outside [0, 1] gives -Inf
// or +Inf.
HistogramEstimate HistogramQuantile(double q, const model::Histogram& histogram);
// The share of observations between two values. nan_skew when there are NaN observations.
HistogramEstimate HistogramFraction(double lower, double upper, const model::Histogram& histogram);
// Population variance, every bucket's observations taken at its middle.
double HistogramVariance(const model::Histogram& histogram);

// Keeps the observations up to `bound` (</) or from it on (>/), interpolating in its bucket; count
// and sum are estimated anew when anything went.
void TrimHistogram(double bound, bool keep_below, model::Histogram* histogram);

// {count:3, sum:5, [-0.001,0.001]:1, (1,2]:2}: what count_values and templates show.
std::string HistogramText(const model::Histogram& histogram);
// {{schema:1 count:3 sum:5 buckets:[1 2]}}: the notation of test scripts.
std::string HistogramScriptText(const model::Histogram& histogram);

}  // namespace tocsin::query
