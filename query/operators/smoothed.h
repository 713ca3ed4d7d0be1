// SmoothedSelectorOperator: `metric smoothed`. At each step the value is interpolated between the
// samples before and after it, both within the lookback; without a later one the earlier holds.
#pragma once

#include <vector>

#include "query/operators/range_source.h"

namespace tocsin::query {

class SmoothedSelectorOperator final : public Operator {
 public:
  SmoothedSelectorOperator(QueryContext* context, const Grid& grid, RangeSourcePtr source,
                           PositionRange position)
      : Operator(context, grid), source_(std::move(source)), position_(position) {}
  Status Open() override { return source_->Open(); }
  size_t series_count() const override { return source_->series_count(); }
  model::Labels LabelsAt(size_t series) const override { return source_->LabelsAt(series); }
  bool HasSingleName() const override { return source_->HasSingleName(); }
  std::unique_ptr<Cursor> NewCursor() const override;

 private:
  class SmoothedCursor;
  const RangeSourcePtr source_;  // without range: the lookback on both sides is its margin
  const PositionRange position_;
};

}  // namespace tocsin::query
