// RuleScheduler: all rule groups, their ticks and their threads; the rules' face for daemon and
// API.
//
//   RuleScheduler rules(backends, options);
//   auto prepared = rules.Prepare(config);        // everything that can fail; changes nothing
//   rules.Apply(*std::move(prepared));            // cannot fail; also at reload
//   rules.Start(); …; rules.Stop();
//
// Ticks that were missed because an evaluation took long, or the process was held, are made up in
// order, at most kLateTicksMax of them; older ones are counted as missed. After a jump of the wall
// clock groups go on from the new time.
//
// Reload: a group that stays the same goes on untouched. A changed one hands its alerts to the new
// rules: to the rule of the same identity, else of the same group and name, else of the same name,
// so that renaming a file or a group does not restart anybody's `for`. What nobody takes over is
// forgotten, on disk too, and its series end two intervals later unless another rule makes them.
//
// Thread contract: Prepare, Apply, Start, Stop by one thread (main); RuleGroups and ActiveAlerts by
// any.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "alerting/rules/rule_group.h"
#include "alerting/rules/rule_view.h"
#include "base/mutex.h"
#include "base/thread.h"

namespace tocsin::alerting {

inline constexpr int64_t kLateTicksMax = 10;

struct RuleConfig {
  std::vector<RuleGroupDefinition> groups;
  int64_t evaluation_interval_ms = 60'000;  // of groups without an interval
  int64_t rule_query_offset_ms = 0;         // of groups without a query_offset
  int64_t resend_delay_ms = 60'000;         // --rules.alert.resend-delay
  RuleEnvironment environment;
};

struct RuleSchedulerOptions {
  int threads = 4;  // groups evaluated at once; the engine's own pool does the work
};

class RuleScheduler final : public RuleReader {
 public:
  RuleScheduler(const RuleBackends& backends, const RuleSchedulerOptions& options);
  ~RuleScheduler() override;

  struct Prepared {
    std::vector<std::unique_ptr<RuleGroup>> groups;
  };
  // kInvalidArgument: a rule that does not parse, or no interval.
  Result<Prepared> Prepare(const RuleConfig& config) const;
  // The first call restores the journal and sends the restored firing alerts to the sink, which
  // must be ready for them: who notifies then knows all of them before the first evaluation.
  void Apply(Prepared prepared) EXCLUDES(mu_);

  void Start();
  void Stop() EXCLUDES(mu_);
  // Evaluates everything that is due at the clock's now, on this thread: what the threads do, for
  // tests. Gives the time of the next tick (kMaxTimestamp: none).
  model::Timestamp RunDue() EXCLUDES(mu_);

  std::vector<RuleGroupView> RuleGroups() const override EXCLUDES(mu_);
  std::vector<AlertView> ActiveAlerts() const override EXCLUDES(mu_);

 private:
  struct Slot {
    std::shared_ptr<RuleGroup> group;
    model::Timestamp next_tick_ms = 0;
    bool running = false;
  };
  // Series of a rule that is gone, to be ended when nobody took them up.
  struct Ending {
    RuleSeries series;
    model::Timestamp due_ms;
  };

  void RunThread();
  // The most overdue group that is not running, marked as running; null when none is due.
  // `*next_ms` gets the next tick of all.
  Slot* TakeDue(model::Timestamp now_ms, model::Timestamp* next_ms) REQUIRES(mu_);
  // Evaluates its next tick and frees it.
  void RunSlot(Slot* slot) EXCLUDES(mu_);
  // Moves the next tick to one that is neither too long ago nor absurdly ahead.
  void CheckTick(Slot* slot, model::Timestamp now_ms) REQUIRES(mu_);
  void EndSeries(model::Timestamp now_ms) REQUIRES(mu_);
  void WaitUntilIdle() REQUIRES(mu_);

  using Groups = std::vector<std::shared_ptr<RuleGroup>>;
  // Gives the state that rules left (in the journal, or in groups that go) to the rules that take
  // it over, in memory and in the journal; what nobody takes is forgotten.
  struct Left;
  static std::vector<Left> LeftBy(const Groups& groups);
  std::vector<Left> LeftInJournal() const;
  void HandOver(std::vector<Left> left, const Groups& groups);
  void Give(Left* left, RuleGroup::Member* member, int64_t interval_ms);
  void Announce(const Groups& groups);

  const RuleBackends backends_;
  const RuleSchedulerOptions options_;
  std::vector<Thread> threads_;
  bool restored_ = false;  // main only

  mutable Mutex mu_;
  CondVar wake_;
  CondVar idle_;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::list<Slot> slots_ GUARDED_BY(mu_);
  std::list<Ending> endings_ GUARDED_BY(mu_);
};

}  // namespace tocsin::alerting
