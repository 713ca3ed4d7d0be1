#include "query/functions/classic_histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/number.h"
#include "model/sample.h"

namespace tocsin::query {
namespace {

// Differences this small, relative to the counts, come from adding floats in another order.
constexpr double kInsignificant = 1e-12;

bool AlmostEqual(double a, double b, double epsilon) {
  if (a == b) return true;
  const double sum = std::fabs(a) + std::fabs(b);
  const double diff = std::fabs(a - b);
  static constexpr double kMinNormal = std::numeric_limits<double>::min();
  if (a == 0 || b == 0 || sum < kMinNormal) return diff < epsilon * kMinNormal;
  return diff / std::min(sum, std::numeric_limits<double>::max()) < epsilon;
}

// Sorted, buckets of one bound added up. False without a +Inf bucket.
bool Normalise(std::vector<ClassicBucket>* buckets) {
  std::sort(buckets->begin(), buckets->end(), [](const ClassicBucket& a, const ClassicBucket& b) {
    return a.upper_bound < b.upper_bound;
  });
  if (buckets->empty() || buckets->back().upper_bound != INFINITY) return false;
  size_t last = 0;
  for (size_t i = 1; i < buckets->size(); ++i) {
    if ((*buckets)[i].upper_bound == (*buckets)[last].upper_bound) {
      (*buckets)[last].count += (*buckets)[i].count;
    } else {
      (*buckets)[++last] = (*buckets)[i];
    }
  }
  buckets->resize(last + 1);
  return true;
}

MonotonicityFix MakeMonotonic(std::vector<ClassicBucket>* buckets) {
  MonotonicityFix fix;
  double before = buckets->front().count;
  for (size_t i = 1; i < buckets->size(); ++i) {
    ClassicBucket& bucket = (*buckets)[i];
    if (bucket.count == before) continue;
    if (AlmostEqual(before, bucket.count, kInsignificant)) {
      bucket.count = before;
    } else if (bucket.count < before) {
      if (!fix.forced) fix.min_bucket = bucket.upper_bound;
      fix.forced = true;
      fix.max_bucket = bucket.upper_bound;
      fix.max_diff = std::max(fix.max_diff, before - bucket.count);
      bucket.count = before;
    } else {
      before = bucket.count;
    }
  }
  return fix;
}

}  // namespace

double ClassicQuantile(double q, std::vector<ClassicBucket>* buckets, MonotonicityFix* fix) {
  if (std::isnan(q)) return model::NormalNan();
  if (q < 0) return -INFINITY;
  if (q > 1) return INFINITY;
  if (!Normalise(buckets)) return model::NormalNan();
  *fix = MakeMonotonic(buckets);
  const std::vector<ClassicBucket>& b = *buckets;
  if (b.size() < 2 || b.back().count == 0 || std::isnan(b.back().count)) return model::NormalNan();
  double rank = q * b.back().count;
  size_t i = 0;
  while (i < b.size() - 1 && !(b[i].count >= rank)) ++i;
  if (i == b.size() - 1) return b[b.size() - 2].upper_bound;
  if (i == 0 && b[0].upper_bound <= 0) return b[0].upper_bound;
  double start = 0;
  double count = b[i].count;
  if (i > 0) {
    start = b[i - 1].upper_bound;
    count -= b[i - 1].count;
    rank -= b[i - 1].count;
  }
  return start + (b[i].upper_bound - start) * (rank / count);
}

namespace {

// Observations up to `value`, which lies inside bucket i. Nothing is known about where they lie in
// a bucket that reaches to infinity: below, they count as lying at its upper bound.
double RankInside(const std::vector<ClassicBucket>& b, size_t i, double value) {
  const double below = i == 0 ? 0 : b[i - 1].count;
  if (b[i].upper_bound == INFINITY) return below;
  double start = i == 0 ? -INFINITY : b[i - 1].upper_bound;
  if (i == 0 && b[i].upper_bound > 0) start = 0;
  if (std::isinf(start)) return b[i].count;
  if (value <= start) return below;
  return below + (b[i].count - below) * (value - start) / (b[i].upper_bound - start);
}

double RankOf(const std::vector<ClassicBucket>& b, double value) {
  const double total = b.back().count;
  for (size_t i = 0; i < b.size(); ++i) {
    const double start = i == 0 ? -INFINITY : b[i - 1].upper_bound;
    const double below = i == 0 ? 0 : b[i - 1].count;
    if (start >= value) return std::min(below, total);
    if (b[i].upper_bound > value) return std::min(RankInside(b, i, value), total);
  }
  return total;
}

}  // namespace

double ClassicFraction(double lower, double upper, std::vector<ClassicBucket>* buckets) {
  if (!Normalise(buckets)) return model::NormalNan();
  const double total = buckets->back().count;
  if (total == 0 || std::isnan(total) || std::isnan(lower) || std::isnan(upper)) {
    return model::NormalNan();
  }
  if (lower >= upper) return 0;
  return (RankOf(*buckets, upper) - RankOf(*buckets, lower)) / total;
}

bool ParseBound(std::string_view text, double* bound) {
  const std::optional<double> number = ParseFloat(text);
  if (number.has_value()) *bound = *number;
  return number.has_value();
}

}  // namespace tocsin::query
