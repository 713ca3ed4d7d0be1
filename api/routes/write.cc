// POST /write: the remote write 1.0 receiver's route (http-api.md §8.1).
#include "api/api_router.h"

namespace tocsin::api {
namespace {

using http::HttpRequest;
using http::HttpResponse;

void Write(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const std::string refused = deps.remote_write.check_headers(
      request.headers.Get("Content-Type"), request.headers.Get("Content-Encoding"));
  if (!refused.empty()) return response->SetPlainError(415, refused);
  const collector::RemoteWriteOutcome outcome =
      deps.remote_write.write(request.remote_address, request.body);
  if (outcome.http_status / 100 != 2) {
    return response->SetPlainError(outcome.http_status, outcome.message);
  }
  response->status = outcome.http_status;
}

}  // namespace

void AddWriteRoutes(ApiRoutes* routes) {
  const Dependencies& deps = routes->dependencies();
  if (deps.remote_write.write) {
    routes->AddWithBody("/write", http::Lane::kWrite, deps.remote_write_body_bytes_max,
                        [&deps](const HttpRequest& request, HttpResponse* response) {
                          Write(deps, request, response);
                        });
    return;
  }
  routes->AddWithBody("/write", http::Lane::kStatus, kFormBytesMax,
                      [](const HttpRequest&, HttpResponse* response) {
                        response->SetPlainError(404,
                                                "remote write receiver needs to be enabled with "
                                                "--web.enable-remote-write-receiver");
                      });
}

}  // namespace tocsin::api
