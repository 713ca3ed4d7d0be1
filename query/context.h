// QueryContext: everything that the operators of one running query share. Thread-safe as far as its
// parts are.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "model/storage.h"
#include "query/annotations.h"
#include "query/budget.h"
#include "query/engine.h"
#include "query/operators/batch.h"
#include "query/worker_pool.h"

namespace tocsin::query {

class QueryContext {
 public:
  QueryContext(const EngineOptions& engine_options, const QueryOptions& query_options,
               std::string_view query_text, const Grid& query_grid, model::Timestamp end_ms,
               bool instant, Budget* budget, WorkerPool* worker_pool);
  QueryContext(const QueryContext&) = delete;
  QueryContext& operator=(const QueryContext&) = delete;

  // kCancelled or kDeadlineExceeded when the query must stop. Asked between batches.
  Status CheckRunning() const;

  // The series of one selector; equal selections of a query are made once.
  Result<std::shared_ptr<const model::SeriesSelection>> Select(const model::MatcherSet& matchers,
                                                               model::TimeRange range,
                                                               const model::SelectHints& hints);

  // Samples used at a step of the query's own grid.
  void CountQueryable(int64_t count) {
    queryable_samples.fetch_add(count, std::memory_order_relaxed);
  }

  const EngineOptions& options;
  const LanguageOptions& language;
  const std::string_view text;
  const Grid grid;                      // of the query as a whole: start(), end(), step()
  const model::Timestamp range_end_ms;  // end(): as asked for, perhaps between two steps
  const bool is_instant;
  const int64_t lookback_delta_ms;
  WorkerPool* const pool;
  std::unique_ptr<model::Snapshot> snapshot;

  Budget memory;
  SampleBudget samples;
  AnnotationSink annotations;
  std::atomic<int64_t> queryable_samples = 0;
  std::atomic<int64_t> samples_read = 0;

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  const std::atomic<bool>* const cancel_;
  const SteadyTime deadline_;

  Mutex mu_;
  std::map<std::string, std::shared_ptr<const model::SeriesSelection>> selections_ GUARDED_BY(mu_);
};

}  // namespace tocsin::query
