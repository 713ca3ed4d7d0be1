#include "daemon/query_metrics.h"

#include "query/service.h"

namespace tocsin::daemon {
namespace {

using query::QueryService;

struct MetricRow {
  const char* name;
  const char* help;
  SelfMetrics::CallbackKind kind;
  MetricLabels labels;
  double (*read)(QueryService& queries);
};

constexpr auto kGauge = SelfMetrics::CallbackKind::kGauge;
constexpr auto kCounter = SelfMetrics::CallbackKind::kCounter;

double D(uint64_t n) { return static_cast<double>(n); }

std::vector<MetricRow> Rows() {
  return {
      {"tocsin_queries_total",
       "Queries evaluated or answered from the cache.",
       kCounter,
       {{"lane", "user"}},
       [](QueryService& q) { return D(q.stats().user_queries); }},
      {"tocsin_queries_total",
       "Queries evaluated or answered from the cache.",
       kCounter,
       {{"lane", "rules"}},
       [](QueryService& q) { return D(q.stats().rule_queries); }},
      {"tocsin_query_seconds_total",
       "Time that queries took.",
       kCounter,
       {{"lane", "user"}},
       [](QueryService& q) { return q.stats().user_seconds; }},
      {"tocsin_query_seconds_total",
       "Time that queries took.",
       kCounter,
       {{"lane", "rules"}},
       [](QueryService& q) { return q.stats().rule_seconds; }},
      {"tocsin_query_cpu_seconds_total",
       "Processor time that queries took.",
       kCounter,
       {},
       [](QueryService& q) { return q.stats().cpu_seconds; }},
      {"tocsin_queries_failed_total",
       "Queries that ended with an error, cancelled ones included.",
       kCounter,
       {},
       [](QueryService& q) { return D(q.stats().failed); }},
      {"tocsin_queries_shared_total",
       "Queries answered by an equal one that ran.",
       kCounter,
       {},
       [](QueryService& q) { return D(q.stats().shared); }},
      {"tocsin_queries_slow_total",
       "Queries over --query.log-slower-than.",
       kCounter,
       {},
       [](QueryService& q) { return D(q.stats().slow); }},
      {"tocsin_query_memory_bytes",
       "Memory charged by running queries and held results.",
       kGauge,
       {},
       [](QueryService& q) { return D(q.engine().memory().used_bytes); }},
      {"tocsin_query_memory_peak_bytes",
       "The most that was charged since the start.",
       kGauge,
       {},
       [](QueryService& q) { return D(q.engine().memory().peak_bytes); }},
      {"tocsin_query_memory_limit_bytes",
       "--query.max-memory.",
       kGauge,
       {},
       [](QueryService& q) { return D(q.engine().memory().limit_bytes); }},
      {"tocsin_query_cache_hits_total",
       "Range queries answered at least in part from the cache.",
       kCounter,
       {},
       [](QueryService& q) { return D(q.cache_stats().hits); }},
      {"tocsin_query_cache_misses_total",
       "Range queries of which the cache had nothing.",
       kCounter,
       {},
       [](QueryService& q) { return D(q.cache_stats().misses); }},
      {"tocsin_query_cache_refused_total",
       "Range queries whose answers may not be kept.",
       kCounter,
       {},
       [](QueryService& q) { return D(q.cache_stats().refused); }},
      {"tocsin_query_cache_stale_total",
       "Extents of which nothing was usable any more.",
       kCounter,
       {},
       [](QueryService& q) { return D(q.cache_stats().stale); }},
      {"tocsin_query_cache_evicted_total",
       "Extents that gave way to others.",
       kCounter,
       {},
       [](QueryService& q) { return D(q.cache_stats().evicted); }},
      {"tocsin_query_cache_steps_reused_total",
       "Steps answered from the cache.",
       kCounter,
       {},
       [](QueryService& q) { return D(q.cache_stats().steps_reused); }},
      {"tocsin_query_cache_bytes",
       "Answers held.",
       kGauge,
       {},
       [](QueryService& q) { return D(q.cache_stats().bytes); }},
      {"tocsin_query_cache_extents",
       "Answers held.",
       kGauge,
       {},
       [](QueryService& q) { return D(q.cache_stats().extents); }},
      {"tocsin_query_log_dropped_total",
       "Lines that did not fit into the query log's queue.",
       kCounter,
       {},
       [](QueryService& q) { return D(q.log().dropped()); }},
      {"prometheus_engine_queries",
       "Queries that run or wait for an equal one.",
       kGauge,
       {},
       [](QueryService& q) { return D(q.active().count()); }},
      {"prometheus_engine_query_log_enabled",
       "State of the query log.",
       kGauge,
       {},
       [](QueryService& q) { return q.log().enabled() ? 1.0 : 0.0; }},
      {"prometheus_engine_query_log_failures_total",
       "Lines that could not be written.",
       kCounter,
       {},
       [](QueryService& q) { return D(q.log().failures()); }},
  };
}

}  // namespace

std::vector<MetricCallback> RegisterQueryMetrics(SelfMetrics* metrics, QueryService* queries) {
  std::vector<MetricCallback> callbacks;
  for (const MetricRow& row : Rows()) {
    callbacks.push_back(metrics->AddCallback(
        row.name, row.help, row.labels, [queries, read = row.read] { return read(*queries); },
        row.kind));
  }
  return callbacks;
}

}  // namespace tocsin::daemon
