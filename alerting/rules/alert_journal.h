// AlertJournal: alert state on disk, in the state store. Written after an evaluation has moved
// alerts and before anybody acts on it (samples, notifications), so that a restart changes nothing.
//
//   key    alert/<rule: 16 hex>/<fingerprint: 16 hex>
//   value  JSON: {"file","group","rule","rule_labels":{},"ordinal","labels":{},"annotations":{},
//                 "state","value","active_at","fired_at","resolved_at","keep_firing_since",
//                 "last_sent_at","valid_until"}; times in ms; what is 0 or empty is left out.
//
// The rule part of the key is a hash of the rule's identity; the value repeats the identity in
// words, so that a rule that moved or changed can still take over what it left.
#pragma once

#include <string>
#include <vector>

#include "alerting/rules/alert_state.h"
#include "alerting/rules/rule_file.h"
#include "base/state_store.h"
#include "base/status.h"

namespace tocsin::alerting {

// What makes a rule the same rule across reloads and restarts.
struct RuleIdentity {
  std::string file;
  std::string group;
  std::string rule;
  NamedTexts labels;  // as written, templates not expanded; the group's included
  int ordinal = 0;    // of equal ones in one group
  friend auto operator<=>(const RuleIdentity&, const RuleIdentity&) = default;
};

struct JournalledAlert {
  RuleIdentity rule;
  AlertEntry entry;
};

// Thread-safe.
class AlertJournal {
 public:
  explicit AlertJournal(StateStore& store) : store_(store) {}

  // All that is there. What does not parse is skipped, counted and logged.
  std::vector<JournalledAlert> Load() const;

  // Writes entries and forgets the removed ones, synced, all or nothing.
  Status Record(const RuleIdentity& rule, const std::vector<AlertEntry>& changed,
                const std::vector<model::Labels>& removed);
  // The rule is gone, or was renamed.
  Status Forget(const RuleIdentity& rule, const std::vector<model::Labels>& labels);

 private:
  StateStore& store_;
};

}  // namespace tocsin::alerting
