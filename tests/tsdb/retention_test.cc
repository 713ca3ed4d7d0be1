// Retention: by time over steps of the clock, by size as a hard cap, by part of the disk, by
// matchers; the free-space floor.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/mem_env.h"
#include "model/storage.h"
#include "tests/tsdb/read_columns.h"
#include "tsdb/budget_env.h"
#include "tsdb/database.h"
#include "tsdb/retention.h"

namespace tocsin::tsdb::retention_test {
namespace {

using model::Labels;
using model::Timestamp;

constexpr int64_t kMinute = 60'000;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;
constexpr Timestamp kStart = MemEnv::kStartMs;  // midnight UTC

Labels L(std::vector<std::pair<std::string, std::string>> pairs) {
  return Labels::FromPairs(std::move(pairs));
}

uint64_t TreeBytes(Env& env, const std::string& path) {
  const auto info = env.Stat(path);
  if (!info) return 0;
  if (!info->is_directory) return info->size;
  uint64_t bytes = 0;
  const auto names = env.ListDir(path).value_or(std::vector<std::string>());
  for (const std::string& name : names) bytes += TreeBytes(env, JoinPath(path, name));
  return bytes;
}

// One scraped source with noisy series; time moves with its rows.
struct Store {
  MemEnv env{5};
  DatabaseOptions options;
  std::unique_ptr<Database> db;
  std::unique_ptr<model::SourceWriter> writer;
  std::vector<model::Slot> slots;
  std::mt19937_64 random{11};
  uint64_t highest_bytes = 0;
  uint64_t refused_rows = 0;

  explicit Store(StoragePolicy policy = {}, int series = 4) {
    options.dir = "/db";
    options.env = &env;
    options.background = false;
    options.shards = 2;
    options.policy = std::move(policy);
    Open(series);
  }
  void Open(int series) {
    writer.reset();
    db.reset();
    auto opened = Database::Open(options);
    BOOST_REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().ToString()));
    db = *std::move(opened);
    writer = *db->OpenSource({model::OriginKind::kScrape, "t"}, L({{"job", "j"}}));
    slots.clear();
    for (int i = 0; i < series; ++i) {
      slots.push_back(*writer->AddSlot(
          L({{"__name__", "m" + std::to_string(i % 2)}, {"i", std::to_string(i)}})));
    }
  }
  model::CommitResult Row(Timestamp t) {
    auto batch = db->NewBatch();
    batch->BeginRow(*writer, t, model::RowKind::kFull);
    for (const model::Slot slot : slots)
      batch->Set(slot, static_cast<double>(random()), model::kRowTimestamp);
    model::CommitOptions commit;
    commit.durability = model::Durability::kKernel;
    return batch->Commit(commit);
  }
  // Rows and rounds of maintenance.
  void Run(int64_t duration_ms, int64_t interval_ms) {
    for (int64_t t = 0; t < duration_ms; t += interval_ms) {
      if (!Row(env.NowMs()).status.ok()) ++refused_rows;
      env.AdvanceMs(interval_ms);
      const Status status = db->RunMaintenance();
      BOOST_REQUIRE_MESSAGE(status.ok(), status.ToString());
      highest_bytes = std::max(highest_bytes, TreeBytes(env, "/db"));
    }
  }
  // Days, from the start, of which samples of the series that match can be read.
  std::string Days(const model::MatcherSet& matchers = {}) {
    std::string text;
    const auto snapshot = db->Pin();
    for (int64_t day = 0; day < 60; ++day) {
      const model::TimeRange range{kStart + day * kDay, kStart + (day + 1) * kDay - 1};
      const auto selection = snapshot->Select(matchers, range, {});
      BOOST_REQUIRE(selection);
      size_t samples = 0;
      ForEachColumn(**selection, [&samples](size_t, const model::Column& column) {
        samples += column.values.size();
      });
      if (samples > 0) text += (text.empty() ? "" : " ") + std::to_string(day);
    }
    return text;
  }
};

StoragePolicy ByTime(int64_t retention_ms) {
  StoragePolicy policy;
  policy.retention_ms = retention_ms;
  return policy;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(Retention_)

BOOST_AUTO_TEST_CASE(DaysGoWhenTheirLastSampleIsPastItsTime) {
  Store store(ByTime(2 * kDay));
  store.Run(6 * kDay, 15 * kMinute);
  // The sixth day has just ended: the fourth is within two days of it.
  BOOST_TEST(store.Days() == "3 4 5");
  BOOST_TEST(store.db->counters().segments_deleted_by_retention > 0u);
}

// A shorter time that a reload brings holds at once, a longer one from then on.
BOOST_AUTO_TEST_CASE(ThePolicyMayChangeWhileRunning) {
  Store store(ByTime(0));
  store.Run(5 * kDay, 15 * kMinute);
  BOOST_TEST(store.Days() == "0 1 2 3 4");
  store.db->SetPolicy(ByTime(kDay));
  BOOST_REQUIRE(store.db->RunMaintenance().ok());
  BOOST_TEST(store.Days() == "3 4");
  store.db->SetPolicy(ByTime(0));
  store.Run(2 * kDay, 15 * kMinute);
  BOOST_TEST(store.Days() == "3 4 5 6");
}

BOOST_AUTO_TEST_CASE(R13ClockStepsDeleteNothingForAnHour) {
  struct Case {
    const char* name;
    int64_t step_ms;
    bool restart;
    int64_t wait_ms;
    bool deletes;
  };
  static const Case kCases[] = {
      {"an hour ahead", kHour, false, 10 * kMinute, false},
      {"ten years ahead, soon", 3650 * kDay, false, 50 * kMinute, false},
      {"ten years ahead, later", 3650 * kDay, false, 3 * kHour, true},
      {"ten years ahead while off", 3650 * kDay, true, 50 * kMinute, false},
      {"ten years back", -3650 * kDay, false, 3 * kHour, false},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      Store store(ByTime(3 * kDay));
      store.Run(2 * kDay, 30 * kMinute);
      store.env.SetNowMs(store.env.NowMs() + c.step_ms);
      if (c.restart) store.Open(4);
      for (int64_t t = 0; t < c.wait_ms; t += 5 * kMinute) {
        store.Row(store.env.NowMs());
        store.env.AdvanceMs(5 * kMinute);
        BOOST_REQUIRE(store.db->RunMaintenance().ok());
      }
      BOOST_TEST(store.Days().starts_with("0 1") == !c.deletes);
    }
  }
}

BOOST_AUTO_TEST_CASE(SizeIsAHardCapAtAnyRate) {
  struct Case {
    const char* name;
    uint64_t cap;
    int series;
    int64_t interval_ms;
  };
  // A day of the first is about 0.6 MB, of the last 4.6 MB: nothing but today fits.
  static const Case kCases[] = {
      {"days fit", 4 << 20, 50, 60'000},
      {"twice the rate", 4 << 20, 100, 60'000},
      {"not even a day", 2 << 20, 400, 60'000},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      StoragePolicy policy = ByTime(0);
      policy.retention_bytes = c.cap;
      Store store(policy, c.series);
      store.Run(8 * kDay, c.interval_ms);
      BOOST_TEST(store.highest_bytes <= c.cap);
      BOOST_TEST(store.highest_bytes >= c.cap / 2);
      BOOST_TEST(store.refused_rows == 0u);
      BOOST_TEST(store.db->sizes().disk_bytes == TreeBytes(store.env, "/db"));
      // The newest stay.
      const std::string days = store.Days();
      BOOST_TEST(days.ends_with("7"), days);
      BOOST_TEST(!days.starts_with("0"), days);
    }
  }
}

BOOST_AUTO_TEST_CASE(APartOfTheDiskIsACapToo) {
  StoragePolicy policy = ByTime(0);
  policy.retention_disk_share = 0.25;
  policy.free_space_floor_bytes = 0;
  policy.free_space_floor_disk_share = 0;
  Store store(policy, 50);
  store.env.SetDiskSize(16 << 20);
  store.Run(8 * kDay, kMinute);
  BOOST_TEST(store.highest_bytes <= (4u << 20));
  BOOST_TEST(store.refused_rows == 0u);
  // A volume that grew: more is kept.
  store.env.SetDiskSize(uint64_t{1} << 30);
  store.Run(8 * kDay, kMinute);
  BOOST_TEST(store.highest_bytes > (4u << 20));
}

BOOST_AUTO_TEST_CASE(RulesKeepSeriesLongerOrShorter) {
  StoragePolicy policy = ByTime(3 * kDay);
  policy.retention_rules.push_back(
      {{model::Matcher::Equal("__name__", "m0"), model::Matcher::Equal("i", "0")}, 100 * kDay});
  policy.retention_rules.push_back({{model::Matcher::Equal("__name__", "m0")}, kDay});
  Store store(policy);
  store.Run(8 * kDay, 30 * kMinute);
  BOOST_TEST(store.Days({model::Matcher::Equal("i", "0")}) == "0 1 2 3 4 5 6 7");  // first rule
  BOOST_TEST(store.Days({model::Matcher::Equal("i", "2")}) == "6 7");              // second
  BOOST_TEST(store.Days({model::Matcher::Equal("__name__", "m1")}) == "4 5 6 7");  // none
  // Nothing is rewritten twice for the same reason.
  const uint64_t merges = store.db->counters().merges;
  for (int i = 0; i < 10; ++i) BOOST_REQUIRE(store.db->RunMaintenance().ok());
  BOOST_TEST(store.db->counters().merges == merges);
  // Gone for good.
  store.Open(4);
  BOOST_REQUIRE(store.db->RunMaintenance().ok());
  BOOST_TEST(store.Days({model::Matcher::Equal("i", "2")}) == "6 7");
  BOOST_TEST(store.Days({model::Matcher::Equal("i", "0")}) == "0 1 2 3 4 5 6 7");
}

// A file of which every series is past its time is deleted, not written empty.
BOOST_AUTO_TEST_CASE(AFileThatRulesEmptyIsDeleted) {
  StoragePolicy policy = ByTime(0);
  policy.retention_rules.push_back({{model::Matcher::Equal("job", "j")}, 2 * kDay});
  Store store(policy);
  store.Run(6 * kDay, 30 * kMinute);
  BOOST_TEST(store.Days() == "3 4 5");
  BOOST_TEST(store.db->sizes().segments < 60u);
  BOOST_TEST(store.db->counters().segments_deleted_by_retention > 0u);
}

BOOST_AUTO_TEST_CASE(BelowTheFloorSamplesAreRefusedAndReadsGoOn) {
  StoragePolicy policy;
  policy.free_space_floor_bytes = 1 << 20;
  policy.free_space_floor_disk_share = 0;
  Store store(policy);
  store.Run(2 * kHour, kMinute);
  const std::string before = store.Days();
  store.env.SetFreeSpace((1 << 20) - 1);
  BOOST_REQUIRE(store.db->RunMaintenance().ok());
  BOOST_TEST((store.Row(store.env.NowMs()).status.code() == Code::kNoSpace));
  BOOST_TEST(store.db->sizes().below_free_space_floor);
  BOOST_TEST(store.db->counters()
                 .samples_refused[static_cast<size_t>(model::AppendOutcome::kStorageFull)] == 4u);
  BOOST_TEST(store.Days() == before);
  store.env.SetFreeSpace(1 << 20);
  BOOST_REQUIRE(store.db->RunMaintenance().ok());
  BOOST_TEST(store.Row(store.env.NowMs()).status.ok());
  BOOST_TEST(!store.db->sizes().below_free_space_floor);
}

BOOST_AUTO_TEST_CASE(TheBudgetCountsEveryFileOperation) {
  MemEnv memory;
  DiskBudget budget;
  BudgetEnv env(memory, "/d", budget);
  BOOST_REQUIRE(env.CreateDirs("/d/a").ok());
  BOOST_REQUIRE(memory.CreateDirs("/d/state").ok());
  BOOST_REQUIRE(memory.WriteFileAtomically("/d/a/old", std::string(100, 'x')).ok());
  BOOST_REQUIRE(memory.WriteFileAtomically("/d/state/foreign", std::string(50, 'x')).ok());
  BOOST_REQUIRE(env.CountFiles().ok());
  BOOST_TEST(budget.used() == 100u);
  budget.SetCap(1000);
  auto file = *env.NewWritableFile("/d/a/new", WriteMode::kTruncate);
  BOOST_REQUIRE(file->Append(std::string(600, 'y')).ok());
  BOOST_TEST(budget.used() == 700u);
  BOOST_TEST((file->Append(std::string(301, 'y')).code() == Code::kNoSpace));
  BOOST_TEST(budget.used() == 700u);
  BOOST_REQUIRE(file->Append(std::string(300, 'y')).ok());
  BOOST_REQUIRE(file->Close().ok());
  BOOST_TEST(budget.left() == 0u);
  BOOST_REQUIRE(env.Truncate("/d/a/new", 400).ok());
  BOOST_TEST(budget.used() == 500u);
  BOOST_REQUIRE(env.Rename("/d/a/new", "/d/a/old").ok());
  BOOST_TEST(budget.used() == 400u);
  // Another handle, as a sync opens it, counts nothing twice.
  {
    auto again = *env.NewWritableFile("/d/a/old", WriteMode::kAppend);
  }
  BOOST_TEST(budget.used() == 400u);
  // What a crash of the writer lost is given back.
  {
    auto lost = *env.NewWritableFile("/d/a/old", WriteMode::kAppend);
    BOOST_REQUIRE(lost->Append(std::string(10, 'z')).ok());
    BOOST_TEST(budget.used() == 410u);
  }
  BOOST_TEST(budget.used() == 400u);
  BOOST_REQUIRE(env.Rename("/d/a", "/d/b").ok());
  BOOST_REQUIRE(env.Remove("/d/b/old").ok());
  BOOST_TEST(budget.used() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::retention_test
