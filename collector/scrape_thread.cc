#include "collector/scrape_thread.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "base/check.h"
#include "base/env.h"

namespace tocsin::collector {
namespace {

constexpr int64_t kNanosPerMs = 1'000'000;
constexpr int64_t kIdleMs = 10'000;

}  // namespace

ScrapeThread::ScrapeThread(std::string name, Env* env)
    : env_(env),
      wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      fetcher_(std::make_unique<HttpFetcher>(env, wake_fd_)) {
  CHECK(wake_fd_ >= 0);
  thread_ = Thread(std::move(name), [this] { Run(); });
}

ScrapeThread::~ScrapeThread() {
  Stop();
  fetcher_.reset();
  close(wake_fd_);
}

void ScrapeThread::Wake() {
  const uint64_t one = 1;
  // Full means that the thread has not yet read what woke it before.
  (void)!write(wake_fd_, &one, sizeof one);
}

void ScrapeThread::Post(std::function<void()> task) {
  {
    MutexLock lock(mu_);
    if (stopping_) return;
    tasks_.push_back(std::move(task));
  }
  Wake();
}

void ScrapeThread::Add(std::shared_ptr<TargetLoop> loop) {
  Post([this, loop = std::move(loop)] {
    if (loop->fate() != TargetLoop::Fate::kRuns) {
      if (loop->fate() == TargetLoop::Fate::kEnds) loop->End();
      return;
    }
    due_.push({loop->FirstDueNs(env_->NowMs(), env_->MonotonicNanos()), loop});
    loops_.emplace(loop.get(), loop);
    fetcher_->SetConnectionsMax(loops_.size());
  });
}

// Out of the thread's books, its fetch cancelled. False: it was not there.
bool ScrapeThread::Take(const std::shared_ptr<TargetLoop>& loop) {
  if (loops_.erase(loop.get()) == 0) return false;
  fetcher_->Cancel(loop.get());
  std::erase_if(in_flight_, [&](const Due& due) { return due.loop == loop; });
  fetcher_->SetConnectionsMax(loops_.size());
  return true;
}

void ScrapeThread::Remove(std::shared_ptr<TargetLoop> loop, bool end) {
  loop->SetFate(end ? TargetLoop::Fate::kEnds : TargetLoop::Fate::kReplaced);
  Post([this, loop = std::move(loop), end] {
    if (Take(loop) && end) loop->End();
  });
}

void ScrapeThread::Replace(std::shared_ptr<TargetLoop> old, std::shared_ptr<TargetLoop> loop,
                           ScrapeThread* thread) {
  old->SetFate(TargetLoop::Fate::kReplaced);
  Post([this, old = std::move(old), loop = std::move(loop), thread] {
    if (Take(old)) loop->Inherit(old->TakeSeries());
    thread->Add(loop);
  });
}

void ScrapeThread::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  Wake();
  if (thread_.joinable()) thread_.Join();
}

bool ScrapeThread::RunTasks() {
  uint64_t count = 0;
  (void)!read(wake_fd_, &count, sizeof count);
  std::vector<std::function<void()>> tasks;
  {
    MutexLock lock(mu_);
    if (stopping_) return false;
    tasks.swap(tasks_);
  }
  for (const auto& task : tasks) task();
  return true;
}

void ScrapeThread::StartDue() {
  const int64_t now_ns = env_->MonotonicNanos();
  while (!due_.empty() && due_.top().due_ns <= now_ns) {
    Due due = due_.top();
    due_.pop();
    if (!loops_.contains(due.loop.get())) continue;  // removed meanwhile
    if (due.loop->Start(fetcher_.get())) {
      in_flight_.push_back(std::move(due));
    } else {
      const int64_t next_ns = due.loop->NextDueNs(due.due_ns, env_->MonotonicNanos());
      due_.push({next_ns, std::move(due.loop)});
    }
  }
}

void ScrapeThread::Run() {
  while (RunTasks()) {
    StartDue();
    int64_t wait_ms = kIdleMs;
    if (!due_.empty()) {
      const int64_t wait_ns = due_.top().due_ns - env_->MonotonicNanos();
      wait_ms = std::clamp<int64_t>((wait_ns + kNanosPerMs - 1) / kNanosPerMs, 0, kIdleMs);
    }
    fetcher_->Poll(wait_ms);
    for (size_t i = 0; i < in_flight_.size();) {
      if (in_flight_[i].loop->running()) {
        ++i;
        continue;
      }
      Due done = std::move(in_flight_[i]);
      in_flight_[i] = std::move(in_flight_.back());
      in_flight_.pop_back();
      const int64_t next_ns = done.loop->NextDueNs(done.due_ns, env_->MonotonicNanos());
      due_.push({next_ns, std::move(done.loop)});
    }
  }
  for (const Due& due : in_flight_) fetcher_->Cancel(due.loop.get());
  in_flight_.clear();
}

}  // namespace tocsin::collector
