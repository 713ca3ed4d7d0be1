// The parser's insides, shared by its files only: parser.cc (entry points, expressions),
// parser_selectors.cc (selectors and what follows them), parser_durations.cc.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "query/ast.h"
#include "query/language_options.h"
#include "query/lexer.h"

namespace tocsin::query {

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

// Null when the token is no binary operator.
const Operator* FindOperator(TokenType type);

// Keywords that are fine as metric names count too.
bool IsMetricName(TokenType type);
inline bool IsSign(TokenType t) { return t == TokenType::kAdd || t == TokenType::kSub; }
inline bool IsNumber(TokenType t) { return t == TokenType::kNumber || t == TokenType::kDuration; }

inline PositionRange PositionOf(const Token& token) { return {token.start, token.end}; }

// Where in the grammar an unexpected token stands: "unexpected X in WHERE, expected WHAT".
struct Place {
  std::string_view where;
  std::string_view expected;
};

// What may stand where a duration is expected.
inline constexpr std::string_view kDurationForms = "number, duration, step(), or range()";

// Functions return null or false after an error; the first error is kept in error_.
class Parser {
 public:
  // Recursion stops at `depth_max` levels; recursion_stopped() then says that a text might be fine
  // and is to be parsed again, on a deeper stack.
  Parser(std::string_view text, const LanguageOptions& options, int depth_max,
         bool folds_constants = false)
      : text_(text),
        options_(options),
        depth_max_(depth_max),
        folds_constants_(folds_constants),
        lexer_(text) {}

  Result<ExprPtr> ParseExpression();
  Result<std::vector<model::Matcher>> ParseSelector();
  Result<model::Labels> ParseMetricLabels();
  bool recursion_stopped() const { return recursion_stopped_; }

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
  bool TooDeep();               // asked at each level of recursion
  std::nullptr_t FailTooDeep(int levels_max);
  // An error of the lexer becomes ours only when its token is looked at in vain: what came before
  // may be wrong already, and the first error counts.
  void Advance();
  // For errors that the reference finds only after it has read the token behind: a lexer's error
  // comes first then.
  bool FailedByLexer();
  bool Consume(TokenType type);
  bool Is(TokenType type) const { return token_.type == type; }

  // Sets `position`, takes the children's heights into account, refuses what is too high.
  ExprPtr Finish(ExprPtr expr, PositionRange position, std::initializer_list<const Expr*> children);

  ExprPtr ParseBinary(int min_precedence);
  bool ParseBinaryModifiers(Binary* binary);
  // True: `lhs` has become the number that both operands make.
  bool Fold(const Binary& binary, const Expr& rhs, Expr* lhs) const;
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
  const int depth_max_;
  const bool folds_constants_;
  bool recursion_stopped_ = false;
  Lexer lexer_;
  Token token_;               // the one to be looked at next
  int32_t last_closing_ = 0;  // end of the last token that may end an expression
  int depth_ = 0;
  int aggregation_depth_ = 0;  // open argument lists of aggregations
  Status error_;
};

}  // namespace tocsin::query
