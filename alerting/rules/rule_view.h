// What the HTTP API and the pages see of rules and alerts: plain copies, taken under a group's lock
// and owned by the caller. SelectRuleGroups filters and pages them as GET /api/v1/rules does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "alerting/rules/rule_file.h"
#include "base/status.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/sample.h"

namespace tocsin::alerting {

enum class AlertState : uint8_t { kInactive, kPending, kFiring };
std::string_view AlertStateName(AlertState state);  // "inactive", "pending", "firing"

enum class RuleHealth : uint8_t { kUnknown, kOk, kError };
std::string_view RuleHealthName(RuleHealth health);  // "unknown", "ok", "err"

// One active (pending or firing) alert.
struct AlertView {
  model::Labels labels;    // expanded, with alertname
  NamedTexts annotations;  // expanded
  AlertState state = AlertState::kInactive;
  model::Timestamp active_at_ms = 0;
  model::Timestamp keep_firing_since_ms = 0;  // 0: the expression is still true
  double value = 0;
};

struct RuleView {
  bool is_alert = false;
  std::string name;
  std::string query;     // parsed and printed back
  model::Labels labels;  // the group's and the rule's, templates not expanded
  RuleHealth health = RuleHealth::kUnknown;
  std::string last_error;  // "" when the last evaluation went well
  double evaluation_seconds = 0;
  model::Timestamp last_evaluation_ms = 0;  // 0: never
  // Alerting rules only.
  AlertState state = AlertState::kInactive;  // the highest of its alerts
  int64_t for_ms = 0;
  int64_t keep_firing_for_ms = 0;
  NamedTexts annotations;  // templates
  std::vector<AlertView> alerts;
};

struct RuleGroupView {
  std::string name;
  std::string file;
  int64_t interval_ms = 0;
  int64_t limit = 0;
  double evaluation_seconds = 0;
  model::Timestamp last_evaluation_ms = 0;  // 0: never
  std::vector<RuleView> rules;
};

// Thread-safe.
class RuleReader {
 public:
  virtual ~RuleReader() = default;
  // Sorted by file, then name.
  virtual std::vector<RuleGroupView> RuleGroups() const = 0;
  // All pending and firing alerts, in the order of their groups and rules.
  virtual std::vector<AlertView> ActiveAlerts() const = 0;
};

// Parameters of GET /api/v1/rules; an empty list accepts everything.
struct RuleFilter {
  bool alerts = true;   // type=record clears it
  bool records = true;  // type=alert clears it
  std::vector<std::string> rule_names;
  std::vector<std::string> group_names;
  std::vector<std::string> files;
  std::vector<std::vector<model::Matcher>> matcher_sets;  // on the rule's labels, or-ed
  bool exclude_alerts = false;  // RuleView::alerts come back empty (the API shows null)
  size_t group_limit = 0;       // 0: no paging
  std::string next_token;       // "" : from the first group
};

struct RuleGroupPage {
  std::vector<RuleGroupView> groups;  // groups whose rules are all filtered out are left out
  std::string next_token;             // "" : this is the last page
};

// kInvalidArgument: the token names no group.
Result<RuleGroupPage> SelectRuleGroups(std::vector<RuleGroupView> groups, const RuleFilter& filter);

}  // namespace tocsin::alerting
