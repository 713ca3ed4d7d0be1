// Thread: the only way a thread of Tocsin is born, so that all are named (visible in `top -H`),
// counted, and end the process loudly when a library exception escapes: a half-alive monitor is
// worse than a restarted one.
//
//   Thread wal_writer("wal-write", [this] { Run(); });
//   …stop flag…; wal_writer.Join();
#pragma once

#include <functional>
#include <string>
#include <thread>

namespace tocsin {

class Thread {
 public:
  Thread() = default;
  // `name`: at most 15 characters reach the kernel. Names are listed in DESIGN's thread table
  // (ARCHITECTURE.md).
  Thread(std::string name, std::function<void()> body);
  ~Thread();  // CHECKs that it was joined
  Thread(Thread&&) = default;
  Thread& operator=(Thread&&) = default;

  bool joinable() const { return thread_.joinable(); }
  void Join();

  // Threads of ours that are alive now.
  static int LiveCount();

 private:
  std::thread thread_;
};

}  // namespace tocsin
