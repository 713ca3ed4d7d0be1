// AggregateOperator: sum, avg, count, min, max, group, stddev, stdvar. Group ids are computed once
// a series; batches stream through, and only groups × steps are held.
#pragma once

#include <string>
#include <vector>

#include "query/ast.h"
#include "query/operators/operator.h"

namespace tocsin::query {

struct Grouping {
  bool without = false;
  std::vector<std::string> labels;
};

// The groups of a child's series.
struct Groups {
  std::vector<uint32_t> of_series;
  std::vector<model::Labels> labels;
  std::vector<bool> drops_name;  // those whose name is to be dropped at the end
  LabelsCharge charge;           // of labels
};
Result<Groups> GroupSeries(const Operator& child, const Grouping& grouping);

class AggregateOperator final : public MaterialisedOperator {
 public:
  AggregateOperator(QueryContext* context, const Grid& grid, AggregateOp op, Grouping grouping,
                    OperatorPtr child, PositionRange position)
      : MaterialisedOperator(context, grid),
        op_(op),
        grouping_(std::move(grouping)),
        child_(std::move(child)),
        position_(position) {}
  Status Open() override;
  bool HasSingleName() const override;

 private:
  const AggregateOp op_;
  const Grouping grouping_;
  OperatorPtr child_;  // freed once it was read
  const PositionRange position_;
};

}  // namespace tocsin::query
