#include "query/histogram_sum.h"

namespace tocsin::query {

using model::CounterResetHint;
using model::Histogram;

bool HistogramSum::Add(const Histogram& histogram) {
  if (incompatible_ || (meets_floats_ && !total_.has_value())) return true;  // said once
  count_ += 1;
  has_reset_ |= histogram.hint == CounterResetHint::kReset;
  has_not_reset_ |= histogram.hint == CounterResetHint::kNotReset;
  if (!total_.has_value()) {
    total_.emplace(histogram);
    return true;
  }
  const std::optional<CombineNotes> notes = total_->Add(histogram);
  incompatible_ = !notes.has_value();
  bounds_reconciled_ |= notes.has_value() && notes->bounds_reconciled;
  return !incompatible_;
}

std::optional<Histogram> HistogramSum::Finish(bool average, AnnotationSink* annotations,
                                              PositionRange position) const {
  if (bounds_reconciled_) annotations->MismatchedCustomBuckets("aggregation", position);
  if (meets_floats_) {
    annotations->MixedFloatsHistogramsInAggregation(position);
    return std::nullopt;
  }
  if (incompatible_) return std::nullopt;
  if (has_reset_ && has_not_reset_) annotations->CounterResetCollision("aggregation", position);
  CompensatedHistogram total = *total_;
  if (average) total.Divide(count_);
  Histogram sum = total.Sum();
  CompactHistogram(&sum);
  return sum;
}

}  // namespace tocsin::query
