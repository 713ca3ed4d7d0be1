// Target: one endpoint to scrape, as relabelling made it, and how it fared.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "collector/scrape_config.h"
#include "model/labels.h"

namespace tocsin::collector {

enum class TargetHealth : uint8_t { kUnknown, kUp, kDown };
std::string_view TargetHealthName(TargetHealth health);  // "unknown", "up", "down"

// What a target is; immutable once made.
struct Target {
  std::string job;                  // the scrape pool's name, before relabelling
  model::Labels discovered_labels;  // everything that went into relabelling, __… included
  model::Labels labels;             // the target's public labels: its source's labels
  std::string url;                  // scheme://address/path?params
  int64_t scrape_interval_ms = 0;   // relabelling may change them
  int64_t scrape_timeout_ms = 0;

  // Targets with equal labels and URL are one.
  uint64_t Hash() const;
  friend bool operator==(const Target&, const Target&) = default;
};

// The label set that a group's target enters relabelling with (config defaults, params, group
// labels, own labels).
model::Labels DiscoveredLabels(const ScrapeConfig& config, const discovery::TargetGroup& group,
                               const model::Labels& target);

// Relabels; nullopt when a rule dropped it (or it has no address and was meant to be dropped).
// kInvalidArgument when what came out cannot be scraped, in Prometheus' words.
Result<std::optional<Target>> MakeTarget(const ScrapeConfig& config,
                                         const model::Labels& discovered);

// A copy of a target's state for the API (http-api.md §4).
struct TargetStatus {
  Target target;
  TargetHealth health = TargetHealth::kUnknown;
  std::string last_error;      // "" = none
  int64_t last_scrape_ms = 0;  // start of the last scrape; 0 = never
  double last_scrape_duration_s = 0;
  uint64_t last_samples_scraped = 0;
  uint64_t last_body_bytes = 0;  // inflated
  std::string failed_answer;     // first bytes (kFailedAnswerBytesMax) of a refused answer, raw
};

inline constexpr size_t kFailedAnswerBytesMax = 512;

struct DroppedTarget {
  std::string job;
  model::Labels discovered_labels;
};

// One family's metadata as one target shows it.
struct TargetMetadata {
  std::string metric;
  std::string type;  // "counter", …, "unknown"
  std::string help;
  std::string unit;
};

}  // namespace tocsin::collector
