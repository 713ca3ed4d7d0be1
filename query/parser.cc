#include "query/parser.h"

#include <algorithm>

#include "base/duration.h"
#include "query/deep_stack.h"
#include "query/function_signatures.h"
#include "query/functions/point_math.h"
#include "query/literals.h"
#include "query/parser_impl.h"
#include "query/type_checker.h"

namespace tocsin::query {
namespace {

using model::QuoteString;

// Keywords that are fine as label names in by (…) and on (…).
bool IsLabelName(TokenType t) {
  if (t == TokenType::kWithout) return false;
  return IsMetricName(t) || IsKeyword(t) || t == TokenType::kAtan2;
}

bool StartsExpression(TokenType t) {
  return IsNumber(t) || IsSign(t) || IsMetricName(t) || t == TokenType::kString ||
         t == TokenType::kLeftParen || t == TokenType::kLeftBrace;
}

bool IsFill(TokenType t) {
  return t == TokenType::kFill || t == TokenType::kFillLeft || t == TokenType::kFillRight;
}

Status CheckLength(std::string_view text) {
  if (text.size() <= kMaxQueryBytes) return Status::Ok();
  return Status(Code::kInvalidArgument, "query of " + std::to_string(text.size()) +
                                            " bytes is longer than the limit of " +
                                            std::to_string(kMaxQueryBytes) + " bytes");
}

}  // namespace

const Operator* FindOperator(TokenType type) {
  static constexpr Operator kOr{BinaryOp::kOr, kLowest};
  static constexpr Operator kAnd{BinaryOp::kAnd, kSetAnd};
  static constexpr Operator kUnless{BinaryOp::kUnless, kSetAnd};
  static constexpr Operator kEqual{BinaryOp::kEqual, kComparison};
  static constexpr Operator kNotEqual{BinaryOp::kNotEqual, kComparison};
  static constexpr Operator kLess{BinaryOp::kLess, kComparison};
  static constexpr Operator kLessEqual{BinaryOp::kLessEqual, kComparison};
  static constexpr Operator kGreater{BinaryOp::kGreater, kComparison};
  static constexpr Operator kGreaterEqual{BinaryOp::kGreaterEqual, kComparison};
  static constexpr Operator kTrimUpper{BinaryOp::kTrimUpper, kComparison};
  static constexpr Operator kTrimLower{BinaryOp::kTrimLower, kComparison};
  static constexpr Operator kAdd{BinaryOp::kAdd, kSum};
  static constexpr Operator kSub{BinaryOp::kSub, kSum};
  static constexpr Operator kMul{BinaryOp::kMul, kProduct};
  static constexpr Operator kDiv{BinaryOp::kDiv, kProduct};
  static constexpr Operator kMod{BinaryOp::kMod, kProduct};
  static constexpr Operator kAtan2{BinaryOp::kAtan2, kProduct};
  static constexpr Operator kPow{BinaryOp::kPow, kPower};
  switch (type) {
    case TokenType::kOr:
      return &kOr;
    case TokenType::kAnd:
      return &kAnd;
    case TokenType::kUnless:
      return &kUnless;
    case TokenType::kEqualEqual:
      return &kEqual;
    case TokenType::kNotEqual:
      return &kNotEqual;
    case TokenType::kLess:
      return &kLess;
    case TokenType::kLessEqual:
      return &kLessEqual;
    case TokenType::kGreater:
      return &kGreater;
    case TokenType::kGreaterEqual:
      return &kGreaterEqual;
    case TokenType::kTrimUpper:
      return &kTrimUpper;
    case TokenType::kTrimLower:
      return &kTrimLower;
    case TokenType::kAdd:
      return &kAdd;
    case TokenType::kSub:
      return &kSub;
    case TokenType::kMul:
      return &kMul;
    case TokenType::kDiv:
      return &kDiv;
    case TokenType::kMod:
      return &kMod;
    case TokenType::kAtan2:
      return &kAtan2;
    case TokenType::kPow:
      return &kPow;
    default:
      return nullptr;
  }
}

bool IsMetricName(TokenType type) {
  switch (type) {
    case TokenType::kIdentifier:
    case TokenType::kMetricIdentifier:
    case TokenType::kAnd:
    case TokenType::kOr:
    case TokenType::kUnless:
    case TokenType::kBy:
    case TokenType::kWithout:
    case TokenType::kOffset:
    case TokenType::kAnchored:
    case TokenType::kSmoothed:
    case TokenType::kStart:
    case TokenType::kEnd:
    case TokenType::kStep:
    case TokenType::kRange:
    case TokenType::kMaxOf:
    case TokenType::kMinOf:
      return true;
    default:
      return IsAggregation(type);
  }
}

std::nullptr_t Parser::Fail(PositionRange position, std::string_view message) {
  if (!failed()) error_ = ParseErrorAt(text_, position, message);
  return nullptr;
}

std::nullptr_t Parser::Unexpected(const Place& place) {
  if (Is(TokenType::kError)) return Fail({token_.start, token_.end}, token_.message);
  std::string message = "unexpected " + DescribeToken(token_);
  if (!place.where.empty()) message += " in " + std::string(place.where);
  if (!place.expected.empty()) message += ", expected " + std::string(place.expected);
  return Fail(PositionOf(token_), message);
}

std::nullptr_t Parser::Unexpected() {
  return Unexpected(Place{aggregation_depth_ > 0 ? "aggregation" : "", ""});
}

std::nullptr_t Parser::FailTooDeep(int levels_max) {
  return Fail(PositionOf(token_), "expression is nested too deeply, more than " +
                                      std::to_string(levels_max) + " levels");
}

bool Parser::TooDeep() {
  if (depth_ <= depth_max_) return false;
  recursion_stopped_ = depth_max_ < kMaxExpressionDepth;
  FailTooDeep(kMaxExpressionDepth);
  return true;
}

void Parser::Advance() {
  switch (token_.type) {
    case TokenType::kRightBrace:
    case TokenType::kRightParen:
    case TokenType::kRightBracket:
    case TokenType::kDuration:
    case TokenType::kNumber:
      last_closing_ = token_.end;
      break;
    default:
      break;
  }
  token_ = lexer_.Next();
}

bool Parser::FailedByLexer() {
  if (Is(TokenType::kError)) Unexpected();
  return failed();
}

bool Parser::Consume(TokenType type) {
  if (!Is(type)) return false;
  Advance();
  return true;
}

ExprPtr Parser::Finish(ExprPtr expr, PositionRange position,
                       std::initializer_list<const Expr*> children) {
  expr->position = position;
  for (const Expr* child : children) {
    if (child != nullptr) expr->height = std::max(expr->height, child->height + 1);
  }
  // Durations are evaluated on any stack.
  const int height_max = expr->kind == NodeKind::kDuration ? kShallowHeight : kMaxExpressionDepth;
  if (expr->height > height_max) return FailTooDeep(height_max);
  return expr;
}

Result<ExprPtr> Parser::ParseExpression() {
  Advance();
  if (!failed() && Is(TokenType::kEndOfInput)) Fail({0, 0}, "no expression found in input");
  ExprPtr expr = failed() ? nullptr : ParseBinary(kLowest);
  if (!failed() && !Is(TokenType::kEndOfInput)) Unexpected();
  if (failed()) return Error(error_);
  Status types;
  TOCSIN_TRY(WithStackFor(expr->height, [&] { types = CheckTypes(text_, expr.get()); }));
  TOCSIN_TRY(types);
  return expr;
}

Result<std::vector<model::Matcher>> Parser::ParseSelector() {
  Advance();
  std::unique_ptr<VectorSelector> selector;
  if (!failed() && IsMetricName(token_.type)) {
    const Token name = token_;
    Advance();
    selector = ParseVectorSelector(&name);
  } else if (!failed() && Is(TokenType::kLeftBrace)) {
    selector = ParseVectorSelector(nullptr);
  } else {
    Unexpected();
  }
  if (!failed() && !Is(TokenType::kEndOfInput)) Unexpected();
  if (failed()) return Error(error_);
  return std::move(selector->matchers);
}

Result<model::Labels> Parser::ParseMetricLabels() {
  static constexpr Place kName{"label set", "identifier or \"}\""};
  static constexpr Place kEquals{"label set", "\"=\""};
  static constexpr Place kValue{"label set", "string"};
  static constexpr Place kNext{"label set", "\",\" or \"}\""};
  std::vector<std::pair<std::string, std::string>> pairs;
  Advance();
  if (IsMetricName(token_.type)) {
    pairs.emplace_back(model::kMetricName, token_.text);
    Advance();
  }
  if (!failed() && Consume(TokenType::kLeftBrace)) {
    while (!failed() && !Consume(TokenType::kRightBrace)) {
      const bool quoted = Is(TokenType::kString);
      if (!quoted && !Is(TokenType::kIdentifier)) {
        Unexpected(kName);
        break;
      }
      std::optional<std::string> name = quoted ? Unquoted(token_) : std::string(token_.text);
      Advance();
      if (quoted && !Is(TokenType::kEqual)) {
        pairs.emplace_back(model::kMetricName, name.value_or(""));
      } else if (!Consume(TokenType::kEqual)) {
        Unexpected(kEquals);
      } else if (!Is(TokenType::kString)) {
        Unexpected(kValue);
      } else {
        pairs.emplace_back(name.value_or(""), Unquoted(token_).value_or(""));
        Advance();
      }
      if (!failed() && !Consume(TokenType::kComma) && !Is(TokenType::kRightBrace)) {
        Unexpected(kNext);
      }
    }
  }
  if (!failed() && !Is(TokenType::kEndOfInput)) Unexpected();
  if (failed()) return Error(error_);
  return model::Labels::FromPairs(std::move(pairs));
}

ExprPtr Parser::ParseBinary(int min_precedence) {
  const Level level(this);
  if (TooDeep()) return nullptr;
  ExprPtr lhs = ParseUnary();
  while (!failed()) {
    const Operator* op = FindOperator(token_.type);
    if (op == nullptr || op->precedence < min_precedence) break;
    Advance();
    auto binary = std::make_unique<Binary>();
    binary->op = op->op;
    binary->matching.emplace();
    if (!ParseBinaryModifiers(binary.get())) return nullptr;
    const int next = op->precedence == kPower ? kPower : op->precedence + 1;
    ExprPtr rhs = ParseBinary(next);
    if (failed()) return nullptr;
    const PositionRange position{lhs->position.start, rhs->position.end};
    const bool fills = binary->matching->fill_lhs || binary->matching->fill_rhs;
    if (FailedByLexer()) return nullptr;
    if (fills && !options_.binop_fill_modifiers) {
      return Fail(position, "binop fill modifiers are experimental and not enabled");
    }
    if (Fold(*binary, *rhs, lhs.get())) continue;
    binary->lhs = std::move(lhs);
    binary->rhs = std::move(rhs);
    const Expr* left = binary->lhs.get();
    const Expr* right = binary->rhs.get();
    lhs = Finish(std::move(binary), position, {left, right});
  }
  return failed() ? nullptr : std::move(lhs);
}

bool Parser::Fold(const Binary& binary, const Expr& rhs, Expr* lhs) const {
  auto* const left = As<NumberLiteral>(*lhs);
  const auto* const right = As<NumberLiteral>(rhs);
  if (!folds_constants_ || left == nullptr || right == nullptr || !ChangesMetric(binary.op)) {
    return false;
  }
  const VectorMatching& matching = *binary.matching;
  const bool plain = !binary.return_bool && !matching.on && matching.labels.empty() &&
                     !matching.fill_lhs && !matching.fill_rhs;
  if (!plain) return false;
  left->value = FloatArithmetic(binary.op, left->value, right->value);
  left->is_duration = false;
  left->position.end = right->position.end;
  return true;
}

// [bool] [on (…) | ignoring (…) [group_left [(…)] | group_right [(…)]]] [fill…]
bool Parser::ParseBinaryModifiers(Binary* binary) {
  VectorMatching* matching = &*binary->matching;
  binary->return_bool = Consume(TokenType::kBool);
  if (Is(TokenType::kOn) || Is(TokenType::kIgnoring)) {
    matching->on = Is(TokenType::kOn);
    Advance();
    if (!ParseLabelList(&matching->labels)) return false;
    if (Is(TokenType::kGroupLeft) || Is(TokenType::kGroupRight)) {
      matching->card =
          Is(TokenType::kGroupLeft) ? MatchCardinality::kManyToOne : MatchCardinality::kOneToMany;
      Advance();
      // What can begin the right operand or a fill modifier says that there is no list of labels.
      const bool no_list =
          !Is(TokenType::kLeftParen) && (IsFill(token_.type) || StartsExpression(token_.type));
      if (!no_list && !ParseLabelList(&matching->include)) return false;
    }
  }
  return !failed() && ParseFill(matching);
}

bool Parser::ParseFill(VectorMatching* matching) {
  if (Consume(TokenType::kFill)) {
    matching->fill_lhs = matching->fill_rhs = ParseFillValue();
    return !failed();
  }
  const bool left_first = Is(TokenType::kFillLeft);
  for (int i = 0; i < 2; ++i) {
    const bool left = left_first == (i == 0);
    if (Consume(left ? TokenType::kFillLeft : TokenType::kFillRight)) {
      (left ? matching->fill_lhs : matching->fill_rhs) = ParseFillValue();
    } else if (i == 0) {
      break;
    }
  }
  return !failed();
}

std::optional<double> Parser::ParseFillValue() {
  const Place generic{aggregation_depth_ > 0 ? "aggregation" : "", ""};
  if (!Consume(TokenType::kLeftParen)) {
    Unexpected(generic);
    return std::nullopt;
  }
  const std::optional<double> value = ParseSignedNumber(generic);
  if (!failed() && !Consume(TokenType::kRightParen)) Unexpected(generic);
  return value;
}

std::optional<double> Parser::ParseSignedNumber(const Place& place) {
  const bool negative = Is(TokenType::kSub);
  if (IsSign(token_.type)) Advance();
  if (!failed() && !IsNumber(token_.type)) Unexpected(place);
  ExprPtr number = failed() ? nullptr : ParseNumberLiteral();
  if (failed()) return std::nullopt;
  const double value = As<NumberLiteral>(*number)->value;
  return negative ? -value : value;
}

ExprPtr Parser::ParseUnary() {
  if (!IsSign(token_.type)) {
    ExprPtr primary = ParsePrimary();
    return failed() ? nullptr : ParsePostfix(std::move(primary));
  }
  const Token sign = token_;
  Advance();
  // The operand takes ^ but neither * nor +: -2 ^ 2 is -(2 ^ 2), -2 * 3 is (-2) * 3.
  ExprPtr operand = failed() ? nullptr : ParseBinary(kPower);
  if (failed()) return nullptr;
  const PositionRange position{sign.start, operand->position.end};
  if (auto* number = As<NumberLiteral>(*operand)) {
    if (sign.type == TokenType::kSub) number->value = -number->value;
    number->position = position;
    return operand;
  }
  auto unary = std::make_unique<Unary>();
  unary->negate = sign.type == TokenType::kSub;
  unary->expr = std::move(operand);
  const Expr* child = unary->expr.get();
  return Finish(std::move(unary), position, {child});
}

ExprPtr Parser::ParsePrimary() {
  switch (token_.type) {
    case TokenType::kNumber:
    case TokenType::kDuration:
      return ParseNumberLiteral();
    case TokenType::kString:
      return ParseStringLiteral();
    case TokenType::kLeftParen:
      return ParseParen();
    case TokenType::kLeftBrace:
      return ParseVectorSelector(nullptr);
    default:
      return ParseNamed();
  }
}

// A metric, a function call or an aggregation: all begin with a name.
ExprPtr Parser::ParseNamed() {
  if (!IsMetricName(token_.type)) return Unexpected();
  const Token name = token_;
  Advance();
  if (failed()) return nullptr;
  const bool callable = name.type == TokenType::kIdentifier || name.type == TokenType::kStart ||
                        name.type == TokenType::kEnd || name.type == TokenType::kStep ||
                        name.type == TokenType::kRange || name.type == TokenType::kMaxOf ||
                        name.type == TokenType::kMinOf;
  if (callable && Is(TokenType::kLeftParen)) return ParseCall(name);
  if (IsAggregation(name.type) &&
      (Is(TokenType::kLeftParen) || Is(TokenType::kBy) || Is(TokenType::kWithout))) {
    return ParseAggregate(name);
  }
  return ParseVectorSelector(&name);
}

ExprPtr Parser::ParseParen() {
  const int32_t start = token_.start;
  Advance();
  auto paren = std::make_unique<Paren>();
  paren->expr = failed() ? nullptr : ParseBinary(kLowest);
  if (!failed() && !Is(TokenType::kRightParen)) Unexpected();
  if (failed()) return nullptr;
  const PositionRange position{start, token_.end};
  Advance();
  const Expr* child = paren->expr.get();
  return Finish(std::move(paren), position, {child});
}

ExprPtr Parser::ParseNumberLiteral() {
  auto literal = std::make_unique<NumberLiteral>();
  literal->position = PositionOf(token_);
  if (Is(TokenType::kDuration)) {
    literal->is_duration = true;
    const Result<int64_t> ms = tocsin::ParseDuration(token_.text);
    if (!ms) return Fail(PositionOf(token_), ms.error().message());
    literal->value = static_cast<double>(*ms) / 1000;
  } else {
    const Result<double> value = ParseNumber(token_.text);
    if (!value) {
      return Fail(PositionOf(token_), "error parsing number: " + value.error().message());
    }
    literal->value = *value;
  }
  Advance();
  return literal;
}

std::optional<std::string> Parser::Unquoted(const Token& token) {
  std::optional<std::string> value = UnquoteString(token.text);
  if (!value) {
    Fail(PositionOf(token),
         "error unquoting string " + QuoteString(token.text) + ": invalid syntax");
  }
  return value;
}

ExprPtr Parser::ParseStringLiteral() {
  auto literal = std::make_unique<StringLiteral>();
  literal->position = PositionOf(token_);
  literal->value = Unquoted(token_).value_or("");
  Advance();
  return literal;
}

// The opening parenthesis is the current token.
bool Parser::ParseArguments(std::vector<ExprPtr>* args) {
  Advance();
  if (failed()) return false;
  if (Consume(TokenType::kRightParen)) return !failed();
  for (;;) {
    ExprPtr arg = ParseBinary(kLowest);
    if (failed()) return false;
    args->push_back(std::move(arg));
    if (Consume(TokenType::kRightParen)) return !failed();
    if (!Is(TokenType::kComma)) {
      Unexpected();
      return false;
    }
    const Token comma = token_;
    Advance();
    if (failed()) return false;
    if (FailedByLexer()) return false;
    if (!StartsExpression(token_.type)) {
      Fail(PositionOf(comma), "trailing commas not allowed in function call args");
      return false;
    }
  }
}

ExprPtr Parser::ParseCall(const Token& name) {
  auto call = std::make_unique<Call>();
  if (!ParseArguments(&call->args)) return nullptr;
  const PositionRange position{name.start, last_closing_};
  call->function = FindFunction(name.text);
  if (call->function == nullptr) {
    return Fail(PositionOf(name), "unknown function with name " + QuoteString(name.text));
  }
  if (call->function->experimental && !options_.experimental_functions) {
    return Fail(PositionOf(name), "function " + QuoteString(name.text) + " is not enabled");
  }
  for (const ExprPtr& arg : call->args) call->height = std::max(call->height, arg->height + 1);
  return Finish(std::move(call), position, {});
}

ExprPtr Parser::ParseAggregate(const Token& op) {
  auto aggregate = std::make_unique<Aggregate>();
  const auto parse_grouping = [&] {
    aggregate->without = Is(TokenType::kWithout);
    Advance();
    return !failed() && ParseLabelList(&aggregate->grouping);
  };
  const auto at_grouping = [&] { return Is(TokenType::kBy) || Is(TokenType::kWithout); };
  const bool grouping_first = at_grouping();
  if (grouping_first && !parse_grouping()) return nullptr;
  ++aggregation_depth_;
  if (!Is(TokenType::kLeftParen)) return Unexpected();
  std::vector<ExprPtr> args;
  if (!ParseArguments(&args)) return nullptr;
  --aggregation_depth_;
  if (!grouping_first) {
    // By now the reference has looked at the token behind the arguments.
    if (FailedByLexer() || (at_grouping() && !parse_grouping())) return nullptr;
  }
  return FinishAggregate(op, std::move(aggregate), std::move(args), {op.start, last_closing_});
}

ExprPtr Parser::FinishAggregate(const Token& op, std::unique_ptr<Aggregate> aggregate,
                                std::vector<ExprPtr> args, PositionRange position) {
  if (args.empty()) return Fail(position, "no arguments for aggregate expression provided");
  const int index = static_cast<int>(op.type) - static_cast<int>(TokenType::kSum);
  aggregate->op = static_cast<AggregateOp>(index);
  const bool experimental =
      aggregate->op == AggregateOp::kLimitk || aggregate->op == AggregateOp::kLimitRatio;
  if (experimental && !options_.experimental_functions) {
    return Fail(position, std::string(AggregateOpName(aggregate->op)) +
                              "() is experimental and must be enabled with "
                              "--enable-feature=promql-experimental-functions");
  }
  const size_t wanted = TakesParameter(aggregate->op) ? 2 : 1;
  if (args.size() != wanted) {
    return Fail(position, "wrong number of arguments for aggregate expression provided, expected " +
                              std::to_string(wanted) + ", got " + std::to_string(args.size()));
  }
  if (wanted == 2) aggregate->param = std::move(args.front());
  aggregate->expr = std::move(args.back());
  const Expr* expr = aggregate->expr.get();
  const Expr* param = aggregate->param.get();
  return Finish(std::move(aggregate), position, {expr, param});
}

// ( label, "quoted label", … )
bool Parser::ParseLabelList(std::vector<std::string>* labels) {
  static constexpr Place kOpen{"grouping opts", "\"(\""};
  static constexpr Place kLabel{"grouping opts", "label"};
  static constexpr Place kNext{"grouping opts", "\",\" or \")\""};
  if (!Consume(TokenType::kLeftParen)) return Unexpected(kOpen), false;
  if (Consume(TokenType::kRightParen)) return !failed();
  while (!failed()) {
    const bool quoted = Is(TokenType::kString);
    if (!quoted && !IsLabelName(token_.type)) return Unexpected(kLabel), false;
    const std::string label = quoted ? Unquoted(token_).value_or("") : std::string(token_.text);
    if (label.empty() || !model::IsValidUtf8(label)) {
      return Fail(PositionOf(token_), "invalid label name for grouping: " + QuoteString(label)),
             false;
    }
    labels->push_back(label);
    Advance();
    if (Consume(TokenType::kRightParen)) break;
    if (!Consume(TokenType::kComma)) return Unexpected(kNext), false;
    if (Consume(TokenType::kRightParen)) break;
  }
  return !failed();
}

Status ParseErrorAt(std::string_view text, PositionRange position, std::string_view message) {
  return Status(Code::kInvalidArgument,
                PositionText(text, position) + ": parse error: " + std::string(message));
}

namespace {

Result<ExprPtr> Parse(std::string_view text, const LanguageOptions& options, bool folds_constants) {
  TOCSIN_TRY(CheckLength(text));
  Parser parser(text, options, kShallowHeight, folds_constants);
  Result<ExprPtr> expr = parser.ParseExpression();
  if (!parser.recursion_stopped()) return expr;
  const auto levels_max = static_cast<int32_t>(std::min<size_t>(text.size(), kMaxExpressionDepth));
  TOCSIN_TRY(WithStackFor(levels_max, [&] {
    expr = Parser(text, options, kMaxExpressionDepth, folds_constants).ParseExpression();
  }));
  return expr;
}

}  // namespace

Result<ExprPtr> ParseExpr(std::string_view text, const LanguageOptions& options) {
  return Parse(text, options, false);
}

Result<ExprPtr> ParseForEvaluation(std::string_view text, const LanguageOptions& options) {
  return Parse(text, options, true);
}

Result<std::vector<model::Matcher>> ParseMetricSelector(std::string_view text) {
  TOCSIN_TRY(CheckLength(text));
  const LanguageOptions options;
  return Parser(text, options, kShallowHeight).ParseSelector();
}

Result<model::Labels> ParseMetric(std::string_view text) {
  TOCSIN_TRY(CheckLength(text));
  const LanguageOptions options;
  return Parser(text, options, kShallowHeight).ParseMetricLabels();
}

}  // namespace tocsin::query
