// Aggregations that need more than a running state: topk, bottomk, limitk, limit_ratio (which
// choose among the input's series) and quantile. count_values: count_values.h.
#pragma once

#include <string>
#include <vector>

#include "query/operators/aggregate.h"
#include "query/operators/operator.h"

namespace tocsin::query {

struct RankSpec {
  AggregateOp op = AggregateOp::kTopk;
  Grouping grouping;
  PositionRange position;  // of the aggregated expression; of all of it for topk and bottomk
  PositionRange param_position;
};

// topk and bottomk: a bounded heap a group and step. Among equal values the reference's own heap
// decides which stay, so that one is followed step by step.
class TopkOperator final : public MaterialisedOperator {
 public:
  TopkOperator(QueryContext* context, const Grid& grid, RankSpec spec, OperatorPtr child,
               OperatorPtr param)
      : MaterialisedOperator(context, grid),
        spec_(std::move(spec)),
        child_(std::move(child)),
        param_(std::move(param)) {}
  Status Open() override;

 private:
  const RankSpec spec_;
  OperatorPtr child_;
  const OperatorPtr param_;
};

// limitk: the first k series of each group; limit_ratio: those whose hash lies in the asked part of
// all hashes. An instant answer lists a group in the order of the heap that the reference keeps it
// in.
class LimitOperator final : public MaterialisedOperator {
 public:
  LimitOperator(QueryContext* context, const Grid& grid, RankSpec spec, OperatorPtr child,
                OperatorPtr param)
      : MaterialisedOperator(context, grid),
        spec_(std::move(spec)),
        child_(std::move(child)),
        param_(std::move(param)) {}
  Status Open() override;

 private:
  const RankSpec spec_;
  OperatorPtr child_;
  const OperatorPtr param_;
};

class QuantileOperator final : public MaterialisedOperator {
 public:
  QuantileOperator(QueryContext* context, const Grid& grid, RankSpec spec, OperatorPtr child,
                   OperatorPtr param)
      : MaterialisedOperator(context, grid),
        spec_(std::move(spec)),
        child_(std::move(child)),
        param_(std::move(param)) {}
  Status Open() override;

 private:
  const RankSpec spec_;
  OperatorPtr child_;
  const OperatorPtr param_;
};

}  // namespace tocsin::query
