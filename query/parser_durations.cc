// Durations, plain and computed.
#include <cmath>

#include "query/parser_impl.h"

namespace tocsin::query {
namespace {

constexpr Place kInOffset{"offset", kDurationForms};

// The reference holds durations in int64 nanoseconds.
constexpr double kMaxDurationSeconds = 9223372036.854775808;

}  // namespace

// Without parentheses an offset ends at its first literal or call: `x offset 1m + 2` is (x offset
// 1m)
// + 2.
ExprPtr Parser::ParseOffsetDuration() {
  if (IsSign(token_.type)) {
    const Token sign = token_;
    Advance();
    if (failed()) return nullptr;
    if (IsSign(token_.type)) return Unexpected(kInOffset);
    ExprPtr operand = ParseDurationPrimary(kInOffset);
    return operand == nullptr ? nullptr : ApplySign(sign, std::move(operand));
  }
  if (Is(TokenType::kLeftParen)) return ParseDuration(kInOffset, kSum);
  return ParseDurationPrimary(kInOffset);
}

ExprPtr Parser::ParsePositiveDuration(const Place& place) {
  ExprPtr duration = ParseDuration(place, kSum);
  if (FailedByLexer()) return nullptr;
  const auto* literal = As<NumberLiteral>(*duration);
  if (literal != nullptr && !(literal->value > 0)) {
    return Fail(literal->position, "duration must be greater than 0");
  }
  return duration;
}

bool Parser::CheckDurationExpressionsAllowed(const Expr& expr) {
  if (options_.duration_expressions) return true;
  Fail(expr.position, "experimental duration expression is not enabled");
  return false;
}

ExprPtr Parser::ParseDuration(const Place& place, int min_precedence) {
  const Level level(this);
  if (TooDeep()) return nullptr;
  ExprPtr lhs;
  if (IsSign(token_.type)) {
    const Token sign = token_;
    Advance();
    ExprPtr operand = failed() ? nullptr : ParseDuration(place, kPower);
    lhs = failed() ? nullptr : ApplySign(sign, std::move(operand));
  } else {
    lhs = ParseDurationPrimary(place);
  }
  while (!failed()) {
    const Operator* op = FindOperator(token_.type);
    if (op == nullptr || op->precedence < kSum || op->op == BinaryOp::kAtan2 ||
        op->precedence < min_precedence) {
      break;
    }
    const Token op_token = token_;
    Advance();
    if (failed()) return nullptr;
    const int next = op->precedence == kPower ? kPower : op->precedence + 1;
    ExprPtr rhs = ParseDuration(place, next);
    if (failed()) return nullptr;
    if (FailedByLexer()) return nullptr;
    lhs = CombineDurations(op_token, std::move(lhs), std::move(rhs));
  }
  return failed() ? nullptr : std::move(lhs);
}

ExprPtr Parser::CombineDurations(const Token& op, ExprPtr lhs, ExprPtr rhs) {
  if (!CheckDurationExpressionsAllowed(*lhs)) return nullptr;
  auto duration = std::make_unique<DurationExpr>();
  const auto* divisor = As<NumberLiteral>(*rhs);
  const bool by_zero = divisor != nullptr && divisor->value == 0;
  switch (op.type) {
    case TokenType::kAdd:
      duration->op = DurationOp::kAdd;
      break;
    case TokenType::kSub:
      duration->op = DurationOp::kSub;
      break;
    case TokenType::kMul:
      duration->op = DurationOp::kMul;
      break;
    case TokenType::kDiv:
      if (by_zero) return Fail(PositionOf(op), "division by zero");
      duration->op = DurationOp::kDiv;
      break;
    case TokenType::kMod:
      if (by_zero) return Fail(PositionOf(op), "modulo by zero");
      duration->op = DurationOp::kMod;
      break;
    default:
      duration->op = DurationOp::kPow;
      break;
  }
  const PositionRange position{lhs->position.start, rhs->position.end};
  duration->lhs = std::move(lhs);
  duration->rhs = std::move(rhs);
  const Expr* left = duration->lhs.get();
  const Expr* right = duration->rhs.get();
  return Finish(std::move(duration), position, {left, right});
}

ExprPtr Parser::ParseDurationPrimary(const Place& place) {
  switch (token_.type) {
    case TokenType::kNumber:
    case TokenType::kDuration: {
      const Token token = token_;
      ExprPtr literal = ParseNumberLiteral();
      if (literal == nullptr) return nullptr;
      if (!(std::fabs(As<NumberLiteral>(*literal)->value) <= kMaxDurationSeconds)) {  // also NaN
        return Fail(PositionOf(token), "duration out of range");
      }
      return literal;
    }
    case TokenType::kStep:
    case TokenType::kRange:
    case TokenType::kMaxOf:
    case TokenType::kMinOf:
      return ParseDurationCall(place);
    case TokenType::kLeftParen: {
      const int32_t start = token_.start;
      Advance();
      ExprPtr inner = failed() ? nullptr : ParseDuration(place, kSum);
      if (!failed() && !Is(TokenType::kRightParen)) Unexpected(place);
      if (failed() || !CheckDurationExpressionsAllowed(*inner)) return nullptr;
      const PositionRange position{start, token_.end};
      Advance();
      return WrapDuration(std::move(inner), position);
    }
    default:
      return Unexpected(place);
  }
}

// step(), range(), min_of(a, b), max_of(a, b)
ExprPtr Parser::ParseDurationCall(const Place& place) {
  auto duration = std::make_unique<DurationExpr>();
  const Token name = token_;
  const bool binary = Is(TokenType::kMaxOf) || Is(TokenType::kMinOf);
  duration->op = Is(TokenType::kStep)    ? DurationOp::kStep
                 : Is(TokenType::kRange) ? DurationOp::kRange
                 : Is(TokenType::kMaxOf) ? DurationOp::kMaxOf
                                         : DurationOp::kMinOf;
  Advance();
  if (!failed() && !Consume(TokenType::kLeftParen)) Unexpected(place);
  if (!failed() && binary) {
    duration->lhs = ParseDuration(place, kSum);
    if (!failed() && !Consume(TokenType::kComma)) Unexpected(place);
    if (!failed()) duration->rhs = ParseDuration(place, kSum);
  }
  if (!failed() && !Is(TokenType::kRightParen)) Unexpected(place);
  if (failed()) return nullptr;
  duration->position = {name.start, token_.end};
  if (!CheckDurationExpressionsAllowed(*duration)) return nullptr;
  Advance();
  const PositionRange position = duration->position;
  const Expr* left = duration->lhs.get();
  const Expr* right = duration->rhs.get();
  return Finish(std::move(duration), position, {left, right});
}

// Keeps the parentheses for printing.
ExprPtr Parser::WrapDuration(ExprPtr expr, PositionRange position) {
  if (auto* duration = As<DurationExpr>(*expr)) {
    duration->wrapped = true;
    return expr;
  }
  auto wrapper = std::make_unique<DurationExpr>();
  wrapper->op = DurationOp::kPlus;
  wrapper->wrapped = true;
  wrapper->rhs = std::move(expr);
  const Expr* child = wrapper->rhs.get();
  return Finish(std::move(wrapper), position, {child});
}

ExprPtr Parser::ApplySign(const Token& op, ExprPtr expr) {
  const PositionRange position{op.start, expr->position.end};
  const bool negate = op.type == TokenType::kSub;
  if (auto* literal = As<NumberLiteral>(*expr)) {
    if (negate) literal->value = -literal->value;
    literal->position = position;
    return expr;
  }
  if (!negate) return expr;
  auto duration = std::make_unique<DurationExpr>();
  duration->op = DurationOp::kSub;
  duration->rhs = std::move(expr);
  const Expr* child = duration->rhs.get();
  return Finish(std::move(duration), position, {child});
}

}  // namespace tocsin::query
