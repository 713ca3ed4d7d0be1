// Commands: what other threads ask of main: reload, quit. Main is the only thread that starts,
// reloads and stops parts, so requests (HTTP) and signals (SIGHUP, SIGTERM, SIGINT) meet here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"

namespace tocsin::daemon {

// Thread-safe, but for Wait and Answer: main only.
class Commands {
 public:
  // Blocks SIGHUP, SIGTERM and SIGINT for this thread and those it starts: they arrive in Wait.
  // Call before any thread is started.
  Commands();
  ~Commands();
  Commands(const Commands&) = delete;
  Commands& operator=(const Commands&) = delete;

  // Asks main to reload and waits for the outcome; kUnavailable when the daemon is stopping.
  Status Reload() EXCLUDES(mu_);
  void Quit();

  enum class Kind : uint8_t { kReload, kQuit };
  // The next command. `*why` gets its reason for the log ("SIGHUP", "HTTP").
  Kind Wait(std::string* why) EXCLUDES(mu_);
  // Outcome of a reload, for all who have asked so far.
  void Answer(const Status& status) EXCLUDES(mu_);
  // Main has left its loop: every Reload, also later ones, is refused.
  void Close() EXCLUDES(mu_);

 private:
  struct Request {
    bool answered = false;
    Status status;
  };
  void Wake();

  const int signal_fd_;
  const int event_fd_;
  Mutex mu_;
  CondVar answered_;
  bool quit_ GUARDED_BY(mu_) = false;
  bool closed_ GUARDED_BY(mu_) = false;
  std::vector<std::shared_ptr<Request>> waiting_ GUARDED_BY(mu_);
};

}  // namespace tocsin::daemon
