// Self metrics of the HTTP server: requests by handler under Prometheus' names, and what the front
// refused, holds and waits for (tocsin_http_…).
#pragma once

#include <vector>

#include "base/http/server.h"
#include "base/self_metrics.h"

namespace tocsin::api {

// Counts requests by handler and code and their durations by handler: for the server's constructor.
// (prometheus_http_requests_total, prometheus_http_request_duration_seconds)
http::RequestObserver ObserveRequests(SelfMetrics* metrics);

// The server's own numbers, for as long as the callbacks live; the server must outlive them.
[[nodiscard]] std::vector<MetricCallback> ExportServerStats(const http::Server* server,
                                                            SelfMetrics* metrics);

}  // namespace tocsin::api
