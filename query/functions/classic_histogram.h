// Quantiles and fractions of classic histograms: cumulative counts by upper bound (label le).
#pragma once

#include <string_view>
#include <vector>

namespace tocsin::query {

struct ClassicBucket {
  double upper_bound;
  double count;  // observations up to upper_bound
};

// What had to be put right because a higher bucket had fewer observations than a lower one.
struct MonotonicityFix {
  bool forced = false;
  double min_bucket = 0;
  double max_bucket = 0;
  double max_diff = 0;
};

// `buckets` in any order; they are sorted and mended in place. NaN when there is no +Inf bucket, no
// second bucket, or no observation; q outside [0, 1] gives an infinity.
double ClassicQuantile(double q, std::vector<ClassicBucket>* buckets, MonotonicityFix* fix);

// The part of the observations that lies in (lower, upper].
double ClassicFraction(double lower, double upper, std::vector<ClassicBucket>* buckets);

// As Go's strconv.ParseFloat: false for what is no number. Surrounding space is none of it.
bool ParseBound(std::string_view text, double* bound);

}  // namespace tocsin::query
