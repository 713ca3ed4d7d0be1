#include "query/operators/reset_hints.h"

#include "query/histogram_math.h"

namespace tocsin::query {

using model::CounterResetHint;

void DetectResetHints(model::ColumnBatch* batch, model::Column* column) {
  const size_t count = column->histograms.size();
  const model::Histogram** hinted = batch->NewHistogramPointers(count);
  for (size_t i = 0; i < count; ++i) {
    hinted[i] = column->histograms[i];
    if (i == 0 || hinted[i]->hint != CounterResetHint::kUnknown) continue;
    model::Histogram* changed = batch->NewHistogram();
    *changed = *hinted[i];
    changed->hint = IsCounterReset(*column->histograms[i], *column->histograms[i - 1])
                        ? CounterResetHint::kReset
                        : CounterResetHint::kNotReset;
    hinted[i] = changed;
  }
  column->histograms = {hinted, count};
}

}  // namespace tocsin::query
