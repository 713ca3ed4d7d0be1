// Mutex, MutexLock and CondVar: std::mutex with Clang's thread-safety annotations, so that
// `-Wthread-safety` (the clang preset) proves that every GUARDED_BY member is only touched under
// its lock. Lock order is written in ARCHITECTURE.md.
//
//   class Queue {
//     void Push(int v) { MutexLock lock(mu_); items_.push_back(v); ready_.NotifyOne(); }
//     Mutex mu_;
//     CondVar ready_;
//     std::deque<int> items_ GUARDED_BY(mu_);
//   };
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define TOCSIN_TSA(x) __attribute__((x))
#else
#define TOCSIN_TSA(x)
#endif

#define CAPABILITY(name) TOCSIN_TSA(capability(name))
#define SCOPED_CAPABILITY TOCSIN_TSA(scoped_lockable)
#define GUARDED_BY(mu) TOCSIN_TSA(guarded_by(mu))
#define PT_GUARDED_BY(mu) TOCSIN_TSA(pt_guarded_by(mu))
#define REQUIRES(...) TOCSIN_TSA(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) TOCSIN_TSA(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) TOCSIN_TSA(acquire_capability(__VA_ARGS__))
#define RELEASE(...) TOCSIN_TSA(release_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) TOCSIN_TSA(try_acquire_capability(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS TOCSIN_TSA(no_thread_safety_analysis)

namespace tocsin {

class CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ACQUIRE() { mu_.lock(); }
  void Unlock() RELEASE() { mu_.unlock(); }
  bool TryLock() TRY_ACQUIRE(true) { return mu_.try_lock(); }

 private:
  friend class CondVar;
  std::mutex mu_;
};

class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mu) ACQUIRE(mu) : mu_(mu) { mu_.Lock(); }
  ~MutexLock() RELEASE() { mu_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mu_;
};

// Wait in a loop: `while (!ready_flag_) cv_.Wait(mu_);`
class CondVar {
 public:
  void Wait(Mutex& mu) REQUIRES(mu) {
    std::unique_lock<std::mutex> lock(mu.mu_, std::adopt_lock);
    cv_.wait(lock);
    lock.release();
  }
  // False when `timeout` passed first.
  bool WaitFor(Mutex& mu, std::chrono::milliseconds timeout) REQUIRES(mu) {
    std::unique_lock<std::mutex> lock(mu.mu_, std::adopt_lock);
    const bool woken = cv_.wait_for(lock, timeout) == std::cv_status::no_timeout;
    lock.release();
    return woken;
  }
  void NotifyOne() { cv_.notify_one(); }
  void NotifyAll() { cv_.notify_all(); }

 private:
  std::condition_variable cv_;
};

}  // namespace tocsin
