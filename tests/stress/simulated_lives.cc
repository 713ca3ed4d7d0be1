#include "simulated_lives.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/fault_env.h"
#include "base/mem_env.h"
#include "expected_state.h"
#include "store_checks.h"
#include "tsdb/database.h"

namespace tocsin::stress {

namespace {

constexpr int kSources = 5;
// The day closes, and is merged, during the later lives.
constexpr int64_t kHourMs = int64_t{60} * 60 * 1000;
constexpr int64_t StartInDayMs(uint64_t seed) { return (seed % 2 == 0 ? 20 : 23) * kHourMs; }
// With retention: longer than rows may be late, so that none comes in below it.
constexpr int64_t kRetentionMs = 2 * kHourMs;
constexpr int64_t kRuleRetentionMs = kHourMs + kHourMs / 2;
constexpr int kRuleSource = 3;

enum class Ending : uint8_t { kCleanStop, kKill, kPowerCut, kTornPowerCut };

class Simulation {
 public:
  Simulation(uint64_t seed, SimulationCounts* counts)
      : seed_(seed),
        counts_(counts),
        universe_(seed, kSources, MemEnv::kStartMs + StartInDayMs(seed)),
        bytes_(universe_.units()),
        expected_(universe_, bytes_.data()),
        floors_(kSources, model::kMinTimestamp),
        memory_(seed),
        env_(memory_),
        random_(seed * 7919 + 1) {}

  Status Run(int lives) {
    for (life_ = 0; life_ < lives; ++life_) {
      if (Status status = Live(); !status.ok()) {
        return Status(status.code(), "life " + std::to_string(life_) + ", step " +
                                         std::to_string(step_) + ": " + status.message());
      }
    }
    return {};
  }

 private:
  uint64_t Random(uint64_t below) { return random_() % below; }

  tsdb::DatabaseOptions Options() {
    tsdb::DatabaseOptions options;
    options.dir = "/db";
    options.env = &env_;
    options.background = false;
    options.shards = 1u << (seed_ % 4);
    options.replay_threads = 1;
    options.wal_compression = seed_ % 5 < 2;
    if (seed_ % 7 == 3) options.head_bytes_max = 256 << 10;
    options.policy.retention_ms = 0;
    if (seed_ % 3 != 0) options.policy.rollups = {{kHourMs / 12, 0}, {kHourMs, 0}};
    if (HasRetention()) {
      options.policy.retention_ms = kRetentionMs;
      options.policy.retention_rules = {
          {{model::Matcher::Equal("source", "s" + std::to_string(kRuleSource))}, kRuleRetentionMs}};
    }
    return options;
  }

  bool HasRetention() const { return seed_ % 4 == 1; }

  // What retention may have taken by now; it may come late.
  void RaiseFloors() {
    if (!HasRetention() || !progress_) return;
    const int row = std::min(progress_->highest(), kRows - 1);
    const model::Timestamp newest =
        std::min(universe_.start_ms() + (row + 1) * kRowMs, memory_.NowMs());
    for (int source = 0; source < kSources; ++source) {
      auto& floor = floors_[static_cast<size_t>(source)];
      floor = std::max(floor, newest - (source == kRuleSource ? kRuleRetentionMs : kRetentionMs));
    }
  }

  Status Live() {
    step_ = -1;
    SetClock();
    if (Status status = OpenAndCompare(); !status.ok()) return status;
    progress_.emplace(kSources);
    for (int source = 0; source < kSources; ++source) {
      progress_->set_next_row(source, FirstUntriedRow(source));
    }
    StressWriter writer(&expected_, &*progress_, &counts_->writes, database_.get(), 0, kSources - 1,
                        random_());
    writer.set_mark("mark", &mark_);
    std::vector<Unit> acknowledged;
    writer.set_acknowledged(&acknowledged);
    auto tail = std::make_unique<TailCheck>(universe_, database_.get());
    const int steps = 30 + static_cast<int>(Random(400));
    for (step_ = 0; step_ < steps; ++step_) {
      if (Random(120) == 0) Inject();
      if (may_fail_ && Random(25) == 0) Heal();
      SetClock();
      const Status status = writer.Step(may_fail_);
      if (status.code() == Code::kResourceExhausted) break;
      if (!status.ok()) return status;
      if (Status maintained = Maintain(); !maintained.ok()) return maintained;
      if (Random(60) == 0) {
        if (Status same = CompareLive(); !same.ok()) return same;
      }
      if (!may_fail_) {
        if (Status checked = CheckRest(tail.get(), acknowledged); !checked.ok()) return checked;
      }
    }
    counts_->tailed_samples += tail->samples();
    tail.reset();  // before the store, as the contract asks
    counts_->rollups += database_->counters().rollups_written;
    counts_->retired_segments += database_->counters().segments_deleted_by_retention;
    pinned_.reset();
    const auto ending = static_cast<Ending>(Random(4));
    // The writer's handles go before the store, as the contract asks.
    {
      const StressWriter last = std::move(writer);
    }
    End(ending);
    return {};
  }

  void SetClock() {
    if (Random(100) == 0) {
      static constexpr int64_t kSteps[] = {0, 0, kHourMs, -8 * 60 * 1000};
      clock_step_ms_ = kSteps[Random(std::size(kSteps))];
    }
    const int row = progress_ ? progress_->highest() : 0;
    memory_.SetNowMs(universe_.start_ms() + (row + 1) * kRowMs + clock_step_ms_);
    RaiseFloors();
  }

  void Inject() {
    static constexpr FileOps kOps[] = {kWriteOps, kSpaceOps, kSyncOp, kRenameOp | kRemoveOp,
                                       kAppendOp | kFlushOp};
    const bool full = Random(2) == 0;
    env_.FailAfter(Random(40), Status(full ? Code::kNoSpace : Code::kIo, "injected"),
                   full ? kSpaceOps : kOps[Random(std::size(kOps))],
                   Random(2) == 0 ? Repeat::kOnce : Repeat::kFromThenOn);
    may_fail_ = true;
  }

  void Heal() {
    counts_->faults_hit += env_.fault_hit() ? 1 : 0;
    env_.ClearFault();
    may_fail_ = false;
  }

  Status Maintain() {
    Status status;
    if (Random(15) == 0) status = database_->RunMaintenance();
    if (status.ok() && Random(150) == 0) status = database_->Compact();
    if (status.ok() && Random(300) == 0) status = database_->CleanTombstones();
    if (status.ok() && Random(40) == 0) {
      const int row = static_cast<int>(Random(static_cast<uint64_t>(progress_->highest()) + 1));
      status = database_->Seal({universe_.start_ms(), universe_.start_ms() + row * kRowMs});
    }
    if (status.ok() && Random(30) == 0) status = database_->FlushWal(Random(2) == 0);
    return may_fail_ ? Status() : status;
  }

  // The store against the oracle, and a snapshot pinned some time ago against itself.
  Status CompareLive() {
    ++counts_->comparisons;
    const auto known = expected_.Copy();
    auto snapshot = database_->Pin();
    auto observed = Observe(universe_, *snapshot);
    if (!observed) return observed.error();
    if (Status s = Compare(universe_, known, known, *observed, kVisible, floors_); !s.ok()) {
      return s;
    }
    if (Status s = CompareExemplars(expected_, *snapshot, floors_); !s.ok()) return s;
    if (pinned_ != nullptr) {
      const auto again = Observe(universe_, *pinned_);
      if (!again) return again.error();
      if (*again != pinned_observed_) {
        return Status(Code::kCorruption, "a pinned snapshot changed");
      }
    }
    pinned_ = std::move(snapshot);
    pinned_observed_ = *std::move(observed);
    return {};
  }

  uint64_t FoundMark() const {
    const auto bytes = database_->FindMark("mark");
    return bytes ? std::stoull(*bytes) : 0;
  }

  // Now and then, while no fault is injected.
  Status CheckRest(TailCheck* tail, const std::vector<Unit>& acknowledged) {
    if (Random(80) == 0) {
      TOCSIN_RETURN_IF_ERROR(mark_.Compare(FoundMark(), kVisible));
      const auto snapshot = database_->Pin();
      const int64_t tile_ms = Random(2) == 0 ? kHourMs / 12 : kHourMs;
      TOCSIN_RETURN_IF_ERROR(CheckFacts(universe_, *snapshot, tile_ms, &counts_->facts));
    }
    if (Random(100) == 0) TOCSIN_RETURN_IF_ERROR(CheckLock(Options()));
    if (Random(100) == 0) {
      TOCSIN_RETURN_IF_ERROR(database_->FlushWal(false));
      TOCSIN_RETURN_IF_ERROR(tail->Follow());
      TOCSIN_RETURN_IF_ERROR(tail->Expect(acknowledged));
    }
    if (Random(150) == 0) TOCSIN_RETURN_IF_ERROR(CheckReadOnly());
    if (Random(200) == 0) TOCSIN_RETURN_IF_ERROR(CheckSnapshot());
    if (Random(400) == 0) TOCSIN_RETURN_IF_ERROR(CheckRoundTrip());
    return {};
  }

  // A second one that only looks, beside this one.
  Status CheckReadOnly() {
    TOCSIN_RETURN_IF_ERROR(database_->FlushWal(false));
    auto options = Options();
    options.read_only = true;
    const auto looking = tsdb::Database::Open(options);
    if (!looking) return looking.error();
    const auto observed = Observe(universe_, *(*looking)->Pin());
    if (!observed) return observed.error();
    const auto known = expected_.Copy();
    return Compare(universe_, known, known, *observed, kVisible, floors_);
  }

  Status CheckSnapshot() {
    ++counts_->snapshots;
    const auto live = Observe(universe_, *database_->Pin());
    if (!live) return live.error();
    TOCSIN_RETURN_IF_ERROR(database_->Snapshot("/snapshot", false));
    const auto restored = ObserveSnapshotDirectory(universe_, Options(), "/snapshot");
    if (!restored) return restored.error();
    if (*restored == *live) return {};
    return Status(Code::kCorruption, "a snapshot on disk holds something else");
  }

  Status CheckRoundTrip() {
    ++counts_->round_trips;
    const auto snapshot = database_->Pin();
    const auto live = Observe(universe_, *snapshot);
    if (!live) return live.error();
    const auto back = ObserveRoundTrip(universe_, *snapshot, Options(), "/trip");
    if (!back) return back.error();
    // What rollups have kept of samples was not counted, and is samples now.
    bool same = *back == *live;
    if (HasRetention()) {
      same = std::equal(live->begin(), live->end(), back->begin(), std::less_equal<>());
    }
    if (same) return {};
    return Status(Code::kCorruption, "export and import changed something");
  }

  Status OpenAndCompare() {
    auto opened = tsdb::Database::Open(Options());
    if (!opened) return opened.error();
    database_ = *std::move(opened);
    const auto observed = Observe(universe_, *database_->Pin());
    if (!observed) return observed.error();
    const auto known = expected_.Copy();
    if (Status s = Compare(universe_, known, known, *observed, least_, floors_); !s.ok()) return s;
    Settle(&expected_, *observed);
    if (Status s = mark_.Compare(FoundMark(), least_); !s.ok()) return s;
    mark_.Settle(FoundMark());
    return CompareExemplars(expected_, *database_->Pin(), floors_);
  }

  int FirstUntriedRow(int source) const {
    for (int row = kRows; row > 0; --row) {
      for (int part = 0; part < kParts; ++part) {
        if (expected_.Get(Unit{source, row - 1, part}) != kNever) return row;
      }
    }
    return 0;
  }

  void End(Ending ending) {
    least_ = kKernel;
    if (ending == Ending::kCleanStop) {
      Heal();
      if (database_->Close().ok()) least_ = kVisible;
      database_.reset();
      ++counts_->clean_stops;
      return;
    }
    Heal();
    switch (ending) {
      case Ending::kPowerCut:
        env_.PowerCut(FaultEnv::Cut::kDropUnsynced);
        least_ = kSynced;
        ++counts_->power_cuts;
        break;
      case Ending::kTornPowerCut:
        env_.PowerCut(FaultEnv::Cut::kTorn, random_());
        least_ = kSynced;
        ++counts_->torn_power_cuts;
        break;
      default:
        env_.Kill();
        ++counts_->kills;
    }
    // Nothing that the dead process' destructors do reaches the disk.
    env_.FailAfter(0, Status(Code::kIo, "dead"), kWriteOps, Repeat::kFromThenOn);
    database_.reset();
    env_.ClearFault();
  }

  const uint64_t seed_;
  SimulationCounts* counts_;
  Universe universe_;
  std::vector<std::atomic<uint8_t>> bytes_;
  ExpectedState expected_;
  std::vector<model::Timestamp> floors_;  // by source
  ExpectedMark mark_;
  MemEnv memory_;
  FaultEnv env_;
  std::mt19937_64 random_;
  std::unique_ptr<tsdb::Database> database_;
  std::optional<Progress> progress_;
  std::unique_ptr<model::Snapshot> pinned_;
  Observed pinned_observed_;
  WriteState least_ = kVisible;
  int64_t clock_step_ms_ = 0;
  bool may_fail_ = false;
  int life_ = 0;
  int step_ = 0;
};

}  // namespace

Status RunSimulatedLives(uint64_t seed, int lives, SimulationCounts* counts) {
  return Simulation(seed, counts).Run(lives);
}

}  // namespace tocsin::stress
