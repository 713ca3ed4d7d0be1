// /status/*, /features, /notifications (http-api.md §5).
#include <unistd.h>

#include <climits>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "api/api_response.h"
#include "api/api_router.h"
#include "api/features.h"
#include "api/json_results.h"
#include "api/parameters.h"
#include "base/env.h"
#include "base/number.h"
#include "base/thread.h"

namespace tocsin::api {
namespace {

using http::FormParams;
using http::HttpRequest;
using http::HttpResponse;

constexpr size_t kTsdbLimitDefault = 10;
constexpr int64_t kTsdbLimitMax = 10'000;

void WriteBuildInfo(const BuildInfo& build, JsonWriter* json) {
  json->BeginObject().Key("version").String(build.version);
  json->Key("revision").String(build.revision).Key("branch").String(build.branch);
  json->Key("buildUser").String(build.build_user).Key("buildDate").String(build.build_date);
  json->Key("goVersion").String(build.compiler).EndObject();
}

std::string WorkingDirectory() {
  char path[PATH_MAX];
  return getcwd(path, sizeof(path)) == nullptr ? "" : path;
}

std::string HostName() {
  char name[HOST_NAME_MAX + 1] = "";
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

std::string WallTime(model::Timestamp time_ms) {
  std::string text;
  AppendWallTime(text, time_ms);
  return text;
}

// Go's own settings have no meaning here; clients want the fields.
void RuntimeInfoOf(const Dependencies& deps, HttpResponse* response) {
  const RuntimeInfo info = deps.runtime();
  DataWriter out(response);
  JsonWriter& json = out.json();
  json.BeginObject().Key("startTime").Raw(WallTime(info.start_time_ms));
  json.Key("CWD").String(WorkingDirectory()).Key("hostname").String(HostName());
  json.Key("serverTime").Raw(WallTime(deps.env->NowMs()));
  json.Key("reloadConfigSuccess").Bool(info.reload_config_success);
  json.Key("lastConfigTime").Raw(WallTime(info.last_config_time_ms));
  json.Key("corruptionCount").Int(info.corruption_count);
  json.Key("goroutineCount").Int(Thread::LiveCount());
  json.Key("GOMAXPROCS").Uint(std::thread::hardware_concurrency());
  json.Key("GOMEMLIMIT").Int(INT64_MAX).Key("GOGC").String("").Key("GODEBUG").String("");
  json.Key("storageRetention").String(info.storage_retention).EndObject();
  out.Finish();
}

void Config(const Dependencies& deps, HttpResponse* response) {
  DataWriter out(response);
  out.json().BeginObject().Key("yaml").String(deps.config_yaml()).EndObject();
  out.Finish();
}

void Flags(const Dependencies& deps, HttpResponse* response) {
  DataWriter out(response);
  out.json().BeginObject();
  for (const auto& [name, value] : deps.flags) out.json().Key(name).String(value);
  out.json().EndObject();
  out.Finish();
}

void WriteCounts(std::string_view key, const std::vector<NameCount>& counts, JsonWriter* json) {
  json->Key(key).BeginArray();
  for (const NameCount& count : counts) {
    json->BeginObject().Key("name").String(count.name).Key("value").Uint(count.value).EndObject();
  }
  json->EndArray();
}

void Tsdb(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  size_t limit = kTsdbLimitDefault;
  if (const std::string_view text = params.Get("limit"); !text.empty()) {
    const std::optional<int64_t> asked = ParseInt64(text);
    if (!asked || *asked < 1) {
      return RespondError(response, {ErrorType::kBadData, "limit must be a positive number"});
    }
    if (*asked > kTsdbLimitMax) {
      return RespondError(response, {ErrorType::kBadData, "limit must not exceed 10000"});
    }
    limit = static_cast<size_t>(*asked);
  }
  const TsdbStatus status = deps.tsdb_status(limit);
  DataWriter out(response);
  JsonWriter& json = out.json();
  json.BeginObject().Key("headStats").BeginObject();
  json.Key("numSeries").Uint(status.series).Key("numLabelPairs").Uint(status.label_pairs);
  json.Key("chunkCount").Uint(status.chunks);
  json.Key("minTime").Int(status.min_time_ms).Key("maxTime").Int(status.max_time_ms).EndObject();
  WriteCounts("seriesCountByMetricName", status.series_by_metric_name, &json);
  WriteCounts("labelValueCountByLabelName", status.values_by_label_name, &json);
  WriteCounts("memoryInBytesByLabelName", status.bytes_by_label_name, &json);
  WriteCounts("seriesCountByLabelValuePair", status.series_by_label_pair, &json);
  json.EndObject();
  out.Finish();
}

void TsdbBlocks(const Dependencies& deps, HttpResponse* response) {
  const std::vector<TsdbBlock> blocks = deps.tsdb_blocks();
  DataWriter out(response);
  JsonWriter& json = out.json();
  json.BeginObject().Key("blocks").BeginArray();
  for (const TsdbBlock& block : blocks) {
    json.BeginObject().Key("ulid").String(block.ulid);
    json.Key("minTime").Int(block.min_time_ms).Key("maxTime").Int(block.end_time_ms);
    json.Key("stats").BeginObject();
    if (block.samples > 0) json.Key("numSamples").Uint(block.samples);
    if (block.series > 0) json.Key("numSeries").Uint(block.series);
    if (block.chunks > 0) json.Key("numChunks").Uint(block.chunks);
    json.EndObject();
    json.Key("compaction").BeginObject().Key("level").Int(block.level);
    json.Key("sources").BeginArray().String(block.ulid).EndArray().EndObject();
    json.Key("version").Int(1).EndObject();
  }
  json.EndArray().EndObject();
  out.Finish();
}

void WalReplay(const Dependencies& deps, HttpResponse* response) {
  const WalReplayStatus status = deps.wal_replay();
  DataWriter out(response);
  out.json().BeginObject().Key("min").Int(status.min).Key("max").Int(status.max);
  out.json().Key("current").Int(status.current).EndObject();
  out.Finish();
}

void Notifications(const Dependencies& deps, HttpResponse* response) {
  DataWriter out(response);
  JsonWriter& json = out.json();
  json.BeginArray();
  for (const Notification& notification : deps.notifications()) {
    json.BeginObject().Key("text").String(notification.text);
    json.Key("date").Raw(WallTime(notification.date_ms)).Key("active").Bool(true).EndObject();
  }
  json.EndArray();
  out.Finish();
}

void Features(const Dependencies& deps, HttpResponse* response) {
  DataWriter out(response);
  AppendFeatures(deps, &out.text());
  out.Finish();
}

}  // namespace

void AddStatusRoutes(ApiRoutes* routes) {
  const Dependencies& deps = routes->dependencies();
  const auto add = [&](std::string_view path, auto handler) {
    routes->Add(
        {"GET"}, path, http::Lane::kStatus,
        [&deps, handler](const HttpRequest&, HttpResponse* response) { handler(deps, response); });
  };
  add("/status/buildinfo", [](const Dependencies& d, HttpResponse* response) {
    DataWriter out(response);
    WriteBuildInfo(d.build, &out.json());
    out.Finish();
  });
  add("/status/runtimeinfo", RuntimeInfoOf);
  add("/status/config", Config);
  add("/status/flags", Flags);
  add("/features", Features);
  add("/notifications", Notifications);
  add("/status/tsdb/blocks", TsdbBlocks);
  routes->Add({"GET"}, "/status/tsdb", http::Lane::kQuery,
              [&deps](const HttpRequest& request, HttpResponse* response) {
                Tsdb(deps, request, response);
              });
  routes->AddBeforeReady(
      {"GET"}, "/status/walreplay", http::Lane::kStatus,
      [&deps](const HttpRequest&, HttpResponse* response) { WalReplay(deps, response); });
  routes->router()->Add(
      {.methods = {"GET"},
       .pattern = "/version",
       .lane = http::Lane::kStatus,
       .handler = routes->WhenReady([&deps](const HttpRequest&, HttpResponse* response) {
         response->headers.Set("Content-Type", "application/json");
         JsonWriter json(response->body.tail());
         WriteBuildInfo(deps.build, &json);
       })});
}

}  // namespace tocsin::api
