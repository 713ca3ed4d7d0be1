#include "query/worker_pool.h"

#include <algorithm>

#include "base/mutex.h"

namespace tocsin::query {
namespace {

// Helpers that wait for a thread; a query that is refused one does without.
constexpr size_t kWaitingHelpersMax = 1024;

// Outlives the Run that made it when a helper comes too late.
class HelpedRun {
 public:
  explicit HelpedRun(const std::function<void()>* body) : body_(body) {}

  void Help() {
    {
      MutexLock lock(mu_);
      if (closed_) return;
      ++running_;
    }
    (*body_)();
    MutexLock lock(mu_);
    if (--running_ == 0) idle_.NotifyAll();
  }
  // No helper begins after this; returns when those that did have ended.
  void Close() {
    MutexLock lock(mu_);
    closed_ = true;
    while (running_ > 0) idle_.Wait(mu_);
  }

 private:
  const std::function<void()>* const body_;  // valid until Close has returned
  Mutex mu_;
  CondVar idle_;
  int running_ GUARDED_BY(mu_) = 0;
  bool closed_ GUARDED_BY(mu_) = false;
};

}  // namespace

WorkerPool::WorkerPool(const std::string& name, int threads, int nice) : threads_(threads) {
  if (threads <= 0) return;
  pool_ =
      std::make_unique<ThreadPool>(name, threads, kWaitingHelpersMax, ThreadOptions{.nice = nice});
}

void WorkerPool::Run(int helpers, const std::function<void()>& body) {
  helpers = std::min(helpers, threads_);
  if (helpers <= 0) {
    body();
    return;
  }
  const auto run = std::make_shared<HelpedRun>(&body);
  for (int i = 0; i < helpers; ++i) {
    if (!pool_->Post([run] { run->Help(); }).ok()) break;
  }
  body();
  run->Close();
}

}  // namespace tocsin::query
