// ScrapeConfig: everything one `scrape_configs` entry holds that we build, global defaults already
// filled in. A plain struct: daemon/config.cc parses the file into it, ScrapePools runs it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/client_config.h"
#include "discovery/provider.h"
#include "model/relabel.h"

namespace tocsin::collector {

// How a page may be asked for, in `scrape_protocols` and `fallback_scrape_protocol`.
enum class ScrapeProtocol : uint8_t {
  kNone,             // fallback only: none given
  kPrometheusProto,  // valid and not built yet: a configuration that names it is refused
  kPrometheusText0_0_4,
  kPrometheusText1_0_0,
  kOpenMetricsText0_0_1,
  kOpenMetricsText1_0_0,
};
// "PrometheusText0.0.4", …; kNone for any other name / "" for kNone.
ScrapeProtocol ParseScrapeProtocol(std::string_view name);
std::string_view ScrapeProtocolName(ScrapeProtocol protocol);

inline constexpr int64_t kDefaultScrapeIntervalMs = 60 * 1000;
inline constexpr int64_t kDefaultScrapeTimeoutMs = 10 * 1000;

struct ScrapeConfig {
  std::string job_name;
  int64_t scrape_interval_ms = kDefaultScrapeIntervalMs;
  int64_t scrape_timeout_ms = kDefaultScrapeTimeoutMs;  // never above the interval
  std::vector<ScrapeProtocol> scrape_protocols = {
      ScrapeProtocol::kOpenMetricsText1_0_0, ScrapeProtocol::kOpenMetricsText0_0_1,
      ScrapeProtocol::kPrometheusText1_0_0, ScrapeProtocol::kPrometheusText0_0_4};
  ScrapeProtocol fallback_scrape_protocol = ScrapeProtocol::kNone;

  std::string metrics_path = "/metrics";
  std::string scheme = "http";
  std::map<std::string, std::vector<std::string>> params;
  bool enable_compression = true;
  HttpClientConfig http;

  bool honor_labels = false;
  bool honor_timestamps = true;
  bool track_timestamps_staleness = false;
  bool extra_scrape_metrics = false;  // scrape_timeout_seconds, scrape_sample_limit, …
  model::NameScheme name_scheme = model::NameScheme::kUtf8;

  // 0 = no limit.
  int64_t body_size_limit_bytes = 0;  // of the page once inflated
  uint64_t sample_limit = 0;
  uint64_t target_limit = 0;
  uint64_t label_limit = 0;
  uint64_t label_name_length_limit = 0;
  uint64_t label_value_length_limit = 0;
  uint64_t keep_dropped_targets = 0;

  discovery::DiscoveryConfig discovery;
  std::vector<model::RelabelRule> relabel_configs;
  std::vector<model::RelabelRule> metric_relabel_configs;

  friend bool operator==(const ScrapeConfig&, const ScrapeConfig&) = default;
};

}  // namespace tocsin::collector
