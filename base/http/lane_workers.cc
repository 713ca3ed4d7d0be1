#include "base/http/lane_workers.h"

#include <utility>

namespace tocsin::http {

LaneWorkers::LaneWorkers(Lane lane, LaneOptions options, MakeRunner make_runner, Done done)
    : lane_(lane),
      options_(options),
      make_runner_(std::move(make_runner)),
      done_(std::move(done)) {}

LaneWorkers::~LaneWorkers() { Stop(); }

void LaneWorkers::Start() {
  for (int i = 0; i < options_.threads; ++i) {
    runners_.push_back(make_runner_());
    HandlerRunner* runner = runners_.back().get();
    threads_.emplace_back(
        "http-" + std::string(LaneName(lane_)) + "-" + std::to_string(i),
        [this, runner] { Work(runner); }, ThreadOptions{.nice = options_.nice});
  }
}

bool LaneWorkers::TryEnqueue(std::unique_ptr<Exchange>* exchange) {
  {
    MutexLock lock(mu_);
    if (stopped_ || queue_.size() >= options_.queue_max) return false;
    queue_.push_back(std::move(*exchange));
  }
  ready_.NotifyOne();
  return true;
}

void LaneWorkers::Stop() {
  std::deque<std::unique_ptr<Exchange>> dropped;
  {
    MutexLock lock(mu_);
    stopped_ = true;
    dropped.swap(queue_);
  }
  ready_.NotifyAll();
  for (Thread& thread : threads_) thread.Join();
  threads_.clear();
}

size_t LaneWorkers::queued() const {
  MutexLock lock(mu_);
  return queue_.size();
}

void LaneWorkers::Work(HandlerRunner* runner) {
  while (true) {
    std::unique_ptr<Exchange> exchange;
    {
      MutexLock lock(mu_);
      while (queue_.empty() && !stopped_) ready_.Wait(mu_);
      if (stopped_) return;
      exchange = std::move(queue_.front());
      queue_.pop_front();
    }
    runner->Run(exchange.get());
    done_(std::move(exchange));
  }
}

}  // namespace tocsin::http
