#include "tsdb/database.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/log.h"
#include "tsdb/database_impl.h"
#include "tsdb/prometheus/import_staging.h"
#include "tsdb/readable.h"
#include "tsdb/snapshot_writer.h"

namespace tocsin::tsdb {
namespace {

constexpr int64_t kMaintenanceIntervalMs = 1000;
// Seals of many servers on one disk should not fall on the same second.
constexpr uint64_t kStaggerMs = 30'000;

}  // namespace

Status DatabaseImpl::Start() {
  if (!std::has_single_bit(options_.shards) || options_.shards > kShardsMax) {
    return Status(Code::kInvalidArgument, "shards: " + std::to_string(options_.shards) +
                                              " is no power of two from 1 to 64");
  }
  if (options_.read_only) return StartReadOnly();
  TOCSIN_RETURN_IF_ERROR(CheckMayHoldStore(env_, options_.dir));
  TOCSIN_RETURN_IF_ERROR(env_.CreateDirs(options_.dir));
  TOCSIN_ASSIGN_OR_RETURN_STATUS(lock_, env_.LockFile(JoinPath(options_.dir, "lock")));
  TOCSIN_RETURN_IF_ERROR(CheckReadable(env_, options_.dir));
  TOCSIN_RETURN_IF_ERROR(budget_env_.CountFiles());
  bool import_ended = false;
  if (const Status ended = ImportStaging(env_, options_.dir).Recover(&import_ended); !ended.ok()) {
    LogError("tsdb", "an import that was broken off cannot be ended yet", {{"err", ended}});
  } else if (import_ended) {
    LogInfo("tsdb", "the segments of an import that was broken off are moved into place");
  }
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
  compactor_->rewrite_rollups = [this] { return RewriteRollups(); };
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

model::Timestamp DatabaseImpl::RollupTime(const Version& version) const {
  model::Timestamp newest = model::kMinTimestamp;
  for (const Version::Segment& segment : version.segments)
    newest = std::max(newest, segment->meta().range.max_ms);
  const std::shared_ptr<const RollupSet> rollups = rollups_->Current();
  for (const auto& rollup : *rollups) newest = std::max(newest, rollup->range().max_ms);
  return std::min(env_.NowMs(), newest);
}

Status DatabaseImpl::RunRollups(size_t days_max, bool foreground) {
  // Of a cap on bytes rollups may have the half; their days go oldest first, too.
  const uint64_t rollups_max = budget_.cap() / 2;
  if (const uint64_t bytes = rollups_->bytes(); rollups_max > 0 && bytes > rollups_max)
    TOCSIN_RETURN_IF_ERROR(rollups_->RemoveOldest(bytes - rollups_max));
  return compactor_->RunPaced(foreground, [&](const Compactor::EndsWork& ends) {
    return rollups_->RunRound([this] { return store_->Current(); }, compactor_->policy(),
                              RollupTime(*store_->Current()), options_.metric_type, ends, days_max);
  });
}

Status DatabaseImpl::RewriteRollups() {
  // Those whose segment has been rewritten are made of the new one, or go with the old.
  TOCSIN_RETURN_IF_ERROR(RunRollups(SIZE_MAX, /*foreground=*/true));
  TombstoneList tombstones;
  uint64_t applied = 0;
  store_->WithoutDeletes([&] {
    tombstones = store_->Current()->tombstones;
    applied = head_->commit_number();
  });
  return compactor_->RunPaced(/*foreground=*/true, [&](const Compactor::EndsWork& ends) {
    return rollups_->Rewrite(*store_->Current(), tombstones, applied, ends);
  });
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
    if (env_.MonotonicNanos() / 1'000'000 < first_round_ms_.load(std::memory_order_relaxed)) return;
    const Status status = RunMaintenance();
    if (!status.ok() && !failing)
      LogError("tsdb", "compaction fails, it is tried again", {{"err", status}});
    failing = !status.ok();
  });
}

Status DatabaseImpl::Snapshot(const std::string& directory, bool skip_head) {
  TOCSIN_RETURN_IF_ERROR(CheckWritable());
  compactor_->AddWaiting(1);
  MutexLock lock(compact_mutex_);
  compactor_->AddWaiting(-1);
  TOCSIN_ASSIGN_OR_RETURN_STATUS(SnapshotContents contents, compactor_->SealForSnapshot(skip_head));
  contents.seed_path = JoinPath(options_.dir, kSeedFile);
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
    // The next start finds every slot's state in files of their own, and reads those of the rows
    // only for the rows.
    if (options_.wal && !options_.read_only) status = head_->RotateLogs(nullptr);
    for (size_t s = 0; s < head_->shard_count(); ++s) {
      Status closed = head_->shard(s).log.Close();
      if (status.ok()) status = std::move(closed);
    }
  }
  lock_.reset();
  return status;
}

Result<std::unique_ptr<Database>> Database::Open(Options options) {
  Env& env = options.env == nullptr ? Env::Default() : *options.env;
  auto database = std::make_unique<DatabaseImpl>(std::move(options), env);
  TOCSIN_TRY(database->Start());
  return database;
}

}  // namespace tocsin::tsdb
