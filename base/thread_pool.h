// ThreadPool: a fixed number of named threads ("query-0", "query-1", …) over one bounded queue.
// Thread-safe.
//
//   ThreadPool pool("query", 2, 64);
//   TOCSIN_RETURN_IF_ERROR(pool.Post([…] { … }));   // kResourceExhausted when 64 are waiting
//   pool.Stop();                                    // or the destructor
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "base/thread.h"

namespace tocsin {

class ThreadPool {
 public:
  ThreadPool(const std::string& name, int threads, size_t queue_max,
             const ThreadOptions& options = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Runs `task` on one of the threads. kResourceExhausted when the queue is full, kUnavailable
  // after Stop; the task is then not run.
  Status Post(std::function<void()> task);
  // Runs what was posted, then ends the threads. Idempotent.
  void Stop();

  size_t queued();
  int running();

 private:
  void Run();

  const std::string name_;
  const size_t queue_max_;
  Mutex mu_;
  CondVar work_;
  std::deque<std::function<void()>> queue_ GUARDED_BY(mu_);
  int running_ GUARDED_BY(mu_) = 0;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::vector<Thread> threads_;  // started by the constructor, joined by the first Stop
};

}  // namespace tocsin
