// Remote write 1.0 from the compressed body on: snappy, walking, recognising series, rows. Requests
// of 2,000 samples, one a series, over 100,000 series of 100 (job, instance) groups; each pass over
// all series is one tick. CPU time / samples is the cost of a sample.
//   KnownSeries         a store that throws samples away
//   KnownIntoDatabase   the real store, acknowledged by the kernel
//   SnappyOnly          what inflating alone costs
#include <benchmark/benchmark.h>
#include <snappy.h>
#include <unistd.h>

#include <random>
#include <string>
#include <vector>

#include "base/env.h"
#include "collector/push/remote_write.h"
#include "model/proto/remote_write.pb.h"
#include "tests/bench/null_appender.h"
#include "tsdb/database.h"

namespace tocsin::collector {
namespace {

constexpr int kSeries = 100'000;
constexpr int kPerRequest = 2000;
constexpr int kTicks = 8;

void AddLabel(prometheus::TimeSeries* series, const std::string& name, const std::string& value) {
  auto* label = series->add_labels();
  label->set_name(name);
  label->set_value(value);
}

// All requests of `ticks` ticks, the first at `start_ms`, 15 s apart.
std::vector<std::string> MakeRequests(int64_t start_ms, int ticks) {
  std::mt19937_64 random(20261124);
  std::vector<std::string> requests;
  for (int tick = 0; tick < ticks; ++tick) {
    for (int first = 0; first < kSeries; first += kPerRequest) {
      prometheus::WriteRequest request;
      for (int i = first; i < first + kPerRequest; ++i) {
        auto* series = request.add_timeseries();
        AddLabel(series, "__name__", "node_subsystem_" + std::to_string(i % 40) + "_seconds_total");
        AddLabel(series, "cpu", std::to_string(i % 1000));
        AddLabel(series, "datacenter", "eu-west-1");
        AddLabel(series, "instance", "host-" + std::to_string(i / 1000) + ".example.org:9100");
        AddLabel(series, "job", "node");
        AddLabel(series, "mode", "idle");
        auto* sample = series->add_samples();
        sample->set_value(static_cast<double>(random() % 100'000) / 10);
        sample->set_timestamp(start_ms + tick * 15'000);
      }
      std::string body;
      const std::string raw = request.SerializeAsString();
      snappy::Compress(raw.data(), raw.size(), &body);
      requests.push_back(std::move(body));
    }
  }
  return requests;
}

void KnownSeries(benchmark::State& state) {
  const auto requests = MakeRequests(1'000'000, kTicks);
  testing::NullAppender appender;
  RemoteWriteReceiver receiver(&Env::Default(), &appender, {});
  size_t i = 0;
  for (const std::string& body : requests) (void)receiver.Write("sender", body);
  for (auto _ : state) {
    const auto outcome = receiver.Write("sender", requests[i++ % requests.size()]);
    if (outcome.http_status != 204) std::abort();
  }
  state.SetItemsProcessed(state.iterations() * kPerRequest);
}
BENCHMARK(KnownSeries);

void KnownIntoDatabase(benchmark::State& state) {
  constexpr int kDatabaseTicks = 20;
  const auto requests = MakeRequests(Env::Default().NowMs() - 600'000, kDatabaseTicks);
  char dir[] = "/tmp/tocsin-remote-write-bench-XXXXXX";
  if (mkdtemp(dir) == nullptr) std::abort();
  tsdb::DatabaseOptions options;
  options.dir = dir;
  auto database = tsdb::Database::Open(options);
  if (!database) std::abort();
  {
    RemoteWriteReceiver receiver(&Env::Default(), database->get(), {});
    size_t i = 0;
    for (; i < requests.size() / kDatabaseTicks; ++i) (void)receiver.Write("sender", requests[i]);
    for (auto _ : state) {
      const auto outcome = receiver.Write("sender", requests[i++]);
      if (outcome.http_status != 204) std::abort();
    }
  }
  state.SetItemsProcessed(state.iterations() * kPerRequest);
  (void)(*database)->Close();
  database->reset();
  (void)Env::Default().RemoveTree(dir);
}
BENCHMARK(KnownIntoDatabase)->Iterations(900)->MeasureProcessCPUTime();

void SnappyOnly(benchmark::State& state) {
  const auto requests = MakeRequests(1'000'000, 1);
  std::vector<char> out(1 << 22);
  size_t i = 0;
  for (auto _ : state) {
    const std::string& body = requests[i++ % requests.size()];
    benchmark::DoNotOptimize(snappy::RawUncompress(body.data(), body.size(), out.data()));
  }
  state.SetItemsProcessed(state.iterations() * kPerRequest);
}
BENCHMARK(SnappyOnly);

}  // namespace
}  // namespace tocsin::collector
