#include "tsdb/database.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <map>
#include <utility>

#include "base/bytes.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "tsdb/budget_env.h"
#include "tsdb/compactor.h"
#include "tsdb/disk_budget.h"
#include "tsdb/head/head.h"
#include "tsdb/head/replay.h"
#include "tsdb/head_stats.h"
#include "tsdb/index/selector.h"
#include "tsdb/quarantine.h"
#include "tsdb/rollup/rollup_store.h"
#include "tsdb/segment_store.h"
#include "tsdb/snapshot.h"
#include "tsdb/tail.h"

namespace tocsin::tsdb {
namespace {

constexpr int64_t kMaintenanceIntervalMs = 1000;
// Seals of many servers on one disk should not fall on the same second.
constexpr uint64_t kStaggerMs = 30'000;
// A seal or merge while a read-only database opens makes it look again; they are minutes apart.
constexpr int kReadOnlyAttemptsMax = 10;

// A thread that does something at an interval, or sooner when woken.
class Periodic {
 public:
  void Start(std::string name, int64_t interval_ms, std::function<void()> work) {
    thread_ = Thread(std::move(name), [this, interval_ms, work = std::move(work)] {
      while (Wait(interval_ms)) work();
    });
  }
  void Wake() {
    MutexLock lock(mutex_);
    woken_ = true;
    changed_.NotifyAll();
  }
  void Stop() {
    {
      MutexLock lock(mutex_);
      stop_ = true;
      changed_.NotifyAll();
    }
    if (thread_.joinable()) thread_.Join();
  }

 private:
  bool Wait(int64_t interval_ms) {
    MutexLock lock(mutex_);
    if (!woken_ && !stop_) changed_.WaitFor(mutex_, std::chrono::milliseconds(interval_ms));
    woken_ = false;
    return !stop_;
  }

  Mutex mutex_;
  CondVar changed_;
  bool woken_ GUARDED_BY(mutex_) = false;
  bool stop_ GUARDED_BY(mutex_) = false;
  Thread thread_;
};

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
    return RunRollups(SIZE_MAX);
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
    const Status rolled = RunRollups(1);
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
  const Options& options() const override { return options_; }
  std::vector<std::string> quarantined() const override { return quarantine_.list(); }

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
  Status RunRollups(size_t days_max) REQUIRES(compact_mutex_);
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

  Periodic wal_write_;
  Periodic wal_sync_;
  Periodic compact_;
  bool closed_ = false;
};

// The secret that fingerprints are keyed with. Losing it costs only time: fingerprints of older
// segments are then computed from their labels.
Result<uint64_t> DatabaseImpl::LoadSeed() {
  const std::string path = JoinPath(options_.dir, "seed");
  auto bytes = env_.ReadFile(path);
  if (bytes && bytes->size() == sizeof(uint64_t)) return LoadFixed<uint64_t>(bytes->data());
  if (bytes) {
    quarantine_.Put(path, "not 8 bytes long");
  } else if (bytes.error().code() != Code::kNotFound) {
    return Error(bytes.error());
  }
  const uint64_t seed = env_.RandomUint64();
  if (options_.read_only) return seed;
  std::string out;
  PutFixed64(out, seed);
  TOCSIN_TRY(env_.WriteFileAtomically(path, out));
  return seed;
}

Status DatabaseImpl::OpenHead(uint64_t seed) {
  const std::string log_dir = JoinPath(options_.dir, "wal");
  LogInventory inventory;
  if (options_.wal) {
    if (!options_.read_only) TOCSIN_RETURN_IF_ERROR(env_.CreateDirs(log_dir));
    TOCSIN_ASSIGN_OR_RETURN_STATUS(inventory, ListLogs(env_, log_dir));
  }
  for (const auto& [path, reason] : inventory.unreadable) {
    if (!reason.empty()) {
      quarantine_.Put(path, reason);
    } else if (!options_.read_only) {
      TOCSIN_RETURN_IF_ERROR(env_.Remove(path));
    }
  }
  // Records are routed by their file's shard: as long as there is a log, its count is kept.
  if (!inventory.shards.empty())
    options_.shards = std::bit_ceil(static_cast<uint32_t>(inventory.shards.size()));
  HeadOptions head;
  head.log_dir = log_dir;
  head.wal = options_.wal && !options_.read_only;
  head.shards = options_.shards;
  head.epoch = env_.RandomUint64();
  head.fingerprint_seed = seed;
  head.out_of_order_window_ms = options_.out_of_order_window_ms;
  head.accept_any_first_timestamp = options_.accept_any_first_timestamp;
  head.minimum_durability = options_.minimum_durability;
  head.series_limit = options_.series_limit;
  head.source_series_limit = options_.source_series_limit;
  head.exemplars_max = options_.exemplars_max;
  head.budget = &budget_;
  head.compress_log = options_.wal_compression;
  head.tail_log_bytes_max = options_.tail_log_bytes_max;
  head_ = std::make_unique<Head>(env_, std::move(head));

  const int64_t began = env_.MonotonicNanos();
  const std::shared_ptr<const Version> version = store_->Current();
  const uint64_t missing_files = inventory.missing_files;
  replay_ = std::make_unique<Replay>(env_, std::move(inventory), version, options_.replay_threads,
                                     head_.get());
  NoteReplay(replay_->Restore());
  for (const WindowUse& cut : version->sealed.cuts()) head_->RaiseCommitNumber(cut.commit);
  head_->RaiseCommitNumber(store_->opened_commit());
  for (const auto& tombstone : version->tombstones) head_->RaiseCommitNumber(tombstone->commit);
  ForgetExemplars(version->tombstones);
  {
    MutexLock lock(load_mutex_);
    recovery_.replay_ms = (env_.MonotonicNanos() - began) / 1'000'000;
    recovery_.replay_missing_log_files = missing_files;
  }
  if (options_.read_only) return Status::Ok();
  // A commit acknowledged from now on needs its file's beginning: the first flush writes both. On a
  // full disk there is none yet: appenders are refused until a later one succeeds, queries work.
  if (const Status status = head_->StartLogs(); !status.ok())
    LogError("tsdb", "write-ahead log cannot be begun", {{"err", status}});
  return Status::Ok();
}

void DatabaseImpl::NoteReplay(const ReplayResult& result) {
  for (const auto& [path, reason] : result.damaged_files) quarantine_.Note(path, reason);
  MutexLock lock(load_mutex_);
  recovery_.replayed_rows += result.rows;
  recovery_.replayed_samples += result.samples;
  recovery_.replay_damaged_places += result.damaged_places;
  recovery_.replay_torn_tails += result.torn_tails;
  recovery_.replay_lost_frames += result.lost_frames;
  recovery_.replay_lost_samples += result.lost_samples;
}

void DatabaseImpl::LoadOlderRows() {
  const int64_t began = env_.MonotonicNanos();
  NoteReplay(replay_->LoadOlder(stop_loading_));
  const bool stopped = replay_->has_older();
  MutexLock lock(load_mutex_);
  recovery_.replay_ms += (env_.MonotonicNanos() - began) / 1'000'000;
  load_ = stopped ? Load::kStopped : Load::kDone;
  load_changed_.NotifyAll();
}

void DatabaseImpl::StartLoader() {
  MutexLock lock(load_mutex_);
  load_ = Load::kNotBegun;
  loader_ = Thread("wal-load", [this] {
    MutexLock nothing_is_sealed(compact_mutex_);
    {
      MutexLock load_lock(load_mutex_);
      load_ = Load::kRunning;
      load_changed_.NotifyAll();
    }
    LoadOlderRows();
    LogInfo("tsdb", "older rows are loaded", {{"rows", counters().replayed_rows}});
  });
  while (load_ == Load::kNotBegun) load_changed_.Wait(load_mutex_);
}

LoadProgress DatabaseImpl::load_progress() const {
  LoadProgress progress;
  progress.files = replay_->files_total();
  progress.files_done = replay_->files_done();
  MutexLock lock(load_mutex_);
  progress.complete = load_ == Load::kDone;
  return progress;
}

bool DatabaseImpl::AwaitLoaded(int64_t timeout_ms) {
  MutexLock lock(load_mutex_);
  if (load_ == Load::kRunning)
    load_changed_.WaitFor(load_mutex_, std::chrono::milliseconds(timeout_ms));
  return load_ == Load::kDone;
}

Status DatabaseImpl::Start() {
  if (!std::has_single_bit(options_.shards) || options_.shards > 64) {
    return Status(Code::kInvalidArgument, "shards: " + std::to_string(options_.shards) +
                                              " is no power of two from 1 to 64");
  }
  if (options_.read_only) return StartReadOnly();
  TOCSIN_RETURN_IF_ERROR(env_.CreateDirs(options_.dir));
  TOCSIN_ASSIGN_OR_RETURN_STATUS(lock_, env_.LockFile(JoinPath(options_.dir, "lock")));
  TOCSIN_RETURN_IF_ERROR(budget_env_.CountFiles());
  budget_.SetCap(options_.policy.retention_bytes);
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const uint64_t seed, LoadSeed());
  store_ =
      std::make_unique<SegmentStore>(env_, JoinPath(options_.dir, "segments"), seed, quarantine_);
  TOCSIN_RETURN_IF_ERROR(store_->Open());
  rollups_ =
      std::make_unique<RollupStore>(env_, JoinPath(options_.dir, "rollups"), seed, quarantine_);
  TOCSIN_RETURN_IF_ERROR(rollups_->Open());
  TOCSIN_RETURN_IF_ERROR(OpenHead(seed));
  CompactorOptions compactor;
  compactor.seal_delay_ms = kSealDelayMs + static_cast<int64_t>(seed % kStaggerMs);
  compactor.out_of_order_window_ms = options_.out_of_order_window_ms;
  compactor.head_bytes_max = options_.head_bytes_max;
  compactor.queries_running = [this] { return readers_.load(std::memory_order_relaxed) > 0; };
  compactor_ = std::make_unique<Compactor>(env_, options_.dir, *head_, *store_, quarantine_,
                                           budget_, compactor);
  compactor_->SetPolicy(options_.policy);
  RemoveUnfinishedSnapshots();
  compactor_->rollups_need = [this](const Tombstone& tombstone) { return RollupsNeed(tombstone); };
  compactor_->hold_expired = [this](const SegmentMeta& meta) {
    return rollups_->Awaits(meta, compactor_->policy(), RollupTime(*store_->Current()));
  };
  compactor_->LookAtDisk();  // a round may be long in coming
  const bool early = options_.open_early && options_.background && replay_->has_older();
  if (early) {
    StartLoader();
  } else {
    LoadOlderRows();
  }
  const DatabaseCounters recovered = counters();
  LogInfo("tsdb", "database open",
          {{"segments", store_->Current()->segments.size()},
           {"replayed_rows", recovered.replayed_rows},
           {"replay_ms", recovered.replay_ms},
           {"damaged_places", recovered.replay_damaged_places},
           {"put_aside", quarantine_.files()},
           {"loading", early}});
  if (options_.background) StartThreads();
  return Status::Ok();
}

// A daemon beside us may seal what the log held while we read: then the two do not fit, and both
// are read again.
Status DatabaseImpl::StartReadOnly() {
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const uint64_t seed, LoadSeed());
  const std::string segment_dir = JoinPath(options_.dir, "segments");
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const auto found, env_.Stat(options_.dir));
  if (!found.is_directory) return Status(Code::kInvalidArgument, options_.dir + ": no directory");
  for (int attempt = 1;; ++attempt) {
    replay_.reset();
    head_.reset();
    quarantine_.Forget();
    {
      MutexLock lock(load_mutex_);
      recovery_ = {};
    }
    store_ = std::make_unique<SegmentStore>(env_, segment_dir, seed, quarantine_);
    // In this order: rollup_store.h.
    rollups_ =
        std::make_unique<RollupStore>(env_, JoinPath(options_.dir, "rollups"), seed, quarantine_);
    TOCSIN_RETURN_IF_ERROR(rollups_->OpenReadOnly());
    const auto before = env_.ListDir(segment_dir);
    TOCSIN_RETURN_IF_ERROR(store_->OpenReadOnly());
    TOCSIN_RETURN_IF_ERROR(OpenHead(seed));
    LoadOlderRows();
    const auto after = env_.ListDir(segment_dir);
    if (before.has_value() == after.has_value() && (!before || *before == *after)) break;
    if (attempt == kReadOnlyAttemptsMax)
      return Status(Code::kUnavailable, segment_dir + ": changes all the time");
  }
  compactor_ = std::make_unique<Compactor>(env_, options_.dir, *head_, *store_, quarantine_,
                                           budget_, CompactorOptions());
  return Status::Ok();
}

model::Timestamp DatabaseImpl::RollupTime(const Version& version) const {
  model::Timestamp newest = model::kMinTimestamp;
  for (const Version::Segment& segment : version.segments)
    newest = std::max(newest, segment->meta().range.max_ms);
  const std::shared_ptr<const RollupSet> rollups = rollups_->Current();
  for (const auto& rollup : *rollups) newest = std::max(newest, rollup->range().max_ms);
  return std::min(env_.NowMs(), newest);
}

Status DatabaseImpl::RunRollups(size_t days_max) {
  const std::shared_ptr<const Version> version = store_->Current();
  // Of a cap on bytes rollups may have the half; their days go oldest first, too.
  const uint64_t rollups_max = budget_.cap() / 2;
  if (const uint64_t bytes = rollups_->bytes(); rollups_max > 0 && bytes > rollups_max)
    TOCSIN_RETURN_IF_ERROR(rollups_->RemoveOldest(bytes - rollups_max));
  return rollups_->RunRound(
      *version, compactor_->policy(), RollupTime(*version), options_.metric_type,
      [this] { return stopping_.load(); }, days_max);
}

void DatabaseImpl::StartThreads() {
  if (options_.wal) {
    head_->wake_log_writer = [this] { wal_write_.Wake(); };
    const auto warn_once = [](bool* failing, const Status& status) {
      if (!status.ok() && !*failing) LogError("tsdb", "write-ahead log fails", {{"err", status}});
      if (status.ok() && *failing) LogInfo("tsdb", "write-ahead log is written again");
      *failing = !status.ok();
    };
    wal_write_.Start("wal-write", options_.wal_write_interval_ms,
                     [this, warn_once, failing = false]() mutable {
                       warn_once(&failing, head_->FlushLogs(/*sync=*/false));
                     });
    if (options_.wal_sync_interval_ms > 0) {
      wal_sync_.Start("wal-sync", options_.wal_sync_interval_ms,
                      [this, warn_once, failing = false]() mutable {
                        warn_once(&failing, head_->FlushLogs(/*sync=*/true));
                      });
    }
  }
  compact_.Start("compact", kMaintenanceIntervalMs, [this, failing = false]() mutable {
    const Status status = RunMaintenance();
    if (!status.ok() && !failing)
      LogError("tsdb", "compaction fails, it is tried again", {{"err", status}});
    failing = !status.ok();
  });
}

// ----------------------------------------------------------------------------------------------------------
// deletes

Result<bool> DatabaseImpl::AnySeries(const std::vector<model::MatcherSet>& matcher_sets,
                                     model::TimeRange range) const {
  if (!load_progress().complete) return true;
  const DatabaseSnapshot snapshot(*head_, store_->Current(), quarantine_);
  for (const model::MatcherSet& set : matcher_sets) {
    TOCSIN_ASSIGN_OR_RETURN(const HeadSelection in_head, snapshot.index().Select(set));
    if (!in_head.entries.empty()) return true;
    for (const Version::Segment& segment : snapshot.version().segments) {
      const auto columns = segment->Select(set, range);
      // What cannot be told is deleted as well.
      if (!columns || !columns->empty()) return true;
    }
  }
  return RollupsNeed({UINT64_MAX, range, matcher_sets});
}

// A rollup is not written anew: where its segment is gone, a delete masks its buckets as long as it
// is there.
bool DatabaseImpl::RollupsNeed(const Tombstone& tombstone) const {
  const std::shared_ptr<const RollupSet> rollups = rollups_->Current();
  return std::any_of(rollups->begin(), rollups->end(), [&](const auto& rollup) {
    const SegmentReader& file = rollup->segment();
    if (tombstone.commit <= file.meta().deletes_applied ||
        !tombstone.range.Overlaps(file.meta().range))
      return false;
    return std::any_of(tombstone.matcher_sets.begin(), tombstone.matcher_sets.end(),
                       [&](const model::MatcherSet& set) {
                         const auto columns = file.Select(set, {});
                         return !columns || !columns->empty();
                       });
  });
}

void DatabaseImpl::ForgetExemplars(const TombstoneList& tombstones) {
  if (tombstones.empty()) return;
  const HeadIndex::Pin pin = head_->index().NewPin();
  DeletedSeries deletes(tombstones);
  // Not while the ring is locked: a commit may wait for it.
  std::map<std::pair<SourceId, model::Slot>, std::vector<DeletedSpan>> spans;
  head_->exemplars().ForEach([&spans](SourceId source, model::Slot slot, const model::Exemplar&) {
    spans[{source, slot}];
  });
  for (auto& [place, deleted] : spans) {
    const KeyId key = pin.KeyAt(place.first, place.second);
    if (key == kNoId) continue;
    const auto found = deletes.Find(
        place.first, [&pin](uint32_t id) { return pin.SourceLabels(id); }, key,
        [&pin](uint32_t id) { return pin.KeyLabels(id); });
    deleted.assign(found.begin(), found.end());
  }
  head_->RemoveExemplars([&spans](SourceId source, model::Slot slot,
                                  const model::Exemplar& exemplar, uint64_t commit) {
    const auto found = spans.find({source, slot});
    if (found == spans.end()) return false;
    return std::any_of(found->second.begin(), found->second.end(), [&](const DeletedSpan& span) {
      return commit < span.commit && span.range.Contains(exemplar.timestamp_ms);
    });
  });
}

Status DatabaseImpl::Snapshot(const std::string& directory, bool skip_head) {
  TOCSIN_RETURN_IF_ERROR(CheckWritable());
  compactor_->AddWaiting(1);
  MutexLock lock(compact_mutex_);
  compactor_->AddWaiting(-1);
  TOCSIN_ASSIGN_OR_RETURN_STATUS(SnapshotContents contents, compactor_->SealForSnapshot(skip_head));
  contents.seed_path = JoinPath(options_.dir, "seed");
  const std::shared_ptr<const RollupSet> rollups = rollups_->Current();
  for (const auto& rollup : *rollups) contents.rollup_paths.push_back(rollup->segment().path());
  return WriteSnapshot(env_, directory, contents);
}

// Snapshots that a crash left unfinished.
void DatabaseImpl::RemoveUnfinishedSnapshots() {
  const std::string directory = JoinPath(options_.dir, "snapshots");
  const std::vector<std::string> names =
      env_.ListDir(directory).value_or(std::vector<std::string>());
  for (const std::string& name : names) {
    if (!name.ends_with(kUnfinishedSnapshotSuffix)) continue;
    if (const Status status = env_.RemoveTree(JoinPath(directory, name)); !status.ok())
      LogWarn("tsdb", "an unfinished snapshot cannot be removed", {{"err", status}});
  }
}

Status DatabaseImpl::DeleteSeries(std::vector<model::MatcherSet> matcher_sets,
                                  model::TimeRange range) {
  TOCSIN_RETURN_IF_ERROR(CheckWritable());
  if (matcher_sets.empty()) return Status(Code::kInvalidArgument, "no matchers");
  for (const model::MatcherSet& set : matcher_sets) {
    if (set.empty() || set.size() > kMatchersMax)
      return Status(Code::kInvalidArgument, "no matchers, or more than 64");
  }
  if (range.min_ms > range.max_ms) return Status::Ok();
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const bool any, AnySeries(matcher_sets, range));
  if (!any) return Status::Ok();
  TOCSIN_RETURN_IF_ERROR(store_->AddTombstone(range, std::move(matcher_sets),
                                              [this] { return head_->ReserveCommitNumber(); }));
  ForgetExemplars(store_->Current()->tombstones);
  head_->NoteChange(range);
  deletes_.fetch_add(1, std::memory_order_relaxed);
  return Status::Ok();
}

Status DatabaseImpl::Close() {
  if (closed_) return Status::Ok();
  closed_ = true;
  stop_loading_.store(true, std::memory_order_relaxed);
  if (loader_.joinable()) loader_.Join();
  stopping_ = true;
  if (compactor_ != nullptr) compactor_->Stop();
  compact_.Stop();
  wal_write_.Stop();
  wal_sync_.Stop();
  Status status;
  if (head_ != nullptr) {
    for (size_t s = 0; s < head_->shard_count(); ++s) {
      Status closed = head_->shard(s).log.Close();
      if (status.ok()) status = std::move(closed);
    }
  }
  lock_.reset();
  return status;
}

DatabaseCounters DatabaseImpl::counters() const {
  DatabaseCounters result;
  {
    MutexLock lock(load_mutex_);
    result = recovery_;
  }
  const HeadCounters& head = head_->counters();
  const auto read = [](const std::atomic<uint64_t>& v) {
    return v.load(std::memory_order_relaxed);
  };
  result.batches_committed = read(head.batches_committed);
  result.rows_committed = read(head.rows_committed);
  result.samples_committed = read(head.samples_committed);
  result.samples_late = read(head.samples_late);
  for (size_t i = 0; i < std::size(result.samples_refused); ++i)
    result.samples_refused[i] = read(head.samples_refused[i]);
  result.batches_refused = read(head.batches_refused);
  result.samples_refused_with_batch = read(head.samples_refused_with_batch);
  result.series_refused = read(head.series_refused);
  result.tail_lost_samples = head_->tails().lost_samples();
  result.wal_backpressure_waits = read(head.backpressure_waits);
  for (size_t s = 0; s < head_->shard_count(); ++s) {
    const ShardLog& log = head_->shard(s).log;
    result.wal_bytes_written += log.bytes_written();
    result.wal_write_failures += log.write_failures();
    result.wal_syncs += log.syncs();
    result.wal_sync_failures += log.sync_failures();
  }
  const CompactorCounters& compactor = compactor_->counters();
  // Late duplicates are only told when rows are put in order.
  const auto refused = [&result](model::AppendOutcome outcome) -> uint64_t& {
    return result.samples_refused[static_cast<size_t>(outcome)];
  };
  refused(model::AppendOutcome::kDuplicate) += read(compactor.equal_dropped);
  refused(model::AppendOutcome::kDuplicateTimestamp) += read(compactor.unequal_dropped);
  result.seals = read(compactor.seals);
  result.seal_failures = read(compactor.seal_failures);
  result.samples_sealed = read(compactor.samples_sealed);
  result.merges = read(compactor.merges);
  result.merge_failures = read(compactor.merge_failures);
  const RetentionCounters& retention = compactor_->retention_counters();
  result.segments_deleted_by_time = read(retention.time_deletions);
  result.segments_deleted_by_size = read(retention.size_deletions);
  result.segments_deleted_by_retention =
      result.segments_deleted_by_time + result.segments_deleted_by_size;
  const RollupCounters& rollups = rollups_->counters();
  result.rollups_written = read(rollups.written);
  result.rollup_failures = read(rollups.failures);
  result.rollups_deleted = read(rollups.deleted);
  result.quarantined_files = quarantine_.files();
  result.samples_lost_missing = store_->losses().samples_missing;
  result.samples_lost_damaged = store_->losses().samples_damaged;
  result.deletes = read(deletes_);
  return result;
}

DatabaseSizes DatabaseImpl::sizes() const {
  DatabaseSizes result;
  result.head_bytes = head_->run_bytes();
  result.index_bytes = head_->index().memory_bytes();
  result.series = head_->index().series_count();
  for (size_t s = 0; s < head_->shard_count(); ++s)
    result.wal_bytes += head_->shard(s).log.total_bytes();
  const std::shared_ptr<const Version> version = store_->Current();
  result.segments = version->segments.size();
  const std::shared_ptr<const RollupSet> rollups = rollups_->Current();
  for (const auto& rollup : *rollups) {
    result.rollup_bytes += rollup->file_bytes();
    ++result.rollups;
    result.lowest_ms = std::min(result.lowest_ms, rollup->range().min_ms);
  }
  result.tombstones = version->tombstones.size();
  for (const Version::Segment& segment : version->segments) {
    result.segment_bytes += segment->meta().file_bytes;
    if (segment->meta().range.min_ms <= segment->meta().range.max_ms)
      result.lowest_ms = std::min(result.lowest_ms, segment->meta().range.min_ms);
  }
  result.lowest_ms = std::min(result.lowest_ms, head_->Span().min_ms);
  result.disk_bytes = budget_.used();
  result.disk_bytes_max = budget_.cap();
  result.below_free_space_floor = budget_.below_floor();
  result.days_waiting = compactor_->counters().days_waiting.load(std::memory_order_relaxed);
  result.compaction_paused = compactor_->paused();
  return result;
}

}  // namespace

Result<std::unique_ptr<Database>> Database::Open(Options options) {
  Env& env = options.env == nullptr ? Env::Default() : *options.env;
  auto database = std::make_unique<DatabaseImpl>(std::move(options), env);
  TOCSIN_TRY(database->Start());
  return database;
}

}  // namespace tocsin::tsdb
