#include "api/http_metrics.h"

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/mutex.h"

namespace tocsin::api {

http::RequestObserver ObserveRequests(SelfMetrics* metrics) {
  // Metrics by route and code, found without the registry's lock and text.
  struct Known {
    Mutex mu;
    std::map<std::pair<const http::Route*, int>, Counter*> counters GUARDED_BY(mu);
    std::map<const http::Route*, MetricHistogram*> durations GUARDED_BY(mu);
  };
  static const std::vector<double> kSecondsBounds = {0.001, 0.005, 0.02, 0.1, 0.4, 1, 3, 8, 20, 60};
  auto known = std::make_shared<Known>();
  return [metrics, known](const http::RequestObservation& o) {
    Counter* counter = nullptr;
    MetricHistogram* duration = nullptr;
    {
      MutexLock lock(known->mu);
      Counter*& slot = known->counters[{o.route, o.status}];
      if (slot == nullptr) {
        slot = &metrics->GetCounter(
            "prometheus_http_requests_total", "Counter of HTTP requests.",
            {{"handler", o.route->pattern}, {"code", std::to_string(o.status)}});
      }
      counter = slot;
      MetricHistogram*& histogram = known->durations[o.route];
      if (histogram == nullptr) {
        histogram = &metrics->GetHistogram("prometheus_http_request_duration_seconds",
                                           "Histogram of latencies for HTTP requests.",
                                           kSecondsBounds, {{"handler", o.route->pattern}});
      }
      duration = histogram;
    }
    counter->Add();
    duration->Observe(o.seconds);
  };
}

std::vector<MetricCallback> ExportServerStats(const http::Server* server, SelfMetrics* metrics) {
  std::vector<MetricCallback> callbacks;
  const auto add = [&](const std::string& name, const std::string& help, const MetricLabels& labels,
                       SelfMetrics::CallbackKind kind, auto read) {
    callbacks.push_back(metrics->AddCallback(
        name, help, labels, [server, read] { return static_cast<double>(read(server->stats())); },
        kind));
  };
  using Stats = http::ServerStats;
  constexpr auto kCounter = SelfMetrics::CallbackKind::kCounter;
  constexpr auto kGauge = SelfMetrics::CallbackKind::kGauge;
  add("tocsin_http_connections_accepted_total", "Connections accepted.", {}, kCounter,
      [](const Stats& s) { return s.connections_accepted; });
  add("tocsin_http_connections_refused_total", "Connections over the bound, answered 503.", {},
      kCounter, [](const Stats& s) { return s.connections_refused; });
  add("tocsin_http_connections_timed_out_total", "Connections closed at a deadline or for a rate.",
      {}, kCounter, [](const Stats& s) { return s.connections_timed_out; });
  add("tocsin_http_connections_open", "Connections open now.", {}, kGauge,
      [](const Stats& s) { return s.connections_open; });
  add("tocsin_http_requests_malformed_total", "Requests that were not clean HTTP, answered 400.",
      {}, kCounter, [](const Stats& s) { return s.requests_malformed; });
  add("tocsin_http_requests_refused_total", "Requests refused for a full lane or memory.", {},
      kCounter, [](const Stats& s) { return s.requests_refused; });
  add("tocsin_http_received_bytes_total", "Bytes received.", {}, kCounter,
      [](const Stats& s) { return s.bytes_received; });
  add("tocsin_http_sent_bytes_total", "Bytes sent.", {}, kCounter,
      [](const Stats& s) { return s.bytes_sent; });
  add("tocsin_http_request_bytes", "Bytes of requests held now.", {}, kGauge,
      [](const Stats& s) { return s.request_bytes_held; });
  add("tocsin_http_response_bytes", "Bytes of responses held now.", {}, kGauge,
      [](const Stats& s) { return s.response_bytes_held; });
  for (int lane = 0; lane < http::kLaneCount; ++lane) {
    add("tocsin_http_lane_queue_length", "Requests waiting for a worker of their lane.",
        {{"lane", std::string(http::LaneName(static_cast<http::Lane>(lane)))}}, kGauge,
        [lane](const Stats& s) { return s.lane_queued[lane]; });
  }
  return callbacks;
}

}  // namespace tocsin::api
