// DatabaseImpl: the one implementation of Database. Its members by subject:
//
//   database.cc            start, threads, maintenance, snapshots, close
//   database_recovery.cc   the head from the log, before and beside appends; reading only
//   database_deletes.cc    deletes and what they make the head forget
//   database_figures.cc    counters and gauges
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "tsdb/budget_env.h"
#include "tsdb/compactor.h"
#include "tsdb/database.h"
#include "tsdb/disk_budget.h"
#include "tsdb/head/head.h"
#include "tsdb/head/replay.h"
#include "tsdb/head_stats.h"
#include "tsdb/named_tails.h"
#include "tsdb/periodic.h"
#include "tsdb/quarantine.h"
#include "tsdb/rollup/rollup_store.h"
#include "tsdb/segment_store.h"
#include "tsdb/snapshot.h"
#include "tsdb/store_directory.h"
#include "tsdb/tail.h"

namespace tocsin::tsdb {

class DatabaseImpl final : public Database {
 public:
  DatabaseImpl(Options options, Env& env)
      : options_(std::move(options)),
        budget_env_(env, options_.dir, budget_),
        env_(budget_env_),
        quarantine_(env, JoinPath(options_.dir, "quarantine"), options_.read_only) {}
  ~DatabaseImpl() override {
    if (const Status status = Close(); !status.ok())
      LogError("tsdb", "the database did not close cleanly", {{"err", status}});
  }

  Status Start();

  // --- Appender, Queryable ---
  Result<std::unique_ptr<model::SourceWriter>> OpenSource(const model::Origin& origin,
                                                          const model::Labels& labels) override {
    TOCSIN_TRY(CheckWritable());
    return head_->OpenSource(origin, labels);
  }
  std::unique_ptr<model::AppendBatch> NewBatch() override { return head_->NewBatch(); }
  void VisitSources(const model::Origin& origin,
                    const std::function<void(const model::Labels&)>& visit) const override {
    const HeadIndex::Pin pin = head_->index().NewPin();
    for (SourceId id = 0; id < pin.source_id_end(); ++id) {
      if (pin.SourceAlive(id) && pin.SourceOrigin(id) == origin) visit(pin.SourceLabels(id));
    }
  }
  std::unique_ptr<model::Snapshot> Pin() const override {
    // In this order: rollup_store.h.
    std::shared_ptr<const RollupSet> rollups = rollups_->Current();
    return std::make_unique<DatabaseSnapshot>(*head_, store_->Current(), quarantine_,
                                              std::move(rollups), &readers_);
  }
  model::Timestamp SettledUntil() const override { return head_->SettledUntil(); }
  uint64_t ChangeNumber(model::TimeRange range) const override {
    return head_->ChangeNumber(range) + store_->rewrites() + rollups_->publications();
  }

  // --- Database ---
  Status Close() override;
  Status Compact() override {
    TOCSIN_RETURN_IF_ERROR(CheckWritable());
    compactor_->AddWaiting(1);
    MutexLock lock(compact_mutex_);
    compactor_->AddWaiting(-1);
    TOCSIN_RETURN_IF_ERROR(compactor_->CompactAll());
    return RunRollups(SIZE_MAX, /*foreground=*/true);
  }
  Status Seal(model::TimeRange range) override {
    TOCSIN_RETURN_IF_ERROR(CheckWritable());
    compactor_->AddWaiting(1);
    MutexLock lock(compact_mutex_);
    compactor_->AddWaiting(-1);
    return compactor_->Seal(range);
  }
  Status RunMaintenance() override {
    TOCSIN_RETURN_IF_ERROR(CheckWritable());
    MutexLock lock(compact_mutex_);
    const Status compacted = compactor_->RunRound();
    // A day a round: the next round's seals do not wait for a month of them.
    const Status rolled = RunRollups(1, /*foreground=*/false);
    return compacted.ok() ? rolled : compacted;
  }
  Status DeleteSeries(std::vector<model::MatcherSet> matcher_sets, model::TimeRange range) override;
  Status CleanTombstones() override {
    TOCSIN_RETURN_IF_ERROR(CheckWritable());
    compactor_->AddWaiting(1);
    MutexLock lock(compact_mutex_);
    compactor_->AddWaiting(-1);
    return compactor_->CleanTombstones();
  }
  Status Snapshot(const std::string& directory, bool skip_head) override;
  Status FlushWal(bool sync) override { return head_->FlushLogs(sync); }
  Result<std::unique_ptr<model::Tail>> OpenTail(uint64_t position) override {
    if (!options_.wal) return Error(Code::kUnimplemented, "there is no log to follow");
    return std::make_unique<DatabaseTail>(env_, *head_, position);
  }
  Result<std::unique_ptr<model::Tail>> OpenNamedTail(std::string_view name) override {
    TOCSIN_TRY(CheckWritable());
    if (!options_.wal) return Error(Code::kUnimplemented, "there is no log to follow");
    return named_tails_->Open(name);
  }
  Status ForgetTail(std::string_view name) override {
    TOCSIN_RETURN_IF_ERROR(CheckWritable());
    return named_tails_->Forget(name);
  }
  std::optional<std::string> FindMark(std::string_view key) const override {
    std::string bytes;
    if (!head_->FindMark(key, &bytes)) return std::nullopt;
    return bytes;
  }
  void PauseCompaction(bool paused) override { compactor_->Pause(paused); }
  void SetPolicy(StoragePolicy policy) override { compactor_->SetPolicy(policy); }
  StoragePolicy policy() const override { return compactor_->policy(); }
  LoadProgress load_progress() const override;
  bool AwaitLoaded(int64_t timeout_ms) override;
  DatabaseCounters counters() const override;
  DatabaseSizes sizes() const override;
  DatabaseStats Stats(size_t limit) const override { return HeadStats(*head_, limit); }
  std::vector<StoredSegment> Segments() const override;
  const Options& options() const override { return options_; }
  std::vector<Damage> Damages() const override;

 private:
  Status CheckWritable() const {
    if (!options_.read_only) return Status::Ok();
    return Status(Code::kPermissionDenied, "the database is open for reading only");
  }
  Status StartReadOnly();
  Result<uint64_t> LoadSeed();
  Status OpenHead(uint64_t seed);
  void StartThreads();
  void NoteReplay(const ReplayResult& result);
  void LoadOlderRows();
  void StartLoader();
  // Rolls up at most so many days.
  Status RunRollups(size_t days_max, bool foreground);
  // Writes rollups anew of which a delete masks parts.
  Status RewriteRollups();
  // From where the ages of rollups are counted: a clock that runs ahead deletes nothing.
  model::Timestamp RollupTime(const Version& version) const;
  // Some series of the store satisfies a set and may have samples in `range`.
  Result<bool> AnySeries(const std::vector<model::MatcherSet>& matcher_sets,
                         model::TimeRange range) const;
  void ForgetExemplars(const TombstoneList& tombstones);
  void RemoveUnfinishedSnapshots();
  bool RollupsNeed(const Tombstone& tombstone) const;

  Options options_;
  DiskBudget budget_;
  BudgetEnv budget_env_;
  Env& env_;
  mutable Quarantine quarantine_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<SegmentStore> store_;
  std::unique_ptr<RollupStore> rollups_;
  std::atomic<bool> stopping_ = false;
  std::unique_ptr<Head> head_;
  std::unique_ptr<NamedTails> named_tails_;
  mutable std::atomic<uint32_t> readers_{0};  // pinned snapshots
  Mutex compact_mutex_;
  std::unique_ptr<Compactor> compactor_;

  // Loading of older rows. `wal-load` holds compact_mutex_ from before Start returns until it is
  // done.
  std::unique_ptr<Replay> replay_;
  Thread loader_;
  std::atomic<bool> stop_loading_{false};
  mutable Mutex load_mutex_;
  CondVar load_changed_;
  enum class Load : uint8_t { kNotBegun, kRunning, kDone, kStopped };
  Load load_ GUARDED_BY(load_mutex_) = Load::kDone;
  DatabaseCounters recovery_ GUARDED_BY(load_mutex_);

  std::atomic<uint64_t> deletes_{0};

  std::atomic<int64_t> first_round_ms_{0};  // monotonic: `compact` waits until then

  Periodic wal_write_;
  Periodic wal_sync_;
  Periodic compact_;
  bool closed_ = false;
};

}  // namespace tocsin::tsdb
