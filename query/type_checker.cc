#include "query/type_checker.h"

#include <string>

#include "model/labels.h"
#include "query/function_signatures.h"
#include "query/parser.h"

namespace tocsin::query {
namespace {

std::string Text(ValueType type) { return std::string(ValueTypeText(type)); }

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Checks in the order of the reference, and stops at the first error. Every Check… returns the type
// of what it checked; kNone after an error.
class TypeChecker {
 public:
  explicit TypeChecker(std::string_view text) : text_(text) {}

  ValueType Check(Expr& expr);
  Status status() const { return status_; }

 private:
  bool failed() const { return !status_.ok(); }
  ValueType Fail(PositionRange position, std::string_view message) {
    if (!failed()) status_ = ParseErrorAt(text_, position, message);
    return ValueType::kNone;
  }
  void Expect(Expr& expr, ValueType want, std::string_view context);

  ValueType CheckSelector(const VectorSelector& selector, bool may_match_empty);
  ValueType CheckCall(Call& call);
  void CheckArgumentCount(const Call& call);
  void CheckInfoArgument(const Call& call);
  ValueType CheckAggregate(Aggregate& aggregate);
  ValueType CheckBinary(Binary& binary);
  void CheckMatching(Binary& binary, ValueType lhs, ValueType rhs);
  PositionRange OperatorPosition(const Binary& binary) const;

  std::string_view text_;
  Status status_;
};

void TypeChecker::Expect(Expr& expr, ValueType want, std::string_view context) {
  const ValueType got = Check(expr);
  if (failed() || got == want) return;
  Fail(expr.position,
       "expected type " + Text(want) + " in " + std::string(context) + ", got " + Text(got));
}

ValueType TypeChecker::Check(Expr& expr) {
  if (failed()) return ValueType::kNone;
  switch (expr.kind) {
    case NodeKind::kNumberLiteral:
    case NodeKind::kDuration:
      return ValueType::kScalar;
    case NodeKind::kStringLiteral:
      return ValueType::kString;
    case NodeKind::kVectorSelector:
      return CheckSelector(*As<VectorSelector>(expr), false);
    case NodeKind::kMatrixSelector:
      CheckSelector(*As<MatrixSelector>(expr)->selector, false);
      return ValueType::kMatrix;
    case NodeKind::kSubquery: {
      const ValueType inner = Check(*As<Subquery>(expr)->expr);
      if (!failed() && inner != ValueType::kVector) {
        return Fail(expr.position, "subquery is only allowed on instant vector, got " +
                                       std::string(ValueTypeName(inner)) + " instead");
      }
      return ValueType::kMatrix;
    }
    case NodeKind::kCall:
      return CheckCall(*As<Call>(expr));
    case NodeKind::kAggregate:
      return CheckAggregate(*As<Aggregate>(expr));
    case NodeKind::kBinary:
      return CheckBinary(*As<Binary>(expr));
    case NodeKind::kUnary: {
      const ValueType inner = Check(*As<Unary>(expr)->expr);
      if (!failed() && inner != ValueType::kScalar && inner != ValueType::kVector) {
        return Fail(expr.position,
                    "unary expression only allowed on expressions of type scalar or instant "
                    "vector, got " +
                        model::QuoteString(ValueTypeText(inner)));
      }
      return expr.type = inner;
    }
    case NodeKind::kParen:
      return expr.type = Check(*As<Paren>(expr)->expr);
  }
  return ValueType::kNone;
}

ValueType TypeChecker::CheckSelector(const VectorSelector& selector, bool may_match_empty) {
  if (!selector.name.empty()) {
    // The name's own matcher is the last one.
    for (size_t i = 0; i + 1 < selector.matchers.size(); ++i) {
      const model::Matcher& matcher = selector.matchers[i];
      if (matcher.name() != model::kMetricName) continue;
      return Fail(selector.position,
                  "metric name must not be set twice: " + model::QuoteString(selector.name) +
                      " or " + model::QuoteString(matcher.value()));
    }
    return ValueType::kVector;
  }
  bool selective = may_match_empty;
  for (const model::Matcher& matcher : selector.matchers) {
    selective = selective || !matcher.MatchesEmpty();
  }
  // Without such a matcher a typing error would select everything.
  if (!selective) {
    return Fail(selector.position, "vector selector must contain at least one non-empty matcher");
  }
  return ValueType::kVector;
}

void TypeChecker::CheckArgumentCount(const Call& call) {
  const FunctionSignature& function = *call.function;
  const size_t listed = function.arg_type_count;
  const size_t given = call.args.size();
  const std::string tail = " argument(s) in call to " + model::QuoteString(function.name) +
                           ", got " + std::to_string(given);
  if (function.variadic == 0) {
    if (given != listed) Fail(call.position, "expected " + std::to_string(listed) + tail);
    return;
  }
  const size_t least = listed - 1;
  if (given < least) {
    Fail(call.position, "expected at least " + std::to_string(least) + tail);
  } else if (function.variadic > 0) {
    const size_t most = least + static_cast<size_t>(function.variadic);
    if (given > most) Fail(call.position, "expected at most " + std::to_string(most) + tail);
  }
}

// The second argument of info() is written like a selector without a name, and names the labels to
// add.
void TypeChecker::CheckInfoArgument(const Call& call) {
  const Expr& labels = *call.args[1];
  const ValueType type = TypeOf(labels);
  if (type != ValueType::kVector) {
    Fail(call.position, "expected type " + Text(ValueType::kVector) +
                            " in call to function \"info\", got " + Text(type));
    return;
  }
  const auto* selector = As<VectorSelector>(labels);
  if (selector == nullptr) {
    Fail(labels.position, "expected label selectors only");
  } else if (!selector->name.empty()) {
    Fail(labels.position, "expected label selectors only, got vector selector instead");
  }
}

ValueType TypeChecker::CheckCall(Call& call) {
  const FunctionSignature& function = *call.function;
  CheckArgumentCount(call);
  const bool is_info = function.name == "info" && call.args.size() > 1;
  if (!failed() && is_info) CheckInfoArgument(call);
  for (size_t i = 0; i < call.args.size() && !failed(); ++i) {
    Expr& arg = *call.args[i];
    const size_t listed = std::min<size_t>(i, function.arg_type_count - 1U);
    const ValueType want = function.arg_types_array[listed];
    const ValueType got =
        is_info && i == 1 ? CheckSelector(*As<VectorSelector>(arg), true) : Check(arg);
    if (!failed() && got != want) {
      Fail(arg.position, "expected type " + Text(want) + " in call to function " +
                             model::QuoteString(function.name) + ", got " + Text(got));
    }
  }
  return failed() ? ValueType::kNone : function.return_type;
}

ValueType TypeChecker::CheckAggregate(Aggregate& aggregate) {
  Expect(*aggregate.expr, ValueType::kVector, "aggregation expression");
  if (!failed() && aggregate.param != nullptr) {
    const bool wants_string = aggregate.op == AggregateOp::kCountValues;
    Expect(*aggregate.param, wants_string ? ValueType::kString : ValueType::kScalar,
           "aggregation parameter");
  }
  return ValueType::kVector;
}

// What stands between the operands, without the white space around it.
PositionRange TypeChecker::OperatorPosition(const Binary& binary) const {
  PositionRange position{binary.lhs->position.end, binary.rhs->position.start};
  const auto at = [this](int32_t i) { return text_[static_cast<size_t>(i)]; };
  while (position.start < position.end && IsSpace(at(position.start))) ++position.start;
  while (position.end > position.start && IsSpace(at(position.end - 1))) --position.end;
  return position;
}

ValueType TypeChecker::CheckBinary(Binary& binary) {
  const ValueType lhs = Check(*binary.lhs);
  const ValueType rhs = Check(*binary.rhs);
  if (failed()) return ValueType::kNone;
  const bool scalars = lhs == ValueType::kScalar && rhs == ValueType::kScalar;
  if (binary.return_bool && !IsComparison(binary.op)) {
    return Fail(OperatorPosition(binary), "bool modifier can only be used on comparison operators");
  }
  if (IsComparison(binary.op) && !binary.return_bool && scalars) {
    return Fail(OperatorPosition(binary), "comparisons between scalars must use BOOL modifier");
  }
  VectorMatching& matching = *binary.matching;
  if (IsSetOperator(binary.op) && matching.card == MatchCardinality::kOneToOne) {
    matching.card = MatchCardinality::kManyToMany;
  }
  for (const std::string& label : matching.labels) {
    for (const std::string& included : matching.include) {
      if (label != included || !matching.on) continue;
      return Fail(OperatorPosition(binary), "label " + model::QuoteString(label) +
                                                " must not occur in ON and GROUP clause at once");
    }
  }
  static constexpr std::string_view kOperands =
      "binary expression must contain only scalar and instant vector types";
  const auto is_operand = [](ValueType type) {
    return type == ValueType::kScalar || type == ValueType::kVector;
  };
  if (!is_operand(lhs)) return Fail(binary.lhs->position, kOperands);
  if (!is_operand(rhs)) return Fail(binary.rhs->position, kOperands);
  CheckMatching(binary, lhs, rhs);
  if (failed()) return ValueType::kNone;
  binary.type = scalars ? ValueType::kScalar : ValueType::kVector;
  return binary.type;
}

void TypeChecker::CheckMatching(Binary& binary, ValueType lhs, ValueType rhs) {
  const VectorMatching& matching = *binary.matching;
  const bool fills = matching.fill_lhs.has_value() || matching.fill_rhs.has_value();
  const std::string op = model::QuoteString(BinaryOpName(binary.op));
  if (lhs == ValueType::kVector && rhs == ValueType::kVector) {
    if (!IsSetOperator(binary.op)) return;
    if (matching.card != MatchCardinality::kManyToMany) {
      Fail(binary.position, "no grouping allowed for " + op + " operation");
    } else if (fills) {
      Fail(binary.position, "filling in missing series not allowed for set operators");
    }
    return;
  }
  if (!matching.labels.empty()) {
    Fail(binary.position, "vector matching only allowed between instant vectors");
  } else if (fills) {
    Fail(binary.position, "filling in missing series only allowed between instant vectors");
  } else if (IsSetOperator(binary.op)) {
    Fail(binary.position, "set operator " + op + " not allowed in binary scalar expression");
  }
  binary.matching.reset();
}

}  // namespace

Status CheckTypes(std::string_view text, Expr* expr) {
  TypeChecker checker(text);
  checker.Check(*expr);
  return checker.status();
}

}  // namespace tocsin::query
