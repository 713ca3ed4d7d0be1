// Whole scrapes over HTTP: 200 targets × 1,000 series each second for ten seconds, into the real
// store. The targets live in a forked child, so the process' CPU time is ours alone: libcurl,
// kernel, parsing, appending, log writing. Counters: cpu_s_per_million (samples), samples and how
// many were to be expected.
#include <benchmark/benchmark.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <chrono>
#include <cstdio>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/env.h"
#include "base/log.h"
#include "collector/scrape_pools.h"
#include "tests/support/fake_target.h"
#include "tsdb/database.h"

namespace tocsin::collector {
namespace {

constexpr int kTargets = 200;
constexpr int kSeries = 1000;
constexpr int kSeconds = 10;
constexpr int kPages = 16;

std::string MakePage(std::mt19937_64& random) {
  std::string page;
  char line[256];
  for (int i = 0; i < kSeries; ++i) {
    const int family = i / 50;
    if (i % 50 == 0) {
      std::snprintf(line, sizeof line,
                    "# HELP node_subsystem%d_total Help.\n# TYPE "
                    "node_subsystem%d_total counter\n",
                    family, family);
      page += line;
    }
    std::snprintf(line, sizeof line, "node_subsystem%d_total{cpu=\"%d\",mode=\"idle\"} %.2f\n",
                  family, i % 50, static_cast<double>(random() % 100'000'000) / 100);
    page += line;
  }
  return page;
}

std::string Gzip(const std::string& text) {
  z_stream stream{};
  if (deflateInit2(&stream, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) != Z_OK) std::abort();
  std::string out(deflateBound(&stream, text.size()), 0);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) std::abort();
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// The child: serves until it is killed. Its address comes through `out`.
[[noreturn]] void Serve(bool gzip, int out) {
  std::mt19937_64 random(20261124);
  std::vector<std::string> pages;
  for (int i = 0; i < kPages; ++i) {
    pages.push_back(MakePage(random));
    if (gzip) pages.back() = Gzip(pages.back());
  }
  std::atomic<size_t> next{0};
  testing::FakeTarget target([&](testing::FakeTarget::Request& request) {
    request.Answer(pages[next++ % kPages], "text/plain; version=0.0.4",
                   gzip ? "Content-Encoding: gzip\r\n" : "");
  });
  const int port = target.port();
  if (write(out, &port, sizeof port) != sizeof port) _exit(1);
  while (true) pause();
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

void Scrapes(benchmark::State& state) {
  ConfigureLog(LogLevel::kError, LogFormat::kLogfmt);
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  const pid_t child = fork();
  if (child == 0) Serve(state.range(0) != 0, ends[1]);
  int port = 0;
  if (read(ends[0], &port, sizeof port) != sizeof port) std::abort();

  char dir[] = "/tmp/tocsin-scrape-bench-XXXXXX";
  if (mkdtemp(dir) == nullptr) std::abort();
  tsdb::DatabaseOptions options;
  options.dir = dir;
  auto database = tsdb::Database::Open(options);
  if (!database) std::abort();
  ScrapeConfig config;
  config.job_name = "bench";
  config.scrape_interval_ms = config.scrape_timeout_ms = 1000;
  discovery::TargetGroup group;
  for (int i = 0; i < kTargets; ++i) {
    group.targets.push_back(
        model::Labels::FromPairs({{"__address__", "127.0.0.1:" + std::to_string(port)},
                                  {"instance", "host-" + std::to_string(i)}}));
  }
  for (auto _ : state) {
    ScrapePools pools(&Env::Default(), database->get(), {});
    pools.Apply({config});
    pools.SetGroups("bench", {group});
    std::this_thread::sleep_for(std::chrono::seconds(2));  // connections and first pages
    const double cpu = CpuSeconds();
    const auto samples = (*database)->counters().samples_committed;
    std::this_thread::sleep_for(std::chrono::seconds(kSeconds));
    const auto taken = static_cast<double>((*database)->counters().samples_committed - samples);
    state.counters["cpu_s_per_million"] = (CpuSeconds() - cpu) / taken * 1e6;
    state.counters["samples"] = taken;
    state.counters["expected"] = kTargets * (kSeries + 5.0) * kSeconds;
    pools.Stop();
  }
  (void)(*database)->Close();
  database->reset();
  (void)Env::Default().RemoveTree(dir);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(ends[0]);
  close(ends[1]);
}
BENCHMARK(Scrapes)->ArgName("gzip")->Arg(0)->Arg(1)->Iterations(1)->UseRealTime();

}  // namespace
}  // namespace tocsin::collector
