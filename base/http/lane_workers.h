// LaneWorkers: one lane's bounded queue and threads. Private to base/http. Thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/http/exchange.h"
#include "base/http/handler_runner.h"
#include "base/http/server.h"
#include "base/mutex.h"
#include "base/thread.h"

namespace tocsin::http {

class LaneWorkers {
 public:
  using MakeRunner = std::function<std::unique_ptr<HandlerRunner>()>;
  using Done = std::function<void(std::unique_ptr<Exchange>)>;  // called on the worker

  LaneWorkers(Lane lane, LaneOptions options, MakeRunner make_runner, Done done);
  ~LaneWorkers();  // Stop()

  void Start();
  // False, and the exchange stays with the caller, when the queue is full or stopped.
  bool TryEnqueue(std::unique_ptr<Exchange>* exchange);
  // Drops what waits, lets the running handlers finish, joins.
  void Stop();
  size_t queued() const;

 private:
  void Work(HandlerRunner* runner);

  const Lane lane_;
  const LaneOptions options_;
  const MakeRunner make_runner_;
  const Done done_;
  std::vector<std::unique_ptr<HandlerRunner>> runners_;
  std::vector<Thread> threads_;

  mutable Mutex mu_;
  CondVar ready_;
  std::deque<std::unique_ptr<Exchange>> queue_ GUARDED_BY(mu_);
  bool stopped_ GUARDED_BY(mu_) = false;
};

}  // namespace tocsin::http
