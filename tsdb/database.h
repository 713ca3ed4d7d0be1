// Database: the storage as one object. Appender and Queryable over the head (recent rows, in
// memory and in the WAL) and the sealed segments of one data directory.
//
//   auto database = Database::Open({.dir = "/var/lib/tocsin"});       // replays the WAL
//   model::Appender& in = **database;  model::Queryable& out = **database;
//   …
//   (*database)->Close();                                             // flushes; a fast next start
//
// Directory:   lock · seed · wal/<shard>-<number>.log · segments/*.seg · rollups/*.rol ·
//              quarantine/*
//
// Sealing: windows are UTC half hours. Window W is written as an L0 segment kSealDelayMs after its
// end (or earlier when the head outgrows head_bytes_max), then its rows leave memory and log. When
// a UTC day has closed, its L0 files become one segment of level 2. Days older than retention_ms
// are deleted. All of this is done by the thread `compact`; with Options::background = false
// nothing runs by itself and tests call RunMaintenance().
//
// When the log cannot be written: a commit that learns of it after its rows were published (it
// waited for the log) answers an error, and its rows stay: they are read, and reach the log before
// anything later does. Until then every further commit is refused (kStorageFull), reads go on, and
// Open works, too. Who was told an error sends the batch again: the copy is a duplicate, dropped,
// and answered as success once its original is as durable as asked for; at the same timestamp
// another value is refused (kDuplicateTimestamp). Of a batch over several shards that was not
// acknowledged, a crash may keep the part that reached its log.
//
// Thread contract: thread-safe, but for Close(), after which (and before whose end) nothing else
// may be called. Readers (Pin, Select, Read) take no lock and never wait for writers, seals or
// merges.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "model/storage.h"
#include "model/tail.h"
#include "tsdb/damage.h"
#include "tsdb/storage_policy.h"

namespace tocsin::tsdb {

// A window is sealed this long after its end: slow scrapes and pushes mostly have arrived by then,
// and what comes later makes one more small file, never an error.
inline constexpr int64_t kSealDelayMs = 2 * 60 * 1000;

struct DatabaseOptions {
  std::string dir;     // made if absent
  Env* env = nullptr;  // null = Env::Default()

  // Samples older than their slot's last one are accepted this far behind the newest row of the
  // head; 0 = never (kOutOfOrder), as Prometheus does by default.
  int64_t out_of_order_window_ms = 60 * 60 * 1000;
  // A slot without history accepts any past timestamp, not only from an hour behind the newest row
  // on: for test stores and backfill.
  bool accept_any_first_timestamp = false;
  StoragePolicy policy;  // SetPolicy() changes it later

  // Power of two, 1…64. While there is a log, its own count is kept.
  uint32_t shards = 8;
  bool wal = true;         // false: what is not sealed is lost at Close (test stores)
  bool background = true;  // threads wal-write, wal-sync, compact
  // Looks without touching: no lock, no file made, changed, moved or removed, also beside a daemon
  // that runs on the directory. Shows what it held while Open ran; commits, seals and merges are
  // refused. A missing directory is kNotFound.
  bool read_only = false;

  size_t replay_threads = 2;  // at start
  // Open returns once appends are possible (every slot's last state is known) and the rows of older
  // log files are loaded behind it: AwaitLoaded. Needs `background`.
  bool open_early = false;
  int64_t wal_write_interval_ms = 100;
  bool wal_compression = false;  // LZ4
  // Log that is kept only because a tail has not passed it.
  uint64_t tail_log_bytes_max = uint64_t{1} << 30;
  int64_t wal_sync_interval_ms = 1000;  // 0: never synced but for Durability::kSynced
  // The weakest durability any commit gets: kSynced makes every commit wait for the disk.
  model::Durability minimum_durability = model::Durability::kGrouped;

  // Limits on live series; 0 = none. Over them AddSlot gives kResourceExhausted and counts.
  uint64_t series_limit = 0;
  uint64_t source_series_limit = 0;
  // Frames, restarts and late rows in memory; above it windows are sealed ahead of time.
  uint64_t head_bytes_max = uint64_t{512} << 20;
  size_t exemplars_max = 100'000;

  // What exposition says of a metric's type, for rollups; null: nobody knows.
  std::function<model::MetricType(std::string_view metric_name)> metric_type;
};

// Everything ever counted since Open. For self metrics (tocsin_tsdb_…) and tests.
struct DatabaseCounters {
  uint64_t batches_committed = 0;
  uint64_t rows_committed = 0;
  uint64_t samples_committed = 0;
  uint64_t samples_late = 0;  // of the committed ones: older than their slot's last sample
  // By AppendOutcome: tocsin_lost_samples_total{reason}. [kOk] stays 0. Late duplicates are counted
  // when they are sealed or merged.
  uint64_t samples_refused[8] = {};
  // Nothing was wrong with them but the company: an all_or_nothing batch that was refused.
  uint64_t samples_refused_with_batch = 0;
  uint64_t batches_refused = 0;  // all_or_nothing, or the log could not be written
  uint64_t series_refused = 0;   // over a limit
  uint64_t wal_bytes_written = 0;
  uint64_t wal_write_failures = 0;
  uint64_t wal_syncs = 0;
  uint64_t wal_sync_failures = 0;
  uint64_t wal_backpressure_waits = 0;
  uint64_t seals = 0;
  uint64_t seal_failures = 0;
  uint64_t samples_sealed = 0;
  uint64_t merges = 0;
  uint64_t merge_failures = 0;
  uint64_t segments_deleted_by_retention = 0;  // the next two together
  uint64_t segments_deleted_by_time = 0;
  uint64_t segments_deleted_by_size = 0;
  uint64_t rollups_written = 0;  // files
  uint64_t rollup_failures = 0;
  uint64_t rollups_deleted = 0;  // past their retention
  // Recovery, fixed once everything is loaded, but for quarantined_files.
  int64_t replay_ms = 0;
  uint64_t replayed_rows = 0;
  uint64_t replayed_samples = 0;       // changed values decoded
  uint64_t replay_damaged_places = 0;  // runs of bytes that were skipped
  uint64_t replay_torn_tails = 0;      // log files that end within a write, as after a power cut
  uint64_t replay_lost_frames = 0;     // frames dropped for a gap before them, or without commit
  // Samples in frames that were lost. Of a frame that cannot be read they are as many as its page
  // has live series: for pushes, which bring parts of a row, more than there were. Where nothing
  // behind the damage tells how many there were, guessed from its bytes.
  uint64_t replay_lost_samples = 0;
  uint64_t replay_missing_log_files = 0;
  // In the gaps of tails that fell behind what the log keeps; counted like replay_lost_samples.
  uint64_t tail_lost_samples = 0;
  uint64_t quarantined_files = 0;
  // Of segments that should be there: at Open.
  uint64_t samples_lost_missing = 0;
  uint64_t samples_lost_damaged = 0;
  uint64_t deletes = 0;
  // Of regular expressions in selections, one a part of the index: answered from what an earlier
  // query found, or judged anew.
  uint64_t matcher_cache_hits = 0;
  uint64_t matcher_cache_misses = 0;
};

// Of the log files found at start.
struct LoadProgress {
  uint64_t files = 0;
  uint64_t files_done = 0;
  bool complete = true;
};

struct NameCount {
  std::string name;
  uint64_t value = 0;
};

// For /api/v1/status/tsdb: the head's cardinality. Lists are sorted by value, descending.
struct DatabaseStats {
  uint64_t series = 0;
  uint64_t sources = 0;
  uint64_t keys = 0;
  uint64_t label_pairs = 0;
  uint64_t runs = 0;  // open and unsealed pieces in memory; what Prometheus would call chunks
  model::Timestamp min_ms = model::kMaxTimestamp;  // of head rows; min > max when there are none
  model::Timestamp max_ms = model::kMinTimestamp;
  std::vector<NameCount> series_by_metric_name;
  std::vector<NameCount> values_by_label_name;
  std::vector<NameCount> bytes_by_label_name;
  std::vector<NameCount> series_by_label_pair;  // "job=x"
};

// A file of sealed samples.
struct StoredSegment {
  std::array<uint8_t, 16> id{};
  uint8_t level = 0;  // 0: half hours, 1: six hours, 2: a day
  model::TimeRange range;
  uint64_t columns = 0;
  uint64_t samples = 0;
  uint64_t bytes = 0;
};

// Gauges.
struct DatabaseSizes {
  uint64_t head_bytes = 0;  // frames, restarts, late rows
  uint64_t index_bytes = 0;
  uint64_t matcher_cache_bytes = 0;  // of the segments'; the head's is in index_bytes
  uint64_t series = 0;
  uint64_t wal_bytes = 0;
  uint64_t segment_bytes = 0;
  uint64_t segments = 0;
  uint64_t rollup_bytes = 0;
  uint64_t rollups = 0;
  uint64_t tombstones = 0;  // deletes whose samples are still in some file
  model::Timestamp lowest_ms = model::kMaxTimestamp;  // of all that is stored
  uint64_t disk_bytes = 0;                            // every file of the database
  uint64_t disk_bytes_max = 0;                        // what retention allows; 0 = no limit
  bool below_free_space_floor = false;
  uint64_t days_waiting = 0;  // closed days that are not one file yet
  bool compaction_paused = false;
};

class Database : public model::Appender, public model::Queryable {
 public:
  using Options = DatabaseOptions;

  // Takes the lock file (kUnavailable: another process has it), opens the segments, replays the
  // WAL. Damage is put aside (quarantine/), counted and logged; it never makes Open fail.
  static Result<std::unique_ptr<Database>> Open(Options options);

  // Up to here nothing changes any more unless ChangeNumber tells (late rows, deletes, retention,
  // merges, rollups; in windows of half an hour). A little behind the newest row, since sources
  // sample and send at different times; never falls. Result caches read this, then ChangeNumber,
  // then pin.
  virtual model::Timestamp SettledUntil() const = 0;
  ~Database() override = default;  // closes if need be

  // False until every row found at start can be read. Until then a snapshot lacks rows, nothing is
  // sealed, merged or deleted, and whoever asks for that waits.
  virtual LoadProgress load_progress() const = 0;
  // Waits for it, at most so long.
  virtual bool AwaitLoaded(int64_t timeout_ms) = 0;

  // Flushes and syncs everything, stops the threads, gives the lock file back. Idempotent.
  virtual Status Close() = 0;

  // Seals every row and merges every day, the open one included, into one segment each; answers
  // when done (POST /api/v1/admin/tsdb/compact).
  virtual Status Compact() = 0;
  // Deletes the samples in `range` that are committed so far, of every series that satisfies one of
  // the sets; exemplars, too. On disk when this returns; snapshots pinned from then on do not see
  // them, older ones do. The bytes go when the files are rewritten. kInvalidArgument: no set, an
  // empty one, too many matchers; kResourceExhausted: too many deletes wait for a rewrite.
  virtual Status DeleteSeries(std::vector<model::MatcherSet> matcher_sets,
                              model::TimeRange range) = 0;
  // Rewrites now what deletes have touched. kUnavailable when some could not be:
  // damaged, or no room.
  virtual Status CleanTombstones() = 0;
  // Writes the store as of now, one commit number, into `directory`, which is made and from which
  // a database opens. Segments are hard-linked. With `skip_head` without what is not in segments
  // yet.
  virtual Status Snapshot(const std::string& directory, bool skip_head) = 0;
  // Seals the rows committed so far that lie in `range` (widened to whole windows).
  virtual Status Seal(model::TimeRange range) = 0;
  // One round of what `compact` does: due seals, due merges, retention.
  virtual Status RunMaintenance() = 0;
  // Waits until everything committed so far is in the kernel (or synced).
  virtual Status FlushWal(bool sync) = 0;

  // While paused nothing is merged (a running merge is given up) and Compact() is kUnavailable;
  // seals and retention go on. Not remembered over a restart.
  virtual void PauseCompaction(bool paused) = 0;

  // In effect from the next round of maintenance on.
  virtual void SetPolicy(StoragePolicy policy) = 0;
  virtual StoragePolicy policy() const = 0;

  // Follows committed rows from behind commit number `position` on (model/tail.h); 0: from the
  // oldest that the log has. What the log held at start is only kept for tails that are opened
  // right after Open. kUnimplemented without a log.
  virtual Result<std::unique_ptr<model::Tail>> OpenTail(uint64_t position) = 0;
  // The same for a tail whose position the database keeps, in `tails/NAME`: it goes on behind what
  // was released before, restarts and crashes included (what was released in the last second may
  // come again), the log is kept for it from Open on, and what it missed meanwhile is counted. One
  // at a time of a name. Names are of letters, digits, '-' and '_', up to 64.
  virtual Result<std::unique_ptr<model::Tail>> OpenNamedTail(std::string_view name) = 0;
  // Its position is not kept any longer, nor is the log for it. kNotFound: there is none.
  virtual Status ForgetTail(std::string_view name) = 0;

  // The bytes last committed under a mark's key, also after a restart.
  virtual std::optional<std::string> FindMark(std::string_view key) const = 0;

  virtual DatabaseCounters counters() const = 0;
  virtual DatabaseSizes sizes() const = 0;
  virtual DatabaseStats Stats(size_t limit) const = 0;
  // By time, then level.
  virtual std::vector<StoredSegment> Segments() const = 0;
  virtual const Options& options() const = 0;
  // What cannot be served as it was written: files that were put aside or are damaged in part, as
  // far as they have been read, and files that are missing.
  virtual std::vector<Damage> Damages() const = 0;
};

}  // namespace tocsin::tsdb
