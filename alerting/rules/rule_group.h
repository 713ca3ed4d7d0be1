// RuleGroup: rules evaluated in order on one interval. One tick of a group is: for each rule query,
// move its alerts, journal them, write its samples, hand over the alerts that are due.
//
// Ticks stand at hash(file, group) % interval past the interval's multiples, so that groups spread
// and a restart keeps their times.
// Thread contract: Evaluate by one thread at a time; View and Stop from any.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "alerting/notify/alert.h"
#include "alerting/rules/alert_journal.h"
#include "alerting/rules/rule.h"
#include "alerting/rules/rule_series.h"
#include "alerting/rules/rule_view.h"
#include "base/mutex.h"
#include "base/self_metrics.h"
#include "model/storage.h"

namespace tocsin {
class Env;
}

namespace tocsin::alerting {

class Ledger;

// A RuleQuery that is told whose rule asks.
using GroupQuery = std::function<Result<query::QueryResult>(
    const RuleGroupDefinition& group, const std::string& expr, model::Timestamp time_ms,
    const std::atomic<bool>* cancel)>;

// What groups work with. All outlive them.
struct RuleBackends {
  Env* env = nullptr;
  model::Appender* appender = nullptr;
  GroupQuery query;
  AlertSink* sink = nullptr;
  AlertJournal* journal = nullptr;
  Ledger* ledger = nullptr;
};

struct RuleGroupSettings {
  int64_t interval_ms = 60'000;
  int64_t query_offset_ms = 0;
  int64_t resend_delay_ms = 60'000;
};

// Restored alerts that are not seen again are kept this long after a start (and for two intervals):
// a scrape interval of a minute must have had its first scrape.
inline constexpr int64_t kRestoreGraceMs = 90'000;
// A wall clock that differs by more than this from the monotonic one since the last tick was set.
inline constexpr int64_t kClockStepMs = 30'000;

class RuleGroup {
 public:
  static Result<std::unique_ptr<RuleGroup>> Create(
      const RuleGroupDefinition& definition, const RuleGroupSettings& settings,
      std::shared_ptr<const RuleEnvironment> environment, const RuleBackends* backends);

  const std::string& name() const { return definition_.name; }
  const std::string& file() const { return definition_.file; }
  int64_t interval_ms() const { return settings_.interval_ms; }
  const RuleGroupDefinition& definition() const { return definition_; }
  // The same rules under the same settings: a reload lets the old group go on.
  bool SameAs(const RuleGroup& other) const;

  // The first tick after `time_ms`.
  model::Timestamp NextTick(model::Timestamp time_ms) const;

  void Evaluate(model::Timestamp tick_ms) EXCLUDES(mu_);
  // See AlertTable::Firing; of all its rules.
  std::vector<Alert> FiringAlerts(model::Timestamp now_ms);
  void CountMissed(uint64_t ticks) { missed_.Add(ticks); }
  // Ends a running Evaluate soon and refuses later ones.
  void Stop() { stopped_.store(true); }

  struct Member {
    std::unique_ptr<Rule> rule;
    RuleSeries series;
  };
  // For taking over state at reload and restart; only while nothing evaluates.
  std::vector<Member>& members() { return members_; }
  const std::vector<Member>& members() const { return members_; }

  RuleGroupView View() const EXCLUDES(mu_);

 private:
  RuleGroup(const RuleGroupDefinition& definition, const RuleGroupSettings& settings,
            const RuleBackends* backends);

  void EvaluateMember(Member* member, model::Timestamp tick_ms);
  // Journals what changed, before anybody acts on it.
  void Journal(const Member& member, const Rule::Evaluation& evaluation);
  void SendDue(Member* member, model::Timestamp tick_ms);
  void CheckClock();

  const RuleGroupDefinition definition_;
  const RuleGroupSettings settings_;
  const RuleBackends* const backends_;
  std::vector<Member> members_;
  std::atomic<bool> stopped_{false};
  int64_t last_wall_ms_ = 0;  // at the last Evaluate; 0: none yet
  int64_t last_monotonic_ms_ = 0;
  Counter& iterations_;
  Counter& missed_;
  Counter& evaluations_;
  Counter& failures_;
  Gauge& last_duration_seconds_;

  mutable Mutex mu_;
  double evaluation_seconds_ GUARDED_BY(mu_) = 0;
  model::Timestamp last_evaluation_ms_ GUARDED_BY(mu_) = 0;
};

}  // namespace tocsin::alerting
