// Route: the compiled routing tree. An alert goes down from the root; it belongs to the deepest
// routes that match it: of a route's children the first that matches, and those after it as long as
// the matching ones say `continue`; the route itself when no child matches.
// Immutable, thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "alerting/config.h"
#include "model/labels.h"
#include "model/matcher.h"

namespace tocsin::alerting {

// Alertmanager's defaults.
inline constexpr int64_t kGroupWaitMs = 30'000;
inline constexpr int64_t kGroupIntervalMs = 5 * 60'000;
inline constexpr int64_t kRepeatIntervalMs = 4 * 3'600'000;

// What a route says or inherits.
struct RouteOptions {
  std::string receiver;
  std::set<std::string, std::less<>> group_by;
  bool group_by_all = false;
  int64_t group_wait_ms = kGroupWaitMs;
  int64_t group_interval_ms = kGroupIntervalMs;
  int64_t repeat_interval_ms = kRepeatIntervalMs;
  std::vector<std::string> mute_time_intervals;    // not inherited
  std::vector<std::string> active_time_intervals;  // not inherited
  NamedTexts labels;
};

class Route {
 public:
  // The tree of a checked configuration.
  explicit Route(const RouteConfig& config) : Route(config, RouteOptions(), "") {}

  const RouteOptions& options() const { return options_; }
  // The matchers from the root on, "{}/{team=\"x\"}": names the route in group keys.
  const std::string& key() const { return key_; }

  // The routes that `labels` belongs to, in the order of the file; never none for a root.
  std::vector<const Route*> Match(const model::Labels& labels) const;
  // Those of `labels` that the route groups by.
  model::Labels GroupLabels(const model::Labels& labels) const;

 private:
  Route(const RouteConfig& config, RouteOptions inherited, const std::string& parent_key);
  bool Collect(const model::Labels& labels, std::vector<const Route*>* found) const;

  RouteOptions options_;
  std::string key_;
  std::vector<model::Matcher> matchers_;
  bool continue_matching_ = false;
  std::vector<std::unique_ptr<Route>> children_;
};

// {}/{team="x"}:{alertname="A", job="b"}
std::string GroupKey(const Route& route, const model::Labels& group_labels);

}  // namespace tocsin::alerting
