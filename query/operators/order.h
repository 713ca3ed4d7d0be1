// Operators about order and absence: sort & co., absent, absent_over_time.
#pragma once

#include <string>
#include <vector>

#include "model/matcher.h"
#include "query/functions/window.h"
#include "query/operators/operator.h"
#include "query/operators/range_source.h"

namespace tocsin::query {

enum class SortKey : uint8_t { kValue, kLabels };

// Instant queries only: orders the series by value (histograms go, NaN last) or by labels, in
// natural order (4m5 before 4m600). A range query's result is always ordered by labels, so there it
// only warns.
class SortOperator final : public MaterialisedOperator {
 public:
  struct Spec {
    SortKey key = SortKey::kValue;
    bool descending = false;
    std::vector<std::string> labels;
    PositionRange position;
  };
  SortOperator(QueryContext* context, const Grid& grid, Spec spec, OperatorPtr child)
      : MaterialisedOperator(context, grid), spec_(std::move(spec)), child_(std::move(child)) {}
  Status Open() override;

 private:
  const Spec spec_;
  const OperatorPtr child_;
};

// 1 at the steps where the child has no point at all.
class AbsentOperator final : public MaterialisedOperator {
 public:
  AbsentOperator(QueryContext* context, const Grid& grid, model::Labels labels, OperatorPtr child)
      : MaterialisedOperator(context, grid), child_(std::move(child)) {
    labels_.push_back(std::move(labels));
  }
  Status Open() override;

 private:
  const OperatorPtr child_;
};

// 1 at the steps in whose windows no series has a sample.
class AbsentOverTimeOperator final : public MaterialisedOperator {
 public:
  AbsentOverTimeOperator(QueryContext* context, const Grid& grid, model::Labels labels,
                         RangeSourcePtr source)
      : MaterialisedOperator(context, grid), source_(std::move(source)) {
    labels_.push_back(std::move(labels));
  }
  Status Open() override;

 private:
  const RangeSourcePtr source_;
};

// The labels of an absent element: those that the selector fixes by equality, once.
model::Labels AbsentLabels(const model::MatcherSet& matchers);

// Compares runs of digits by their number.
bool NaturalLess(std::string_view a, std::string_view b);
// What the reference asks instead, and sorts short lists by: the same for labels that all series
// have and that differ. It is no order else: nothing precedes an empty string or is preceded by it,
// 01 and 1 precede each other, and numbers beyond 64 bits are compared as texts.
bool NaturallyPrecedes(std::string_view a, std::string_view b);

}  // namespace tocsin::query
