#include "query/parser.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>

#include "base/duration.h"
#include "base/number.h"
#include "query/function_signatures.h"
#include "query/lexer.h"
#include "query/literals.h"
#include "query/type_checker.h"

namespace tocsin::query {
namespace {

using model::QuoteString;

// How tightly an operator binds; ^ alone groups to the right. Unary minus binds like *.
enum Precedence : int {
  kLowest = 1,
  kSetAnd = 2,
  kComparison = 3,
  kSum = 4,
  kProduct = 5,
  kPower = 6,
};

struct Operator {
  BinaryOp op;
  Precedence precedence;
};

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

// Keywords that are fine as metric names.
bool IsMetricName(TokenType t) {
  switch (t) {
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
      return IsAggregation(t);
  }
}

// Keywords that are fine as label names in by (…) and on (…).
bool IsLabelName(TokenType t) {
  if (t == TokenType::kWithout) return false;
  return IsMetricName(t) || IsKeyword(t) || t == TokenType::kAtan2;
}

bool IsSign(TokenType t) { return t == TokenType::kAdd || t == TokenType::kSub; }
bool IsNumber(TokenType t) { return t == TokenType::kNumber || t == TokenType::kDuration; }

PositionRange PositionOf(const Token& token) { return {token.start, token.end}; }

// Where in the grammar an unexpected token stands: "unexpected X in WHERE, expected WHAT".
struct Place {
  std::string_view where;
  std::string_view expected;
};

constexpr std::string_view kDurationForms = "number, duration, step(), or range()";
constexpr Place kInOffset{"offset", kDurationForms};
constexpr Place kInRange{"subquery or range selector", kDurationForms};
constexpr Place kInSubqueryStep{"subquery selector", "number, duration, step(), range(), or \"]\""};

// The reference holds durations in int64 nanoseconds.
constexpr double kMaxDurationSeconds = 9223372036.854775808;

int64_t SecondsToMs(double seconds) {
  const double ns = std::round(seconds * 1e9);
  if (ns >= 9.2233720368547758e18) return std::numeric_limits<int64_t>::max() / 1'000'000;
  if (ns <= -9.2233720368547758e18) return std::numeric_limits<int64_t>::min() / 1'000'000;
  return static_cast<int64_t>(ns) / 1'000'000;
}

// Functions return null or false after an error; the first error is kept in error_.
class Parser {
 public:
  Parser(std::string_view text, const LanguageOptions& options)
      : text_(text), options_(options), lexer_(text) {}

  Result<ExprPtr> ParseExpression();
  Result<std::vector<model::Matcher>> ParseSelector();
  Result<model::Labels> ParseMetricLabels();

 private:
  // Counts the levels of recursion for as long as it lives.
  class Level {
   public:
    explicit Level(Parser* parser) : parser_(parser) { ++parser_->depth_; }
    ~Level() { --parser_->depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Parser* parser_;
  };

  bool failed() const { return !error_.ok(); }
  std::nullptr_t Fail(PositionRange position, std::string_view message);
  std::nullptr_t Unexpected(const Place& place);
  std::nullptr_t Unexpected();  // with the place that the reference would name
  bool TooDeep(int height);
  void Advance();
  bool Consume(TokenType type);
  bool Is(TokenType type) const { return token_.type == type; }

  // Sets `position`, takes the children's heights into account, refuses what is too high.
  ExprPtr Finish(ExprPtr expr, PositionRange position, std::initializer_list<const Expr*> children);

  ExprPtr ParseBinary(int min_precedence);
  bool ParseBinaryModifiers(Binary* binary);
  bool ParseFill(VectorMatching* matching);
  std::optional<double> ParseFillValue();
  ExprPtr ParseUnary();
  ExprPtr ParsePrimary();
  ExprPtr ParseNamed();
  ExprPtr ParseParen();
  ExprPtr ParseNumberLiteral();
  ExprPtr ParseStringLiteral();
  ExprPtr ParseCall(const Token& name);
  ExprPtr ParseAggregate(const Token& op);
  ExprPtr FinishAggregate(const Token& op, std::unique_ptr<Aggregate> aggregate,
                          std::vector<ExprPtr> args, PositionRange position);
  bool ParseArguments(std::vector<ExprPtr>* args);
  bool ParseLabelList(std::vector<std::string>* labels);

  std::unique_ptr<VectorSelector> ParseVectorSelector(const Token* name);
  bool ParseMatchers(std::vector<model::Matcher>* matchers);
  bool ParseMatcher(std::vector<model::Matcher>* matchers);
  std::optional<std::string> Unquoted(const Token& token);

  ExprPtr ParsePostfix(ExprPtr expr);
  ExprPtr ParseBracket(ExprPtr expr);
  ExprPtr FinishMatrix(ExprPtr expr, ExprPtr range, PositionRange brackets);
  ExprPtr ParseOffset(ExprPtr expr);
  ExprPtr ParseAt(ExprPtr expr);
  std::optional<double> ParseSignedNumber(const Place& place);
  ExprPtr ParseExtendedRange(ExprPtr expr, bool anchored);
  TimeModifiers* FindTimeModifiers(Expr* expr);

  ExprPtr ParseOffsetDuration();
  ExprPtr ParseDuration(const Place& place, int min_precedence);
  ExprPtr ParseDurationPrimary(const Place& place);
  ExprPtr ParsePositiveDuration(const Place& place);
  ExprPtr ParseDurationCall(const Place& place);
  ExprPtr CombineDurations(const Token& op, ExprPtr lhs, ExprPtr rhs);
  ExprPtr ApplySign(const Token& op, ExprPtr expr);
  ExprPtr WrapDuration(ExprPtr expr, PositionRange position);
  bool CheckDurationExpressionsAllowed(const Expr& expr);

  std::string_view text_;
  const LanguageOptions& options_;
  Lexer lexer_;
  Token token_;               // the one to be looked at next
  int32_t last_closing_ = 0;  // end of the last token that may end an expression
  int depth_ = 0;
  int aggregation_depth_ = 0;  // open argument lists of aggregations
  Status error_;
};

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

bool Parser::TooDeep(int height) {
  if (depth_ + height <= kMaxExpressionDepth) return false;
  Fail(PositionOf(token_), "expression is nested too deeply, more than " +
                               std::to_string(kMaxExpressionDepth) + " levels");
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
  if (Is(TokenType::kError)) Fail(PositionOf(token_), token_.message);
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
  if (expr->height > kMaxExpressionDepth && TooDeep(kMaxExpressionDepth + 1)) return nullptr;
  return expr;
}

Result<ExprPtr> Parser::ParseExpression() {
  Advance();
  if (!failed() && Is(TokenType::kEndOfInput)) Fail({0, 0}, "no expression found in input");
  ExprPtr expr = failed() ? nullptr : ParseBinary(kLowest);
  if (!failed() && !Is(TokenType::kEndOfInput)) Unexpected();
  if (failed()) return Error(error_);
  TOCSIN_TRY(CheckTypes(text_, expr.get()));
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
  if (TooDeep(0)) return nullptr;
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
    if (fills && !options_.binop_fill_modifiers) {
      return Fail(position, "binop fill modifiers are experimental and not enabled");
    }
    binary->lhs = std::move(lhs);
    binary->rhs = std::move(rhs);
    const Expr* left = binary->lhs.get();
    const Expr* right = binary->rhs.get();
    lhs = Finish(std::move(binary), position, {left, right});
  }
  return failed() ? nullptr : std::move(lhs);
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
      if (Is(TokenType::kLeftParen) && !ParseLabelList(&matching->include)) return false;
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
    const bool starts_expression = IsNumber(token_.type) || IsSign(token_.type) ||
                                   IsMetricName(token_.type) || Is(TokenType::kString) ||
                                   Is(TokenType::kLeftParen) || Is(TokenType::kLeftBrace);
    if (!starts_expression) {
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
  if (!grouping_first && at_grouping() && !parse_grouping()) return nullptr;
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
  if (failed()) return nullptr;
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
  if (TooDeep(0)) return nullptr;
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
      if (std::fabs(As<NumberLiteral>(*literal)->value) > kMaxDurationSeconds) {
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

Status CheckLength(std::string_view text) {
  if (text.size() <= kMaxQueryBytes) return Status::Ok();
  return Status(Code::kInvalidArgument, "query of " + std::to_string(text.size()) +
                                            " bytes is longer than the limit of " +
                                            std::to_string(kMaxQueryBytes) + " bytes");
}

}  // namespace

Status ParseErrorAt(std::string_view text, PositionRange position, std::string_view message) {
  return Status(Code::kInvalidArgument,
                PositionText(text, position) + ": parse error: " + std::string(message));
}

Result<ExprPtr> ParseExpr(std::string_view text, const LanguageOptions& options) {
  TOCSIN_TRY(CheckLength(text));
  return Parser(text, options).ParseExpression();
}

Result<std::vector<model::Matcher>> ParseMetricSelector(std::string_view text) {
  TOCSIN_TRY(CheckLength(text));
  const LanguageOptions options;
  return Parser(text, options).ParseSelector();
}

Result<model::Labels> ParseMetric(std::string_view text) {
  TOCSIN_TRY(CheckLength(text));
  const LanguageOptions options;
  return Parser(text, options).ParseMetricLabels();
}

}  // namespace tocsin::query
