// MakeRouter: all routes of the daemon's HTTP server. The files in routes/ each add one family.
//
//   http::Server server(options, api::MakeRouter(dependencies), api::ObserveRequests(&metrics)); //
//   http_metrics.h
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/dependencies.h"
#include "base/http/router.h"
#include "base/http/server.h"

namespace tocsin::api {

// `dependencies` must outlive the server. `route_prefix` as --web.route-prefix: "" or
// "/prometheus".
http::Router MakeRouter(const Dependencies& dependencies, const std::string& route_prefix = "");

// For ServerOptions::on_overload: the API's error shape below /api/v1, plain text elsewhere.
void AnswerOverload(const http::HttpRequest& request, http::Overload overload,
                    http::HttpResponse* response);

// --- for routes/ ---

// A form with a query of this size still passes; larger ones are answered 413.
inline constexpr size_t kFormBytesMax = size_t{16} << 20;

// Adds routes below /api/v1: CORS on all of them, and 503 until the daemon is ready.
class ApiRoutes {
 public:
  ApiRoutes(const Dependencies& dependencies, http::Router* router);

  const Dependencies& dependencies() const { return dependencies_; }
  // `path` without "/api/v1". `GET, POST` routes take forms.
  void Add(std::vector<std::string> methods, std::string_view path, http::Lane lane,
           http::Handler handler);
  void AddBeforeReady(std::vector<std::string> methods, std::string_view path, http::Lane lane,
                      http::Handler handler);
  void AddWithBody(std::string_view path, http::Lane lane, size_t body_bytes_max,
                   http::Handler handler);
  http::Router* router() const { return router_; }

  // Wraps a handler outside /api/v1 in the readiness gate.
  http::Handler WhenReady(http::Handler handler) const;

 private:
  http::Handler WithCors(http::Handler handler) const;

  const Dependencies& dependencies_;
  http::Router* const router_;
  std::function<bool(std::string_view origin)> origin_allowed_;
};

// True for a request that a page of another origin made a browser send. Actions refuse those.
bool IsCrossOrigin(const http::HttpRequest& request);

void AddQueryRoutes(ApiRoutes* routes);        // query, query_range, query_exemplars, format, parse
void AddQueryStatusRoutes(ApiRoutes* routes);  // status/active_queries, status/top_queries
void AddLabelRoutes(ApiRoutes* routes);        // series, labels, label/X/values
void AddMetadataRoutes(ApiRoutes* routes);     // metadata, targets/metadata
void AddTargetRoutes(ApiRoutes* routes);       // targets, scrape_pools
void AddAlertingRoutes(ApiRoutes* routes);     // rules, alerts, alertmanagers
void AddStatusRoutes(ApiRoutes* routes);       // status/*, features, notifications
void AddWriteRoutes(ApiRoutes* routes);        // write
void AddActionRoutes(ApiRoutes* routes);       // admin/*, /-/*, /version, /metrics
void AddFederateRoute(ApiRoutes* routes);      // /federate
void AddPageRoutes(ApiRoutes* routes);         // pages and assets

}  // namespace tocsin::api
