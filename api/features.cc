#include "api/features.h"

#include <map>
#include <string_view>

#include "base/json.h"
#include "query/ast.h"
#include "query/function_signatures.h"

namespace tocsin::api {
namespace {

using FeatureMap = std::map<std::string, std::map<std::string, bool>>;

void AddApi(const Dependencies& deps, FeatureMap* features) {
  (*features)["api"] = {
      {"admin", deps.admin_enabled},
      {"exclude_alerts", true},
      {"label_values_match", true},
      {"lifecycle", deps.lifecycle_enabled},
      {"openapi_3.1", false},
      {"openapi_3.2", false},
      {"otlp_write_receiver", false},
      {"query_stats", true},
      {"query_warnings", true},
      {"remote_write_receiver", static_cast<bool>(deps.remote_write.write)},
      {"search", false},
      {"time_range_labels", true},
      {"time_range_series", true},
  };
}

void AddLanguage(const Dependencies& deps, FeatureMap* features) {
  const query::LanguageOptions& language = deps.engine->options().language;
  (*features)["promql"] = {
      {"anchored", language.extended_range_selectors},
      {"at_modifier", true},
      {"bool", true},
      {"by", true},
      {"delayed_name_removal", language.delayed_name_removal},
      {"duration_expr", language.duration_expressions},
      {"fill", language.binop_fill_modifiers},
      {"fill_left", language.binop_fill_modifiers},
      {"fill_right", language.binop_fill_modifiers},
      {"group_left", true},
      {"group_right", true},
      {"ignoring", true},
      {"negative_offset", true},
      {"offset", true},
      {"on", true},
      {"per_query_lookback_delta", true},
      {"per_step_stats", deps.per_step_stats},
      {"smoothed", language.extended_range_selectors},
      {"subqueries", true},
      {"type_and_unit_labels", language.type_and_unit_labels},
      {"without", true},
  };
  auto& functions = (*features)["promql_functions"];
  for (const query::FunctionSignature& function : query::AllFunctions()) {
    functions.emplace(function.name, !function.experimental || language.experimental_functions);
  }
  auto& operators = (*features)["promql_operators"];
  for (int i = 0; i <= static_cast<int>(query::BinaryOp::kUnless); ++i) {
    operators.emplace(query::BinaryOpName(static_cast<query::BinaryOp>(i)), true);
  }
  for (int i = 0; i <= static_cast<int>(query::AggregateOp::kLimitRatio); ++i) {
    const auto op = static_cast<query::AggregateOp>(i);
    const bool experimental =
        op == query::AggregateOp::kLimitk || op == query::AggregateOp::kLimitRatio;
    operators.emplace(query::AggregateOpName(op), !experimental || language.experimental_functions);
  }
  for (const char* name : {"=~", "!~", "@"}) operators.emplace(name, true);
}

}  // namespace

void AppendFeatures(const Dependencies& dependencies, std::string* out) {
  FeatureMap features;
  AddApi(dependencies, &features);
  AddLanguage(dependencies, &features);
  features["prometheus"] = {{"agent_mode", false}, {"server_mode", true}};
  features["rules"] = {
      {"concurrent_rule_eval", false}, {"keep_firing_for", true}, {"query_offset", true}};
  features["service_discovery_providers"] = {{"file", true}, {"static", true}};
  features["tsdb"] = {{"exemplar_storage", true}, {"isolation", true}, {"native_histograms", true}};
  features["ui"] = {{"ui_v2", false}, {"ui_v3", true}};

  JsonWriter json(*out);
  json.BeginObject();
  for (const auto& [category, entries] : features) {
    json.Key(category).BeginObject();
    for (const auto& [name, on] : entries) json.Key(name, JsonEscape::kPlain).Bool(on);
    json.EndObject();
  }
  json.EndObject();
}

}  // namespace tocsin::api
