// Rules end to end over fakes: ticks, samples, staleness, journal, restart, reload.
#include "alerting/rules/rule_scheduler.h"

#include <boost/test/unit_test.hpp>

#include "alerting/notify/ledger.h"
#include "base/mem_env.h"
#include "base/state_store.h"
#include "tests/alerting/fakes.h"

namespace tocsin::alerting {
namespace rule_scheduler_test {
namespace {

using testing::FakeAppender;
using testing::FakeSink;
using testing::SampleOf;

constexpr int64_t kInterval = 10'000;

// A daemon's worth of what rules need. The state store outlives "restarts".
struct World {
  MemEnv env;
  FakeAppender appender;
  FakeSink sink;
  MemoryStateStore store;
  MemoryStateStore ledger_store;
  AlertJournal journal{store};
  Ledger ledger{ledger_store};
  std::map<std::string, query::Vector> answers;  // by expression
  std::vector<std::pair<std::string, model::Timestamp>> asked;
  Status query_status;
  std::unique_ptr<RuleScheduler> rules;

  World() { Start(); }

  void Start() {
    RuleBackends backends;
    backends.env = &env;
    backends.appender = &appender;
    backends.sink = &sink;
    backends.journal = &journal;
    backends.ledger = &ledger;
    backends.query = [this](const RuleGroupDefinition&, const std::string& expr,
                            model::Timestamp time_ms,
                            const std::atomic<bool>*) -> Result<query::QueryResult> {
      asked.emplace_back(expr, time_ms);
      if (!query_status.ok()) return Error(query_status);
      query::QueryResult result;
      result.value = answers[expr];
      return result;
    };
    rules = std::make_unique<RuleScheduler>(backends, RuleSchedulerOptions());
  }

  Status Load(const std::string& text, const std::string& file = "f.yml") {
    RuleFileReport report = ParseRuleFile(file, text, {});
    BOOST_REQUIRE(report.ok());
    RuleConfig config;
    config.groups = report.groups;
    config.evaluation_interval_ms = kInterval;
    config.environment.external_url = "http://t:9090";
    config.environment.external_labels = model::Labels::FromPairs({{"region", "eu"}});
    auto prepared = rules->Prepare(config);
    if (!prepared) return prepared.error();
    rules->Apply(*std::move(prepared));
    return Status::Ok();
  }

  // As kill -9: what was in memory is gone.
  void Restart(const std::string& text, const std::string& file = "f.yml") {
    rules.reset();
    Start();
    BOOST_TEST(Load(text, file).ok());
  }

  // Runs to the next tick of the only group, and gives it.
  model::Timestamp Tick() {
    const model::Timestamp next_ms = rules->RunDue();
    env.AdvanceMs(next_ms - env.NowMs());
    rules->RunDue();
    return next_ms;
  }

  RuleView FirstRule() { return rules->RuleGroups().at(0).rules.at(0); }
};

// FakeAppender belongs to one thread; this one keeps nothing and so serves several.
class NullAppender final : public model::Appender {
 public:
  Result<std::unique_ptr<model::SourceWriter>> OpenSource(const model::Origin& origin,
                                                          const model::Labels& labels) override {
    FakeAppender fake;
    return fake.OpenSource(origin, labels);
  }
  std::unique_ptr<model::AppendBatch> NewBatch() override { return std::make_unique<Batch>(); }

 private:
  struct Batch final : model::AppendBatch {
    void BeginRow(model::SourceWriter&, model::Timestamp, model::RowKind) override {}
    void Set(model::Slot, double, model::Timestamp) override {}
    void SetHistogram(model::Slot, const model::Histogram&, model::Timestamp) override {}
    void SetStartTimestamp(model::Slot, model::Timestamp) override {}
    void AddExemplar(model::Slot, const model::Exemplar&) override {}
    model::CommitResult Commit(const model::CommitOptions&) override { return {}; }
  };
};

model::Labels Instance(const char* name) {
  return model::Labels::FromPairs({{"__name__", "up"}, {"instance", name}});
}

constexpr const char* kAlert = R"(groups:
- name: g
  labels: {team: infra}
  rules:
  - alert: Down
    expr: up == 0
    for: 20s
    labels: {severity: "{{ if eq $labels.instance \"a\" }}crit{{ else }}warn{{ end }}"}
    annotations: {summary: "{{ $labels.instance }} is {{ $value }} in {{ $externalLabels.region }}"}
)";

}  // namespace

BOOST_AUTO_TEST_SUITE(rule_scheduler_test_suite)

BOOST_AUTO_TEST_CASE(AlertGoesPendingThenFiringThenResolved) {
  World w;
  BOOST_TEST(w.Load(kAlert).ok());
  w.answers["up == 0"] = {SampleOf(Instance("a"), 0)};
  const model::Timestamp t0 = w.Tick();
  RuleView rule = w.FirstRule();
  BOOST_TEST((rule.state == AlertState::kPending));
  BOOST_REQUIRE(rule.alerts.size() == 1u);
  BOOST_TEST(rule.alerts[0].labels.ToString() ==
             R"({alertname="Down", instance="a", severity="crit", team="infra"})");
  BOOST_TEST((rule.alerts[0].annotations == NamedTexts{{"summary", "a is 0 in eu"}}));
  BOOST_TEST(rule.alerts[0].active_at_ms == t0);
  BOOST_TEST(w.sink.Take().empty());
  w.Tick();
  const model::Timestamp t2 = w.Tick();
  BOOST_TEST((w.FirstRule().state == AlertState::kFiring));
  auto sent = w.sink.Take();
  BOOST_REQUIRE(sent.size() == 1u);
  BOOST_TEST(sent[0].starts_at_ms == t2);
  BOOST_TEST(sent[0].generator_url == "http://t:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1");
  w.answers["up == 0"] = {};
  const model::Timestamp t3 = w.Tick();
  BOOST_TEST(w.FirstRule().alerts.empty());
  sent = w.sink.Take();
  BOOST_REQUIRE(sent.size() == 1u);
  BOOST_TEST(sent[0].ends_at_ms == t3);
  const std::string labels = R"(instance="a", severity="crit", team="infra"})";
  BOOST_TEST(w.appender.Text(R"(ALERTS{alertname="Down", alertstate="pending", )" + labels, t0) ==
             "0=1 10=1 20=stale");
  BOOST_TEST(w.appender.Text(R"(ALERTS{alertname="Down", alertstate="firing", )" + labels, t0) ==
             "20=1 30=stale");
  const auto& state = w.appender.Of(R"(ALERTS_FOR_STATE{alertname="Down", )" + labels);
  BOOST_REQUIRE(state.size() == 4u);
  BOOST_TEST(state[2].second == static_cast<double>(t0 / 1000));
  BOOST_TEST(model::IsStale(state[3].second));
  std::string events;
  for (const LedgerEntry& entry : w.ledger.Of(rule.alerts[0].labels, 10))
    events += entry.event + " ";
  BOOST_TEST(events == "pending firing resolved ");
}

BOOST_AUTO_TEST_CASE(RestartChangesNothing) {
  World w;
  BOOST_TEST(w.Load(kAlert).ok());
  w.answers["up == 0"] = {SampleOf(Instance("a"), 0)};
  const model::Timestamp t0 = w.Tick();
  w.Restart(kAlert);  // while pending
  BOOST_TEST((w.FirstRule().state == AlertState::kPending));
  BOOST_TEST(w.FirstRule().alerts.at(0).active_at_ms == t0);
  w.Tick();
  const model::Timestamp t2 = w.Tick();
  BOOST_TEST(w.sink.Take().size() == 1u);
  w.Restart(kAlert);  // while firing
  BOOST_TEST((w.FirstRule().state == AlertState::kFiring));
  BOOST_TEST(w.FirstRule().alerts.at(0).active_at_ms == t0);
  auto announced = w.sink.Take();  // at once, so that who notifies knows it
  BOOST_REQUIRE(announced.size() == 1u);
  BOOST_TEST(announced[0].starts_at_ms == t2);
  w.Tick();
  BOOST_TEST((w.FirstRule().state == AlertState::kFiring));
  BOOST_TEST(w.sink.Take().empty());  // not told again before the resend delay
  for (int i = 0; i < 7; ++i) w.Tick();
  const auto sent = w.sink.Take();
  BOOST_REQUIRE(sent.size() == 1u);
  BOOST_TEST(sent[0].starts_at_ms == t2);
}

BOOST_AUTO_TEST_CASE(AfterALongAbsenceNothingResolvesBeforeDataIsBack) {
  World w;
  BOOST_TEST(w.Load(kAlert).ok());
  w.answers["up == 0"] = {SampleOf(Instance("a"), 0)};
  for (int i = 0; i < 3; ++i) w.Tick();
  w.sink.Take();
  w.env.AdvanceMs(3'600'000);
  w.answers["up == 0"] = {};  // nothing scraped yet
  w.Restart(kAlert);
  w.Tick();
  BOOST_TEST((w.FirstRule().state == AlertState::kFiring));
  w.answers["up == 0"] = {SampleOf(Instance("a"), 0)};
  w.Tick();
  for (const Alert& alert : w.sink.Take()) BOOST_TEST(alert.ends_at_ms > w.env.NowMs());
  // And when the target really is back, it resolves; the series end though they began before.
  w.answers["up == 0"] = {};
  w.Tick();
  BOOST_TEST(w.FirstRule().alerts.empty());
  const auto& firing = w.appender.Of(
      R"(ALERTS{alertname="Down", alertstate="firing", instance="a", severity="crit", team="infra"})");
  BOOST_TEST(model::IsStale(firing.back().second));
}

BOOST_AUTO_TEST_CASE(StateFollowsARuleThatMoves) {
  World w;
  BOOST_TEST(w.Load(kAlert).ok());
  w.answers["up == 0"] = {SampleOf(Instance("a"), 0)};
  const model::Timestamp t0 = w.Tick();
  w.Tick();
  // Reload with another file, group name and for.
  std::string moved = kAlert;
  moved.replace(moved.find("name: g"), 7, "name: h");
  moved.replace(moved.find("for: 20s"), 8, "for: 15s");
  BOOST_TEST(w.Load(moved, "other.yml").ok());
  BOOST_TEST(w.FirstRule().alerts.at(0).active_at_ms == t0);
  w.Tick();
  BOOST_TEST((w.FirstRule().state == AlertState::kFiring));
  w.Restart(moved, "other.yml");
  BOOST_TEST((w.FirstRule().state == AlertState::kFiring));
  BOOST_TEST(w.FirstRule().alerts.at(0).active_at_ms == t0);
  // Also across a restart.
  w.Restart(kAlert);
  BOOST_TEST(w.FirstRule().alerts.at(0).active_at_ms == t0);
  size_t keys = 0;
  (void)w.store.ForEach("alert/", [&](std::string_view, std::string_view) { return ++keys > 0; });
  BOOST_TEST(keys == 1u);
}

BOOST_AUTO_TEST_CASE(ARemovedRuleLeavesNothingBehind) {
  World w;
  BOOST_TEST(w.Load(kAlert).ok());
  w.answers["up == 0"] = {SampleOf(Instance("a"), 0)};
  const model::Timestamp t0 = w.Tick();
  BOOST_TEST(w.Load("groups:\n- name: other\n  rules: [{record: r, expr: x}]\n").ok());
  size_t keys = 0;
  (void)w.store.ForEach("alert/", [&](std::string_view, std::string_view) { return ++keys > 0; });
  BOOST_TEST(keys == 0u);
  for (int i = 0; i < 4; ++i) w.Tick();
  const std::string pending =
      R"(ALERTS{alertname="Down", alertstate="pending", instance="a", severity="crit", team="infra"})";
  BOOST_TEST(w.appender.Of(pending).size() == 2u);
  BOOST_TEST(model::IsStale(w.appender.Of(pending).back().second));
  BOOST_TEST(w.appender.Of(pending).back().first >= t0 + 2 * kInterval);
}

BOOST_AUTO_TEST_CASE(AnUnchangedGroupGoesOnUntouched) {
  World w;
  BOOST_TEST(w.Load(kAlert).ok());
  w.answers["up == 0"] = {SampleOf(Instance("a"), 0)};
  w.Tick();
  const size_t opened = w.appender.origins.size();
  BOOST_TEST(w.Load(kAlert).ok());
  w.Tick();
  BOOST_TEST(w.appender.origins.size() == opened);
}

BOOST_AUTO_TEST_CASE(RecordingRulesWriteAndEndTheirSeries) {
  World w;
  BOOST_TEST(w.Load("groups:\n- name: g\n  query_offset: 5s\n  labels: {team: x}\n  rules:\n"
                    "  - {record: 'a:up', expr: up, labels: {k: v, gone: ''}}\n")
                 .ok());
  w.answers["up"] = {SampleOf(Instance("a"), 1), SampleOf(Instance("b"), 2)};
  const model::Timestamp t0 = w.Tick();
  BOOST_TEST(w.asked.back().second == t0 - 5000);
  w.answers["up"] = {SampleOf(Instance("a"), 3)};
  w.Tick();
  w.Tick();
  BOOST_TEST(w.appender.Text(R"(a:up{instance="a", k="v", team="x"})", t0 - 5000) ==
             "0=1 10=3 20=3");
  BOOST_TEST(w.appender.Text(R"(a:up{instance="b", k="v", team="x"})", t0 - 5000) ==
             "0=2 10=stale");
}

BOOST_AUTO_TEST_CASE(FailuresAreShownAndHarmless) {
  World w;
  BOOST_TEST(w.Load("groups:\n- name: g\n  limit: 1\n  rules:\n  - {record: r, expr: up}\n"
                    "  - {record: s, expr: up, labels: {instance: x}}\n")
                 .ok());
  BOOST_TEST((w.FirstRule().health == RuleHealth::kUnknown));
  w.answers["up"] = {SampleOf(Instance("a"), 1), SampleOf(Instance("b"), 2)};
  w.Tick();
  BOOST_TEST(w.FirstRule().last_error == "exceeded limit of 1 with 2 series");
  BOOST_TEST(w.rules->RuleGroups()[0].rules[1].last_error ==
             "vector contains metrics with the same labelset after applying rule labels");
  w.query_status = Status(Code::kExecution, "boom");
  w.Tick();
  BOOST_TEST((w.FirstRule().health == RuleHealth::kError));
  BOOST_TEST(w.FirstRule().last_error == "boom");
  w.query_status = Status::Ok();
  w.answers["up"] = {SampleOf(Instance("a"), 1)};
  w.Tick();
  BOOST_TEST((w.FirstRule().health == RuleHealth::kOk));
  BOOST_TEST(w.FirstRule().last_error == "");
  w.appender.commit_status = Status(Code::kNoSpace, "disk full");
  w.Tick();
  BOOST_TEST(w.FirstRule().last_error == "rule samples not written: disk full");
}

BOOST_AUTO_TEST_CASE(AFullDiskDoesNotStopAlerts) {
  World w;
  BOOST_TEST(w.Load(kAlert).ok());
  w.store.FailWrites(Status(Code::kNoSpace, "disk full"));
  w.answers["up == 0"] = {SampleOf(Instance("a"), 0)};
  for (int i = 0; i < 3; ++i) w.Tick();
  BOOST_TEST(w.sink.Take().size() == 1u);
  w.store.FailWrites(Status::Ok());
  w.Tick();  // what could not be written is written now
  w.Restart(kAlert);
  BOOST_TEST((w.FirstRule().state == AlertState::kFiring));
}

BOOST_AUTO_TEST_CASE(LateTicksAreMadeUpInOrder) {
  World w;
  BOOST_TEST(w.Load("groups:\n- name: g\n  rules: [{record: r, expr: up}]\n").ok());
  const model::Timestamp t0 = w.Tick();
  w.asked.clear();
  w.env.AdvanceMs(5 * kInterval);
  w.rules->RunDue();
  BOOST_REQUIRE(w.asked.size() == 5u);
  for (size_t i = 0; i < 5; ++i) {
    BOOST_TEST(w.asked[i].second == t0 + static_cast<int64_t>(i + 1) * kInterval);
  }
  w.asked.clear();
  w.env.AdvanceMs(100 * kInterval);
  w.rules->RunDue();
  BOOST_TEST(w.asked.size() == static_cast<size_t>(kLateTicksMax + 1));
  BOOST_TEST(w.asked.back().second == t0 + 105 * kInterval);
}

BOOST_AUTO_TEST_CASE(R13ASetClockNeitherFiresNorSilences) {
  World w;
  std::string slow = kAlert;
  slow.replace(slow.find("for: 20s"), 8, "for: 30m");
  BOOST_TEST(w.Load(slow).ok());
  w.answers["up == 0"] = {SampleOf(Instance("a"), 0)};
  w.Tick();
  w.env.SetNowMs(w.env.NowMs() + 3'600'000);
  w.rules->RunDue();
  BOOST_TEST((w.FirstRule().state == AlertState::kPending));
  w.env.SetNowMs(w.env.NowMs() - 7'200'000);
  const model::Timestamp next_ms = w.rules->RunDue();
  BOOST_TEST(next_ms <= w.env.NowMs() + kInterval);
  w.Tick();
  BOOST_TEST((w.FirstRule().state == AlertState::kPending));
  for (int i = 0; i < 179; ++i) w.Tick();
  BOOST_TEST((w.FirstRule().state == AlertState::kFiring));
}

BOOST_AUTO_TEST_CASE(TemplateErrorsShowInTheText) {
  World w;
  BOOST_TEST(
      w.Load("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations: {x: "
             "'{{ query \"none\" | first }}'}\n")
          .ok());
  w.answers["up"] = {SampleOf(Instance("a"), 1)};
  w.Tick();
  const std::string text = w.FirstRule().alerts.at(0).annotations.at(0).second;
  BOOST_TEST(
      text.starts_with("<error expanding template: error executing template __alert_A: "
                       "template: __alert_A:1:"));
  BOOST_TEST(text.ends_with("error calling first: first() called on vector with no elements>"));
}

BOOST_AUTO_TEST_CASE(SameLabelsAfterTemplatesAreAnError) {
  World w;
  BOOST_TEST(
      w.Load("groups:\n- name: g\n  rules:\n  - {alert: A, expr: up, labels: {instance: x}}\n")
          .ok());
  w.answers["up"] = {SampleOf(Instance("a"), 1), SampleOf(Instance("b"), 1)};
  w.Tick();
  BOOST_TEST(w.FirstRule().last_error ==
             "vector contains metrics with the same labelset after applying alert labels");
}

// For the thread sanitizer: several evaluating threads, readers and reloads at once.
BOOST_AUTO_TEST_CASE(EvaluationsReadsAndReloadsGoTogether) {
  MemEnv env;
  FakeSink sink;
  MemoryStateStore store;
  AlertJournal journal(store);
  std::atomic<int> asked{0};
  NullAppender appender;
  RuleBackends backends;
  backends.env = &env;
  backends.appender = &appender;
  backends.sink = &sink;
  backends.journal = &journal;
  backends.query = [&](const RuleGroupDefinition&, const std::string&, model::Timestamp,
                       const std::atomic<bool>*) -> Result<query::QueryResult> {
    query::QueryResult result;
    const int n = asked.fetch_add(1);
    result.value = query::Vector{SampleOf(Instance(n % 3 == 0 ? "a" : "b"), 1)};
    return result;
  };
  RuleScheduler rules(backends, RuleSchedulerOptions());
  const auto load = [&](int round) {
    RuleConfig config;
    for (const char* name : {"x", "y", "z"}) {
      const std::string text = "groups:\n- name: " + std::string(name) +
                               "\n  rules:\n  - {alert: A" + std::to_string(round % 2) +
                               ", expr: up}\n  - {record: r, expr: up}\n";
      RuleFileReport report = ParseRuleFile("f.yml", text, {});
      config.groups.push_back(report.groups.at(0));
    }
    config.evaluation_interval_ms = 1000;
    rules.Apply(*rules.Prepare(config));
  };
  load(0);
  std::vector<Thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back("test-rule", [&] {
      for (int n = 0; n < 300; ++n) {
        env.AdvanceMs(200);
        rules.RunDue();
      }
    });
  }
  threads.emplace_back("test-read", [&] {
    for (int n = 0; n < 100; ++n) {
      (void)rules.RuleGroups();
      (void)rules.ActiveAlerts();
    }
  });
  for (int round = 1; round < 20; ++round) load(round);
  for (Thread& thread : threads) thread.Join();
  // How many evaluations fitted in depends on the machine; that all six rules still tick does not.
  const int before = asked.load();
  env.AdvanceMs(1000);
  rules.RunDue();
  BOOST_TEST(asked.load() >= before + 6);
}

BOOST_AUTO_TEST_CASE(ThreadsEvaluateAndStop) {
  World w;
  BOOST_TEST(w.Load("groups:\n- name: g\n  rules: [{record: r, expr: up}]\n").ok());
  w.rules->Start();
  w.rules->Stop();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace rule_scheduler_test
}  // namespace tocsin::alerting
