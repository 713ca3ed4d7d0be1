// The syntax tree of a PromQL expression, as the parser gives it: type-checked, with every duration
// literal in milliseconds and every node knowing the bytes of the query text that it came from.
//
//   Result<ExprPtr> e = ParseExpr("sum by (job) (rate(up[5m] offset 1h))", options);   // parser.h
//   if (const auto* call = As<Call>(**e)) …
//
// A node owns its children. The tree is at most kMaxExpressionDepth deep (the parser refuses more):
// who walks it does so on a stack for its height (deep_stack.h); destruction needs none. Nodes are
// plain structs: a planner may rewrite the tree in place. Nothing here is evaluated; see planner.h
// and duration_expr.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/matcher.h"
#include "query/deep_stack.h"
#include "query/value.h"

namespace tocsin::query {

// Prometheus has no such bound, it grows its stack to a gigabyte and then dies. Real expressions
// stay below 50; generated chains of `or` reach some thousands.
inline constexpr int kMaxExpressionDepth = 200'000;

// Bytes [start, end) of the query text.
struct PositionRange {
  int32_t start = 0;
  int32_t end = 0;
  friend bool operator==(const PositionRange&, const PositionRange&) = default;
};

enum class NodeKind : uint8_t {
  kNumberLiteral,
  kStringLiteral,
  kVectorSelector,
  kMatrixSelector,
  kSubquery,
  kCall,
  kAggregate,
  kBinary,
  kUnary,
  kParen,
  kDuration,
};

struct Expr {
  virtual ~Expr() = default;
  Expr(const Expr&) = delete;
  Expr& operator=(const Expr&) = delete;

  const NodeKind kind;
  PositionRange position;
  int32_t height = 1;  // levels of the tree from here down, as parsed: at most kMaxExpressionDepth
  ValueType type = ValueType::kNone;  // of binary, unary and paren nodes, once they are checked

 protected:
  explicit Expr(NodeKind node_kind) : kind(node_kind) {}
};
using ExprPtr = std::unique_ptr<Expr>;

// Ends a subtree without recursion: at once when it is low, else from a list. For destructors.
void Discard(ExprPtr expr);

// The node as a T, or null when it is another kind.
template <typename T>
const T* As(const Expr& expr) {
  return expr.kind == T::kKind ? static_cast<const T*>(&expr) : nullptr;
}
template <typename T>
T* As(Expr& expr) {
  return expr.kind == T::kKind ? static_cast<T*>(&expr) : nullptr;
}

// The type that the expression evaluates to.
ValueType TypeOf(const Expr& expr);

struct NumberLiteral final : Expr {
  static constexpr NodeKind kKind = NodeKind::kNumberLiteral;
  NumberLiteral() : Expr(kKind) {}
  double value = 0;
  bool is_duration = false;  // written as 5m; the value is in seconds then, and is printed so again
};

struct StringLiteral final : Expr {
  static constexpr NodeKind kKind = NodeKind::kStringLiteral;
  StringLiteral() : Expr(kKind) {}
  std::string value;  // unquoted
};

enum class DurationOp : uint8_t {
  kAdd,
  kSub,  // unary when lhs is null
  kMul,
  kDiv,
  kMod,
  kPow,
  kMinOf,  // min_of(lhs, rhs)
  kMaxOf,  // max_of(lhs, rhs)
  kStep,   // step(): the step of the range query; no operands
  kRange,  // range(): end - start of the query; no operands
  kPlus,   // unary plus or bare parentheses around rhs
};

// A duration that must be computed, in seconds: [5m + step()], offset (range() / 2). Operands are
// DurationExpr or NumberLiteral nodes. A plain duration never becomes one: its place holds only the
// milliseconds. See duration_expr.h for evaluation.
struct DurationExpr final : Expr {
  static constexpr NodeKind kKind = NodeKind::kDuration;
  DurationExpr() : Expr(kKind) {}
  ~DurationExpr() override {
    Discard(std::move(lhs));
    Discard(std::move(rhs));
  }
  DurationOp op = DurationOp::kAdd;
  ExprPtr lhs;  // null for unary operators and functions without operands
  ExprPtr rhs;
  bool wrapped = false;  // stood in parentheses
};

// `@ start()` and `@ end()`: the ends of the query's range.
enum class AtBoundary : uint8_t { kNone, kStart, kEnd };

// What `offset` and `@` say, on a selector or a subquery.
struct TimeModifiers {
  int64_t offset_ms = 0;  // positive: the past. Meaningless when offset_expr is set
  std::unique_ptr<DurationExpr> offset_expr;  // null for a plain duration
  std::optional<int64_t> at_ms;               // @ 1609746000
  AtBoundary at_boundary = AtBoundary::kNone;

  bool has_at() const { return at_ms.has_value() || at_boundary != AtBoundary::kNone; }
};

struct VectorSelector final : Expr {
  static constexpr NodeKind kKind = NodeKind::kVectorSelector;
  VectorSelector() : Expr(kKind) {}
  std::string name;  // the metric name when it was written as such; the __name__ matcher is in
                     // `matchers` (last when the name stood before the braces)
  std::vector<model::Matcher> matchers;
  TimeModifiers time;
  bool anchored = false;
  bool smoothed = false;
};

struct MatrixSelector final : Expr {
  static constexpr NodeKind kKind = NodeKind::kMatrixSelector;
  MatrixSelector() : Expr(kKind) {}
  std::unique_ptr<VectorSelector> selector;  // holds offset, @, anchored and smoothed
  int64_t range_ms = 0;                      // meaningless when range_expr is set
  std::unique_ptr<DurationExpr> range_expr;
};

struct Subquery final : Expr {
  static constexpr NodeKind kKind = NodeKind::kSubquery;
  Subquery() : Expr(kKind) {}
  ~Subquery() override { Discard(std::move(expr)); }
  ExprPtr expr;
  int64_t range_ms = 0;
  std::unique_ptr<DurationExpr> range_expr;
  int64_t step_ms = 0;  // 0: the server's default
  std::unique_ptr<DurationExpr> step_expr;
  TimeModifiers time;
};

struct FunctionSignature;  // function_signatures.h

struct Call final : Expr {
  static constexpr NodeKind kKind = NodeKind::kCall;
  Call() : Expr(kKind) {}
  ~Call() override {
    for (ExprPtr& arg : args) Discard(std::move(arg));
  }
  const FunctionSignature* function = nullptr;  // never null in a parsed tree; static storage
  std::vector<ExprPtr> args;                    // as written: optional ones may be missing
};

enum class AggregateOp : uint8_t {
  kSum,
  kAvg,
  kCount,
  kMin,
  kMax,
  kGroup,
  kStddev,
  kStdvar,
  kTopk,
  kBottomk,
  kCountValues,
  kQuantile,
  kLimitk,
  kLimitRatio,
};
std::string_view AggregateOpName(AggregateOp op);  // "sum", "count_values"
bool TakesParameter(AggregateOp op);               // topk … limit_ratio

struct Aggregate final : Expr {
  static constexpr NodeKind kKind = NodeKind::kAggregate;
  Aggregate() : Expr(kKind) {}
  ~Aggregate() override {
    Discard(std::move(expr));
    Discard(std::move(param));
  }
  AggregateOp op = AggregateOp::kSum;
  ExprPtr expr;
  ExprPtr param;  // set exactly when TakesParameter(op); a string for count_values, else a scalar
  std::vector<std::string> grouping;  // in the order written
  bool without = false;
};

enum class BinaryOp : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMod,
  kPow,
  kAtan2,
  kTrimUpper,  // </ : a histogram's observations up to a bound
  kTrimLower,  // >/ : those from a bound on
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kAnd,
  kOr,
  kUnless,
};
std::string_view BinaryOpName(BinaryOp op);  // "+", "atan2", ">=", "unless"
bool IsComparison(BinaryOp op);              // == != < <= > >=
bool IsSetOperator(BinaryOp op);             // and or unless

enum class MatchCardinality : uint8_t { kOneToOne, kManyToOne, kOneToMany, kManyToMany };
std::string_view MatchCardinalityName(MatchCardinality card);  // "one-to-one", …

// How the elements of two vectors find each other.
struct VectorMatching {
  MatchCardinality card = MatchCardinality::kOneToOne;  // kManyToMany exactly for set operators
  bool on = false;                                      // on(labels); else ignoring(labels)
  std::vector<std::string> labels;
  std::vector<std::string> include;  // of group_left(include) or group_right(include)
  std::optional<double> fill_lhs;    // stands for a missing element on that side
  std::optional<double> fill_rhs;
};

struct Binary final : Expr {
  static constexpr NodeKind kKind = NodeKind::kBinary;
  Binary() : Expr(kKind) {}
  ~Binary() override {
    Discard(std::move(lhs));
    Discard(std::move(rhs));
  }
  BinaryOp op = BinaryOp::kAdd;
  ExprPtr lhs;
  ExprPtr rhs;
  bool return_bool = false;                // comparison with `bool`: 0 or 1 instead of a filter
  std::optional<VectorMatching> matching;  // set exactly when both sides are vectors
};

struct Unary final : Expr {
  static constexpr NodeKind kKind = NodeKind::kUnary;
  Unary() : Expr(kKind) {}
  ~Unary() override { Discard(std::move(expr)); }
  bool negate = false;  // - or +
  ExprPtr expr;
};

struct Paren final : Expr {
  static constexpr NodeKind kKind = NodeKind::kParen;
  Paren() : Expr(kKind) {}
  ~Paren() override { Discard(std::move(expr)); }
  ExprPtr expr;
};

// The expression inside any number of parentheses.
const Expr& Unparen(const Expr& expr);

// The direct children that are evaluated, in the order that messages and annotations use: an
// aggregation's expression before its parameter; a matrix selector's vector selector. Duration
// expressions do not count.
std::vector<const Expr*> Children(const Expr& expr);

// Calls visit(node, path) for every node, parents first; path holds the ancestors, outermost first.
template <typename Visit>
void Inspect(const Expr& expr, const Visit& visit, std::vector<const Expr*>* path) {
  visit(expr, *path);
  path->push_back(&expr);
  for (const Expr* child : Children(expr)) Inspect(*child, visit, path);
  path->pop_back();
}
template <typename Visit>
Status Inspect(const Expr& expr, const Visit& visit) {
  std::vector<const Expr*> path;
  return WithStackFor(expr.height, [&] { Inspect(expr, visit, &path); });
}

// A deep copy; positions included. Walks the tree on the caller's stack.
ExprPtr Clone(const Expr& expr);

// "LINE:COLUMN" of the range's start (both from 1, columns in bytes, as the reference counts them);
// "unknown position" in an empty text, "invalid position" past the end.
std::string PositionText(std::string_view text, PositionRange position);

}  // namespace tocsin::query
