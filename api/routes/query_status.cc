// /status/active_queries: what runs now, and its end; /status/top_queries: what queries have cost.
#include <optional>

#include "api/api_response.h"
#include "api/api_router.h"
#include "api/json_results.h"
#include "api/parameters.h"
#include "base/number.h"

namespace tocsin::api {
namespace {

using http::FormParams;
using http::HttpRequest;
using http::HttpResponse;

constexpr size_t kTopLimitDefault = 20;

std::string_view LaneText(query::QueryLane lane) {
  return lane == query::QueryLane::kRules ? "rules" : "user";
}

void WriteActive(const query::ActiveQuery& active, JsonWriter* json) {
  const query::QueryDescription& what = active.description;
  json->BeginObject().Key("id").Uint(active.id).Key("query").String(what.text);
  json->Key("type").String(what.step_ms > 0 ? "range" : "instant");
  json->Key("start").TimestampMs(what.start_ms).Key("end").TimestampMs(what.end_ms);
  json->Key("step").Double(static_cast<double>(what.step_ms) / 1000);
  json->Key("lane").String(LaneText(what.lane));
  json->Key("client").String(what.origin.client).Key("path").String(what.origin.path);
  json->Key("ruleGroup").String(what.origin.rule_group);
  std::string started;
  AppendWallTime(started, active.started_ms);
  json->Key("startedAt").Raw(started).Key("seconds").Double(active.seconds);
  json->Key("memoryBytes").Uint(active.memory_bytes).Key("samplesRead").Int(active.samples_read);
  json->Key("cancelled").Bool(active.cancelled).EndObject();
}

void ActiveQueries(const Dependencies& deps, HttpResponse* response) {
  DataWriter out(response);
  JsonWriter& json = out.json();
  json.BeginObject().Key("queries").BeginArray();
  for (const query::ActiveQuery& active : deps.queries->active().List()) {
    WriteActive(active, &json);
  }
  json.EndArray().EndObject();
  out.Finish();
}

void CancelQuery(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  if (IsCrossOrigin(request)) {
    response->SetPlainError(403, "cross-origin requests may not cancel queries");
    return;
  }
  const std::optional<uint64_t> id = ParseUint64(request.captures.front());
  if (!id) return RespondError(response, InvalidParameter("id", "not a number"));
  if (!deps.queries->active().Cancel(*id)) {
    return RespondError(response,
                        {ErrorType::kNotFound, "no query " + std::to_string(*id) + " is running"});
  }
  RespondNoData(response);
}

std::optional<query::TopOrder> OrderOf(std::string_view text) {
  if (text.empty() || text == "cpu") return query::TopOrder::kCpu;
  if (text == "memory") return query::TopOrder::kMemory;
  if (text == "runs") return query::TopOrder::kRuns;
  if (text == "duration") return query::TopOrder::kDuration;
  return std::nullopt;
}

void TopQueries(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  const auto order = OrderOf(params.Get("by"));
  if (!order) {
    return RespondError(response,
                        InvalidParameter("by", "must be one of cpu, memory, runs, duration"));
  }
  TOCSIN_API_ASSIGN(const size_t asked, response, LimitParameter(params));
  const size_t limit = asked == 0 ? kTopLimitDefault : asked;
  DataWriter out(response);
  JsonWriter& json = out.json();
  json.BeginObject().Key("queries").BeginArray();
  for (const query::TopQuery& top : deps.queries->top().List(*order, limit)) {
    json.BeginObject().Key("query").String(top.text).Key("lane").String(LaneText(top.lane));
    json.Key("runs").Uint(top.runs).Key("failures").Uint(top.failures);
    json.Key("cacheHits").Uint(top.cache_hits);
    json.Key("cpuSeconds").Double(top.cpu_seconds).Key("seconds").Double(top.seconds);
    json.Key("longestSeconds").Double(top.longest_seconds);
    json.Key("peakMemoryBytes").Uint(top.peak_bytes).Key("samplesRead").Int(top.samples_read);
    std::string last;
    AppendWallTime(last, top.last_ms);
    json.Key("lastRun").Raw(last).EndObject();
    if (out.Flush()) return;
  }
  json.EndArray().EndObject();
  out.Finish();
}

}  // namespace

void AddQueryStatusRoutes(ApiRoutes* routes) {
  const Dependencies& deps = routes->dependencies();
  // On the status lane: who looks for the query that blocks the others must not wait behind it.
  routes->Add(
      {"GET"}, "/status/active_queries", http::Lane::kStatus,
      [&deps](const HttpRequest&, HttpResponse* response) { ActiveQueries(deps, response); });
  routes->Add({"DELETE", "POST"}, "/status/active_queries/{}", http::Lane::kStatus,
              [&deps](const HttpRequest& request, HttpResponse* response) {
                CancelQuery(deps, request, response);
              });
  routes->Add({"GET"}, "/status/top_queries", http::Lane::kStatus,
              [&deps](const HttpRequest& request, HttpResponse* response) {
                TopQueries(deps, request, response);
              });
}

}  // namespace tocsin::api
