// Operators that look at one series at a time: MapOperator (a function of each point),
// StepInvariantOperator (one evaluation, repeated over all steps), MergeEqualLabelsOperator (series
// that became equal by losing labels).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "query/operators/operator.h"

namespace tocsin::query {

// What an operator does to the metric name of its series.
enum class NamePolicy : uint8_t { kKeep, kDrop };

// Base for operators with exactly the child's series, perhaps without their names.
class UnaryOperator : public Operator {
 public:
  UnaryOperator(QueryContext* context, const Grid& grid, OperatorPtr child, NamePolicy policy)
      : Operator(context, grid),
        child_(std::move(child)),
        policy_(policy),
        has_single_name_(child_->HasSingleName()) {}

  Status Open() override { return child_->Open(); }
  size_t series_count() const override { return child_->series_count(); }
  model::Labels LabelsAt(size_t series) const override;
  bool DropsName(size_t series) const override;
  bool HasSingleName() const override { return has_single_name_; }
  void Group(bool without, std::span<const std::string> names,
             std::vector<uint32_t>* group_of_series,
             std::vector<model::Labels>* groups) const override;

 protected:
  bool DropsNameNow() const {
    return policy_ == NamePolicy::kDrop && !context_->language.delayed_name_removal;
  }

  const OperatorPtr child_;
  const NamePolicy policy_;
  const bool has_single_name_;  // kept: chains of operators ask at every level
};

// Changes rows in place. `map` gets each series' row once, from several threads at once.
class MapOperator final : public UnaryOperator {
 public:
  // Scalar arguments arrive as one value a step.
  using Scalars = std::vector<std::vector<double>>;
  using RowMap = std::function<void(const Scalars&, Batch* batch, size_t row)>;
  MapOperator(QueryContext* context, const Grid& grid, OperatorPtr child,
              std::vector<OperatorPtr> scalars, NamePolicy policy, RowMap map)
      : UnaryOperator(context, grid, std::move(child), policy),
        scalar_operators_(std::move(scalars)),
        map_(std::move(map)) {}

  Status Open() override;
  std::unique_ptr<Cursor> NewCursor() const override;

 private:
  const std::vector<OperatorPtr> scalar_operators_;
  const RowMap map_;
  Scalars scalars_;
};

// vector(s): the scalar as a vector of one element without labels.
class VectorOfScalarOperator final : public UnaryOperator {
 public:
  VectorOfScalarOperator(QueryContext* context, const Grid& grid, OperatorPtr scalar)
      : UnaryOperator(context, grid, std::move(scalar), NamePolicy::kKeep) {}
  std::unique_ptr<Cursor> NewCursor() const override { return child_->NewCursor(); }
};

// `child` has a grid of one step; its answer holds for all steps of this one's.
class StepInvariantOperator final : public UnaryOperator {
 public:
  StepInvariantOperator(QueryContext* context, const Grid& grid, OperatorPtr child)
      : UnaryOperator(context, grid, std::move(child), NamePolicy::kKeep) {}
  std::unique_ptr<Cursor> NewCursor() const override;
};

// Makes one series of those whose labels became equal; fails where two of them have a point at the
// same step.
class MergeEqualLabelsOperator final : public Operator {
 public:
  MergeEqualLabelsOperator(QueryContext* context, const Grid& grid, OperatorPtr child)
      : Operator(context, grid), child_(std::move(child)) {}

  Status Open() override;
  size_t series_count() const override {
    return distinct_ ? child_->series_count() : first_members_.size();
  }
  model::Labels LabelsAt(size_t series) const override {
    return child_->LabelsAt(distinct_ ? series : first_members_[series]);
  }
  bool DropsName(size_t series) const override {
    return child_->DropsName(distinct_ ? series : first_members_[series]);
  }
  bool HasSingleName() const override { return true; }
  std::unique_ptr<Cursor> NewCursor() const override;

 private:
  Status Merge(const std::vector<uint32_t>& target);

  const OperatorPtr child_;
  bool distinct_ = true;
  // Only when not distinct.
  std::vector<uint32_t> first_members_;  // the first child of each series
  Batch merged_;
};

// "vector cannot contain metrics with the same labelset"
Status DuplicateLabelsError();

// Adds the points of row `from` to row `to`; fails where both have one.
Status MergeRow(const Batch& source, size_t from, Batch* target, size_t to);

}  // namespace tocsin::query
