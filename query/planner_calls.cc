// The part of the planner that knows the functions.
#include <cmath>
#include <numbers>

#include "query/function_signatures.h"
#include "query/functions/elementwise.h"
#include "query/functions/native_histogram.h"
#include "query/functions/point_math.h"
#include "query/operators/histogram.h"
#include "query/operators/info.h"
#include "query/operators/map.h"
#include "query/operators/order.h"
#include "query/operators/range_function.h"
#include "query/operators/relabel.h"
#include "query/operators/scalar.h"
#include "query/planner.h"

namespace tocsin::query {

Result<std::vector<OperatorPtr>> Planner::PlanScalars(const std::vector<ExprPtr>& args,
                                                      size_t first, const Grid& grid) {
  std::vector<OperatorPtr> scalars;
  for (size_t i = first; i < args.size(); ++i) {
    if (TypeOf(*args[i]) != ValueType::kScalar) continue;
    TOCSIN_ASSIGN_OR_RETURN(OperatorPtr scalar, Plan(*args[i], grid));
    scalars.push_back(std::move(scalar));
  }
  return scalars;
}

Result<OperatorPtr> Planner::PlanCall(const Call& call, const Grid& grid) {
  const std::string_view name = call.function->name;
  const bool statistics =
      name == "histogram_count" || name == "histogram_sum" || name == "histogram_avg";
  const bool whole =
      name == "histogram_quantile" || name == "histogram_quantiles" || name == "histogram_fraction";
  const FlagForPart detection(&mark_resets_, statistics || (mark_resets_ && !whole));
  for (size_t i = 0; i < call.args.size(); ++i) {
    if (TypeOf(*call.args[i]) == ValueType::kMatrix) return PlanRangeFunction(call, i, grid);
  }
  if (call.function->return_type == ValueType::kScalar) return PlanScalarCall(call, grid);
  if (name == "absent") return PlanAbsent(call, grid);
  if (name == "timestamp" || name == "start_timestamp") return PlanTimestamp(call, grid);
  if (name == "label_replace" || name == "label_join") return PlanRelabel(call, grid);
  if (name.starts_with("sort")) return PlanSort(call, grid);
  if (name == "histogram_quantile" || name == "histogram_quantiles" ||
      name == "histogram_fraction") {
    return PlanHistogram(call, grid);
  }
  if (name == "info") return PlanInfo(call, grid);
  if (name == "vector") {
    TOCSIN_ASSIGN_OR_RETURN(OperatorPtr scalar, Plan(*call.args[0], grid));
    return std::make_unique<VectorOfScalarOperator>(context_, grid, std::move(scalar));
  }
  return PlanElementwise(call, grid);
}

namespace {

double Seconds(int64_t ms) { return static_cast<double>(ms) / 1000; }

}  // namespace

Result<OperatorPtr> Planner::PlanScalarCall(const Call& call, const Grid& grid) {
  const std::string_view name = call.function->name;
  const auto constant = [&](double value) {
    return std::make_unique<ConstantOperator>(context_, grid, value);
  };
  if (name == "time") return std::make_unique<TimeOperator>(context_, grid);
  if (name == "pi") return constant(std::numbers::pi);
  if (name == "start") return constant(Seconds(context_->grid.start_ms));
  if (name == "end") return constant(Seconds(context_->range_end_ms));
  if (name == "range") return constant(Seconds(context_->range_end_ms - context_->grid.start_ms));
  if (name == "step") return constant(context_->is_instant ? 0 : Seconds(context_->grid.step_ms));
  if (name == "scalar") {
    TOCSIN_ASSIGN_OR_RETURN(OperatorPtr vector, Plan(*call.args[0], grid));
    return std::make_unique<ToScalarOperator>(context_, grid, std::move(vector));
  }
  TOCSIN_ASSIGN_OR_RETURN(OperatorPtr a, Plan(*call.args[0], grid));
  TOCSIN_ASSIGN_OR_RETURN(OperatorPtr b, Plan(*call.args[1], grid));
  return std::make_unique<ScalarBinaryOperator>(context_, grid, std::move(a), std::move(b),
                                                name == "min_of" ? SmallerOf : LargerOf);
}

namespace {

RangeModifier ModifierOf(const Expr& range) {
  const auto* matrix = As<MatrixSelector>(Unparen(range));
  if (matrix == nullptr) return RangeModifier::kNone;
  if (matrix->selector->anchored) return RangeModifier::kAnchored;
  return matrix->selector->smoothed ? RangeModifier::kSmoothed : RangeModifier::kNone;
}

// Where annotations place a range vector. A sub-query has no place of its own in the reference:
// its text's beginning stands for it.
PositionRange RangePosition(const Expr& range) {
  const Expr& inner = Unparen(range);
  return inner.kind == NodeKind::kSubquery ? PositionRange() : inner.position;
}

Status RefuseModifier(RangeModifier modifier, std::string_view function) {
  const bool anchored = modifier == RangeModifier::kAnchored;
  return Status(
      Code::kExecution,
      std::string(anchored ? "anchored" : "smoothed") + " modifier can only be used with: " +
          (anchored ? "changes, delta, increase, rate, resets" : "delta, increase, rate") +
          " - not with " + std::string(function));
}

}  // namespace

Result<OperatorPtr> Planner::PlanRangeFunction(const Call& call, size_t range_arg,
                                               const Grid& grid) {
  const Expr& range = *call.args[range_arg];
  const std::string_view name = call.function->name;
  const RangeModifier modifier = ModifierOf(range);
  const WindowKernel kernel = FindWindowKernel(name, modifier);
  if (kernel == nullptr && modifier != RangeModifier::kNone) {
    return Error(RefuseModifier(modifier, name));
  }
  TOCSIN_ASSIGN_OR_RETURN(RangeSourcePtr source, PlanRange(range, grid, name));
  if (name == "absent_over_time") {
    model::Labels labels;
    if (const auto* matrix = As<MatrixSelector>(Unparen(range))) {
      labels = AbsentLabels(matrix->selector->matchers);
    }
    return std::make_unique<AbsentOverTimeOperator>(context_, grid, std::move(labels),
                                                    std::move(source));
  }
  if (kernel == nullptr) return Error(Code::kInternal, "function without a kernel");
  TOCSIN_ASSIGN_OR_RETURN(std::vector<OperatorPtr> scalars, PlanScalars(call.args, 0, grid));
  RangeFunctionSpec spec;
  spec.function = name;
  spec.kernel = kernel;
  spec.keeps_name = name == "last_over_time" || name == "first_over_time";
  spec.position = RangePosition(range);
  spec.first_position = range_arg == 0 ? spec.position : Unparen(*call.args[0]).position;
  auto op = std::make_unique<RangeFunctionOperator>(context_, grid, spec, std::move(source),
                                                    std::move(scalars));
  return spec.keeps_name ? OperatorPtr(std::move(op)) : MergeAfterNameDrop(std::move(op));
}

Result<OperatorPtr> Planner::PlanAbsent(const Call& call, const Grid& grid) {
  model::Labels labels;
  if (const auto* selector = As<VectorSelector>(Unparen(*call.args[0]))) {
    labels = AbsentLabels(selector->matchers);
  }
  TOCSIN_ASSIGN_OR_RETURN(OperatorPtr child, PlanForPresence(*call.args[0], grid));
  return std::make_unique<AbsentOperator>(context_, grid, std::move(labels), std::move(child));
}

Result<OperatorPtr> Planner::PlanElementwise(const Call& call, const Grid& grid) {
  const std::string_view name = call.function->name;
  OperatorPtr child;
  if (call.args.empty()) {  // the calendar functions look at the evaluation time then
    child = std::make_unique<TimeOperator>(context_, grid);
  } else {
    TOCSIN_ASSIGN_OR_RETURN(child, Plan(*call.args[0], grid));
  }
  TOCSIN_ASSIGN_OR_RETURN(std::vector<OperatorPtr> scalars, PlanScalars(call.args, 1, grid));
  MapOperator::RowMap map = FindElementwise(name, scalars.size());
  if (!map) map = FindNativeHistogramFunction(name);
  if (!map) return Error(Code::kInternal, "function without an operator: " + std::string(name));
  return MergeAfterNameDrop(std::make_unique<MapOperator>(
      context_, grid, std::move(child), std::move(scalars), NamePolicy::kDrop, std::move(map)));
}

Result<OperatorPtr> Planner::PlanTimestamp(const Call& call, const Grid& grid) {
  const bool start = call.function->name == "start_timestamp";
  const auto* selector = As<VectorSelector>(Unparen(*call.args[0]));
  OperatorPtr child;
  MapOperator::RowMap map = [](const MapOperator::Scalars&, Batch*, size_t) {};
  if (selector != nullptr) {
    // The reference looks the samples up itself here: beside `@` it forgets the offset (but its
    // storage does not, which gives the samples of the shifted time only), and `smoothed` makes no
    // difference.
    TimeShift shift = ShiftOf(selector->time);
    if (shift.at_ms.has_value()) {
      shift.lookback_cut_ms = std::abs(shift.offset_ms);
      shift.offset_ms = std::max<int64_t>(shift.offset_ms, 0);
    }
    child = std::make_unique<VectorSelectorOperator>(
        context_, grid, selector->matchers, shift,
        start ? SelectorOutput::kStartTime : SelectorOutput::kSampleTime, false, !start);
  } else {
    TOCSIN_ASSIGN_OR_RETURN(child, Plan(*call.args[0], grid));
    // A computed sample has the time of its evaluation, and no start.
    map = [grid, start](const MapOperator::Scalars&, Batch* batch, size_t row) {
      for (size_t t = 0; t < batch->steps(); ++t) {
        if (batch->kinds(row)[t] == PointKind::kAbsent) continue;
        batch->SetFloat(row, t, start ? 0 : Seconds(grid.at(t)));
      }
    };
  }
  return MergeAfterNameDrop(std::make_unique<MapOperator>(context_, grid, std::move(child),
                                                          std::vector<OperatorPtr>(),
                                                          NamePolicy::kDrop, std::move(map)));
}

namespace {

std::string StringArg(const Call& call, size_t i) {
  const auto* literal = As<StringLiteral>(Unparen(*call.args[i]));
  return literal == nullptr ? "" : literal->value;
}

}  // namespace

Result<OperatorPtr> Planner::PlanRelabel(const Call& call, const Grid& grid) {
  TOCSIN_ASSIGN_OR_RETURN(OperatorPtr child, Plan(*call.args[0], grid));
  OperatorPtr op;
  if (call.function->name == "label_replace") {
    op = std::make_unique<RelabelOperator>(context_, grid,
                                           LabelReplaceSpec{StringArg(call, 1), StringArg(call, 2),
                                                            StringArg(call, 3), StringArg(call, 4)},
                                           std::move(child));
  } else {
    LabelJoinSpec spec{StringArg(call, 1), StringArg(call, 2), {}};
    for (size_t i = 3; i < call.args.size(); ++i) spec.sources.push_back(StringArg(call, i));
    op = std::make_unique<RelabelOperator>(context_, grid, std::move(spec), std::move(child));
  }
  return std::make_unique<MergeEqualLabelsOperator>(context_, grid, std::move(op));
}

Result<OperatorPtr> Planner::PlanSort(const Call& call, const Grid& grid) {
  TOCSIN_ASSIGN_OR_RETURN(OperatorPtr child, Plan(*call.args[0], grid));
  const std::string_view name = call.function->name;
  SortOperator::Spec spec;
  spec.key = name.starts_with("sort_by_label") ? SortKey::kLabels : SortKey::kValue;
  spec.descending = name.ends_with("_desc");
  spec.position = call.position;
  for (size_t i = 1; i < call.args.size(); ++i) spec.labels.push_back(StringArg(call, i));
  return std::make_unique<SortOperator>(context_, grid, std::move(spec), std::move(child));
}

Result<OperatorPtr> Planner::PlanHistogram(const Call& call, const Grid& grid) {
  const std::string_view name = call.function->name;
  HistogramFunctionSpec spec;
  size_t vector_arg = call.args.size() - 1;
  if (name == "histogram_quantiles") {
    spec.kind = HistogramFunctionSpec::Kind::kQuantiles;
    spec.label = StringArg(call, 1);
    vector_arg = 0;
  } else if (name == "histogram_fraction") {
    spec.kind = HistogramFunctionSpec::Kind::kFraction;
  }
  for (const ExprPtr& arg : call.args) {
    if (TypeOf(*arg) == ValueType::kScalar) {
      spec.scalar_positions.push_back(Unparen(*arg).position);
    }
  }
  spec.vector_position = Unparen(*call.args[vector_arg]).position;
  TOCSIN_ASSIGN_OR_RETURN(OperatorPtr child, Plan(*call.args[vector_arg], grid));
  TOCSIN_ASSIGN_OR_RETURN(std::vector<OperatorPtr> scalars, PlanScalars(call.args, 0, grid));
  auto op = std::make_unique<HistogramFunctionOperator>(context_, grid, std::move(spec),
                                                        std::move(child), std::move(scalars));
  return MergeAfterNameDrop(std::move(op));
}

namespace {

// How the first selector below `expr` sees time: the shifts on the way down, one after another.
TimeShift Compose(const TimeShift& outer, const TimeShift& inner) {
  if (inner.at_ms.has_value()) return inner;
  return {outer.at_ms, outer.offset_ms + inner.offset_ms};
}

}  // namespace

bool Planner::FirstSelectorShift(const Expr& expr, TimeShift* shift) const {
  const TimeShift outer = *shift;
  if (const auto* selector = As<VectorSelector>(expr)) {
    *shift = Compose(outer, ShiftOf(selector->time));
    return true;
  }
  TimeShift inner = outer;
  if (const auto* subquery = As<Subquery>(expr)) inner = Compose(outer, ShiftOf(subquery->time));
  for (const Expr* child : Children(expr)) {
    TimeShift child_shift = inner;
    if (!FirstSelectorShift(*child, &child_shift)) continue;
    *shift = child_shift;
    return true;
  }
  return false;
}

Result<OperatorPtr> Planner::PlanInfo(const Call& call, const Grid& grid) {
  TOCSIN_ASSIGN_OR_RETURN(OperatorPtr base, Plan(*call.args[0], grid));
  model::MatcherSet matchers;
  if (call.args.size() > 1) {
    const auto* selector = As<VectorSelector>(Unparen(*call.args[1]));
    if (selector == nullptr) return Error(Code::kInternal, "info without a selector");
    matchers = selector->matchers;
  }
  TimeShift shift;
  FirstSelectorShift(*call.args[0], &shift);
  return std::make_unique<InfoOperator>(context_, grid, std::move(base), std::move(matchers),
                                        shift);
}

}  // namespace tocsin::query
