// /-/healthy, /-/ready, /-/reload, /-/quit, /metrics and the admin calls (http-api.md §6, §8).
#include "api/api_response.h"
#include "api/api_router.h"

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

// True when the request was answered with a refusal.
bool RefusesAdmin(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  if (!deps.admin_enabled) {
    RespondError(response, {ErrorType::kUnavailable, "admin APIs disabled"});
    return true;
  }
  if (IsCrossOrigin(request)) {
    response->SetPlainError(403, "cross-origin request refused");
    return true;
  }
  return false;
}

void PauseCompaction(const Dependencies& deps, bool pause, const HttpRequest& request,
                     HttpResponse* response) {
  if (RefusesAdmin(deps, request, response)) return;
  deps.pause_compaction(pause);
  RespondNoData(response);
}

void Compact(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  if (RefusesAdmin(deps, request, response)) return;
  if (const Status status = deps.compact(); !status.ok()) {
    return RespondError(response, {ErrorType::kInternal, status.message()});
  }
  RespondNoData(response);
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
  // Seals and merges everything now; answers when done. On the query lane: it takes a while.
  routes->Add({"POST", "PUT"}, "/admin/tsdb/compact", http::Lane::kQuery,
              [&deps](const HttpRequest& request, HttpResponse* response) {
                Compact(deps, request, response);
              });
  // No merges between the two: for a copy of the files, or an hour that needs the processor.
  for (const bool pause : {true, false}) {
    routes->Add(
        {"POST", "PUT"}, pause ? "/admin/tsdb/pause_compaction" : "/admin/tsdb/resume_compaction",
        http::Lane::kStatus, [&deps, pause](const HttpRequest& request, HttpResponse* response) {
          PauseCompaction(deps, pause, request, response);
        });
  }
}

}  // namespace tocsin::api
