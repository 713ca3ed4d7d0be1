// The notifier inside, over a fake web: routing, waiting, repeating, restart, retry, inhibition.
#include "alerting/notify/notifier.h"

#include <boost/test/unit_test.hpp>

#include "alerting/notify/ledger.h"
#include "alerting/receivers/webhook.h"
#include "base/json.h"
#include "base/mem_env.h"
#include "base/state_store.h"
#include "tests/alerting/fakes.h"

namespace tocsin::alerting {
namespace notifier_test {
namespace {

constexpr int64_t kSecond = 1000;
constexpr int64_t kMinute = 60 * kSecond;

struct Web {
  std::vector<std::pair<std::string, std::string>> posts;  // URL, body
  std::function<Result<HttpAnswer>(const std::string& url)> answer = [](const std::string&) {
    return HttpAnswer{200, ""};
  };

  TransportFactory Factory() {
    return [this](const HttpClientConfig&, int64_t) { return std::make_unique<Transport>(this); };
  }

 private:
  struct Transport final : HttpTransport {
    explicit Transport(Web* w) : web(w) {}
    Result<HttpAnswer> PostJson(const std::string& url, std::string_view body) override {
      web->posts.emplace_back(url, std::string(body));
      return web->answer(url);
    }
    void Abort() override {}
    Web* web;
  };
};

struct World {
  MemEnv env;
  Web web;
  MemoryStateStore store;
  MemoryStateStore ledger_store;
  Ledger ledger{ledger_store};
  std::unique_ptr<Notifier> notifier;

  void Start(const std::string& yaml) {
    NotifierOptions options;
    options.external_url = "http://t:9090";
    options.start_threads = false;
    notifier = std::make_unique<Notifier>(&env, &store, web.Factory(), &ledger, options);
    Load(yaml);
  }
  void Load(const std::string& yaml) {
    auto config = ParseNotifierConfig(yaml, "am.yml");
    BOOST_REQUIRE_MESSAGE(config.has_value(), "configuration does not load");
    auto prepared = notifier->Prepare(*std::move(config));
    BOOST_REQUIRE(prepared.has_value());
    notifier->Apply(*std::move(prepared));
  }
  Alert Firing(std::initializer_list<std::pair<std::string_view, std::string_view>> labels,
               int64_t age_ms = 0) {
    Alert alert;
    alert.labels = model::Labels::FromPairs(labels);
    alert.annotations = {{"summary", "it <burns>"}};
    alert.starts_at_ms = env.NowMs() - age_ms;
    alert.ends_at_ms = env.NowMs() + 60 * kMinute;
    alert.generator_url = "http://t:9090/graph?a=b&c=d";
    alert.updated_at_ms = env.NowMs();
    return alert;
  }
  Alert Resolved(Alert alert) {
    alert.ends_at_ms = env.NowMs();
    alert.updated_at_ms = env.NowMs();
    return alert;
  }
  void Send(const Alert& alert) { notifier->Send({&alert, 1}); }
  // Lets time pass in steps of a second.
  void Run(int64_t duration_ms) {
    for (int64_t t = 0; t < duration_ms; t += kSecond) {
      env.AdvanceMs(kSecond);
      notifier->RunDue();
    }
  }
  // "firing:A,B" and so on of each post since the last call: status, alertnames.
  std::string Told() {
    std::string out;
    for (const auto& [url, body] : web.posts) {
      const auto json = ParseJson(body);
      out += out.empty() ? "" : " ";
      out += std::string(json->FindString("receiver")) + ":";
      for (const JsonValue& alert : json->Find("alerts")->AsArray()) {
        out += alert.FindString("status") == "firing" ? "+" : "-";
        out += alert.Find("labels")->FindString("alertname");
      }
    }
    web.posts.clear();
    return out;
  }
};

constexpr const char* kPlain = R"(
route: {receiver: hook, group_by: [alertname], group_wait: 10s, group_interval: 1m, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: 'http://sink/hook'}]}]
)";

}  // namespace

BOOST_AUTO_TEST_SUITE(notifier_test_suite)

BOOST_AUTO_TEST_CASE(AGroupWaitsThenTellsOnce) {
  World w;
  w.Start(kPlain);
  const Alert a = w.Firing({{"alertname", "A"}, {"instance", "1"}});
  w.Send(a);
  w.Run(9 * kSecond);
  BOOST_TEST(w.Told() == "");
  w.Send(w.Firing({{"alertname", "A"}, {"instance", "2"}}));
  w.Run(2 * kSecond);
  BOOST_TEST(w.Told() == "hook:+A+A");
  w.Run(50 * kMinute);
  BOOST_TEST(w.Told() == "");
  w.Run(12 * kMinute);
  BOOST_TEST(w.Told() == "hook:-A-A");  // their ends came, since nobody said them again
}

BOOST_AUTO_TEST_CASE(RepeatsWhileItFires) {
  World w;
  w.Start(kPlain);
  Alert a = w.Firing({{"alertname", "A"}});
  for (int minute = 0; minute < 130; ++minute) {
    a.ends_at_ms = w.env.NowMs() + 4 * kMinute;
    a.updated_at_ms = w.env.NowMs();
    w.Send(a);
    w.Run(kMinute);
  }
  BOOST_TEST(w.Told() == "hook:+A hook:+A hook:+A");
}

BOOST_AUTO_TEST_CASE(NewAndResolvedAlertsAreToldAtTheGroupInterval) {
  World w;
  w.Start(kPlain);
  const Alert a = w.Firing({{"alertname", "A"}, {"instance", "1"}});
  w.Send(a);
  w.Run(11 * kSecond);
  BOOST_TEST(w.Told() == "hook:+A");
  const Alert b = w.Firing({{"alertname", "A"}, {"instance", "2"}});
  w.Send(b);
  w.Run(55 * kSecond);
  BOOST_TEST(w.Told() == "");
  w.Run(6 * kSecond);
  BOOST_TEST(w.Told() == "hook:+A+A");
  w.Send(w.Resolved(a));
  w.Run(61 * kSecond);
  BOOST_TEST(w.Told() == "hook:-A+A");
  w.Send(w.Resolved(b));
  w.Run(61 * kSecond);
  BOOST_TEST(w.Told() == "hook:-A");
  // A new firing is a new story.
  w.Send(w.Firing({{"alertname", "A"}, {"instance", "1"}}));
  w.Run(11 * kSecond);
  BOOST_TEST(w.Told() == "hook:+A");
}

BOOST_AUTO_TEST_CASE(WhatComesAndGoesWithinTheWaitIsNotTold) {
  World w;
  w.Start(kPlain);
  const Alert a = w.Firing({{"alertname", "A"}});
  w.Send(a);
  w.Run(2 * kSecond);
  w.Send(w.Resolved(a));
  w.Run(5 * kMinute);
  BOOST_TEST(w.Told() == "");
}

BOOST_AUTO_TEST_CASE(ARestartDoesNotTellTwice) {
  World w;
  w.Start(kPlain);
  const Alert a = w.Firing({{"alertname", "A"}});
  w.Send(a);
  w.Run(11 * kSecond);
  BOOST_TEST(w.Told() == "hook:+A");
  w.Start(kPlain);  // as kill -9 and start: only the store is left
  w.Send(a);        // the rules say it again at once
  w.Run(10 * kMinute);
  BOOST_TEST(w.Told() == "");
  w.Send(w.Resolved(a));
  w.Run(61 * kSecond);
  BOOST_TEST(w.Told() == "hook:-A");
}

BOOST_AUTO_TEST_CASE(WhatResolvedWhileWeWereAwayIsTold) {
  World w;
  w.Start(kPlain);
  const Alert a = w.Firing({{"alertname", "A"}});
  w.Send(a);
  w.Run(11 * kSecond);
  BOOST_TEST(w.Told() == "hook:+A");
  w.env.AdvanceMs(5 * kMinute);
  w.Start(kPlain);
  w.Send(w.Resolved(a));
  w.Run(11 * kSecond);
  BOOST_TEST(w.Told() == "hook:-A");
}

BOOST_AUTO_TEST_CASE(AQueuedNotificationSurvivesARestart) {
  World w;
  w.web.answer = [](const std::string&) -> Result<HttpAnswer> {
    return Error(Code::kUnavailable, "connection refused");
  };
  w.Start(kPlain);
  w.Send(w.Firing({{"alertname", "A"}}));
  w.Run(11 * kSecond);
  BOOST_TEST(w.web.posts.size() >= 1u);
  w.web.posts.clear();
  w.web.answer = [](const std::string&) { return HttpAnswer{200, ""}; };
  w.Start(kPlain);
  w.notifier->RunDue();
  BOOST_TEST(w.Told() == "hook:+A");
  w.Run(5 * kMinute);
  BOOST_TEST(w.Told() == "");
}

BOOST_AUTO_TEST_CASE(FailuresAreTriedAgainWithBackoff) {
  World w;
  int status = 503;
  w.web.answer = [&](const std::string&) { return HttpAnswer{status, "busy"}; };
  w.Start(kPlain);
  Alert a = w.Firing({{"alertname", "A"}});
  w.Send(a);
  w.Run(10 * kSecond);
  std::vector<int64_t> at;
  const int64_t start_ms = w.env.NowMs();
  size_t seen = 0;
  for (int i = 0; i < 40; ++i) {
    if (w.web.posts.size() > seen) at.push_back((w.env.NowMs() - start_ms) / kSecond);
    seen = w.web.posts.size();
    w.Run(kSecond);
  }
  BOOST_TEST(at == (std::vector<int64_t>{0, 1, 3, 7, 15, 31}), boost::test_tools::per_element());
  status = 429;
  w.Run(kMinute);
  w.web.posts.clear();
  status = 200;
  w.Run(2 * kMinute);
  BOOST_TEST(w.Told() == "hook:+A");
}

BOOST_AUTO_TEST_CASE(ARefusalIsNotRetriedButTheNextRoundIs) {
  World w;
  w.web.answer = [](const std::string&) { return HttpAnswer{400, "no"}; };
  w.Start(kPlain);
  const Alert a = w.Firing({{"alertname", "A"}});
  w.Send(a);
  w.Run(30 * kSecond);
  BOOST_TEST(w.web.posts.size() == 1u);
  std::string events;
  for (const LedgerEntry& entry : w.ledger.Of(a.labels, 5))
    events += entry.event + "|" + entry.detail;
  BOOST_TEST(events == "undelivered|hook: status 400: no");
  w.web.posts.clear();
  w.web.answer = [](const std::string&) { return HttpAnswer{204, ""}; };
  w.Run(kMinute);
  BOOST_TEST(w.Told() == "hook:+A");
}

BOOST_AUTO_TEST_CASE(AResolvedAlertReplacesWhatStillWaits) {
  World w;
  w.web.answer = [](const std::string&) { return HttpAnswer{500, ""}; };
  w.Start(kPlain);
  const Alert a = w.Firing({{"alertname", "A"}});
  w.Send(a);
  w.Run(20 * kSecond);
  w.Send(w.Resolved(a));
  w.Run(70 * kSecond);
  w.web.posts.clear();
  w.web.answer = [](const std::string&) { return HttpAnswer{200, ""}; };
  w.Run(2 * kMinute);
  BOOST_TEST(w.Told() == "hook:-A");
}

BOOST_AUTO_TEST_CASE(RoutesChooseReceiversAndGroups) {
  World w;
  w.Start(R"(
route:
  receiver: base
  group_wait: 1s
  routes:
  - {receiver: team, matchers: ['team=x'], group_by: ['...'], continue: true}
  - {receiver: crit, matchers: ['severity=~"crit|page"']}
receivers:
- {name: base, webhook_configs: [{url: 'http://sink/base'}]}
- {name: team, webhook_configs: [{url: 'http://sink/team'}]}
- {name: crit, webhook_configs: [{url: 'http://sink/crit', send_resolved: false}]}
)");
  w.Send(w.Firing({{"alertname", "A"}, {"team", "x"}, {"severity", "crit"}}));
  w.Send(w.Firing({{"alertname", "B"}, {"team", "x"}}));
  w.Send(w.Firing({{"alertname", "C"}}));
  w.Send(w.Firing({{"alertname", "D"}, {"team", "y"}}));
  w.Run(3 * kSecond);
  std::string told = w.Told();
  for (const char* part : {"base:+C+D", "team:+A", "team:+B", "crit:+A"}) {
    BOOST_TEST_CONTEXT(part << " in " << told) { BOOST_TEST(told.find(part) != std::string::npos); }
  }
  BOOST_TEST(told.size() == std::string("base:+C+D team:+A team:+B crit:+A").size());
}

BOOST_AUTO_TEST_CASE(ReceiversThatDoNotWantResolvedGetNone) {
  World w;
  w.Start(R"(
route: {receiver: a, group_wait: 1s, group_interval: 10s}
receivers: [{name: a, webhook_configs: [{url: 'http://sink/a', send_resolved: false}]}]
)");
  const Alert a = w.Firing({{"alertname", "A"}});
  w.Send(a);
  w.Run(2 * kSecond);
  BOOST_TEST(w.Told() == "a:+A");
  w.Send(w.Resolved(a));
  w.Run(kMinute);
  BOOST_TEST(w.Told() == "");
  w.Send(w.Firing({{"alertname", "A"}}));
  w.Run(kMinute);
  BOOST_TEST(w.Told() == "a:+A");
}

BOOST_AUTO_TEST_CASE(InhibitedAlertsAreHeldBack) {
  World w;
  w.Start(R"(
route: {receiver: hook, group_by: ['...'], group_wait: 1s, group_interval: 10s}
receivers: [{name: hook, webhook_configs: [{url: 'http://sink/'}]}]
inhibit_rules:
- {source_matchers: ['severity=crit'], target_matchers: ['severity=warn'], equal: [instance]}
)");
  const Alert source = w.Firing({{"alertname", "Down"}, {"severity", "crit"}, {"instance", "1"}});
  w.Send(source);
  w.Send(w.Firing({{"alertname", "Slow"}, {"severity", "warn"}, {"instance", "1"}}));
  w.Send(w.Firing({{"alertname", "Other"}, {"severity", "warn"}, {"instance", "2"}}));
  w.Run(3 * kSecond);
  const std::string told = w.Told();
  BOOST_TEST(told.find("Slow") == std::string::npos);
  BOOST_TEST(told.find("hook:+Other") != std::string::npos);
  w.Send(w.Resolved(source));
  w.Run(15 * kSecond);
  BOOST_TEST(w.Told().find("hook:+Slow") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(MutedRoutesAreSilentUntilTheirTimeIsOver) {
  World w;  // the clock stands at 2026-01-01T00:00:00Z, a Thursday
  w.Start(R"(
route:
  receiver: none
  routes: [{receiver: hook, group_wait: 1s, group_interval: 30s, mute_time_intervals: [early]}]
receivers: [{name: none}, {name: hook, webhook_configs: [{url: 'http://sink/'}]}]
time_intervals:
- {name: early, time_intervals: [{times: [{start_time: '00:00', end_time: '00:05'}]}]}
)");
  w.Send(w.Firing({{"alertname", "A"}}));
  w.Run(4 * kMinute);
  BOOST_TEST(w.Told() == "");
  w.Run(2 * kMinute);
  BOOST_TEST(w.Told() == "hook:+A");
}

BOOST_AUTO_TEST_CASE(AReloadKeepsWhatWasTold) {
  World w;
  w.Start(kPlain);
  const Alert a = w.Firing({{"alertname", "A"}});
  w.Send(a);
  w.Run(11 * kSecond);
  BOOST_TEST(w.Told() == "hook:+A");
  w.Load(kPlain);
  w.Run(5 * kMinute);
  BOOST_TEST(w.Told() == "");
  std::string other = kPlain;
  other.replace(other.find("http://sink/hook"), 16, "http://sink/next");
  w.Load(other);
  w.Send(w.Resolved(a));
  w.Run(61 * kSecond);
  BOOST_REQUIRE(w.web.posts.size() == 1u);
  BOOST_TEST(w.web.posts[0].first == "http://sink/next");
}

BOOST_AUTO_TEST_CASE(WhatWaitsFollowsItsReceiverThroughAReload) {
  World w;
  w.web.answer = [](const std::string&) { return HttpAnswer{503, ""}; };
  w.Start(kPlain);
  const Alert a = w.Firing({{"alertname", "A"}});
  w.Send(a);
  w.Run(11 * kSecond);
  std::string other = kPlain;
  other.replace(other.find("http://sink/hook"), 16, "http://sink/next");
  w.Load(other);
  w.web.posts.clear();
  w.web.answer = [](const std::string&) { return HttpAnswer{200, ""}; };
  w.notifier->RunDue();
  BOOST_REQUIRE(w.web.posts.size() == 1u);
  BOOST_TEST(w.web.posts[0].first == "http://sink/next");
  w.Run(5 * kMinute);
  BOOST_TEST(w.Told() == "hook:+A");
}

BOOST_AUTO_TEST_CASE(WhatWaitsForAReceiverThatIsGoneIsUndelivered) {
  World w;
  w.web.answer = [](const std::string&) { return HttpAnswer{503, ""}; };
  w.Start(kPlain);
  const Alert a = w.Firing({{"alertname", "A"}});
  w.Send(a);
  w.Run(11 * kSecond);
  w.Load("route: {receiver: none}\nreceivers: [{name: none}]\n");
  BOOST_TEST(w.ledger.Of(a.labels, 1).at(0).event == "undelivered");
  size_t queued = 0;
  (void)w.store.ForEach("notify/queue/",
                        [&](std::string_view, std::string_view) { return ++queued > 0; });
  BOOST_TEST(queued == 0u);
}

BOOST_AUTO_TEST_CASE(TheBodyIsVersionFour) {
  World w;
  w.Start(kPlain);
  Alert a = w.Firing({{"alertname", "A"}, {"instance", "h:1"}});
  w.Send(a);
  w.Run(11 * kSecond);
  BOOST_REQUIRE(w.web.posts.size() == 1u);
  BOOST_TEST(
      w.web.posts[0].second ==
      R"({"receiver":"hook","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"A","instance":"h:1"},)"
      R"("annotations":{"summary":"it \u003cburns\u003e"},"startsAt":"2026-01-01T00:00:00Z","endsAt":"0001-01-01T00:00:00Z",)"
      R"("generatorURL":"http://t:9090/graph?a=b\u0026c=d","fingerprint":")" +
          FingerprintHex(Fingerprint(a.labels)) +
          R"("}],"notification_reason":"first notification","groupLabels":{"alertname":"A"},)"
          R"("commonLabels":{"alertname":"A","instance":"h:1"},"commonAnnotations":{"summary":"it \u003cburns\u003e"},)"
          R"("routeLabels":{},"externalURL":"http://t:9090","version":"4","groupKey":"{}:{alertname=\"A\"}","truncatedAlerts":0})");
}

BOOST_AUTO_TEST_CASE(WhatDoesNotFitIsCounted) {
  Notification notification;
  for (const char* name : {"a", "b", "c"}) {
    Alert alert;
    alert.labels = model::Labels::FromPairs({{"instance", name}});
    notification.alerts.push_back(alert);
  }
  const auto json = ParseJson(WebhookBody(notification, 2));
  BOOST_TEST(json->Find("alerts")->AsArray().size() == 2u);
  BOOST_TEST(json->Find("truncatedAlerts")->AsDouble() == 1);
}

BOOST_AUTO_TEST_CASE(WhatIsNotBuiltIsRefused) {
  World w;
  w.Start(kPlain);
  auto config = ParseNotifierConfig(
      "route: {receiver: a}\nreceivers: [{name: a, slack_configs: [{api_url: 'http://h/'}]}]\n",
      "f");
  const auto prepared = w.notifier->Prepare(*std::move(config));
  BOOST_REQUIRE(!prepared.has_value());
  BOOST_TEST((prepared.error().code() == Code::kUnimplemented));
  BOOST_TEST(prepared.error().message().find("slack_configs are not built yet") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(AFullDiskDoesNotStopNotifications) {
  World w;
  w.Start(kPlain);
  w.store.FailWrites(Status(Code::kNoSpace, "disk full"));
  w.Send(w.Firing({{"alertname", "A"}}));
  w.Run(5 * kMinute);
  BOOST_TEST(w.Told() == "hook:+A");
}

BOOST_AUTO_TEST_CASE(DecisionsFollowTheLog) {
  const auto entry = [](int64_t at_ms, std::vector<uint64_t> firing,
                        std::vector<uint64_t> resolved) {
    return LogEntry{at_ms, std::move(firing), std::move(resolved)};
  };
  using R = NotificationReason;
  const struct {
    std::optional<LogEntry> last;
    LogEntry now;
    bool send_resolved;
    R want;
  } cases[] = {
      {std::nullopt, entry(0, {1}, {}), true, R::kFirst},
      {std::nullopt, entry(0, {}, {1}), true, R::kNone},
      {entry(0, {1}, {}), entry(1, {1}, {}), true, R::kNone},
      {entry(0, {1}, {}), entry(1, {1, 2}, {}), true, R::kNewAlerts},
      {entry(0, {1, 2}, {}), entry(1, {1}, {}), true, R::kNone},
      {entry(0, {1, 2}, {}), entry(1, {1}, {2}), true, R::kSomeResolved},
      {entry(0, {1, 2}, {}), entry(1, {1}, {2}), false, R::kNone},
      {entry(0, {1}, {}), entry(1, {}, {1}), true, R::kAllResolved},
      {entry(0, {1}, {}), entry(1, {}, {1}), false, R::kAllResolved},
      {entry(0, {}, {1}), entry(1, {}, {1}), true, R::kNone},
      {entry(0, {}, {1}), entry(1, {1}, {}), true, R::kFirst},
      {entry(0, {1}, {}), entry(101, {1}, {}), true, R::kRepeat},
      {entry(0, {1}, {}), entry(100, {1}, {}), true, R::kNone},
  };
  for (const auto& c : cases) {
    BOOST_TEST((DecideNotification(c.last, c.now, c.send_resolved, 100) == c.want));
  }
}

// For the thread sanitizer: alerts, rounds, deliveries and reloads at once.
BOOST_AUTO_TEST_CASE(AlertsAndReloadsGoTogether) {
  World w;
  std::atomic<int> posts{0};
  struct Counting final : HttpTransport {
    explicit Counting(std::atomic<int>* n) : posts(n) {}
    Result<HttpAnswer> PostJson(const std::string&, std::string_view) override {
      return HttpAnswer{++*posts % 5 == 0 ? 500 : 200, ""};
    }
    void Abort() override {}
    std::atomic<int>* posts;
  };
  Notifier notifier(
      &w.env, &w.store,
      [&](const HttpClientConfig&, int64_t) { return std::make_unique<Counting>(&posts); },
      &w.ledger, NotifierOptions());
  const auto load = [&](int round) {
    const std::string url = "http://sink/" + std::to_string(round % 2);
    notifier.Apply(*notifier.Prepare(*ParseNotifierConfig(
        "route: {receiver: h, group_by: ['...'], group_wait: 0s, group_interval: 1s}\n"
        "receivers: [{name: h, webhook_configs: [{url: '" +
            url + "'}]}]\n",
        "f")));
  };
  load(0);
  notifier.Start();
  std::vector<Thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back("test-send", [&, t] {
      for (int n = 0; n < 200; ++n) {
        w.env.AdvanceMs(100);
        const Alert alert = w.Firing({{"alertname", "A" + std::to_string(n % 7 + t)}});
        notifier.Send({&alert, 1});
        notifier.RunDue();
      }
    });
  }
  for (int round = 1; round < 10; ++round) load(round);
  for (Thread& thread : threads) thread.Join();
  notifier.Stop();
  BOOST_TEST(posts.load() > 0);
}

BOOST_AUTO_TEST_CASE(ThreadsStartAndStop) {
  World w;
  NotifierOptions options;
  Notifier notifier(&w.env, &w.store, w.web.Factory(), nullptr, options);
  notifier.Apply(*notifier.Prepare(*ParseNotifierConfig(kPlain, "f")));
  notifier.Start();
  notifier.Stop();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace notifier_test
}  // namespace tocsin::alerting
