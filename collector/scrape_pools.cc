#include "collector/scrape_pools.h"

#include <algorithm>
#include <set>
#include <thread>
#include <unordered_map>

#include "base/log.h"
#include "base/mutex.h"
#include "collector/scrape_thread.h"
#include "collector/target_loop.h"

namespace tocsin::collector {
namespace {

struct Running {
  std::shared_ptr<TargetLoop> loop;
  ScrapeThread* thread;
};

// Two configs that make the same scrapes: how targets are found does not matter.
bool SameScrapes(const ScrapeConfig& a, const ScrapeConfig& b) {
  ScrapeConfig other = b;
  other.discovery = a.discovery;
  return a == other;
}

}  // namespace

struct ScrapePools::Impl {
  // The targets of one job.
  struct Pool {
    std::shared_ptr<const ScrapeConfig> config;
    discovery::TargetGroupList groups;
    std::unordered_map<uint64_t, Running> targets;  // by Target::Hash
    std::vector<model::Labels> dropped;
    uint64_t dropped_count = 0;
    std::set<std::string> complaints;  // logged already
  };

  void Sync(Pool* pool, bool renew);
  void RemoveAll(Pool* pool);
  std::unordered_map<uint64_t, std::shared_ptr<Target>> WantedTargets(Pool* pool);

  ScrapeContext context;
  mutable Mutex mu;
  std::vector<std::unique_ptr<ScrapeThread>> threads;  // fixed after construction
  std::map<std::string, Pool> pools GUARDED_BY(mu);
  Mutex visited_mu;
  std::unordered_map<const PageShape*, std::weak_ptr<const PageShape>> visited
      GUARDED_BY(visited_mu);
};

ScrapePools::ScrapePools(Env* env, model::Appender* appender, ScrapePoolsOptions options)
    : impl_(std::make_unique<Impl>()) {
  impl_->context.env = env;
  impl_->context.appender = appender;
  impl_->context.user_agent = options.user_agent;
  impl_->context.default_body_bytes_max = options.default_body_bytes_max;
  const int count = options.threads > 0
                        ? options.threads
                        : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  for (int i = 0; i < count; ++i) {
    impl_->threads.push_back(std::make_unique<ScrapeThread>("scrape-" + std::to_string(i), env));
  }
}

ScrapePools::~ScrapePools() { Stop(); }

void ScrapePools::Stop() {
  for (const auto& thread : impl_->threads) thread->Stop();
}

// The targets that the pool's groups make, by hash; equal ones once.
std::unordered_map<uint64_t, std::shared_ptr<Target>> ScrapePools::Impl::WantedTargets(Pool* pool) {
  std::unordered_map<uint64_t, std::shared_ptr<Target>> wanted;
  std::set<std::string> complaints;
  pool->dropped.clear();
  pool->dropped_count = 0;
  const ScrapeConfig& config = *pool->config;
  for (const discovery::TargetGroup& group : pool->groups) {
    for (const model::Labels& labels : group.targets) {
      const model::Labels discovered = DiscoveredLabels(config, group, labels);
      auto target = MakeTarget(config, discovered);
      if (!target) {
        std::string complaint = group.source + ": " + target.error().message();
        if (!pool->complaints.contains(complaint)) {
          LogWarn("scrape", "target cannot be scraped",
                  {{"job", config.job_name}, {"group", group.source}, {"err", target.error()}});
        }
        complaints.insert(std::move(complaint));
      } else if (!target->has_value()) {
        ++pool->dropped_count;
        if (config.keep_dropped_targets == 0 ||
            pool->dropped.size() < config.keep_dropped_targets) {
          pool->dropped.push_back(discovered);
        }
      } else {
        const uint64_t hash = (*target)->Hash();
        wanted.try_emplace(hash, std::make_shared<Target>(std::move(**target)));
      }
    }
  }
  pool->complaints = std::move(complaints);
  return wanted;
}

namespace {

// Loops with this in common write to one source: the later can look after the former's series.
std::string SourceKey(const Target& target) { return target.labels.packed() + "\n" + target.url; }

}  // namespace

void ScrapePools::Impl::RemoveAll(Pool* pool) {
  for (auto& [hash, running] : pool->targets) running.thread->Remove(running.loop, true);
  pool->targets.clear();
}

// Brings the running loops in line with the pool's groups. `renew`: none of them can stay.
void ScrapePools::Impl::Sync(Pool* pool, bool renew) {
  auto wanted = WantedTargets(pool);
  std::unordered_map<std::string, Running> leaving;  // by SourceKey
  for (auto it = pool->targets.begin(); it != pool->targets.end();) {
    if (!renew && wanted.contains(it->first)) {
      ++it;
      continue;
    }
    leaving.emplace(SourceKey(it->second.loop->target()), it->second);
    it = pool->targets.erase(it);
  }
  const uint64_t limit = pool->config->target_limit;
  std::string forced_error;
  if (limit > 0 && wanted.size() > limit) {
    forced_error = "target_limit exceeded (number of targets: " + std::to_string(wanted.size()) +
                   ", limit: " + std::to_string(limit) + ")";
  }
  std::set<std::string> wanted_labels;
  for (auto& [hash, target] : wanted) {
    wanted_labels.insert(target->labels.packed());
    const auto known = pool->targets.find(hash);
    if (known != pool->targets.end()) {
      const Running& running = known->second;
      running.loop->SetDiscoveredLabels(target->discovered_labels);
      running.thread->Post(
          [loop = running.loop, forced_error] { loop->SetForcedError(forced_error); });
      continue;
    }
    ScrapeThread* const thread = threads[hash % threads.size()].get();
    auto predecessor = leaving.extract(SourceKey(*target));
    auto loop = std::make_shared<TargetLoop>(pool->config, std::move(target), &context);
    loop->SetForcedError(forced_error);
    pool->targets.emplace(hash, Running{loop, thread});
    if (predecessor.empty()) {
      thread->Add(std::move(loop));
    } else {
      const Running& old = predecessor.mapped();
      old.thread->Replace(old.loop, std::move(loop), thread);
    }
  }
  for (auto& [key, running] : leaving) {
    // A target that goes on under the same labels, from another URL, does not end.
    const bool end = !wanted_labels.contains(running.loop->target().labels.packed());
    running.thread->Remove(running.loop, end);
  }
}

void ScrapePools::Apply(const std::vector<ScrapeConfig>& configs) {
  MutexLock lock(impl_->mu);
  std::set<std::string> names;
  for (const ScrapeConfig& config : configs) {
    names.insert(config.job_name);
    Impl::Pool& pool = impl_->pools[config.job_name];
    if (pool.config != nullptr && SameScrapes(*pool.config, config)) continue;
    pool.config = std::make_shared<const ScrapeConfig>(config);
    impl_->Sync(&pool, true);
  }
  for (auto it = impl_->pools.begin(); it != impl_->pools.end();) {
    if (names.contains(it->first)) {
      ++it;
      continue;
    }
    impl_->RemoveAll(&it->second);
    it = impl_->pools.erase(it);
  }
}

void ScrapePools::SetGroups(const std::string& job, const discovery::TargetGroupList& groups) {
  MutexLock lock(impl_->mu);
  const auto it = impl_->pools.find(job);
  if (it == impl_->pools.end()) return;
  it->second.groups = groups;
  impl_->Sync(&it->second, false);
}

std::vector<std::string> ScrapePools::PoolNames() const {
  MutexLock lock(impl_->mu);
  std::vector<std::string> names;
  for (const auto& [name, pool] : impl_->pools) names.push_back(name);
  return names;
}

std::vector<TargetStatus> ScrapePools::Targets(const std::string& pool) const {
  std::vector<TargetStatus> targets;
  {
    MutexLock lock(impl_->mu);
    for (const auto& [name, one] : impl_->pools) {
      if (!pool.empty() && name != pool) continue;
      for (const auto& [hash, running] : one.targets) targets.push_back(running.loop->StatusNow());
    }
  }
  std::sort(targets.begin(), targets.end(), [](const TargetStatus& a, const TargetStatus& b) {
    if (a.target.job != b.target.job) return a.target.job < b.target.job;
    if (a.target.labels == b.target.labels) return a.target.url < b.target.url;
    return a.target.labels < b.target.labels;
  });
  return targets;
}

std::vector<DroppedTarget> ScrapePools::DroppedTargets(const std::string& pool) const {
  MutexLock lock(impl_->mu);
  std::vector<DroppedTarget> dropped;
  for (const auto& [name, one] : impl_->pools) {
    if (!pool.empty() && name != pool) continue;
    for (const model::Labels& labels : one.dropped) dropped.push_back({name, labels});
  }
  return dropped;
}

std::map<std::string, uint64_t> ScrapePools::DroppedTargetCounts() const {
  MutexLock lock(impl_->mu);
  std::map<std::string, uint64_t> counts;
  for (const auto& [name, pool] : impl_->pools) counts[name] = pool.dropped_count;
  return counts;
}

void ScrapePools::VisitMetadata(const std::function<bool(const MetadataOfTarget&)>& visit) const {
  std::vector<std::pair<model::Labels, std::shared_ptr<const PageShape>>> shapes;
  {
    MutexLock lock(impl_->mu);
    for (const auto& [name, pool] : impl_->pools) {
      for (const auto& [hash, running] : pool.targets) {
        shapes.emplace_back(running.loop->target().labels, running.loop->Shape());
      }
    }
  }
  std::sort(shapes.begin(), shapes.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  // Targets of one kind share their shape, which is then parsed once.
  std::unordered_map<const PageShape*, std::vector<TargetMetadata>> parsed;
  for (const auto& [labels, shape] : shapes) {
    if (shape == nullptr) continue;
    const auto [it, fresh] = parsed.try_emplace(shape.get());
    if (fresh) it->second = MetadataOf(*shape);
    for (const TargetMetadata& metadata : it->second) {
      if (!visit({labels, metadata})) return;
    }
  }
}

void ScrapePools::VisitNewFamilies(bool all,
                                   const std::function<void(const TargetMetadata&)>& visit) {
  std::unordered_map<const PageShape*, std::shared_ptr<const PageShape>> shapes;
  {
    MutexLock lock(impl_->mu);
    for (const auto& [name, pool] : impl_->pools) {
      for (const auto& [hash, running] : pool.targets) {
        auto shape = running.loop->Shape();
        if (shape != nullptr) shapes.try_emplace(shape.get(), std::move(shape));
      }
    }
  }
  MutexLock lock(impl_->visited_mu);
  std::erase_if(impl_->visited, [](const auto& entry) { return entry.second.expired(); });
  for (const auto& [address, shape] : shapes) {
    const bool is_new = impl_->visited.try_emplace(address, shape).second;
    if (!is_new && !all) continue;
    for (const TargetMetadata& family : MetadataOf(*shape)) visit(family);
  }
}

Result<std::vector<model::RelabelRule>> ScrapePools::RelabelRules(const std::string& job) const {
  MutexLock lock(impl_->mu);
  const auto it = impl_->pools.find(job);
  if (it == impl_->pools.end()) return Error(Code::kNotFound, "scrape pool not found: " + job);
  return it->second.config->relabel_configs;
}

}  // namespace tocsin::collector
