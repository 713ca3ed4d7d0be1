#include "query/function_signatures.h"

#include <algorithm>

namespace tocsin::query {
namespace {

constexpr ValueType kS = ValueType::kScalar;
constexpr ValueType kV = ValueType::kVector;
constexpr ValueType kM = ValueType::kMatrix;
constexpr ValueType kStr = ValueType::kString;
constexpr bool kExperimental = true;

// Sorted by name (checked below): FindFunction searches by halving.
constexpr FunctionSignature kFunctions[] = {
    {"abs", 1, {kV}},
    {"absent", 1, {kV}},
    {"absent_over_time", 1, {kM}},
    {"acos", 1, {kV}},
    {"acosh", 1, {kV}},
    {"asin", 1, {kV}},
    {"asinh", 1, {kV}},
    {"atan", 1, {kV}},
    {"atanh", 1, {kV}},
    {"avg_over_time", 1, {kM}},
    {"ceil", 1, {kV}},
    {"changes", 1, {kM}},
    {"clamp", 3, {kV, kS, kS}},
    {"clamp_max", 2, {kV, kS}},
    {"clamp_min", 2, {kV, kS}},
    {"cos", 1, {kV}},
    {"cosh", 1, {kV}},
    {"count_over_time", 1, {kM}},
    {"day_of_month", 1, {kV}, 1},
    {"day_of_week", 1, {kV}, 1},
    {"day_of_year", 1, {kV}, 1},
    {"days_in_month", 1, {kV}, 1},
    {"deg", 1, {kV}},
    {"delta", 1, {kM}},
    {"deriv", 1, {kM}},
    {"double_exponential_smoothing", 3, {kM, kS, kS}, 0, kV, kExperimental},
    {"end", 0, {}, 0, kS, kExperimental},
    {"exp", 1, {kV}},
    {"first_over_time", 1, {kM}},
    {"floor", 1, {kV}},
    {"histogram_avg", 1, {kV}},
    {"histogram_count", 1, {kV}},
    {"histogram_fraction", 3, {kS, kS, kV}},
    {"histogram_quantile", 2, {kS, kV}},
    {"histogram_quantiles", 4, {kV, kStr, kS, kS}, 9, kV, kExperimental},
    {"histogram_stddev", 1, {kV}},
    {"histogram_stdvar", 1, {kV}},
    {"histogram_sum", 1, {kV}},
    {"hour", 1, {kV}, 1},
    {"idelta", 1, {kM}},
    {"increase", 1, {kM}},
    {"info", 2, {kV, kV}, 1, kV, kExperimental},
    {"irate", 1, {kM}},
    {"label_join", 4, {kV, kStr, kStr, kStr}, -1},
    {"label_replace", 5, {kV, kStr, kStr, kStr, kStr}},
    {"last_over_time", 1, {kM}},
    {"ln", 1, {kV}},
    {"log10", 1, {kV}},
    {"log2", 1, {kV}},
    {"mad_over_time", 1, {kM}, 0, kV, kExperimental},
    {"max_of", 2, {kS, kS}, 0, kS, kExperimental},
    {"max_over_time", 1, {kM}},
    {"min_of", 2, {kS, kS}, 0, kS, kExperimental},
    {"min_over_time", 1, {kM}},
    {"minute", 1, {kV}, 1},
    {"month", 1, {kV}, 1},
    {"pi", 0, {}, 0, kS},
    {"predict_linear", 2, {kM, kS}},
    {"present_over_time", 1, {kM}},
    {"quantile_over_time", 2, {kS, kM}},
    {"rad", 1, {kV}},
    {"range", 0, {}, 0, kS, kExperimental},
    {"rate", 1, {kM}},
    {"resets", 1, {kM}},
    {"round", 2, {kV, kS}, 1},
    {"scalar", 1, {kV}, 0, kS},
    {"sgn", 1, {kV}},
    {"sin", 1, {kV}},
    {"sinh", 1, {kV}},
    {"sort", 1, {kV}},
    {"sort_by_label", 2, {kV, kStr}, -1, kV, kExperimental},
    {"sort_by_label_desc", 2, {kV, kStr}, -1, kV, kExperimental},
    {"sort_desc", 1, {kV}},
    {"sqrt", 1, {kV}},
    {"start", 0, {}, 0, kS, kExperimental},
    {"start_timestamp", 1, {kV}, 0, kV, kExperimental},
    {"stddev_over_time", 1, {kM}},
    {"stdvar_over_time", 1, {kM}},
    {"step", 0, {}, 0, kS, kExperimental},
    {"sum_over_time", 1, {kM}},
    {"tan", 1, {kV}},
    {"tanh", 1, {kV}},
    {"time", 0, {}, 0, kS},
    {"timestamp", 1, {kV}},
    {"ts_of_first_over_time", 1, {kM}, 0, kV, kExperimental},
    {"ts_of_last_over_time", 1, {kM}, 0, kV, kExperimental},
    {"ts_of_max_over_time", 1, {kM}, 0, kV, kExperimental},
    {"ts_of_min_over_time", 1, {kM}, 0, kV, kExperimental},
    {"vector", 1, {kS}},
    {"year", 1, {kV}, 1},
};

constexpr bool ByName(const FunctionSignature& a, const FunctionSignature& b) {
  return a.name < b.name;
}
static_assert(std::is_sorted(std::begin(kFunctions), std::end(kFunctions), ByName));

}  // namespace

const FunctionSignature* FindFunction(std::string_view name) {
  const auto* it =
      std::lower_bound(std::begin(kFunctions), std::end(kFunctions), name,
                       [](const FunctionSignature& f, std::string_view n) { return f.name < n; });
  return it != std::end(kFunctions) && it->name == name ? it : nullptr;
}

std::span<const FunctionSignature> AllFunctions() { return kFunctions; }

}  // namespace tocsin::query
