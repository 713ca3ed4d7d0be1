// Planner: syntax tree → tree of operators over a grid of steps.
//
// What it decides: constants are folded; selectors below what only counts (count, group, absent,
// the right side of and and unless, count_over_time, …) read no values; the largest parts that do
// not depend on the step (all selectors pinned by @) are evaluated once and repeated; sub-queries
// get a grid of their own, aligned to their step; operators that drop the metric name get a check
// for labels that become equal only where the name is not fixed anyway; an aggregation that stands
// in the query several times, character by character, is evaluated once (operators/shared.h).
// Recursion is as deep as the tree (deep_stack.h).
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "query/operators/operator.h"
#include "query/operators/range_source.h"
#include "query/operators/shared.h"

namespace tocsin::query {

class NodeProfile;

class Planner {
 public:
  // `profile`: where the nodes of an explained query go; null for others.
  explicit Planner(QueryContext* context, NodeProfile* profile = nullptr)
      : context_(context), profile_(profile) {}

  // Precondition: durations are resolved; the type is scalar or instant vector.
  Result<OperatorPtr> Plan(const Expr& expr, const Grid& grid);
  // Precondition: the type is range vector.
  Result<RangeSourcePtr> PlanRange(const Expr& expr, const Grid& grid, std::string_view function);

 private:
  Result<OperatorPtr> PlanUnprofiled(const Expr& expr, const Grid& grid);
  Result<RangeSourcePtr> PlanRangeUnprofiled(const Expr& expr, const Grid& grid,
                                             std::string_view function);
  // Memoised: it is asked for at every level.
  bool IsStepInvariant(const Expr& expr);
  bool FindStepInvariant(const Expr& expr);
  Result<OperatorPtr> PlanNode(const Expr& expr, const Grid& grid);
  Result<OperatorPtr> PlanSelector(const VectorSelector& selector, const Grid& grid);
  Result<OperatorPtr> PlanUnary(const Unary& unary, const Grid& grid);
  Result<OperatorPtr> PlanBinary(const Binary& binary, const Grid& grid);
  Result<OperatorPtr> PlanAggregate(const Aggregate& aggregate, const Grid& grid);
  // Plain aggregations that may stand in the query elsewhere, too.
  Result<OperatorPtr> PlanSharedAggregate(const Aggregate& aggregate, const Grid& grid);
  Result<OperatorPtr> PlanCall(const Call& call, const Grid& grid);
  Result<OperatorPtr> PlanRangeFunction(const Call& call, size_t range_arg, const Grid& grid);
  Result<OperatorPtr> PlanAbsent(const Call& call, const Grid& grid);
  Result<OperatorPtr> PlanElementwise(const Call& call, const Grid& grid);
  Result<OperatorPtr> PlanTimestamp(const Call& call, const Grid& grid);
  Result<OperatorPtr> PlanRelabel(const Call& call, const Grid& grid);
  Result<OperatorPtr> PlanSort(const Call& call, const Grid& grid);
  Result<OperatorPtr> PlanHistogram(const Call& call, const Grid& grid);
  Result<OperatorPtr> PlanInfo(const Call& call, const Grid& grid);
  Result<OperatorPtr> PlanScalarCall(const Call& call, const Grid& grid);

  Result<std::vector<OperatorPtr>> PlanScalars(const std::vector<ExprPtr>& args, size_t first,
                                               const Grid& grid);
  OperatorPtr MergeAfterNameDrop(OperatorPtr op);
  TimeShift ShiftOf(const TimeModifiers& time) const;
  // The plan of an operand of which only the presence of points counts.
  Result<OperatorPtr> PlanForPresence(const Expr& expr, const Grid& grid);
  // False when there is no selector below `expr`.
  bool FirstSelectorShift(const Expr& expr, TimeShift* shift) const;

  QueryContext* const context_;
  NodeProfile* profile_;  // of the node whose children are being planned
  std::unordered_map<const Expr*, bool> step_invariant_;
  bool mark_resets_ = false;  // planning below histogram_count & co. (reset_hints.h)
  bool times_only_ = false;   // planning a selector whose values nobody looks at

  // What can be shared, by its text, its grid and the flags above.
  struct SharedPlan {
    std::weak_ptr<SharedOperator::State> state;
    PositionRange position;
  };
  std::unordered_map<std::string, SharedPlan> shared_;
};

// Sets a flag of the planner's for a part of the tree.
class FlagForPart {
 public:
  FlagForPart(bool* flag, bool value) : flag_(flag), before_(*flag) { *flag = value; }
  ~FlagForPart() { *flag_ = before_; }
  FlagForPart(const FlagForPart&) = delete;
  FlagForPart& operator=(const FlagForPart&) = delete;

 private:
  bool* const flag_;
  const bool before_;
};

}  // namespace tocsin::query
