#include "query/value.h"

namespace tocsin::query {

std::string_view ValueTypeName(ValueType type) {
  switch (type) {
    case ValueType::kNone:
      return "none";
    case ValueType::kScalar:
      return "scalar";
    case ValueType::kVector:
      return "vector";
    case ValueType::kMatrix:
      return "matrix";
    case ValueType::kString:
      return "string";
  }
  return "unknown";
}

std::string_view ValueTypeText(ValueType type) {
  switch (type) {
    case ValueType::kNone:
      return "nothing";
    case ValueType::kScalar:
      return "scalar";
    case ValueType::kVector:
      return "instant vector";
    case ValueType::kMatrix:
      return "range vector";
    case ValueType::kString:
      return "string";
  }
  return "unknown";
}

ValueType TypeOf(const Value& value) {
  static constexpr ValueType kByIndex[] = {ValueType::kScalar, ValueType::kVector,
                                           ValueType::kMatrix, ValueType::kString};
  return kByIndex[value.index()];
}

}  // namespace tocsin::query
