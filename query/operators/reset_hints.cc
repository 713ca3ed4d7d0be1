#include "query/operators/reset_hints.h"

#include <algorithm>

#include "query/histogram_math.h"

namespace tocsin::query {

using model::CounterResetHint;
using model::Histogram;

void ListKeptHistograms(model::ColumnBatch* batch, model::Column* column) {
  size_t count = 0;
  for (const model::Facts& run : column->facts) count += run.kept_count;
  if (count == 0) return;
  const Histogram** kept = batch->NewHistogramPointers(count);
  column->histograms = {kept, count};
  for (const model::Facts& run : column->facts) kept = std::copy_n(run.kept, run.kept_count, kept);
}

Status ResetHints::OpenBefore() {
  MutexLock lock(mu_);
  if (before_ != nullptr) return Status::Ok();
  const model::TimeRange range{range_.min_ms - context_->lookback_delta_ms, range_.min_ms - 1};
  TOCSIN_ASSIGN_OR_RETURN_STATUS(before_, context_->Select(matchers_, range, model::SelectHints()));
  for (size_t s = 0; s < before_->size(); ++s) index_before_.emplace(before_->LabelsAt(s), s);
  return Status::Ok();
}

Result<const Histogram*> ResetHints::Session::Predecessor(const model::Labels& labels) {
  TOCSIN_TRY(hints_->OpenBefore());
  size_t series = 0;
  {
    MutexLock lock(hints_->mu_);
    const auto found = hints_->index_before_.find(labels);
    if (found == hints_->index_before_.end()) return nullptr;
    series = found->second;
    if (reader_ == nullptr) reader_ = hints_->before_->NewReader();
  }
  TOCSIN_TRY(reader_->Read(series, 1, &before_));
  const model::Column& column = before_.columns.front();
  return column.histograms.empty() ? nullptr : column.histograms.back();
}

CounterResetHint ResetHints::Session::Hint(const Histogram& current,
                                           const Histogram* previous) const {
  if (current.hint == CounterResetHint::kGauge) return current.hint;
  if (current.hint == CounterResetHint::kReset && !hints_->mark_resets_) {
    return CounterResetHint::kUnknown;
  }
  if (previous == nullptr || previous->is_stale()) return CounterResetHint::kUnknown;
  bool reset = false;
  if (current.hint == CounterResetHint::kUnknown) {
    reset = IsCounterReset(current, *previous);
  } else {  // what the sender said does not count, the populations do
    Histogram bare = current;
    bare.hint = CounterResetHint::kUnknown;
    reset = IsCounterReset(bare, *previous);
  }
  if (!reset) return CounterResetHint::kNotReset;
  return hints_->mark_resets_ ? CounterResetHint::kReset : CounterResetHint::kUnknown;
}

Status ResetHints::Session::Apply(const model::Labels& labels, model::ColumnBatch* batch,
                                  model::Column* column) {
  const size_t count = column->histograms.size();
  if (count == 0) return Status::Ok();
  hints_->context_->histograms_read.store(true, std::memory_order_relaxed);
  if (hints_->times_only_) return Status::Ok();
  const Histogram* previous = nullptr;
  // Who reads facts does not see the hint of their first one.
  if (column->histograms.front()->hint != CounterResetHint::kGauge && column->facts.empty()) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(previous, Predecessor(labels));
  }
  const Histogram** hinted = batch->NewHistogramPointers(count);
  for (size_t i = 0; i < count; ++i) {
    const Histogram* current = column->histograms[i];
    const CounterResetHint hint = Hint(*current, previous);
    hinted[i] = current;
    if (hint != current->hint) {
      Histogram* changed = batch->NewHistogram();
      *changed = *current;
      changed->hint = hint;
      hinted[i] = changed;
    }
    previous = hinted[i];
  }
  column->histograms = {hinted, count};
  return Status::Ok();
}

}  // namespace tocsin::query
