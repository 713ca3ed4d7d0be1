// Counter reset hints of stored histograms. Storage gives a histogram back as it came; the
// reference's storage only tells gauges, and "not reset" of every sample that follows on the one
// before, whatever the sender said. The same is found here by comparing neighbours, and
// aggregations then answer with the same hints, and report conflicts between them.
//
// Where only count, sum and average are asked for (histogram_count & co. right above a selector),
// the reference finds resets as well while it reads (`mark_resets`). Where only times are, nothing
// is looked for.
#pragma once

#include <memory>
#include <optional>
#include <unordered_map>

#include "base/mutex.h"
#include "model/storage.h"
#include "query/context.h"

namespace tocsin::query {

// The histograms that the runs of a column of facts have kept (model/facts.h), one behind the
// other, become those of the column: hints among them are those among all samples.
void ListKeptHistograms(model::ColumnBatch* batch, model::Column* column);

// For one selection. Thread-safe.
class ResetHints {
 public:
  // One cursor's access.
  class Session {
   public:
    explicit Session(ResetHints* hints) : hints_(hints) {}
    // Replaces the hints of `column`. Changed histograms live in `batch`.
    Status Apply(const model::Labels& labels, model::ColumnBatch* batch, model::Column* column);

   private:
    Result<const model::Histogram*> Predecessor(const model::Labels& labels);
    model::CounterResetHint Hint(const model::Histogram& current,
                                 const model::Histogram* previous) const;

    ResetHints* const hints_;
    std::unique_ptr<model::ColumnReader> reader_;
    model::ColumnBatch before_;
  };

  ResetHints(QueryContext* context, model::MatcherSet matchers, model::TimeRange range,
             bool mark_resets, bool times_only)
      : context_(context),
        matchers_(std::move(matchers)),
        range_(range),
        mark_resets_(mark_resets),
        times_only_(times_only) {}

 private:
  // The series in the stretch of one lookback before the range, selected when first asked for.
  Status OpenBefore();

  QueryContext* const context_;
  const model::MatcherSet matchers_;
  const model::TimeRange range_;
  const bool mark_resets_;
  const bool times_only_;

  Mutex mu_;
  std::shared_ptr<const model::SeriesSelection> before_ GUARDED_BY(mu_);
  std::unordered_map<model::Labels, size_t, model::LabelsHash> index_before_ GUARDED_BY(mu_);
};

}  // namespace tocsin::query
