#include "query/promql_json.h"

#include "base/json.h"
#include "base/number.h"
#include "query/function_signatures.h"

namespace tocsin::query {
namespace {

std::string_view DurationOpName(const DurationExpr& duration) {
  static constexpr std::string_view kNames[] = {"+",      "-",      "*",    "/",     "%", "^",
                                                "min_of", "max_of", "step", "range", "+"};
  return kNames[static_cast<size_t>(duration.op)];
}

// Writes one tree through one writer.
class ExprWriter {
 public:
  explicit ExprWriter(std::string* out) : json_(*out) {}

  void Write(const Expr& expr);

 private:
  void WriteOptional(const Expr* expr);
  void WriteDuration(const Expr* expr);
  void WriteNames(const std::vector<std::string>& names);
  void WriteFill(const std::optional<double>& value);
  void WriteMatchers(const VectorSelector& selector);
  void WriteMatching(const Binary& binary);
  void WriteAggregate(const Aggregate& aggregate);
  void WriteBinary(const Binary& binary);
  void WriteCall(const Call& call);
  void WriteSelector(const VectorSelector& selector, const MatrixSelector* matrix);
  void WriteSubquery(const Subquery& subquery);
  void WriteOffset(const TimeModifiers& time);
  void WriteAt(const TimeModifiers& time);
  void WriteStartOrEnd(const TimeModifiers& time);

  JsonWriter json_;
};

void ExprWriter::WriteOptional(const Expr* expr) {
  if (expr == nullptr) {
    json_.Null();
  } else {
    Write(*expr);
  }
}

void ExprWriter::WriteNames(const std::vector<std::string>& names) {
  json_.BeginArray();
  for (const std::string& name : names) json_.String(name);
  json_.EndArray();
}

// Operands of a duration expression: a literal tells here whether it was written as a duration.
void ExprWriter::WriteDuration(const Expr* expr) {
  if (expr == nullptr) {
    json_.Null();
  } else if (const auto* literal = As<NumberLiteral>(*expr)) {
    json_.BeginObject();
    json_.Key("duration").Bool(literal->is_duration);
    json_.Key("type").String("numberLiteral");
    json_.Key("val").String(FormatFloatDecimal(literal->value));
    json_.EndObject();
  } else {
    const auto& duration = *As<DurationExpr>(*expr);
    json_.BeginObject();
    json_.Key("lhs");
    WriteDuration(duration.lhs.get());
    json_.Key("op").String(DurationOpName(duration));
    json_.Key("rhs");
    WriteDuration(duration.rhs.get());
    json_.Key("type").String("durationExpr");
    json_.Key("wrapped").Bool(duration.wrapped);
    json_.EndObject();
  }
}

void ExprWriter::WriteMatchers(const VectorSelector& selector) {
  json_.Key("matchers").BeginArray();
  for (const model::Matcher& matcher : selector.matchers) {
    json_.BeginObject();
    json_.Key("name").String(matcher.name());
    json_.Key("type").String(model::MatchTypeSymbol(matcher.type()));
    json_.Key("value").String(matcher.value());
    json_.EndObject();
  }
  json_.EndArray();
}

void ExprWriter::WriteOffset(const TimeModifiers& time) {
  json_.Key("offset").Int(time.offset_expr == nullptr ? time.offset_ms : 0);
  json_.Key("offsetExpr");
  WriteDuration(time.offset_expr.get());
}

void ExprWriter::WriteAt(const TimeModifiers& time) {
  json_.Key("timestamp");
  if (time.at_ms) {
    json_.Int(*time.at_ms);
  } else {
    json_.Null();
  }
}

void ExprWriter::WriteStartOrEnd(const TimeModifiers& time) {
  json_.Key("startOrEnd");
  if (time.at_boundary == AtBoundary::kNone) {
    json_.Null();
  } else {
    json_.String(time.at_boundary == AtBoundary::kStart ? "start" : "end");
  }
}

void ExprWriter::WriteSelector(const VectorSelector& selector, const MatrixSelector* matrix) {
  json_.BeginObject();
  json_.Key("anchored").Bool(selector.anchored);
  WriteMatchers(selector);
  json_.Key("name").String(selector.name);
  WriteOffset(selector.time);
  if (matrix != nullptr) {
    json_.Key("range").Int(matrix->range_expr == nullptr ? matrix->range_ms : 0);
    json_.Key("rangeExpr");
    WriteDuration(matrix->range_expr.get());
  }
  json_.Key("smoothed").Bool(selector.smoothed);
  WriteStartOrEnd(selector.time);
  WriteAt(selector.time);
  json_.Key("type").String(matrix != nullptr ? "matrixSelector" : "vectorSelector");
  json_.EndObject();
}

void ExprWriter::WriteSubquery(const Subquery& subquery) {
  json_.BeginObject();
  json_.Key("expr");
  Write(*subquery.expr);
  WriteOffset(subquery.time);
  json_.Key("range").Int(subquery.range_expr == nullptr ? subquery.range_ms : 0);
  json_.Key("rangeExpr");
  WriteDuration(subquery.range_expr.get());
  WriteStartOrEnd(subquery.time);
  json_.Key("step").Int(subquery.step_expr == nullptr ? subquery.step_ms : 0);
  json_.Key("stepExpr");
  WriteDuration(subquery.step_expr.get());
  WriteAt(subquery.time);
  json_.Key("type").String("subquery");
  json_.EndObject();
}

void ExprWriter::WriteCall(const Call& call) {
  json_.BeginObject();
  json_.Key("args").BeginArray();
  for (const ExprPtr& arg : call.args) Write(*arg);
  json_.EndArray();
  json_.Key("func").BeginObject();
  json_.Key("argTypes").BeginArray();
  for (const ValueType type : call.function->arg_types()) json_.String(ValueTypeName(type));
  json_.EndArray();
  json_.Key("name").String(call.function->name);
  json_.Key("returnType").String(ValueTypeName(call.function->return_type));
  json_.Key("variadic").Int(call.function->variadic);
  json_.EndObject();
  json_.Key("type").String("call");
  json_.EndObject();
}

void ExprWriter::WriteAggregate(const Aggregate& aggregate) {
  json_.BeginObject();
  json_.Key("expr");
  Write(*aggregate.expr);
  json_.Key("grouping");
  WriteNames(aggregate.grouping);
  json_.Key("op").String(AggregateOpName(aggregate.op));
  json_.Key("param");
  WriteOptional(aggregate.param.get());
  json_.Key("type").String("aggregation");
  json_.Key("without").Bool(aggregate.without);
  json_.EndObject();
}

void ExprWriter::WriteFill(const std::optional<double>& value) {
  if (value) {
    json_.Double(*value);
  } else {
    json_.Null();
  }
}

void ExprWriter::WriteMatching(const Binary& binary) {
  json_.Key("matching");
  if (!binary.matching) {
    json_.Null();
    return;
  }
  const VectorMatching& matching = *binary.matching;
  json_.BeginObject();
  json_.Key("card").String(MatchCardinalityName(matching.card));
  json_.Key("fillValues").BeginObject();
  json_.Key("lhs");
  WriteFill(matching.fill_lhs);
  json_.Key("rhs");
  WriteFill(matching.fill_rhs);
  json_.EndObject();
  json_.Key("include");
  WriteNames(matching.include);
  json_.Key("labels");
  WriteNames(matching.labels);
  json_.Key("on").Bool(matching.on);
  json_.EndObject();
}

void ExprWriter::WriteBinary(const Binary& binary) {
  json_.BeginObject();
  json_.Key("bool").Bool(binary.return_bool);
  json_.Key("lhs");
  Write(*binary.lhs);
  WriteMatching(binary);
  json_.Key("op").String(BinaryOpName(binary.op));
  json_.Key("rhs");
  Write(*binary.rhs);
  json_.Key("type").String("binaryExpr");
  json_.EndObject();
}

void ExprWriter::Write(const Expr& expr) {
  switch (expr.kind) {
    case NodeKind::kNumberLiteral:
      json_.BeginObject().Key("type").String("numberLiteral");
      json_.Key("val").String(FormatFloatDecimal(As<NumberLiteral>(expr)->value)).EndObject();
      break;
    case NodeKind::kStringLiteral:
      json_.BeginObject().Key("type").String("stringLiteral");
      json_.Key("val").String(As<StringLiteral>(expr)->value).EndObject();
      break;
    case NodeKind::kVectorSelector:
      WriteSelector(*As<VectorSelector>(expr), nullptr);
      break;
    case NodeKind::kMatrixSelector:
      WriteSelector(*As<MatrixSelector>(expr)->selector, As<MatrixSelector>(expr));
      break;
    case NodeKind::kSubquery:
      WriteSubquery(*As<Subquery>(expr));
      break;
    case NodeKind::kCall:
      WriteCall(*As<Call>(expr));
      break;
    case NodeKind::kAggregate:
      WriteAggregate(*As<Aggregate>(expr));
      break;
    case NodeKind::kBinary:
      WriteBinary(*As<Binary>(expr));
      break;
    case NodeKind::kUnary:
      json_.BeginObject().Key("expr");
      Write(*As<Unary>(expr)->expr);
      json_.Key("op").String(As<Unary>(expr)->negate ? "-" : "+");
      json_.Key("type").String("unaryExpr").EndObject();
      break;
    case NodeKind::kParen:
      json_.BeginObject().Key("expr");
      Write(*As<Paren>(expr)->expr);
      json_.Key("type").String("parenExpr").EndObject();
      break;
    case NodeKind::kDuration:
      WriteDuration(&expr);
      break;
  }
}

}  // namespace

Status AppendExprJson(const Expr& expr, std::string* out) {
  return WithStackFor(expr.height, [&] { ExprWriter(out).Write(expr); });
}

}  // namespace tocsin::query
