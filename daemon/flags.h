// Flags of `tocsin serve`: Prometheus' spellings with Prometheus' defaults, and a few of our own.
//
// `--flag value` and `--flag=value`, `--flag` and `--no-flag` for booleans. An unknown flag is an
// error. A flag of Prometheus that is valid and whose part is not built yet is taken while it keeps
// its default; set to anything else it lands in `not_built`, and `serve` refuses with that
// sentence. Flags that tune something Tocsin does not have (Go's runtime, head chunks) are taken
// and listed, and do nothing.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/status.h"
#include "query/language_options.h"

namespace tocsin::daemon {

struct ServeFlags {
  std::string config_file = "prometheus.yml";
  std::string tocsin_config_file;        // "" = none
  std::string alertmanager_config_file;  // "" = no built-in notifier

  std::vector<std::string> listen_addresses;  // host:port
  std::string external_url;                   // "" = derived from host name and port
  std::string route_prefix;                   // "" = the path of external_url
  std::string page_title;
  std::string cors_origin;  // regular expression, compiled once already
  int64_t web_read_timeout_ms = 0;
  int64_t max_connections = 0;
  bool enable_lifecycle = false;
  bool enable_admin_api = false;
  bool enable_remote_write_receiver = false;

  std::string storage_path;
  int64_t retention_ms = 0;  // --storage.tsdb.retention.time; 15 days when not given
  bool retention_given = false;
  uint64_t retention_bytes = 0;  // 0 = no limit
  bool synced_writes = false;    // --storage.durability=sync
  bool never_sync = false;       // --storage.durability=off
  bool wal_compression = true;

  int64_t alert_outage_tolerance_ms = 0;
  int64_t alert_for_grace_period_ms = 0;
  int64_t alert_resend_delay_ms = 0;
  int64_t notification_queue_capacity = 0;
  int64_t notification_batch_size = 0;
  bool drain_notification_queue_on_shutdown = true;

  int64_t query_lookback_delta_ms = 0;
  int64_t query_timeout_ms = 0;
  int64_t query_max_concurrency = 0;
  int64_t query_max_samples = 0;
  int64_t query_max_memory_bytes = 0;
  int64_t query_max_cache_bytes = 0;
  int64_t query_log_slower_ms = 0;
  query::LanguageOptions language;
  bool per_step_stats = false;
  bool extra_scrape_metrics = false;  // the old --enable-feature=extra-scrape-metrics

  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kLogfmt;

  // Name (without dashes) and value of every flag, sorted: /api/v1/status/flags.
  std::vector<std::pair<std::string, std::string>> all;
  // Sentences: "--web.config.file is valid but not built yet".
  std::vector<std::string> not_built;
  // Unknown names in --enable-feature, which Prometheus only warns about.
  std::vector<std::string> warnings;
  bool help = false;  // -h was given; print ServeHelp()
};

// `args` without program name and command. kInvalidArgument names the flag.
Result<ServeFlags> ParseServeFlags(std::span<const std::string> args);
// What `tocsin serve --help` prints.
std::string ServeHelp();

// Only the names that Prometheus knows and what they switch on; also for `check` and `test`.
struct FeatureEffects {
  query::LanguageOptions language;
  bool per_step_stats = false;
  bool extra_scrape_metrics = false;
  std::vector<std::string> not_built;
  std::vector<std::string> unknown;
};
// `names` as given: each may hold several, comma separated.
FeatureEffects ApplyFeatures(std::span<const std::string> names);

}  // namespace tocsin::daemon
