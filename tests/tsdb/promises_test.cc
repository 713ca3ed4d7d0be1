// Promises of the storage (tests/README.md) that no other test holds it to.
#include <algorithm>
#include <atomic>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "base/fault_env.h"
#include "base/mem_env.h"
#include "base/thread.h"
#include "model/storage.h"
#include "tests/tsdb/read_columns.h"
#include "tsdb/database.h"
#include "tsdb/manifest.h"
#include "tsdb/repair.h"
#include "tsdb/segment/meta.h"
#include "tsdb/wal/log_format.h"

namespace tocsin::tsdb::promises_test {
namespace {

using model::AppendOutcome;
using model::Durability;
using model::Labels;
using model::Timestamp;

constexpr Timestamp kNow = MemEnv::kStartMs;
constexpr int64_t kHourMs = 60 * 60 * 1000;
constexpr int64_t kDayMs = 24 * kHourMs;

using Stored = std::map<std::pair<std::string, Timestamp>, uint64_t>;  // bits by series and time

Labels L(std::vector<std::pair<std::string, std::string>> pairs) {
  return Labels::FromPairs(std::move(pairs));
}

DatabaseOptions Options(Env& env, std::string dir = "/db") {
  DatabaseOptions options;
  options.dir = std::move(dir);
  options.env = &env;
  options.background = false;
  options.shards = 2;
  options.replay_threads = 1;
  return options;
}

Stored ReadAll(const Database& db, model::TimeRange range = {}) {
  Stored stored;
  const auto snapshot = db.Pin();
  const auto selection = snapshot->Select({}, range, {});
  BOOST_REQUIRE(selection);
  ForEachColumn(**selection, [&](size_t i, const model::Column& column) {
    for (size_t s = 0; s < column.values.size(); ++s)
      stored[{(*selection)->LabelsAt(i).ToString(), column.timestamps[s]}] =
          std::bit_cast<uint64_t>(column.values[s]);
  });
  return stored;
}

// One target of a few series.
struct Target {
  std::unique_ptr<model::SourceWriter> writer;
  std::vector<model::Slot> slots;

  Target(Database& db, const std::string& job, int series = 3) {
    writer = *db.OpenSource({model::OriginKind::kScrape, job}, L({{"job", job}}));
    for (int i = 0; i < series; ++i)
      slots.push_back(*writer->AddSlot(L({{"__name__", "m" + std::to_string(i)}})));
  }
  model::CommitResult Row(Database& db, Timestamp t, double value,
                          model::CommitOptions options = {}) {
    auto batch = db.NewBatch();
    batch->BeginRow(*writer, t, model::RowKind::kFull);
    for (const model::Slot slot : slots) batch->Set(slot, value);
    return batch->Commit(options);
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(PromisesSuite)

// `wal-sync` syncs each second unless told otherwise: what had been written by then survives a
// power cut, though nobody waited for it.
BOOST_AUTO_TEST_CASE(R1R2PowerLossCostsNoMoreThanTheWindow) {
  BOOST_TEST(DatabaseOptions().wal_sync_interval_ms == 1000);
  for (const auto cut : {FaultEnv::Cut::kDropUnsynced, FaultEnv::Cut::kTorn}) {
    for (const auto durability : {Durability::kGrouped, Durability::kKernel}) {
      MemEnv memory;
      FaultEnv env(memory);
      auto db = *Database::Open(Options(env));
      auto target = std::make_unique<Target>(*db, "j");
      model::CommitOptions options;
      options.durability = durability;
      Stored synced;
      for (int i = 0; i < 100; ++i) {
        memory.AdvanceMs(15'000);
        BOOST_REQUIRE(target->Row(*db, memory.NowMs(), i, options).status.ok());
        if (i == 70) {
          BOOST_REQUIRE(db->FlushWal(/*sync=*/true).ok());
          synced = ReadAll(*db);
        }
      }
      target.reset();
      env.PowerCut(cut, 3);
      db.reset();
      env.ClearFault();
      const auto again = *Database::Open(Options(env));
      const Stored got = ReadAll(*again);
      for (const auto& [place, bits] : synced) {
        const auto found = got.find(place);
        BOOST_REQUIRE(found != got.end() && found->second == bits);
      }
    }
  }
}

// `wal-write` gives the kernel each 100 ms what scrapes have left in memory: the rest is all that a
// kill may cost.
BOOST_AUTO_TEST_CASE(R2KillNineCostsScrapesOfAHundredMillisecondsAtMost) {
  BOOST_TEST(DatabaseOptions().wal_write_interval_ms == 100);
  MemEnv memory;
  FaultEnv env(memory);
  auto db = *Database::Open(Options(env));
  auto target = std::make_unique<Target>(*db, "j");
  Stored written;
  for (int i = 0; i < 50; ++i) {
    memory.AdvanceMs(10);
    BOOST_REQUIRE(target->Row(*db, memory.NowMs(), i).status.ok());
    if (i % 10 == 9) {
      BOOST_REQUIRE(db->FlushWal(/*sync=*/false).ok());
      written = ReadAll(*db);
    }
    if (i == 45) break;
  }
  BOOST_TEST(written.size() == 3 * 40u);
  target.reset();
  env.Kill();
  db.reset();
  env.ClearFault();
  const auto again = *Database::Open(Options(env));
  const Stored got = ReadAll(*again);
  for (const auto& [place, bits] : written) {
    const auto found = got.find(place);
    BOOST_REQUIRE(found != got.end() && found->second == bits);
  }
}

BOOST_AUTO_TEST_CASE(R11RetentionTouchesNothingWithinItsTime) {
  MemEnv env;
  auto options = Options(env);
  options.policy.retention_ms = 0;
  const auto db = *Database::Open(options);
  Target target(*db, "j");
  for (Timestamp t = kNow; t < kNow + 6 * kDayMs; t += kHourMs / 2) {
    env.AdvanceMs(t - env.NowMs());
    BOOST_REQUIRE(target.Row(*db, t, static_cast<double>(t)).status.ok());
    BOOST_REQUIRE(db->RunMaintenance().ok());
  }
  const model::TimeRange kept{env.NowMs() - 2 * kDayMs, env.NowMs()};
  const Stored before = ReadAll(*db, kept);
  StoragePolicy policy = db->policy();
  policy.retention_ms = 2 * kDayMs;
  db->SetPolicy(policy);
  BOOST_REQUIRE(db->RunMaintenance().ok());
  BOOST_TEST((ReadAll(*db, kept) == before));
  BOOST_TEST(ReadAll(*db).size() < before.size() * 3 / 2 + 3 * 48);
  BOOST_REQUIRE(db->Compact().ok());
  BOOST_TEST((ReadAll(*db, kept) == before));
}

// Each kind of file, made to be of the version after this program's: the start fails, says so, and
// leaves every file as it is, for the newer program to go on with: also those that it would have
// put aside or removed.
BOOST_AUTO_TEST_CASE(R12AnOlderProgramRefusesNewerFilesLoudlyAndLeavesThemAlone) {
  MemEnv memory;
  {
    auto options = Options(memory);
    options.policy.retention_ms = 0;
    options.policy.rollups = {{kHourMs, 0}};
    const auto db = *Database::Open(options);
    Target target(*db, "j");
    for (Timestamp t = kNow; t < kNow + 2 * kDayMs; t += kHourMs / 4) {
      memory.AdvanceMs(t - memory.NowMs());
      model::CommitOptions commit;
      commit.durability = Durability::kKernel;
      BOOST_REQUIRE(target.Row(*db, t, 1, commit).status.ok());
    }
    BOOST_REQUIRE(db->Compact().ok());
    BOOST_REQUIRE(target.Row(*db, memory.NowMs() + 1000, 2).status.ok());
    BOOST_REQUIRE(db->DeleteSeries({{model::Matcher::Equal("__name__", "m0")}}, {kNow, kNow}).ok());
    BOOST_REQUIRE(db->FlushWal(false).ok());
    BOOST_REQUIRE(db->OpenNamedTail("remote"));
  }
  const std::vector<std::string> directories = {"/db",         "/db/wal",   "/db/segments",
                                                "/db/rollups", "/db/tails", "/db/import"};
  const auto files_of = [&directories](Env& env) {
    std::map<std::string, std::string> files;
    for (const std::string& directory : directories) {
      const std::vector<std::string> names =
          env.ListDir(directory).value_or(std::vector<std::string>());
      for (const std::string& name : names) {
        const std::string path = JoinPath(directory, name);
        if (env.Stat(path)->is_directory) {
          BOOST_TEST(std::count(directories.begin(), directories.end(), path) == 1, path);
        } else if (name != "lock") {
          files[path] = *env.ReadFile(path);
        }
      }
    }
    return files;
  };
  std::map<std::string, std::string> files = files_of(memory);
  std::string segment;
  for (const auto& [path, bytes] : files) {
    if (path.ends_with(".seg")) segment = bytes;
  }
  files["/db/import/L2-x.seg"] = segment;
  files["/db/import/complete"] = "";
  const auto make_newer = [](const std::string& path, std::string* bytes) {
    if (path.ends_with(".seg") || path.ends_with(".rol")) {
      (*bytes)[8] = (*bytes)[bytes->size() - 16] = kSegmentFormatVersion + 1;
    } else if (path.ends_with(".log")) {
      for (size_t at = 0; at < bytes->size(); at += kLogBlockBytes) {
        (*bytes)[at + 4] = kLogVersion + 1;
        SetFixed32(*bytes, at + kLogBlockHeaderBytes - 4,
                   Crc32c(std::string_view(*bytes).substr(at, kLogBlockHeaderBytes - 4)));
      }
    } else if (path.find("manifest") != std::string::npos) {
      (*bytes)[12] = kManifestFormatVersion + 1;
      SetFixed32(*bytes, 8, Crc32c(std::string_view(*bytes).substr(12)));
    } else if (path.find("/tails/") != std::string::npos) {
      ++(*bytes)[4];
    } else {
      return false;
    }
    return true;
  };
  std::set<std::string> kinds;
  for (const auto& [victim, sound] : files) {
    // Both manifests, as a newer program writes them.
    const bool manifest = victim.find("manifest") != std::string::npos;
    std::map<std::string, std::string> disk = files;
    bool newer = false;
    for (auto& [path, bytes] : disk) {
      if (path == victim || (manifest && path.find("manifest") != std::string::npos))
        newer = make_newer(path, &bytes);
    }
    if (!newer) continue;
    kinds.insert(manifest ? "manifest" : victim.substr(victim.size() - 3));
    disk["/db/segments/junk.seg"] = "damaged";
    disk["/db/segments/unfinished.tmp"] = "damaged";
    disk["/db/rollups/junk.rol"] = "damaged";
    disk["/db/wal/00-00000001.log.tmp"] = "damaged";
    disk.erase("/db/seed");
    BOOST_TEST_CONTEXT(victim) {
      MemEnv env;
      for (const std::string& directory : directories)
        BOOST_REQUIRE(env.CreateDirs(directory).ok());
      for (const auto& [path, bytes] : disk)
        BOOST_REQUIRE(env.WriteFileAtomically(path, bytes).ok());
      env.SetNowMs(memory.NowMs());
      const auto opened = Database::Open(Options(env));
      BOOST_REQUIRE(!opened);
      BOOST_TEST((opened.error().code() == Code::kUnimplemented));
      BOOST_TEST(opened.error().message().find("version") != std::string::npos);
      BOOST_TEST((files_of(env) == disk));
      const auto repaired = RepairStore(env, "/db", [](uint64_t, uint64_t) {});
      BOOST_TEST((!repaired && repaired.error().code() == Code::kUnimplemented));
      BOOST_TEST((files_of(env) == disk));
    }
  }
  BOOST_TEST((kinds == std::set<std::string>{"log", "manifest", "ote", "rol", "seg"}));
}

// Scrapes go on at the times that the clock shows, whatever was done to it; the ones that come out
// as late are within what is accepted.
BOOST_AUTO_TEST_CASE(R13ClockStepsOfAnHourLoseNoScrape) {
  for (const int64_t step_ms : {-kHourMs, kHourMs}) {
    for (const bool restart : {false, true}) {
      BOOST_TEST_CONTEXT("step " << step_ms << (restart ? ", and a restart" : "")) {
        MemEnv env;
        auto db = *Database::Open(Options(env));
        auto target = std::make_unique<Target>(*db, "j");
        Stored want;
        const auto scrape = [&](int64_t duration_ms) {
          // As the collector does it.
          model::CommitOptions options;
          options.extra_late_ms = 15 * 60 * 1000;
          for (int64_t t = 0; t < duration_ms; t += 15'000) {
            env.AdvanceMs(15'000);
            const auto result = target->Row(*db, env.NowMs(), 1, options);
            BOOST_REQUIRE(result.status.ok() && result.refusals.empty());
            for (const char* name : {"m0", "m1", "m2"})
              want[{L({{"__name__", name}, {"job", "j"}}).ToString(), env.NowMs()}] =
                  std::bit_cast<uint64_t>(1.0);
            if (t % 600'000 == 0) BOOST_REQUIRE(db->RunMaintenance().ok());
          }
        };
        scrape(3 * kHourMs);
        // By 7 ms more, so that no scrape meets another's timestamp.
        env.SetNowMs(env.NowMs() + step_ms + 7);
        if (restart) {
          target.reset();
          db.reset();
          db = *Database::Open(Options(env));
          target = std::make_unique<Target>(*db, "j");
        }
        scrape(3 * kHourMs);
        BOOST_TEST((ReadAll(*db) == want));
        BOOST_REQUIRE(db->Compact().ok());
        BOOST_TEST((ReadAll(*db) == want));
        target.reset();
      }
    }
  }
}

// Two appenders each write the same number to all slots of a source, row by row, while everything
// is sealed and merged; each snapshot, opened as a database, has whole rows, and of each appender
// all of them up to one.
BOOST_AUTO_TEST_CASE(R15ASnapshotUnderLoadRestoresToAConsistentPoint) {
  MemEnv env;
  auto options = Options(env);
  options.background = true;
  options.wal_write_interval_ms = 1;
  options.out_of_order_window_ms = 30 * kDayMs;
  options.policy.retention_ms = 0;
  const auto db = *Database::Open(options);
  constexpr int kSnapshots = 3;
  constexpr int kRowsMax = 200'000;
  std::atomic<int> taken{0};
  std::atomic<int> failed{0};
  std::vector<Thread> threads;
  for (int a = 0; a < 2; ++a) {
    threads.emplace_back("append-" + std::to_string(a), [&, a] {
      Target target(*db, "j" + std::to_string(a));
      for (int i = 0; i < kRowsMax && taken < kSnapshots; ++i) {
        env.AdvanceMs(1000);
        const auto result = target.Row(*db, kNow + int64_t{i} * 1000, i);
        if (!result.status.ok() || !result.refusals.empty()) ++failed;
      }
    });
  }
  std::vector<std::string> snapshots;
  threads.emplace_back("snapshot", [&] {
    while (taken < kSnapshots) {
      snapshots.push_back("/s" + std::to_string(snapshots.size()));
      if (!db->Snapshot(snapshots.back(), false).ok()) ++failed;
      if (!db->Compact().ok()) ++failed;
      ++taken;
    }
  });
  for (Thread& thread : threads) thread.Join();
  BOOST_TEST(failed == 0);
  for (const std::string& directory : snapshots) {
    auto restored = Database::Open(Options(env, directory));
    BOOST_REQUIRE(restored);
    std::map<std::string, std::set<uint64_t>> rows;  // by series
    for (const auto& [place, bits] : ReadAll(**restored)) {
      const auto i = static_cast<uint64_t>((place.second - kNow) / 1000);
      BOOST_REQUIRE_EQUAL(bits, std::bit_cast<uint64_t>(static_cast<double>(i)));
      rows[place.first].insert(i);
    }
    for (int a = 0; a < 2; ++a) {
      std::set<uint64_t> whole;
      for (int m = 0; m < 3; ++m) {
        const auto& its =
            rows[L({{"__name__", "m" + std::to_string(m)}, {"job", "j" + std::to_string(a)}})
                     .ToString()];
        if (m == 0) whole = its;
        BOOST_REQUIRE(its == whole);
      }
      BOOST_REQUIRE(whole.empty() || *whole.rbegin() == whole.size() - 1);
    }
  }
}

// Whatever is sent, refused for any reason, by itself or with its batch: what is stored and what is
// counted are together what was received.
BOOST_AUTO_TEST_CASE(R16EverySampleIsStoredOrCountedByItsReason) {
  MemEnv env(3);
  auto options = Options(env);
  const auto db = *Database::Open(options);
  Target target(*db, "j", 5);
  uint64_t received = 0;
  uint64_t random = 1;
  const auto any = [&random](int64_t below) {
    random = random * 6364136223846793005 + 1442695040888963407;
    return static_cast<int64_t>((random >> 33) % static_cast<uint64_t>(below));
  };
  for (int i = 0; i < 3000; ++i) {
    env.AdvanceMs(1000);
    auto batch = db->NewBatch();
    for (int row = 0; row < 2; ++row) {
      // Now and then far too old, or at a time that is taken.
      const Timestamp t = env.NowMs() - (any(10) == 0 ? any(5 * kHourMs) : any(3000));
      batch->BeginRow(*target.writer, t, model::RowKind::kPartial);
      const int64_t samples = 1 + any(5);
      for (int64_t s = 0; s < samples; ++s)
        batch->Set(target.slots[static_cast<size_t>(s)], static_cast<double>(any(3)));
      received += static_cast<uint64_t>(samples);
    }
    model::CommitOptions commit;
    commit.all_or_nothing = any(4) == 0;
    static_cast<void>(batch->Commit(commit));
    if (i % 500 == 499) BOOST_REQUIRE(db->Compact().ok());
  }
  BOOST_REQUIRE(db->Compact().ok());
  const DatabaseCounters counters = db->counters();
  uint64_t lost = counters.samples_refused_with_batch;
  size_t reasons = 0;
  for (const uint64_t of_reason : counters.samples_refused) {
    lost += of_reason;
    reasons += of_reason > 0 ? 1 : 0;
  }
  BOOST_TEST(reasons >= 3u);
  BOOST_TEST(counters.samples_refused_with_batch > 0u);
  BOOST_TEST(ReadAll(*db).size() + lost == received);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::promises_test
