#include "alerting/template/functions.h"

#include "alerting/template/function_tables.h"

namespace tocsin::alerting::tmpl {
namespace {

const Function* Find(const std::vector<Function>& table, std::string_view name) {
  for (const Function& function : table) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

}  // namespace

std::string_view ParamTypeName(Param param) {
  switch (param) {
    case Param::kAny:
      return "interface {}";
    case Param::kString:
      return "string";
    case Param::kInt:
      return "int";
    case Param::kSample:
      return kSampleType;
    case Param::kVector:
      return kVectorType;
    case Param::kTime:
      return "time.Time";
    case Param::kDuration:
      return "time.Duration";
  }
  return "";
}

bool Fits(Param param, const Value& value) {
  switch (param) {
    case Param::kAny:
      return true;
    case Param::kString:
      return value.kind() == Value::Kind::kString;
    case Param::kInt:
      return value.kind() == Value::Kind::kInt;
    case Param::kSample:
      return value.IsSample();
    case Param::kVector:
      return value.IsVector();
    case Param::kTime:
      return value.kind() == Value::Kind::kTime;
    case Param::kDuration:
      return value.kind() == Value::Kind::kDuration;
  }
  return false;
}

const Function* FindFunction(std::string_view name) {
  if (const Function* function = Find(PrometheusFunctions(), name)) return function;
  return Find(BuiltinFunctions(), name);
}

const Function* FindMethod(const Value& receiver, std::string_view name) {
  if (receiver.kind() == Value::Kind::kTime) return Find(TimeMethods(), name);
  if (receiver.kind() == Value::Kind::kDuration) return Find(DurationMethods(), name);
  return nullptr;
}

}  // namespace tocsin::alerting::tmpl
