// Periodic: a thread that does something at an interval, or sooner when woken.
//
// Thread contract: Start and Stop from one thread; Wake from any.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "base/mutex.h"
#include "base/thread.h"

namespace tocsin::tsdb {

class Periodic {
 public:
  void Start(std::string name, int64_t interval_ms, std::function<void()> work) {
    thread_ = Thread(std::move(name), [this, interval_ms, work = std::move(work)] {
      while (Wait(interval_ms)) work();
    });
  }
  void Wake() {
    MutexLock lock(mutex_);
    woken_ = true;
    changed_.NotifyAll();
  }
  void Stop() {
    {
      MutexLock lock(mutex_);
      stop_ = true;
      changed_.NotifyAll();
    }
    if (thread_.joinable()) thread_.Join();
  }

 private:
  bool Wait(int64_t interval_ms) {
    MutexLock lock(mutex_);
    if (!woken_ && !stop_) changed_.WaitFor(mutex_, std::chrono::milliseconds(interval_ms));
    woken_ = false;
    return !stop_;
  }

  Mutex mutex_;
  CondVar changed_;
  bool woken_ GUARDED_BY(mutex_) = false;
  bool stop_ GUARDED_BY(mutex_) = false;
  Thread thread_;
};

}  // namespace tocsin::tsdb
