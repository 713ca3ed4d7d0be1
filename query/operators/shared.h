// SharedOperator: an aggregation that stands in a query more than once, evaluated once. Each place
// where it stands has an operator of its own over one shared state; the first that is opened opens
// the aggregation, and all read the groups that it then holds.
//
// What the reference counts by place is counted by place here, too: each further one adds the
// samples that the first one looked at. Annotations find their further places by themselves
// (AnnotationSink::Repeat).
#pragma once

#include <memory>
#include <optional>

#include "query/operators/operator.h"

namespace tocsin::query {

class SharedOperator final : public Operator {
 public:
  struct State {
    OperatorPtr op;                // a materialised one: it can be read again and again
    std::optional<Status> opened;  // with what
    int64_t queryable_samples = 0;
  };

  SharedOperator(QueryContext* context, const Grid& grid, std::shared_ptr<State> state)
      : Operator(context, grid), state_(std::move(state)) {}

  Status Open() override;
  size_t series_count() const override { return state_->op->series_count(); }
  model::Labels LabelsAt(size_t series) const override { return state_->op->LabelsAt(series); }
  bool DropsName(size_t series) const override { return state_->op->DropsName(series); }
  bool HasSingleName() const override { return state_->op->HasSingleName(); }
  void Group(bool without, std::span<const std::string> names,
             std::vector<uint32_t>* group_of_series,
             std::vector<model::Labels>* groups) const override {
    state_->op->Group(without, names, group_of_series, groups);
  }
  std::unique_ptr<Cursor> NewCursor() const override { return state_->op->NewCursor(); }

 private:
  const std::shared_ptr<State> state_;
};

}  // namespace tocsin::query
