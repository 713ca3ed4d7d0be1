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
               bool instant, Budget* budget, uint64_t memory_max, WorkerPool* worker_pool);
  QueryContext(const QueryContext&) = delete;
  QueryContext& operator=(const QueryContext&) = delete;

  // kCancelled or kDeadlineExceeded when the query must stop. Asked between batches, and then also
  // tells the probe how far it is.
  Status CheckRunning() const;

  // Charges the arrays that operators keep by step (times, windows, scalars) before a plan over
  // `steps` is made. More steps than samples allowed cannot give an answer either.
  Status ReserveSteps(size_t steps);

  // The series of one selector; equal selections of a query are made once.
  Result<std::shared_ptr<const model::SeriesSelection>> Select(const model::MatcherSet& matchers,
                                                               model::TimeRange range,
                                                               const model::SelectHints& hints);

  // Once everything is read: what the selections were answered from, and a warning about those of
  // which rollups are all that is left.
  std::string ReportResolution();

  // Samples used by one series at each step of `at`; by step only on the query's own grid.
  // samples_at(step) is asked for when per-step numbers are wanted, `total` counts always.
  template <typename SamplesAt>
  void CountQueryable(const Grid& at, int64_t total, const SamplesAt& samples_at) {
    queryable_samples.fetch_add(total, std::memory_order_relaxed);
    if (samples_per_step.empty() || !(at == grid)) return;
    for (size_t t = 0; t < at.count; ++t) {
      samples_per_step[t].fetch_add(static_cast<int64_t>(samples_at(t)), std::memory_order_relaxed);
    }
  }

  // Samples decoded from storage, by the node that this thread works in (profile.h).
  void CountRead(int64_t count);

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
  std::atomic<int64_t> helper_cpu_nanos = 0;  // of threads other than the one that asked
  std::atomic<bool> histograms_read = false;
  std::vector<std::atomic<int64_t>> samples_per_step;  // empty unless asked for

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  const std::atomic<bool>* const cancel_;
  const std::function<bool()> stopped_;
  QueryProbe* const probe_;
  const SteadyTime deadline_;

  MemoryCharge step_arrays_;  // planning is done by one thread
  uint64_t steps_reserved_ = 0;

  Mutex mu_;
  std::map<std::string, std::shared_ptr<const model::SeriesSelection>> selections_ GUARDED_BY(mu_);
  std::vector<MemoryCharge> selection_charges_ GUARDED_BY(mu_);
};

// For loops that may go on for long between two batches: asks whether the query may run on after
// every kItems samples looked at.
class RunningPoll {
 public:
  explicit RunningPoll(const QueryContext& context) : context_(&context) {}

  Status LookedAt(size_t items) {
    items_ += items;
    if (items_ < kItems) [[likely]]
      return Status::Ok();
    items_ = 0;
    return context_->CheckRunning();
  }

 private:
  static constexpr size_t kItems = 50'000;

  const QueryContext* context_;
  size_t items_ = 0;
};

}  // namespace tocsin::query
