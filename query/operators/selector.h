// VectorSelectorOperator: `up{job="x"} offset 5m`. For each step it takes the newest sample in
// (t - lookback, t], none when that one is a staleness marker. A cursor walks each column once; the
// sample chosen per step is shared by neighbouring columns that share their timestamps.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "model/storage.h"
#include "query/ast.h"
#include "query/operators/operator.h"
#include "query/operators/reset_hints.h"

namespace tocsin::query {

// Where a selector or sub-query looks when it is evaluated at t: (at or t) - offset.
struct TimeShift {
  std::optional<model::Timestamp> at_ms;
  int64_t offset_ms = 0;
  int64_t lookback_cut_ms = 0;  // how much less far instant selectors look back
  model::Timestamp Apply(model::Timestamp t) const { return at_ms.value_or(t) - offset_ms; }
};

// The shifted times of all steps.
std::vector<model::Timestamp> ShiftedTimes(const Grid& grid, const TimeShift& shift);

enum class SelectorOutput : uint8_t {
  kValue,
  kSampleTime,  // timestamp(selector): seconds
  kStartTime,   // start_timestamp(selector): seconds, 0 when it is not known
};

// True when one matcher fixes the metric name.
bool FixesName(const model::MatcherSet& matchers);

class VectorSelectorOperator final : public Operator {
 public:
  VectorSelectorOperator(QueryContext* context, const Grid& grid, model::MatcherSet matchers,
                         TimeShift shift, SelectorOutput output, bool mark_resets, bool times_only)
      : Operator(context, grid),
        matchers_(std::move(matchers)),
        times_(ShiftedTimes(grid, shift)),
        lookback_ms_(std::max<int64_t>(context->lookback_delta_ms - shift.lookback_cut_ms, 0)),
        output_(output),
        mark_resets_(mark_resets),
        times_only_(times_only) {}

  Status Open() override;
  size_t series_count() const override { return selection_->size(); }
  model::Labels LabelsAt(size_t series) const override { return selection_->LabelsAt(series); }
  bool HasSingleName() const override { return FixesName(matchers_); }
  void Group(bool without, std::span<const std::string> names,
             std::vector<uint32_t>* group_of_series,
             std::vector<model::Labels>* groups) const override;
  std::unique_ptr<Cursor> NewCursor() const override;

 private:
  const model::MatcherSet matchers_;
  const std::vector<model::Timestamp> times_;
  const int64_t lookback_ms_;  // 0: nothing is found
  const SelectorOutput output_;
  const bool mark_resets_;
  const bool times_only_;  // nobody looks at the values
  std::unique_ptr<ResetHints> reset_hints_;
  std::shared_ptr<const model::SeriesSelection> selection_;
};

// Groups a selection as Operator::Group promises.
void GroupSelection(const model::SeriesSelection& selection, bool without,
                    std::span<const std::string> names, std::vector<uint32_t>* group_of_series,
                    std::vector<model::Labels>* groups);

}  // namespace tocsin::query
