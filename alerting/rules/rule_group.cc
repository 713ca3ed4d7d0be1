#include "alerting/rules/rule_group.h"

#include <iterator>
#include <map>

#include "alerting/notify/ledger.h"
#include "base/env.h"
#include "base/log.h"

namespace tocsin::alerting {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;

MetricLabels GroupLabel(const RuleGroupDefinition& group) {
  return {{"rule_group", group.file + ";" + group.name}};
}

std::string_view EventName(const AlertTransition& transition) {
  if (transition.to == AlertState::kInactive) {
    return transition.from == AlertState::kFiring ? "resolved" : "inactive";
  }
  return AlertStateName(transition.to);
}

}  // namespace

RuleGroup::RuleGroup(const RuleGroupDefinition& definition, const RuleGroupSettings& settings,
                     const RuleBackends* backends)
    : definition_(definition),
      settings_(settings),
      backends_(backends),
      iterations_(SelfMetrics::Default().GetCounter("tocsin_rule_group_iterations_total",
                                                    "Rule group evaluations, missed ones included.",
                                                    GroupLabel(definition))),
      missed_(SelfMetrics::Default().GetCounter("tocsin_rule_group_iterations_missed_total",
                                                "Rule group evaluations that were too late to be "
                                                "made up.",
                                                GroupLabel(definition))),
      evaluations_(SelfMetrics::Default().GetCounter("tocsin_rule_evaluations_total",
                                                     "Rule evaluations.", GroupLabel(definition))),
      failures_(SelfMetrics::Default().GetCounter("tocsin_rule_evaluation_failures_total",
                                                  "Rule evaluations that failed.",
                                                  GroupLabel(definition))),
      last_duration_seconds_(SelfMetrics::Default().GetGauge(
          "tocsin_rule_group_last_duration_seconds", "How long the last evaluation took.",
          GroupLabel(definition))) {}

Result<std::unique_ptr<RuleGroup>> RuleGroup::Create(
    const RuleGroupDefinition& definition, const RuleGroupSettings& settings,
    std::shared_ptr<const RuleEnvironment> environment, const RuleBackends* backends) {
  std::unique_ptr<RuleGroup> group(new RuleGroup(definition, settings, backends));
  std::map<std::pair<std::string, NamedTexts>, int> repeats;
  for (const RuleDefinition& rule : definition.rules) {
    const int ordinal = repeats[{rule.name, rule.labels}]++;
    auto created = Rule::Create(definition, rule, ordinal, environment);
    if (!created) {
      return Error(created.error().Annotate(definition.file + ": group " + definition.name + ": " +
                                            rule.name));
    }
    const std::string origin =
        definition.file + ";" + definition.name + ";" + rule.name + ";" +
        FingerprintHex(Fingerprint(model::Labels::FromPairs((*created)->identity().labels))) + ";" +
        std::to_string(ordinal);
    group->members_.push_back({*std::move(created), RuleSeries(*backends->appender, origin)});
  }
  return group;
}

bool RuleGroup::SameAs(const RuleGroup& other) const {
  const auto same_rule = [](const Member& a, const Member& b) {
    const RuleView x = a.rule->View();
    const RuleView y = b.rule->View();
    return x.is_alert == y.is_alert && x.query == y.query && x.for_ms == y.for_ms &&
           x.keep_firing_for_ms == y.keep_firing_for_ms && x.annotations == y.annotations &&
           a.rule->identity() == b.rule->identity() &&
           a.rule->environment() == b.rule->environment();
  };
  return name() == other.name() && file() == other.file() &&
         settings_.interval_ms == other.settings_.interval_ms &&
         settings_.query_offset_ms == other.settings_.query_offset_ms &&
         settings_.resend_delay_ms == other.settings_.resend_delay_ms &&
         definition_.limit == other.definition_.limit &&
         std::equal(members_.begin(), members_.end(), other.members_.begin(), other.members_.end(),
                    same_rule);
}

model::Timestamp RuleGroup::NextTick(model::Timestamp time_ms) const {
  const int64_t interval = settings_.interval_ms;
  const uint64_t hash = Fingerprint(
      model::Labels::FromPairs({{"file", definition_.file}, {"name", definition_.name}}));
  const auto offset = static_cast<int64_t>(hash % static_cast<uint64_t>(interval));
  const int64_t since = time_ms - offset;
  const int64_t slots = since / interval - (since % interval < 0 ? 1 : 0);
  return (slots + 1) * interval + offset;
}

void RuleGroup::Evaluate(model::Timestamp tick_ms) {
  if (stopped_.load()) return;
  CheckClock();
  iterations_.Add();
  const int64_t start_ns = backends_->env->MonotonicNanos();
  for (Member& member : members_) {
    if (stopped_.load()) return;
    EvaluateMember(&member, tick_ms);
  }
  const double seconds = static_cast<double>(backends_->env->MonotonicNanos() - start_ns) / 1e9;
  last_duration_seconds_.Set(seconds);
  MutexLock lock(mu_);
  evaluation_seconds_ = seconds;
  last_evaluation_ms_ = backends_->env->NowMs();
}

void RuleGroup::EvaluateMember(Member* member, model::Timestamp tick_ms) {
  Rule& rule = *member->rule;
  evaluations_.Add();
  const int64_t start_ns = backends_->env->MonotonicNanos();
  const model::Timestamp started_at_ms = backends_->env->NowMs();
  const RuleQuery query = [this](const std::string& expr, model::Timestamp time_ms,
                                 const std::atomic<bool>* cancel) {
    return backends_->query(definition_, expr, time_ms, cancel);
  };
  const Rule::Evaluation evaluation =
      rule.Evaluate(tick_ms, settings_.query_offset_ms, definition_.limit, query, &stopped_);
  if (stopped_.load() && !evaluation.status.ok()) return;  // cut short, not failed
  Journal(*member, evaluation);
  Status status = evaluation.status;
  if (status.ok()) {
    if (rule.is_alert()) SendDue(member, tick_ms);
    status = member->series.Write(evaluation.samples, tick_ms - settings_.query_offset_ms);
  }
  if (!status.ok()) {
    failures_.Add();
    LogWarn("rules", "evaluating rule failed",
            {{"file", file()}, {"group", name()}, {"rule", rule.identity().rule}, {"err", status}});
  }
  rule.SetOutcome(status, static_cast<double>(backends_->env->MonotonicNanos() - start_ns) / 1e9,
                  started_at_ms);
}

void RuleGroup::Journal(const Member& member, const Rule::Evaluation& evaluation) {
  if (!member.rule->is_alert()) return;
  static Counter& failed = SelfMetrics::Default().GetCounter(
      "tocsin_alert_journal_failures_total", "Alert state that could not be journalled.");
  const std::vector<AlertEntry> dirty =
      member.rule->WithAlerts([](AlertTable& alerts) { return alerts.TakeDirty(); });
  const Status status =
      backends_->journal->Record(member.rule->identity(), dirty, evaluation.changes.removed);
  if (!status.ok()) {
    // A full disk must not stop alerting: go on, and write again at the next tick.
    failed.Add();
    LogError("rules", "alert state not journalled; a restart now would forget it",
             {{"rule", member.rule->identity().rule}, {"err", status}});
    member.rule->WithAlerts([&](AlertTable& alerts) { alerts.MarkDirty(dirty); });
  }
  if (backends_->ledger == nullptr) return;
  for (const AlertTransition& transition : evaluation.changes.transitions) {
    backends_->ledger->Add(
        {backends_->env->NowMs(), std::string(EventName(transition)), transition.labels, ""});
  }
}

void RuleGroup::SendDue(Member* member, model::Timestamp tick_ms) {
  const std::string generator_url = member->rule->GeneratorUrl();
  const std::vector<Alert> due = member->rule->WithAlerts([&](AlertTable& alerts) {
    return alerts.TakeDue(tick_ms, settings_.resend_delay_ms, settings_.interval_ms, generator_url);
  });
  if (due.empty()) return;
  backends_->sink->Send(due);
  // The times of sending follow their alerts; written after the fact, since a lost one only means
  // that an alert is told once more.
  Journal(*member, Rule::Evaluation());
}

std::vector<Alert> RuleGroup::FiringAlerts(model::Timestamp now_ms) {
  std::vector<Alert> firing;
  for (Member& member : members_) {
    const std::string generator_url = member.rule->GeneratorUrl();
    std::vector<Alert> alerts = member.rule->WithAlerts([&](AlertTable& table) {
      return table.Firing(now_ms, settings_.resend_delay_ms, settings_.interval_ms, generator_url);
    });
    std::move(alerts.begin(), alerts.end(), std::back_inserter(firing));
  }
  return firing;
}

void RuleGroup::CheckClock() {
  const int64_t wall_ms = backends_->env->NowMs();
  const int64_t monotonic_ms = backends_->env->MonotonicNanos() / kNsPerMs;
  if (last_wall_ms_ != 0) {
    const int64_t step_ms = (wall_ms - last_wall_ms_) - (monotonic_ms - last_monotonic_ms_);
    if (step_ms > kClockStepMs || step_ms < -kClockStepMs) {
      LogWarn("rules", "wall clock was set; alerts keep the time they have been active",
              {{"group", name()}, {"step_ms", step_ms}});
      for (Member& member : members_) {
        member.rule->WithAlerts([&](AlertTable& alerts) { alerts.ShiftTimes(step_ms); });
      }
    }
  }
  last_wall_ms_ = wall_ms;
  last_monotonic_ms_ = monotonic_ms;
}

RuleGroupView RuleGroup::View() const {
  RuleGroupView view;
  view.name = definition_.name;
  view.file = definition_.file;
  view.interval_ms = settings_.interval_ms;
  view.limit = definition_.limit;
  for (const Member& member : members_) view.rules.push_back(member.rule->View());
  MutexLock lock(mu_);
  view.evaluation_seconds = evaluation_seconds_;
  view.last_evaluation_ms = last_evaluation_ms_;
  return view;
}

}  // namespace tocsin::alerting
