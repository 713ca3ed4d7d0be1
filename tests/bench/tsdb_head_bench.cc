// tsdb_head_bench: the head's figures, one JSON line a workload. Fixed seed; CPU time of the
// process.
//
//   append  200 scrape sources x 1,000 slots, 30 % of the slots change from row to row, WAL on
//   read_5m the last five minutes of every slot: what an instant query does
//   read    one slot after another over all rows: what a range query does
//   replay  Open after a crash with all of these rows in the log
//   seal    the windows of these rows into L0 segments
//   push    100,000 series of 100 sources as remote write sends them: 500 series a batch, partial
//           rows, all or nothing, acknowledged when with the kernel
//
// Usage: tsdb_head_bench [rows = 120] [directory = a new one under /tmp]
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

constexpr int kSources = 200;
constexpr int kSlots = 1000;

class Stopwatch {
 public:
  double cpu() const { return CpuSeconds() - cpu_; }
  double wall() const {
    return static_cast<double>(Env::Default().MonotonicNanos() - wall_) * 1e-9;
  }

 private:
  double cpu_ = CpuSeconds();
  int64_t wall_ = Env::Default().MonotonicNanos();
};

std::unique_ptr<Database> OpenOrDie(const std::string& directory) {
  DatabaseOptions options;
  options.dir = directory;
  options.accept_any_first_timestamp = true;
  options.head_bytes_max = uint64_t{8} << 30;
  // The compactor would seal behind the measurements: data is as old as the run is long.
  options.background = false;
  auto opened = Database::Open(options);
  if (!opened) {
    std::fprintf(stderr, "%s\n", opened.error().ToString().c_str());
    std::exit(1);
  }
  return *std::move(opened);
}

struct Fleet {
  std::vector<std::unique_ptr<model::SourceWriter>> writers;
  std::vector<model::Slot> slots;
};

Fleet MakeFleet(Database& db, int sources, model::OriginKind kind) {
  Fleet fleet;
  for (int s = 0; s < sources; ++s) {
    fleet.writers.push_back(*db.OpenSource({kind, "bench/" + Text(s)}, SourceLabels(s)));
    for (int k = 0; k < kSlots; ++k) {
      const model::Slot slot = *fleet.writers.back()->AddSlot(KeyLabels(k));
      if (s == 0) fleet.slots.push_back(slot);
    }
  }
  return fleet;
}

void ReadAll(const Database& db, size_t* samples, model::TimeRange range = {}) {
  const auto snapshot = db.Pin();
  const auto selection = snapshot->Select({}, range, {});
  const auto reader = (*selection)->NewReader();
  model::ColumnBatch batch;
  for (size_t i = 0; i < (*selection)->size(); i += 64) {
    const size_t count = std::min<size_t>(64, (*selection)->size() - i);
    if (!reader->Read(i, count, &batch).ok()) std::exit(1);
    for (const model::Column& column : batch.columns) *samples += column.values.size();
  }
}

void BenchScrape(const std::string& directory, int rows) {
  const model::Timestamp end = Env::Default().NowMs();
  const model::Timestamp begin = end - int64_t{rows} * 15'000;
  const double idle = ResidentBytes();
  {
    auto db = OpenOrDie(directory);
    Stopwatch making;
    Fleet fleet = MakeFleet(*db, kSources, model::OriginKind::kScrape);
    std::printf("{\"bench\":\"new_series\",\"series\":%d,\"ns_per_series\":%.0f}\n",
                kSources * kSlots, making.cpu() * 1e9 / (kSources * kSlots));
    std::mt19937_64 random(1);
    std::vector<double> values(static_cast<size_t>(kSources) * kSlots);
    double cpu = 0;
    for (int row = 0; row < rows; ++row) {
      for (int s = 0; s < kSources; ++s) {
        double* v = values.data() + static_cast<size_t>(s) * kSlots;
        for (int k = 0; k < kSlots; ++k) {
          if (k % 10 < 3)
            v[k] += k % 20 == 0 ? static_cast<double>(random() % 1000) * 0.001
                                : static_cast<double>(random() % 200);
        }
      }
      Stopwatch watch;
      for (int s = 0; s < kSources; ++s) {
        const double* v = values.data() + static_cast<size_t>(s) * kSlots;
        auto batch = db->NewBatch();
        batch->BeginRow(*fleet.writers[static_cast<size_t>(s)], begin + row * 15'000 + s,
                        model::RowKind::kFull);
        for (int k = 0; k < kSlots; ++k)
          batch->Set(fleet.slots[static_cast<size_t>(k)], v[k], model::kRowTimestamp);
        if (!batch->Commit({}).status.ok()) std::exit(1);
      }
      if (!db->FlushWal(false).ok()) std::exit(1);
      cpu += watch.cpu();
    }
    const double samples = static_cast<double>(rows) * kSources * kSlots;
    const DatabaseSizes sizes = db->sizes();
    std::printf(
        "{\"bench\":\"append\",\"samples\":%.0f,\"ns_per_sample\":%.2f,\"wal_bytes_per_sample\":"
        "%.3f,\"head_bytes_per_series\":%.0f,\"index_bytes_per_series\":%.1f,"
        "\"rss_bytes_per_series\":%.0f}\n",
        samples, cpu * 1e9 / samples, static_cast<double>(sizes.wal_bytes) / samples,
        static_cast<double>(sizes.head_bytes) / (kSources * kSlots),
        static_cast<double>(sizes.index_bytes) / (kSources * kSlots),
        (ResidentBytes() - idle) / (kSources * kSlots));
    size_t read = 0;
    Stopwatch reading;
    ReadAll(*db, &read);
    std::printf("{\"bench\":\"read\",\"samples\":%zu,\"ns_per_sample\":%.2f}\n", read,
                reading.cpu() * 1e9 / static_cast<double>(read));
    size_t recent = 0;
    Stopwatch instant;
    ReadAll(*db, &recent, {end - 5 * 60'000, end});
    std::printf("{\"bench\":\"read_5m\",\"series\":%d,\"ns_per_series\":%.0f,\"samples\":%zu}\n",
                kSources * kSlots, instant.cpu() * 1e9 / (kSources * kSlots), recent);
    Stopwatch grouping;
    {
      const auto snapshot = db->Pin();
      const auto selection = snapshot->Select({}, {end - 5 * 60'000, end}, {});
      std::vector<uint32_t> group_of_series;
      std::vector<model::Labels> groups;
      const std::vector<std::string> by{"instance"};
      (*selection)->Group(false, by, &group_of_series, &groups);
    }
    std::printf("{\"bench\":\"select_and_group\",\"ns_per_series\":%.1f}\n",
                grouping.cpu() * 1e9 / (kSources * kSlots));
    fleet.writers.clear();
    // No clean close: the log is all there is, as after kill -9.
  }
  {
    Stopwatch opening;
    auto db = OpenOrDie(directory);
    const double samples = static_cast<double>(rows) * kSources * kSlots;
    std::printf("{\"bench\":\"replay\",\"rows\":%llu,\"cpu_ns_per_sample\":%.2f,\"wall_s\":%.3f}\n",
                static_cast<unsigned long long>(db->counters().replayed_rows),
                opening.cpu() * 1e9 / samples, opening.wall());
    Stopwatch sealing;
    if (!db->Seal({}).ok()) std::exit(1);
    std::printf(
        "{\"bench\":\"seal\",\"samples\":%llu,\"ns_per_sample\":%.2f,\"disk_bytes_per_sample\":"
        "%.3f}\n",
        static_cast<unsigned long long>(db->counters().samples_sealed),
        sealing.cpu() * 1e9 / samples, static_cast<double>(db->sizes().segment_bytes) / samples);
    size_t read = 0;
    Stopwatch reading;
    ReadAll(*db, &read);
    std::printf("{\"bench\":\"read_sealed\",\"samples\":%zu,\"ns_per_sample\":%.2f}\n", read,
                reading.cpu() * 1e9 / static_cast<double>(read));
    Stopwatch merging;
    if (!db->Compact().ok()) std::exit(1);
    std::printf("{\"bench\":\"merge\",\"ns_per_sample\":%.2f,\"disk_bytes_per_sample\":%.3f}\n",
                merging.cpu() * 1e9 / samples,
                static_cast<double>(db->sizes().segment_bytes) / samples);
  }
}

void BenchPush(const std::string& directory, int rows) {
  constexpr int kPushSources = 100;
  constexpr int kSeriesPerBatch = 500;
  const model::Timestamp begin = Env::Default().NowMs() - int64_t{rows} * 15'000;
  const double idle = ResidentBytes();
  auto db = OpenOrDie(directory);
  Fleet fleet = MakeFleet(*db, kPushSources, model::OriginKind::kPush);
  std::mt19937_64 random(2);
  std::vector<double> values(static_cast<size_t>(kPushSources) * kSlots);
  Stopwatch watch;
  for (int row = 0; row < rows; ++row) {
    for (int s = 0; s < kPushSources; ++s) {
      for (int part = 0; part < kSlots; part += kSeriesPerBatch) {
        auto batch = db->NewBatch();
        batch->BeginRow(*fleet.writers[static_cast<size_t>(s)], begin + row * 15'000,
                        model::RowKind::kPartial);
        for (int k = part; k < part + kSeriesPerBatch; ++k) {
          double& v = values[static_cast<size_t>(s) * kSlots + static_cast<size_t>(k)];
          v += static_cast<double>(random() % 100);
          batch->Set(fleet.slots[static_cast<size_t>(k)], v, model::kRowTimestamp);
        }
        model::CommitOptions commit;
        commit.durability = model::Durability::kKernel;
        commit.all_or_nothing = true;
        if (!batch->Commit(commit).status.ok()) std::exit(1);
      }
    }
  }
  const double samples = static_cast<double>(rows) * kPushSources * kSlots;
  const double series = kPushSources * kSlots;
  std::printf(
      "{\"bench\":\"push\",\"samples\":%.0f,\"ns_per_sample\":%.2f,\"wal_bytes_per_sample\":%.3f,"
      "\"rss_bytes_per_series\":%.0f}\n",
      samples, watch.cpu() * 1e9 / samples, static_cast<double>(db->sizes().wal_bytes) / samples,
      (ResidentBytes() - idle) / series);
  size_t read = 0;
  Stopwatch reading;
  ReadAll(*db, &read);
  std::printf("{\"bench\":\"push_read\",\"samples\":%zu,\"ns_per_sample\":%.2f}\n", read,
              reading.cpu() * 1e9 / static_cast<double>(read));
  fleet.writers.clear();
  db.reset();
  Stopwatch opening;
  db = OpenOrDie(directory);
  std::printf("{\"bench\":\"push_replay\",\"cpu_ns_per_sample\":%.2f,\"wall_s\":%.3f}\n",
              opening.cpu() * 1e9 / samples, opening.wall());
  Stopwatch compacting;
  if (!db->Compact().ok()) std::exit(1);
  std::printf(
      "{\"bench\":\"push_compact\",\"ns_per_sample\":%.2f,\"disk_bytes_per_sample\":%.3f}\n",
      compacting.cpu() * 1e9 / samples, static_cast<double>(db->sizes().segment_bytes) / samples);
}

}  // namespace
}  // namespace tocsin::tsdb

int main(int argc, char** argv) {
  tocsin::ConfigureLog(tocsin::LogLevel::kWarn, tocsin::LogFormat::kLogfmt);
  const int rows = argc > 1 ? std::atoi(argv[1]) : 120;
  std::string directory;
  if (argc > 2) {
    directory = argv[2];
  } else {
    char name[] = "/tmp/tsdb_head_bench.XXXXXX";
    if (mkdtemp(name) == nullptr) return 1;
    directory = name;
  }
  tocsin::tsdb::BenchScrape(directory + "/scrape", rows);
  tocsin::tsdb::BenchPush(directory + "/push", rows);
  if (argc <= 2) (void)tocsin::Env::Default().RemoveTree(directory);
  return 0;
}
