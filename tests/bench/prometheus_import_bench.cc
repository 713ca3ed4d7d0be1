// Prometheus blocks out and in, CPU per sample: a store of made-up series (a fifth constant,
// counters, gauges of two digits, noise, sparse changes; `series` targets' worth at 15 s) is
// exported to blocks, and these are imported into an empty store.
//   prometheus_import_bench [series = 10000] [rows = 1440]
// One JSON line a step.
#include <fmt/core.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/env.h"
#include "tsdb/database.h"
#include "tsdb/prometheus/buffered_store.h"
#include "tsdb/prometheus/export.h"
#include "tsdb/prometheus/import.h"

namespace {

using namespace tocsin;        // NOLINT(google-build-using-namespace): a program of its own
using namespace tocsin::tsdb;  // NOLINT(google-build-using-namespace)

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::unique_ptr<BufferedStore> MakeSeries(int series, int rows) {
  std::mt19937_64 random(1);
  auto store = std::make_unique<BufferedStore>("made up");
  for (int s = 0; s < series; ++s) {
    const model::Labels labels =
        model::Labels::FromPairs({{"__name__", "metric_" + std::to_string(s % 500)},
                                  {"instance", "host-" + std::to_string(s / 500)},
                                  {"job", "node"}});
    double value = 0;
    for (int r = 0; r < rows; ++r) {
      switch (s % 5) {
        case 1:
          value += static_cast<double>(random() % 100);
          break;
        case 2:
          value = static_cast<double>(random() % 10000) / 100;
          break;
        case 3:
          value = static_cast<double>(random() % (1 << 30)) / 1e6;
          break;
        case 4:
          if (random() % 50 == 0) value += 1;
          break;
        default:
          break;
      }
      store->Add(labels, 1'700'006'400'000 + s / 500 * 37 + int64_t{r} * 15'000, value);
    }
  }
  store->Finish();
  return store;
}

void Report(std::string_view step, double cpu_seconds, double wall_seconds, double samples,
            uint64_t bytes) {
  fmt::print(
      "{{\"step\": \"{}\", \"samples\": {:.0f}, \"cpu_ns_per_sample\": {:.1f}, "
      "\"samples_per_cpu_s\": {:.0f}, \"wall_s\": {:.2f}, \"bytes_per_sample\": {:.3f}}}\n",
      step, samples, cpu_seconds * 1e9 / samples, samples / cpu_seconds, wall_seconds,
      static_cast<double>(bytes) / samples);
}

}  // namespace

int main(int argc, char** argv) {
  const int series = argc > 1 ? std::stoi(argv[1]) : 10'000;
  const int rows = argc > 2 ? std::stoi(argv[2]) : 1440;
  const double samples = static_cast<double>(series) * rows;
  Env& env = Env::Default();
  std::string directory = "/tmp/prometheus_import_bench.XXXXXX";
  CHECK(mkdtemp(directory.data()) != nullptr);
  double cpu = CpuSeconds();
  int64_t began = env.MonotonicNanos();
  const auto lap = [&](std::string_view step, uint64_t bytes) {
    Report(step, CpuSeconds() - cpu, static_cast<double>(env.MonotonicNanos() - began) / 1e9,
           samples, bytes);
    cpu = CpuSeconds();
    began = env.MonotonicNanos();
  };
  std::vector<std::unique_ptr<SampleStore>> stores;
  stores.push_back(MakeSeries(series, rows));
  lap("make", 0);
  ImportOptions options;
  options.dir = directory + "/first";
  ImportReport made;
  CHECK(ImportStores(env, options, stores, &made).ok());
  stores.clear();
  lap("import from memory", made.segment_bytes);
  {
    DatabaseOptions look;
    look.dir = options.dir;
    look.read_only = true;
    const auto database = Database::Open(look);
    CHECK(database.has_value());
    ExportOptions to;
    to.to = directory + "/blocks";
    const auto exported = ExportBlocks(env, *(*database)->Pin(), to);
    CHECK(exported.has_value());
    uint64_t bytes = 0;
    for (const uint64_t b : exported->block_bytes) bytes += b;
    lap("export", bytes);
  }
  options.from = directory + "/blocks";
  options.dir = directory + "/second";
  const auto imported = ImportPrometheus(env, options);
  CHECK(imported.has_value() && !imported->damaged());
  CHECK(static_cast<double>(imported->counts.float_samples) == samples);
  lap("import of blocks", imported->segment_bytes);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("{{\"peak_rss_mib\": {}}}\n", usage.ru_maxrss / 1024);
  CHECK(env.RemoveTree(directory).ok());
  return 0;
}
