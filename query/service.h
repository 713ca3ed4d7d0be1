// QueryService: what stands between those who ask and the engine. It lists what runs and cancels
// it, counts what queries cost, writes the query log, answers equal questions that are asked at the
// same time once, and range queries from the result cache as far as it reaches. Thread-safe.
//
//   QueryService queries(&engine, options);
//   Result<SharedResult> r = queries.Range(store, description, query_options, QueryCaching::kUse);
//
// Rules go through it too, without caches: they are to be seen in the list and the log.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "query/active_queries.h"
#include "query/engine.h"
#include "query/query_log.h"
#include "query/result_cache.h"
#include "query/top_queries.h"

namespace tocsin {
class Env;
}

namespace tocsin::query {

struct QueryServiceOptions {
  uint64_t cache_bytes = uint64_t{64} << 20;  // 0: no result cache
  // Queries of at least this go to the log, and only they to the query log; 0: all go there.
  int64_t slow_ms = 0;
  // Up to which time the store tells by its change numbers what changes. Asked before a query is
  // evaluated; empty: nothing is ever settled, and no answer kept.
  std::function<model::Timestamp()> settled_until{};
  Env* env = nullptr;  // null: Env::Default()
};

enum class QueryCaching : uint8_t {
  kUse,
  kBypass,  // neither results nor the answer of an equal query that runs: nocache=1
};

struct QueryServiceStats {
  uint64_t user_queries = 0;
  uint64_t rule_queries = 0;
  uint64_t failed = 0;
  uint64_t slow = 0;
  uint64_t shared = 0;  // answered by an equal query that ran
  double user_seconds = 0;
  double rule_seconds = 0;
  double cpu_seconds = 0;
};

class QueryService {
 public:
  QueryService(Engine* engine, const QueryServiceOptions& options);
  ~QueryService();
  QueryService(const QueryService&) = delete;
  QueryService& operator=(const QueryService&) = delete;

  // `what.start_ms` is the time. `options.probe` is set by the service.
  Result<SharedResult> Instant(const model::Queryable& store, const QueryDescription& what,
                               const QueryOptions& options, QueryCaching caching);
  Result<SharedResult> Range(const model::Queryable& store, const QueryDescription& what,
                             const QueryOptions& options, QueryCaching caching);

  // `what.lane` is kRules.
  Result<QueryResult> ForRule(const model::Queryable& store, const QueryDescription& what,
                              const QueryOptions& options);

  // What expressions mean may have changed (a reload).
  void ForgetResults() { cache_.Clear(); }

  Engine& engine() { return *engine_; }
  ActiveQueries& active() { return active_; }
  TopQueries& top() { return top_; }
  QueryLog& log() { return log_; }
  ResultCacheStats cache_stats() const { return cache_.stats(); }
  QueryServiceStats stats() const EXCLUDES(mu_);

 private:
  class Flight;
  using Evaluate = std::function<Result<SharedResult>(const QueryOptions& options)>;

  // Lists, runs, counts and logs.
  Result<SharedResult> Run(const QueryDescription& what, QueryOptions options, bool shareable,
                           const Evaluate& evaluate);
  Result<SharedResult> RunShared(const QueryDescription& what, const QueryOptions& options,
                                 const Evaluate& evaluate, bool* joined) EXCLUDES(mu_);
  // `stats`: what it has cost.
  void Finish(const QueryDescription& what, const Result<SharedResult>& result,
              const QueryStats& stats, double seconds) EXCLUDES(mu_);

  Engine* const engine_;
  const QueryServiceOptions options_;
  Env* const env_;
  ActiveQueries active_;
  TopQueries top_;
  QueryLog log_;
  ResultCache cache_;

  mutable Mutex mu_;
  std::map<std::string, std::shared_ptr<Flight>> flights_ GUARDED_BY(mu_);
  QueryServiceStats stats_ GUARDED_BY(mu_);
};

}  // namespace tocsin::query
