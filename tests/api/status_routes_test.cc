// Labels, metadata, targets, rules, status, actions, federation, pages: one golden answer each.
#include <boost/test/unit_test.hpp>
#include <string>

#include "dashboards/assets.h"
#include "tests/api/api_fixture.h"

namespace tocsin::api {
namespace {
namespace status_routes_test {

using testing::Answer;
using testing::ApiFixture;

std::string Success(const std::string& data) {
  return R"({"status":"success","data":)" + data + "}";
}
std::string BadData(const std::string& message) {
  return R"({"status":"error","errorType":"bad_data","error":")" + message + R"("})";
}

collector::TargetStatus MakeTarget(const std::string& url) {
  collector::TargetStatus status;
  status.target.job = "node";
  status.target.discovered_labels = model::Labels::FromPairs({{"__address__", "localhost:9100"}});
  status.target.labels =
      model::Labels::FromPairs({{"instance", "localhost:9100"}, {"job", "node"}});
  status.target.url = url;
  status.target.scrape_interval_ms = 15'000;
  status.target.scrape_timeout_ms = 10'000;
  status.health = collector::TargetHealth::kDown;
  status.last_error = "timeout <1s>";
  status.last_scrape_ms = ApiFixture::kNowMs - 1500;
  status.last_scrape_duration_s = 0.0625;
  return status;
}

alerting::RuleGroupView MakeGroup(const std::string& name) {
  alerting::AlertView alert;
  alert.labels = model::Labels::FromPairs({{"alertname", "Down"}, {"job", "x"}});
  alert.annotations = {{"summary", "it is <down>"}};
  alert.state = alerting::AlertState::kFiring;
  alert.active_at_ms = ApiFixture::kNowMs - 60'000;
  alert.value = 1;
  alerting::RuleView alerting_rule;
  alerting_rule.is_alert = true;
  alerting_rule.name = "Down";
  alerting_rule.query = "up == 0";
  alerting_rule.labels = model::Labels::FromPairs({{"severity", "page"}});
  alerting_rule.health = alerting::RuleHealth::kOk;
  alerting_rule.evaluation_seconds = 0.5;
  alerting_rule.last_evaluation_ms = ApiFixture::kNowMs;
  alerting_rule.state = alerting::AlertState::kFiring;
  alerting_rule.for_ms = 60'000;
  alerting_rule.annotations = {{"summary", "{{ $labels.job }}"}};
  alerting_rule.alerts = {alert};
  alerting::RuleView recording_rule;
  recording_rule.name = "job:up:sum";
  recording_rule.query = "sum by (job) (up)";
  recording_rule.health = alerting::RuleHealth::kError;
  recording_rule.last_error = "boom";
  alerting::RuleGroupView group;
  group.name = name;
  group.file = "rules.yml";
  group.interval_ms = 15'000;
  group.rules = {alerting_rule, recording_rule};
  return group;
}

const char* const kAlertJson =
    R"({"labels":{"alertname":"Down","job":"x"},"annotations":{"summary":"it is <down>"},)"
    R"("state":"firing","activeAt":"2025-12-31T23:59:00Z","value":"1e+00"})";

BOOST_FIXTURE_TEST_SUITE(StatusRoutes, ApiFixture)

BOOST_AUTO_TEST_CASE(AnswersAboutLabels) {
  store.Add(model::Labels::FromPairs({{"__name__", "old"}, {"http.code", "200"}}), 1000, 1);
  const struct {
    const char* target;
    int status;
    std::string body;
  } cases[] = {
      {"/api/v1/labels", 200, Success(R"(["__name__","http.code","instance","job"])")},
      {"/api/v1/labels?match[]=up", 200, Success(R"(["__name__","instance","job"])")},
      {"/api/v1/labels?start=0&end=10", 200, Success(R"(["__name__","http.code"])")},
      {"/api/v1/labels?limit=1", 200,
       R"({"status":"success","data":["__name__"],"warnings":["results truncated due to limit"]})"},
      {"/api/v1/labels?match[]=up&limit=3", 200, Success(R"(["__name__","instance","job"])")},
      {"/api/v1/label/instance/values", 200, Success(R"(["a","b"])")},
      {"/api/v1/label/none/values", 200, Success("[]")},
      {"/api/v1/label/U__http_2e_code/values", 200, Success(R"(["200"])")},
      {"/api/v1/label/http.code/values", 200, Success(R"(["200"])")},
      {"/api/v1/label/a%FF/values", 400, BadData(R"(invalid label name: \"a\\xff\")")},
      {"/api/v1/series?match[]=up&match[]=old&limit=2", 200,
       R"({"status":"success","data":[{"__name__":"old","http.code":"200"},)"
       R"({"__name__":"up","instance":"a","job":"x"}],)"
       R"("warnings":["results truncated due to limit"]})"},
      {"/api/v1/series", 400, BadData("no match[] parameter provided")},
      {"/api/v1/series?match[]=%7B%7D", 400,
       BadData(R"(invalid parameter \"match[]\": match[] must contain at least one non-empty )"
               R"(matcher)")},
      {"/api/v1/labels?match[]=%7Ba%3D~%22.*%22%7D", 400,
       BadData("match[] must contain at least one non-empty matcher")},
      {"/api/v1/labels?start=x", 400,
       BadData(R"(invalid parameter \"start\": cannot parse \"x\" to a valid timestamp)")},
      {"/api/v1/labels?limit=-2", 400,
       BadData(R"(invalid parameter \"limit\": limit must be non-negative)")},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.target) {
      const Answer answer = Get(c.target);
      BOOST_TEST(answer.status == c.status);
      BOOST_TEST(answer.body == c.body);
    }
  }
  BOOST_TEST(PostForm("/api/v1/series", "match[]=old").body ==
             Success(R"([{"__name__":"old","http.code":"200"}])"));
  BOOST_TEST(PostForm("/api/v1/labels", "match[]=old").body ==
             Success(R"(["__name__","http.code"])"));
  BOOST_TEST(Ask("POST", "/api/v1/label/a/values").status == 405);
}

BOOST_AUTO_TEST_CASE(AnswersAboutMetadata) {
  const auto a = model::Labels::FromPairs({{"instance", "a"}});
  const auto b = model::Labels::FromPairs({{"instance", "b"}});
  metadata = {{a, {"up", "gauge", "Is <up>.", ""}},
              {a, {"x_total", "counter", "X.", "bytes"}},
              {b, {"up", "gauge", "Is <up>.", ""}},
              {b, {"x_total", "counter", "Y.", "bytes"}}};
  // Of "up", too, but a target says otherwise now.
  deps.targets.visit_stored_metadata = [](std::string_view metric, const auto& visit) {
    for (const char* name : {"gone", "up"}) {
      if (!metric.empty() && metric != name) continue;
      if (!visit(name, {model::MetricType::kSummary, "seconds", "Was."})) return;
    }
  };
  const std::string gone = R"("gone":[{"type":"summary","unit":"seconds","help":"Was."}])";
  const std::string up = R"("up":[{"type":"gauge","unit":"","help":"Is \u003cup\u003e."}])";
  const std::string x = R"({"type":"counter","unit":"bytes","help":"X."})";
  const std::string y = R"({"type":"counter","unit":"bytes","help":"Y."})";
  const struct {
    const char* target;
    std::string body;
  } cases[] = {
      {"/api/v1/metadata", Success("{" + gone + "," + up + R"(,"x_total":[)" + x + "," + y + "]}")},
      {"/api/v1/metadata?limit=1", Success("{" + up + "}")},
      {"/api/v1/metadata?limit=0", Success("{}")},
      {"/api/v1/metadata?metric=gone", Success("{" + gone + "}")},
      {"/api/v1/metadata?metric=up", Success("{" + up + "}")},
      {"/api/v1/metadata?limit=-5&metric=up", Success("{" + up + "}")},
      {"/api/v1/metadata?limit_per_metric=1",
       Success("{" + gone + "," + up + R"(,"x_total":[)" + x + "]}")},
      {"/api/v1/metadata?limit=x", BadData("limit must be a number")},
      {"/api/v1/targets/metadata?match_target=%7Binstance%3D%22a%22%7D&metric=up",
       Success(R"([{"target":{"instance":"a"},"type":"gauge","help":"Is \u003cup\u003e.",)"
               R"("unit":""}])")},
      {"/api/v1/targets/metadata?limit=1",
       Success(R"([{"target":{"instance":"a"},"metric":"up","type":"gauge",)"
               R"("help":"Is \u003cup\u003e.","unit":""},{"target":{"instance":"a"},)"
               R"("metric":"x_total","type":"counter","help":"X.","unit":"bytes"}])")},
      {"/api/v1/targets/metadata?metric=none", Success("[]")},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.target) { BOOST_TEST(Get(c.target).body == c.body); }
  }
}

BOOST_AUTO_TEST_CASE(AnswersAboutTargets) {
  targets = {MakeTarget("http://localhost:9100/metrics")};
  dropped = {{"node", model::Labels::FromPairs({{"__address__", "d"}})}};
  const std::string active =
      R"([{"discoveredLabels":{"__address__":"localhost:9100"},)"
      R"("labels":{"instance":"localhost:9100","job":"node"},"scrapePool":"node",)"
      R"("scrapeUrl":"http://localhost:9100/metrics",)"
      R"("globalUrl":"http://mon.example:9100/metrics","lastError":"timeout \u003c1s\u003e",)"
      R"("lastScrape":"2025-12-31T23:59:58.5Z","lastScrapeDuration":0.0625,"health":"down",)"
      R"("scrapeInterval":"15s","scrapeTimeout":"10s"}])";
  const std::string gone = R"([{"discoveredLabels":{"__address__":"d"},"scrapePool":"node"}])";
  BOOST_TEST(Get("/api/v1/targets").body ==
             Success(R"({"activeTargets":)" + active + R"(,"droppedTargets":)" + gone +
                     R"(,"droppedTargetCounts":{"node":1}})"));
  BOOST_TEST(Get("/api/v1/targets?state=Active").body ==
             Success(R"({"activeTargets":)" + active +
                     R"(,"droppedTargets":[],"droppedTargetCounts":null})"));
  BOOST_TEST(Get("/api/v1/targets?state=dropped").body ==
             Success(R"({"activeTargets":[],"droppedTargets":)" + gone +
                     R"(,"droppedTargetCounts":{"node":1}})"));
  targets = {MakeTarget("http://127.0.0.1:9090/metrics")};
  BOOST_TEST(Get("/api/v1/targets").body.find(R"("globalUrl":"http://mon.example:9090/metrics")") !=
             std::string::npos);
  BOOST_TEST(Get("/api/v1/scrape_pools").body ==
             Success(R"({"scrapePools":["a","b\u003cc\u003e"]})"));
}

BOOST_AUTO_TEST_CASE(AnswersAboutRulesAndAlerts) {
  rules.groups = {MakeGroup("g"), MakeGroup("h")};
  BOOST_TEST(Get("/api/v1/alerts").body ==
             Success(std::string(R"({"alerts":[)") + kAlertJson + "," + kAlertJson + "]}"));
  const std::string recording =
      R"x({"name":"job:up:sum","query":"sum by (job) (up)","labels":{},"health":"err",)x"
      R"("lastError":"boom","evaluationTime":0,"lastEvaluation":"0001-01-01T00:00:00Z",)"
      R"("type":"recording"})";
  const std::string alerting_head =
      R"({"state":"firing","name":"Down","query":"up == 0","duration":60,"keepFiringFor":0,)"
      R"("labels":{"severity":"page"},"annotations":{"summary":"{{ $labels.job }}"},"alerts":)";
  const std::string alerting_tail =
      R"(,"health":"ok","evaluationTime":0.5,"lastEvaluation":"2026-01-01T00:00:00Z",)"
      R"("type":"alerting"})";
  const auto group = [](const std::string& name, const std::string& rules_json) {
    return R"({"name":")" + name + R"(","file":"rules.yml","rules":[)" + rules_json +
           R"(],"interval":15,"limit":0,"evaluationTime":0,)"
           R"("lastEvaluation":"0001-01-01T00:00:00Z"})";
  };
  const std::string both = alerting_head + "[" + kAlertJson + "]" + alerting_tail + "," + recording;
  BOOST_TEST(Get("/api/v1/rules").body ==
             Success(R"({"groups":[)" + group("g", both) + "," + group("h", both) + "]}"));
  BOOST_TEST(Get("/api/v1/rules?type=record&rule_group[]=h").body ==
             Success(R"({"groups":[)" + group("h", recording) + "]}"));
  BOOST_TEST(Get("/api/v1/rules?type=alert&rule_group[]=h&exclude_alerts=T").body ==
             Success(R"({"groups":[)" + group("h", alerting_head + "null" + alerting_tail) + "]}"));
  const std::string first = Get("/api/v1/rules?group_limit=1&type=record").body;
  const size_t at = first.find(R"("groupNextToken":")");
  BOOST_REQUIRE(at != std::string::npos);
  const std::string token = first.substr(at + 18, 64);
  BOOST_TEST(Get("/api/v1/rules?type=record&group_limit=1&group_next_token=" + token).body ==
             Success(R"({"groups":[)" + group("h", recording) + "]}"));
  BOOST_TEST(Get("/api/v1/rules?group_limit=1&group_next_token=abc").status == 400);
  for (const char* bad : {"type=x", "group_limit=0", "group_limit=x", "group_next_token=a",
                          "exclude_alerts=maybe", "match[]=%7B"}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_TEST(Get(std::string("/api/v1/rules?") + bad).status == 400); }
  }
  BOOST_TEST(Get("/api/v1/alertmanagers").body ==
             Success(R"({"activeAlertmanagers":[{"url":"http://a:9093/api/v2/alerts"}],)"
                     R"("droppedAlertmanagers":[]})"));
}

BOOST_AUTO_TEST_CASE(AnswersAboutItself) {
  const std::string build =
      R"({"version":"3.14.0","revision":"tocsin-test","branch":"","buildUser":"","buildDate":"",)"
      R"("goVersion":"gcc"})";
  BOOST_TEST(Get("/api/v1/status/buildinfo").body == Success(build));
  BOOST_TEST(Get("/version").body == build);
  BOOST_TEST(Get("/api/v1/status/config").body ==
             Success(R"({"yaml":"global: {a: \u003csecret\u003e}\n"})"));
  BOOST_TEST(Get("/api/v1/status/flags").body ==
             Success(R"({"web.enable-lifecycle":"false","web.listen-address":"127.0.0.1:9090"})"));
  BOOST_TEST(Get("/api/v1/status/tsdb?limit=7").body ==
             Success(R"({"headStats":{"numSeries":2,"numLabelPairs":3,"chunkCount":4,"minTime":5,)"
                     R"("maxTime":6},"seriesCountByMetricName":[{"name":"up","value":7}],)"
                     R"("labelValueCountByLabelName":[],"memoryInBytesByLabelName":[],)"
                     R"("seriesCountByLabelValuePair":[]})"));
  BOOST_TEST(Get("/api/v1/status/tsdb?limit=0").body == BadData("limit must be a positive number"));
  BOOST_TEST(Get("/api/v1/status/tsdb?limit=10001").body == BadData("limit must not exceed 10000"));
  const std::string ulid = "01KC4D6GXQA4CRHYKV78NEBVAE";
  BOOST_TEST(Get("/api/v1/status/tsdb/blocks").body ==
             Success(R"({"blocks":[{"ulid":")" + ulid +
                     R"(","minTime":1,"maxTime":9,"stats":{"numSamples":30,"numSeries":2,)"
                     R"("numChunks":3},"compaction":{"level":4,"sources":[")" +
                     ulid + R"("]},"version":1}]})"));
  BOOST_TEST(Get("/api/v1/status/walreplay").body == Success(R"({"min":0,"max":9,"current":3})"));
  BOOST_TEST(Get("/api/v1/notifications").body == Success("[]"));
  const std::string runtime = Get("/api/v1/status/runtimeinfo").body;
  BOOST_TEST(runtime.starts_with(
      R"({"status":"success","data":{"startTime":"2025-12-31T23:58:59.5Z","CWD":"/)"));
  BOOST_TEST(runtime.find(R"("serverTime":"2026-01-01T00:00:00Z","reloadConfigSuccess":true,)"
                          R"("lastConfigTime":"2025-12-31T23:59:00Z","corruptionCount":0,)") !=
             std::string::npos);
  BOOST_TEST(runtime.ends_with(R"("storageRetention":"15d"}})"));
  const std::string features = Get("/api/v1/features").body;
  BOOST_TEST(features.find(R"("remote_write_receiver":false)") != std::string::npos);
  BOOST_TEST(features.find(R"("</":true,"<=":true)") != std::string::npos);
  BOOST_TEST(features.find(R"("rate":true)") != std::string::npos);
  BOOST_TEST(features.find(R"("mad_over_time":false)") != std::string::npos);
  const Answer metrics = Get("/metrics");
  BOOST_TEST(metrics.body == "x 1\n");
  BOOST_TEST(metrics.headers.Get("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
}

BOOST_AUTO_TEST_CASE(WaitsUntilReady) {
  for (const Readiness state : {Readiness::kStarting, Readiness::kStopping}) {
    readiness = state;
    for (const char* path : {"/api/v1/query?query=1", "/api/v1/targets", "/-/ready", "/federate",
                             "/version", "/api/v1/status/config"}) {
      BOOST_TEST_CONTEXT(path) {
        const Answer answer = Get(path);
        BOOST_TEST(answer.status == 503);
        BOOST_TEST(answer.body == "Service Unavailable");
        BOOST_TEST(answer.headers.Get("X-Prometheus-Stopping") ==
                   (state == Readiness::kStopping ? "true" : "false"));
      }
    }
    for (const char* path : {"/-/healthy", "/metrics", "/api/v1/status/walreplay", "/query"}) {
      BOOST_TEST_CONTEXT(path) { BOOST_TEST(Get(path).status == 200); }
    }
  }
  readiness = Readiness::kReady;
  BOOST_TEST(Get("/-/ready").body == "Prometheus Server is Ready.\n");
  BOOST_TEST(Get("/-/healthy").body == "Prometheus Server is Healthy.\n");
  BOOST_TEST(Ask("HEAD", "/-/ready").status == 200);
}

BOOST_AUTO_TEST_CASE(ActsOnlyWhenEnabledAndAskedFromHere) {
  Answer answer = Ask("POST", "/-/reload");
  BOOST_TEST(answer.status == 403);
  BOOST_TEST(answer.body == "Lifecycle API is not enabled.\n");
  answer = Get("/-/quit");
  BOOST_TEST(answer.status == 405);
  BOOST_TEST(answer.body == "Only POST or PUT requests allowed");
  answer = Ask("POST", "/api/v1/admin/tsdb/compact");
  BOOST_TEST(answer.status == 500);
  BOOST_TEST(answer.body ==
             R"({"status":"error","errorType":"unavailable","error":"admin APIs disabled"})");

  BOOST_TEST(Ask("POST", "/api/v1/admin/tsdb/pause_compaction").status == 500);
  BOOST_TEST(!compaction_paused);

  deps.lifecycle_enabled = deps.admin_enabled = true;
  BOOST_TEST(Ask("PUT", "/-/reload").status == 200);
  reload_status = Status(Code::kInvalidArgument, "p.yml:3:1: unknown field");
  answer = Ask("POST", "/-/reload");
  BOOST_TEST(answer.status == 500);
  BOOST_TEST(answer.body == "failed to reload config: p.yml:3:1: unknown field\n");
  BOOST_TEST(Ask("POST", "/api/v1/admin/tsdb/compact").status == 204);
  BOOST_TEST(compactions == 1);
  BOOST_TEST(Ask("POST", "/api/v1/admin/tsdb/pause_compaction").status == 204);
  BOOST_TEST(compaction_paused);
  BOOST_TEST(Ask("PUT", "/api/v1/admin/tsdb/resume_compaction").status == 204);
  BOOST_TEST(!compaction_paused);
  BOOST_TEST(Ask("POST", "/-/quit", "", {{"Sec-Fetch-Site", "cross-site"}}).status == 403);
  BOOST_TEST(
      Ask("POST", "/-/quit", "", {{"Origin", "http://evil"}, {"Host", "localhost"}}).status == 403);
  BOOST_TEST(quits == 0);
  BOOST_TEST(
      Ask("POST", "/-/quit", "", {{"Origin", "http://localhost"}, {"Host", "localhost"}}).status ==
      200);
  BOOST_TEST(quits == 1);
}

BOOST_AUTO_TEST_CASE(ReceivesWritesWhenEnabled) {
  Answer answer = Ask("POST", "/api/v1/write", "x");
  BOOST_TEST(answer.status == 404);
  BOOST_TEST(answer.body ==
             "remote write receiver needs to be enabled with "
             "--web.enable-remote-write-receiver\n");
  std::string seen;
  deps.remote_write.check_headers = [](std::string_view type, std::string_view) {
    return type == "text/plain" ? std::string("unsupported media type") : std::string();
  };
  deps.remote_write.write = [&](std::string_view sender, std::string_view body) {
    seen = std::string(sender) + " " + std::string(body);
    collector::RemoteWriteOutcome outcome;
    if (body == "bad") {
      outcome.http_status = 400;
      outcome.message = "out of order sample";
    }
    return outcome;
  };
  Rebuild();
  BOOST_TEST(Ask("POST", "/api/v1/write", "good").status == 204);
  BOOST_TEST(seen == "127.0.0.1 good");
  answer = Ask("POST", "/api/v1/write", "bad");
  BOOST_TEST(answer.status == 400);
  BOOST_TEST(answer.body == "out of order sample\n");
  BOOST_TEST(Ask("POST", "/api/v1/write", "x", {{"Content-Type", "text/plain"}}).status == 415);
  BOOST_TEST(Ask("GET", "/api/v1/write").status == 405);
}

BOOST_AUTO_TEST_CASE(FederatesTheLatestSamples) {
  const auto labels = [](const char* name, const char* a) {
    return model::Labels::FromPairs({{"__name__", name}, {"a", a}});
  };
  store.Add(labels("b", "x\"\\\n"), kNowMs - 1000, 2e7);
  store.Add(labels("a", "1"), kNowMs - 299'999, 1);
  store.Add(labels("a", "2"), kNowMs - 300'000, 1);
  store.Add(labels("c", "1"), kNowMs - 2000, 1);
  store.Add(labels("c", "1"), kNowMs - 1000, model::StaleMarker());
  store.Add(model::Labels::FromPairs({{"__name__", "d.e"}, {"dc", "us"}, {"instance", "i"}}),
            kNowMs, -0.5);
  Answer answer = Get("/federate?match[]=%7B__name__%3D~%22%5Ba-d%5D.*%22%7D&match[]=a");
  BOOST_TEST(answer.status == 200);
  BOOST_TEST(answer.body ==
             "# TYPE a untyped\na{a=\"1\",dc=\"eu\",instance=\"\"} 1 1767225300001\n"
             "# TYPE b untyped\nb{a=\"x\\\"\\\\\\n\",dc=\"eu\",instance=\"\"} 2e+07 1767225599000\n"
             "# TYPE d_e untyped\nd_e{dc=\"us\",instance=\"i\"} -0.5 1767225600000\n");
  answer = Ask("GET", "/federate?match[]=%7B%22d.e%22%7D", "",
               {{"Accept", "text/plain;version=1.0.0;escaping=allow-utf-8"}});
  BOOST_TEST(answer.body ==
             "# TYPE \"d.e\" untyped\n{\"d.e\",dc=\"us\",instance=\"i\"} -0.5 1767225600000\n");
  answer = Get("/federate");
  BOOST_TEST(answer.status == 200);
  BOOST_TEST(answer.body == "");
  answer = Get("/federate?match[]=%7B");
  BOOST_TEST(answer.status == 400);
  BOOST_TEST(answer.body.find("parse error") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(AllowsOriginsAsConfigured) {
  const std::vector<std::pair<std::string, std::string>> origin = {{"Origin", "http://a.b"}};
  Answer answer = Ask("GET", "/api/v1/query?query=1", "", origin);
  BOOST_TEST(answer.headers.Get("Access-Control-Allow-Origin") == "http://a.b");
  BOOST_TEST(answer.headers.Get("Access-Control-Allow-Methods") == "GET, POST, OPTIONS");
  BOOST_TEST(answer.headers.Get("Access-Control-Allow-Headers") ==
             "Accept, Authorization, Content-Type, Origin");
  BOOST_TEST(answer.headers.Get("Access-Control-Expose-Headers") == "Date");
  BOOST_TEST(answer.headers.Get("Vary") == "Origin");
  BOOST_TEST(!Get("/api/v1/query?query=1").headers.Has("Access-Control-Allow-Origin"));
  answer = Ask("OPTIONS", "/api/v1/anything/at/all", "", origin);
  BOOST_TEST(answer.status == 204);
  BOOST_TEST(answer.headers.Has("Access-Control-Allow-Origin"));
  deps.cors_origin = "https?://good\\.example";
  Rebuild();
  BOOST_TEST(
      !Ask("GET", "/api/v1/query?query=1", "", origin).headers.Has("Access-Control-Allow-Origin"));
  BOOST_TEST(Ask("GET", "/api/v1/query?query=1", "", {{"Origin", "http://good.example"}})
                 .headers.Has("Access-Control-Allow-Origin"));
}

BOOST_AUTO_TEST_CASE(ServesPagesUnderAStrictPolicy) {
  Answer answer = Get("/");
  BOOST_TEST(answer.status == 302);
  BOOST_TEST(answer.headers.Get("Location") == "/p/query");
  BOOST_TEST(Get("/graph?g0.expr=up").headers.Get("Location") == "/p/query?g0.expr=up");
  answer = Get("/targets");
  BOOST_TEST(answer.status == 200);
  BOOST_TEST(answer.headers.Get("Content-Type") == "text/html; charset=utf-8");
  BOOST_TEST(answer.headers.Get("Cache-Control") == "no-cache");
  BOOST_TEST(answer.headers.Get("Content-Security-Policy").starts_with("default-src 'none'; "));
  BOOST_TEST(answer.headers.Get("X-Content-Type-Options") == "nosniff");
  BOOST_TEST(answer.body.find("<base href=\"/p/\"") != std::string::npos);
  for (const char* path :
       {"/assets/none.js", "/assets/", "/nowhere", "/index.html", "/a/../query"}) {
    BOOST_TEST_CONTEXT(path) { BOOST_TEST(Get(path).status == 404); }
  }
  for (const dashboards::Asset& asset : dashboards::Assets()) {
    if (asset.path == "/index.html") continue;
    BOOST_TEST_CONTEXT(asset.path) {
      const std::string path(asset.path);
      answer = Ask("GET", path, "", {{"Accept-Encoding", "gzip, br"}});
      BOOST_TEST(answer.status == 200);
      const std::string_view encoding = answer.headers.Get("Content-Encoding");
      BOOST_TEST(encoding == (!asset.brotli.empty() ? "br" : asset.gzip.empty() ? "" : "gzip"));
      BOOST_TEST(Get(path).body == asset.identity);
      answer = Ask("GET", path, "", {{"If-None-Match", std::string(asset.etag)}});
      BOOST_TEST(answer.status == 304);
      BOOST_TEST(answer.body.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(OverloadHasTheApisShape) {
  http::HttpRequest request;
  request.path = "/api/v1/query";
  http::HttpResponse response;
  AnswerOverload(request, http::Overload::kLaneFull, &response);
  BOOST_TEST(response.status == 503);
  BOOST_TEST(response.body.ToString() ==
             R"({"status":"error","errorType":"timeout","error":"too many requests are waiting"})");
  response = http::HttpResponse();
  AnswerOverload(request, http::Overload::kResponseMemory, &response);
  BOOST_TEST(response.status == 422);
  request.path = "/federate";
  response = http::HttpResponse();
  AnswerOverload(request, http::Overload::kLaneFull, &response);
  BOOST_TEST(response.body.ToString() == "too many requests are waiting\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace status_routes_test
}  // namespace
}  // namespace tocsin::api
