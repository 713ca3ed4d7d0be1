// The engine on one core (EngineOptions::threads = 1). Data: 100 targets × 16 CPUs × 8 modes =
// 12,800 counters × 240 samples, 15 s apart, as node_cpu_seconds_total; three of the eight modes
// stand still. Each workload runs over three stores:
//
//   fake     columns are views of vectors: the engine alone
//   head     the database, everything in open frames
//   sealed   the database, everything in segments
//
// `ns_per_sample` is CPU time by stored sample that the query looks at.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

#include "base/log.h"
#include "base/mem_env.h"
#include "query/engine.h"
#include "tests/support/fake_queryable.h"
#include "tsdb/database.h"

namespace tocsin {
namespace {

constexpr int kTargets = 100;
constexpr int kCpus = 16;
constexpr const char* kModes[] = {"user",   "system", "idle",    "nice",
                                  "iowait", "irq",    "softirq", "steal"};
constexpr int kModeCount = 8;
constexpr int kSeriesPerTarget = kCpus * kModeCount;
constexpr int64_t kSamples = 240;
constexpr int64_t kStepMs = 15'000;
constexpr model::Timestamp kStart = MemEnv::kStartMs;
constexpr model::Timestamp kEnd = kStart + (kSamples - 1) * kStepMs;

model::Labels KeyOf(int i) {
  return model::Labels::FromPairs({{"__name__", "node_cpu_seconds_total"},
                                   {"cpu", std::to_string(i / kModeCount)},
                                   {"mode", kModes[i % kModeCount]}});
}

model::Labels TargetOf(int target) {
  return model::Labels::FromPairs(
      {{"instance", "10.0.0." + std::to_string(target) + ":9100"}, {"job", "node"}});
}

// Values of all series of a target at one time after another.
class Counters {
 public:
  explicit Counters(int target)
      : random_(static_cast<uint64_t>(target)), values_(kSeriesPerTarget) {}
  const std::vector<double>& Next() {
    for (size_t i = 0; i < values_.size(); ++i) {
      if (i % kModeCount >= 5) continue;
      values_[i] += static_cast<double>(random_() % 1500) / 100;
    }
    return values_;
  }

 private:
  std::mt19937_64 random_;
  std::vector<double> values_;
};

enum StoreKind { kFake, kHead, kSealed };

struct Stores {
  FakeQueryable fake;
  MemEnv env;
  std::unique_ptr<tsdb::Database> database;
};

void Fill(StoreKind kind, Stores* stores) {
  if (kind != kFake) {
    stores->env.SetNowMs(kEnd);
    tsdb::DatabaseOptions options;
    options.dir = "/bench";
    options.env = &stores->env;
    options.wal = false;
    options.background = false;
    options.accept_any_first_timestamp = true;
    stores->database = *tsdb::Database::Open(options);
  }
  for (int target = 0; target < kTargets; ++target) {
    Counters counters(target);
    std::unique_ptr<model::SourceWriter> writer;
    std::vector<model::Slot> slots;
    std::vector<model::Labels> series;
    for (int i = 0; i < kSeriesPerTarget; ++i) {
      if (kind == kFake) {
        model::LabelsBuilder labels(KeyOf(i));
        for (const model::LabelView& label : TargetOf(target)) labels.Set(label.name, label.value);
        series.push_back(labels.Build());
        continue;
      }
      if (writer == nullptr) {
        writer = *stores->database->OpenSource(
            {model::OriginKind::kScrape, "node/" + std::to_string(target)}, TargetOf(target));
      }
      slots.push_back(*writer->AddSlot(KeyOf(i)));
    }
    for (int64_t n = 0; n < kSamples; ++n) {
      const model::Timestamp t = kStart + n * kStepMs;
      const std::vector<double>& values = counters.Next();
      if (kind == kFake) {
        for (size_t i = 0; i < series.size(); ++i) stores->fake.Add(series[i], t, values[i]);
        continue;
      }
      auto batch = stores->database->NewBatch();
      batch->BeginRow(*writer, t, model::RowKind::kFull);
      for (size_t i = 0; i < slots.size(); ++i) batch->Set(slots[i], values[i]);
      if (!batch->Commit({}).status.ok()) std::abort();
    }
  }
  if (kind == kSealed && !stores->database->Compact().ok()) std::abort();
}

// Fast for want of data would be no figure.
void CheckComplete(const model::Queryable& store) {
  query::Engine engine(query::EngineOptions{});
  const auto result =
      engine.Instant(store, "sum(count_over_time(node_cpu_seconds_total[1h]))", kEnd, {});
  const auto* vector = result ? std::get_if<query::Vector>(&result->value) : nullptr;
  const double samples = vector == nullptr || vector->empty() ? 0 : vector->front().value;
  if (samples != static_cast<double>(kTargets * kSeriesPerTarget * kSamples)) {
    std::fprintf(stderr, "store holds %.0f samples\n", samples);
    std::abort();
  }
}

const model::Queryable& StoreOf(StoreKind kind) {
  static Stores* all[3] = {};
  if (all[kind] == nullptr) {
    ConfigureLog(LogLevel::kWarn, LogFormat::kLogfmt);
    all[kind] = new Stores;
    Fill(kind, all[kind]);
  }
  const model::Queryable& store =
      kind == kFake ? static_cast<const model::Queryable&>(all[kind]->fake) : *all[kind]->database;
  CheckComplete(store);
  return store;
}

void RunRange(benchmark::State& state, const char* query, int64_t step_ms) {
  const model::Queryable& store = StoreOf(static_cast<StoreKind>(state.range(0)));
  query::EngineOptions options;
  options.threads = 1;
  query::Engine engine(options);
  for (auto _ : state) {
    auto result = engine.Range(store, query, kStart, kEnd, step_ms, {});
    if (!result) state.SkipWithError(result.error().message().c_str());
    benchmark::DoNotOptimize(result);
  }
  state.counters["ns_per_sample"] = benchmark::Counter(
      static_cast<double>(kTargets * kSeriesPerTarget * kSamples) * 1e-9,
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void BM_SumByRate(benchmark::State& state) {
  RunRange(state, "sum by (mode) (rate(node_cpu_seconds_total[5m]))", kStepMs);
}
void BM_SumByRateMinute(benchmark::State& state) {
  RunRange(state, "sum by (mode) (rate(node_cpu_seconds_total[5m]))", 60'000);
}
void BM_SumSelector(benchmark::State& state) {
  RunRange(state, "sum by (mode) (node_cpu_seconds_total)", kStepMs);
}
void BM_MaxOverTime(benchmark::State& state) {
  RunRange(state, "max by (mode) (max_over_time(node_cpu_seconds_total[5m]))", kStepMs);
}
void BM_AvgOverTime(benchmark::State& state) {
  RunRange(state, "avg by (mode) (avg_over_time(node_cpu_seconds_total[5m]))", kStepMs);
}
void BM_QuantileOverTime(benchmark::State& state) {
  RunRange(state, "max by (mode) (quantile_over_time(0.9, node_cpu_seconds_total[5m]))", kStepMs);
}
void BM_Join(benchmark::State& state) {
  RunRange(state, "count(node_cpu_seconds_total / on (instance, cpu, mode) node_cpu_seconds_total)",
           kStepMs);
}
void BM_CountByInstanceInstant(benchmark::State& state) {
  const model::Queryable& store = StoreOf(static_cast<StoreKind>(state.range(0)));
  query::EngineOptions options;
  options.threads = 1;
  query::Engine engine(options);
  for (auto _ : state) {
    auto result = engine.Instant(store, "count by (instance) ({__name__=~\".+\"})", kEnd, {});
    if (!result) state.SkipWithError(result.error().message().c_str());
    benchmark::DoNotOptimize(result);
  }
}

#define TOCSIN_STORES ->Arg(kFake)->Arg(kHead)->Arg(kSealed)->Unit(benchmark::kMillisecond)
BENCHMARK(BM_SumByRate) TOCSIN_STORES;
BENCHMARK(BM_SumByRateMinute) TOCSIN_STORES;
BENCHMARK(BM_SumSelector) TOCSIN_STORES;
BENCHMARK(BM_MaxOverTime) TOCSIN_STORES;
BENCHMARK(BM_AvgOverTime) TOCSIN_STORES;
BENCHMARK(BM_QuantileOverTime) TOCSIN_STORES;
BENCHMARK(BM_Join) TOCSIN_STORES;
BENCHMARK(BM_CountByInstanceInstant) TOCSIN_STORES;

}  // namespace
}  // namespace tocsin
