// tsdb_disk_bench: what storage writes and keeps, one JSON line a workload. Fixed seed, a clock of
// its own: days pass as fast as they are written. Rows come in order, or a tenth of them late by up
// to an hour; maintenance runs once a minute of that clock.
//
//   mix    series like those of ../shared/bench: constants, counters, gauges, histogram buckets,
//          noise
//   noise  random doubles: nothing can be saved
//   late   the samples of mix; a tenth of the rows come up to an hour after their time
//
// Usage: tsdb_disk_bench [days = 2] [series = 1000] [interval_s = 15] [directory] [workload]
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/log.h"
#include "tests/support/forwarding_env.h"
#include "tsdb/database.h"

namespace tocsin::tsdb {
namespace {

constexpr int64_t kMinuteMs = 60'000;
constexpr int64_t kDayMs = 24 * 60 * kMinuteMs;
constexpr model::Timestamp kStartMs = 1'767'225'600'000;  // 2026-01-01T00:00:00Z

// The real file system under a clock that is set by hand.
class ClockEnv final : public ForwardingEnv {
 public:
  int64_t now_ms = kStartMs;
  std::map<std::string, uint64_t> written;  // bytes of published segments, by level

  int64_t NowMs() override { return now_ms; }
  int64_t MonotonicNanos() override { return (now_ms - kStartMs + 1) * 1'000'000; }
  void SleepFor(int64_t) override {}
  int64_t ThreadCpuNanos() override { return 0; }
  Status Rename(const std::string& from, const std::string& to) override {
    TOCSIN_RETURN_IF_ERROR(ForwardingEnv::Rename(from, to));
    const std::string name(BaseName(to));
    if (name.ends_with(".seg")) written[name.substr(0, 2)] += FileSize(to).value_or(0);
    return Status::Ok();
  }
  Status SyncDir(const std::string&) override { return Status::Ok(); }
};

// Of the whole process: making the values, too.
double CpuNanos() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

size_t OpenFiles() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    ++count;
  return count;
}

enum class Workload { kMix, kNoise, kLate };

// In the proportions of the load tool's model.
class Values {
 public:
  explicit Values(size_t series) : last_(series, 0) {}
  double Next(size_t i, Workload workload, std::mt19937_64& random) {
    const auto uniform = [&](double low, double high) {
      return std::uniform_real_distribution<double>(low, high)(random);
    };
    if (workload == Workload::kNoise) return uniform(0, 1);
    const size_t kind = (i * 7919) % 1000;
    double& v = last_[i];
    if (kind < 400) return static_cast<double>(kind);
    if (kind < 472) return v += random() % 50 == 0 ? 1 : 0;
    if (kind < 608) return v += static_cast<double>(random() % 1000);
    if (kind < 712) return v += static_cast<double>(random() % 1500) / 100;
    if (kind < 768) return static_cast<double>((random() % 100'000) * 4096);
    if (kind < 827) return static_cast<double>(random() % 300) / 10;
    if (kind < 867) return uniform(0, 1);
    return v += static_cast<double>(random() % 20);
  }

 private:
  std::vector<double> last_;
};

void Die(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

void Run(const char* name, Workload workload, const std::string& dir, int64_t days, size_t series,
         int64_t interval_ms) {
  ClockEnv env;
  Die(env.RemoveTree(dir));
  DatabaseOptions options;
  options.dir = dir;
  options.env = &env;
  options.background = false;
  options.policy.retention_ms = 0;
  auto opened = Database::Open(options);
  if (!opened) Die(opened.error());
  std::unique_ptr<Database> db = *std::move(opened);
  auto writer =
      *db->OpenSource({model::OriginKind::kScrape, "t"},
                      model::Labels::FromPairs({{"job", "node"}, {"instance", "a:9100"}}));
  std::vector<model::Slot> slots;
  for (size_t i = 0; i < series; ++i) {
    slots.push_back(
        *writer->AddSlot(model::Labels::FromPairs({{"__name__", "metric_" + std::to_string(i / 10)},
                                                   {"mode", "mode-" + std::to_string(i % 10)}})));
  }
  std::mt19937_64 random(7);
  Values values(series);
  const double cpu_start = CpuNanos();
  uint64_t samples = 0;
  int64_t next_round = env.now_ms;
  std::vector<double> row(series);
  struct Row {
    model::Timestamp t;
    std::vector<double> values;
  };
  std::multimap<int64_t, Row> waiting;  // by when they come
  std::mt19937_64 lateness(11);         // of its own, so that late and ordered samples are the same
  const auto append = [&](model::Timestamp t, const std::vector<double>& its_values) {
    auto batch = db->NewBatch();
    batch->BeginRow(*writer, t, model::RowKind::kFull);
    for (size_t i = 0; i < series; ++i) batch->Set(slots[i], its_values[i], model::kRowTimestamp);
    const model::CommitResult result = batch->Commit({});
    Die(result.status);
    samples += result.samples_committed;
  };
  for (; env.now_ms < kStartMs + days * kDayMs; env.now_ms += interval_ms) {
    for (size_t i = 0; i < series; ++i) row[i] = values.Next(i, workload, random);
    const bool late = workload == Workload::kLate && lateness() % 10 == 0;
    if (late) {
      const auto behind = static_cast<int64_t>(lateness() % 3'600'000);
      waiting.emplace(env.now_ms + behind, Row{env.now_ms, row});
    } else {
      append(env.now_ms, row);
    }
    for (; !waiting.empty() && waiting.begin()->first <= env.now_ms; waiting.erase(waiting.begin()))
      append(waiting.begin()->second.t, waiting.begin()->second.values);
    if (env.now_ms < next_round) continue;
    next_round = env.now_ms + kMinuteMs;
    Die(db->FlushWal(false));
    Die(db->RunMaintenance());
  }
  // Until the last day is closed and merged.
  const uint64_t ingest = db->counters().wal_bytes_written + env.written["L0"] + env.written["L1"];
  const uint64_t files_open_day = db->sizes().segments;
  for (int i = 0; i < 24; ++i) {
    env.now_ms += 5 * kMinuteMs;
    Die(db->RunMaintenance());
  }
  const double cpu_nanos = CpuNanos() - cpu_start;
  const auto per_sample = [&](uint64_t bytes) {
    return static_cast<double>(bytes) / static_cast<double>(samples);
  };
  const uint64_t log = db->counters().wal_bytes_written;
  const uint64_t segments = env.written["L0"] + env.written["L1"] + env.written["L2"];
  std::printf(
      "{\"workload\":\"%s\",\"samples\":%llu,\"days\":%lld,\"written_wal\":%.3f,\"written_l0\":%."
      "3f,"
      "\"written_l1\":%.3f,\"written_l2\":%.3f,\"written_during_ingest_but_l2\":%.3f,"
      "\"written_total\":%.3f,\"kept\":%.3f,\"log_left\":%.3f,\"merges\":%llu,\"files\":%llu,"
      "\"files_before_close\":%llu,\"open_fds\":%zu,\"cpu_ns_per_sample\":%.1f}\n",
      name, static_cast<unsigned long long>(samples), static_cast<long long>(days), per_sample(log),
      per_sample(env.written["L0"]), per_sample(env.written["L1"]), per_sample(env.written["L2"]),
      per_sample(ingest), per_sample(log + segments), per_sample(db->sizes().disk_bytes),
      per_sample(db->sizes().wal_bytes), static_cast<unsigned long long>(db->counters().merges),
      static_cast<unsigned long long>(db->sizes().segments),
      static_cast<unsigned long long>(files_open_day), OpenFiles(),
      cpu_nanos / static_cast<double>(samples));
  std::fflush(stdout);
  writer.reset();
  Die(db->Close());
  Die(env.RemoveTree(dir));
}

}  // namespace
}  // namespace tocsin::tsdb

int main(int argc, char** argv) {
  using namespace tocsin;
  using namespace tocsin::tsdb;
  const int64_t days = argc > 1 ? std::atoll(argv[1]) : 2;
  const auto series = static_cast<size_t>(argc > 2 ? std::atoll(argv[2]) : 1000);
  const int64_t interval_ms = (argc > 3 ? std::atoll(argv[3]) : 15) * 1000;
  const std::string dir = argc > 4 ? argv[4] : "/tmp/tocsin-disk-bench-" + std::to_string(getpid());
  const std::string only = argc > 5 ? argv[5] : "";
  const auto run = [&](const char* name, Workload workload) {
    if (only.empty() || only == name) Run(name, workload, dir, days, series, interval_ms);
  };
  run("mix", Workload::kMix);
  run("noise", Workload::kNoise);
  run("late", Workload::kLate);
  return 0;
}
