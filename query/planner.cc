#include "query/planner.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "query/function_signatures.h"
#include "query/functions/elementwise.h"
#include "query/functions/window_facts.h"
#include "query/operators/aggregate.h"
#include "query/operators/binary.h"
#include "query/operators/count_values.h"
#include "query/operators/map.h"
#include "query/operators/rank.h"
#include "query/operators/scalar.h"
#include "query/operators/smoothed.h"
#include "query/printer.h"
#include "query/profile.h"

namespace tocsin::query {

namespace {

// Functions whose answer depends on the evaluation time itself.
bool DependsOnTime(std::string_view function) {
  static constexpr std::array<std::string_view, 14> kNames = {
      "days_in_month", "day_of_month",   "day_of_week", "day_of_year", "end",  "hour", "minute",
      "month",         "predict_linear", "range",       "start",       "step", "time", "year"};
  return std::find(kNames.begin(), kNames.end(), function) != kNames.end() ||
         function == "timestamp" || function == "start_timestamp";
}

// Range functions whose answer does not depend on the values of floats.
bool LooksAtTimesOnly(std::string_view function) {
  static constexpr std::array<std::string_view, 5> kNames = {
      "absent_over_time", "count_over_time", "present_over_time", "ts_of_first_over_time",
      "ts_of_last_over_time"};
  return std::find(kNames.begin(), kNames.end(), function) != kNames.end();
}

}  // namespace

bool Planner::IsStepInvariant(const Expr& expr) {
  if (expr.kind == NodeKind::kNumberLiteral || expr.kind == NodeKind::kStringLiteral) return true;
  if (const auto known = step_invariant_.find(&expr); known != step_invariant_.end()) {
    return known->second;
  }
  const bool invariant = FindStepInvariant(expr);
  step_invariant_.emplace(&expr, invariant);
  return invariant;
}

bool Planner::FindStepInvariant(const Expr& expr) {
  if (const auto* selector = As<VectorSelector>(expr)) return selector->time.has_at();
  if (const auto* matrix = As<MatrixSelector>(expr)) return matrix->selector->time.has_at();
  if (const auto* subquery = As<Subquery>(expr)) return subquery->time.has_at();
  if (const auto* call = As<Call>(expr); call != nullptr && DependsOnTime(call->function->name)) {
    return false;
  }
  const std::vector<const Expr*> children = Children(expr);
  return std::all_of(children.begin(), children.end(),
                     [this](const Expr* child) { return IsStepInvariant(*child); });
}

TimeShift Planner::ShiftOf(const TimeModifiers& time) const {
  TimeShift shift;
  shift.offset_ms = time.offset_ms;
  shift.at_ms = time.at_ms;
  if (time.at_boundary == AtBoundary::kStart) shift.at_ms = context_->grid.start_ms;
  if (time.at_boundary == AtBoundary::kEnd) shift.at_ms = context_->range_end_ms;
  return shift;
}

OperatorPtr Planner::MergeAfterNameDrop(OperatorPtr op) {
  if (context_->language.delayed_name_removal || op->HasSingleName()) return op;
  const Grid grid = op->grid();
  return std::make_unique<MergeEqualLabelsOperator>(context_, grid, std::move(op));
}

namespace {

// What the query says there.
std::string_view TextOf(std::string_view query, const Expr& expr) {
  const auto start = std::min(static_cast<size_t>(std::max(expr.position.start, 0)), query.size());
  const auto end =
      std::clamp(static_cast<size_t>(std::max(expr.position.end, 0)), start, query.size());
  return query.substr(start, end - start);
}

}  // namespace

Result<OperatorPtr> Planner::Plan(const Expr& expr, const Grid& grid) {
  if (profile_ == nullptr) return PlanUnprofiled(expr, grid);
  NodeProfile* const node = profile_->AddChild(TextOf(context_->text, expr));
  NodeProfile* const parent = std::exchange(profile_, node);
  Result<OperatorPtr> op = PlanUnprofiled(expr, grid);
  profile_ = parent;
  if (!op) return op;
  return std::make_unique<ProfiledOperator>(context_, *std::move(op), node);
}

Result<RangeSourcePtr> Planner::PlanRange(const Expr& expr, const Grid& grid,
                                          std::string_view function) {
  if (profile_ == nullptr) return PlanRangeUnprofiled(expr, grid, function);
  NodeProfile* const node = profile_->AddChild(TextOf(context_->text, expr));
  NodeProfile* const parent = std::exchange(profile_, node);
  Result<RangeSourcePtr> source = PlanRangeUnprofiled(expr, grid, function);
  profile_ = parent;
  if (!source) return source;
  return std::make_unique<ProfiledRangeSource>(context_, *std::move(source), node);
}

Result<OperatorPtr> Planner::PlanUnprofiled(const Expr& expr, const Grid& grid) {
  if (grid.count > 1 && expr.kind != NodeKind::kNumberLiteral && IsStepInvariant(expr)) {
    Grid once = grid;
    once.count = 1;
    TOCSIN_ASSIGN_OR_RETURN(OperatorPtr child, PlanNode(expr, once));
    return std::make_unique<StepInvariantOperator>(context_, grid, std::move(child));
  }
  return PlanNode(expr, grid);
}

Result<OperatorPtr> Planner::PlanNode(const Expr& expr, const Grid& grid) {
  switch (expr.kind) {
    case NodeKind::kNumberLiteral:
      return std::make_unique<ConstantOperator>(context_, grid, As<NumberLiteral>(expr)->value);
    case NodeKind::kVectorSelector:
      return PlanSelector(*As<VectorSelector>(expr), grid);
    case NodeKind::kParen:
      return PlanNode(*As<Paren>(expr)->expr, grid);
    case NodeKind::kUnary:
      return PlanUnary(*As<Unary>(expr), grid);
    case NodeKind::kBinary:
      return PlanBinary(*As<Binary>(expr), grid);
    case NodeKind::kAggregate:
      return PlanSharedAggregate(*As<Aggregate>(expr), grid);
    case NodeKind::kCall:
      return PlanCall(*As<Call>(expr), grid);
    default:
      return Error(Code::kInternal, "expression of a type that has no operator");
  }
}

Result<OperatorPtr> Planner::PlanSelector(const VectorSelector& selector, const Grid& grid) {
  const TimeShift shift = ShiftOf(selector.time);
  if (!selector.smoothed) {
    return std::make_unique<VectorSelectorOperator>(context_, grid, selector.matchers, shift,
                                                    SelectorOutput::kValue, mark_resets_,
                                                    times_only_);
  }
  const MatrixOptions options{context_->lookback_delta_ms, context_->lookback_delta_ms,
                              mark_resets_};
  auto source =
      std::make_unique<MatrixSource>(context_, grid, selector.matchers, shift, 0, options, "");
  return std::make_unique<SmoothedSelectorOperator>(context_, grid, std::move(source),
                                                    selector.position);
}

Result<OperatorPtr> Planner::PlanForPresence(const Expr& expr, const Grid& grid) {
  const FlagForPart times_only(&times_only_, As<VectorSelector>(Unparen(expr)) != nullptr);
  return Plan(expr, grid);
}

Result<RangeSourcePtr> Planner::PlanRangeUnprofiled(const Expr& expr, const Grid& grid,
                                                    std::string_view function) {
  const Expr& inner = Unparen(expr);
  if (const auto* matrix = As<MatrixSelector>(inner)) {
    const VectorSelector& selector = *matrix->selector;
    MatrixOptions options;
    options.mark_resets = mark_resets_;
    options.times_only = LooksAtTimesOnly(function);
    if (selector.anchored || selector.smoothed) options.before_ms = context_->lookback_delta_ms;
    if (selector.smoothed) options.behind_ms = context_->lookback_delta_ms;
    // Of facts it is not known whether the very first histogram followed on a reset.
    const bool shows_hints = function == "first_over_time" || function == "last_over_time";
    options.facts = !selector.anchored && !selector.smoothed && matrix->range_ms > 0 &&
                    !context_->language.start_timestamps && !(mark_resets_ && shows_hints) &&
                    FindFactsFunction(function).kernel != nullptr;
    return std::make_unique<MatrixSource>(context_, grid, selector.matchers, ShiftOf(selector.time),
                                          matrix->range_ms, options, std::string(function));
  }
  const auto* subquery = As<Subquery>(inner);
  if (subquery == nullptr) return Error(Code::kInternal, "not a range vector");
  const TimeShift shift = ShiftOf(subquery->time);
  const int64_t step_ms =
      subquery->step_ms > 0 ? subquery->step_ms : context_->options.default_subquery_step_ms;
  const Grid inner_grid = SubqueryGrid(ShiftedTimes(grid, shift), subquery->range_ms, step_ms);
  OperatorPtr child;
  if (inner_grid.count > 0) {
    TOCSIN_TRY(context_->ReserveSteps(inner_grid.count));
    const FlagForPart off(&mark_resets_, false);
    TOCSIN_ASSIGN_OR_RETURN(child, Plan(*subquery->expr, inner_grid));
  }
  return std::make_unique<SubquerySource>(context_, grid, shift, subquery->range_ms,
                                          std::move(child));
}

Result<OperatorPtr> Planner::PlanUnary(const Unary& unary, const Grid& grid) {
  TOCSIN_ASSIGN_OR_RETURN(OperatorPtr child, Plan(*unary.expr, grid));
  if (!unary.negate) return child;
  if (TypeOf(*unary.expr) == ValueType::kScalar) {
    auto zero = std::make_unique<ConstantOperator>(context_, grid, -1);
    return std::make_unique<ScalarBinaryOperator>(context_, grid, std::move(zero), std::move(child),
                                                  [](double a, double b) { return a * b; });
  }
  return MergeAfterNameDrop(std::make_unique<MapOperator>(
      context_, grid, std::move(child), std::vector<OperatorPtr>(), NamePolicy::kDrop, Negation()));
}

namespace {

template <BinaryOp kOp>
double Apply(double a, double b) {
  return FloatArithmetic(kOp, a, b);
}

ScalarBinaryOperator::Function ScalarFunction(BinaryOp op) {
  switch (op) {
    case BinaryOp::kAdd:
      return Apply<BinaryOp::kAdd>;
    case BinaryOp::kSub:
      return Apply<BinaryOp::kSub>;
    case BinaryOp::kMul:
      return Apply<BinaryOp::kMul>;
    case BinaryOp::kDiv:
      return Apply<BinaryOp::kDiv>;
    case BinaryOp::kMod:
      return Apply<BinaryOp::kMod>;
    case BinaryOp::kPow:
      return Apply<BinaryOp::kPow>;
    case BinaryOp::kAtan2:
      return Apply<BinaryOp::kAtan2>;
    case BinaryOp::kEqual:
      return Apply<BinaryOp::kEqual>;
    case BinaryOp::kNotEqual:
      return Apply<BinaryOp::kNotEqual>;
    case BinaryOp::kLess:
      return Apply<BinaryOp::kLess>;
    case BinaryOp::kLessEqual:
      return Apply<BinaryOp::kLessEqual>;
    case BinaryOp::kGreater:
      return Apply<BinaryOp::kGreater>;
    case BinaryOp::kGreaterEqual:
      return Apply<BinaryOp::kGreaterEqual>;
    default:
      return nullptr;
  }
}

}  // namespace

Result<OperatorPtr> Planner::PlanBinary(const Binary& binary, const Grid& grid) {
  const BinarySpec spec{binary.op, binary.return_bool, binary.position};
  const bool left_scalar = TypeOf(*binary.lhs) == ValueType::kScalar;
  const bool right_scalar = TypeOf(*binary.rhs) == ValueType::kScalar;
  if (left_scalar && right_scalar) {
    const ScalarBinaryOperator::Function function = ScalarFunction(binary.op);
    if (function == nullptr) {
      return Error(Code::kExecution, "operator \"" + std::string(BinaryOpName(binary.op)) +
                                         "\" not allowed for Scalar operations");
    }
    TOCSIN_ASSIGN_OR_RETURN(OperatorPtr lhs, Plan(*binary.lhs, grid));
    TOCSIN_ASSIGN_OR_RETURN(OperatorPtr rhs, Plan(*binary.rhs, grid));
    if (lhs->constant() != nullptr && rhs->constant() != nullptr) {
      const double value = function(*lhs->constant(), *rhs->constant());
      return std::make_unique<ConstantOperator>(context_, grid, value);
    }
    return std::make_unique<ScalarBinaryOperator>(context_, grid, std::move(lhs), std::move(rhs),
                                                  function);
  }
  const FlagForPart off(&mark_resets_, false);
  TOCSIN_ASSIGN_OR_RETURN(OperatorPtr lhs, Plan(*binary.lhs, grid));
  const bool filters = binary.op == BinaryOp::kAnd || binary.op == BinaryOp::kUnless;
  TOCSIN_ASSIGN_OR_RETURN(OperatorPtr rhs,
                          filters ? PlanForPresence(*binary.rhs, grid) : Plan(*binary.rhs, grid));
  if (left_scalar || right_scalar) {
    const bool drops = ChangesMetric(binary.op) || binary.return_bool;
    auto op = std::make_unique<VectorScalarOperator>(
        context_, grid, spec, left_scalar ? std::move(rhs) : std::move(lhs),
        left_scalar ? std::move(lhs) : std::move(rhs), left_scalar);
    return drops ? MergeAfterNameDrop(std::move(op)) : OperatorPtr(std::move(op));
  }
  if (!IsSetOperator(binary.op)) {
    return std::make_unique<JoinOperator>(context_, grid, spec, *binary.matching, std::move(lhs),
                                          std::move(rhs));
  }
  auto set = std::make_unique<SetOperator>(context_, grid, binary.op, *binary.matching,
                                           std::move(lhs), std::move(rhs));
  if (binary.op != BinaryOp::kOr) return set;
  return std::make_unique<MergeEqualLabelsOperator>(context_, grid, std::move(set));
}

Result<OperatorPtr> Planner::PlanSharedAggregate(const Aggregate& aggregate, const Grid& grid) {
  // Keys are made at every level: only of short parts, so that deep nesting stays linear.
  static constexpr size_t kSharedTextMax = 1024;
  // Bounds the keys of all parts together (3 MiB where parts are nested as deep as can be), and the
  // places that an annotation may have.
  static constexpr size_t kSharingQueryMax = 16 * 1024;
  const std::string_view text = TextOf(context_->text, aggregate);
  // An explained query, and one that counts samples by step, tells of each place by itself.
  if (TakesParameter(aggregate.op) || profile_ != nullptr || !context_->samples_per_step.empty() ||
      context_->text.size() > kSharingQueryMax || text.empty() || text.size() > kSharedTextMax) {
    return PlanAggregate(aggregate, grid);
  }
  std::string key = std::to_string(grid.start_ms) + "/" + std::to_string(grid.step_ms) + "/" +
                    std::to_string(grid.count) + (mark_resets_ ? "/resets" : "/") +
                    (times_only_ ? "/times:" : "/:");
  // Positions may leave out what stands behind the parentheses, so the text alone is not enough.
  key += text;
  key += '\n';
  key += Print(aggregate);
  if (const auto known = shared_.find(key); known != shared_.end()) {
    if (auto state = known->second.state.lock()) {
      context_->annotations.Repeat(known->second.position, aggregate.position.start);
      return std::make_unique<SharedOperator>(context_, grid, std::move(state));
    }
  }
  auto state = std::make_shared<SharedOperator::State>();
  TOCSIN_ASSIGN_OR_RETURN(state->op, PlanAggregate(aggregate, grid));
  shared_[std::move(key)] = {state, aggregate.position};
  return std::make_unique<SharedOperator>(context_, grid, std::move(state));
}

Result<OperatorPtr> Planner::PlanAggregate(const Aggregate& aggregate, const Grid& grid) {
  const bool counts = aggregate.op == AggregateOp::kCount || aggregate.op == AggregateOp::kGroup;
  TOCSIN_ASSIGN_OR_RETURN(OperatorPtr child, counts ? PlanForPresence(*aggregate.expr, grid)
                                                    : Plan(*aggregate.expr, grid));
  Grouping grouping{aggregate.without, aggregate.grouping};
  if (!TakesParameter(aggregate.op)) {
    return std::make_unique<AggregateOperator>(context_, grid, aggregate.op, std::move(grouping),
                                               std::move(child), Unparen(*aggregate.expr).position);
  }
  const bool whole = aggregate.op == AggregateOp::kTopk || aggregate.op == AggregateOp::kBottomk;
  RankSpec spec{aggregate.op, std::move(grouping),
                whole ? aggregate.position : Unparen(*aggregate.expr).position,
                Unparen(*aggregate.param).position};
  if (aggregate.op == AggregateOp::kCountValues) {
    const auto* label = As<StringLiteral>(Unparen(*aggregate.param));
    if (label == nullptr) return Error(Code::kInternal, "count_values without a label");
    return std::make_unique<CountValuesOperator>(context_, grid, std::move(spec), std::move(child),
                                                 label->value);
  }
  TOCSIN_ASSIGN_OR_RETURN(OperatorPtr param, Plan(*aggregate.param, grid));
  switch (aggregate.op) {
    case AggregateOp::kQuantile:
      return std::make_unique<QuantileOperator>(context_, grid, std::move(spec), std::move(child),
                                                std::move(param));
    case AggregateOp::kLimitk:
    case AggregateOp::kLimitRatio:
      return std::make_unique<LimitOperator>(context_, grid, std::move(spec), std::move(child),
                                             std::move(param));
    default:
      return std::make_unique<TopkOperator>(context_, grid, std::move(spec), std::move(child),
                                            std::move(param));
  }
}

}  // namespace tocsin::query
