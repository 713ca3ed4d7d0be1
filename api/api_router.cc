#include "api/api_router.h"

#include <utility>

#include "api/api_response.h"
#include "base/regex.h"

namespace tocsin::api {
namespace {

constexpr std::string_view kApiPrefix = "/api/v1";

void AnswerNotReady(Readiness readiness, http::HttpResponse* response) {
  response->SetText(503, "Service Unavailable");
  response->headers.Set("X-Prometheus-Stopping",
                        readiness == Readiness::kStopping ? "true" : "false");
}

// "http://host:1/x" → "host:1"
std::string_view AuthorityOf(std::string_view url) {
  if (const size_t scheme = url.find("://"); scheme != std::string_view::npos) {
    url.remove_prefix(scheme + 3);
  }
  return url.substr(0, url.find('/'));
}

}  // namespace

bool IsCrossOrigin(const http::HttpRequest& request) {
  const std::string_view site = request.headers.Get("Sec-Fetch-Site");
  if (!site.empty()) return site != "same-origin" && site != "none";
  const std::string_view origin = request.headers.Get("Origin");
  return !origin.empty() && AuthorityOf(origin) != request.headers.Get("Host");
}

ApiRoutes::ApiRoutes(const Dependencies& dependencies, http::Router* router)
    : dependencies_(dependencies), router_(router) {
  // The flag was checked when it was read; a pattern that does not compile allows nobody.
  const Result<Regex> regex = Regex::Compile(dependencies.cors_origin);
  origin_allowed_ = [regex](std::string_view origin) {
    return regex.has_value() && regex->FullMatch(origin);
  };
}

http::Handler ApiRoutes::WithCors(http::Handler handler) const {
  return [allowed = origin_allowed_, handler = std::move(handler)](const http::HttpRequest& request,
                                                                   http::HttpResponse* response) {
    handler(request, response);
    response->headers.Add("Vary", "Origin");
    const std::string_view origin = request.headers.Get("Origin");
    if (origin.empty() || !allowed(origin)) return;
    response->headers.Set("Access-Control-Allow-Origin", std::string(origin));
    response->headers.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    response->headers.Set("Access-Control-Allow-Headers",
                          "Accept, Authorization, Content-Type, Origin");
    response->headers.Set("Access-Control-Expose-Headers", "Date");
  };
}

http::Handler ApiRoutes::WhenReady(http::Handler handler) const {
  return [readiness = dependencies_.readiness, handler = std::move(handler)](
             const http::HttpRequest& request, http::HttpResponse* response) {
    const Readiness now = readiness();
    if (now != Readiness::kReady) return AnswerNotReady(now, response);
    handler(request, response);
  };
}

void ApiRoutes::Add(std::vector<std::string> methods, std::string_view path, http::Lane lane,
                    http::Handler handler) {
  AddBeforeReady(std::move(methods), path, lane, WhenReady(std::move(handler)));
}

void ApiRoutes::AddBeforeReady(std::vector<std::string> methods, std::string_view path,
                               http::Lane lane, http::Handler handler) {
  router_->Add({.methods = std::move(methods),
                .pattern = std::string(kApiPrefix) + std::string(path),
                .lane = lane,
                .body_bytes_max = kFormBytesMax,
                .handler = WithCors(std::move(handler))});
}

void ApiRoutes::AddWithBody(std::string_view path, http::Lane lane, size_t body_bytes_max,
                            http::Handler handler) {
  router_->Add({.methods = {"POST"},
                .pattern = std::string(kApiPrefix) + std::string(path),
                .lane = lane,
                .body_bytes_max = body_bytes_max,
                .handler = WithCors(WhenReady(std::move(handler)))});
}

http::Router MakeRouter(const Dependencies& dependencies, const std::string& route_prefix) {
  http::Router router(route_prefix);
  ApiRoutes routes(dependencies, &router);
  AddQueryRoutes(&routes);
  AddQueryStatusRoutes(&routes);
  AddLabelRoutes(&routes);
  AddMetadataRoutes(&routes);
  AddTargetRoutes(&routes);
  AddAlertingRoutes(&routes);
  AddStatusRoutes(&routes);
  AddWriteRoutes(&routes);
  AddActionRoutes(&routes);
  AddFederateRoute(&routes);
  AddPageRoutes(&routes);
  routes.AddBeforeReady(
      {"OPTIONS"}, "/{*}", http::Lane::kStatus,
      [](const http::HttpRequest&, http::HttpResponse* response) { RespondNoData(response); });
  return router;
}

void AnswerOverload(const http::HttpRequest& request, http::Overload overload,
                    http::HttpResponse* response) {
  const std::string_view text = http::OverloadText(overload);
  if (!request.path.starts_with(kApiPrefix)) {
    response->SetPlainError(503, text);
    return;
  }
  const ErrorType type =
      overload == http::Overload::kLaneFull ? ErrorType::kTimeout : ErrorType::kExecution;
  RespondError(response, {type, std::string(text)});
}

}  // namespace tocsin::api
