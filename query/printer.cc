#include "query/printer.h"

#include <algorithm>
#include <cstdio>

#include "base/duration.h"
#include "base/number.h"
#include "model/labels.h"
#include "query/function_signatures.h"
#include "query/literals.h"

namespace tocsin::query {
namespace {

constexpr size_t kMaxLineLength = 100;

void AppendLabels(const std::vector<std::string>& labels, std::string* out) {
  const char* separator = "";
  for (const std::string& label : labels) {
    *out += separator;
    *out += model::IsLegacyLabelName(label) ? label : model::QuoteString(label);
    separator = ", ";
  }
}

std::string_view DurationOperator(DurationOp op) {
  static constexpr std::string_view kNames[] = {"+",      "-",      "*",    "/",     "%", "^",
                                                "min_of", "max_of", "step", "range", "+"};
  return kNames[static_cast<size_t>(op)];
}

void Append(const Expr& expr, std::string* out);

void AppendDuration(const DurationExpr& duration, std::string* out) {
  if (duration.wrapped) *out += '(';
  switch (duration.op) {
    case DurationOp::kStep:
    case DurationOp::kRange:
      *out += DurationOperator(duration.op);
      *out += "()";
      break;
    case DurationOp::kMinOf:
    case DurationOp::kMaxOf:
      *out += DurationOperator(duration.op);
      *out += '(';
      Append(*duration.lhs, out);
      *out += ", ";
      Append(*duration.rhs, out);
      *out += ')';
      break;
    default:
      if (duration.lhs != nullptr) {
        Append(*duration.lhs, out);
        *out += ' ';
        *out += DurationOperator(duration.op);
        *out += ' ';
      } else if (duration.op == DurationOp::kSub) {
        *out += '-';
      }
      Append(*duration.rhs, out);
      break;
  }
  if (duration.wrapped) *out += ')';
}

void AppendDuration(int64_t ms, const DurationExpr* expr, std::string* out) {
  if (expr != nullptr) {
    AppendDuration(*expr, out);
  } else {
    *out += FormatDuration(ms);
  }
}

void AppendAt(const TimeModifiers& time, std::string* out) {
  if (time.at_ms) {
    char text[64];
    std::snprintf(text, sizeof text, " @ %.3f", static_cast<double>(*time.at_ms) / 1000);
    *out += text;
  } else if (time.at_boundary == AtBoundary::kStart) {
    *out += " @ start()";
  } else if (time.at_boundary == AtBoundary::kEnd) {
    *out += " @ end()";
  }
}

void AppendOffset(const TimeModifiers& time, std::string* out) {
  if (time.offset_expr == nullptr && time.offset_ms == 0) return;
  *out += " offset ";
  AppendDuration(time.offset_ms, time.offset_expr.get(), out);
}

void AppendExtendedRange(const VectorSelector& selector, std::string* out) {
  if (selector.anchored) *out += " anchored";
  if (selector.smoothed) *out += " smoothed";
}

void AppendMatchers(const VectorSelector& selector, std::string* out) {
  std::vector<std::string> texts;
  for (const model::Matcher& matcher : selector.matchers) {
    const bool is_name = matcher.name() == model::kMetricName &&
                         matcher.type() == model::MatchType::kEqual &&
                         matcher.value() == selector.name && !matcher.value().empty();
    if (!is_name) texts.push_back(matcher.ToString());
  }
  *out += selector.name;
  // {} alone is what remains of info()'s second argument.
  if (texts.empty() && !selector.name.empty()) return;
  std::sort(texts.begin(), texts.end());
  *out += '{';
  const char* separator = "";
  for (const std::string& text : texts) {
    *out += separator;
    *out += text;
    separator = ",";
  }
  *out += '}';
}

// [5m:1m] @ 3.000 offset 1m
void AppendSubquerySuffix(const Subquery& subquery, std::string* out) {
  *out += '[';
  AppendDuration(subquery.range_ms, subquery.range_expr.get(), out);
  *out += ':';
  if (subquery.step_expr != nullptr || subquery.step_ms != 0) {
    AppendDuration(subquery.step_ms, subquery.step_expr.get(), out);
  }
  *out += ']';
  AppendAt(subquery.time, out);
  AppendOffset(subquery.time, out);
}

void AppendMatrix(const MatrixSelector& matrix, std::string* out) {
  AppendMatchers(*matrix.selector, out);
  *out += '[';
  AppendDuration(matrix.range_ms, matrix.range_expr.get(), out);
  *out += ']';
  AppendExtendedRange(*matrix.selector, out);
  AppendAt(matrix.selector->time, out);
  AppendOffset(matrix.selector->time, out);
}

void AppendSelector(const VectorSelector& selector, std::string* out) {
  AppendMatchers(selector, out);
  AppendAt(selector.time, out);
  AppendExtendedRange(selector, out);
  AppendOffset(selector.time, out);
}

// sum by (job) ; what stands before the arguments
void AppendAggregateHead(const Aggregate& aggregate, std::string* out) {
  *out += AggregateOpName(aggregate.op);
  if (aggregate.grouping.empty() && !aggregate.without) return;
  *out += aggregate.without ? " without (" : " by (";
  AppendLabels(aggregate.grouping, out);
  *out += ") ";
}

void AppendMatching(const VectorMatching& matching, std::string* out) {
  const bool many_to_one = matching.card == MatchCardinality::kManyToOne;
  const bool grouped = many_to_one || matching.card == MatchCardinality::kOneToMany;
  if (!matching.labels.empty() || matching.on || grouped) {
    *out += matching.on ? " on (" : " ignoring (";
    AppendLabels(matching.labels, out);
    *out += ')';
  }
  if (grouped) {
    *out += many_to_one ? " group_left (" : " group_right (";
    AppendLabels(matching.include, out);
    *out += ')';
  }
  const auto fill = [out](const char* name, double value) {
    *out += std::string(" ") + name + " (" + FormatFloatGo(value) + ")";
  };
  const std::string lhs = matching.fill_lhs ? FormatFloatGo(*matching.fill_lhs) : "";
  const std::string rhs = matching.fill_rhs ? FormatFloatGo(*matching.fill_rhs) : "";
  if (!lhs.empty() && lhs == rhs) {
    fill("fill", *matching.fill_lhs);
  } else {
    if (!lhs.empty()) fill("fill_left", *matching.fill_lhs);
    if (!rhs.empty()) fill("fill_right", *matching.fill_rhs);
  }
}

// +, == bool, * on (a) group_left (b)
void AppendOperator(const Binary& binary, std::string* out) {
  *out += BinaryOpName(binary.op);
  if (binary.return_bool) *out += " bool";
  if (binary.matching) AppendMatching(*binary.matching, out);
}

std::string NumberText(const NumberLiteral& literal) {
  if (!literal.is_duration) return FormatFloatDecimal(literal.value);
  return FormatDuration(
      static_cast<int64_t>(literal.value * 1000 + (literal.value < 0 ? -0.5 : 0.5)));
}

void Append(const Expr& expr, std::string* out) {
  switch (expr.kind) {
    case NodeKind::kNumberLiteral:
      *out += NumberText(*As<NumberLiteral>(expr));
      break;
    case NodeKind::kStringLiteral:
      *out += model::QuoteString(As<StringLiteral>(expr)->value);
      break;
    case NodeKind::kVectorSelector:
      AppendSelector(*As<VectorSelector>(expr), out);
      break;
    case NodeKind::kMatrixSelector:
      AppendMatrix(*As<MatrixSelector>(expr), out);
      break;
    case NodeKind::kSubquery:
      Append(*As<Subquery>(expr)->expr, out);
      AppendSubquerySuffix(*As<Subquery>(expr), out);
      break;
    case NodeKind::kCall: {
      const auto& call = *As<Call>(expr);
      *out += call.function->name;
      *out += '(';
      const char* separator = "";
      for (const ExprPtr& arg : call.args) {
        *out += separator;
        Append(*arg, out);
        separator = ", ";
      }
      *out += ')';
      break;
    }
    case NodeKind::kAggregate: {
      const auto& aggregate = *As<Aggregate>(expr);
      AppendAggregateHead(aggregate, out);
      *out += '(';
      if (aggregate.param != nullptr) {
        Append(*aggregate.param, out);
        *out += ", ";
      }
      Append(*aggregate.expr, out);
      *out += ')';
      break;
    }
    case NodeKind::kBinary: {
      const auto& binary = *As<Binary>(expr);
      const size_t start = out->size();
      Append(*binary.lhs, out);
      // ^ binds tighter than the sign in +Inf.
      if (binary.op == BinaryOp::kPow && binary.lhs->kind == NodeKind::kNumberLiteral &&
          (*out)[start] == '+') {
        out->erase(start, 1);
      }
      *out += ' ';
      AppendOperator(binary, out);
      *out += ' ';
      Append(*binary.rhs, out);
      break;
    }
    case NodeKind::kUnary:
      *out += As<Unary>(expr)->negate ? '-' : '+';
      Append(*As<Unary>(expr)->expr, out);
      break;
    case NodeKind::kParen:
      *out += '(';
      Append(*As<Paren>(expr)->expr, out);
      *out += ')';
      break;
    case NodeKind::kDuration:
      AppendDuration(*As<DurationExpr>(expr), out);
      break;
  }
}

std::string Indent(int level) { return std::string(static_cast<size_t>(level) * 2, ' '); }

std::string PrettyText(const Expr& expr, int level);

std::string PrettyCall(const Call& call, int level) {
  std::string text = Indent(level) + std::string(call.function->name) + "(\n";
  const char* separator = "";
  for (const ExprPtr& arg : call.args) {
    text += separator + PrettyText(*arg, level + 1);
    separator = ",\n";
  }
  return text + "\n" + Indent(level) + ")";
}

std::string PrettyAggregate(const Aggregate& aggregate, int level) {
  std::string text = Indent(level);
  AppendAggregateHead(aggregate, &text);
  text += "(\n";
  if (aggregate.param != nullptr) text += PrettyText(*aggregate.param, level + 1) + ",\n";
  return text + PrettyText(*aggregate.expr, level + 1) + "\n" + Indent(level) + ")";
}

std::string PrettyBinary(const Binary& binary, int level) {
  std::string text = PrettyText(*binary.lhs, level + 1) + "\n" + Indent(level);
  AppendOperator(binary, &text);
  return text + "\n" + PrettyText(*binary.rhs, level + 1);
}

std::string PrettyUnary(const Unary& unary, int level) {
  const std::string operand = PrettyText(*unary.expr, level);
  const size_t first = operand.find_first_not_of(" \n");
  return Indent(level) + (unary.negate ? '-' : '+') + operand.substr(first);
}

// `level` is the depth when a line was broken before this node, else 0. A node that fits on a line
// stays as it is.
std::string PrettyText(const Expr& expr, int level) {
  std::string plain = Print(expr);
  const bool fits = plain.size() <= kMaxLineLength;
  switch (expr.kind) {
    case NodeKind::kCall:
      if (!fits) return PrettyCall(*As<Call>(expr), level);
      break;
    case NodeKind::kAggregate:
      if (!fits) return PrettyAggregate(*As<Aggregate>(expr), level);
      break;
    case NodeKind::kBinary:
      if (!fits) return PrettyBinary(*As<Binary>(expr), level);
      break;
    case NodeKind::kParen:
      if (!fits) {
        return Indent(level) + "(\n" + PrettyText(*As<Paren>(expr)->expr, level + 1) + "\n" +
               Indent(level) + ")";
      }
      break;
    case NodeKind::kSubquery:
      if (fits) return plain;  // without indentation, as the reference prints it
      plain = PrettyText(*As<Subquery>(expr)->expr, level);
      AppendSubquerySuffix(*As<Subquery>(expr), &plain);
      return plain;
    case NodeKind::kUnary:
      return PrettyUnary(*As<Unary>(expr), level);
    default:
      break;
  }
  return Indent(level) + plain;
}

}  // namespace

std::string Print(const Expr& expr) {
  std::string text;
  Append(expr, &text);
  return text;
}

std::string Prettify(const Expr& expr) { return PrettyText(expr, 0); }

std::string PrintMatchers(const VectorSelector& selector) {
  std::string text;
  AppendMatchers(selector, &text);
  return text;
}

}  // namespace tocsin::query
