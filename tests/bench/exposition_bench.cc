// From page bytes to slots, per sample (items_per_second; ns a sample = CPU time / samples):
//   Parse         every line parsed, nothing remembered (the first scrape without storage)
//   FirstScrape   parsed, relabelled, resolved to new series
//   KnownPage     the line memo at work: a page whose values changed
//   Inserted      the same with one new line in front each time: every line is looked up anew
//   KnownIntoDatabase   KnownPage with the real store behind it
// Pages are synthetic: 1,000 series of 20 families in the manner of node_exporter, values by a
// fixed seed, a third of them integers, a third short decimals, a third full doubles.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "base/env.h"
#include "collector/scrape_recorder.h"
#include "tests/bench/null_appender.h"
#include "tsdb/database.h"

namespace tocsin::collector {
namespace {

constexpr int kSeries = 1000;

std::string MakePage(std::mt19937_64& random) {
  std::string page;
  char line[256];
  for (int i = 0; i < kSeries; ++i) {
    const int family = i / 50;
    if (i % 50 == 0) {
      std::snprintf(line, sizeof line,
                    "# HELP node_subsystem%d_seconds_total Seconds spent in each mode.\n"
                    "# TYPE node_subsystem%d_seconds_total counter\n",
                    family, family);
      page += line;
    }
    std::snprintf(line, sizeof line,
                  "node_subsystem%d_seconds_total{cpu=\"%d\",device=\"eth%d\",mode=\"idle\"} ",
                  family, i % 50, i % 7);
    page += line;
    const double value = static_cast<double>(random() % 1'000'000'000);
    const char* const formats[] = {"%.0f\n", "%.2f\n", "%.17g\n"};
    std::snprintf(line, sizeof line, formats[i % 3], i % 3 == 0 ? value : value / 977);
    page += line;
  }
  return page;
}

struct Setup {
  Setup() {
    std::mt19937_64 random(20261124);
    for (int i = 0; i < 16; ++i) pages.push_back(MakePage(random));
    auto made = std::make_shared<Target>();
    made->job = "node";
    made->labels = model::Labels::FromPairs({{"instance", "host:9100"}, {"job", "node"}});
    target = made;
  }
  const std::string& Page(size_t i) const { return pages[i % pages.size()]; }

  std::vector<std::string> pages;
  ScrapeConfig config;
  PageShapes shapes;
  std::shared_ptr<const Target> target;
};

void Scrape(ScrapeRecorder& recorder, model::Timestamp now_ms, std::string_view page) {
  if (!recorder.Begin(now_ms, ExpositionFormat::kText).ok() || !recorder.Feed(page, true) ||
      !recorder.Commit(0.01, static_cast<int64_t>(page.size())).status.ok()) {
    std::abort();
  }
}

void Count(benchmark::State& state, const Setup& setup) {
  state.SetItemsProcessed(state.iterations() * kSeries);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(setup.pages[0].size()));
}

void Parse(benchmark::State& state) {
  const Setup setup;
  Item item;
  size_t i = 0;
  for (auto _ : state) {
    std::string_view page = setup.Page(i++);
    while (!page.empty()) {
      benchmark::DoNotOptimize(ReadItem(ExpositionFormat::kText, page, true, &item));
      page.remove_prefix(item.length);
    }
  }
  Count(state, setup);
}
BENCHMARK(Parse);

void FirstScrape(benchmark::State& state) {
  Setup setup;
  testing::NullAppender appender;
  size_t i = 0;
  for (auto _ : state) {
    ScrapeRecorder recorder(&setup.config, setup.target, &appender, &setup.shapes);
    Scrape(recorder, 1000, setup.Page(i++));
  }
  Count(state, setup);
}
BENCHMARK(FirstScrape);

void KnownPage(benchmark::State& state) {
  Setup setup;
  testing::NullAppender appender;
  ScrapeRecorder recorder(&setup.config, setup.target, &appender, &setup.shapes);
  model::Timestamp now_ms = 0;
  size_t i = 0;
  Scrape(recorder, 1, setup.Page(0));
  for (auto _ : state) Scrape(recorder, now_ms += 15'000, setup.Page(i++));
  Count(state, setup);
}
BENCHMARK(KnownPage);

void Inserted(benchmark::State& state) {
  Setup setup;
  testing::NullAppender appender;
  ScrapeRecorder recorder(&setup.config, setup.target, &appender, &setup.shapes);
  model::Timestamp now_ms = 0;
  size_t i = 0;
  for (auto _ : state) {
    Scrape(recorder, now_ms += 15'000, "new_" + std::to_string(i % 1000) + " 1\n" + setup.Page(i));
    ++i;
  }
  Count(state, setup);
}
BENCHMARK(Inserted);

void KnownIntoDatabase(benchmark::State& state) {
  Setup setup;
  char dir[] = "/tmp/tocsin-exposition-bench-XXXXXX";
  if (mkdtemp(dir) == nullptr) std::abort();
  tsdb::DatabaseOptions options;
  options.dir = dir;
  auto database = tsdb::Database::Open(options);
  if (!database) std::abort();
  {
    ScrapeRecorder recorder(&setup.config, setup.target, database->get(), &setup.shapes);
    model::Timestamp now_ms = Env::Default().NowMs() - int64_t{100} * 24 * 3600 * 1000;
    size_t i = 0;
    Scrape(recorder, now_ms, setup.Page(0));
    for (auto _ : state) Scrape(recorder, now_ms += 1000, setup.Page(i++));
  }
  Count(state, setup);
  (void)(*database)->Close();
  database->reset();
  (void)Env::Default().RemoveTree(dir);
}
BENCHMARK(KnownIntoDatabase)->Iterations(3000);

}  // namespace
}  // namespace tocsin::collector
