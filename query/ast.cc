#include "query/ast.h"

#include <algorithm>

#include "base/check.h"
#include "query/function_signatures.h"

namespace tocsin::query {
namespace {

template <typename T>
std::unique_ptr<T> CloneAs(const std::unique_ptr<T>& node) {
  if (node == nullptr) return nullptr;
  ExprPtr copy = Clone(*node);
  return std::unique_ptr<T>(static_cast<T*>(copy.release()));
}

TimeModifiers CloneTime(const TimeModifiers& time) {
  TimeModifiers copy;
  copy.offset_ms = time.offset_ms;
  copy.offset_expr = CloneAs(time.offset_expr);
  copy.at_ms = time.at_ms;
  copy.at_boundary = time.at_boundary;
  return copy;
}

ExprPtr CloneNode(const NumberLiteral& node) {
  auto copy = std::make_unique<NumberLiteral>();
  copy->value = node.value;
  copy->is_duration = node.is_duration;
  return copy;
}

ExprPtr CloneNode(const StringLiteral& node) {
  auto copy = std::make_unique<StringLiteral>();
  copy->value = node.value;
  return copy;
}

ExprPtr CloneNode(const DurationExpr& node) {
  auto copy = std::make_unique<DurationExpr>();
  copy->op = node.op;
  copy->lhs = CloneAs(node.lhs);
  copy->rhs = CloneAs(node.rhs);
  copy->wrapped = node.wrapped;
  return copy;
}

ExprPtr CloneNode(const VectorSelector& node) {
  auto copy = std::make_unique<VectorSelector>();
  copy->name = node.name;
  copy->matchers = node.matchers;
  copy->time = CloneTime(node.time);
  copy->anchored = node.anchored;
  copy->smoothed = node.smoothed;
  return copy;
}

ExprPtr CloneNode(const MatrixSelector& node) {
  auto copy = std::make_unique<MatrixSelector>();
  copy->selector = CloneAs(node.selector);
  copy->range_ms = node.range_ms;
  copy->range_expr = CloneAs(node.range_expr);
  return copy;
}

ExprPtr CloneNode(const Subquery& node) {
  auto copy = std::make_unique<Subquery>();
  copy->expr = CloneAs(node.expr);
  copy->range_ms = node.range_ms;
  copy->range_expr = CloneAs(node.range_expr);
  copy->step_ms = node.step_ms;
  copy->step_expr = CloneAs(node.step_expr);
  copy->time = CloneTime(node.time);
  return copy;
}

ExprPtr CloneNode(const Call& node) {
  auto copy = std::make_unique<Call>();
  copy->function = node.function;
  for (const ExprPtr& arg : node.args) copy->args.push_back(CloneAs(arg));
  return copy;
}

ExprPtr CloneNode(const Aggregate& node) {
  auto copy = std::make_unique<Aggregate>();
  copy->op = node.op;
  copy->expr = CloneAs(node.expr);
  copy->param = CloneAs(node.param);
  copy->grouping = node.grouping;
  copy->without = node.without;
  return copy;
}

ExprPtr CloneNode(const Binary& node) {
  auto copy = std::make_unique<Binary>();
  copy->op = node.op;
  copy->lhs = CloneAs(node.lhs);
  copy->rhs = CloneAs(node.rhs);
  copy->return_bool = node.return_bool;
  copy->matching = node.matching;
  return copy;
}

ExprPtr CloneNode(const Unary& node) {
  auto copy = std::make_unique<Unary>();
  copy->negate = node.negate;
  copy->expr = CloneAs(node.expr);
  return copy;
}

ExprPtr CloneNode(const Paren& node) {
  auto copy = std::make_unique<Paren>();
  copy->expr = CloneAs(node.expr);
  return copy;
}

// Calls f with the node as its own type.
template <typename F>
auto Dispatch(const Expr& expr, const F& f) {
  switch (expr.kind) {
    case NodeKind::kNumberLiteral:
      return f(*As<NumberLiteral>(expr));
    case NodeKind::kStringLiteral:
      return f(*As<StringLiteral>(expr));
    case NodeKind::kVectorSelector:
      return f(*As<VectorSelector>(expr));
    case NodeKind::kMatrixSelector:
      return f(*As<MatrixSelector>(expr));
    case NodeKind::kSubquery:
      return f(*As<Subquery>(expr));
    case NodeKind::kCall:
      return f(*As<Call>(expr));
    case NodeKind::kAggregate:
      return f(*As<Aggregate>(expr));
    case NodeKind::kBinary:
      return f(*As<Binary>(expr));
    case NodeKind::kUnary:
      return f(*As<Unary>(expr));
    case NodeKind::kParen:
      return f(*As<Paren>(expr));
    case NodeKind::kDuration:
      break;
  }
  return f(*As<DurationExpr>(expr));
}

}  // namespace

void Discard(ExprPtr expr) {
  // What is low ends by plain recursion.
  static constexpr int32_t kLowHeight = 100;
  if (expr == nullptr || expr->height <= kLowHeight) return;
  thread_local std::vector<ExprPtr>* waiting = nullptr;
  if (waiting != nullptr) {
    waiting->push_back(std::move(expr));
    return;
  }
  std::vector<ExprPtr> list;
  waiting = &list;
  list.push_back(std::move(expr));
  while (!list.empty()) {
    const ExprPtr next = std::move(list.back());
    list.pop_back();  // `next` dies with this turn and hands its children to the list
  }
  waiting = nullptr;
}

ValueType TypeOf(const Expr& outer) {
  const Expr* node = &outer;
  while (true) {  // what has its operand's type
    if (node->type != ValueType::kNone) return node->type;
    if (const auto* unary = As<Unary>(*node)) {
      node = unary->expr.get();
    } else if (const auto* paren = As<Paren>(*node)) {
      node = paren->expr.get();
    } else {
      break;
    }
  }
  const Expr& expr = *node;
  switch (expr.kind) {
    case NodeKind::kNumberLiteral:
    case NodeKind::kDuration:
      return ValueType::kScalar;
    case NodeKind::kStringLiteral:
      return ValueType::kString;
    case NodeKind::kVectorSelector:
    case NodeKind::kAggregate:
      return ValueType::kVector;
    case NodeKind::kMatrixSelector:
    case NodeKind::kSubquery:
      return ValueType::kMatrix;
    case NodeKind::kCall: {
      const auto* function = As<Call>(expr)->function;
      return function == nullptr ? ValueType::kNone : function->return_type;
    }
    case NodeKind::kBinary: {
      const auto* binary = As<Binary>(expr);
      return TypeOf(*binary->lhs) == ValueType::kScalar &&
                     TypeOf(*binary->rhs) == ValueType::kScalar
                 ? ValueType::kScalar
                 : ValueType::kVector;
    }
    case NodeKind::kUnary:
    case NodeKind::kParen:
      break;
  }
  return ValueType::kNone;
}

std::string_view AggregateOpName(AggregateOp op) {
  static constexpr std::string_view kNames[] = {
      "sum",    "avg",  "count",   "min",          "max",      "group",  "stddev",
      "stdvar", "topk", "bottomk", "count_values", "quantile", "limitk", "limit_ratio"};
  return kNames[static_cast<size_t>(op)];
}

bool TakesParameter(AggregateOp op) { return op >= AggregateOp::kTopk; }

std::string_view BinaryOpName(BinaryOp op) {
  static constexpr std::string_view kNames[] = {"+",     "-",  "*",  "/",   "%",  "^",
                                                "atan2", "</", ">/", "==",  "!=", "<",
                                                "<=",    ">",  ">=", "and", "or", "unless"};
  return kNames[static_cast<size_t>(op)];
}

bool IsComparison(BinaryOp op) { return op >= BinaryOp::kEqual && op <= BinaryOp::kGreaterEqual; }

bool IsSetOperator(BinaryOp op) { return op >= BinaryOp::kAnd; }

std::string_view MatchCardinalityName(MatchCardinality card) {
  static constexpr std::string_view kNames[] = {"one-to-one", "many-to-one", "one-to-many",
                                                "many-to-many"};
  return kNames[static_cast<size_t>(card)];
}

const Expr& Unparen(const Expr& expr) {
  const Expr* inner = &expr;
  while (const auto* paren = As<Paren>(*inner)) inner = paren->expr.get();
  return *inner;
}

std::vector<const Expr*> Children(const Expr& expr) {
  std::vector<const Expr*> children;
  const auto add = [&children](const Expr* child) {
    if (child != nullptr) children.push_back(child);
  };
  if (const auto* matrix = As<MatrixSelector>(expr)) {
    add(matrix->selector.get());
  } else if (const auto* subquery = As<Subquery>(expr)) {
    add(subquery->expr.get());
  } else if (const auto* call = As<Call>(expr)) {
    for (const ExprPtr& arg : call->args) add(arg.get());
  } else if (const auto* aggregate = As<Aggregate>(expr)) {
    add(aggregate->expr.get());
    add(aggregate->param.get());
  } else if (const auto* binary = As<Binary>(expr)) {
    add(binary->lhs.get());
    add(binary->rhs.get());
  } else if (const auto* unary = As<Unary>(expr)) {
    add(unary->expr.get());
  } else if (const auto* paren = As<Paren>(expr)) {
    add(paren->expr.get());
  }
  return children;
}

ExprPtr Clone(const Expr& expr) {
  ExprPtr copy = Dispatch(expr, [](const auto& node) { return CloneNode(node); });
  copy->position = expr.position;
  copy->height = expr.height;
  copy->type = expr.type;
  return copy;
}

std::string PositionText(std::string_view text, PositionRange position) {
  if (text.empty()) return "unknown position";
  if (position.start < 0 || static_cast<size_t>(position.start) > text.size()) {
    return "invalid position";
  }
  const std::string_view before = text.substr(0, static_cast<size_t>(position.start));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t newline = before.rfind('\n');
  const size_t column =
      newline == std::string_view::npos ? before.size() : before.size() - newline - 1;
  return std::to_string(line) + ":" + std::to_string(column + 1);
}

}  // namespace tocsin::query
