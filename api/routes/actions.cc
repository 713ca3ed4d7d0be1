// /-/healthy, /-/ready, /-/reload, /-/quit, /metrics and the admin calls (http-api.md §6, §8).
#include <optional>

#include "api/api_response.h"
#include "api/api_router.h"
#include "api/json_results.h"
#include "api/parameters.h"

namespace tocsin::api {
namespace {

using http::HttpRequest;
using http::HttpResponse;

void AddHealth(const Dependencies& deps, const ApiRoutes& routes, http::Router* router) {
  router->Add({.methods = {"GET", "HEAD"},
               .pattern = "/-/healthy",
               .handler = [](const HttpRequest&, HttpResponse* response) {
                 response->SetText(200, "Prometheus Server is Healthy.\n");
               }});
  router->Add({.methods = {"GET", "HEAD"},
               .pattern = "/-/ready",
               .handler = routes.WhenReady([](const HttpRequest&, HttpResponse* response) {
                 response->SetText(200, "Prometheus Server is Ready.\n");
               })});
  router->Add({.methods = {"GET"},
               .pattern = "/metrics",
               .handler = [&deps](const HttpRequest&, HttpResponse* response) {
                 response->SetText(200, deps.self_metrics());
                 response->headers.Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
               }});
}

// An action on the daemon itself: POST or PUT, only when enabled, never from another site's page.
void AddLifecycle(const Dependencies& deps, std::string_view path, http::Router* router,
                  std::function<void(HttpResponse*)> action) {
  router->Add({.methods = {"POST", "PUT"},
               .pattern = std::string(path),
               .handler = [&deps, action = std::move(action)](const HttpRequest& request,
                                                              HttpResponse* response) {
                 if (!deps.lifecycle_enabled) {
                   return response->SetPlainError(403, "Lifecycle API is not enabled.");
                 }
                 if (IsCrossOrigin(request)) {
                   return response->SetPlainError(403, "cross-origin request refused");
                 }
                 action(response);
               }});
  router->Add({.methods = {"GET"},
               .pattern = std::string(path),
               .handler = [](const HttpRequest&, HttpResponse* response) {
                 response->SetText(405, "Only POST or PUT requests allowed");
                 response->headers.Set("Allow", "POST, PUT");
               }});
}

using AdminAction = std::function<void(const HttpRequest&, HttpResponse*)>;

// Only when enabled, never from another site's page.
void AddAdmin(ApiRoutes* routes, std::string_view path, http::Lane lane, AdminAction action) {
  const Dependencies& deps = routes->dependencies();
  routes->Add(
      {"POST", "PUT"}, std::string(path), lane,
      [&deps, action = std::move(action)](const HttpRequest& request, HttpResponse* response) {
        if (!deps.admin_enabled) {
          return RespondError(response, {ErrorType::kUnavailable, "admin APIs disabled"});
        }
        if (IsCrossOrigin(request)) {
          return response->SetPlainError(403, "cross-origin request refused");
        }
        action(request, response);
      });
}

void RespondDone(const Status& status, HttpResponse* response) {
  if (!status.ok()) return RespondError(response, {ErrorType::kInternal, status.message()});
  RespondNoData(response);
}

// Seals and merges everything now.
void Compact(const Dependencies& deps, const HttpRequest&, HttpResponse* response) {
  RespondDone(deps.compact(), response);
}

void DeleteSeries(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const http::FormParams params = http::FormParams::FromRequest(request);
  if (!params.error().empty()) {
    return RespondError(response,
                        {ErrorType::kBadData, "error parsing form values: " + params.error()});
  }
  if (!params.Has("match[]")) {
    return RespondError(response, {ErrorType::kBadData, "no match[] parameter provided"});
  }
  TOCSIN_API_ASSIGN(const model::TimeRange range, response, RangeParameters(params));
  auto sets = MatchParameters(params);
  if (!sets) return RespondError(response, InvalidParameter("match[]", sets.error().message));
  RespondDone(deps.admin.delete_series(*std::move(sets), range), response);
}

void CleanTombstones(const Dependencies& deps, const HttpRequest&, HttpResponse* response) {
  RespondDone(deps.admin.clean_tombstones(), response);
}

// As Go's strconv.ParseBool reads it; absent is false.
std::optional<bool> ParseBool(std::string_view text) {
  if (text.empty()) return false;
  for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

void Snapshot(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const http::FormParams params = http::FormParams::FromRequest(request);
  const std::string_view text = params.Get("skip_head");
  const std::optional<bool> skip_head = ParseBool(text);
  if (!skip_head) {
    return RespondError(
        response,
        InvalidParameter("skip_head", "unable to parse boolean strconv.ParseBool: parsing " +
                                          model::QuoteString(text) + ": invalid syntax"));
  }
  const auto name = deps.admin.snapshot(*skip_head);
  if (!name) return RespondError(response, {ErrorType::kInternal, name.error().message()});
  DataWriter out(response);
  out.json().BeginObject();
  out.json().Key("name");
  out.json().String(*name);
  out.json().EndObject();
  out.Finish({});
}

}  // namespace

void AddActionRoutes(ApiRoutes* routes) {
  const Dependencies& deps = routes->dependencies();
  AddHealth(deps, *routes, routes->router());
  AddLifecycle(deps, "/-/reload", routes->router(), [&deps](HttpResponse* response) {
    if (const Status status = deps.reload(); !status.ok()) {
      response->SetPlainError(500, "failed to reload config: " + status.message());
    }
  });
  AddLifecycle(deps, "/-/quit", routes->router(), [&deps](HttpResponse* response) {
    response->SetText(200, "Requesting termination... Goodbye!");
    response->close = true;
    deps.quit();
  });
  // What takes a while is on the query lane.
  using Action = void (*)(const Dependencies&, const HttpRequest&, HttpResponse*);
  const auto add = [&deps, routes](std::string_view path, Action action) {
    AddAdmin(routes, path, http::Lane::kQuery,
             [&deps, action](const HttpRequest& request, HttpResponse* response) {
               action(deps, request, response);
             });
  };
  add("/admin/tsdb/compact", Compact);
  add("/admin/tsdb/delete_series", DeleteSeries);
  add("/admin/tsdb/clean_tombstones", CleanTombstones);
  add("/admin/tsdb/snapshot", Snapshot);
  // No merges between the two: for a copy of the files, or an hour that needs the processor.
  for (const bool pause : {true, false}) {
    AddAdmin(routes, pause ? "/admin/tsdb/pause_compaction" : "/admin/tsdb/resume_compaction",
             http::Lane::kStatus, [&deps, pause](const HttpRequest&, HttpResponse* response) {
               deps.pause_compaction(pause);
               RespondNoData(response);
             });
  }
}

}  // namespace tocsin::api
