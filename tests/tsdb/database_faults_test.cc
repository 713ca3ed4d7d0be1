// Database over a disk that fails, fills up, loses power, and flips bits.
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/fault_env.h"
#include "base/mem_env.h"
#include "model/storage.h"
#include "tsdb/database.h"

namespace tocsin::tsdb::database_faults_test {
namespace {

using model::Durability;
using model::Labels;
using model::RowKind;
using model::Timestamp;

constexpr Timestamp kNow = MemEnv::kStartMs;
constexpr int kSlots = 12;

using Stored = std::map<std::pair<std::string, Timestamp>, uint64_t>;

DatabaseOptions Options(Env& env) {
  DatabaseOptions options;
  options.dir = "/db";
  options.env = &env;
  options.background = false;
  options.shards = 2;
  options.replay_threads = 1;
  return options;
}

Labels L(std::vector<std::pair<std::string, std::string>> pairs) {
  return Labels::FromPairs(std::move(pairs));
}

// Everything that can be read; false when a read failed.
bool ReadAll(const Database& db, Stored* stored) {
  const auto snapshot = db.Pin();
  const auto selection = snapshot->Select({}, {}, {});
  if (!selection) return false;
  const auto reader = (*selection)->NewReader();
  model::ColumnBatch batch;
  for (size_t i = 0; i < (*selection)->size(); ++i) {
    if (!reader->Read(i, 1, &batch).ok()) return false;
    const std::string name = (*selection)->LabelsAt(i).ToString();
    const model::Column& column = batch.columns[0];
    for (size_t s = 0; s < column.values.size(); ++s) {
      const bool fresh =
          stored
              ->try_emplace({name, column.timestamps[s]}, std::bit_cast<uint64_t>(column.values[s]))
              .second;
      BOOST_REQUIRE_MESSAGE(fresh, name << " twice at " << column.timestamps[s] - kNow);
    }
  }
  return true;
}

// Pushes one series, a sample at a time.
class Pusher {
 public:
  Pusher(Database& db, const std::string& job)
      : db_(db),
        writer_(*db.OpenSource({model::OriginKind::kPush, job}, L({{"job", job}}))),
        slot_(*writer_->AddSlot(L({{"__name__", "m"}}))),
        name_(L({{"__name__", "m"}, {"job", job}}).ToString()) {}

  const std::string& name() const { return name_; }
  // Adds the sample to `batch`.
  void Stage(model::AppendBatch& batch, Timestamp t, double v) {
    batch.BeginRow(*writer_, t, RowKind::kPartial);
    batch.Set(slot_, v, model::kRowTimestamp);
  }
  model::CommitResult Push(Timestamp t, double v, Durability durability) {
    const auto batch = db_.NewBatch();
    Stage(*batch, t, v);
    model::CommitOptions commit;
    commit.durability = durability;
    commit.all_or_nothing = true;
    return batch->Commit(commit);
  }
  void Close() { writer_.reset(); }

 private:
  Database& db_;
  std::unique_ptr<model::SourceWriter> writer_;
  model::Slot slot_;
  std::string name_;
};

// The process dies, or the machine does; nothing that `db` still does reaches the disk.
void Die(FaultEnv& env, std::unique_ptr<Database>* db, bool power_cut = false) {
  if (power_cut) {
    env.PowerCut(FaultEnv::Cut::kDropUnsynced);
  } else {
    env.Kill();
  }
  env.FailAfter(0, Status(Code::kIo, "dead"), kWriteOps, Repeat::kFromThenOn);
  db->reset();
  env.ClearFault();
}

// What a client knows.
struct Acknowledged {
  Stored written;  // handed to Commit at all
  Stored kernel;   // acknowledged as with the kernel
  Stored synced;   // acknowledged as synced
};

// A life of a database: rows of three sources under all durabilities, seals, merges, a restart.
// Carries on after errors, as callers do.
void Live(FaultEnv& env, MemEnv& memory, Acknowledged* known, int from_step, int to_step) {
  std::unique_ptr<Database> db;
  std::map<int, std::unique_ptr<model::SourceWriter>> writers;
  for (int step = from_step; step < to_step; ++step) {
    memory.AdvanceMs(200'000);
    if (db == nullptr) {
      auto opened = Database::Open(Options(env));
      if (!opened) continue;
      db = *std::move(opened);
    }
    auto batch = db->NewBatch();
    Stored samples;
    for (int source = 0; source < 3; ++source) {
      if (step % 3 == source) continue;
      auto& writer = writers[source];
      const std::string job = "j" + std::to_string(source);
      if (writer == nullptr) {
        auto opened = db->OpenSource({model::OriginKind::kScrape, job}, L({{"job", job}}));
        if (!opened) continue;
        writer = *std::move(opened);
      }
      const Timestamp t = kNow + step * 200'000 + source;
      batch->BeginRow(*writer, t, source == 0 ? RowKind::kPartial : RowKind::kFull);
      for (int k = 0; k < kSlots; ++k) {
        const auto slot = writer->AddSlot(L({{"__name__", "m"}, {"k", std::to_string(k)}}));
        const double v = step * k + 0.5 * source;
        batch->Set(*slot, v, model::kRowTimestamp);
        const std::string name =
            L({{"__name__", "m"}, {"k", std::to_string(k)}, {"job", job}}).ToString();
        samples[{name, t}] = std::bit_cast<uint64_t>(v);
      }
    }
    model::CommitOptions commit;
    commit.durability = static_cast<Durability>(step % 3);
    known->written.insert(samples.begin(), samples.end());
    const auto result = batch->Commit(commit);
    if (result.status.ok() && result.refusals.empty()) {
      if (commit.durability >= Durability::kKernel)
        known->kernel.insert(samples.begin(), samples.end());
      if (commit.durability == Durability::kSynced)
        known->synced.insert(samples.begin(), samples.end());
    }
    if (step % 5 == 4) (void)db->RunMaintenance();
    if (step % 11 == 10) (void)db->Compact();
    if (step % 7 == 6) {
      writers.clear();
      (void)db->Close();
      db.reset();
    }
  }
  writers.clear();
}

void RequireHolds(const Stored& got, const Stored& want, const Stored& possible) {
  for (const auto& [place, bits] : want) {
    const auto found = got.find(place);
    BOOST_REQUIRE_MESSAGE(found != got.end(),
                          "lost " << place.first << " at " << place.second - kNow);
    BOOST_REQUIRE(found->second == bits);
  }
  for (const auto& [place, bits] : got) {
    const auto found = possible.find(place);
    BOOST_REQUIRE_MESSAGE(found != possible.end(),
                          "invented " << place.first << " at " << place.second - kNow);
    BOOST_REQUIRE(found->second == bits);
  }
}

Stored Reopen(Env& env) {
  auto opened = Database::Open(Options(env));
  BOOST_REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().ToString()));
  Stored got;
  BOOST_REQUIRE(ReadAll(**opened, &got));
  return got;
}

constexpr int kSteps = 24;

uint64_t CountOperations() {
  MemEnv memory;
  FaultEnv env(memory);
  Acknowledged known;
  Live(env, memory, &known, 0, kSteps);
  return env.operations();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(DatabaseFaultsSuite)

BOOST_AUTO_TEST_CASE(OneFailedOperationAnywhereLosesNothingAcknowledged) {
  const uint64_t operations = CountOperations();
  BOOST_REQUIRE(operations > 100u);
  for (uint64_t n = 0; n < operations; ++n) {
    BOOST_TEST_CONTEXT("operation " << n) {
      MemEnv memory;
      FaultEnv env(memory);
      Acknowledged known;
      env.FailAfter(n, Status(n % 2 == 0 ? Code::kNoSpace : Code::kIo, "injected"));
      Live(env, memory, &known, 0, kSteps);
      env.ClearFault();
      RequireHolds(Reopen(env), known.kernel, known.written);
    }
  }
}

BOOST_AUTO_TEST_CASE(R1AProcessKilledAtAnyOperationKeepsWhatTheKernelHad) {
  const uint64_t operations = CountOperations();
  for (uint64_t n = 0; n < operations; ++n) {
    BOOST_TEST_CONTEXT("operation " << n) {
      MemEnv memory;
      FaultEnv env(memory);
      Acknowledged known;
      env.FailAfter(n, Status(Code::kIo, "killed"), kWriteOps, Repeat::kFromThenOn);
      Live(env, memory, &known, 0, kSteps);
      env.Kill();
      env.ClearFault();
      RequireHolds(Reopen(env), known.kernel, known.written);
      // And it goes on from there.
      Acknowledged later = known;
      Live(env, memory, &later, kSteps, kSteps + 4);
      RequireHolds(Reopen(env), later.kernel, later.written);
    }
  }
}

BOOST_AUTO_TEST_CASE(R1APowerCutAtAnyOperationKeepsWhatWasSynced) {
  const uint64_t operations = CountOperations();
  for (const auto cut : {FaultEnv::Cut::kDropUnsynced, FaultEnv::Cut::kTorn}) {
    for (uint64_t n = 0; n < operations; ++n) {
      BOOST_TEST_CONTEXT("operation " << n << (cut == FaultEnv::Cut::kTorn ? ", torn" : "")) {
        MemEnv memory;
        FaultEnv env(memory);
        Acknowledged known;
        env.FailAfter(n, Status(Code::kIo, "no power"), kWriteOps, Repeat::kFromThenOn);
        Live(env, memory, &known, 0, kSteps);
        env.PowerCut(cut, n);
        env.ClearFault();
        RequireHolds(Reopen(env), known.synced, known.written);
        Acknowledged later = known;
        Live(env, memory, &later, kSteps, kSteps + 4);
        RequireHolds(Reopen(env), later.synced, later.written);
      }
    }
  }
}

// A push whose log write failed is answered with an error, its rows stay, and the client sends it
// again: that must be acknowledged once, and only once, the rows are where the durability says.
BOOST_AUTO_TEST_CASE(APushSentAgainAfterAFailedLogWriteIsAcknowledgedAndDurable) {
  static constexpr FileOps kLogOps[] = {kAppendOp, kFlushOp, kSyncOp};
  for (const FileOps op : kLogOps) {
    for (const auto durability : {Durability::kKernel, Durability::kSynced}) {
      if (op == kSyncOp && durability == Durability::kKernel) continue;
      BOOST_TEST_CONTEXT("operation " << op << ", durability " << static_cast<int>(durability)) {
        MemEnv memory;
        FaultEnv env(memory);
        auto db = *Database::Open(Options(env));
        Pusher pusher(*db, "j");
        env.FailAfter(0, Status(Code::kIo, "injected"), op, Repeat::kFromThenOn);
        BOOST_TEST(!pusher.Push(kNow, 1, durability).status.ok());
        // As long as the disk fails, so does the copy.
        BOOST_TEST(!pusher.Push(kNow, 1, durability).status.ok());
        env.ClearFault();
        const auto again = pusher.Push(kNow, 1, durability);
        BOOST_TEST(again.status.ok());
        BOOST_TEST(again.samples_committed == 0u);
        BOOST_REQUIRE(again.refusals.size() == 1u);
        BOOST_TEST((again.refusals[0].outcome == model::AppendOutcome::kDuplicate));
        // The same timestamp with another value is another push.
        const auto other = pusher.Push(kNow, 2, durability);
        BOOST_TEST((other.status.code() == Code::kInvalidArgument));
        BOOST_REQUIRE(other.refusals.size() == 1u);
        BOOST_TEST((other.refusals[0].outcome == model::AppendOutcome::kDuplicateTimestamp));
        pusher.Close();
        Die(env, &db, durability == Durability::kSynced);
        BOOST_TEST((Reopen(env) == Stored{{{pusher.name(), kNow}, std::bit_cast<uint64_t>(1.0)}}));
      }
    }
  }
}

// The first copy is still on its way to the disk (here: nobody waits for it at all).
BOOST_AUTO_TEST_CASE(ADuplicateIsAcknowledgedOnlyWithWhatItIsACopyOf) {
  for (const auto durability : {Durability::kKernel, Durability::kSynced}) {
    MemEnv memory;
    FaultEnv env(memory);
    auto db = *Database::Open(Options(env));
    Pusher pusher(*db, "j");
    BOOST_TEST(pusher.Push(kNow, 1, Durability::kGrouped).status.ok());
    BOOST_TEST(pusher.Push(kNow, 1, durability).status.ok());
    pusher.Close();
    Die(env, &db, durability == Durability::kSynced);
    BOOST_TEST((Reopen(env) == Stored{{{pusher.name(), kNow}, std::bit_cast<uint64_t>(1.0)}}));
  }
}

// A push over two shards reaches one log and not the other. What is acknowledged after it in the
// log that works must survive, although its frames follow on the unfinished push's; and the push,
// sent again, is stored once.
BOOST_AUTO_TEST_CASE(AnUnfinishedPushOfSeveralShardsCostsNothingAcknowledged) {
  static constexpr int kJobs = 4;
  for (int after = 0; after < kJobs; ++after) {
    BOOST_TEST_CONTEXT("job " << after) {
      MemEnv memory;
      FaultEnv env(memory);
      Stored want;
      const auto push_all = [&](Database& db) {
        std::vector<std::unique_ptr<Pusher>> pushers;
        const auto batch = db.NewBatch();
        for (int j = 0; j < kJobs; ++j) {
          pushers.push_back(std::make_unique<Pusher>(db, "j" + std::to_string(j)));
          pushers.back()->Stage(*batch, kNow, j);
        }
        model::CommitOptions commit;
        commit.durability = Durability::kKernel;
        commit.all_or_nothing = true;
        return batch->Commit(commit).status.code();
      };
      {
        auto db = *Database::Open(Options(env));
        env.FailAfter(1, Status(Code::kIo, "injected"), kAppendOp);
        BOOST_TEST((push_all(*db) == Code::kIo));
        BOOST_REQUIRE(env.fault_hit());
        Pusher pusher(*db, "j" + std::to_string(after));
        BOOST_REQUIRE(pusher.Push(kNow + 1, 7, Durability::kKernel).status.ok());
        want[{pusher.name(), kNow + 1}] = std::bit_cast<uint64_t>(7.0);
        pusher.Close();
        Die(env, &db);
      }
      Stored possible = want;
      for (int j = 0; j < kJobs; ++j) {
        const std::string job = "j" + std::to_string(j);
        possible[{L({{"__name__", "m"}, {"job", job}}).ToString(), kNow}] =
            std::bit_cast<uint64_t>(double{1} * j);
      }
      RequireHolds(Reopen(env), want, possible);
      {
        auto db = *Database::Open(Options(env));
        BOOST_TEST((push_all(*db) == Code::kOk));
        Die(env, &db);
      }
      BOOST_TEST((Reopen(env) == possible));
      BOOST_TEST((Reopen(env) == possible));
    }
  }
}

// An fdatasync that failed has dropped what it was asked for; the next one claims success.
BOOST_AUTO_TEST_CASE(NothingIsAcknowledgedAsSyncedOnTheWordOfASecondSync) {
  for (const bool large : {false, true}) {
    for (const Repeat repeat : {Repeat::kOnce, Repeat::kFromThenOn}) {
      MemEnv memory;
      FaultEnv env(memory);
      auto db = *Database::Open(Options(env));
      auto pusher = std::make_unique<Pusher>(*db, "a");
      Stored want;
      const auto push = [&](int i) {
        const auto result = pusher->Push(kNow + i, i, Durability::kSynced);
        if (result.status.ok())
          want[{pusher->name(), kNow + i}] = std::bit_cast<uint64_t>(static_cast<double>(i));
        return result.status.ok();
      };
      BOOST_REQUIRE(push(0));
      if (large) {  // more than the copy of unsynced bytes in memory holds
        for (int i = 1; i < 60'000; ++i)
          BOOST_REQUIRE(pusher->Push(kNow + i, i * 0.37, Durability::kKernel).status.ok());
      }
      env.FailAfter(0, Status(Code::kIo, "failed write-back"), kSyncOp, repeat);
      const bool first = push(100'000);
      BOOST_TEST(first == (repeat == Repeat::kOnce));  // a rewritten file is as good
      BOOST_TEST(push(100'001) == (repeat == Repeat::kOnce));
      env.ClearFault();
      BOOST_TEST(push(100'002));
      // Sent again: acknowledged with its original.
      BOOST_TEST(push(100'000));
      BOOST_TEST(db->counters().wal_sync_failures > 0u);
      pusher->Close();
      Die(env, &db, /*power_cut=*/true);
      const Stored got = Reopen(env);
      for (const auto& [place, bits] : want) {
        const auto found = got.find(place);
        BOOST_REQUIRE_MESSAGE(found != got.end(), "lost " << place.second - kNow);
        BOOST_TEST(found->second == bits);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(ADatabaseOpensOnAFullDiskAndServes) {
  MemEnv memory;
  FaultEnv env(memory);
  Stored want;
  const auto push = [&](Database& db, Timestamp t) {
    Pusher pusher(db, "j");
    const auto result = pusher.Push(t, 1, Durability::kKernel);
    if (result.status.ok()) want[{pusher.name(), t}] = std::bit_cast<uint64_t>(1.0);
    return result.status.code();
  };
  BOOST_TEST((push(**Database::Open(Options(env)), kNow) == Code::kOk));
  env.FailAfter(0, Status(Code::kNoSpace, "no space left"), kAppendOp | kFlushOp | kSyncOp,
                Repeat::kFromThenOn);
  auto db = Database::Open(Options(env));
  BOOST_REQUIRE_MESSAGE(db, (db ? "" : db.error().ToString()));
  BOOST_TEST((push(**db, kNow + 1) == Code::kNoSpace));
  Stored got;
  BOOST_REQUIRE(ReadAll(**db, &got));
  BOOST_TEST((got == want));
  env.ClearFault();
  BOOST_TEST((push(**db, kNow + 2) == Code::kOk));
  Die(env, &*db);
  BOOST_TEST((Reopen(env) == want));
}

BOOST_AUTO_TEST_CASE(OldDaysGoAlthoughTheDiskIsTooFullToSeal) {
  constexpr int64_t kDay = int64_t{24} * 60 * 60 * 1000;
  MemEnv memory;
  FaultEnv env(memory);
  DatabaseOptions options = Options(env);
  options.policy.retention_ms = kDay;
  options.accept_any_first_timestamp = true;
  auto db = *Database::Open(options);
  Pusher pusher(*db, "j");
  BOOST_REQUIRE(pusher.Push(kNow - 3 * kDay, 1, Durability::kKernel).status.ok());
  BOOST_REQUIRE(pusher.Push(kNow - kDay / 2, 2, Durability::kKernel).status.ok());
  BOOST_REQUIRE(db->Compact().ok());
  BOOST_REQUIRE(pusher.Push(kNow, 3, Durability::kKernel).status.ok());
  memory.AdvanceMs(2 * 60 * 60 * 1000);
  env.FailAfter(0, Status(Code::kNoSpace, "no space left"), kAppendOp | kFlushOp | kSyncOp,
                Repeat::kFromThenOn);
  for (int round = 0; round < 3; ++round) {
    BOOST_TEST(!db->RunMaintenance().ok());
    memory.AdvanceMs(20'000);
  }
  BOOST_TEST(db->counters().segments_deleted_by_retention == 1u);
  // What could not be written has not been left behind.
  const std::vector<std::string> names =
      memory.ListDir("/db/segments").value_or(std::vector<std::string>());
  for (const std::string& name : names) BOOST_TEST(!name.ends_with(".tmp"), name);
  env.ClearFault();
  BOOST_TEST(db->RunMaintenance().ok());
  Stored got;
  BOOST_REQUIRE(ReadAll(*db, &got));
  BOOST_TEST((got == Stored{{{pusher.name(), kNow - kDay / 2}, std::bit_cast<uint64_t>(2.0)},
                            {{pusher.name(), kNow}, std::bit_cast<uint64_t>(3.0)}}));
  pusher.Close();
}

// Seals that fail for hours: memory and log do not grow without end, and when seals work again
// everything that was acknowledged is there.
BOOST_AUTO_TEST_CASE(SealsThatFailForHoursRefuseSamplesBeforeMemoryIsFull) {
  constexpr int64_t kStep = 10'000;
  MemEnv memory;
  FaultEnv env(memory);
  DatabaseOptions options = Options(env);
  options.head_bytes_max = 256 * 1024;
  auto db = *Database::Open(options);
  std::vector<std::unique_ptr<Pusher>> pushers;
  for (int i = 0; i < 20; ++i)
    pushers.push_back(std::make_unique<Pusher>(*db, "j" + std::to_string(i)));
  Stored want;
  Timestamp t = kNow;
  const auto step = [&](Code* code) {
    memory.AdvanceMs(kStep);
    t += kStep;
    for (const auto& pusher : pushers) {
      const double value = std::sqrt(static_cast<double>(t % 86'400'000));
      const auto result = pusher->Push(t, value, Durability::kKernel);
      *code = result.status.code();
      if (result.status.ok()) want[{pusher->name(), t}] = std::bit_cast<uint64_t>(value);
    }
    return db->RunMaintenance();
  };
  Code code = Code::kOk;
  // Segments get their names by renames; the log does without.
  env.FailAfter(0, Status(Code::kNoSpace, "no space left"), kRenameOp, Repeat::kFromThenOn);
  uint64_t highest = 0;
  uint64_t log_bytes = 0;
  uint64_t failures_told = 0;
  for (int i = 0; i < 6 * 360; ++i) {
    failures_told += step(&code).ok() ? 0 : 1;
    if (code == Code::kNoSpace && log_bytes == 0) log_bytes = db->sizes().wal_bytes;
    highest = std::max<uint64_t>(highest, db->sizes().head_bytes);
  }
  BOOST_TEST((code == Code::kNoSpace));
  BOOST_TEST(highest > 2 * options.head_bytes_max);
  BOOST_TEST(highest < 4 * options.head_bytes_max);
  BOOST_TEST(db->sizes().wal_bytes < 2 * log_bytes);
  BOOST_TEST(db->counters().seal_failures > 10u);
  BOOST_TEST(failures_told > 10u);
  Stored got;
  BOOST_REQUIRE(ReadAll(*db, &got));
  BOOST_TEST((got == want));

  env.ClearFault();
  for (int i = 0; i < 6; ++i) static_cast<void>(step(&code));
  BOOST_TEST((code == Code::kOk));
  BOOST_TEST(db->sizes().head_bytes < options.head_bytes_max);
  BOOST_TEST(db->sizes().wal_bytes < log_bytes);
  for (const auto& pusher : pushers) pusher->Close();
  got.clear();
  BOOST_REQUIRE(ReadAll(*db, &got));
  BOOST_TEST((got == want));
}

// Half hours of the past that a backfill filled are tried again a while later, not only when the
// next half hour begins; nor is anything said to be sealed again before it is.
BOOST_AUTO_TEST_CASE(PastHalfHoursWhoseSealFailedAreTriedAgainSoon) {
  MemEnv memory;
  FaultEnv env(memory);
  auto db = *Database::Open(Options(env));
  BOOST_TEST(db->RunMaintenance().ok());  // looks at the half hours that are due by the clock
  Pusher pusher(*db, "backfill");
  Stored want;
  for (Timestamp t = kNow - 5 * 3'600'000; t <= kNow - 3'600'000; t += 60'000) {
    const double value = std::sqrt(static_cast<double>(t % 86'400'000));
    BOOST_REQUIRE(pusher.Push(t, value, Durability::kKernel).status.ok());
    want[{pusher.name(), t}] = std::bit_cast<uint64_t>(value);
  }
  env.FailAfter(0, Status(Code::kNoSpace, "no space left"), kRenameOp, Repeat::kFromThenOn);
  BOOST_TEST(!db->RunMaintenance().ok());
  memory.AdvanceMs(20'000);
  BOOST_TEST(!db->RunMaintenance().ok());
  BOOST_TEST(db->Segments().empty());
  env.ClearFault();
  memory.AdvanceMs(20'000);
  BOOST_TEST(db->RunMaintenance().ok());
  BOOST_TEST(!db->Segments().empty());
  Stored got;
  BOOST_REQUIRE(ReadAll(*db, &got));
  BOOST_TEST((got == want));
  pusher.Close();
}

// Log files that could not be removed go the next time.
BOOST_AUTO_TEST_CASE(ALogFileThatCannotBeRemovedIsNotForgotten) {
  MemEnv memory;
  FaultEnv env(memory);
  DatabaseOptions options = Options(env);
  options.shards = 1;
  auto db = *Database::Open(options);
  Pusher pusher(*db, "j");
  const auto log_files = [&memory] { return memory.ListDir("/db/wal").value().size(); };
  BOOST_REQUIRE(pusher.Push(kNow, 1, Durability::kKernel).status.ok());
  env.FailAfter(0, Status(Code::kIo, "cannot be removed"), kRemoveOp, Repeat::kFromThenOn);
  BOOST_TEST(!db->Compact().ok());
  BOOST_TEST(log_files() == 2u);
  const uint64_t two_files = db->sizes().wal_bytes;
  env.ClearFault();
  BOOST_REQUIRE(pusher.Push(kNow + 1000, 2, Durability::kKernel).status.ok());
  BOOST_TEST(db->Compact().ok());
  BOOST_TEST(log_files() == 1u);
  BOOST_TEST(db->sizes().wal_bytes < two_files);
  pusher.Close();
}

BOOST_AUTO_TEST_CASE(R9AFullDiskRefusesAndRecoversByItself) {
  MemEnv memory;
  FaultEnv env(memory);
  auto db = *Database::Open(Options(env));
  auto writer = *db->OpenSource({model::OriginKind::kScrape, "j"}, L({{"job", "j"}}));
  const auto slot = *writer->AddSlot(L({{"__name__", "m"}}));
  Stored want;
  const std::string name = L({{"__name__", "m"}, {"job", "j"}}).ToString();
  const auto put = [&](int i, Durability durability) {
    auto batch = db->NewBatch();
    batch->BeginRow(*writer, kNow + i, RowKind::kFull);
    batch->Set(slot, i, model::kRowTimestamp);
    model::CommitOptions commit;
    commit.durability = durability;
    const auto result = batch->Commit(commit);
    if (result.status.ok()) want[{name, kNow + i}] = std::bit_cast<uint64_t>(double{1} * i);
    return result.status.code();
  };
  BOOST_TEST((put(0, Durability::kKernel) == Code::kOk));
  env.FailAfter(0, Status(Code::kNoSpace, "no space left"), kSpaceOps, Repeat::kFromThenOn);
  // Staged before anybody knew: it stays, and reaches the disk later.
  BOOST_TEST((put(1, Durability::kGrouped) == Code::kOk));
  BOOST_TEST((put(2, Durability::kKernel) == Code::kNoSpace));
  want[{name, kNow + 2}] = std::bit_cast<uint64_t>(2.0);  // not acknowledged, and kept all the same
  for (int i = 3; i < 10; ++i) BOOST_TEST((put(i, Durability::kGrouped) == Code::kNoSpace));
  Stored got;
  BOOST_TEST(ReadAll(*db, &got));
  BOOST_TEST((got == want));
  BOOST_TEST(db->counters().wal_write_failures > 0u);
  BOOST_TEST(
      db->counters().samples_refused[static_cast<size_t>(model::AppendOutcome::kStorageFull)] ==
      7u);
  env.ClearFault();
  BOOST_TEST((put(20, Durability::kGrouped) == Code::kOk));
  BOOST_TEST((put(21, Durability::kKernel) == Code::kOk));
  writer.reset();
  env.Kill();
  db.reset();
  BOOST_TEST((Reopen(env) == want));
}

// Flips and cuts at random places of every file, a thousand times: it opens, says what it put
// aside, and serves the rest.
BOOST_AUTO_TEST_CASE(R3FlippedAndCutBytesNeverKeepItFromOpening) {
  MemEnv memory;
  FaultEnv env(memory);
  Acknowledged known;
  Live(env, memory, &known, 0, 60);
  std::vector<std::pair<std::string, std::string>> files;
  for (const std::string directory : {"/db", "/db/wal", "/db/segments"}) {
    const std::vector<std::string> names =
        memory.ListDir(directory).value_or(std::vector<std::string>());
    for (const std::string& name : names) {
      const std::string path = JoinPath(directory, name);
      if (memory.Stat(path)->is_directory || name == "lock") continue;
      files.emplace_back(path, *memory.ReadFile(path));
    }
  }
  BOOST_REQUIRE(files.size() >= 4u);
  size_t served = 0;
  size_t told = 0;
  for (uint64_t round = 0; round < 1000; ++round) {
    BOOST_TEST_CONTEXT("round " << round) {
      std::mt19937_64 random(round);
      MemEnv disk(round);
      disk.SetNowMs(memory.NowMs());
      const size_t victim = random() % files.size();
      bool cut = false;
      for (const char* directory : {"/db", "/db/wal", "/db/segments"})
        BOOST_REQUIRE(disk.CreateDirs(directory).ok());
      for (size_t i = 0; i < files.size(); ++i) {
        std::string bytes = files[i].second;
        if (i == victim && !bytes.empty()) {
          const uint64_t what = random() % 4;
          cut = what == 0;
          if (cut) {
            bytes.resize(random() % bytes.size());
          } else if (what == 1) {
            const size_t at = random() % bytes.size();
            const size_t length = std::min<size_t>(bytes.size() - at, random() % 5000);
            for (size_t b = at; b < at + length; ++b) bytes[b] = static_cast<char>(random());
          } else {
            for (uint64_t flips = 1 + random() % 4; flips > 0; --flips)
              bytes[random() % bytes.size()] ^= static_cast<char>(1u << random() % 8);
          }
        }
        auto file = *disk.NewWritableFile(files[i].first, WriteMode::kTruncate);
        BOOST_REQUIRE(file->Append(bytes).ok() && file->Close().ok());
      }
      auto opened = Database::Open(Options(disk));
      BOOST_REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().ToString()));
      Stored got;
      BOOST_REQUIRE(ReadAll(**opened, &got));
      for (const auto& [place, bits] : got) {
        const auto found = known.written.find(place);
        BOOST_REQUIRE_MESSAGE(found != known.written.end() && found->second == bits,
                              "wrong " << place.first << " at " << place.second - kNow);
      }
      served += got.size();
      const DatabaseCounters counters = (*opened)->counters();
      if (got.size() < known.written.size()) {
        const bool says = counters.quarantined_files + counters.replay_damaged_places +
                              counters.replay_missing_log_files + counters.replay_lost_frames +
                              counters.replay_torn_tails >
                          0u;
        // A log cut between two writes looks as if the later ones never were.
        BOOST_TEST((says || cut));
        if (says) ++told;
      }
      BOOST_TEST((*opened)->Compact().ok());
      Stored after;
      BOOST_REQUIRE(ReadAll(**opened, &after));
      BOOST_TEST((after == got));
    }
  }
  BOOST_TEST_MESSAGE("of " << known.written.size() << " samples, served "
                           << static_cast<double>(served) / 1000 << " on average; " << told
                           << " rounds lost some and said so");
  BOOST_TEST(served > 500 * known.written.size());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::database_faults_test
