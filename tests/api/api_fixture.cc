#include "tests/api/api_fixture.h"

#include <utility>

namespace tocsin::api::testing {
namespace {

query::EngineOptions EngineOptionsForTests() {
  query::EngineOptions options;
  options.threads = 1;
  options.max_samples = 1000;
  return options;
}

}  // namespace

ApiFixture::ApiFixture() : engine(EngineOptionsForTests()) {
  deps.env = &env;
  deps.readiness = [this] { return readiness; };
  deps.engine = &engine;
  deps.queries = &queries;
  deps.store = &store;
  deps.rules = &rules;
  deps.alertmanagers = &alertmanagers;
  deps.targets.pool_names = [] { return std::vector<std::string>{"a", "b<c>"}; };
  deps.targets.active = [this](const std::string&) { return targets; };
  deps.targets.dropped = [this](const std::string&) { return dropped; };
  deps.targets.dropped_counts = [this] {
    return std::map<std::string, uint64_t>{{"node", dropped.size()}};
  };
  deps.targets.visit_metadata = [this](const auto& visit) {
    for (const auto& entry : metadata) {
      if (!visit(entry)) return;
    }
  };
  deps.build = {.version = "3.14.0",
                .revision = "tocsin-test",
                .branch = "",
                .build_user = "",
                .build_date = "",
                .compiler = "gcc"};
  deps.runtime = [] {
    return RuntimeInfo{.start_time_ms = kNowMs - 60'500, .last_config_time_ms = kNowMs - 60'000};
  };
  deps.config_yaml = [] { return std::string("global: {a: <secret>}\n"); };
  deps.flags = {{"web.enable-lifecycle", "false"}, {"web.listen-address", "127.0.0.1:9090"}};
  deps.tsdb_blocks = [] {
    return std::vector<TsdbBlock>{{.ulid = "01KC4D6GXQA4CRHYKV78NEBVAE",
                                   .min_time_ms = 1,
                                   .end_time_ms = 9,
                                   .samples = 30,
                                   .series = 2,
                                   .chunks = 3,
                                   .level = 4}};
  };
  deps.tsdb_status = [](size_t limit) {
    TsdbStatus status;
    status.series = 2;
    status.label_pairs = 3;
    status.chunks = 4;
    status.min_time_ms = 5;
    status.max_time_ms = 6;
    status.series_by_metric_name = {{"up", limit}};
    return status;
  };
  deps.wal_replay = [] { return WalReplayStatus{.min = 0, .max = 9, .current = 3}; };
  deps.notifications = [] { return std::vector<Notification>(); };
  deps.self_metrics = [] { return std::string("x 1\n"); };
  deps.external_labels = [] { return model::Labels::FromPairs({{"dc", "eu"}}); };
  deps.reload = [this] { return reload_status; };
  deps.quit = [this] { ++quits; };
  deps.pause_compaction = [this](bool paused) { compaction_paused = paused; };
  deps.compact = [this] {
    ++compactions;
    return Status::Ok();
  };
  deps.external_url = "http://mon.example:9090/p";
  deps.external_path = "/p/";

  const auto up_a = model::Labels::FromPairs({{"__name__", "up"}, {"instance", "a"}, {"job", "x"}});
  const auto up_b = model::Labels::FromPairs({{"__name__", "up"}, {"instance", "b"}, {"job", "x"}});
  for (int64_t t = kNowMs - 600'000; t <= kNowMs; t += 15'000) {
    store.Add(up_a, t, 1);
    store.Add(up_b, t, 0.5);
  }
  Rebuild();
}

Answer ApiFixture::Ask(const std::string& method, const std::string& target,
                       const std::string& body,
                       const std::vector<std::pair<std::string, std::string>>& headers) {
  http::HttpRequest request;
  request.method = method;
  const size_t question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string::npos) request.raw_query = target.substr(question + 1);
  request.body = body;
  for (const auto& [name, value] : headers) request.headers.Add(name, value);
  request.remote_address = "127.0.0.1";
  request.received_monotonic_ms = env.MonotonicNanos() / 1'000'000;
  request.client_gone = std::make_shared<std::atomic<bool>>(client_gone.load());
  http::Router::Match match = router.Find(method, request.path);
  if (match.route == nullptr) return {match.path_known ? 405 : 404, "", {}};
  request.captures = match.captures;
  http::HttpResponse response;
  match.route->handler(request, &response);
  return {response.status, response.body.ToString(), response.headers};
}

}  // namespace tocsin::api::testing
