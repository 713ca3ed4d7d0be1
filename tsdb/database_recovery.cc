#include "tsdb/database_impl.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <utility>

#include "base/bytes.h"
#include "base/log.h"

namespace tocsin::tsdb {

namespace {

// After a start that loaded rows, queries and rules come first; then what is due is sealed.
constexpr int64_t kFirstRoundDelayMs = 5000;
// A seal or merge while a read-only database opens makes it look again; they are minutes apart.
constexpr int kReadOnlyAttemptsMax = 10;

}  // namespace

// The secret that fingerprints are keyed with. Losing it costs only time: fingerprints of older
// segments are then computed from their labels.
Result<uint64_t> DatabaseImpl::LoadSeed() {
  const std::string path = JoinPath(options_.dir, kSeedFile);
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
    TOCSIN_ASSIGN_OR_RETURN_STATUS(inventory, ListLogs(env_, log_dir, options_.read_only));
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
  named_tails_ =
      std::make_unique<NamedTails>(env_, JoinPath(options_.dir, "tails"), *head_, quarantine_);
  if (!options_.read_only) named_tails_->Load();

  const int64_t began = env_.MonotonicNanos();
  const std::shared_ptr<const Version> version = store_->Current();
  const uint64_t missing_files = inventory.missing_files;
  if (missing_files > 0 && !options_.read_only) {
    LogError("tsdb", "log files are missing, and with them the rows that only they held",
             {{"dir", log_dir}, {"files", missing_files}});
  }
  replay_ = std::make_unique<Replay>(env_, std::move(inventory), version, options_.replay_threads,
                                     head_.get());
  NoteReplay(replay_->Restore());
  for (const WindowUse& cut : version->sealed.cuts()) head_->RaiseCommitNumber(cut.commit);
  head_->RaiseCommitNumber(store_->opened_commit());
  for (const auto& tombstone : version->tombstones) {
    head_->RaiseCommitNumber(tombstone->commit);
    head_->ForgetLastValues(tombstone->matcher_sets, tombstone->range);
  }
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
  if (recovery_.replayed_rows > 0)
    first_round_ms_ = env_.MonotonicNanos() / 1'000'000 + kFirstRoundDelayMs;
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

// A daemon beside us may seal what the log held while we read: then the two do not fit, and both
// are read again.
Status DatabaseImpl::StartReadOnly() {
  TOCSIN_RETURN_IF_ERROR(CheckIsStore(env_, options_.dir));
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const uint64_t seed, LoadSeed());
  const std::string segment_dir = JoinPath(options_.dir, "segments");
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

}  // namespace tocsin::tsdb
