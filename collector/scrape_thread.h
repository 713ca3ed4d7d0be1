// ScrapeThread: one of the `scrape-N` threads. Runs its target loops at their due times, all
// fetches at once, parsing and appending in between.
//
// Add and Remove are thread-safe and take effect soon; everything else happens on the thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "base/thread.h"
#include "collector/http_fetcher.h"
#include "collector/target_loop.h"

namespace tocsin::collector {

class ScrapeThread {
 public:
  ScrapeThread(std::string name, Env* env);
  ~ScrapeThread();  // stops
  ScrapeThread(const ScrapeThread&) = delete;
  ScrapeThread& operator=(const ScrapeThread&) = delete;

  void Add(std::shared_ptr<TargetLoop> loop);
  // `end`: the target is gone for good and gets staleness markers.
  void Remove(std::shared_ptr<TargetLoop> loop, bool end);
  // The target of `old`, a loop of this thread, goes on as `loop` on `thread`.
  void Replace(std::shared_ptr<TargetLoop> old, std::shared_ptr<TargetLoop> loop,
               ScrapeThread* thread);
  // Runs `task` on the thread.
  void Post(std::function<void()> task);
  // Drops what is in flight and joins. Idempotent.
  void Stop();

 private:
  struct Due {
    int64_t due_ns;
    std::shared_ptr<TargetLoop> loop;
    bool operator>(const Due& other) const { return due_ns > other.due_ns; }
  };
  bool Take(const std::shared_ptr<TargetLoop>& loop);
  void Run();
  bool RunTasks();  // false: stop
  void StartDue();
  void Wake();

  Env* const env_;
  const int wake_fd_;
  std::unique_ptr<HttpFetcher> fetcher_;
  Thread thread_;

  // Of the thread.
  std::unordered_map<TargetLoop*, std::shared_ptr<TargetLoop>> loops_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::vector<Due> in_flight_;

  Mutex mu_;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::vector<std::function<void()>> tasks_ GUARDED_BY(mu_);
};

}  // namespace tocsin::collector
