// Engine: answers PromQL over a model::Queryable. Parse → plan → select → vectorised evaluation
// over batches of (series × steps) → value. Thread-safe: one engine serves all queries of the
// daemon, on its own pool of threads.
//
//   Engine engine(options);
//   Result<QueryResult> r = engine.Instant(store, "sum by (job) (up)", now_ms, {});
//
// Errors by code: kInvalidArgument: does not parse or type-check, or bad step/range ("1:3: parse
// error: …", bare); kExecution: failed while running (many-to-many matching, too many samples, …);
// kDeadlineExceeded: timeout; kCancelled: stopped by a probe; kResourceExhausted: memory budget;
// others: from the store.
//
// Lanes. Users' queries may hold 7/8 of the memory budget together, and a single one half of that;
// the rest is the rules', who also have a helper thread of their own, so that no flood of questions
// makes an alert late. Users' helper threads are nicer than everybody else (kUserQueryNice).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/budget.h"
#include "base/status.h"
#include "model/storage.h"
#include "query/language_options.h"
#include "query/value.h"

namespace tocsin::query {

struct EngineOptions {
  LanguageOptions language;
  int64_t lookback_delta_ms = 5 * 60 * 1000;
  int64_t default_subquery_step_ms = 60 * 1000;  // `[5m:]`: the global evaluation interval
  int64_t timeout_ms = 2 * 60 * 1000;
  int64_t max_samples = 50'000'000;
  int64_t memory_budget_bytes = int64_t{4} << 30;  // of all running queries together
  int threads = 0;                                 // 0: one per core
};

enum class QueryLane : uint8_t { kUser, kRules };

// Of threads that answer users' questions; the rest of the daemon (scrapes, rules, the log) has 0.
inline constexpr int kUserQueryNice = 10;

// What another thread may see and do while a query runs. Numbers are of the last batch.
struct QueryProbe {
  std::atomic<bool> cancel = false;
  std::atomic<uint64_t> memory_bytes = 0;
  std::atomic<int64_t> samples_read = 0;
  // Once it has ended: what it had cost if it failed. For who started it.
  QueryStats failed;
};

struct QueryOptions {
  int64_t lookback_delta_ms = 0;  // 0: the engine's
  int64_t timeout_ms = 0;         // 0: the engine's; never above it
  bool per_step_stats = false;
  bool explain = false;  // QueryResult::plan tells what each node of the plan did
  QueryLane lane = QueryLane::kUser;
  const std::atomic<bool>* cancel = nullptr;  // set by another thread to stop the query
  std::function<bool()> stopped{};            // the same, asked; thread-safe. May be empty
  double queue_seconds = 0;                   // waited already; goes into the stats
  QueryProbe* probe = nullptr;
};

struct EngineMemory {
  uint64_t used_bytes = 0;
  uint64_t peak_bytes = 0;
  uint64_t limit_bytes = 0;
};

class Engine {
 public:
  explicit Engine(const EngineOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const EngineOptions& options() const;
  EngineMemory memory() const;  // of all queries, and of results that are still held

  // What else answers users by series (label calls, federation) is bounded as one of their queries
  // is. The engine outlives it.
  std::unique_ptr<Budget> NewRequestBudget() const;
  // Charges users with a result that was put together elsewhere; what comes back holds the charge.
  Result<std::shared_ptr<const void>> ChargeResult(const Value& value) const;

  // Scalar, String, Vector, or (for a range selector) Matrix.
  Result<QueryResult> Instant(const model::Queryable& store, std::string_view query,
                              model::Timestamp time_ms, const QueryOptions& options);
  // Always a Matrix, sorted by labels. Points are start, start + step, … ≤ end.
  Result<QueryResult> Range(const model::Queryable& store, std::string_view query,
                            model::Timestamp start_ms, model::Timestamp end_ms, int64_t step_ms,
                            const QueryOptions& options);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::query
