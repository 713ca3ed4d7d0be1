#include "discovery/discovery.h"

#include <algorithm>
#include <chrono>

#include "base/env.h"
#include "discovery/file.h"
#include "discovery/static.h"

namespace tocsin::discovery {

Discovery::Discovery(Env* env, OnChange on_change) : env_(env), on_change_(std::move(on_change)) {}

Discovery::~Discovery() { Stop(); }

bool Discovery::PollJob(int64_t now_ms, Job* job) {
  bool changed = false;
  for (Running& running : job->providers) {
    if (running.next_ms > now_ms) continue;
    if (running.provider->Poll(now_ms)) changed = true;
    const int64_t interval_ms = running.provider->poll_interval_ms();
    running.next_ms = interval_ms == 0 ? INT64_MAX : now_ms + interval_ms;
  }
  return changed;
}

void Discovery::Publish(const std::string& name, const Job& job) {
  TargetGroupList groups;
  for (const Running& running : job.providers) {
    const auto& some = running.provider->groups();
    groups.insert(groups.end(), some.begin(), some.end());
  }
  on_change_(name, groups);
}

void Discovery::Apply(const std::map<std::string, DiscoveryConfig>& configs) {
  MutexLock lock(poll_mu_);
  std::map<std::string, std::unique_ptr<Job>> old = std::move(jobs_);
  jobs_.clear();
  const int64_t now_ms = env_->NowMs();
  for (const auto& [name, config] : configs) {
    auto it = old.find(name);
    if (it != old.end() && it->second->config == config) {
      jobs_[name] = std::move(it->second);
    } else {
      auto job = std::make_unique<Job>();
      job->config = config;
      if (!config.static_targets.groups.empty()) {
        job->providers.push_back({std::make_unique<StaticProvider>(config.static_targets), 0});
      }
      for (const FileConfig& files : config.files) {
        job->providers.push_back({std::make_unique<FileProvider>(env_, files), 0});
      }
      jobs_[name] = std::move(job);
    }
    PollJob(now_ms, jobs_[name].get());
    Publish(name, *jobs_[name]);
  }
  MutexLock state(mu_);
  changed_ = true;
  wake_.NotifyAll();
}

int64_t Discovery::PollOnce(int64_t now_ms) {
  MutexLock lock(poll_mu_);
  int64_t next_ms = now_ms + kIdleMs;
  std::map<std::string, std::vector<std::string>> errors;
  for (const auto& [name, job] : jobs_) {
    if (PollJob(now_ms, job.get())) Publish(name, *job);
    for (const Running& running : job->providers) {
      next_ms = std::min(next_ms, running.next_ms);
      if (const std::string& error = running.provider->last_error(); !error.empty()) {
        errors[name].push_back(error);
      }
    }
  }
  MutexLock state(mu_);
  errors_ = std::move(errors);
  return std::max<int64_t>(next_ms - now_ms, 1);
}

std::map<std::string, std::vector<std::string>> Discovery::Errors() const {
  MutexLock lock(mu_);
  return errors_;
}

void Discovery::Start() {
  thread_ = Thread("discover", [this] { Run(); });
}

void Discovery::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.Join();
}

void Discovery::Run() {
  while (true) {
    const int64_t wait_ms = PollOnce(env_->NowMs());
    MutexLock lock(mu_);
    if (!stopping_ && !changed_) wake_.WaitFor(mu_, std::chrono::milliseconds(wait_ms));
    changed_ = false;
    if (stopping_) return;
  }
}

}  // namespace tocsin::discovery
