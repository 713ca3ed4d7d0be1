// Providers find targets: provider in, target groups out. A provider knows one way of looking
// (a static list, files, …) and nothing of scraping.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/labels.h"

namespace tocsin::discovery {

// Targets that share labels. `source` tells groups of one provider apart (a file and its index, …).
struct TargetGroup {
  std::string source;
  std::vector<model::Labels> targets;  // each has at least __address__
  model::Labels labels;
  friend bool operator==(const TargetGroup&, const TargetGroup&) = default;
};

// `static_configs`: the groups stand in the configuration itself.
struct StaticConfig {
  std::vector<TargetGroup> groups;
  friend bool operator==(const StaticConfig&, const StaticConfig&) = default;
};

// `file_sd_configs`: lists of groups in JSON or YAML files; patterns have a * only in the last path
// element and end in .json, .yml or .yaml. Files are looked at each second, so a change is seen at
// once; `refresh_interval_ms` is how often they are read even when nothing seems to have changed.
struct FileConfig {
  std::vector<std::string> files;  // absolute, or relative to the working directory
  int64_t refresh_interval_ms = 5 * 60 * 1000;
  friend bool operator==(const FileConfig&, const FileConfig&) = default;
};

// kInvalidArgument for a pattern that file discovery does not take, in Prometheus' words.
Status ValidateFilePattern(const std::string& pattern);

// All ways of finding targets that one job (or one list of Alertmanagers) uses.
struct DiscoveryConfig {
  StaticConfig static_targets;
  std::vector<FileConfig> files;
  friend bool operator==(const DiscoveryConfig&, const DiscoveryConfig&) = default;
};

// One running way of looking. Polled by the discovery thread only.
class Provider {
 public:
  virtual ~Provider() = default;
  // Looks again. True when `groups()` changed. What cannot be read now keeps its last good groups;
  // the complaint is logged once and shown by `last_error()`.
  virtual bool Poll(int64_t now_ms) = 0;
  virtual const std::vector<TargetGroup>& groups() const = 0;
  virtual const std::string& last_error() const = 0;  // "" = all well
  // Milliseconds until Poll wants to be called again; 0 = never.
  virtual int64_t poll_interval_ms() const = 0;
};

}  // namespace tocsin::discovery
