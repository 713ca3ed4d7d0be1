// Selectors, and what can follow them: brackets, offset, @, anchored, smoothed.
#include <cmath>
#include <cstdio>
#include <limits>

#include "base/number.h"
#include "query/parser_impl.h"

namespace tocsin::query {
namespace {

constexpr Place kInRange{"subquery or range selector", kDurationForms};
constexpr Place kInSubqueryStep{"subquery selector", "number, duration, step(), range(), or \"]\""};

int64_t SecondsToMs(double seconds) {
  const double ns = std::round(seconds * 1e9);
  if (ns >= 9.2233720368547758e18) return std::numeric_limits<int64_t>::max() / 1'000'000;
  if (ns <= -9.2233720368547758e18) return std::numeric_limits<int64_t>::min() / 1'000'000;
  return static_cast<int64_t>(ns) / 1'000'000;
}

}  // namespace

// The name, if there is one, has been consumed.
std::unique_ptr<VectorSelector> Parser::ParseVectorSelector(const Token* name) {
  auto selector = std::make_unique<VectorSelector>();
  selector->position = PositionOf(name != nullptr ? *name : token_);
  if (!failed() && Consume(TokenType::kLeftBrace)) {
    if (failed() || !ParseMatchers(&selector->matchers)) return nullptr;
    selector->position.end = last_closing_;
  }
  if (failed()) return nullptr;
  if (name != nullptr) {
    selector->name = name->text;
    selector->matchers.push_back(
        model::Matcher::Equal(std::string(model::kMetricName), selector->name));
  }
  return selector;
}

// Behind the opening brace; consumes the closing one.
bool Parser::ParseMatchers(std::vector<model::Matcher>* matchers) {
  static constexpr Place kNext{"label matching", "\",\" or \"}\""};
  while (!failed() && !Consume(TokenType::kRightBrace)) {
    if (!ParseMatcher(matchers)) return false;
    if (!Consume(TokenType::kComma) && !Is(TokenType::kRightBrace)) Unexpected(kNext);
  }
  return !failed();
}

bool Parser::ParseMatcher(std::vector<model::Matcher>* matchers) {
  static constexpr Place kName{"label matching", "identifier or \"}\""};
  static constexpr Place kOperator{"label matching", "label matching operator"};
  static constexpr Place kValue{"label matching", "string"};
  const bool quoted = Is(TokenType::kString);
  if (!quoted && !Is(TokenType::kIdentifier)) return Unexpected(kName), false;
  const Token label = token_;
  std::string name = quoted ? Unquoted(label).value_or("") : std::string(label.text);
  Advance();
  if (failed()) return false;
  model::MatchType type;
  switch (token_.type) {
    case TokenType::kEqual:
      type = model::MatchType::kEqual;
      break;
    case TokenType::kNotEqual:
      type = model::MatchType::kNotEqual;
      break;
    case TokenType::kEqualRegex:
      type = model::MatchType::kRegex;
      break;
    case TokenType::kNotRegex:
      type = model::MatchType::kNotRegex;
      break;
    default:
      if (!quoted) return Unexpected(kOperator), false;
      // A quoted string alone is the metric's name.
      matchers->push_back(model::Matcher::Equal(std::string(model::kMetricName), std::move(name)));
      return true;
  }
  Advance();
  if (failed()) return false;
  if (!Is(TokenType::kString)) return Unexpected(kValue), false;
  const std::optional<std::string> value = Unquoted(token_);
  if (!value) return false;
  Result<model::Matcher> matcher = model::Matcher::Create(type, std::move(name), *value);
  if (!matcher) return Fail({label.start, token_.end}, matcher.error().message()), false;
  matchers->push_back(*std::move(matcher));
  Advance();
  return !failed();
}

// [range], [range:step], offset, @, anchored and smoothed, in any number.
ExprPtr Parser::ParsePostfix(ExprPtr expr) {
  while (!failed()) {
    switch (token_.type) {
      case TokenType::kLeftBracket:
        expr = ParseBracket(std::move(expr));
        break;
      case TokenType::kOffset:
        expr = ParseOffset(std::move(expr));
        break;
      case TokenType::kAt:
        expr = ParseAt(std::move(expr));
        break;
      case TokenType::kAnchored:
      case TokenType::kSmoothed:
        expr = ParseExtendedRange(std::move(expr), Is(TokenType::kAnchored));
        break;
      default:
        return expr;
    }
  }
  return nullptr;
}

// A parsed duration goes to milliseconds when it is a literal, else into *expr.
void StoreDuration(ExprPtr duration, int64_t* ms, std::unique_ptr<DurationExpr>* expr) {
  if (const auto* literal = As<NumberLiteral>(*duration)) {
    *ms = SecondsToMs(literal->value);
  } else {
    expr->reset(static_cast<DurationExpr*>(duration.release()));
  }
}

ExprPtr Parser::ParseBracket(ExprPtr expr) {
  static constexpr Place kAfterRange{"subquery or range", "\":\" or \"]\""};
  static constexpr Place kAfterStep{"subquery selector", "\"]\""};
  const int32_t open = token_.start;
  Advance();
  ExprPtr range = failed() ? nullptr : ParsePositiveDuration(kInRange);
  if (failed()) return nullptr;
  if (!Is(TokenType::kColon) && !Is(TokenType::kRightBracket)) return Unexpected(kAfterRange);
  if (Is(TokenType::kRightBracket)) {
    const PositionRange brackets{open, token_.end};
    Advance();
    return FinishMatrix(std::move(expr), std::move(range), brackets);
  }
  Advance();
  auto subquery = std::make_unique<Subquery>();
  if (!failed() && !Is(TokenType::kRightBracket)) {
    ExprPtr step = ParsePositiveDuration(kInSubqueryStep);
    if (!failed() && !Is(TokenType::kRightBracket)) Unexpected(kAfterStep);
    if (failed()) return nullptr;
    StoreDuration(std::move(step), &subquery->step_ms, &subquery->step_expr);
  }
  if (failed()) return nullptr;
  StoreDuration(std::move(range), &subquery->range_ms, &subquery->range_expr);
  const PositionRange position{expr->position.start, token_.end};
  Advance();
  subquery->expr = std::move(expr);
  const Expr* child = subquery->expr.get();
  return Finish(std::move(subquery), position, {child});
}

ExprPtr Parser::FinishMatrix(ExprPtr expr, ExprPtr range, PositionRange brackets) {
  auto* selector = As<VectorSelector>(*expr);
  if (selector == nullptr) return Fail(brackets, "ranges only allowed for vector selectors");
  if (selector->time.offset_ms != 0 || selector->time.offset_expr != nullptr) {
    return Fail(brackets, "no offset modifiers allowed before range");
  }
  if (selector->time.has_at()) return Fail(brackets, "no @ modifiers allowed before range");
  auto matrix = std::make_unique<MatrixSelector>();
  StoreDuration(std::move(range), &matrix->range_ms, &matrix->range_expr);
  matrix->selector.reset(static_cast<VectorSelector*>(expr.release()));
  return Finish(std::move(matrix), {selector->position.start, brackets.end}, {selector});
}

// Null when `expr` is nothing that a time modifier can follow.
TimeModifiers* Parser::FindTimeModifiers(Expr* expr) {
  if (auto* selector = As<VectorSelector>(*expr)) return &selector->time;
  if (auto* matrix = As<MatrixSelector>(*expr)) return &matrix->selector->time;
  if (auto* subquery = As<Subquery>(*expr)) return &subquery->time;
  return nullptr;
}

constexpr std::string_view kNeedsSelector =
    " modifier must be preceded by an instant vector selector or range vector selector or a "
    "subquery";

ExprPtr Parser::ParseOffset(ExprPtr expr) {
  Advance();
  ExprPtr offset = failed() ? nullptr : ParseOffsetDuration();
  if (offset == nullptr) return nullptr;
  TimeModifiers* time = FindTimeModifiers(expr.get());
  if (time == nullptr) return Fail(expr->position, "offset" + std::string(kNeedsSelector));
  if (time->offset_ms != 0 || time->offset_expr != nullptr) {
    return Fail(expr->position, "offset may not be set multiple times");
  }
  StoreDuration(std::move(offset), &time->offset_ms, &time->offset_expr);
  expr->position.end = last_closing_;
  return expr;
}

ExprPtr Parser::ParseAt(ExprPtr expr) {
  static constexpr Place kPlace{"@", "timestamp"};
  Advance();
  if (failed()) return nullptr;
  std::optional<int64_t> at_ms;
  AtBoundary boundary = AtBoundary::kNone;
  if (Is(TokenType::kStart) || Is(TokenType::kEnd)) {
    boundary = Is(TokenType::kStart) ? AtBoundary::kStart : AtBoundary::kEnd;
    Advance();
    if (!failed() && !Consume(TokenType::kLeftParen)) Unexpected(kPlace);
    if (!failed() && !Consume(TokenType::kRightParen)) Unexpected(kPlace);
  } else {
    const std::optional<double> seconds = ParseSignedNumber(kPlace);
    static constexpr double kLimit = 9223372036854775807.0;
    if (seconds && !(std::fabs(*seconds) < kLimit)) {
      char text[400];  // the largest double has 309 digits before the point
      std::snprintf(text, sizeof text, "%f", *seconds);
      return Fail(expr->position,
                  "timestamp out of bounds for @ modifier: " +
                      (std::isfinite(*seconds) ? std::string(text) : FormatFloatDecimal(*seconds)));
    }
    if (seconds) {
      const double ms = std::round(*seconds * 1000);
      at_ms =
          std::fabs(ms) < kLimit ? static_cast<int64_t>(ms) : std::numeric_limits<int64_t>::min();
    }
  }
  if (failed()) return nullptr;
  TimeModifiers* time = FindTimeModifiers(expr.get());
  if (time == nullptr) return Fail(expr->position, "@" + std::string(kNeedsSelector));
  if (time->has_at()) return Fail(expr->position, "@ <timestamp> may not be set multiple times");
  time->at_ms = at_ms;
  time->at_boundary = boundary;
  expr->position.end = last_closing_;
  return expr;
}

ExprPtr Parser::ParseExtendedRange(ExprPtr expr, bool anchored) {
  const std::string name = anchored ? "anchored" : "smoothed";
  if (!options_.extended_range_selectors) {
    return Fail(expr->position, name + " modifier is experimental and not enabled");
  }
  auto* selector = As<VectorSelector>(*expr);
  if (auto* matrix = As<MatrixSelector>(*expr)) selector = matrix->selector.get();
  if (selector == nullptr) {
    return Fail(expr->position, name + (expr->kind == NodeKind::kSubquery
                                            ? " modifier is not supported for subqueries"
                                            : " modifier not implemented"));
  }
  (anchored ? selector->anchored : selector->smoothed) = true;
  if (selector->anchored && selector->smoothed) {
    return Fail(expr->position, "anchored and smoothed modifiers cannot be used together");
  }
  Advance();
  return failed() ? nullptr : std::move(expr);
}

}  // namespace tocsin::query
