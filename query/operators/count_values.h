// count_values: how many series of a group have each value, at each step.
//
// A value is often there at few steps only, so that the answer has far more series than a step has
// points: it is held as cells (series, step, count), and made into rows when it is read.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "query/operators/aggregate.h"
#include "query/operators/rank.h"

namespace tocsin::query {

// Counts of (row, step) pairs, in order. Pairs come one by one and are counted in portions. One
// thread.
class CellCounts {
 public:
  struct Cell {
    uint32_t row;
    uint32_t step;
    double count;
  };

  explicit CellCounts(Budget* memory) : memory_(memory) {}

  Status Add(uint32_t row, uint32_t step);
  // Rows become target[row]; those that become equal are added up.
  Status Rename(const std::vector<uint32_t>& target);
  // Precondition: Rename was the last call.
  const std::vector<Cell>& cells() const { return cells_; }

 private:
  Status Settle();

  Budget* const memory_;
  std::vector<Cell> cells_;        // ascending by (row, step)
  std::vector<uint64_t> pending_;  // row << 32 | step
  size_t pending_max_ = 0;
  MemoryCharge charge_;
};

class CountValuesOperator final : public MaterialisedOperator {
 public:
  CountValuesOperator(QueryContext* context, const Grid& grid, RankSpec spec, OperatorPtr child,
                      std::string label)
      : MaterialisedOperator(context, grid),
        spec_(std::move(spec)),
        child_(std::move(child)),
        label_(std::move(label)),
        counts_(&context->memory) {}
  Status Open() override;
  std::unique_ptr<Cursor> NewCursor() const override;

 private:
  class CellCursor;
  // Of each group and text of a value, its row.
  using Rows = std::map<std::pair<uint32_t, std::string>, uint32_t>;

  Status Count(const Groups& groups, Rows* rows);
  Status NameRows(const Groups& groups, const Rows& rows);

  const RankSpec spec_;
  OperatorPtr child_;
  const std::string label_;
  CellCounts counts_;
};

}  // namespace tocsin::query
