// Dependencies: everything that the HTTP API needs from the rest of the daemon. daemon/app.cc fills
// it in once; tests fill in fakes. All members are fixed while the server runs, all callbacks are
// thread-safe and are called on the HTTP workers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "alerting/notify/alertmanager_view.h"
#include "alerting/rules/rule_view.h"
#include "base/status.h"
#include "collector/push/remote_write.h"
#include "collector/scrape_pools.h"
#include "collector/target.h"
#include "model/labels.h"
#include "model/sample.h"
#include "model/storage.h"
#include "query/engine.h"
#include "query/service.h"

namespace tocsin {
class Env;
}

namespace tocsin::api {

// /status/buildinfo. `version` is what clients compare to learn which API they speak to (Thanos
// parses it as semver, Grafana switches features by it), so it is Prometheus'; ours is in the
// revision.
struct BuildInfo {
  std::string version = "3.14.0";
  std::string revision;  // "tocsin-0.1.0"
  std::string branch;
  std::string build_user;
  std::string build_date;
  std::string compiler;  // shown as goVersion
};

// /status/runtimeinfo, what only the daemon knows.
struct RuntimeInfo {
  model::Timestamp start_time_ms = 0;
  bool reload_config_success = true;
  model::Timestamp last_config_time_ms = 0;
  int64_t corruption_count = 0;  // files put aside
  std::string storage_retention = "15d";
};

struct NameCount {
  std::string name;
  uint64_t value = 0;
};

// /status/tsdb.
struct TsdbStatus {
  uint64_t series = 0;
  uint64_t label_pairs = 0;
  uint64_t chunks = 0;
  model::Timestamp min_time_ms = model::kMaxTimestamp;
  model::Timestamp max_time_ms = model::kMinTimestamp;
  // Descending by value, at most as many as asked for.
  std::vector<NameCount> series_by_metric_name;
  std::vector<NameCount> values_by_label_name;
  std::vector<NameCount> bytes_by_label_name;
  std::vector<NameCount> series_by_label_pair;
};

// One of /status/tsdb/blocks: a file of sealed samples, as Prometheus describes a block.
struct TsdbBlock {
  std::string ulid;
  model::Timestamp min_time_ms = 0;
  model::Timestamp end_time_ms = 0;  // one past the last sample
  uint64_t samples = 0;
  uint64_t series = 0;
  uint64_t chunks = 0;
  int64_t level = 1;
};

// /status/walreplay: log files.
struct WalReplayStatus {
  int64_t min = 0;
  int64_t max = 0;
  int64_t current = 0;
};

enum class Readiness : uint8_t { kStarting, kReady, kStopping };

// One active notification to the operator (/notifications).
struct Notification {
  std::string text;
  model::Timestamp date_ms = 0;
};

// Targets, as collector::ScrapePools tells them.
struct TargetCallbacks {
  std::function<std::vector<std::string>()> pool_names;  // sorted
  std::function<std::vector<collector::TargetStatus>(const std::string& pool)> active;
  std::function<std::vector<collector::DroppedTarget>(const std::string& pool)> dropped;
  std::function<std::map<std::string, uint64_t>()> dropped_counts;
  std::function<void(const std::function<bool(const collector::MetadataOfTarget&)>&)>
      visit_metadata;
  // What was last said about families, also by targets that are gone; `metric` "" = all. Null:
  // none.
  std::function<void(std::string_view metric,
                     const std::function<bool(const std::string&, const model::Metadata&)>&)>
      visit_stored_metadata;
  // The configuration of one job as YAML; kNotFound for an unknown one.
  std::function<Result<std::string>(const std::string& pool)> pool_config_yaml;
};

// The remote write receiver; both empty: it is off and /api/v1/write answers 404.
struct RemoteWriteCallbacks {
  // Why the headers are refused with 415; "" = fine.
  std::function<std::string(std::string_view content_type, std::string_view content_encoding)>
      check_headers;
  std::function<collector::RemoteWriteOutcome(std::string_view sender, std::string_view body)>
      write;
};

// From the real things (collector_callbacks.cc); pool_config_yaml is left to the daemon.
TargetCallbacks TargetsOf(const collector::ScrapePools* pools);
RemoteWriteCallbacks RemoteWriteOf(collector::RemoteWriteReceiver* receiver);

// What the admin API does to the store. Each answers when it is done and on disk.
struct StoreAdmin {
  // Samples of series that satisfy one of the sets.
  std::function<Status(std::vector<model::MatcherSet> sets, model::TimeRange range)> delete_series;
  std::function<Status()> clean_tombstones;
  // The name of the new directory below DATA/snapshots.
  std::function<Result<std::string>(bool skip_head)> snapshot;
};

struct Dependencies {
  Env* env = nullptr;
  std::function<Readiness()> readiness;

  // questions
  query::Engine* engine = nullptr;  // its options; whoever evaluates goes through `queries`
  query::QueryService* queries = nullptr;
  const model::Queryable* store = nullptr;
  bool per_step_stats = false;  // promql-per-step-stats

  // collection
  TargetCallbacks targets;
  RemoteWriteCallbacks remote_write;
  size_t remote_write_body_bytes_max = size_t{32} << 20;

  // alerting
  const alerting::RuleReader* rules = nullptr;
  const alerting::AlertmanagerReader* alertmanagers = nullptr;

  // status
  BuildInfo build;
  std::function<RuntimeInfo()> runtime;
  std::function<std::string()> config_yaml;                // defaults filled in, no secrets
  std::vector<std::pair<std::string, std::string>> flags;  // sorted by name
  std::function<TsdbStatus(size_t limit)> tsdb_status;
  std::function<std::vector<TsdbBlock>()> tsdb_blocks;
  std::function<WalReplayStatus()> wal_replay;
  std::function<std::vector<Notification>()> notifications;
  std::function<std::string()> self_metrics;  // text format 0.0.4
  std::function<model::Labels()> external_labels;

  // actions
  bool lifecycle_enabled = false;  // --web.enable-lifecycle
  bool admin_enabled = false;      // --web.enable-admin-api
  std::function<Status()> reload;
  std::function<void()> quit;
  std::function<Status()> compact;
  std::function<void(bool)> pause_compaction;  // true pauses, false resumes
  StoreAdmin admin;

  // addresses
  std::string external_url = "http://localhost:9090";  // without a closing slash
  std::string external_path = "/";                     // its path, with a closing slash
  std::string listen_address = "127.0.0.1:9090";
  std::string cors_origin = ".*";  // --web.cors.origin, anchored at both ends
};

}  // namespace tocsin::api
