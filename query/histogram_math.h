// What the functions and operators of PromQL do with native histograms: the arithmetic of
// model/histogram_arithmetic.h, quantiles and fractions by interpolation, trimming, texts.
// Thread-safe: free functions on values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/histogram_arithmetic.h"

namespace tocsin::query {

using model::AddHistogram;
using model::AscendingBuckets;
using model::CombineNotes;
using model::CompactHistogram;
using model::CompensatedHistogram;
using model::DivideHistogram;
using model::ExponentialBound;
using model::HistogramBucket;
using model::IsCounterReset;
using model::ReduceResolution;
using model::SameHistogram;
using model::ScaleHistogram;
using model::SubtractHistogram;

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
