#include "alerting/rules/rule_scheduler.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <set>
#include <unordered_map>

#include "base/env.h"
#include "base/log.h"

namespace tocsin::alerting {
namespace {

// Threads look at the clock at least this often, so that a set clock is noticed.
constexpr int64_t kWaitMaxMs = 1'000;

constexpr int kPerfectFit = 4;

// How well a rule fits state that another one left: higher is better, 0 not at all.
int Fit(const RuleIdentity& rule, const RuleIdentity& left) {
  if (rule == left) return kPerfectFit;
  if (rule.rule != left.rule) return 0;
  const bool same_group = rule.file == left.file && rule.group == left.group;
  if (rule.labels == left.labels) return same_group ? 3 : 2;
  return 1;
}

}  // namespace

// What one rule left: from the journal `series` is null.
struct RuleScheduler::Left {
  RuleIdentity rule;
  bool is_alert = true;
  std::vector<AlertEntry> entries;
  RuleSeries* series = nullptr;
  bool taken = false;
};

RuleScheduler::RuleScheduler(const RuleBackends& backends, const RuleSchedulerOptions& options)
    : backends_(backends), options_(options) {}

RuleScheduler::~RuleScheduler() { Stop(); }

Result<RuleScheduler::Prepared> RuleScheduler::Prepare(const RuleConfig& config) const {
  Prepared prepared;
  const auto environment = std::make_shared<const RuleEnvironment>(config.environment);
  for (const RuleGroupDefinition& definition : config.groups) {
    RuleGroupSettings settings;
    settings.interval_ms =
        definition.interval_ms > 0 ? definition.interval_ms : config.evaluation_interval_ms;
    settings.query_offset_ms = definition.query_offset_ms.value_or(config.rule_query_offset_ms);
    settings.resend_delay_ms = config.resend_delay_ms;
    if (settings.interval_ms <= 0) {
      return Error(Code::kInvalidArgument,
                   definition.file + ": group " + definition.name + ": no evaluation interval");
    }
    TOCSIN_ASSIGN_OR_RETURN(std::unique_ptr<RuleGroup> group,
                            RuleGroup::Create(definition, settings, environment, &backends_));
    prepared.groups.push_back(std::move(group));
  }
  std::sort(prepared.groups.begin(), prepared.groups.end(), [](const auto& a, const auto& b) {
    return std::pair(a->file(), a->name()) < std::pair(b->file(), b->name());
  });
  return prepared;
}

void RuleScheduler::Apply(Prepared prepared) {
  std::list<Slot> slots;
  std::vector<std::shared_ptr<RuleGroup>> old_groups, new_groups;
  const model::Timestamp now_ms = backends_.env->NowMs();

  MutexLock lock(mu_);
  for (auto& candidate : prepared.groups) {
    const auto same = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& slot) {
      return slot.group->SameAs(*candidate);
    });
    if (same != slots_.end()) {
      slots.splice(slots.end(), slots_, same);
      continue;
    }
    new_groups.push_back(std::move(candidate));
    slots.push_back({new_groups.back(), new_groups.back()->NextTick(now_ms), false});
  }
  // What is left in slots_ goes: end its evaluations before its state is taken over.
  for (Slot& slot : slots_) {
    slot.group->Stop();
    old_groups.push_back(slot.group);
  }
  WaitUntilIdle();
  HandOver(restored_ ? LeftBy(old_groups) : LeftInJournal(), new_groups);
  if (!restored_) Announce(new_groups);
  restored_ = true;
  for (const auto& group : old_groups) {
    for (RuleGroup::Member& member : group->members()) {
      if (member.series.empty()) continue;
      endings_.push_back({std::move(member.series), now_ms + 2 * group->interval_ms()});
    }
  }
  slots_ = std::move(slots);
  wake_.NotifyAll();
}

// Only what is left in slots_ matters: the groups that stay were moved out of it already.
void RuleScheduler::WaitUntilIdle() {
  for (auto it = slots_.begin(); it != slots_.end();) {
    if (it->running) {
      idle_.Wait(mu_);
      it = slots_.begin();
    } else {
      ++it;
    }
  }
}

std::vector<RuleScheduler::Left> RuleScheduler::LeftInJournal() const {
  std::map<RuleIdentity, std::vector<AlertEntry>> entries;
  for (JournalledAlert& alert : backends_.journal->Load()) {
    entries[alert.rule].push_back(std::move(alert.entry));
  }
  std::vector<Left> left;
  for (auto& [rule, alerts] : entries) {
    Left one;
    one.rule = rule;
    one.entries = std::move(alerts);
    left.push_back(std::move(one));
  }
  return left;
}

std::vector<RuleScheduler::Left> RuleScheduler::LeftBy(const Groups& groups) {
  std::vector<Left> left;
  for (const auto& group : groups) {
    for (RuleGroup::Member& member : group->members()) {
      Left one;
      one.rule = member.rule->identity();
      one.is_alert = member.rule->is_alert();
      one.series = &member.series;
      member.rule->WithAlerts([&](AlertTable& alerts) {
        for (const auto& [labels, entry] : alerts.entries()) one.entries.push_back(entry);
      });
      left.push_back(std::move(one));
    }
  }
  return left;
}

void RuleScheduler::HandOver(std::vector<Left> left, const Groups& groups) {
  std::unordered_map<std::string, std::vector<Left*>> by_name;  // only equal names ever fit
  for (Left& one : left) by_name[one.rule.rule].push_back(&one);
  std::set<const Rule*> served;
  for (int fit = kPerfectFit; fit > 0; --fit) {
    for (const auto& group : groups) {
      for (RuleGroup::Member& member : group->members()) {
        const auto named = by_name.find(member.rule->identity().rule);
        if (named == by_name.end() || served.contains(member.rule.get())) continue;
        const auto it =
            std::find_if(named->second.begin(), named->second.end(), [&](const Left* one) {
              return !one->taken && one->is_alert == member.rule->is_alert() &&
                     Fit(member.rule->identity(), one->rule) == fit;
            });
        if (it == named->second.end()) continue;
        served.insert(member.rule.get());
        (*it)->taken = true;
        Give(*it, &member, group->interval_ms());
      }
    }
  }
  size_t kept = 0, forgotten = 0;
  for (const Left& one : left) {
    (one.taken ? kept : forgotten) += one.entries.size();
    if (one.taken) continue;
    std::vector<model::Labels> labels;
    for (const AlertEntry& entry : one.entries) labels.push_back(entry.labels);
    const Status status = backends_.journal->Forget(one.rule, labels);
    if (!status.ok()) LogWarn("rules", "alert state not forgotten", {{"err", status}});
  }
  if (kept + forgotten > 0) {
    LogInfo("rules", "alert state taken over", {{"alerts", kept}, {"forgotten", forgotten}});
  }
}

void RuleScheduler::Give(Left* left, RuleGroup::Member* member, int64_t interval_ms) {
  const RuleIdentity& identity = member->rule->identity();
  const bool moved = identity != left->rule;
  if (moved && !left->entries.empty()) {
    // The new place is written before the old one is forgotten: no crash can lose the state.
    Status status = backends_.journal->Record(identity, left->entries, {});
    std::vector<model::Labels> labels;
    for (const AlertEntry& entry : left->entries) labels.push_back(entry.labels);
    if (status.ok()) status = backends_.journal->Forget(left->rule, labels);
    if (!status.ok()) LogWarn("rules", "alert state not moved on disk", {{"err", status}});
  }
  member->rule->SetGrace(backends_.env->NowMs() + std::max(kRestoreGraceMs, 2 * interval_ms));
  member->rule->WithAlerts([&](AlertTable& alerts) {
    for (AlertEntry& entry : left->entries) alerts.Insert(entry);
    member->series.Remember(AlertSamples(alerts));
  });
  if (left->series == nullptr) return;
  if (moved) {
    member->series.Remember(left->series->TakeLabels());
  } else {
    member->series = std::move(*left->series);
  }
}

void RuleScheduler::Announce(const Groups& groups) {
  std::vector<Alert> firing;
  for (const auto& group : groups) {
    std::vector<Alert> alerts = group->FiringAlerts(backends_.env->NowMs());
    std::move(alerts.begin(), alerts.end(), std::back_inserter(firing));
  }
  if (!firing.empty()) backends_.sink->Send(firing);
}

RuleScheduler::Slot* RuleScheduler::TakeDue(model::Timestamp now_ms, model::Timestamp* next_ms) {
  Slot* due = nullptr;
  *next_ms = model::kMaxTimestamp;
  for (Slot& slot : slots_) {
    if (slot.running) continue;
    CheckTick(&slot, now_ms);
    *next_ms = std::min(*next_ms, slot.next_tick_ms);
    if (slot.next_tick_ms > now_ms) continue;
    if (due == nullptr || slot.next_tick_ms < due->next_tick_ms) due = &slot;
  }
  if (due != nullptr) due->running = true;
  return due;
}

void RuleScheduler::CheckTick(Slot* slot, model::Timestamp now_ms) {
  const int64_t interval = slot->group->interval_ms();
  if (slot->next_tick_ms > now_ms + interval) {
    slot->next_tick_ms = slot->group->NextTick(now_ms);  // the clock was set back
    return;
  }
  const int64_t behind = (now_ms - slot->next_tick_ms) / interval;
  if (behind <= kLateTicksMax) return;
  const int64_t skipped = behind - kLateTicksMax;
  slot->group->CountMissed(static_cast<uint64_t>(skipped));
  slot->next_tick_ms += skipped * interval;
}

void RuleScheduler::RunSlot(Slot* slot) {
  std::shared_ptr<RuleGroup> group;
  model::Timestamp tick_ms = 0;
  {
    MutexLock lock(mu_);
    group = slot->group;
    tick_ms = slot->next_tick_ms;
  }
  group->Evaluate(tick_ms);
  MutexLock lock(mu_);
  slot->next_tick_ms = tick_ms + group->interval_ms();
  slot->running = false;
  idle_.NotifyAll();
}

void RuleScheduler::EndSeries(model::Timestamp now_ms) {
  for (auto it = endings_.begin(); it != endings_.end();) {
    if (it->due_ms > now_ms) {
      ++it;
      continue;
    }
    const bool busy =
        std::any_of(slots_.begin(), slots_.end(), [](const Slot& s) { return s.running; });
    if (busy) return;  // what the groups make is only theirs while they run
    std::vector<const RuleGroup*> groups;
    for (const Slot& slot : slots_) groups.push_back(slot.group.get());
    const Status status = it->series.End(now_ms, [&groups](const model::Labels& labels) {
      return std::any_of(groups.begin(), groups.end(), [&](const RuleGroup* group) {
        return std::any_of(group->members().begin(), group->members().end(),
                           [&](const auto& member) { return member.series.Makes(labels); });
      });
    });
    if (!status.ok()) LogWarn("rules", "series of a removed rule not ended", {{"err", status}});
    it = endings_.erase(it);
  }
}

model::Timestamp RuleScheduler::RunDue() {
  while (true) {
    Slot* slot = nullptr;
    model::Timestamp next_ms = 0;
    {
      MutexLock lock(mu_);
      const model::Timestamp now_ms = backends_.env->NowMs();
      EndSeries(now_ms);
      slot = TakeDue(now_ms, &next_ms);
    }
    if (slot == nullptr) return next_ms;
    RunSlot(slot);
  }
}

void RuleScheduler::RunThread() {
  while (true) {
    const model::Timestamp next_ms = RunDue();
    MutexLock lock(mu_);
    if (stopping_) return;
    const int64_t wait_ms = std::clamp<int64_t>(next_ms - backends_.env->NowMs(), 1, kWaitMaxMs);
    wake_.WaitFor(mu_, std::chrono::milliseconds(wait_ms));
    if (stopping_) return;
  }
}

void RuleScheduler::Start() {
  for (int i = 0; i < options_.threads; ++i) {
    threads_.emplace_back("rule-" + std::to_string(i), [this] { RunThread(); });
  }
}

void RuleScheduler::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    for (Slot& slot : slots_) slot.group->Stop();
    wake_.NotifyAll();
  }
  for (Thread& thread : threads_) thread.Join();
  threads_.clear();
}

std::vector<RuleGroupView> RuleScheduler::RuleGroups() const {
  std::vector<std::shared_ptr<RuleGroup>> groups;
  {
    MutexLock lock(mu_);
    for (const Slot& slot : slots_) groups.push_back(slot.group);
  }
  std::vector<RuleGroupView> views;
  views.reserve(groups.size());
  for (const auto& group : groups) views.push_back(group->View());
  return views;
}

std::vector<AlertView> RuleScheduler::ActiveAlerts() const {
  std::vector<AlertView> alerts;
  for (RuleGroupView& group : RuleGroups()) {
    for (RuleView& rule : group.rules) {
      std::move(rule.alerts.begin(), rule.alerts.end(), std::back_inserter(alerts));
    }
  }
  return alerts;
}

}  // namespace tocsin::alerting
