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
  // Called from Apply or on the `discover` thread, one call at a time and in order; must not call
  // back into Discovery.
  using OnChange = std::function<void(const std::string& name, const TargetGroupList& groups)>;

  Discovery(Env* env, OnChange on_change);
  ~Discovery();  // stops

  // Replaces the whole set. Static groups and readable files are published before it returns, so a
  // start needs no waiting. A name whose configuration did not change keeps its state and is
  // published again (its consumer may be new); names that are gone are not called again.
  void Apply(const std::map<std::string, DiscoveryConfig>& configs);
  // Starts the `discover` thread (tests call PollOnce instead).
  void Start();
  void Stop();

  // One round: polls what is due at `now_ms`; milliseconds until the next one is due.
  int64_t PollOnce(int64_t now_ms);

  // Complaints of providers by name: for the status pages.
  std::map<std::string, std::vector<std::string>> Errors() const;

 private:
  struct Running {
    std::unique_ptr<Provider> provider;
    int64_t next_ms = 0;
  };
  struct Job {
    DiscoveryConfig config;
    std::vector<Running> providers;
  };
  void Run();
  bool PollJob(int64_t now_ms, Job* job);
  void Publish(const std::string& name, const Job& job);

  static constexpr int64_t kIdleMs = 60 * 1000;

  Env* const env_;
  const OnChange on_change_;
  Thread thread_;

  // Held for a whole round, file reads and callbacks included: only pollers and Apply wait for it.
  Mutex poll_mu_;
  std::map<std::string, std::unique_ptr<Job>> jobs_ GUARDED_BY(poll_mu_);

  mutable Mutex mu_;  // after poll_mu_
  CondVar wake_;
  bool stopping_ GUARDED_BY(mu_) = false;
  bool changed_ GUARDED_BY(mu_) = false;  // by Apply: the thread must look at its due times anew
  std::map<std::string, std::vector<std::string>> errors_ GUARDED_BY(mu_);
};

}  // namespace tocsin::discovery
