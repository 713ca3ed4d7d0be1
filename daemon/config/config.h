// Config: prometheus.yml, read strictly and whole, with Prometheus' verdict on every file.
//
//   TOCSIN_ASSIGN_OR_RETURN(Config config, LoadConfig(env, "prometheus.yml", {}));
//
// An error has one line per complaint, each with FILE:LINE:COLUMN. What is valid in Prometheus and
// not built here is no error: it lands in `not_built`, `serve` refuses naming it and `check config`
// lists it. Typed structs hold what is built; their paths are joined with the file's directory
// already.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "alerting/notify/alertmanager_config.h"
#include "base/http/client_config.h"
#include "base/status.h"
#include "collector/scrape_config.h"
#include "daemon/config/schema.h"
#include "discovery/provider.h"
#include "model/labels.h"
#include "model/relabel.h"

namespace tocsin {
class Env;
}

namespace tocsin::daemon {

struct GlobalConfig {
  int64_t scrape_interval_ms = 60'000;
  int64_t scrape_timeout_ms = 10'000;
  int64_t evaluation_interval_ms = 60'000;
  int64_t rule_query_offset_ms = 0;
  std::string query_log_file;     // absolute, or relative to the working directory; "": none
  model::Labels external_labels;  // $VAR and ${VAR} replaced from the environment
  model::NameScheme name_scheme = model::NameScheme::kUtf8;
};

struct StorageConfig {
  // Nothing: the file does not say.
  std::optional<int64_t> out_of_order_time_window_ms;
  std::optional<int64_t> retention_ms;
  std::optional<uint64_t> retention_bytes;
  std::optional<double> retention_disk_share;  // 0…1
  std::optional<int64_t> exemplars_max;
};

// A file that the configuration names and that has to exist (plain `check config`).
struct ReferencedFile {
  std::string path;
  std::string complaint;  // what to say when it does not, "error checking client cert file \"…\""
};

struct Config {
  std::string path;  // as given
  GlobalConfig global;
  std::vector<collector::ScrapeConfig> scrape_configs;  // those of scrape_config_files too
  std::vector<std::string> rule_files;                  // globs
  std::vector<model::RelabelRule> alert_relabel_configs;
  std::vector<alerting::AlertmanagerConfig> alertmanagers;
  StorageConfig storage;

  std::vector<NotBuiltUse> not_built;
  std::vector<std::string> warnings;
  std::vector<ReferencedFile> referenced_files;
  // The whole with defaults filled in and secrets masked: /api/v1/status/config.
  std::string effective_yaml;
  std::map<std::string, std::string> job_yaml;  // the part of each scrape job, by its name

  // "prometheus.yml:34:5: consul_sd_configs is valid but not built yet", one a line; ok when
  // everything is built.
  Status RefuseNotBuilt() const;
};

struct LoadOptions {
  bool agent_mode = false;
  // False: files named by scrape_config_files are not looked at (check config --syntax-only).
  bool read_scrape_config_files = true;
  bool extra_scrape_metrics = false;  // from the old feature switch
};

Result<Config> LoadConfig(Env& env, const std::string& path, const LoadOptions& options);
// The same for text already read; `path` gives messages their name and relative paths their place.
Result<Config> ParseConfig(Env& env, std::string_view text, const std::string& path,
                           const LoadOptions& options);

// HTTP client settings of a checked section; `directory` for relative paths.
HttpClientConfig ReadHttpClient(const YamlNode& node, const std::string& directory);

// The effective configuration of a checked document (render.cc).
std::string RenderConfig(const YamlNode& root, const GlobalConfig& global);
// One scrape job of it; `root` is the document that holds `global`.
std::string RenderJob(const YamlNode& root, const YamlNode& job, const GlobalConfig& global);

}  // namespace tocsin::daemon
