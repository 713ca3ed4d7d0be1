// App: the daemon's parts, constructed, wired, started, reloaded and stopped. The only place that
// knows the concrete types of all folders: reading app.cc top to bottom is the data-flow diagram.
//
// Thread contract: Create, Start, Reload, Stop by main only.
#pragma once

#include <memory>

#include "base/status.h"
#include "daemon/flags.h"

namespace tocsin::daemon {

class Commands;

class App {
 public:
  // Reads the configuration, opens storage (replays the log) and makes every part; nothing runs or
  // listens yet.
  static Result<std::unique_ptr<App>> Create(const ServeFlags& flags, Commands* commands);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // Listens, scrapes, evaluates. When it fails, call Stop.
  Status Start();
  // Reads configuration, rule files and the notifier's file anew: all of it takes effect, or none.
  Status Reload();
  // Everything ends in the opposite order; storage is flushed. Idempotent.
  void Stop();

 private:
  struct Parts;
  explicit App(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace tocsin::daemon
