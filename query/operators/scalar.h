// Scalars: one series without labels, a value at every step.
#pragma once

#include <functional>
#include <vector>

#include "query/operators/operator.h"

namespace tocsin::query {

// Base of all scalars: Open fills values_.
class ScalarOperator : public Operator {
 public:
  using Operator::Operator;
  size_t series_count() const override { return 1; }
  model::Labels LabelsAt(size_t /*series*/) const override { return {}; }
  bool HasSingleName() const override { return true; }
  std::unique_ptr<Cursor> NewCursor() const override;

 protected:
  std::vector<double> values_;  // one a step
};

class ConstantOperator final : public ScalarOperator {
 public:
  ConstantOperator(QueryContext* context, const Grid& grid, double value)
      : ScalarOperator(context, grid), value_(value) {}
  Status Open() override;
  const double* constant() const override { return &value_; }

 private:
  const double value_;
};

// time(): the evaluation time in seconds.
class TimeOperator final : public ScalarOperator {
 public:
  using ScalarOperator::ScalarOperator;
  Status Open() override;
};

// f(a, b) of two scalars.
class ScalarBinaryOperator final : public ScalarOperator {
 public:
  using Function = double (*)(double, double);
  ScalarBinaryOperator(QueryContext* context, const Grid& grid, OperatorPtr lhs, OperatorPtr rhs,
                       Function function)
      : ScalarOperator(context, grid),
        lhs_(std::move(lhs)),
        rhs_(std::move(rhs)),
        function_(function) {}
  Status Open() override;

 private:
  const OperatorPtr lhs_;
  const OperatorPtr rhs_;
  const Function function_;
};

// scalar(v): the value where exactly one float element is there, else NaN.
class ToScalarOperator final : public ScalarOperator {
 public:
  ToScalarOperator(QueryContext* context, const Grid& grid, OperatorPtr vector)
      : ScalarOperator(context, grid), vector_(std::move(vector)) {}
  Status Open() override;

 private:
  const OperatorPtr vector_;
};

}  // namespace tocsin::query
