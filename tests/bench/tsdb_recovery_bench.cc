// tsdb_recovery_bench: a restart after kill -9, one JSON line a workload. A child ingests and ends
// without closing anything; another child opens what it left. Peaks are VmHWM of /proc/self/status.
//
//   scrape  sources x 1,000 slots, full rows, 30 % of the slots change from row to row
//   push    the same series as remote write sends them: 500 a batch, partial rows, all change
//
// TOCSIN_BENCH_LZ4 in the environment: with a compressed log.
// Usage: tsdb_recovery_bench [series = 100000] [rows = 120] [directory = a new one under /tmp]
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/log.h"
#include "tests/bench/fleet_labels.h"
#include "tests/bench/process_figures.h"
#include "tsdb/database.h"

namespace tocsin::tsdb {
namespace {

constexpr int kSlots = 1000;
constexpr int kSeriesPerBatch = 500;

std::unique_ptr<Database> OpenOrDie(const std::string& directory) {
  DatabaseOptions options;
  options.dir = directory;
  options.accept_any_first_timestamp = true;
  options.head_bytes_max = uint64_t{8} << 30;
  options.wal_compression = std::getenv("TOCSIN_BENCH_LZ4") != nullptr;
  options.background = false;  // nothing is sealed: the log holds every row
  auto opened = Database::Open(options);
  if (!opened) {
    std::fprintf(stderr, "%s\n", opened.error().ToString().c_str());
    std::_Exit(1);
  }
  return *std::move(opened);
}

void Ingest(const char* name, const std::string& directory, int series, int rows, bool push) {
  auto db = OpenOrDie(directory);
  const int sources = series / kSlots;
  const auto kind = push ? model::OriginKind::kPush : model::OriginKind::kScrape;
  std::vector<std::unique_ptr<model::SourceWriter>> writers;
  std::vector<model::Slot> slots;
  for (int s = 0; s < sources; ++s) {
    writers.push_back(*db->OpenSource({kind, "bench/" + Text(s)}, SourceLabels(s)));
    for (int k = 0; k < kSlots; ++k) {
      const model::Slot slot = *writers.back()->AddSlot(KeyLabels(k));
      if (s == 0) slots.push_back(slot);
    }
  }
  const model::Timestamp begin = Env::Default().NowMs() - int64_t{rows} * 15'000;
  std::mt19937_64 random(1);
  std::vector<float> values(static_cast<size_t>(series));
  for (int row = 0; row < rows; ++row) {
    for (int s = 0; s < sources; ++s) {
      for (int part = 0; part < kSlots; part += push ? kSeriesPerBatch : kSlots) {
        auto batch = db->NewBatch();
        batch->BeginRow(*writers[static_cast<size_t>(s)], begin + row * 15'000,
                        push ? model::RowKind::kPartial : model::RowKind::kFull);
        for (int k = part; k < part + (push ? kSeriesPerBatch : kSlots); ++k) {
          float& v = values[static_cast<size_t>(s * kSlots + k)];
          if (push || k % 10 < 3) v += static_cast<float>(random() % 100);
          batch->Set(slots[static_cast<size_t>(k)], v, model::kRowTimestamp);
        }
        model::CommitOptions commit;
        if (push) commit.durability = model::Durability::kKernel;
        commit.all_or_nothing = push;
        if (!batch->Commit(commit).status.ok()) std::_Exit(1);
      }
    }
    if (!db->FlushWal(false).ok()) std::_Exit(1);
  }
  std::printf(
      "{\"bench\":\"%s_ingest\",\"series\":%d,\"rows\":%d,\"cpu_ns_per_sample\":%.2f,\"peak_mib\":%"
      ".0f,"
      "\"log_mib\":%.1f}\n",
      name, series, rows, CpuSeconds() * 1e9 / series / rows, StatusMib("VmHWM:"),
      static_cast<double>(db->sizes().wal_bytes) / (1 << 20));
  std::fflush(stdout);
  std::_Exit(0);  // as kill -9
}

void Recover(const char* name, const std::string& directory, int series, int rows) {
  const int64_t began = Env::Default().MonotonicNanos();
  auto db = OpenOrDie(directory);
  const double open_s = static_cast<double>(Env::Default().MonotonicNanos() - began) * 1e-9;
  std::printf(
      "{\"bench\":\"%s_recovery\",\"open_s\":%.2f,\"cpu_ns_per_sample\":%.2f,\"peak_mib\":%.0f,"
      "\"resident_mib\":%.0f}\n",
      name, open_s, CpuSeconds() * 1e9 / series / rows, StatusMib("VmHWM:"), StatusMib("VmRSS:"));
  std::fflush(stdout);
  std::_Exit(0);
}

template <typename F>
void InChild(F work) {
  const pid_t child = fork();
  if (child == 0) work();
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) std::exit(1);
}

}  // namespace
}  // namespace tocsin::tsdb

int main(int argc, char** argv) {
  using namespace tocsin::tsdb;
  tocsin::ConfigureLog(tocsin::LogLevel::kWarn, tocsin::LogFormat::kLogfmt);
  const int series = argc > 1 ? std::atoi(argv[1]) : 100'000;
  const int rows = argc > 2 ? std::atoi(argv[2]) : 120;
  std::string directory;
  if (argc > 3) {
    directory = argv[3];
  } else {
    char name[] = "/tmp/tsdb_recovery_bench.XXXXXX";
    if (mkdtemp(name) == nullptr) return 1;
    directory = name;
  }
  for (const bool push : {false, true}) {
    const char* name = push ? "push" : "scrape";
    const std::string path = directory + "/" + name;
    InChild([&] { Ingest(name, path, series, rows, push); });
    InChild([&] { Recover(name, path, series, rows); });
  }
  if (argc <= 3) (void)tocsin::Env::Default().RemoveTree(directory);
  return 0;
}
