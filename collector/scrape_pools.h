// ScrapePools: all scrape jobs. Turns target groups into targets, spreads them over the `scrape-N`
// threads, and answers the API's questions about them.
//
//   ScrapePools pools(&env, &appender, options);
//   pools.Apply(configs);                            // at start and at each reload
//   pools.SetGroups("node", groups);                 // from Discovery, whenever they change
//   pools.Targets(); pools.DroppedTargets(); …
//   pools.Stop();                                    // no staleness markers: a restart is a
//                                                    // non-event
// At a reload a target whose job's settings and own labels are unchanged keeps running, connection
// and line memo included; others are replaced; targets that are gone get staleness markers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "collector/scrape_config.h"
#include "collector/target.h"
#include "discovery/discovery.h"
#include "model/storage.h"

namespace tocsin {
class Env;
}

namespace tocsin::collector {

struct ScrapePoolsOptions {
  int threads = 0;  // 0 = one per core
  std::string user_agent = "Tocsin";
  // Inflated bytes of one page when its job sets no body_size_limit. Pages are parsed as they
  // arrive, so this bounds work, not memory.
  int64_t default_body_bytes_max = int64_t{256} << 20;
};

// One entry of /api/v1/targets/metadata.
struct MetadataOfTarget {
  model::Labels target_labels;
  TargetMetadata metadata;
};

// Thread-safe.
class ScrapePools {
 public:
  ScrapePools(Env* env, model::Appender* appender, ScrapePoolsOptions options);
  ~ScrapePools();

  // Replaces the set of jobs. Cannot fail: configs were checked when parsed.
  void Apply(const std::vector<ScrapeConfig>& configs);
  // Groups of a job that is not configured are ignored.
  void SetGroups(const std::string& job, const discovery::TargetGroupList& groups);
  // Stops scraping and joins the threads. Scrapes in flight are dropped.
  void Stop();

  std::vector<std::string> PoolNames() const;  // sorted
  // Sorted by job, then labels. `pool` "" = all.
  std::vector<TargetStatus> Targets(const std::string& pool = "") const;
  std::vector<DroppedTarget> DroppedTargets(const std::string& pool = "") const;
  std::map<std::string, uint64_t> DroppedTargetCounts() const;
  // Calls `visit` for each family of each target, target by target; it may return false to stop.
  void VisitMetadata(const std::function<bool(const MetadataOfTarget&)>& visit) const;
  // Each family of the pages that came up since the last call, or, with `all`, of every page.
  void VisitNewFamilies(bool all, const std::function<void(const TargetMetadata&)>& visit);
  // For /targets/relabel_steps: the rule list of a job; kNotFound for an unknown one.
  Result<std::vector<model::RelabelRule>> RelabelRules(const std::string& job) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::collector
