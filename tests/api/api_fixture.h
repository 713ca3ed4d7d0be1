// ApiFixture: the whole router over fakes: a small store, rules, targets; the clock stands at
// 2026-01-01T00:00:00Z. Requests go straight to the routes, without sockets.
#pragma once

#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "alerting/notify/alertmanager_view.h"
#include "alerting/rules/rule_view.h"
#include "api/api_router.h"
#include "api/dependencies.h"
#include "base/http/server.h"
#include "base/mem_env.h"
#include "query/engine.h"
#include "tests/support/fake_queryable.h"

namespace tocsin::api::testing {

struct Answer {
  int status = 0;
  std::string body;
  http::Headers headers;
};

class FakeRules final : public alerting::RuleReader {
 public:
  std::vector<alerting::RuleGroupView> RuleGroups() const override { return groups; }
  std::vector<alerting::AlertView> ActiveAlerts() const override {
    std::vector<alerting::AlertView> alerts;
    for (const auto& group : groups) {
      for (const auto& rule : group.rules) {
        alerts.insert(alerts.end(), rule.alerts.begin(), rule.alerts.end());
      }
    }
    return alerts;
  }
  std::vector<alerting::RuleGroupView> groups;
};

class FakeAlertmanagers final : public alerting::AlertmanagerReader {
 public:
  alerting::AlertmanagersView Alertmanagers() const override {
    return {{"http://a:9093/api/v2/alerts"}, {}};
  }
};

class ApiFixture {
 public:
  static constexpr int64_t kNowMs = MemEnv::kStartMs;

  ApiFixture();

  // "GET", "/api/v1/query?query=1".
  Answer Ask(const std::string& method, const std::string& target, const std::string& body = "",
             const std::vector<std::pair<std::string, std::string>>& headers = {});
  Answer Get(const std::string& target) { return Ask("GET", target); }
  Answer PostForm(const std::string& target, const std::string& form) {
    return Ask("POST", target, form, {{"Content-Type", "application/x-www-form-urlencoded"}});
  }
  // The same router again, after `deps` changed in a way that matters when routes are made.
  void Rebuild() { router = MakeRouter(deps); }

  MemEnv env;
  FakeQueryable store;
  FakeRules rules;
  FakeAlertmanagers alertmanagers;
  std::vector<collector::TargetStatus> targets;
  std::vector<collector::DroppedTarget> dropped;
  std::vector<collector::MetadataOfTarget> metadata;
  Readiness readiness = Readiness::kReady;
  Status reload_status;
  int quits = 0;
  int compactions = 0;
  bool compaction_paused = false;
  std::atomic<bool> client_gone{false};
  query::Engine engine;
  query::QueryService queries{&engine, {.env = &env}};
  Dependencies deps;
  http::Router router;
};

}  // namespace tocsin::api::testing
