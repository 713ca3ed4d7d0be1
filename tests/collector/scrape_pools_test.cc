// Whole scrapes over real sockets: what targets may do to us, and what reloads do to targets. Waits
// for commits, never for the clock.
#include "collector/scrape_pools.h"

#include <zlib.h>

#include <atomic>
#include <boost/test/unit_test.hpp>

#include "base/check.h"
#include "base/env.h"
#include "tests/support/fake_target.h"
#include "tests/support/recording_appender.h"

namespace tocsin::collector {
namespace {

BOOST_AUTO_TEST_SUITE(ScrapePools_)

using testing::FakeTarget;
using testing::RecordingAppender;

struct Fixture {
  RecordingAppender appender;
  ScrapeConfig config;
  std::unique_ptr<ScrapePools> pools;
  std::string address;

  Fixture() {
    config.job_name = "j";
    config.scrape_interval_ms = 100;
    config.scrape_timeout_ms = 100;
  }
  ~Fixture() {
    if (pools != nullptr) pools->Stop();
  }
  discovery::TargetGroupList Groups(const std::vector<std::string>& addresses) const {
    discovery::TargetGroup group;
    for (const std::string& one : addresses) {
      group.targets.push_back(model::Labels::FromPairs({{"__address__", one}, {"instance", "i"}}));
    }
    return {group};
  }
  void Run(const FakeTarget& target) {
    address = target.address();
    ScrapePoolsOptions options;
    options.threads = 2;
    options.user_agent = "Tocsin/test";
    pools = std::make_unique<ScrapePools>(&Env::Default(), &appender, options);
    pools->Apply({config});
    pools->SetGroups("j", Groups({address}));
  }
  std::string Name(const std::string& metric) const {
    return metric + R"({instance="i", job="j"})";
  }
  // The value of `metric` becomes `want`.
  bool Becomes(const std::string& metric, double want) {
    return appender.WaitUntil([&] { return appender.Last(Name(metric)) == want; });
  }
  std::string ErrorOfFailedScrape() {
    BOOST_TEST(Becomes("up", 0));
    // The status is set right behind the commit.
    std::string error;
    appender.WaitUntil([&] {
      const auto targets = pools->Targets();
      if (!targets.empty()) error = targets[0].last_error;
      return !error.empty();
    });
    return error;
  }
  TargetStatus Status() const { return pools->Targets().at(0); }
};

// Also called from targets' threads, which may not use Boost.Test's macros.
std::string Gzip(std::string_view text) {
  z_stream stream{};
  CHECK(deflateInit2(&stream, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, text.size()), 0);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

BOOST_FIXTURE_TEST_CASE(PagesBecomeSamplesOverOneConnection, Fixture) {
  std::atomic<int> value{0};
  std::string head;
  Mutex mu;
  FakeTarget target([&](FakeTarget::Request& r) {
    {
      MutexLock lock(mu);
      head = r.head();
    }
    r.Answer("# TYPE a counter\na " + std::to_string(++value) + "\n");
  });
  Run(target);
  BOOST_TEST(Becomes("a", 4));
  BOOST_TEST(target.connections() == 1);
  BOOST_TEST(appender.Last(Name("up")) == 1);
  MutexLock lock(mu);
  BOOST_TEST(head.starts_with("GET /metrics HTTP/1.1\r\n"));
  BOOST_TEST(head.find("User-Agent: Tocsin/test\r\n") != std::string::npos);
  BOOST_TEST(head.find("X-Prometheus-Scrape-Timeout-Seconds: 0.1\r\n") != std::string::npos);
  BOOST_TEST(head.find("Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;"
                       "q=0.6,") != std::string::npos);
  BOOST_TEST(head.find("Accept-Encoding: gzip\r\n") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(StatusAndMetadataAreThereForTheApi, Fixture) {
  FakeTarget target(
      [](FakeTarget::Request& r) { r.Answer("# HELP a help\n# TYPE a gauge\na 1\n"); });
  Run(target);
  BOOST_TEST(appender.WaitUntil([&] { return Status().health == TargetHealth::kUp; }));
  const TargetStatus status = Status();
  BOOST_TEST(status.target.url == "http://" + address + "/metrics");
  BOOST_TEST(status.last_error == "");
  BOOST_TEST(status.last_scrape_ms > 0);
  BOOST_TEST(status.last_samples_scraped == 1u);
  BOOST_TEST(status.target.discovered_labels.Get("__scrape_interval__") == "100ms");
  int families = 0;
  pools->VisitMetadata([&](const MetadataOfTarget& m) {
    ++families;
    BOOST_TEST(m.metadata.metric == "a");
    BOOST_TEST(m.metadata.type == "gauge");
    BOOST_TEST(m.metadata.help == "help");
    BOOST_TEST(m.target_labels.Get("job") == "j");
    return true;
  });
  BOOST_TEST(families == 1);
  const auto new_families = [&](bool all) {
    std::string names;
    pools->VisitNewFamilies(all, [&](const TargetMetadata& m) { names += m.metric + ","; });
    return names;
  };
  BOOST_TEST(new_families(false) == "a,");
  BOOST_TEST(new_families(false) == "");  // the same page since
  BOOST_TEST(new_families(true) == "a,");
  BOOST_TEST(pools->PoolNames() == std::vector<std::string>{"j"});
  BOOST_TEST(pools->RelabelRules("j").has_value());
  BOOST_TEST(!pools->RelabelRules("x").has_value());
}

BOOST_FIXTURE_TEST_CASE(GzipIsReadAsItComes, Fixture) {
  FakeTarget target([](FakeTarget::Request& r) {
    r.Answer(Gzip("a 42\n"), "text/plain", "Content-Encoding: gzip\r\n");
  });
  Run(target);
  BOOST_TEST(Becomes("a", 42));
}

BOOST_FIXTURE_TEST_CASE(BadAnswersFailWithAClearError, Fixture) {
  struct Case {
    const char* name;
    FakeTarget::Handler handler;
    const char* want;  // within the error
  };
  const std::string bomb = Gzip("a{x=\"" + std::string(16 << 20, 'a') + "\"} 1\n");
  const Case cases[] = {
      {"not found",
       [](FakeTarget::Request& r) { r.Answer("<b>no</b>", "text/html", "", "404 Not Found"); },
       "server returned HTTP status 404 Not Found"},
      {"html", [](FakeTarget::Request& r) { r.Answer("<b>", "text/html"); },
       "received unsupported Content-Type \"text/html\" and no fallback_scrape_protocol specified"},
      {"binary garbage",
       [](FakeTarget::Request& r) { r.Answer(std::string_view("\x7f\0\1\2", 4)); },
       "expected a valid start token, got \"\\x7f\\x00\" (\"INVALID\")"},
      {"endless line",
       [](FakeTarget::Request& r) {
         r.Send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n");
         while (r.Send(std::string(65536, 'a'))) {
         }
       },
       "a line is longer than 1048576 bytes"},
      {"cut short",
       [](FakeTarget::Request& r) {
         r.Send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\na 1\n");
       },
       "context deadline exceeded"},
      {"never answers", [](FakeTarget::Request& r) { r.WaitForHangup(); },
       "context deadline exceeded"},
      {"no http",
       [](FakeTarget::Request& r) {
         r.Send("SSH-2.0-x\r\n\r\n");
         r.WaitForHangup();
       },
       "Get \"http://127.0.0.1:"},
      {"broken gzip",
       [](FakeTarget::Request& r) {
         r.Answer("not gzip", "text/plain", "Content-Encoding: gzip\r\n");
       },
       "Get \"http://127.0.0.1:"},
      {"gzip bomb",
       [&](FakeTarget::Request& r) { r.Answer(bomb, "text/plain", "Content-Encoding: gzip\r\n"); },
       "a line is longer than 1048576 bytes"},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      Fixture f;
      f.config.scrape_interval_ms = f.config.scrape_timeout_ms = 400;
      FakeTarget target(c.handler);
      f.Run(target);
      const std::string error = f.ErrorOfFailedScrape();
      BOOST_TEST_CONTEXT("got: " << error) { BOOST_TEST(error.find(c.want) != std::string::npos); }
      BOOST_TEST((f.Status().health == TargetHealth::kDown));
    }
  }
}

BOOST_FIXTURE_TEST_CASE(TheRefusedAnswersFirstBytesAreKept, Fixture) {
  FakeTarget target([](FakeTarget::Request& r) {
    r.Answer("<html>" + std::string(5000, 'x'), "text/html", "", "500 Internal Server Error");
  });
  Run(target);
  BOOST_TEST(ErrorOfFailedScrape() == "server returned HTTP status 500 Internal Server Error");
  const std::string kept = Status().failed_answer;
  BOOST_TEST(kept.size() == kFailedAnswerBytesMax);
  BOOST_TEST(kept.starts_with("<html>x"));
}

BOOST_FIXTURE_TEST_CASE(AHugePageStopsAtTheBodyLimit, Fixture) {
  config.scrape_interval_ms = config.scrape_timeout_ms = 1000;
  config.body_size_limit_bytes = 1 << 20;
  std::atomic<int64_t> sent{0};
  FakeTarget target([&](FakeTarget::Request& r) {
    r.Send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1073741824\r\n\r\n");
    std::string block;
    for (int i = 0; i < 4000; ++i) block += "a{x=\"" + std::to_string(i) + "\"} 1\n";
    while (r.Send(block)) sent += static_cast<int64_t>(block.size());
  });
  Run(target);
  BOOST_TEST(ErrorOfFailedScrape() == "body size limit exceeded");
  BOOST_TEST(sent < 64 << 20);
  BOOST_TEST(appender.Of(R"(a{instance="i", job="j", x="1"})").empty());
}

BOOST_FIXTURE_TEST_CASE(RefusedConnectionsSayWhere, Fixture) {
  {
    FakeTarget gone([](FakeTarget::Request&) {});
    address = gone.address();
  }
  ScrapePoolsOptions options;
  options.threads = 1;
  pools = std::make_unique<ScrapePools>(&Env::Default(), &appender, options);
  pools->Apply({config});
  pools->SetGroups("j", Groups({address}));
  const std::string error = ErrorOfFailedScrape();
  BOOST_TEST_CONTEXT(error) {
    BOOST_TEST(error.starts_with("Get \"http://" + address + "/metrics\": "));
    BOOST_TEST(error.find("Connection refused") != std::string::npos);
  }
}

BOOST_FIXTURE_TEST_CASE(CredentialsAndHeadersAreSentButNotToOtherHosts, Fixture) {
  config.http.basic_auth.enabled = true;
  config.http.basic_auth.username = "u";
  config.http.basic_auth.password = Secret("p");
  config.http.headers.push_back({"X-Tenant", {"t"}, {}, {}});
  config.params = {{"a", {"1"}}};
  std::atomic<bool> leaked{false};
  std::atomic<bool> authorized{false};
  FakeTarget other([&](FakeTarget::Request& r) {
    leaked = !r.Header("Authorization").empty();
    r.Answer("redirected 1\n");
  });
  FakeTarget target([&](FakeTarget::Request& r) {
    authorized = r.Header("Authorization") == "Basic dTpw" && r.Header("X-Tenant") == "t" &&
                 r.path() == "/metrics?a=1";
    r.Answer("", "text/plain",
             "Location: http://localhost:" + std::to_string(other.port()) + "/x\r\n", "302 Found");
  });
  Run(target);
  BOOST_TEST(Becomes("redirected", 1));
  BOOST_TEST(authorized);
  BOOST_TEST(!leaked);
}

BOOST_FIXTURE_TEST_CASE(RedirectsStayUnfollowedWhenToldSo, Fixture) {
  config.http.follow_redirects = false;
  FakeTarget target(
      [&](FakeTarget::Request& r) { r.Answer("", "text/plain", "Location: /x\r\n", "302 Found"); });
  Run(target);
  BOOST_TEST(ErrorOfFailedScrape() == "server returned HTTP status 302 Found");
}

BOOST_FIXTURE_TEST_CASE(MissingSecretFilesAreNamed, Fixture) {
  config.http.authorization.enabled = true;
  config.http.authorization.credentials_file = "/nonexistent/token";
  FakeTarget target([&](FakeTarget::Request& r) { r.Answer("a 1\n"); });
  Run(target);
  BOOST_TEST(ErrorOfFailedScrape().starts_with(
      "unable to read authorization credentials file /nonexistent/token: "));
}

BOOST_FIXTURE_TEST_CASE(RemovedTargetsEndWithMarkers, Fixture) {
  FakeTarget target([](FakeTarget::Request& r) { r.Answer("a 1\n"); });
  Run(target);
  BOOST_TEST(Becomes("a", 1));
  pools->SetGroups("j", {});
  BOOST_TEST(appender.WaitUntil([&] { return model::IsStale(appender.Last(Name("up"))); }));
  BOOST_TEST(model::IsStale(appender.Last(Name("a"))));
  BOOST_TEST(pools->Targets().empty());
}

BOOST_FIXTURE_TEST_CASE(AReloadLeavesUnchangedJobsAloneAndGoesOnWithChangedOnes, Fixture) {
  FakeTarget target([](FakeTarget::Request& r) { r.Answer("a 1\n"); });
  Run(target);
  BOOST_TEST(Becomes("a", 1));
  pools->Apply({config});
  pools->SetGroups("j", Groups({address}));
  const auto before = appender.batches();
  BOOST_TEST(appender.WaitUntil([&] { return appender.batches() > before + 1; }));
  BOOST_TEST(target.connections() == 1);

  config.metrics_path = "/other";
  pools->Apply({config});
  const auto then = appender.batches();
  BOOST_TEST(appender.WaitUntil([&] { return appender.batches() > then + 1; }));
  BOOST_TEST(Status().target.url == "http://" + address + "/other");
  for (const auto& sample : appender.Of(Name("a"))) BOOST_TEST(!model::IsStale(sample.value));

  // The same URL under new rules: what they drop ends.
  model::RelabelConfig drop;
  drop.action = model::RelabelAction::kDrop;
  drop.source_labels = {"__name__"};
  drop.regex = "a";
  config.metric_relabel_configs = {*model::RelabelRule::Create(drop)};
  pools->Apply({config});
  BOOST_TEST(appender.WaitUntil([&] { return model::IsStale(appender.Last(Name("a"))); }));
  BOOST_TEST(appender.Last(Name("up")) == 1);

  pools->Apply({});
  BOOST_TEST(appender.WaitUntil([&] { return model::IsStale(appender.Last(Name("up"))); }));
}

BOOST_FIXTURE_TEST_CASE(StoppingWritesNoMarkers, Fixture) {
  FakeTarget target([](FakeTarget::Request& r) { r.Answer("a 1\n"); });
  Run(target);
  BOOST_TEST(Becomes("a", 1));
  pools->Stop();
  BOOST_TEST(!model::IsStale(appender.Last(Name("a"))));
}

BOOST_FIXTURE_TEST_CASE(TooManyTargetsAllFail, Fixture) {
  config.target_limit = 1;
  FakeTarget target([](FakeTarget::Request& r) { r.Answer("a 1\n"); });
  Run(target);
  BOOST_TEST(Becomes("a", 1));
  discovery::TargetGroupList groups = Groups({address});
  groups[0].targets.push_back(
      model::Labels::FromPairs({{"__address__", address}, {"instance", "k"}}));
  pools->SetGroups("j", groups);
  BOOST_TEST(ErrorOfFailedScrape() == "target_limit exceeded (number of targets: 2, limit: 1)");
}

BOOST_FIXTURE_TEST_CASE(DroppedTargetsAreListedUpToTheLimit, Fixture) {
  config.keep_dropped_targets = 1;
  model::RelabelConfig drop;
  drop.action = model::RelabelAction::kDrop;
  drop.source_labels = {"__address__"};
  drop.regex = "drop.*";
  config.relabel_configs = {*model::RelabelRule::Create(drop)};
  FakeTarget target([](FakeTarget::Request& r) { r.Answer("a 1\n"); });
  Run(target);
  pools->SetGroups("j", Groups({address, "drop1", "drop2"}));
  BOOST_TEST(pools->DroppedTargets().size() == 1u);
  BOOST_TEST(pools->DroppedTargetCounts().at("j") == 2u);
  BOOST_TEST(pools->Targets().size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::collector
