#include "query/step_dependence.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "query/deep_stack.h"
#include "query/function_signatures.h"

namespace tocsin::query {
namespace {

bool DependsOnRange(std::string_view function) {
  static constexpr std::array<std::string_view, 11> kNames = {"deriv",
                                                              "double_exponential_smoothing",
                                                              "end",
                                                              "info",
                                                              "predict_linear",
                                                              "range",
                                                              "sort",
                                                              "sort_by_label",
                                                              "sort_by_label_desc",
                                                              "sort_desc",
                                                              "start"};
  return std::find(kNames.begin(), kNames.end(), function) != kNames.end();
}

// Sums over windows: added up one by one as long as no sample is in more windows than this
// (kDirectVisits of window_sum.cc).
constexpr int64_t kWindowsOfASample = 6;

bool SumsWindows(std::string_view function) {
  return function == "sum_over_time" || function == "avg_over_time" ||
         function == "stddev_over_time" || function == "stdvar_over_time";
}

int64_t RangeOf(const Expr& range_vector) {
  const Expr& inner = Unparen(range_vector);
  if (const auto* matrix = As<MatrixSelector>(inner)) return matrix->range_ms;
  const auto* subquery = As<Subquery>(inner);
  return subquery == nullptr ? 0 : subquery->range_ms;
}

bool DependsOnOrder(AggregateOp op) {
  return op == AggregateOp::kTopk || op == AggregateOp::kBottomk || op == AggregateOp::kLimitk;
}

void Widen(const StepDependence& by, StepDependence* all) {
  if (by.empty()) return;
  if (all->empty()) {
    *all = by;
    return;
  }
  all->first_ms = std::min(all->first_ms, by.first_ms);
  all->last_ms = std::max(all->last_ms, by.last_ms);
}

bool IsPlain(const TimeModifiers& time) { return !time.has_at() && time.offset_expr == nullptr; }

std::optional<StepDependence> OfSelector(const VectorSelector& selector, int64_t range_ms) {
  if (!IsPlain(selector.time) || selector.anchored || selector.smoothed) return std::nullopt;
  return StepDependence{-selector.time.offset_ms - range_ms, -selector.time.offset_ms};
}

// Recursion is bounded: the caller looks at the height.
std::optional<StepDependence> Of(const Expr& expr, const StepSettings& settings) {
  if (const auto* selector = As<VectorSelector>(expr)) {
    return OfSelector(*selector, settings.lookback_delta_ms);
  }
  if (const auto* matrix = As<MatrixSelector>(expr)) {
    if (matrix->range_expr != nullptr) return std::nullopt;
    return OfSelector(*matrix->selector, matrix->range_ms);
  }
  if (const auto* subquery = As<Subquery>(expr)) {
    if (!IsPlain(subquery->time) || subquery->range_expr != nullptr ||
        subquery->step_expr != nullptr) {
      return std::nullopt;
    }
    StepSettings within = settings;
    within.step_ms = subquery->step_ms > 0 ? subquery->step_ms : settings.subquery_step_ms;
    auto inner = Of(*subquery->expr, within);
    if (!inner || inner->empty()) return inner;
    inner->first_ms -= subquery->time.offset_ms + subquery->range_ms;
    inner->last_ms -= subquery->time.offset_ms;
    return inner;
  }
  const auto* call = As<Call>(expr);
  if (call != nullptr && DependsOnRange(call->function->name)) return std::nullopt;
  if (call != nullptr && SumsWindows(call->function->name) &&
      RangeOf(*call->args.front()) > kWindowsOfASample * settings.step_ms) {
    return std::nullopt;
  }
  const auto* aggregate = As<Aggregate>(expr);
  if (aggregate != nullptr && DependsOnOrder(aggregate->op)) return std::nullopt;
  StepDependence all;
  for (const Expr* child : Children(expr)) {
    const auto of_child = Of(*child, settings);
    if (!of_child) return std::nullopt;
    Widen(*of_child, &all);
  }
  return all;
}

}  // namespace

std::optional<StepDependence> StepDependenceOf(const Expr& expr, const StepSettings& settings) {
  if (expr.height > kShallowHeight) return std::nullopt;
  return Of(expr, settings);
}

}  // namespace tocsin::query
