#include "base/thread_pool.h"

#include <utility>

namespace tocsin {

ThreadPool::ThreadPool(const std::string& name, int threads, size_t queue_max,
                       const ThreadOptions& options)
    : name_(name), queue_max_(queue_max) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back(name + "-" + std::to_string(i), [this] { Run(); }, options);
  }
}

ThreadPool::~ThreadPool() { Stop(); }

Status ThreadPool::Post(std::function<void()> task) {
  MutexLock lock(mu_);
  if (stopping_) return Status(Code::kUnavailable, name_ + " threads are stopping");
  if (queue_.size() >= queue_max_) {
    return Status(Code::kResourceExhausted, "queue of the " + name_ + " threads is full (" +
                                                std::to_string(queue_max_) + ")");
  }
  queue_.push_back(std::move(task));
  work_.NotifyOne();
  return Status::Ok();
}

void ThreadPool::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    work_.NotifyAll();
  }
  for (Thread& thread : threads_) thread.Join();
}

size_t ThreadPool::queued() {
  MutexLock lock(mu_);
  return queue_.size();
}

int ThreadPool::running() {
  MutexLock lock(mu_);
  return running_;
}

void ThreadPool::Run() {
  while (true) {
    std::function<void()> task;
    {
      MutexLock lock(mu_);
      while (queue_.empty() && !stopping_) work_.Wait(mu_);
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
      ++running_;
    }
    task();
    task = nullptr;  // what it captured dies before it counts as done
    MutexLock lock(mu_);
    --running_;
  }
}

}  // namespace tocsin
