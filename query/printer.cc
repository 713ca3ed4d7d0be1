#include "query/printer.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <unordered_map>
#include <utility>

#include "base/duration.h"
#include "base/number.h"
#include "model/labels.h"
#include "query/deep_stack.h"
#include "query/function_signatures.h"
#include "query/literals.h"

namespace tocsin::query {
namespace {

constexpr size_t kMaxLineLength = 100;
// Deeper levels are not indented further, so that the text stays in proportion to the tree.
constexpr int kIndentedLevels = 250;
constexpr std::string_view kTooDeepToPrint = "(nested too deeply to be printed now)";

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

// Where each node's text stands in the text of the whole expression.
using NodeTexts = std::unordered_map<const Expr*, std::pair<size_t, size_t>>;

// `nodes` may be null.
void Append(const Expr& expr, std::string* out, NodeTexts* nodes);

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
      Append(*duration.lhs, out, nullptr);
      *out += ", ";
      Append(*duration.rhs, out, nullptr);
      *out += ')';
      break;
    default:
      if (duration.lhs != nullptr) {
        Append(*duration.lhs, out, nullptr);
        *out += ' ';
        *out += DurationOperator(duration.op);
        *out += ' ';
      } else if (duration.op == DurationOp::kSub) {
        *out += '-';
      }
      Append(*duration.rhs, out, nullptr);
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

void AppendNode(const Expr& expr, std::string* out, NodeTexts* nodes) {
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
      Append(*As<Subquery>(expr)->expr, out, nodes);
      AppendSubquerySuffix(*As<Subquery>(expr), out);
      break;
    case NodeKind::kCall: {
      const auto& call = *As<Call>(expr);
      *out += call.function->name;
      *out += '(';
      const char* separator = "";
      for (const ExprPtr& arg : call.args) {
        *out += separator;
        Append(*arg, out, nodes);
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
        Append(*aggregate.param, out, nodes);
        *out += ", ";
      }
      Append(*aggregate.expr, out, nodes);
      *out += ')';
      break;
    }
    case NodeKind::kBinary: {
      const auto& binary = *As<Binary>(expr);
      const auto* base = As<NumberLiteral>(*binary.lhs);
      if (binary.op == BinaryOp::kPow && base != nullptr && std::isinf(base->value)) {
        *out += "Inf";  // ^ binds tighter than the sign in +Inf
      } else {
        Append(*binary.lhs, out, nodes);
      }
      *out += ' ';
      AppendOperator(binary, out);
      *out += ' ';
      Append(*binary.rhs, out, nodes);
      break;
    }
    case NodeKind::kUnary:
      *out += As<Unary>(expr)->negate ? '-' : '+';
      Append(*As<Unary>(expr)->expr, out, nodes);
      break;
    case NodeKind::kParen:
      *out += '(';
      Append(*As<Paren>(expr)->expr, out, nodes);
      *out += ')';
      break;
    case NodeKind::kDuration:
      AppendDuration(*As<DurationExpr>(expr), out);
      break;
  }
}

void Append(const Expr& expr, std::string* out, NodeTexts* nodes) {
  const size_t start = out->size();
  AppendNode(expr, out, nodes);
  if (nodes != nullptr) (*nodes)[&expr] = {start, out->size()};
}

// Breaks lines. `level` is the depth when a line was broken before the node, else 0. A node that
// fits on a line stays as it is.
class Prettifier {
 public:
  explicit Prettifier(const Expr& expr) { Append(expr, &text_, &nodes_); }

  void Write(const Expr& expr, int level);
  std::string Take() { return std::move(out_); }

 private:
  std::string_view Plain(const Expr& expr) const {
    const auto it = nodes_.find(&expr);
    // Only the base of a power is not recorded, and it is never asked for: it fits.
    if (it == nodes_.end()) return "Inf";
    return std::string_view(text_).substr(it->second.first, it->second.second - it->second.first);
  }
  void Indent(int level) {
    out_.append(static_cast<size_t>(std::min(level, kIndentedLevels)) * 2, ' ');
  }
  void WriteCall(const Call& call, int level);
  void WriteAggregate(const Aggregate& aggregate, int level);
  void WriteBinary(const Binary& binary, int level);
  void WriteParen(const Paren& paren, int level);
  void WriteUnary(const Unary& unary, int level);

  std::string text_;  // of the whole expression on one line
  NodeTexts nodes_;
  std::string out_;
};

void Prettifier::WriteCall(const Call& call, int level) {
  Indent(level);
  out_ += call.function->name;
  const char* separator = "(\n";
  for (const ExprPtr& arg : call.args) {
    out_ += separator;
    Write(*arg, level + 1);
    separator = ",\n";
  }
  out_ += '\n';
  Indent(level);
  out_ += ')';
}

void Prettifier::WriteAggregate(const Aggregate& aggregate, int level) {
  Indent(level);
  AppendAggregateHead(aggregate, &out_);
  out_ += "(\n";
  if (aggregate.param != nullptr) {
    Write(*aggregate.param, level + 1);
    out_ += ",\n";
  }
  Write(*aggregate.expr, level + 1);
  out_ += '\n';
  Indent(level);
  out_ += ')';
}

void Prettifier::WriteBinary(const Binary& binary, int level) {
  Write(*binary.lhs, level + 1);
  out_ += '\n';
  Indent(level);
  AppendOperator(binary, &out_);
  out_ += '\n';
  Write(*binary.rhs, level + 1);
}

void Prettifier::WriteParen(const Paren& paren, int level) {
  Indent(level);
  out_ += "(\n";
  Write(*paren.expr, level + 1);
  out_ += '\n';
  Indent(level);
  out_ += ')';
}

// The operand's own indentation would stand between it and the sign.
void Prettifier::WriteUnary(const Unary& unary, int level) {
  Indent(level);
  out_ += unary.negate ? '-' : '+';
  const size_t start = out_.size();
  Write(*unary.expr, level);
  out_.erase(start, out_.find_first_not_of(' ', start) - start);
}

void Prettifier::Write(const Expr& expr, int level) {
  const std::string_view plain = Plain(expr);
  const bool fits = plain.size() <= kMaxLineLength;
  if (const auto* unary = As<Unary>(expr)) return WriteUnary(*unary, level);
  if (const auto* subquery = As<Subquery>(expr)) {
    if (!fits) {
      Write(*subquery->expr, level);
      return AppendSubquerySuffix(*subquery, &out_);
    }
    out_ += plain;  // without indentation, as the reference prints it
    return;
  }
  if (!fits) {
    if (const auto* call = As<Call>(expr)) return WriteCall(*call, level);
    if (const auto* aggregate = As<Aggregate>(expr)) return WriteAggregate(*aggregate, level);
    if (const auto* binary = As<Binary>(expr)) return WriteBinary(*binary, level);
    if (const auto* paren = As<Paren>(expr)) return WriteParen(*paren, level);
  }
  Indent(level);
  out_ += plain;
}

}  // namespace

std::string Print(const Expr& expr) {
  std::string text;
  const Status walked = WithStackFor(expr.height, [&] { Append(expr, &text, nullptr); });
  return walked.ok() ? text : std::string(kTooDeepToPrint);
}

std::string Prettify(const Expr& expr) {
  std::string text;
  const Status walked = WithStackFor(expr.height, [&] {
    Prettifier prettifier(expr);
    prettifier.Write(expr, 0);
    text = prettifier.Take();
  });
  return walked.ok() ? text : std::string(kTooDeepToPrint);
}

std::string PrintMatchers(const VectorSelector& selector) {
  std::string text;
  AppendMatchers(selector, &text);
  return text;
}

}  // namespace tocsin::query
