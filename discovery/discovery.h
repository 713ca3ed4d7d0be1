// Discovery: runs the providers of every job on one thread (`discover`) and hands each job's target
// groups on whenever they change.
//
//   Discovery discovery(env, [&](const std::string& job, const auto& groups) {…});
//   discovery.Apply({{"node", config.discovery}, …});    // also at reload; unchanged jobs keep
//   state discovery.Stop();
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/thread.h"
#include "discovery/provider.h"

namespace tocsin {
class Env;
}

namespace tocsin::discovery {

// Immutable once published.
using TargetGroupList = std::vector<TargetGroup>;

// Thread-safe.
class Discovery {
 public:
  // Called on the `discover` thread (from Apply for what is known at once), without locks held.
  using OnChange = std::function<void(const std::string& name, const TargetGroupList& groups)>;

  Discovery(Env* env, OnChange on_change);
  ~Discovery();

  // Replaces the whole set. Static groups and readable files are published before it returns, so a
  // start needs no waiting; names that are gone are not called again.
  void Apply(const std::map<std::string, DiscoveryConfig>& configs);
  // Starts the `discover` thread (tests call PollOnce instead).
  void Start();
  void Stop();

  // One round: polls what is due at `now_ms`; milliseconds until the next one is due.
  int64_t PollOnce(int64_t now_ms);

  // Complaints of providers by name ("" removed): for the status pages.
  std::map<std::string, std::vector<std::string>> Errors() const;

 private:
  struct Job;
  void Run();

  Env* const env_;
  const OnChange on_change_;
  mutable Mutex mu_;
  CondVar wake_;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::map<std::string, std::unique_ptr<Job>> jobs_ GUARDED_BY(mu_);
  Thread thread_;
};

}  // namespace tocsin::discovery
