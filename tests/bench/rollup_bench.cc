// Column facts and rollups: their bytes beside the raw samples', and queries over 30 days with and
// without them, on one core.
//
// Data: 2 targets × 100 series × 30 days of a sample each 15 s (35 M samples), jittered by
// ±2 ms: 60 constants, 15 counters of whole numbers, 5 of hundredths (CPU seconds), 12 gauges in
// pages of 4 KiB, 5 temperatures in tenths, 3 flags. Bytes are printed first, one JSON line a file
// kind; then each query, of floats and, from a store of 2 targets × 4 native histograms of a dozen
// buckets each 15 s, of histograms: `raw` reads samples, `facts` what the rules of TSDB.md 6.11
// allow.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <memory>
#include <random>
#include <string>

#include "base/log.h"
#include "base/mem_env.h"
#include "query/engine.h"
#include "tests/support/samples_only.h"
#include "tsdb/database.h"

namespace tocsin {
namespace {

constexpr int kTargets = 2;
constexpr int kSeries = 100;
constexpr int kHistograms = 4;
constexpr int64_t kDayMs = 86'400'000;
constexpr int64_t kDays = 30;
constexpr int64_t kIntervalMs = 15'000;
constexpr int64_t kHourMs = 3'600'000;
constexpr model::Timestamp kStart = MemEnv::kStartMs / kDayMs * kDayMs;
constexpr model::Timestamp kEnd = kStart + kDays * kDayMs;

const char* NameOf(int i) {
  if (i < 60) return "constant";
  if (i < 75) return "requests_total";
  if (i < 80) return "cpu_seconds_total";
  if (i < 92) return "memory_bytes";
  return i < 97 ? "temperature" : "up";
}

struct Store {
  MemEnv env;
  std::unique_ptr<tsdb::Database> database;
  query::Engine engine{[] {
    query::EngineOptions one_thread;
    one_thread.threads = 1;
    one_thread.max_samples = int64_t{1} << 40;
    one_thread.timeout_ms = 600'000;
    return one_thread;
  }()};
};

struct Target {
  std::unique_ptr<model::SourceWriter> writer;
  std::vector<model::Slot> slots;
  std::vector<double> values;
};

double Next(int i, double value, std::mt19937_64& random) {
  const auto any = [&random](uint64_t below) { return static_cast<double>(random() % below); };
  if (i < 60) return i;
  if (i < 75) return value + (random() % 3 == 0 ? any(50) : 0);
  if (i < 80) return value + any(1500) / 100;
  if (i < 92) return random() % 4 == 0 ? 4096 * (10'000 + any(200)) : value;
  if (i < 97) return random() % 8 == 0 ? 20 + any(100) / 10 : value;
  return random() % 2000 == 0 ? 0 : 1;
}

std::vector<Target> MakeTargets(tsdb::Database& database) {
  std::vector<Target> targets(kTargets);
  for (int t = 0; t < kTargets; ++t) {
    const std::string instance = "10.0.0." + std::to_string(t) + ":9100";
    targets[t].writer =
        *database.OpenSource({model::OriginKind::kScrape, instance},
                             model::Labels::FromPairs({{"instance", instance}, {"job", "node"}}));
    for (int i = 0; i < kSeries; ++i) {
      targets[t].slots.push_back(*targets[t].writer->AddSlot(
          model::Labels::FromPairs({{"__name__", NameOf(i)}, {"n", std::to_string(i)}})));
      targets[t].values.push_back(0);
    }
  }
  return targets;
}

void PrintShares(Store& store, const char* kind, double samples) {
  uint64_t by_bucket[2] = {};
  const auto names = store.env.ListDir("/bench/rollups");
  for (const std::string& name : *names)
    by_bucket[name.starts_with("1h") ? 1 : 0] += store.env.Stat("/bench/rollups/" + name)->size;
  const auto raw = static_cast<double>(store.database->sizes().segment_bytes);
  std::printf(R"({"%s":%.0f,"raw_bytes":%.0f,"raw_bytes_each":%.4f,)"
              R"("rollup_5m_share":%.4f,"rollup_1h_share":%.4f})"
              "\n",
              kind, samples, raw, raw / samples, static_cast<double>(by_bucket[0]) / raw,
              static_cast<double>(by_bucket[1]) / raw);
}

std::unique_ptr<Store> MakeStore() {
  auto made = std::make_unique<Store>();
  tsdb::DatabaseOptions options;
  options.dir = "/bench";
  options.env = &made->env;
  options.background = false;
  options.wal = false;
  options.policy.retention_ms = 0;
  options.policy.rollups = {{5 * 60'000, 0}, {kHourMs, 0}};
  made->database = *tsdb::Database::Open(options);
  return made;
}

Store& TheStore() {
  static Store* const store = [] {
    ConfigureLog(LogLevel::kWarn, LogFormat::kLogfmt);
    Store* made = MakeStore().release();
    std::vector<Target> targets = MakeTargets(*made->database);
    std::mt19937_64 random(1);
    for (model::Timestamp t = kStart; t < kEnd; t += kIntervalMs) {
      made->env.AdvanceMs(t + kIntervalMs - made->env.NowMs());
      for (Target& target : targets) {
        auto batch = made->database->NewBatch();
        batch->BeginRow(*target.writer, t + static_cast<int64_t>(random() % 5),
                        model::RowKind::kFull);
        for (int i = 0; i < kSeries; ++i) {
          target.values[i] = Next(i, target.values[i], random);
          batch->Set(target.slots[i], target.values[i]);
        }
        batch->Commit({}).status.ok();
      }
      if ((t + kIntervalMs - kStart) % (kDayMs / 4) == 0)
        made->database->Seal({model::kMinTimestamp, t}).ok();
      if ((t + kIntervalMs - kStart) % kDayMs == 0) made->database->Compact().ok();
    }
    PrintShares(*made, "samples",
                static_cast<double>(kTargets) * kSeries * (kEnd - kStart) / kIntervalMs);
    return made;
  }();
  return *store;
}

Store& HistogramStore() {
  static Store* const store = [] {
    Store* made = MakeStore().release();
    std::vector<Target> targets(kTargets);
    std::vector<std::vector<model::Histogram>> values(kTargets);
    for (int t = 0; t < kTargets; ++t) {
      const std::string instance = "10.0.0." + std::to_string(t) + ":9100";
      targets[t].writer = *made->database->OpenSource(
          {model::OriginKind::kScrape, instance},
          model::Labels::FromPairs({{"instance", instance}, {"job", "node"}}));
      for (int i = 0; i < kHistograms; ++i) {
        targets[t].slots.push_back(*targets[t].writer->AddSlot(
            model::Labels::FromPairs({{"__name__", "latency"}, {"n", std::to_string(i)}})));
        model::Histogram& h = values[t].emplace_back();
        h.integer = true;
        h.schema = 3;
        h.zero_threshold = 1e-128;
        h.positive_spans = {{-20, 6}, {2, 6}};
        h.positive_buckets.assign(12, 0);
      }
    }
    std::mt19937_64 random(1);
    for (model::Timestamp t = kStart; t < kEnd; t += kIntervalMs) {
      made->env.AdvanceMs(t + kIntervalMs - made->env.NowMs());
      for (int n = 0; n < kTargets; ++n) {
        auto batch = made->database->NewBatch();
        batch->BeginRow(*targets[n].writer, t + static_cast<int64_t>(random() % 5),
                        model::RowKind::kFull);
        for (int i = 0; i < kHistograms; ++i) {
          model::Histogram& h = values[n][i];
          for (uint64_t seen = random() % 20; seen > 0; --seen) {
            const uint64_t bucket = (random() % 12 + random() % 12) / 2;
            h.positive_buckets[bucket] += 1;
            h.count += 1;
            h.sum += static_cast<double>(random() % 1000) / 1000;
          }
          batch->SetHistogram(targets[n].slots[i], h);
        }
        batch->Commit({}).status.ok();
      }
      if ((t + kIntervalMs - kStart) % (kDayMs / 4) == 0)
        made->database->Seal({model::kMinTimestamp, t}).ok();
      if ((t + kIntervalMs - kStart) % kDayMs == 0) made->database->Compact().ok();
    }
    PrintShares(*made, "histograms",
                static_cast<double>(kTargets) * kHistograms * (kEnd - kStart) / kIntervalMs);
    return made;
  }();
  return *store;
}

void Query(benchmark::State& state, const std::string& text, int64_t step_ms, bool facts) {
  Store& store = text.find("latency") != std::string::npos ? HistogramStore() : TheStore();
  const SamplesOnly samples(*store.database);
  const model::Queryable& asked =
      facts ? static_cast<const model::Queryable&>(*store.database) : samples;
  std::string resolution;
  for (auto _ : state) {
    const auto result = step_ms == 0
                            ? store.engine.Instant(asked, text, kEnd, {})
                            : store.engine.Range(asked, text, kStart + kDayMs, kEnd, step_ms, {});
    if (!result) return state.SkipWithError(result.error().ToString().c_str());
    resolution = result->stats.resolution;
    state.counters["samples_read"] = static_cast<double>(result->stats.samples_read);
  }
  state.SetLabel(resolution);
}

void Register() {
  const struct {
    const char* text;
    int64_t step_ms;
  } kQueries[] = {
      {"sum by (instance) (rate(requests_total[2h]))", kHourMs},
      {"sum by (instance) (rate(cpu_seconds_total[2h]))", kHourMs},
      {"max by (instance) (max_over_time(memory_bytes[1d]))", kHourMs},
      {"avg_over_time(temperature[6h])", kHourMs},
      {"sum(requests_total)", kHourMs},
      {"sum(increase(requests_total[1h]))", kHourMs},
      {"max(max_over_time(memory_bytes[28d]))", 0},
      {"count(count_over_time({__name__=\"constant\"}[28d]))", 0},
      {"histogram_quantile(0.9, sum(rate(latency[2h])))", kHourMs},
      {"histogram_count(sum(increase(latency[1d])))", kHourMs},
  };
  for (const auto& query : kQueries) {
    for (const bool facts : {false, true}) {
      benchmark::RegisterBenchmark(
          (std::string(query.text) + (facts ? "/facts" : "/raw")).c_str(),
          [text = std::string(query.text), step_ms = query.step_ms,
           facts](benchmark::State& state) { Query(state, text, step_ms, facts); })
          ->Unit(benchmark::kMillisecond)
          ->Iterations(facts ? 10 : 2);
    }
  }
}

}  // namespace
}  // namespace tocsin

int main(int argc, char** argv) {
  tocsin::Register();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
