// From page bytes to rows, over a recording Appender: line memo, staleness, automatic series,
// derived sources, duplicates, limits.
#include "collector/scrape_recorder.h"

#include <boost/test/unit_test.hpp>
#include <random>

#include "tests/support/recording_appender.h"

namespace tocsin::collector {
namespace {

BOOST_AUTO_TEST_SUITE(ScrapeRecorder_)

using testing::RecordedSample;
using testing::RecordingAppender;

constexpr int64_t kStep = 15'000;

struct Fixture {
  RecordingAppender appender;
  PageShapes shapes;
  ScrapeConfig config;
  std::unique_ptr<ScrapeRecorder> recorder;
  model::Timestamp now = 1'000'000;
  std::string error;

  void Open(model::Labels labels = model::Labels::FromPairs({{"instance", "i"}, {"job", "j"}})) {
    auto target = std::make_shared<Target>();
    target->job = "j";
    target->labels = std::move(labels);
    target->url = "http://i/metrics";
    target->scrape_timeout_ms = 10'000;
    recorder = std::make_unique<ScrapeRecorder>(&config, target, &appender, &shapes);
  }

  // Scrapes `page`, arriving `step` bytes at a time; true when it was kept.
  bool Scrape(std::string_view page, size_t step = SIZE_MAX,
              ExpositionFormat format = ExpositionFormat::kText) {
    if (recorder == nullptr) Open();
    now += kStep;
    error.clear();
    Status status = recorder->Begin(now, format);
    size_t position = 0;
    size_t visible = std::min(step, page.size());
    while (status.ok()) {
      const bool last = visible == page.size();
      const auto used = recorder->Feed(page.substr(position, visible - position), last);
      if (!used) {
        status = used.error();
        break;
      }
      position += *used;
      if (last) break;
      visible += std::min(step, page.size() - visible);
    }
    if (!status.ok()) {
      error = status.message();
      (void)recorder->Fail(now, 0.5, 10);
      return false;
    }
    outcome = recorder->Commit(0.5, static_cast<int64_t>(page.size()));
    return outcome.status.ok();
  }

  double Last(const std::string& name) const {
    return appender.Last(name + "{instance=\"i\", job=\"j\"}");
  }
  bool StaleAtEnd(const std::string& series) const { return model::IsStale(appender.Last(series)); }
  RecordOutcome outcome;
};

BOOST_FIXTURE_TEST_CASE(SamplesAndAutomaticSeriesStandInOneRow, Fixture) {
  BOOST_TEST(Scrape("# TYPE a counter\na 1\nb{x=\"y\"} 2.5\n"));
  BOOST_TEST(appender.batches() == 1u);
  BOOST_TEST(Last("a") == 1);
  BOOST_TEST(appender.Last(R"(b{instance="i", job="j", x="y"})") == 2.5);
  BOOST_TEST(Last("up") == 1);
  BOOST_TEST(Last("scrape_duration_seconds") == 0.5);
  BOOST_TEST(Last("scrape_samples_scraped") == 2);
  BOOST_TEST(Last("scrape_samples_post_metric_relabeling") == 2);
  BOOST_TEST(Last("scrape_series_added") == 2);
  for (const auto& [name, samples] : appender.Series()) {
    BOOST_TEST(samples[0].timestamp_ms == now);
  }
  BOOST_TEST(Scrape("# TYPE a counter\na 3\nb{x=\"y\"} 4\n"));
  BOOST_TEST(Last("a") == 3);
  BOOST_TEST(Last("scrape_series_added") == 0);
}

BOOST_FIXTURE_TEST_CASE(ArrivalInPiecesChangesNothing, Fixture) {
  const std::string pages[] = {
      "# HELP a some help\n# TYPE a gauge\na{l=\"1\"} 1\na{l=\"2\"} 22\n# trailing\n",
      "# HELP a some help\n# TYPE a gauge\na{l=\"1\"} 3\na{l=\"2\"} 44\n# trailing\n",
      "# HELP a some help\n# TYPE a gauge\na{l=\"0\"} 7\na{l=\"2\"} 55\n",
      "# HELP a other help\n# TYPE a gauge\na{l=\"2\"} 66\na{l=\"0\"} 8\n# trailing"};
  for (const size_t step : {size_t{1}, size_t{2}, size_t{3}, size_t{7}, size_t{1000}}) {
    BOOST_TEST_CONTEXT("step " << step) {
      Fixture f;
      for (const std::string& page : pages) BOOST_TEST(f.Scrape(page, step));
      const auto of = [&](const char* l) {
        return f.appender.Of(std::string("a{instance=\"i\", job=\"j\", l=\"") + l + "\"}");
      };
      BOOST_TEST(of("0").size() == 2u);
      BOOST_TEST(of("1").size() == 3u);  // 1, 3, stale
      BOOST_TEST(model::IsStale(of("1")[2].value));
      BOOST_TEST(of("2").size() == 4u);
      BOOST_TEST(of("2")[3].value == 66);
    }
  }
}

BOOST_FIXTURE_TEST_CASE(SeriesThatVanishEndWithAMarkerOnce, Fixture) {
  BOOST_TEST(Scrape("a 1\nb 2\nc 3\n"));
  const size_t slots = appender.live_slots();
  BOOST_TEST(Scrape("a 1\nc 3\n"));
  BOOST_TEST(StaleAtEnd(R"(b{instance="i", job="j"})"));
  BOOST_TEST(appender.live_slots() == slots - 1);
  BOOST_TEST(Scrape("a 1\nc 3\n"));
  BOOST_TEST(appender.Of(R"(b{instance="i", job="j"})").size() == 2u);
  BOOST_TEST(Scrape("a 1\nb 5\nc 3\n"));
  BOOST_TEST(Last("b") == 5);
  BOOST_TEST(Last("scrape_series_added") == 1);
  BOOST_TEST(Scrape(""));
  for (const char* name : {"a", "b", "c"}) {
    BOOST_TEST(StaleAtEnd(std::string(name) + R"({instance="i", job="j"})"));
  }
  BOOST_TEST(Last("up") == 1);
}

BOOST_FIXTURE_TEST_CASE(ARefusedPageLeavesMarkersAndUpZero, Fixture) {
  BOOST_TEST(Scrape("a 1\nb 2\n"));
  const size_t slots = appender.live_slots();
  BOOST_TEST(!Scrape("a 5\nnew 1\nb x\n"));
  BOOST_TEST(error == "strconv.ParseFloat: parsing \"x\": invalid syntax while parsing: \"b x\"");
  BOOST_TEST(appender.live_slots() == slots);
  BOOST_TEST(Last("up") == 0);
  BOOST_TEST(Last("scrape_samples_scraped") == 2);
  BOOST_TEST(StaleAtEnd(R"(a{instance="i", job="j"})"));
  BOOST_TEST(appender.Of(R"(a{instance="i", job="j"})").size() == 2u);
  BOOST_TEST(appender.Of(R"(new{instance="i", job="j"})").empty());
  (void)recorder->Fail(now += kStep, 0.1, 0);  // no answer at all
  BOOST_TEST(appender.Of(R"(a{instance="i", job="j"})").size() == 2u);
  BOOST_TEST(Last("scrape_samples_scraped") == 0);
  BOOST_TEST(Scrape("a 1\nb 2\n"));
  BOOST_TEST(Last("a") == 1);
  BOOST_TEST(Last("up") == 1);
  BOOST_TEST(Last("scrape_series_added") == 0);
}

BOOST_FIXTURE_TEST_CASE(TheEndOfATargetMarksEverything, Fixture) {
  BOOST_TEST(Scrape("a 1\n"));
  recorder->End(now += kStep);
  for (const auto& [name, samples] : appender.Series()) {
    BOOST_TEST_CONTEXT(name) { BOOST_TEST(model::IsStale(samples.back().value)); }
  }
}

BOOST_FIXTURE_TEST_CASE(TargetLabelsWinAndOwnOnesAreExported, Fixture) {
  BOOST_TEST(Scrape("a{job=\"x\",exported_job=\"y\"} 1\n"));
  BOOST_TEST(appender.Last(
                 R"(a{exported_exported_job="x", exported_job="y", instance="i", job="j"})") == 1);
  BOOST_TEST(appender.SourceTexts().size() == 1u);
}

BOOST_FIXTURE_TEST_CASE(HonoredLabelsGoToDerivedSources, Fixture) {
  config.honor_labels = true;
  BOOST_TEST(
      Scrape("own 1\na{job=\"x\",instance=\"1\"} 2\na{job=\"x\",instance=\"2\"} 3\n"
             "b{job=\"x\",instance=\"1\"} 4\nc{instance=\"\"} 5\n"));
  const std::vector<std::string> want = {R"({instance="1", job="x"})", R"({instance="2", job="x"})",
                                         R"({instance="i", job="j"})", R"({job="j"})"};
  BOOST_TEST(appender.SourceTexts() == want, boost::test_tools::per_element());
  BOOST_TEST(appender.Last(R"(a{instance="2", job="x"})") == 3);
  BOOST_TEST(appender.Last(R"(c{job="j"})") == 5);
  BOOST_TEST(appender.batches() == 1u);
  BOOST_TEST(Scrape("own 1\na{job=\"x\",instance=\"1\"} 6\nb{job=\"x\",instance=\"1\"} 7\n"));
  BOOST_TEST(appender.Last(R"(a{instance="1", job="x"})") == 6);
  BOOST_TEST(StaleAtEnd(R"(a{instance="2", job="x"})"));
  BOOST_TEST(StaleAtEnd(R"(c{job="j"})"));
}

model::RelabelRule Rule(model::RelabelConfig c) { return *model::RelabelRule::Create(c); }

BOOST_FIXTURE_TEST_CASE(MetricRelabellingDropsRenamesAndMoves, Fixture) {
  model::RelabelConfig drop;
  drop.action = model::RelabelAction::kDrop;
  drop.source_labels = {"__name__"};
  drop.regex = "gone.*";
  model::RelabelConfig region;
  region.source_labels = {"zone"};
  region.regex = "(.+)-.";
  region.target_label = "job";
  config.metric_relabel_configs = {Rule(drop), Rule(region)};
  for (int i = 0; i < 2; ++i) {
    BOOST_TEST(Scrape("gone_a 1\na 2\nb{zone=\"eu-1\"} 3\n"));
    BOOST_TEST(Last("scrape_samples_scraped") == 3);
    BOOST_TEST(Last("scrape_samples_post_metric_relabeling") == 2);
    BOOST_TEST(appender.Last(R"(b{instance="i", job="eu", zone="eu-1"})") == 3);
    BOOST_TEST(Last("up") == 1);  // automatic series are not relabelled
  }
  BOOST_TEST(appender.Of(R"(gone_a{instance="i", job="j"})").empty());
}

BOOST_FIXTURE_TEST_CASE(OwnTimestampsAreKeptAndNotTracked, Fixture) {
  BOOST_TEST(Scrape("a 1 500\nb 2\n"));
  BOOST_TEST((appender.Of(R"(a{instance="i", job="j"})")[0] == RecordedSample{500, 1}));
  BOOST_TEST(Scrape("b 2\n"));
  BOOST_TEST(!StaleAtEnd(R"(a{instance="i", job="j"})"));

  Fixture ignoring;
  ignoring.config.honor_timestamps = false;
  BOOST_TEST(ignoring.Scrape("a 1 500\n"));
  BOOST_TEST(ignoring.appender.Of(R"(a{instance="i", job="j"})")[0].timestamp_ms == ignoring.now);

  Fixture tracking;
  tracking.config.track_timestamps_staleness = true;
  BOOST_TEST(tracking.Scrape("a 1 500\n"));
  BOOST_TEST(tracking.Scrape(""));
  BOOST_TEST(tracking.StaleAtEnd(R"(a{instance="i", job="j"})"));
}

BOOST_FIXTURE_TEST_CASE(ASeriesTwiceInAPageCountsOnce, Fixture) {
  for (int i = 0; i < 3; ++i) {
    BOOST_TEST(Scrape("a 1\na 2\nb 1 100\nb 2 200\nb 3 100\nup 7\n"));
    BOOST_TEST(outcome.duplicates == 2u);
  }
  BOOST_TEST(Last("a") == 1);
  BOOST_TEST(appender.Of(R"(a{instance="i", job="j"})").size() == 3u);
  BOOST_TEST(appender.Of(R"(b{instance="i", job="j"})").size() == 6u);
  BOOST_TEST(Last("up") == 7);  // the page's own word comes first, as in Prometheus
  BOOST_TEST(Scrape("a 1\n"));
  BOOST_TEST(Last("up") == 1);
}

BOOST_FIXTURE_TEST_CASE(LimitsRefuseThePage, Fixture) {
  struct Case {
    const char* page;
    const char* want;
  };
  config.sample_limit = 2;
  config.label_limit = 4;
  config.label_name_length_limit = 12;
  config.label_value_length_limit = 10;
  BOOST_TEST(Scrape("a 1\nb 2\n"));
  BOOST_TEST(!Scrape("a 1\nb 2\nc 3\nd 4\n"));
  BOOST_TEST(error == "sample limit exceeded");
  BOOST_TEST(Last("scrape_samples_scraped") == 4);
  BOOST_TEST(Last("scrape_samples_post_metric_relabeling") == 4);
  const Case cases[] = {
      {"a{b=\"1\",c=\"2\"} 1\n", "label_limit exceeded (metric: a, number of labels: 5, limit: 4)"},
      {"a{bbbbbbbbbbbbb=\"1\"} 1\n",
       "label_name_length_limit exceeded (metric: a, label name: bbbbbbbbbbbbb, length: 13, "
       "limit: 12)"},
      {"a{b=\"12345678901\"} 1\n",
       "label_value_length_limit exceeded (metric: a, label name: b, value: \"12345678901\", "
       "length: 11, limit: 10)"},
      {"a{b=\"1\",b=\"2\"} 1\n", "label name \"b\" is not unique: invalid sample"},
  };
  for (const Case& c : cases) {
    BOOST_TEST(!Scrape(c.page));
    BOOST_TEST(error == c.want);
  }
}

BOOST_FIXTURE_TEST_CASE(StorageOverItsLimitLosesOnlyNewSeries, Fixture) {
  appender.series_max = 7;  // five automatic ones, and two
  for (int i = 0; i < 2; ++i) {
    BOOST_TEST(Scrape("a 1\nb 2\nc 3\n"));
    BOOST_TEST(outcome.over_limit == 1u);
    BOOST_TEST(Last("scrape_samples_post_metric_relabeling") == 3);
  }
  appender.series_max = 8;
  BOOST_TEST(Scrape("a 1\nb 2\nc 4\n"));
  BOOST_TEST(outcome.over_limit == 0u);
  BOOST_TEST(Last("c") == 4);
  BOOST_TEST(Scrape("a 1\nb 2\nc 5\n"));
  BOOST_TEST(Last("c") == 5);
}

BOOST_FIXTURE_TEST_CASE(BoundsOfHistogramsAndSummariesAreNormalised, Fixture) {
  const char* const pages[] = {
      "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\n"
      "# TYPE s summary\ns{quantile=\"1\"} 3\ns{le=\"1\"} 9\n# TYPE g gauge\ng{le=\"1\"} 4\n",
      // A line in front; the rest is known, but only valid under its TYPE.
      "new 1\n# TYPE h histogram\nh_bucket{le=\"1\"} 5\nh_bucket{le=\"+Inf\"} 6\n"
      "# TYPE s summary\ns{quantile=\"1\"} 7\ns{le=\"1\"} 9\n# TYPE g gauge\ng{le=\"1\"} 8\n",
      // h is no histogram any more.
      "# TYPE h gauge\nh_bucket{le=\"1\"} 9\nh_bucket{le=\"+Inf\"} 10\n"};
  for (const char* page : pages) BOOST_TEST(Scrape(page));
  BOOST_TEST(appender.Of(R"(h_bucket{instance="i", job="j", le="1.0"})").size() == 3u);
  BOOST_TEST(appender.Of(R"(h_bucket{instance="i", job="j", le="1"})").size() == 1u);
  BOOST_TEST(appender.Of(R"(s{instance="i", job="j", quantile="1.0"})").size() == 3u);
  BOOST_TEST(appender.Of(R"(s{instance="i", job="j", le="1"})").size() == 3u);
  BOOST_TEST(appender.Of(R"(g{instance="i", job="j", le="1"})").size() == 3u);
}

BOOST_FIXTURE_TEST_CASE(OpenMetricsNeedsItsEndAndBringsExemplars, Fixture) {
  const auto om = ExpositionFormat::kOpenMetrics;
  for (int i = 0; i < 2; ++i) {
    BOOST_TEST(Scrape("a_total 1 # {t=\"x\"} 0.5 3\n# EOF\n", 5, om));
  }
  BOOST_TEST(appender.Exemplars().size() == 2u);
  BOOST_TEST(appender.Exemplars()[1].timestamp_ms == 3000);
  BOOST_TEST(!Scrape("a_total 1\n", SIZE_MAX, om));
  BOOST_TEST(error == "data does not end with # EOF");
  BOOST_TEST(!Scrape("a_total 1\n# EOF\nb 1\n", SIZE_MAX, om));
  BOOST_TEST(error == "unexpected data after # EOF");
  BOOST_TEST(Scrape("a_total 2\n", SIZE_MAX, ExpositionFormat::kText));
  BOOST_TEST(Last("a_total") == 2);
}

BOOST_FIXTURE_TEST_CASE(MetadataIsReadFromTheShape, Fixture) {
  BOOST_TEST(Scrape("# HELP a line\\nbreak\n# TYPE a counter\na 1\n# TYPE b gauge\n"));
  const auto families = MetadataOf(*recorder->shape());
  BOOST_REQUIRE(families.size() == 2u);
  BOOST_TEST(families[0].metric == "a");
  BOOST_TEST(families[0].help == "line\nbreak");
  BOOST_TEST(families[0].type == "counter");
  BOOST_TEST(families[1].metric == "b");
  BOOST_TEST(families[1].type == "gauge");
}

BOOST_FIXTURE_TEST_CASE(TargetsOfOneKindShareTheirShape, Fixture) {
  BOOST_TEST(Scrape("a 1\nb 2\n"));
  Fixture other;
  other.recorder = nullptr;
  auto target = std::make_shared<Target>();
  target->labels = model::Labels::FromPairs({{"instance", "k"}});
  ScrapeRecorder second(&config, target, &appender, &shapes);
  BOOST_TEST(second.Begin(now, ExpositionFormat::kText).ok());
  BOOST_TEST(second.Feed("a 7\nb 8\n", true).has_value());
  BOOST_TEST(second.Commit(0, 0).status.ok());
  BOOST_TEST(second.shape().get() == recorder->shape().get());
}

BOOST_FIXTURE_TEST_CASE(ALineWithoutEndIsRefused, Fixture) {
  Open();
  BOOST_TEST(recorder->Begin(now, ExpositionFormat::kText).ok());
  const std::string endless(ScrapeRecorder::kItemBytesMax + 1, 'a');
  const auto used = recorder->Feed(endless, false);
  BOOST_REQUIRE(!used.has_value());
  BOOST_TEST(used.error().message() == "a line is longer than 1048576 bytes");
  (void)recorder->Fail(now, 0, 0);
  BOOST_TEST(Last("up") == 0);
}

BOOST_FIXTURE_TEST_CASE(ASuccessorEndsWhatItDoesNotTakeOver, Fixture) {
  config.honor_labels = true;
  BOOST_TEST(Scrape("a 1\nb 2\nc{job=\"x\"} 3\nd 4 7\n"));
  const size_t slots = appender.live_slots();
  auto series = recorder->TakeSeries();
  Open();
  recorder->Inherit(series);
  BOOST_TEST(Scrape("a 5\n"));
  BOOST_TEST(Last("a") == 5);
  BOOST_TEST(StaleAtEnd(R"(b{instance="i", job="j"})"));
  BOOST_TEST(StaleAtEnd(R"(c{instance="i", job="x"})"));
  BOOST_TEST(!StaleAtEnd(R"(d{instance="i", job="j"})"));
  BOOST_TEST(appender.live_slots() == slots - 3);

  series = recorder->TakeSeries();
  Open();
  recorder->Inherit(series);
  (void)recorder->Fail(now += kStep, 0, 0);
  BOOST_TEST(StaleAtEnd(R"(a{instance="i", job="j"})"));
  BOOST_TEST(Scrape("a 6\n"));
  BOOST_TEST(appender.Of(R"(a{instance="i", job="j"})").size() == 4u);
}

BOOST_FIXTURE_TEST_CASE(AnyBytesGetOneVerdictHoweverTheyArrive, Fixture) {
  const std::string seeds[] = {
      "# HELP a h\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 2\na_sum 3\nb 4 "
      "5\n",
      "# TYPE a counter\n# UNIT a_s s\na_total{x=\"\\\"y\"} 1 1.5 # {t=\"u\"} 0.5 "
      "2\n{\"q.r\",l=\"m\"} 2\n# "
      "EOF\n"};
  std::mt19937 random(20261124);
  const std::string_view bytes = "{}\",=# \n\\aE019.+-e\xff\x00N";
  for (int i = 0; i < 3000; ++i) {
    std::string page = seeds[i % 2];
    const auto format = i % 2 == 0 ? ExpositionFormat::kText : ExpositionFormat::kOpenMetrics;
    for (unsigned k = random() % 4; k > 0; --k) {
      page[random() % page.size()] = bytes[random() % bytes.size()];
    }
    if (random() % 4 == 0) page.resize(random() % page.size());
    BOOST_TEST_CONTEXT(model::QuoteString(page)) {
      Fixture whole;
      const bool good = whole.Scrape(page, SIZE_MAX, format);
      const uint64_t samples = whole.recorder->samples_scraped();
      for (const size_t step : {size_t{1}, size_t{5}}) {
        // Unknown lines at first, then known ones.
        Fixture pieces;
        for (int again = 0; again < 2; ++again) {
          BOOST_REQUIRE(pieces.Scrape(page, step, format) == good);
          if (good) BOOST_REQUIRE(pieces.recorder->samples_scraped() == samples);
        }
      }
    }
  }
}

BOOST_FIXTURE_TEST_CASE(RefusalsOfStorageAreCountedByReason, Fixture) {
  appender.refuse[R"(a{instance="i", job="j"})"] = model::AppendOutcome::kTooOld;
  BOOST_TEST(Scrape("a 1\nb 2\n"));
  BOOST_TEST(outcome.too_old == 1u);
  BOOST_TEST(Last("b") == 2);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::collector
