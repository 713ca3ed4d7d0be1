// tsdb_memory_bench: what series cost in memory, and what finding them costs. One JSON line a
// figure; resident bytes from /proc/self/statm, CPU time of the process; fixed seeds.
//
//   shared N    index of N series: sources of 500 keys, all the same (a fleet)
//   varied N    the same, but 5 % of the slots of each source hold keys of its own
//   distinct N  N series without a common key: labels of kube-state-metrics, one uid each
//   engine N    N series of 1,000 a source through the whole engine: 480 rows of 15 s, windows
//               sealed as time goes by (two simulated hours), log on
//   churn D     50 targets x 100 series, a tenth of them replaced every 10 minutes for D simulated
//               days, 90 days of retention: slope of the resident memory; descriptors, mapped
//               regions and files of each day
//
// Usage: tsdb_memory_bench WORKLOAD NUMBER [directory = a new one under /tmp]
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/log.h"
#include "base/malloc_conf.h"
#include "model/matcher.h"
#include "tests/support/forwarding_env.h"
#include "tsdb/database.h"
#include "tsdb/index/head_index.h"

namespace tocsin::tsdb {
namespace {

using model::Labels;
using model::Matcher;
using model::MatcherSet;
using model::MatchType;
using Pairs = std::vector<std::pair<std::string, std::string>>;

constexpr size_t kKeysPerSource = 500;
constexpr int64_t kStepMs = 15'000;
constexpr int64_t kDayMs = int64_t{24} * 3'600'000;

std::string Text(uint64_t i) { return std::to_string(i); }

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

// Resident bytes: all of them, or without mapped files.
double ResidentBytes(bool with_files) {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  long total = 0;
  long resident = 0;
  long shared = 0;
  if (file == nullptr || std::fscanf(file, "%ld %ld %ld", &total, &resident, &shared) != 3)
    resident = shared = 0;
  if (file != nullptr) std::fclose(file);
  return static_cast<double>(with_files ? resident : resident - shared) *
         static_cast<double>(sysconf(_SC_PAGESIZE));
}

// Lines of /proc/self/maps.
size_t MappedRegions() {
  std::FILE* file = std::fopen("/proc/self/maps", "r");
  size_t lines = 0;
  for (int c = 0; file != nullptr && (c = std::fgetc(file)) != EOF;) lines += c == '\n' ? 1 : 0;
  if (file != nullptr) std::fclose(file);
  return lines;
}

size_t EntriesOf(const std::string& directory) {
  const auto names = Env::Default().ListDir(directory);
  return names ? names->size() : 0;
}

// Peak of the resident bytes so far.
double PeakResidentBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

// The process' own files, and a clock that is set by hand.
class SimulatedEnv final : public ForwardingEnv {
 public:
  explicit SimulatedEnv(int64_t now_ms) : now_ms_(now_ms) {}
  void Set(int64_t now_ms) { now_ms_ = now_ms; }

  int64_t NowMs() override { return now_ms_; }
  int64_t MonotonicNanos() override { return now_ms_ * 1'000'000; }
  void SleepFor(int64_t duration_ms) override { now_ms_ += duration_ms; }
  int64_t ThreadCpuNanos() override { return 0; }  // no budget: there is nobody to spare

 private:
  int64_t now_ms_;
};

// ----------------------------------------------------------------------------------------------------------
// the index alone

enum class Shape { kShared, kVaried, kDistinct };

Labels TargetLabels(size_t t) {
  return Labels::FromPairs(Pairs{{"instance", "10." + Text(t / 62500) + "." + Text(t / 250 % 250) +
                                                  "." + Text(t % 250) + ":9100"},
                                 {"job", "job" + Text(t % 10)},
                                 {"zone", "z" + Text(t % 3)}});
}

Labels SharedKey(size_t k) {
  return Labels::FromPairs(
      Pairs{{"__name__", "metric_" + Text(k / 10)}, {"le", Text(k % 10)}, {"path", "/a"}});
}

Labels OwnKey(size_t t, size_t k) {
  return Labels::FromPairs(Pairs{{"__name__", "metric_" + Text(k / 10)},
                                 {"le", Text(k % 10)},
                                 {"path", "/own/" + Text(t) + "/" + Text(k)}});
}

Labels DistinctKey(size_t k) {
  return Labels::FromPairs(Pairs{{"__name__", "kube_pod_" + Text(k % 25)},
                                 {"namespace", "ns" + Text(k % 97)},
                                 {"pod", "pod-" + Text(k / 25) + "-abcdef"},
                                 {"uid", "4e0a2b7c-" + Text(k)},
                                 {"container", "c" + Text(k % 5)},
                                 {"node", "node" + Text(k % 300)}});
}

void BuildIndex(HeadIndex& index, Shape shape, size_t series) {
  const size_t per_source = shape == Shape::kDistinct ? 100'000 : kKeysPerSource;
  for (size_t t = 0; t * per_source < series; ++t) {
    const SourceId source =
        index.AddSource({model::OriginKind::kScrape, "bench/" + Text(t)}, TargetLabels(t));
    for (size_t k = 0; k < per_source; ++k) {
      const bool own = shape == Shape::kVaried && k % 20 == 7;
      const KeyId key = index.AddKey(shape == Shape::kDistinct ? DistinctKey(t * per_source + k)
                                     : own                     ? OwnKey(t, k)
                                                               : SharedKey(k));
      if (index.FindSlot(source, key) == model::kNoSlot) index.AddSlot(source, key);
    }
  }
}

void TimeSelect(const HeadIndex& index, const char* name, const MatcherSet& matchers, int repeats) {
  size_t series = 0;
  double first = 0;
  double best = 1e9;
  for (int i = 0; i < repeats; ++i) {
    const double before = CpuSeconds();
    const HeadIndex::Pin pin = index.NewPin();
    const auto selection = pin.Select(matchers);
    series = selection->series_count;
    const double took = CpuSeconds() - before;
    if (i == 0) first = took;
    best = std::min(best, took);
  }
  std::printf("{\"select\":\"%s\",\"series\":%zu,\"first_us\":%.0f,\"best_us\":%.0f}\n", name,
              series, first * 1e6, best * 1e6);
}

void BenchIndex(Shape shape, const char* name, size_t series) {
  const double idle = ResidentBytes(true);
  HeadIndex index(1);
  const double before = CpuSeconds();
  BuildIndex(index, shape, series);
  const double cpu = CpuSeconds() - before;
  const auto count = static_cast<double>(index.series_count());
  std::printf(
      "{\"bench\":\"index_%s\",\"series\":%.0f,\"ns_per_series\":%.0f,\"bytes_per_series\":%.1f,"
      "\"rss_bytes_per_series\":%.1f}\n",
      name, count, cpu * 1e9 / count, static_cast<double>(index.memory_bytes()) / count,
      (ResidentBytes(true) - idle) / count);
  if (shape == Shape::kDistinct) {
    TimeSelect(index, "uid=~\".*9999.\"", {*Matcher::Create(MatchType::kRegex, "uid", ".*9999.")},
               2);
    TimeSelect(index, "uid=~\"4e0a2b7c-99.*\"",
               {*Matcher::Create(MatchType::kRegex, "uid", "4e0a2b7c-99.*")}, 2);
    TimeSelect(index, "uid=~\".*[02468]7[13579]5\"",
               {*Matcher::Create(MatchType::kRegex, "uid", ".*[02468]7[13579]5")}, 2);
    TimeSelect(index, "pod, name",
               {Matcher::Equal("pod", "pod-77-abcdef"), Matcher::Equal("__name__", "kube_pod_3")},
               100);
  } else {
    TimeSelect(index, "job, le", {Matcher::Equal("job", "job3"), Matcher::Equal("le", "4")}, 100);
    TimeSelect(index, "name, job",
               {Matcher::Equal("__name__", "metric_7"), Matcher::Equal("job", "job3")}, 100);
    TimeSelect(
        index, "name, instance",
        {Matcher::Equal("__name__", "metric_7"), Matcher::Equal("instance", "10.0.1.7:9100")}, 100);
    TimeSelect(index, "everything", {*Matcher::Create(MatchType::kRegex, "__name__", ".+")}, 10);
  }
}

// ----------------------------------------------------------------------------------------------------------
// the whole engine

std::unique_ptr<Database> OpenOrDie(const std::string& directory, Env* env, int64_t retention_ms) {
  DatabaseOptions options;
  options.dir = directory;
  options.env = env;
  options.policy.retention_ms = retention_ms;
  options.background = false;
  auto opened = Database::Open(options);
  if (!opened) {
    std::fprintf(stderr, "%s\n", opened.error().ToString().c_str());
    std::exit(1);
  }
  return *std::move(opened);
}

void CheckOk(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

// As real exporters do: half of the slots stand still, a third count, the rest is noise.
double NextValue(size_t k, double value, std::mt19937_64& random) {
  if (k % 6 < 3) return value;
  if (k % 6 < 5) return value + static_cast<double>(random() % 200);
  return static_cast<double>(random() % 100'000) * 0.001;
}

void BenchEngine(const std::string& directory, size_t series) {
  constexpr size_t kSlots = 1000;
  constexpr int kRows = 480;
  const size_t sources = series / kSlots;
  const int64_t begin = Env::Default().NowMs() / kDayMs * kDayMs;
  SimulatedEnv env(begin);
  const double idle = ResidentBytes(true);
  auto db = OpenOrDie(directory, &env, 0);
  std::vector<std::unique_ptr<model::SourceWriter>> writers;
  std::vector<model::Slot> slots(kSlots);
  double cpu = CpuSeconds();
  for (size_t s = 0; s < sources; ++s) {
    writers.push_back(
        *db->OpenSource({model::OriginKind::kScrape, "bench/" + Text(s)}, TargetLabels(s)));
    for (size_t k = 0; k < kSlots; ++k) slots[k] = *writers.back()->AddSlot(SharedKey(k));
  }
  std::printf("{\"bench\":\"engine_new_series\",\"ns_per_series\":%.0f}\n",
              (CpuSeconds() - cpu) * 1e9 / static_cast<double>(series));
  std::mt19937_64 random(1);
  // One target's values for all, shifted: the bench's own memory must not count.
  std::vector<double> values(kSlots);
  double peak = 0;
  double peak_anonymous = 0;
  double append_cpu = 0;
  for (int row = 0; row < kRows; ++row) {
    const int64_t now = begin + row * kStepMs;
    env.Set(now);
    for (size_t k = 0; k < kSlots; ++k) values[k] = NextValue(k, values[k], random);
    cpu = CpuSeconds();
    for (size_t s = 0; s < sources; ++s) {
      auto batch = db->NewBatch();
      batch->BeginRow(*writers[s], now, model::RowKind::kFull);
      const auto shift = static_cast<double>(s);
      for (size_t k = 0; k < kSlots; ++k) batch->Set(slots[k], values[k] + shift);
      CheckOk(batch->Commit({}).status);
      if (s % 200 == 199) CheckOk(db->FlushWal(false));
    }
    append_cpu += CpuSeconds() - cpu;
    CheckOk(db->RunMaintenance());
    peak = std::max(peak, ResidentBytes(true) - idle);
    peak_anonymous = std::max(peak_anonymous, ResidentBytes(false));
  }
  const auto count = static_cast<double>(series);
  const DatabaseSizes sizes = db->sizes();
  std::printf(
      "{\"bench\":\"engine\",\"series\":%.0f,\"rows\":%d,\"append_ns_per_sample\":%.2f,"
      "\"peak_rss_bytes_per_series\":%.0f,\"peak_anonymous_bytes_per_series\":%.0f,"
      "\"head_bytes_per_series\":%.0f,\"index_bytes_per_series\":%.1f,\"segments\":%llu}\n",
      count, kRows, append_cpu * 1e9 / count / kRows, peak / count, peak_anonymous / count,
      static_cast<double>(sizes.head_bytes) / count, static_cast<double>(sizes.index_bytes) / count,
      static_cast<unsigned long long>(sizes.segments));
  writers.clear();
  CheckOk(db->Close());
}

// ----------------------------------------------------------------------------------------------------------
// churn

void BenchChurn(const std::string& directory, int days) {
  constexpr int kTargets = 50;
  constexpr size_t kSlots = 100;
  constexpr int64_t kReplaceMs = 10 * 60'000;
  constexpr int64_t kRowMs = 60'000;
  const int64_t begin = Env::Default().NowMs() / kDayMs * kDayMs - (days + 1) * kDayMs;
  SimulatedEnv env(begin);
  auto db = OpenOrDie(directory, &env, 90 * kDayMs);
  struct Target {
    std::unique_ptr<model::SourceWriter> writer;
    std::vector<model::Slot> slots;
  };
  std::vector<Target> targets(kTargets);
  size_t made = 0;
  const auto replace = [&](Target& target) {
    const size_t number = made++;
    for (const model::Slot slot : target.slots) target.writer->ReleaseSlot(slot);
    target.slots.clear();
    target.writer = *db->OpenSource({model::OriginKind::kScrape, "churn/" + Text(number)},
                                    TargetLabels(number));
    for (size_t k = 0; k < kSlots; ++k) {
      // A tenth of the keys are the target's own, as container ids are.
      const Labels key = k % 10 == 0 ? OwnKey(number, k) : SharedKey(k);
      target.slots.push_back(*target.writer->AddSlot(key));
    }
  };
  for (Target& target : targets) replace(target);
  std::mt19937_64 random(3);
  std::vector<std::pair<double, double>> points;  // day, resident bytes without mapped files
  size_t next_replaced = 0;
  const double cpu = CpuSeconds();
  for (int64_t t = kRowMs; t <= days * kDayMs; t += kRowMs) {
    env.Set(begin + t);
    if (t % kReplaceMs == 0) {
      for (int i = 0; i < kTargets / 10; ++i) replace(targets[next_replaced++ % kTargets]);
    }
    for (Target& target : targets) {
      auto batch = db->NewBatch();
      batch->BeginRow(*target.writer, begin + t, model::RowKind::kFull);
      for (size_t k = 0; k < kSlots; ++k)
        batch->Set(target.slots[k], static_cast<double>(k % 3 == 0 ? random() % 100 : k));
      CheckOk(batch->Commit({}).status);
    }
    CheckOk(db->RunMaintenance());
    if (t % (6 * 3'600'000) == 0) {
      const double day = static_cast<double>(t) / static_cast<double>(kDayMs);
      points.emplace_back(day, ResidentBytes(false));
      if (t % kDayMs == 0) {
        const DatabaseSizes sizes = db->sizes();
        std::printf(
            "{\"day\":%.0f,\"anonymous_mib\":%.1f,\"rss_mib\":%.1f,\"peak_rss_mib\":%.1f,"
            "\"descriptors\":%zu,\"mapped_regions\":%zu,\"files\":%zu,\"index_mib\":%.2f,"
            "\"head_mib\":%.2f,\"segments\":%llu,\"segment_mib\":%.1f,\"series\":%llu}\n",
            day, ResidentBytes(false) / 1048576, ResidentBytes(true) / 1048576,
            PeakResidentBytes() / 1048576, EntriesOf("/proc/self/fd"), MappedRegions(),
            EntriesOf(directory + "/segments") + EntriesOf(directory + "/wal"),
            static_cast<double>(sizes.index_bytes) / 1048576,
            static_cast<double>(sizes.head_bytes) / 1048576,
            static_cast<unsigned long long>(sizes.segments),
            static_cast<double>(sizes.segment_bytes) / 1048576,
            static_cast<unsigned long long>(sizes.series));
        std::fflush(stdout);
      }
    }
  }
  // Least squares past the first sixth, as the load tool does.
  points.erase(points.begin(), points.begin() + static_cast<ptrdiff_t>(points.size() / 6));
  double sx = 0;
  double sy = 0;
  double sxx = 0;
  double sxy = 0;
  for (const auto& [x, y] : points) {
    sx += x;
    sy += y;
    sxx += x * x;
    sxy += x * y;
  }
  const auto n = static_cast<double>(points.size());
  const double slope = (n * sxy - sx * sy) / (n * sxx - sx * sx);
  const auto series = static_cast<double>(made * kSlots);
  std::printf(
      "{\"bench\":\"churn\",\"days\":%d,\"series_ever\":%.0f,\"slope_kib_per_day\":%.1f,"
      "\"slope_bytes_per_new_series\":%.2f,\"disk_bytes_per_series\":%.0f,\"cpu_s\":%.1f}\n",
      days, series, slope / 1024, slope * days / series,
      static_cast<double>(db->sizes().segment_bytes) / series, CpuSeconds() - cpu);
  targets.clear();
  CheckOk(db->Close());
}

}  // namespace
}  // namespace tocsin::tsdb

int main(int argc, char** argv) {
  using namespace tocsin::tsdb;
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s shared|varied|distinct|engine|churn NUMBER [DIRECTORY]\n",
                 argv[0]);
    return 2;
  }
  tocsin::ConfigureLog(tocsin::LogLevel::kWarn, tocsin::LogFormat::kLogfmt);
  const std::string workload = argv[1];
  const auto number = static_cast<size_t>(std::atoll(argv[2]));
  if (workload == "shared") BenchIndex(Shape::kShared, "shared", number);
  if (workload == "varied") BenchIndex(Shape::kVaried, "varied", number);
  if (workload == "distinct") BenchIndex(Shape::kDistinct, "distinct", number);
  if (workload != "engine" && workload != "churn") return 0;
  std::string directory;
  if (argc > 3) {
    directory = argv[3];
  } else {
    char name[] = "/tmp/tsdb_memory_bench.XXXXXX";
    if (mkdtemp(name) == nullptr) return 1;
    directory = name;
  }
  if (workload == "engine") BenchEngine(directory, number);
  if (workload == "churn") BenchChurn(directory, static_cast<int>(number));
  if (argc <= 3) (void)tocsin::Env::Default().RemoveTree(directory);
  return 0;
}
