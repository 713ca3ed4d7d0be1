// GroupAccumulator: the running state of one aggregation over groups × steps. Rows are added one by
// one, always in the order of series, so that answers do not depend on the number of threads.
//
//   sum, avg         Neumaier-compensated; avg falls back to an incremental mean where the sum
//                    leaves the range of a double. Histograms are added up too
//   min, max         NaN only where nothing else is there
//   stddev, stdvar   Welford
//   count, group     floats and histograms alike
//
// min, max, stddev and stdvar pass histograms over (and say so).
#pragma once

#include <memory>
#include <vector>

#include "query/ast.h"
#include "query/context.h"
#include "query/operators/operator.h"

namespace tocsin::query {

class GroupAccumulator {
 public:
  virtual ~GroupAccumulator() = default;
  // Adds row `row` of `batch`, which is the child's `series`, to `group`.
  virtual Status Add(size_t group, size_t series, const Batch& batch, size_t row) = 0;
  // The answer: one row a group. Called once.
  virtual Status Finish(Batch* out) = 0;
};

struct AggregationPlace {
  QueryContext* context;
  PositionRange position;  // of the aggregated expression
  const Operator* child;   // for the names of its series
};

// Precondition: !TakesParameter(op). Charges groups × steps before it allocates.
Result<std::unique_ptr<GroupAccumulator>> NewGroupAccumulator(AggregateOp op, size_t groups,
                                                              size_t steps, AggregationPlace place);

}  // namespace tocsin::query
