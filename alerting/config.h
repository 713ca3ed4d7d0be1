// NotifierConfig: an Alertmanager configuration file (`--alertmanager.config-file`), read strictly,
// with amtool's verdicts, into plain structs.
//
// All of Alertmanager 0.34's sections and receivers are known and checked. What is valid and not
// built yet (receivers other than webhooks, templated route labels, …) is listed in `not_built`,
// one sentence with its place each: `check` shows them, `serve` refuses to start with them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "alerting/route/time_intervals.h"
#include "alerting/rules/rule_file.h"
#include "base/http/client_config.h"
#include "base/secret.h"
#include "base/status.h"
#include "model/matcher.h"

namespace tocsin::alerting {

struct WebhookConfig {
  bool send_resolved = true;
  Secret url;               // exactly one of url and url_file
  std::string url_file;     // read for each notification
  uint64_t max_alerts = 0;  // 0: no limit
  int64_t timeout_ms = 0;   // 0: none of its own
  HttpClientConfig http;
  friend bool operator==(const WebhookConfig&, const WebhookConfig&) = default;
};

struct ReceiverConfig {
  std::string name;
  std::vector<WebhookConfig> webhooks;
};

struct RouteConfig {
  std::string receiver;  // "": the parent's
  std::vector<std::string> group_by;
  bool group_by_given = false;
  bool group_by_all = false;  // "..."
  std::vector<model::Matcher> matchers;
  bool continue_matching = false;
  std::optional<int64_t> group_wait_ms;
  std::optional<int64_t> group_interval_ms;
  std::optional<int64_t> repeat_interval_ms;
  std::vector<std::string> mute_time_intervals;
  std::vector<std::string> active_time_intervals;
  NamedTexts labels;  // route labels, not templated
  std::vector<RouteConfig> routes;
};

struct InhibitRuleConfig {
  std::string name;
  std::vector<model::Matcher> source_matchers;
  std::vector<model::Matcher> target_matchers;
  std::vector<std::string> equal;
};

struct NamedTimeIntervals {
  std::string name;
  std::vector<TimeInterval> intervals;
};

struct NotifierConfig {
  int64_t resolve_timeout_ms = 5 * 60 * 1000;
  RouteConfig route;
  std::vector<ReceiverConfig> receivers;
  std::vector<InhibitRuleConfig> inhibit_rules;
  std::vector<NamedTimeIntervals> time_intervals;
  std::vector<std::string> templates;
  std::vector<std::string> not_built;
};

// Routes nest at most this deep.
inline constexpr int kMaxRouteDepth = 50;

// kInvalidArgument: all complaints, one a line, each "PATH:LINE:COLUMN: …". `path` also anchors
// relative paths in the file.
Result<NotifierConfig> ParseNotifierConfig(std::string_view text, const std::string& path);

}  // namespace tocsin::alerting
