// AlertTable: the alerts of one rule and how they move.
//
//              expression true          held for `for`
//   (none) ───────────────────▶ pending ──────────────▶ firing ◀─┐ expression true again,
//     ▲                           │                       │      │ keep_firing_for not over
//     │     expression false      │    expression false   ▼      │
//     ├───────────────────────────┘              (kept) firing ──┘
//     │                                                   │ keep_firing_for over (or none)
//     │         kResolvedRetentionMs later                ▼
//     └────────────────────────────────────────── inactive = resolved
//
// A resolved alert stays for kResolvedRetentionMs so that it is told again to Alertmanagers that
// missed it; when its expression is true again it starts anew as pending.
// An alert that was restored after a start and whose expression has not been true since then stays
// as it is until the grace period is over: right after a start the data that it needs may not have
// been scraped yet, and nothing must resolve because we were away.
//
// One thread at a time (its rule's lock). Times are the wall clock's, at evaluation.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "alerting/notify/alert.h"
#include "alerting/rules/rule_view.h"
#include "base/status.h"
#include "model/labels.h"
#include "model/sample.h"

namespace tocsin::alerting {

// How long a resolved alert is told again (Prometheus' resolvedRetention).
inline constexpr int64_t kResolvedRetentionMs = 15 * 60 * 1000;

struct AlertEntry {
  model::Labels labels;
  NamedTexts annotations;
  AlertState state = AlertState::kPending;
  double value = 0;
  model::Timestamp active_at_ms = 0;  // since when the expression is true
  model::Timestamp fired_at_ms = 0;
  model::Timestamp resolved_at_ms = 0;        // 0: not resolved
  model::Timestamp keep_firing_since_ms = 0;  // 0: the expression is true
  model::Timestamp last_sent_at_ms = 0;       // 0: never
  model::Timestamp valid_until_ms = 0;        // the endsAt that was sent last
  bool restored = false;                      // from the journal, not seen true since the start
  bool dirty = false;                         // differs from the journal
};

struct AlertTransition {
  model::Labels labels;
  AlertState from;
  AlertState to;
  double value;
};

// What one evaluation changed, for journal and ledger.
struct AlertChanges {
  std::vector<AlertTransition> transitions;
  std::vector<model::Labels> removed;  // no longer in the table
};

class AlertTable {
 public:
  struct Settings {
    int64_t for_ms = 0;
    int64_t keep_firing_for_ms = 0;
    int64_t limit = 0;                    // 0: none
    model::Timestamp grace_until_ms = 0;  // for restored alerts
  };

  // One evaluation at `now_ms` found `active` (labels, annotations, value; labels all different).
  // kExecution when more than `limit` alerts would be pending or firing: all are dropped, as in
  // Prometheus.
  Status Advance(std::vector<AlertEntry> active, model::Timestamp now_ms, const Settings& settings,
                 AlertChanges* changes);

  // Alerts to send now: new firing or resolved ones at once, others each `resend_delay_ms`. Marks
  // them as sent, valid until now + 4 × max(resend delay, interval).
  std::vector<Alert> TakeDue(model::Timestamp now_ms, int64_t resend_delay_ms, int64_t interval_ms,
                             const std::string& generator_url);

  // All firing alerts as they would be sent now, without marking them: after a restart, so that who
  // notifies knows them before anything else happens.
  std::vector<Alert> Firing(model::Timestamp now_ms, int64_t resend_delay_ms, int64_t interval_ms,
                            const std::string& generator_url) const;

  // The wall clock was set by `step_ms`: durations that are being held keep their length.
  void ShiftTimes(int64_t step_ms);

  // Copies of the dirty entries, which count as clean from now on; MarkDirty takes that back when
  // they could not be journalled.
  std::vector<AlertEntry> TakeDirty();
  void MarkDirty(const std::vector<AlertEntry>& entries);

  void Insert(AlertEntry entry);  // restored or taken over
  void Clear() { entries_.clear(); }

  bool empty() const { return entries_.empty(); }
  AlertState HighestState() const;
  // Pending and firing ones, sorted by labels.
  std::vector<AlertView> Active() const;
  // All, in no order; for journalling and taking over.
  std::unordered_map<model::Labels, AlertEntry, model::LabelsHash>& entries() { return entries_; }
  const std::unordered_map<model::Labels, AlertEntry, model::LabelsHash>& entries() const {
    return entries_;
  }

 private:
  // False: the entry goes.
  bool AdvanceAbsent(AlertEntry* entry, model::Timestamp now_ms, const Settings& settings,
                     AlertChanges* changes);

  std::unordered_map<model::Labels, AlertEntry, model::LabelsHash> entries_;
};

}  // namespace tocsin::alerting
