// Scrapes and pushes into the real store, read back through it, also after a restart.
#include <snappy.h>

#include <boost/test/unit_test.hpp>

#include "base/mem_env.h"
#include "collector/push/remote_write.h"
#include "collector/scrape_recorder.h"
#include "model/proto/remote_write.pb.h"
#include "tsdb/database.h"

namespace tocsin::collector {
namespace {

BOOST_AUTO_TEST_SUITE(CollectorDatabase_)

struct Fixture {
  MemEnv env;
  std::unique_ptr<tsdb::Database> database;
  tsdb::DatabaseOptions options;
  PageShapes shapes;
  ScrapeConfig config;

  Fixture() {
    options.dir = "/data";
    options.env = &env;
    options.background = false;
  }
  void Open() {
    auto opened = tsdb::Database::Open(options);
    BOOST_REQUIRE_MESSAGE(opened.has_value(), opened.error().message());
    database = std::move(*opened);
  }
  void Reopen() {
    BOOST_TEST(database->Close().ok());
    database.reset();
    Open();
  }
  std::unique_ptr<ScrapeRecorder> NewRecorder() {
    auto target = std::make_shared<Target>();
    target->job = "j";
    target->url = "http://i/metrics";
    target->labels = model::Labels::FromPairs({{"instance", "i"}, {"job", "j"}});
    return std::make_unique<ScrapeRecorder>(&config, target, database.get(), &shapes);
  }
  RecordOutcome Scrape(ScrapeRecorder& recorder, std::string_view page) {
    env.AdvanceMs(15'000);
    BOOST_REQUIRE(recorder.Begin(env.NowMs(), ExpositionFormat::kText).ok());
    BOOST_REQUIRE(recorder.Feed(page, true).has_value());
    const RecordOutcome outcome = recorder.Commit(0.5, 1);
    BOOST_TEST(outcome.status.message() == "");
    return outcome;
  }
  // "series value@ms …", sorted, for one metric; values of the staleness marker read "stale".
  std::string Show(const std::string& metric) {
    const auto snapshot = database->Pin();
    const auto selection = snapshot->Select({model::Matcher::Equal("__name__", metric)}, {}, {});
    BOOST_REQUIRE(selection.has_value());
    model::ColumnBatch batch;
    std::vector<std::string> lines;
    for (size_t i = 0; i < (*selection)->size(); ++i) {
      BOOST_REQUIRE((*selection)->NewReader()->Read(i, 1, &batch).ok());
      const model::Column& column = batch.columns[0];
      std::string line = (*selection)->LabelsAt(i).ToString();
      for (size_t k = 0; k < column.values.size(); ++k) {
        const int64_t at_ms = column.timestamps[k] - MemEnv::kStartMs;
        line += " " +
                (model::IsStale(column.values[k])
                     ? std::string("stale")
                     : std::to_string(static_cast<int64_t>(column.values[k]))) +
                "@" + std::to_string(at_ms);
      }
      lines.push_back(line);
    }
    std::sort(lines.begin(), lines.end());
    std::string out;
    for (const std::string& line : lines) out += line + "\n";
    return out;
  }
};

BOOST_FIXTURE_TEST_CASE(ScrapesReadBackWithMarkersAndAfterARestart, Fixture) {
  Open();
  auto recorder = NewRecorder();
  Scrape(*recorder, "# TYPE a gauge\na{x=\"1\"} 1\na{x=\"2\"} 2\n");
  Scrape(*recorder, "# TYPE a gauge\na{x=\"1\"} 3\na{x=\"2\"} 4\n");
  Scrape(*recorder, "# TYPE a gauge\na{x=\"2\"} 5\n");
  const std::string want =
      "a{instance=\"i\", job=\"j\", x=\"1\"} 1@15000 3@30000 stale@45000\n"
      "a{instance=\"i\", job=\"j\", x=\"2\"} 2@15000 4@30000 5@45000\n";
  BOOST_TEST(Show("a") == want);
  BOOST_TEST(Show("up") == "up{instance=\"i\", job=\"j\"} 1@15000 1@30000 1@45000\n");
  recorder.reset();
  Reopen();
  BOOST_TEST(Show("a") == want);

  recorder = NewRecorder();
  Scrape(*recorder, "# TYPE a gauge\na{x=\"1\"} 7\na{x=\"2\"} 8\n");
  BOOST_TEST(Show("a") ==
             "a{instance=\"i\", job=\"j\", x=\"1\"} 1@15000 3@30000 stale@45000 7@60000\n"
             "a{instance=\"i\", job=\"j\", x=\"2\"} 2@15000 4@30000 5@45000 8@60000\n");
  (void)recorder->Fail(env.NowMs() + 15'000, 0.1, 0);
  BOOST_TEST(Show("a").find("8@60000 stale@75000") != std::string::npos);
  BOOST_TEST(Show("up").find("0@75000") != std::string::npos);
  recorder.reset();
  BOOST_TEST(database->Compact().ok());
  BOOST_TEST(Show("a").find("8@60000 stale@75000") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(AFederationPageSplitsAndStillReadsAsWritten, Fixture) {
  config.honor_labels = true;
  Open();
  auto recorder = NewRecorder();
  for (int i = 0; i < 2; ++i) {
    const std::string ts = std::to_string(env.NowMs() + 10'000);
    const auto outcome = Scrape(*recorder, "a{job=\"x\",instance=\"1\"} 1 " + ts +
                                               "\na{job=\"x\",instance=\"2\"} 2 " + ts +
                                               "\na{job=\"j\",instance=\"i\"} 3\n");
    BOOST_TEST(outcome.too_old + outcome.out_of_order + outcome.duplicates == 0u);
  }
  BOOST_TEST(Show("a") ==
             "a{instance=\"1\", job=\"x\"} 1@10000 1@25000\n"
             "a{instance=\"2\", job=\"x\"} 2@10000 2@25000\n"
             "a{instance=\"i\", job=\"j\"} 3@15000 3@30000\n");
}

BOOST_FIXTURE_TEST_CASE(ASeriesThatMovesBetweenSourcesStaysOne, Fixture) {
  Open();
  auto recorder = NewRecorder();
  Scrape(*recorder, "a 1\n");
  recorder.reset();
  config.honor_labels = true;
  recorder = NewRecorder();
  Scrape(*recorder, "a{job=\"j\"} 2\n");
  RemoteWriteReceiver receiver(&env, database.get(), {});
  prometheus::WriteRequest request;
  auto* series = request.add_timeseries();
  for (const auto& [name, value] : {std::pair("__name__", "a"), {"instance", "i"}, {"job", "j"}}) {
    auto* label = series->add_labels();
    label->set_name(name);
    label->set_value(value);
  }
  series->add_samples()->set_value(3);
  series->mutable_samples(0)->set_timestamp(env.NowMs() + 5000);
  std::string body;
  const std::string raw = request.SerializeAsString();
  snappy::Compress(raw.data(), raw.size(), &body);
  BOOST_TEST(receiver.Write("s", body).message == "");
  BOOST_TEST(Show("a") == "a{instance=\"i\", job=\"j\"} 1@15000 2@30000 3@35000\n");
}

struct PushFixture : Fixture {
  std::unique_ptr<RemoteWriteReceiver> receiver;

  RemoteWriteOutcome Push(const std::vector<std::tuple<std::string, int64_t, double>>& samples) {
    if (receiver == nullptr) {
      receiver = std::make_unique<RemoteWriteReceiver>(&env, database.get(), RemoteWriteOptions());
    }
    prometheus::WriteRequest request;
    for (const auto& [name, at_ms, value] : samples) {
      auto* series = request.add_timeseries();
      auto* label = series->add_labels();
      label->set_name("__name__");
      label->set_value(name);
      series->add_samples()->set_value(value);
      series->mutable_samples(0)->set_timestamp(MemEnv::kStartMs + at_ms);
    }
    std::string body;
    const std::string raw = request.SerializeAsString();
    snappy::Compress(raw.data(), raw.size(), &body);
    return receiver->Write("s", body);
  }
};

BOOST_FIXTURE_TEST_CASE(PushesGetTheVerdictsOfTheReference, PushFixture) {
  options.out_of_order_window_ms = 0;
  Open();
  BOOST_TEST(Push({{"a", 1000, 1}, {"b", 1000, 1}}).http_status == 204);
  BOOST_TEST(Push({{"a", 2000, 2}, {"b", 2000, 2}}).http_status == 204);
  BOOST_TEST(Push({{"a", 2000, 2}}).http_status == 204);  // the same again
  struct Case {
    int64_t at_ms;
    double value;
    const char* message;
  };
  for (const Case& c :
       {Case{2000, 9, "duplicate sample for timestamp"}, Case{1500, 9, "out of order sample"},
        Case{11 * 60 * 1000, 9, "out of bounds"}}) {
    const RemoteWriteOutcome outcome = Push({{"b", 3000, 3}, {"a", c.at_ms, c.value}});
    BOOST_TEST(outcome.http_status == 400);
    BOOST_TEST(outcome.message == c.message);
  }
  BOOST_TEST(Show("a") == "a 1@1000 2@2000\n");
  BOOST_TEST(Show("b") == "b 1@1000 2@2000\n");  // nothing of the refused requests
}

BOOST_FIXTURE_TEST_CASE(LateAndMixedPushesAreTakenWithinTheWindow, PushFixture) {
  Open();
  BOOST_TEST(Push({{"a", 60'000, 6}}).http_status == 204);
  BOOST_TEST(Push({{"a", 30'000, 3}, {"a", 90'000, 9}, {"a", 45'000, 4}}).http_status == 204);
  BOOST_TEST(Show("a") == "a 3@30000 4@45000 6@60000 9@90000\n");
  BOOST_TEST(Push({{"a", -2 * 60 * 60 * 1000, 1}}).message == "too old sample");
  receiver.reset();
  Reopen();
  BOOST_TEST(Show("a") == "a 3@30000 4@45000 6@60000 9@90000\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::collector
