// QueryLog: one JSON line a query, in the format of Prometheus' query log
// (`global.query_log_file`):
//   {"time":…,"level":"INFO","source":"query_log","msg":"promql query logged",
//    "params":{"end":…,"query":…,"start":…,"step":60},"error":…?,"stats":{…},
//    "httpRequest":{"clientIP":…,"method":…,"path":…} or "ruleGroup":{"file":…,"name":…}}
//
// Queries never wait for the disk: lines are queued, the thread `query-log` writes them. What does
// not fit into the queue is dropped and counted. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "base/env.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "query/active_queries.h"

namespace tocsin::query {

// A query that has ended.
struct FinishedQuery {
  const QueryDescription& description;
  const QueryStats& stats;
  const Status& status;
  int64_t now_ms = 0;
};

std::string QueryLogLine(const FinishedQuery& query);

// {"timings":{…},"samples":{…}} of the API and the log.
void AppendQueryStats(const QueryStats& stats, bool per_step, std::string* out);

class QueryLog {
 public:
  explicit QueryLog(Env* env);
  ~QueryLog();
  QueryLog(const QueryLog&) = delete;
  QueryLog& operator=(const QueryLog&) = delete;

  // Goes on in another file, or in none (""). The same path is opened anew (log rotation). When it
  // cannot be opened, the log stays as it was.
  Status Open(const std::string& path) EXCLUDES(mu_, file_mu_);
  bool enabled() const { return enabled_.load(std::memory_order_relaxed); }
  void Write(const FinishedQuery& query) EXCLUDES(mu_);
  // Waits until what was queued is written (tests, the end).
  void Flush() EXCLUDES(mu_);

  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kQueuedBytesMax = size_t{8} << 20;

  void Run() EXCLUDES(mu_, file_mu_);
  void Append(const std::deque<std::string>& lines) EXCLUDES(file_mu_);

  Env* const env_;
  std::atomic<bool> enabled_ = false;
  std::atomic<uint64_t> dropped_ = 0;
  std::atomic<uint64_t> failures_ = 0;

  Mutex mu_;
  CondVar work_;
  CondVar idle_;
  std::deque<std::string> queue_ GUARDED_BY(mu_);
  size_t queued_bytes_ GUARDED_BY(mu_) = 0;
  bool writing_ GUARDED_BY(mu_) = false;
  bool stopping_ GUARDED_BY(mu_) = false;

  Mutex file_mu_;  // held during I/O; nobody but the thread and Open takes it
  std::unique_ptr<WritableFile> file_ GUARDED_BY(file_mu_);
  Thread thread_;
};

}  // namespace tocsin::query
