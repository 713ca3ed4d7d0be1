// /metadata, /targets/metadata (http-api.md §3): what targets say about their metrics.
#include <algorithm>
#include <map>
#include <optional>

#include "api/api_response.h"
#include "api/api_router.h"
#include "api/json_results.h"
#include "api/parameters.h"
#include "base/number.h"
#include "query/parser.h"

namespace tocsin::api {
namespace {

using collector::MetadataOfTarget;
using collector::TargetMetadata;
using http::FormParams;
using http::HttpRequest;
using http::HttpResponse;

// -1: none. Negative numbers mean none too.
Parsed<int64_t> MetadataLimit(const FormParams& params, std::string_view name) {
  const std::string_view text = params.Get(name);
  if (text.empty()) return -1;
  const std::optional<int64_t> limit = ParseInt64(text);
  if (!limit) {
    return std::unexpected(ApiError{ErrorType::kBadData, std::string(name) + " must be a number"});
  }
  return *limit;
}

bool SameText(const TargetMetadata& a, const TargetMetadata& b) {
  return a.type == b.type && a.unit == b.unit && a.help == b.help;
}

// By metric name, each different description once.
using MetadataByName = std::map<std::string, std::vector<TargetMetadata>>;

MetadataByName Collect(const Dependencies& deps, std::string_view metric, int64_t limit,
                       int64_t limit_per_metric) {
  MetadataByName found;
  if (limit == 0) return found;
  deps.targets.visit_metadata([&](const MetadataOfTarget& entry) {
    const TargetMetadata& metadata = entry.metadata;
    if (!metric.empty() && metadata.metric != metric) return true;
    const auto it = found.find(metadata.metric);
    if (it == found.end() && limit > 0 && found.size() >= static_cast<size_t>(limit)) return true;
    std::vector<TargetMetadata>& list = it == found.end() ? found[metadata.metric] : it->second;
    if (limit_per_metric > 0 && list.size() >= static_cast<size_t>(limit_per_metric)) return true;
    const bool known =
        std::any_of(list.begin(), list.end(), [&](const auto& m) { return SameText(m, metadata); });
    if (!known) list.push_back(metadata);
    return true;
  });
  if (!deps.targets.visit_stored_metadata) return found;
  // Where a target is there, it knows better.
  deps.targets.visit_stored_metadata(
      metric, [&](const std::string& name, const model::Metadata& metadata) {
        if (limit > 0 && found.size() >= static_cast<size_t>(limit)) return false;
        const auto [it, is_new] = found.try_emplace(name);
        if (is_new) {
          it->second.push_back({name, std::string(model::MetricTypeName(metadata.type)),
                                metadata.help, metadata.unit});
        }
        return true;
      });
  return found;
}

void Metadata(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  const Parsed<int64_t> limit = MetadataLimit(params, "limit");
  if (!limit) return RespondError(response, limit.error());
  const Parsed<int64_t> limit_per_metric = MetadataLimit(params, "limit_per_metric");
  if (!limit_per_metric) return RespondError(response, limit_per_metric.error());
  const MetadataByName found = Collect(deps, params.Get("metric"), *limit, *limit_per_metric);
  DataWriter out(response);
  JsonWriter& json = out.json();
  json.BeginObject();
  for (const auto& [name, list] : found) {
    json.Key(name).BeginArray();
    for (const TargetMetadata& metadata : list) {
      json.BeginObject().Key("type").String(metadata.type);
      json.Key("unit").String(metadata.unit).Key("help").String(metadata.help).EndObject();
    }
    json.EndArray();
    if (out.Flush()) return;
  }
  json.EndObject();
  out.Finish();
}

void TargetsMetadata(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  const Parsed<int64_t> limit = MetadataLimit(params, "limit");
  if (!limit) return RespondError(response, limit.error());
  std::vector<model::Matcher> matchers;
  if (const std::string_view text = params.Get("match_target"); !text.empty()) {
    Result<std::vector<model::Matcher>> parsed = query::ParseMetricSelector(text);
    if (!parsed) return RespondError(response, {ErrorType::kBadData, parsed.error().message()});
    matchers = std::move(*parsed);
  }
  const std::string_view metric = params.Get("metric");

  DataWriter out(response);
  out.text() += '[';
  int64_t written = 0;
  bool overflowed = false;
  // The limit is looked at between targets only, as Prometheus does.
  const model::Labels* target = nullptr;
  model::Labels current;
  bool wanted = false;
  deps.targets.visit_metadata([&](const MetadataOfTarget& entry) {
    if (target == nullptr || !(entry.target_labels == current)) {
      if (*limit >= 0 && written >= *limit) return false;
      current = entry.target_labels;
      target = &current;
      wanted = model::MatchesAll(matchers, current);
    }
    if (!wanted || (!metric.empty() && entry.metadata.metric != metric)) return true;
    std::string& text = out.text();
    text += written++ > 0 ? R"(,{"target":)" : R"({"target":)";
    AppendLabels(text, current);
    const auto field = [&](std::string_view key, std::string_view value) {
      text += key;
      AppendJsonString(text, value, JsonEscape::kHtml);
    };
    if (metric.empty()) field(R"(,"metric":)", entry.metadata.metric);
    field(R"(,"type":)", entry.metadata.type);
    field(R"(,"help":)", entry.metadata.help);
    field(R"(,"unit":)", entry.metadata.unit);
    text += '}';
    overflowed = out.Flush();
    return !overflowed;
  });
  out.text() += ']';
  out.Finish();
}

}  // namespace

void AddMetadataRoutes(ApiRoutes* routes) {
  const Dependencies& deps = routes->dependencies();
  // Walks every family of every target: not for the lane that never waits.
  routes->Add({"GET"}, "/metadata", http::Lane::kQuery,
              [&deps](const HttpRequest& request, HttpResponse* response) {
                Metadata(deps, request, response);
              });
  routes->Add({"GET"}, "/targets/metadata", http::Lane::kQuery,
              [&deps](const HttpRequest& request, HttpResponse* response) {
                TargetsMetadata(deps, request, response);
              });
}

}  // namespace tocsin::api
