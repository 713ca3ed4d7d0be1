// WorkerPool: helper threads that the queries of a lane share (`query-N`; `query-rules-N`). A query
// is always driven by the thread that asked; pool threads only help, so that a busy pool slows a
// query down but never blocks it, and nested Run calls cannot deadlock. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/thread_pool.h"

namespace tocsin::query {

class WorkerPool {
 public:
  // `threads`: those of the pool, besides the callers'. 0 is fine: everything runs in the caller.
  WorkerPool(const std::string& name, int threads, int nice);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Calls `body` in this thread and, as far as pool threads are idle, in up to `helpers` of them at
  // once; returns when every started call has returned. `body` takes its own pieces of work, e.g.
  // from an atomic counter, and must not throw.
  void Run(int helpers, const std::function<void()>& body);

 private:
  const int threads_;
  std::unique_ptr<ThreadPool> pool_;  // null without threads
};

}  // namespace tocsin::query
