#include "model/histogram_arithmetic.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace tocsin::model {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Walks the buckets of one side: index and position in the list of populations.
class BucketWalk {
 public:
  BucketWalk(const std::vector<BucketSpan>& spans, const std::vector<double>& buckets)
      : spans_(spans), buckets_(buckets) {
    if (!spans_.empty()) index_ = spans_[0].offset;
    SkipEmptySpans();
  }

  bool done() const { return span_ >= spans_.size() || position_ >= buckets_.size(); }
  int32_t index() const { return index_; }
  size_t position() const { return position_; }
  double count() const { return buckets_[position_]; }
  void Next() {
    ++index_;
    ++position_;
    ++in_span_;
    SkipEmptySpans();
  }

 private:
  void SkipEmptySpans() {
    while (span_ < spans_.size() && in_span_ >= spans_[span_].length) {
      in_span_ = 0;
      if (++span_ < spans_.size()) index_ += spans_[span_].offset;
    }
  }

  const std::vector<BucketSpan>& spans_;
  const std::vector<double>& buckets_;
  size_t span_ = 0;
  uint32_t in_span_ = 0;
  int32_t index_ = 0;
  size_t position_ = 0;
};

// One side being written, in ascending order of index.
struct Side {
  std::vector<BucketSpan> spans;
  std::vector<double> buckets;
  std::vector<double> errors;  // beside buckets; empty unless errors are carried
  int32_t next_index = 0;

  void Append(int32_t index, double count) {
    if (!spans.empty() && index == next_index) {
      ++spans.back().length;
    } else {
      spans.push_back({spans.empty() ? index : index - next_index, 1});
    }
    next_index = index + 1;
    buckets.push_back(count);
  }
};

// Neumaier's step: adds `term`, the lost low bits go to *error.
void AddCompensated(double term, double* sum, double* error) {
  const double t = *sum + term;
  if (std::isinf(t)) {
    *error = 0;
  } else if (std::fabs(*sum) >= std::fabs(term)) {
    *error += (*sum - t) + term;
  } else {
    *error += (term - t) + *sum;
  }
  *sum = t;
}

int32_t IndexInSchema(int32_t index, int32_t from, int32_t to) {
  return ((index - 1) >> (from - to)) + 1;
}

// How one side of an addend is taken into one side of a sum.
struct MergeOptions {
  double sign = 1;
  bool exponential = true;
  int32_t schema = 0;         // of the sum
  int32_t addend_schema = 0;  // at least schema
  double zero_threshold = 0;  // the addend's buckets within are in the zero bucket already
};

// `errors` (may be null) holds the error terms of `buckets`; both are replaced.
void MergeSide(const MergeOptions& options, const std::vector<BucketSpan>& addend_spans,
               const std::vector<double>& addend_buckets, std::vector<BucketSpan>* spans,
               std::vector<double>* buckets, std::vector<double>* errors) {
  Side merged;
  merged.buckets.reserve(buckets->size() + addend_buckets.size());
  BucketWalk own(*spans, *buckets);
  BucketWalk other(addend_spans, addend_buckets);
  const auto other_index = [&] {
    return options.exponential ? IndexInSchema(other.index(), options.addend_schema, options.schema)
                               : other.index();
  };
  while (!own.done() || !other.done()) {
    const bool take_own = !own.done() && (other.done() || own.index() <= other_index());
    const int32_t index = take_own ? own.index() : other_index();
    double sum = 0;
    double error = 0;
    if (take_own) {
      sum = own.count();
      if (errors != nullptr) error = (*errors)[own.position()];
      own.Next();
    }
    const bool in_zero_bucket = options.exponential && !other.done() && other_index() == index &&
                                ExponentialBound(index, options.schema) <= options.zero_threshold;
    for (; !other.done() && other_index() == index; other.Next()) {
      if (in_zero_bucket) continue;
      const double term = options.sign * other.count();
      if (errors != nullptr) {
        AddCompensated(term, &sum, &error);
      } else {
        sum += term;
      }
    }
    if (!take_own && in_zero_bucket) continue;
    merged.Append(index, sum);
    merged.errors.push_back(error);
  }
  *spans = std::move(merged.spans);
  *buckets = std::move(merged.buckets);
  if (errors != nullptr) *errors = std::move(merged.errors);
}

// Joins neighbouring buckets of one side for a lower resolution.
void ReduceSide(int32_t from, int32_t to, std::vector<BucketSpan>* spans,
                std::vector<double>* buckets) {
  Side reduced;
  for (BucketWalk walk(*spans, *buckets); !walk.done(); walk.Next()) {
    const int32_t index = IndexInSchema(walk.index(), from, to);
    if (!reduced.buckets.empty() && index + 1 == reduced.next_index) {
      reduced.buckets.back() += walk.count();
    } else {
      reduced.Append(index, walk.count());
    }
  }
  *spans = std::move(reduced.spans);
  *buckets = std::move(reduced.buckets);
}

void CompactSide(std::vector<BucketSpan>* spans, std::vector<double>* buckets,
                 std::vector<double>* errors) {
  Side kept;
  for (BucketWalk walk(*spans, *buckets); !walk.done(); walk.Next()) {
    if (walk.count() == 0) continue;
    kept.Append(walk.index(), walk.count());
    if (errors != nullptr) kept.errors.push_back((*errors)[walk.position()]);
  }
  *spans = std::move(kept.spans);
  *buckets = std::move(kept.buckets);
  if (errors != nullptr) *errors = std::move(kept.errors);
}

// The zero bucket widened to `threshold`, or to the end of the populated bucket that `threshold`
// would cut: its count, and the threshold that was reached.
struct ZeroBucket {
  double count;
  double threshold;
};

ZeroBucket WidenedZeroBucket(const Histogram& h, double threshold) {
  for (;;) {
    double count = h.zero_count;
    bool again = false;
    const auto take_side = [&](const std::vector<BucketSpan>& spans,
                               const std::vector<double>& buckets, bool redo_when_cut) {
      for (BucketWalk walk(spans, buckets); !walk.done(); walk.Next()) {
        if (ExponentialBound(walk.index() - 1, h.schema) >= threshold) break;
        count += walk.count();
        const double upper = ExponentialBound(walk.index(), h.schema);
        if (upper <= threshold) continue;
        if (walk.count() != 0) {
          threshold = upper;
          again = redo_when_cut;
        }
        break;
      }
    };
    take_side(h.positive_spans, h.positive_buckets, false);
    // A wider threshold on the negative side may reach more of the positive side.
    take_side(h.negative_spans, h.negative_buckets, true);
    if (!again) return {count, threshold};
  }
}

// Empties the buckets within the zero bucket: their observations are counted there.
void DropBucketsInZeroBucket(Histogram* h, Histogram* errors) {
  const auto drop = [h](const std::vector<BucketSpan>& spans, std::vector<double>* buckets) {
    for (BucketWalk walk(spans, *buckets); !walk.done(); walk.Next()) {
      if (ExponentialBound(walk.index() - 1, h->schema) >= h->zero_threshold) break;
      (*buckets)[walk.position()] = 0;
    }
  };
  drop(h->positive_spans, &h->positive_buckets);
  drop(h->negative_spans, &h->negative_buckets);
  CompactSide(&h->positive_spans, &h->positive_buckets,
              errors != nullptr ? &errors->positive_buckets : nullptr);
  CompactSide(&h->negative_spans, &h->negative_buckets,
              errors != nullptr ? &errors->negative_buckets : nullptr);
}

// Widens the sum's zero bucket until both fit; returns the addend's count for that threshold.
double ReconcileZeroBuckets(const Histogram& addend, Histogram* sum, Histogram* errors) {
  ZeroBucket other{addend.zero_count, addend.zero_threshold};
  // Thresholds only grow, and each step ends at a bucket's bound: there is an end. A NaN threshold
  // equals nothing, hence the comparisons.
  while (other.threshold < sum->zero_threshold || other.threshold > sum->zero_threshold) {
    if (sum->zero_threshold > other.threshold) {
      other = WidenedZeroBucket(addend, sum->zero_threshold);
    }
    if (other.threshold > sum->zero_threshold) {
      const ZeroBucket own = WidenedZeroBucket(*sum, other.threshold);
      sum->zero_count = own.count;
      sum->zero_threshold = own.threshold;
      DropBucketsInZeroBucket(sum, errors);
    }
  }
  return other.count;
}

// Gauge wins over counters, unknown over the two certain hints.
bool ReconcileHints(const Histogram& addend, Histogram* sum) {
  const CounterResetHint other = addend.hint;
  if (other == sum->hint || sum->hint == CounterResetHint::kGauge) return false;
  if (other == CounterResetHint::kGauge) {
    sum->hint = other;
    return false;
  }
  const bool collision =
      sum->hint != CounterResetHint::kUnknown && other != CounterResetHint::kUnknown;
  sum->hint = CounterResetHint::kUnknown;
  return collision;
}

// The bounds that both have, ascending.
std::vector<double> CommonBounds(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> common;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(common));
  return common;
}

// Pours the buckets of one histogram into those between `bounds` (a subset of its own).
void PourIntoBounds(const Histogram& h, const std::vector<double>* errors, double sign,
                    const std::vector<double>& bounds, std::vector<double>* counts,
                    std::vector<double>* count_errors) {
  for (BucketWalk walk(h.positive_spans, h.positive_buckets); !walk.done(); walk.Next()) {
    size_t target = bounds.size();  // the bucket up to +Inf
    if (walk.index() >= 0 && static_cast<size_t>(walk.index()) < h.custom_values.size()) {
      const double upper = h.custom_values[static_cast<size_t>(walk.index())];
      target = static_cast<size_t>(std::lower_bound(bounds.begin(), bounds.end(), upper) -
                                   bounds.begin());
    }
    AddCompensated(sign * walk.count(), &(*counts)[target], &(*count_errors)[target]);
    if (errors != nullptr) {
      AddCompensated((*errors)[walk.position()], &(*counts)[target], &(*count_errors)[target]);
    }
  }
}

void MergeCustomBounds(const Histogram& addend, double sign, Histogram* sum, Histogram* errors) {
  const std::vector<double> bounds = CommonBounds(sum->custom_values, addend.custom_values);
  std::vector<double> counts(bounds.size() + 1);
  std::vector<double> count_errors(bounds.size() + 1);
  PourIntoBounds(*sum, errors != nullptr ? &errors->positive_buckets : nullptr, 1, bounds, &counts,
                 &count_errors);
  PourIntoBounds(addend, nullptr, sign, bounds, &counts, &count_errors);
  Side side;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0 && count_errors[i] == 0) continue;
    side.Append(static_cast<int32_t>(i), counts[i]);
    side.errors.push_back(count_errors[i]);
  }
  sum->custom_values = bounds;
  sum->positive_spans = std::move(side.spans);
  sum->positive_buckets = std::move(side.buckets);
  if (errors != nullptr) errors->positive_buckets = std::move(side.errors);
}

void AddScalar(double term, double* sum, double* error) {
  if (error != nullptr) {
    AddCompensated(term, sum, error);
  } else {
    *sum += term;
  }
}

std::optional<CombineNotes> Combine(const Histogram& addend, double sign, Histogram* sum,
                                    Histogram* errors) {
  if (addend.uses_custom_buckets() != sum->uses_custom_buckets()) return std::nullopt;
  CombineNotes notes;
  notes.counter_reset_collision = ReconcileHints(addend, sum);
  sum->integer = false;
  AddScalar(sign * addend.count, &sum->count, errors != nullptr ? &errors->count : nullptr);
  AddScalar(sign * addend.sum, &sum->sum, errors != nullptr ? &errors->sum : nullptr);
  std::vector<double>* positive_errors = errors != nullptr ? &errors->positive_buckets : nullptr;
  std::vector<double>* negative_errors = errors != nullptr ? &errors->negative_buckets : nullptr;

  MergeOptions options;
  options.sign = sign;
  if (sum->uses_custom_buckets()) {
    options.exponential = false;
    if (addend.custom_values == sum->custom_values) {
      MergeSide(options, addend.positive_spans, addend.positive_buckets, &sum->positive_spans,
                &sum->positive_buckets, positive_errors);
    } else {
      notes.bounds_reconciled = true;
      MergeCustomBounds(addend, sign, sum, errors);
    }
    return notes;
  }

  const double addend_zero_count = ReconcileZeroBuckets(addend, sum, errors);
  AddScalar(sign * addend_zero_count, &sum->zero_count,
            errors != nullptr ? &errors->zero_count : nullptr);
  if (addend.schema < sum->schema) {
    if (errors != nullptr) {
      // The error terms have the layout of the sum: bring them along.
      std::vector<BucketSpan> positive = sum->positive_spans;
      std::vector<BucketSpan> negative = sum->negative_spans;
      ReduceSide(sum->schema, addend.schema, &positive, positive_errors);
      ReduceSide(sum->schema, addend.schema, &negative, negative_errors);
    }
    ReduceResolution(addend.schema, sum);
  }
  options.schema = sum->schema;
  options.addend_schema = addend.schema;
  options.zero_threshold = sum->zero_threshold;
  MergeSide(options, addend.positive_spans, addend.positive_buckets, &sum->positive_spans,
            &sum->positive_buckets, positive_errors);
  MergeSide(options, addend.negative_spans, addend.negative_buckets, &sum->negative_spans,
            &sum->negative_buckets, negative_errors);
  return notes;
}

// True when a side of `current` lacks observations that `previous` has. Buckets within the zero
// bucket of `current` do not count.
bool LosesObservations(const std::vector<BucketSpan>& current_spans,
                       const std::vector<double>& current_buckets,
                       const std::vector<BucketSpan>& previous_spans,
                       const std::vector<double>& previous_buckets, const Histogram& current,
                       int32_t previous_schema) {
  BucketWalk now(current_spans, current_buckets);
  BucketWalk before(previous_spans, previous_buckets);
  while (!before.done()) {
    const auto index_of = [&] {
      return current.uses_custom_buckets()
                 ? before.index()
                 : IndexInSchema(before.index(), previous_schema, current.schema);
    };
    const int32_t index = index_of();
    double count = 0;
    for (; !before.done() && index_of() == index; before.Next()) count += before.count();
    if (!current.uses_custom_buckets() &&
        ExponentialBound(index, current.schema) <= current.zero_threshold) {
      continue;
    }
    while (!now.done() && now.index() < index) now.Next();
    const double now_count = !now.done() && now.index() == index ? now.count() : 0;
    if (now_count < count) return true;
  }
  return false;
}

bool SameBits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

bool SameSide(const std::vector<BucketSpan>& a_spans, const std::vector<double>& a_buckets,
              const std::vector<BucketSpan>& b_spans, const std::vector<double>& b_buckets) {
  BucketWalk a(a_spans, a_buckets);
  BucketWalk b(b_spans, b_buckets);
  for (; !a.done() && !b.done(); a.Next(), b.Next()) {
    if (a.index() != b.index() || !SameBits(a.count(), b.count())) return false;
  }
  return a.done() && b.done();
}

template <typename F>
void ForEachNumber(Histogram* h, const F& f) {
  f(&h->zero_count);
  f(&h->count);
  f(&h->sum);
  for (double& bucket : h->positive_buckets) f(&bucket);
  for (double& bucket : h->negative_buckets) f(&bucket);
}

// The fractions 2^(k/256) of the finest schema; coarser ones use every 2nd, 4th, …
// Prometheus' bounds are products of one factor per set bit of k, the largest first, and so may be
// a last digit off the nearest double (its √2 is 2 · (1/√2)); queries and bucket labels show them,
// so these are built the same way.
const std::array<double, 256>& BoundFractions() {
  static const std::array<double, 256> kFractions = [] {
    std::array<double, 8> factors;
    for (int bit = 0; bit < 7; ++bit) factors[bit] = std::exp2(std::exp2(bit - 8));
    factors[7] = 2 * (1 / std::sqrt(2.0));
    std::array<double, 256> fractions;
    for (size_t k = 0; k < fractions.size(); ++k) {
      fractions[k] = 1;
      for (size_t bit = factors.size(); bit-- > 0;) {
        if ((k >> bit & 1) != 0) fractions[k] *= factors[bit];
      }
    }
    return fractions;
  }();
  return kFractions;
}

}  // namespace

double ExponentialBound(int32_t index, int32_t schema) {
  // The bucket that would end at 2^1024 ends at the largest double, so that the next one can be the
  // bucket of infinities.
  if (schema < 0) {
    const int64_t exponent = static_cast<int64_t>(index) << -schema;
    if (exponent == 1024) return std::numeric_limits<double>::max();
    return std::ldexp(1.0, static_cast<int>(std::clamp<int64_t>(exponent, -5000, 5000)));
  }
  const int32_t mask = (int32_t{1} << schema) - 1;
  const int32_t fraction = index & mask;
  const int32_t exponent = index >> schema;
  if (fraction == 0 && exponent == 1024) return std::numeric_limits<double>::max();
  const size_t k = static_cast<size_t>(fraction) << (kMaxExponentialSchema - schema);
  return std::ldexp(BoundFractions()[k], std::clamp(exponent, -5000, 5000));
}

std::vector<HistogramBucket> AscendingBuckets(const Histogram& h) {
  std::vector<HistogramBucket> buckets;
  buckets.reserve(h.negative_buckets.size() + h.positive_buckets.size() + 1);
  const auto custom_bound = [&h](int32_t index) {
    if (index < 0) return -kInfinity;
    const auto i = static_cast<size_t>(index);
    return i < h.custom_values.size() ? h.custom_values[i] : kInfinity;
  };
  const auto add = [&](double lower, double upper, double count, int32_t index) {
    if (upper < 0 && upper > -h.zero_threshold) upper = -h.zero_threshold;
    if (lower > 0 && lower < h.zero_threshold) lower = h.zero_threshold;
    buckets.push_back({lower, upper, count, index, lower < 0, upper > 0});
  };
  for (BucketWalk walk(h.negative_spans, h.negative_buckets); !walk.done(); walk.Next()) {
    add(-ExponentialBound(walk.index(), h.schema), -ExponentialBound(walk.index() - 1, h.schema),
        walk.count(), walk.index());
  }
  std::reverse(buckets.begin(), buckets.end());
  if (!h.uses_custom_buckets() && h.zero_count > 0) {
    buckets.push_back({-h.zero_threshold, h.zero_threshold, h.zero_count, 0, true, true});
  }
  for (BucketWalk walk(h.positive_spans, h.positive_buckets); !walk.done(); walk.Next()) {
    if (h.uses_custom_buckets()) {
      add(custom_bound(walk.index() - 1), custom_bound(walk.index()), walk.count(), walk.index());
    } else {
      add(ExponentialBound(walk.index() - 1, h.schema), ExponentialBound(walk.index(), h.schema),
          walk.count(), walk.index());
    }
  }
  return buckets;
}

std::optional<CombineNotes> AddHistogram(const Histogram& addend, Histogram* sum) {
  return Combine(addend, 1, sum, nullptr);
}

std::optional<CombineNotes> SubtractHistogram(const Histogram& subtrahend, Histogram* difference) {
  return Combine(subtrahend, -1, difference, nullptr);
}

CompensatedHistogram::CompensatedHistogram(const Histogram& first) : sum_(first) {
  sum_.integer = false;
  error_.positive_buckets.assign(first.positive_buckets.size(), 0);
  error_.negative_buckets.assign(first.negative_buckets.size(), 0);
}

std::optional<CombineNotes> CompensatedHistogram::Add(const Histogram& addend) {
  return Combine(addend, 1, &sum_, &error_);
}

void CompensatedHistogram::Scale(double factor) {
  ScaleHistogram(factor, &sum_);
  ScaleHistogram(factor, &error_);
}

void CompensatedHistogram::Divide(double divisor) {
  DivideHistogram(divisor, &sum_);
  DivideHistogram(divisor, &error_);
}

Histogram CompensatedHistogram::Sum() const {
  Histogram sum = sum_;
  sum.zero_count += error_.zero_count;
  sum.count += error_.count;
  sum.sum += error_.sum;
  for (size_t i = 0; i < sum.positive_buckets.size(); ++i) {
    sum.positive_buckets[i] += error_.positive_buckets[i];
  }
  for (size_t i = 0; i < sum.negative_buckets.size(); ++i) {
    sum.negative_buckets[i] += error_.negative_buckets[i];
  }
  return sum;
}

void ScaleHistogram(double factor, Histogram* histogram) {
  ForEachNumber(histogram, [factor](double* number) { *number *= factor; });
  histogram->integer = false;
  if (factor < 0) histogram->hint = CounterResetHint::kGauge;
}

void DivideHistogram(double divisor, Histogram* histogram) {
  ForEachNumber(histogram, [divisor](double* number) { *number /= divisor; });
  histogram->integer = false;
  if (divisor == 0) {
    histogram->positive_spans.clear();
    histogram->negative_spans.clear();
    histogram->positive_buckets.clear();
    histogram->negative_buckets.clear();
  } else if (divisor < 0) {
    histogram->hint = CounterResetHint::kGauge;
  }
}

void ReduceResolution(int32_t schema, Histogram* histogram) {
  DCHECK(!histogram->uses_custom_buckets() && schema <= histogram->schema);
  if (schema == histogram->schema) return;
  ReduceSide(histogram->schema, schema, &histogram->positive_spans, &histogram->positive_buckets);
  ReduceSide(histogram->schema, schema, &histogram->negative_spans, &histogram->negative_buckets);
  histogram->schema = schema;
}

void CompactHistogram(Histogram* histogram) {
  CompactSide(&histogram->positive_spans, &histogram->positive_buckets, nullptr);
  CompactSide(&histogram->negative_spans, &histogram->negative_buckets, nullptr);
}

bool IsCounterReset(const Histogram& current, const Histogram& previous) {
  if (current.hint == CounterResetHint::kReset) return true;
  if (current.hint == CounterResetHint::kNotReset) return false;
  // A gauge here was given to a function for counters: it is treated as one.
  return HasLostObservations(current, previous);
}

bool HasLostObservations(const Histogram& current, const Histogram& previous) {
  if (current.count < previous.count) return true;
  if (current.uses_custom_buckets() != previous.uses_custom_buckets()) return true;
  if (current.uses_custom_buckets()) {
    if (current.custom_values != previous.custom_values) {
      // Compared over the bounds that both have.
      Histogram now = current;
      Histogram difference;
      difference.schema = kCustomBucketsSchema;
      difference.custom_values = previous.custom_values;
      MergeCustomBounds(difference, 1, &now, nullptr);
      Histogram before = previous;
      difference.custom_values = current.custom_values;
      MergeCustomBounds(difference, 1, &before, nullptr);
      return LosesObservations(now.positive_spans, now.positive_buckets, before.positive_spans,
                               before.positive_buckets, now, before.schema);
    }
  } else {
    // Finer resolution or a narrower zero bucket can only come with a reset.
    if (current.schema > previous.schema) return true;
    if (current.zero_threshold < previous.zero_threshold) return true;
    const ZeroBucket zero = current.zero_threshold > previous.zero_threshold
                                ? WidenedZeroBucket(previous, current.zero_threshold)
                                : ZeroBucket{previous.zero_count, previous.zero_threshold};
    if (zero.threshold > current.zero_threshold) return true;
    if (current.zero_count < zero.count) return true;
  }
  return LosesObservations(current.positive_spans, current.positive_buckets,
                           previous.positive_spans, previous.positive_buckets, current,
                           previous.schema) ||
         LosesObservations(current.negative_spans, current.negative_buckets,
                           previous.negative_spans, previous.negative_buckets, current,
                           previous.schema);
}

bool SameHistogram(const Histogram& a, const Histogram& b) {
  return a.schema == b.schema && SameBits(a.count, b.count) && SameBits(a.sum, b.sum) &&
         a.zero_threshold == b.zero_threshold && SameBits(a.zero_count, b.zero_count) &&
         (!a.uses_custom_buckets() || a.custom_values == b.custom_values) &&
         SameSide(a.positive_spans, a.positive_buckets, b.positive_spans, b.positive_buckets) &&
         SameSide(a.negative_spans, a.negative_buckets, b.negative_spans, b.negative_buckets);
}

}  // namespace tocsin::model
