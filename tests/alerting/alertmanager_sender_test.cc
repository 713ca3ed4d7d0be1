// Sending to Alertmanagers: addresses, batches, queues, relabelling, reload.
#include "alerting/notify/alertmanager_sender.h"

#include <boost/test/unit_test.hpp>

#include "alerting/notify/alert_pipeline.h"
#include "base/json.h"
#include "base/mem_env.h"
#include "tests/alerting/fakes.h"

namespace tocsin::alerting {
namespace alertmanager_sender_test {
namespace {

struct Post {
  std::string url;
  std::string body;
};

struct World {
  MemEnv env;
  std::vector<Post> posts;
  int status = 200;
  int transports = 0;
  SenderOptions options;
  std::unique_ptr<AlertmanagerSender> sender;

  World() {
    options.start_threads = false;
    Start();
  }
  void Start() {
    sender = std::make_unique<AlertmanagerSender>(
        &env,
        [this](const HttpClientConfig&, int64_t) {
          ++transports;
          return std::make_unique<Transport>(this);
        },
        nullptr, options);
  }
  struct Transport final : HttpTransport {
    explicit Transport(World* w) : world(w) {}
    Result<HttpAnswer> PostJson(const std::string& url, std::string_view body) override {
      world->posts.push_back({url, std::string(body)});
      return HttpAnswer{world->status, ""};
    }
    void Abort() override {}
    World* world;
  };
  size_t AlertsIn(const Post& post) { return ParseJson(post.body)->AsArray().size(); }
};

AlertmanagerConfig To(std::initializer_list<const char*> addresses) {
  AlertmanagerConfig config;
  discovery::TargetGroup group;
  for (const char* address : addresses) {
    group.targets.push_back(model::Labels::FromPairs({{"__address__", address}}));
  }
  config.discovery.static_targets.groups.push_back(group);
  return config;
}

model::RelabelRule Rule(model::RelabelAction action, std::string source, std::string regex) {
  model::RelabelConfig config;
  config.action = action;
  if (!source.empty()) config.source_labels = {std::move(source)};
  config.regex = std::move(regex);
  return model::RelabelRule::Create(config).value();
}

std::vector<Alert> Alerts(int count) {
  std::vector<Alert> alerts;
  for (int i = 0; i < count; ++i) {
    Alert alert;
    alert.labels = model::Labels::FromPairs({{"alertname", "A"}, {"n", std::to_string(i)}});
    alert.annotations = {{"summary", "x"}};
    alert.starts_at_ms = 1'000;
    alert.ends_at_ms = 2'500;
    alert.generator_url = "http://g";
    alerts.push_back(alert);
  }
  return alerts;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(alertmanager_sender_test_suite)

BOOST_AUTO_TEST_CASE(AlertsGoOutInBatchesToAll) {
  World w;
  AlertingConfig config;
  config.alertmanagers = {To({"a:9093", "b:9093"})};
  config.alertmanagers[0].path_prefix = "/am/";
  config.alertmanagers[0].scheme = "https";
  w.sender->Apply(w.sender->Prepare(config).value());
  BOOST_TEST((w.sender->Alertmanagers().active ==
              std::vector<std::string>{"https://a:9093/am/api/v2/alerts",
                                       "https://b:9093/am/api/v2/alerts"}));
  w.sender->Send(Alerts(600));
  w.sender->RunAll();
  BOOST_REQUIRE(w.posts.size() == 6u);
  BOOST_TEST(w.AlertsIn(w.posts[0]) == 256u);
  BOOST_TEST(w.AlertsIn(w.posts[2]) == 88u);
  BOOST_TEST(w.posts[5].url == "https://b:9093/am/api/v2/alerts");
}

BOOST_AUTO_TEST_CASE(TheBodyIsTheApis) {
  BOOST_TEST(AlertsJson(Alerts(1)) ==
             R"([{"labels":{"alertname":"A","n":"0"},"annotations":{"summary":"x"},)"
             R"("startsAt":"1970-01-01T00:00:01.000Z","endsAt":"1970-01-01T00:00:02.500Z",)"
             R"("generatorURL":"http://g"}])");
}

BOOST_AUTO_TEST_CASE(AFullQueueDropsItsOldest) {
  World w;
  w.options.queue_alerts_max = 10;
  w.Start();
  AlertingConfig config;
  config.alertmanagers = {To({"a:1"})};
  w.sender->Apply(w.sender->Prepare(config).value());
  w.sender->Send(Alerts(25));
  w.sender->RunAll();
  BOOST_REQUIRE(w.posts.size() == 1u);
  BOOST_TEST(w.AlertsIn(w.posts[0]) == 10u);
  BOOST_TEST(ParseJson(w.posts[0].body)->AsArray()[0].Find("labels")->FindString("n") == "15");
}

BOOST_AUTO_TEST_CASE(AlertmanagersCanBeRelabelledAway) {
  World w;
  AlertingConfig config;
  config.alertmanagers = {To({"keep:1", "drop:1"})};
  config.alertmanagers[0].relabel_configs = {
      Rule(model::RelabelAction::kDrop, "__address__", "drop.*")};
  w.sender->Apply(w.sender->Prepare(config).value());
  const AlertmanagersView view = w.sender->Alertmanagers();
  BOOST_TEST((view.active == std::vector<std::string>{"http://keep:1/api/v2/alerts"}));
  BOOST_TEST((view.dropped == std::vector<std::string>{"http://drop:1/api/v2/alerts"}));
}

BOOST_AUTO_TEST_CASE(AFailedBatchIsDroppedAndTheNextGoesOut) {
  World w;
  AlertingConfig config;
  config.alertmanagers = {To({"a:1"})};
  w.sender->Apply(w.sender->Prepare(config).value());
  w.status = 500;
  w.sender->Send(Alerts(1));
  w.sender->RunAll();
  w.status = 200;
  w.sender->Send(Alerts(1));
  w.sender->RunAll();
  BOOST_TEST(w.posts.size() == 2u);
}

BOOST_AUTO_TEST_CASE(AReloadKeepsUnchangedQueues) {
  World w;
  AlertingConfig config;
  config.alertmanagers = {To({"a:1"})};
  w.sender->Apply(w.sender->Prepare(config).value());
  w.sender->Send(Alerts(1));
  config.alertmanagers = {To({"a:1"}), To({"b:1"})};
  w.sender->Apply(w.sender->Prepare(config).value());
  BOOST_TEST(w.transports == 2);
  w.sender->RunAll();
  BOOST_REQUIRE(w.posts.size() == 1u);
  BOOST_TEST(w.posts[0].url == "http://a:1/api/v2/alerts");
}

BOOST_AUTO_TEST_CASE(WhatIsNotBuiltIsRefused) {
  World w;
  AlertingConfig config;
  config.alertmanagers = {To({"a:1"})};
  config.alertmanagers[0].discovery.files.emplace_back();
  BOOST_TEST((w.sender->Prepare(config).error().code() == Code::kUnimplemented));
}

BOOST_AUTO_TEST_CASE(ThePipelineAddsExternalLabelsAndRelabels) {
  testing::FakeSink sink;
  AlertPipeline pipeline({&sink});
  AlertingConfig config;
  config.external_labels = model::Labels::FromPairs({{"region", "eu"}, {"alertname", "never"}});
  config.alert_relabel_configs = {Rule(model::RelabelAction::kDrop, "n", "1"),
                                  Rule(model::RelabelAction::kLabelDrop, "", "n")};
  pipeline.Apply(config);
  pipeline.Send(Alerts(2));
  const auto sent = sink.Take();
  BOOST_REQUIRE(sent.size() == 1u);
  BOOST_TEST(sent[0].labels.ToString() == R"({alertname="A", region="eu"})");
}

BOOST_AUTO_TEST_CASE(ThreadsSendWhatIsLeftBeforeTheyStop) {
  World w;
  w.options.start_threads = true;
  w.Start();
  AlertingConfig config;
  config.alertmanagers = {To({"a:1"})};
  w.sender->Apply(w.sender->Prepare(config).value());
  w.sender->Send(Alerts(300));
  w.sender->Stop();
  BOOST_TEST(w.posts.size() == 2u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace alertmanager_sender_test
}  // namespace tocsin::alerting
