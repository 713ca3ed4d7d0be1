#include <cmath>
#include <limits>

#include "base/number.h"
#include "model/sample.h"
#include "query/histogram_math.h"

namespace tocsin::query {
namespace {

using model::Histogram;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Of a histogram with observations on one side of zero only, the zero bucket ends at zero.
void BiasZeroBucket(const Histogram& h, HistogramBucket* bucket) {
  if (h.negative_buckets.empty() && !h.positive_buckets.empty()) bucket->lower = 0;
  if (h.positive_buckets.empty() && !h.negative_buckets.empty()) bucket->upper = 0;
}

// The value at a share of the bucket's population, on the logarithmic scale that makes all buckets
// of a schema equally wide.
double InterpolateExponentially(const HistogramBucket& bucket, double share) {
  const double log_lower = std::log2(std::fabs(bucket.lower));
  const double log_upper = std::log2(std::fabs(bucket.upper));
  if (bucket.lower > 0) return std::exp2(log_lower + (log_upper - log_lower) * share);
  return -std::exp2(log_upper + (log_lower - log_upper) * (1 - share));
}

// The share of the bucket's population below `value`, the inverse of the above.
double ShareBelow(const HistogramBucket& bucket, double value, bool linear) {
  if (linear) return (value - bucket.lower) / (bucket.upper - bucket.lower);
  const double log_lower = std::log2(std::fabs(bucket.lower));
  const double log_upper = std::log2(std::fabs(bucket.upper));
  const double log_value = std::log2(std::fabs(value));
  if (value > 0) return (log_value - log_lower) / (log_upper - log_lower);
  return 1 - (log_value - log_upper) / (log_lower - log_upper);
}

// Where the rank was found: the bucket, and the observations up to and including it.
struct RankPlace {
  HistogramBucket bucket;
  double count = 0;       // from the end that was started at
  double rest_count = 0;  // in the buckets not visited
};

RankPlace FindRank(const std::vector<HistogramBucket>& buckets, double rank, bool ascending) {
  RankPlace place;
  size_t visited = 0;
  const auto at = [&](size_t i) -> const HistogramBucket& {
    return ascending ? buckets[i] : buckets[buckets.size() - 1 - i];
  };
  for (; visited < buckets.size(); ++visited) {
    place.bucket = at(visited);
    if (place.bucket.count == 0) continue;
    place.count += place.bucket.count;
    if (place.count >= rank) {
      ++visited;
      break;
    }
  }
  for (; visited < buckets.size(); ++visited) place.rest_count += at(visited).count;
  return place;
}

// The interval of a bucket that a trim keeps: how many observations, and where they are taken to
// be.
struct Kept {
  double count = 0;
  double value = 0;
};

double ZeroIfInfinite(double value) { return std::isinf(value) ? 0 : value; }

double Middle(double lower, double upper, bool positive, bool linear) {
  if (std::isinf(lower)) {
    if (std::isinf(upper)) return 0;
    return upper > 0 ? upper / 2 : upper;
  }
  if (std::isinf(upper)) return lower;
  if (linear) return (lower + upper) / 2;
  const double geometric = std::sqrt(std::fabs(lower * upper));
  return positive ? geometric : -geometric;
}

// A bucket with an infinite bound: nothing is known of its distribution, so that cutting it keeps
// nothing, unless the finite bound lets zero stand for the infinite one.
Kept TrimInfiniteBucket(const HistogramBucket& b, double bound, bool keep_below) {
  if (b.lower == -kInfinity) {
    const bool from_zero = b.upper > 0 && b.upper != kInfinity;
    if (keep_below) {
      if (bound >= b.upper) return {b.count, 0};
      if (bound > 0 && from_zero) return {b.count * bound / b.upper, bound / 2};
      if (b.upper <= 0) return {b.count, bound};
    } else {
      if (bound <= b.lower) return {b.count, 0};
      if (bound >= 0 && b.upper > bound && from_zero) {
        return {b.count * (1 - bound / b.upper), (bound + b.upper) / 2};
      }
    }
    return {0, ZeroIfInfinite(b.upper)};
  }
  if (!keep_below && bound >= b.lower) return {b.count, bound};
  return {0, ZeroIfInfinite(b.lower)};
}

Kept TrimBucket(const HistogramBucket& b, double bound, bool keep_below, bool positive,
                bool linear) {
  const bool whole = keep_below ? b.upper <= bound : b.lower >= bound;
  if (whole) return {b.count, Middle(b.lower, b.upper, positive, linear)};
  const bool none = keep_below ? b.lower >= bound : b.upper <= bound;
  // A NaN bound is neither above nor below anything.
  if (none || std::isnan(bound)) return {};
  if (b.lower == -kInfinity || b.upper == kInfinity) {
    return TrimInfiniteBucket(b, bound, keep_below);
  }
  const double below = b.count * ShareBelow(b, bound, linear);
  if (keep_below) return {below, Middle(b.lower, bound, positive, linear)};
  return {b.count - below, Middle(bound, b.upper, positive, linear)};
}

Kept TrimZeroBucket(double lower, double upper, double count, double bound, bool keep_below) {
  const double middle = (lower + upper) / 2;
  if (keep_below) {
    if (bound >= upper) return {count, middle};
    if (!(bound > lower)) return {};
    return {count * ((bound - lower) / (upper - lower)), (lower + bound) / 2};
  }
  if (bound <= lower) return {count, middle};
  if (!(bound < upper)) return {};
  return {count * ((upper - bound) / (upper - lower)), (bound + upper) / 2};
}

void AppendBucketText(const HistogramBucket& bucket, std::string* text) {
  *text += bucket.lower_inclusive ? ", [" : ", (";
  *text += FormatFloatGo(bucket.lower) + "," + FormatFloatGo(bucket.upper);
  *text += bucket.upper_inclusive ? "]:" : "):";
  *text += FormatFloatGo(bucket.count);
}

// Buckets of one side in script notation, gaps written as zeros.
std::string ScriptBuckets(const std::string& prefix, const std::vector<model::BucketSpan>& spans,
                          const std::vector<double>& buckets) {
  std::string list;
  size_t next = 0;
  for (size_t i = 0; i < spans.size(); ++i) {
    if (i > 0) {
      for (int32_t gap = 0; gap < spans[i].offset; ++gap) list += " 0";
    }
    for (uint32_t k = 0; k < spans[i].length && next < buckets.size(); ++k) {
      list += " " + FormatFloatGo(buckets[next++]);
    }
  }
  if (list.empty()) return "";
  std::string text;
  if (spans[0].offset != 0) text += " " + prefix + "offset:" + std::to_string(spans[0].offset);
  return text + " " + prefix + "buckets:[" + list.substr(1) + "]";
}

}  // namespace

HistogramEstimate HistogramQuantile(double q, const Histogram& h) {
  if (q < 0) return {-kInfinity};
  if (q > 1) return {kInfinity};
  if (h.count == 0 || std::isnan(q)) return {model::NormalNan()};
  // NaN observations are in the count but in no bucket, as if above all others: then the rank must
  // be counted from below. Otherwise from the nearer end, which loses less precision.
  const bool ascending = std::isnan(h.sum) || q < 0.5;
  const double rank = (ascending ? q : 1 - q) * h.count;
  RankPlace place = FindRank(AscendingBuckets(h), rank, ascending);
  HistogramBucket& bucket = place.bucket;
  if (!h.uses_custom_buckets()) {
    if (bucket.lower < 0 && bucket.upper > 0) BiasZeroBucket(h, &bucket);
  } else if (bucket.lower == -kInfinity) {
    if (bucket.upper <= 0) return {bucket.upper};
    bucket.lower = 0;
  } else if (bucket.upper == kInfinity) {
    return {bucket.lower};
  }
  const double visited = place.count;
  const double count = std::min(place.count, h.count);
  if (count < rank) {
    if (std::isnan(h.sum)) return {model::NormalNan(), true, false};
    return {bucket.upper};  // rounding, or counts that do not add up
  }
  HistogramEstimate estimate;
  estimate.nan_skew = std::isnan(h.sum) && visited + place.rest_count < h.count;
  const double share = (ascending ? rank - (count - bucket.count) : count - rank) / bucket.count;
  const bool linear = h.uses_custom_buckets() || (bucket.lower <= 0 && bucket.upper >= 0);
  estimate.value = linear ? bucket.lower + (bucket.upper - bucket.lower) * share
                          : InterpolateExponentially(bucket, share);
  return estimate;
}

HistogramEstimate HistogramFraction(double lower, double upper, const Histogram& h) {
  if (h.count == 0 || std::isnan(lower) || std::isnan(upper)) return {model::NormalNan()};
  if (lower >= upper) return {0};
  double total = 0;  // observations in buckets, the part below each limit
  std::optional<double> lower_rank;
  std::optional<double> upper_rank;
  for (HistogramBucket bucket : AscendingBuckets(h)) {
    // A custom bucket around zero is treated like the zero bucket: observations are rarely
    // negative.
    const bool around_zero = bucket.lower <= 0 && bucket.upper >= 0;
    if (around_zero) BiasZeroBucket(h, &bucket);
    const bool linear = h.uses_custom_buckets() || around_zero;
    const auto locate = [&](double limit, std::optional<double>* rank) {
      if (rank->has_value()) return;
      if (bucket.lower >= limit) {
        *rank = total;
      } else if (bucket.upper > limit) {
        // Nothing can be interpolated in a bucket from -Inf.
        const double share = bucket.lower == -kInfinity ? 1 : ShareBelow(bucket, limit, linear);
        *rank = total + bucket.count * share;
      }
    };
    locate(lower, &lower_rank);
    locate(upper, &upper_rank);
    total += bucket.count;
  }
  HistogramEstimate estimate;
  double count = h.count;
  if (std::isnan(h.sum)) {
    count = total;
    estimate.nan_skew = total < h.count;
  }
  const double from = std::min(lower_rank.value_or(count), count);
  const double to = std::min(upper_rank.value_or(count), count);
  estimate.value = (to - from) / h.count;
  return estimate;
}

double HistogramVariance(const Histogram& h) {
  const double mean = h.sum / h.count;
  double variance = 0;
  double error = 0;
  for (const HistogramBucket& bucket : AscendingBuckets(h)) {
    if (bucket.count == 0) continue;
    double middle = 0;
    if (h.uses_custom_buckets()) {
      middle = (bucket.upper + bucket.lower) / 2;
    } else if (bucket.lower > 0 || bucket.upper < 0) {
      middle = std::sqrt(bucket.upper * bucket.lower);
      if (bucket.upper < 0) middle = -middle;
    }
    const double delta = middle - mean;
    const double term = bucket.count * delta * delta;
    const double sum = variance + term;
    if (std::isinf(sum)) {
      error = 0;
    } else {
      error += std::fabs(variance) >= std::fabs(term) ? (variance - sum) + term
                                                      : (term - sum) + variance;
    }
    variance = sum;
  }
  return (variance + error) / h.count;
}

void TrimHistogram(double bound, bool keep_below, Histogram* histogram) {
  const bool linear = histogram->uses_custom_buckets();
  double count = 0;
  double sum = 0;
  bool changed = false;
  bool has_positive = false;
  bool has_negative = false;
  // Bounds are not cut at the zero bucket here, as in the reference.
  Histogram bare = *histogram;
  bare.zero_threshold = 0;
  bare.zero_count = 0;
  size_t position = 0;
  const std::vector<HistogramBucket> buckets = AscendingBuckets(bare);
  const size_t negatives = histogram->negative_buckets.size();
  for (; position < buckets.size(); ++position) {
    const HistogramBucket& bucket = buckets[position];
    if (bucket.count == 0) continue;
    const bool positive = position >= negatives;
    (positive ? has_positive : has_negative) = true;
    const Kept kept = TrimBucket(bucket, bound, keep_below, positive, linear);
    double& population = positive ? histogram->positive_buckets[position - negatives]
                                  : histogram->negative_buckets[negatives - 1 - position];
    count += kept.count;
    sum += kept.value * kept.count;
    changed = changed || population != kept.count;
    population = kept.count;
  }
  if (histogram->zero_count > 0) {
    const double lower = has_positive && !has_negative ? 0 : -histogram->zero_threshold;
    const double upper = has_negative && !has_positive ? 0 : histogram->zero_threshold;
    const Kept kept = TrimZeroBucket(lower, upper, histogram->zero_count, bound, keep_below);
    count += kept.count;
    sum += kept.value * kept.count;
    changed = changed || histogram->zero_count != kept.count;
    histogram->zero_count = kept.count;
  }
  if (!changed) return;
  histogram->integer = false;
  histogram->count = count;
  histogram->sum = sum;
  CompactHistogram(histogram);
}

std::string HistogramText(const Histogram& h) {
  std::string text = "{count:" + FormatFloatGo(h.count) + ", sum:" + FormatFloatGo(h.sum);
  for (const HistogramBucket& bucket : AscendingBuckets(h)) {
    if (bucket.count != 0) AppendBucketText(bucket, &text);
  }
  return text + "}";
}

std::string HistogramScriptText(const Histogram& h) {
  static constexpr const char* kHints[] = {"", "reset", "not_reset", "gauge"};
  std::string text;
  const auto number = [&text](const char* key, double value) {
    if (value != 0) text += std::string(" ") + key + ":" + FormatFloatGo(value);
  };
  if (h.schema != 0) text += " schema:" + std::to_string(h.schema);
  number("count", h.count);
  number("sum", h.sum);
  number("z_bucket", h.zero_count);
  number("z_bucket_w", h.zero_threshold);
  if (!h.custom_values.empty()) {
    std::string list;
    for (const double value : h.custom_values) list += " " + FormatFloatGo(value);
    text += " custom_values:[" + list.substr(1) + "]";
  }
  if (h.hint != model::CounterResetHint::kUnknown) {
    text += std::string(" counter_reset_hint:") + kHints[static_cast<size_t>(h.hint)];
  }
  text += ScriptBuckets("", h.positive_spans, h.positive_buckets);
  text += ScriptBuckets("n_", h.negative_spans, h.negative_buckets);
  return "{{" + (text.empty() ? "" : text.substr(1)) + "}}";
}

}  // namespace tocsin::query
