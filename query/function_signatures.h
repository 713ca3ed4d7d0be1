// The functions of PromQL: names, types of arguments, type of result. What they compute is in
// functions/*.cc; the set is that of Prometheus 3.14.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "query/ast.h"

namespace tocsin::query {

inline constexpr int kMaxFunctionArgTypes = 5;

struct FunctionSignature {
  std::string_view name;
  uint8_t arg_type_count = 0;
  ValueType arg_types_array[kMaxFunctionArgTypes] = {};
  // 0: exactly the listed arguments. n > 0: the last listed type may be absent, or repeat, so that
  // at most arg_type_count + n - 1 arguments are given. -1: the last one may be absent or repeat
  // freely.
  int variadic = 0;
  ValueType return_type = ValueType::kVector;
  bool experimental = false;  // needs --enable-feature=promql-experimental-functions

  std::span<const ValueType> arg_types() const { return {arg_types_array, arg_type_count}; }
};

// Null when there is no such function. Names are case-sensitive.
const FunctionSignature* FindFunction(std::string_view name);
// All of them, sorted by name.
std::span<const FunctionSignature> AllFunctions();

}  // namespace tocsin::query
