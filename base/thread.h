// Thread: the only way a thread of Tocsin is born, so that all are named (visible in `top -H`),
// counted, and end the process loudly when a library exception escapes: a half-alive monitor is
// worse than a restarted one.
//
//   Thread wal_writer("wal-write", [this] { Run(); });
//   …stop flag…; wal_writer.Join();
#pragma once

#include <pthread.h>

#include <cstddef>
#include <functional>
#include <string>
#include <utility>

#include "base/status.h"

namespace tocsin {

struct ThreadOptions {
  // Added to the process' niceness: a thread of 10 gets a ninth of what one of 0 gets where both
  // want the same core, and all of an idle one.
  int nice = 0;
  size_t stack_bytes = 0;  // address space, taken page by page as it is used; 0: the system's
};

class Thread {
 public:
  Thread() = default;
  // `name`: at most 15 characters reach the kernel. Names are listed in DESIGN's thread table
  // (ARCHITECTURE.md).
  Thread(std::string name, std::function<void()> body, const ThreadOptions& options = {});
  // The same, where not getting a thread is no reason to end the process (a huge stack).
  static Result<Thread> TryStart(std::string name, std::function<void()> body,
                                 const ThreadOptions& options);
  ~Thread();  // CHECKs that it was joined
  Thread(Thread&& other) noexcept
      : thread_(other.thread_), joinable_(std::exchange(other.joinable_, false)) {}
  // Precondition: this one is not running (or was joined).
  Thread& operator=(Thread&& other) noexcept;

  bool joinable() const { return joinable_; }
  void Join();

  // Threads of ours that are alive now.
  static int LiveCount();

 private:
  pthread_t thread_{};
  bool joinable_ = false;
};

}  // namespace tocsin
