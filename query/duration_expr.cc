#include "query/duration_expr.h"

#include <algorithm>
#include <cmath>

namespace tocsin::query {
namespace {

Result<double> EvaluateSeconds(const Expr& expr, const DurationContext& context) {
  if (const auto* literal = As<NumberLiteral>(expr)) return literal->value;
  const auto& duration = *As<DurationExpr>(expr);
  if (duration.op == DurationOp::kStep) return static_cast<double>(context.step_ms) / 1000;
  if (duration.op == DurationOp::kRange) return static_cast<double>(context.range_ms) / 1000;
  double lhs = 0;
  if (duration.lhs != nullptr) {
    TOCSIN_ASSIGN_OR_RETURN(lhs, EvaluateSeconds(*duration.lhs, context));
  }
  TOCSIN_ASSIGN_OR_RETURN(const double rhs, EvaluateSeconds(*duration.rhs, context));
  switch (duration.op) {
    case DurationOp::kAdd:
      return lhs + rhs;
    case DurationOp::kSub:
      return lhs - rhs;  // unary: 0 - rhs
    case DurationOp::kMul:
      return lhs * rhs;
    case DurationOp::kDiv:
      if (rhs == 0) return Error(Code::kExecution, "division by zero");
      return lhs / rhs;
    case DurationOp::kMod:
      if (rhs == 0) return Error(Code::kExecution, "modulo by zero");
      return std::fmod(lhs, rhs);
    case DurationOp::kPow:
      return std::pow(lhs, rhs);
    case DurationOp::kMinOf:
      return std::min(lhs, rhs);
    case DurationOp::kMaxOf:
      return std::max(lhs, rhs);
    default:
      return rhs;  // plus
  }
}

Status Resolve(const std::unique_ptr<DurationExpr>& expr, const DurationContext& context,
               bool may_be_negative, int64_t* ms) {
  if (expr == nullptr) return Status::Ok();
  TOCSIN_ASSIGN_OR_RETURN_STATUS(*ms, EvaluateDuration(*expr, context, may_be_negative));
  return Status::Ok();
}

Status ResolveTime(TimeModifiers* time, const DurationContext& context) {
  return Resolve(time->offset_expr, context, true, &time->offset_ms);
}

}  // namespace

Result<int64_t> EvaluateDuration(const DurationExpr& expr, const DurationContext& context,
                                 bool may_be_negative) {
  TOCSIN_ASSIGN_OR_RETURN(const double seconds, EvaluateSeconds(expr, context));
  if (seconds <= 0 && !may_be_negative) {
    return Error(Code::kExecution, "duration must be greater than 0");
  }
  // What int64 nanoseconds hold: about 292 years.
  static constexpr double kMaxSeconds = 9223372036.0;
  if (!(std::fabs(seconds) <= kMaxSeconds)) {
    return Error(Code::kExecution, "duration is out of range");
  }
  return static_cast<int64_t>(seconds * 1000);
}

Status ResolveDurations(Expr* expr, const DurationContext& context) {
  if (auto* selector = As<VectorSelector>(*expr)) return ResolveTime(&selector->time, context);
  if (auto* matrix = As<MatrixSelector>(*expr)) {
    TOCSIN_RETURN_IF_ERROR(Resolve(matrix->range_expr, context, false, &matrix->range_ms));
    return ResolveTime(&matrix->selector->time, context);
  }
  if (auto* subquery = As<Subquery>(*expr)) {
    TOCSIN_RETURN_IF_ERROR(ResolveTime(&subquery->time, context));
    TOCSIN_RETURN_IF_ERROR(Resolve(subquery->step_expr, context, false, &subquery->step_ms));
    TOCSIN_RETURN_IF_ERROR(Resolve(subquery->range_expr, context, false, &subquery->range_ms));
    return ResolveDurations(subquery->expr.get(), context);
  }
  if (auto* call = As<Call>(*expr)) {
    for (const ExprPtr& arg : call->args) {
      TOCSIN_RETURN_IF_ERROR(ResolveDurations(arg.get(), context));
    }
  } else if (auto* aggregate = As<Aggregate>(*expr)) {
    TOCSIN_RETURN_IF_ERROR(ResolveDurations(aggregate->expr.get(), context));
    if (aggregate->param != nullptr) return ResolveDurations(aggregate->param.get(), context);
  } else if (auto* binary = As<Binary>(*expr)) {
    TOCSIN_RETURN_IF_ERROR(ResolveDurations(binary->lhs.get(), context));
    return ResolveDurations(binary->rhs.get(), context);
  } else if (auto* unary = As<Unary>(*expr)) {
    return ResolveDurations(unary->expr.get(), context);
  } else if (auto* paren = As<Paren>(*expr)) {
    return ResolveDurations(paren->expr.get(), context);
  }
  return Status::Ok();
}

}  // namespace tocsin::query
