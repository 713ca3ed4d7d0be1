// The functions that a template may call: Go's built-in ones and Prometheus'. Each says how many
// arguments of which type it takes, so that the evaluator can refuse a wrong call in Go's words.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "alerting/template/value.h"
#include "base/status.h"
#include "model/sample.h"

namespace tocsin::alerting::tmpl {

// What functions may ask of the world outside the template.
struct FunctionContext {
  // Evaluates PromQL at `now_ms`; empty: `query` fails.
  std::function<Result<query::Vector>(const std::string&)> query;
  model::Timestamp now_ms = 0;
  std::string external_url;  // without a trailing slash
};

enum class Param : uint8_t { kAny, kString, kInt, kSample, kVector, kTime, kDuration };
std::string_view ParamTypeName(Param param);  // Go's type: "string", "*template.sample"
bool Fits(Param param, const Value& value);

// One function may not make a text longer than this.
inline constexpr size_t kMaxTextBytes = 1 << 20;
// Nor a value that nests deeper than this.
inline constexpr int kMaxValueDepth = 32;

struct Function {
  std::string_view name;
  std::vector<Param> params;
  bool variadic = false;  // the last parameter may come any number of times, also never
  // `args` fit the parameters. The message of a failure is what follows "error calling NAME: ".
  Result<Value> (*call)(const FunctionContext& context, std::span<const Value> args);
};

// Null when there is none. `and`, `or` and `call` are found, but the evaluator runs them itself.
const Function* FindFunction(std::string_view name);
// Methods of a time or a duration; args[0] is the receiver, not counted in params.
const Function* FindMethod(const Value& receiver, std::string_view name);

}  // namespace tocsin::alerting::tmpl
