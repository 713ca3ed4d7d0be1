// Compactor: what happens to samples after they were committed. Seals half hours, merges their
// files into six hours (L1) and days (L2), deletes what is past its retention, and lets go of
// memory and log files that segments have made redundant.
//
// Thread contract: one caller at a time (Database holds a mutex around it). Reads and appends go on
// meanwhile.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/env.h"
#include "base/mutex.h"
#include "base/status.h"
#include "tsdb/disk_budget.h"
#include "tsdb/head/head.h"
#include "tsdb/merge_policy.h"
#include "tsdb/pacer.h"
#include "tsdb/retention.h"
#include "tsdb/segment_store.h"
#include "tsdb/snapshot.h"
#include "tsdb/snapshot_writer.h"
#include "tsdb/storage_policy.h"

namespace tocsin::tsdb {

// What a merged file may be larger than its inputs by, for each of their columns: mostly facts
// (segment/facts.h), with the values before up to 64 resets.
inline constexpr uint64_t kMergedColumnGrowth = 600;
// A seal that failed (a full disk) is tried again after so long.
inline constexpr int64_t kSealRetryMs = 15'000;
// The same for merges.
inline constexpr int64_t kMergeRetryMs = 60'000;
// Mapped pages of segments are let go of so often. Mapping one again costs a microsecond.
inline constexpr int64_t kDropPagesMs = 10 * 60 * 1000;
// A source whose samples are all in segments is forgotten when nobody held it for so long.
inline constexpr int64_t kIdleSourceMs = 60 * 60 * 1000;

struct CompactorOptions {
  int64_t seal_delay_ms = 0;  // after a half hour's end
  int64_t out_of_order_window_ms = 0;
  uint64_t head_bytes_max = 0;
  // Merges take less of a core meanwhile. Null: none ever do.
  std::function<bool()> queries_running;
};

struct CompactorCounters {
  std::atomic<uint64_t> seals{0};
  std::atomic<uint64_t> seal_failures{0};
  std::atomic<uint64_t> samples_sealed{0};
  std::atomic<uint64_t> merges{0};
  std::atomic<uint64_t> merge_failures{0};
  // Closed days that are not one file yet.
  std::atomic<uint64_t> days_waiting{0};
  // Late samples that lost to one at the same timestamp.
  std::atomic<uint64_t> equal_dropped{0};
  std::atomic<uint64_t> unequal_dropped{0};
};

class Compactor {
 public:
  Compactor(Env& env, std::string dir, Head& head, SegmentStore& store, Quarantine& quarantine,
            DiskBudget& budget, CompactorOptions options)
      : env_(env),
        head_(head),
        store_(store),
        quarantine_(quarantine),
        budget_(budget),
        options_(options),
        retention_(env, std::move(dir), store, budget) {}

  // Sets the budget's limits, as every round does; before the first one.
  void LookAtDisk() { retention_.Watch(policy()); }
  // One round: retention, seals that are due or that memory asks for, merges.
  Status RunRound();
  // Seals what the head holds in `range`, widened to whole half hours.
  Status Seal(model::TimeRange range);
  // Rewrites every file that deletes have touched, sealing before what they touch in the head, and
  // then rollups (rewrite_rollups). kUnavailable when some could not be: damaged, or no room.
  Status CleanTombstones();
  // Other work on closed days: `work` asks between its columns whether it shall end, with the
  // oldest sample of its input, and is kept to the share of a merge meanwhile. Not begun while
  // compaction is paused, unless `foreground`, which is as fast as it can.
  using EndsWork = std::function<bool(model::Timestamp oldest_ms)>;
  Status RunPaced(bool foreground, const std::function<Status(const EndsWork&)>& work);
  // The state at one commit number, in segments. With `skip_head` what is in segments by now: then
  // each window is as of its own seal.
  Result<SnapshotContents> SealForSnapshot(bool skip_head);
  // Seals everything and merges each day into one segment.
  Status CompactAll();

  // Files that retention by time leaves alone for now: rollups are made of them first.
  std::function<bool(const SegmentMeta&)> hold_expired;

  // Thread-safe.
  void SetPolicy(StoragePolicy policy);
  StoragePolicy policy() const;

  // Thread-safe: no merges from now on, a running one is given up; seals and deletions go on.
  void Pause(bool paused) { paused_.store(paused, std::memory_order_relaxed); }
  bool paused() const { return paused_.load(std::memory_order_relaxed); }
  // Thread-safe: the round that runs ends soon.
  void Stop() { stopping_.store(true, std::memory_order_relaxed); }
  // Thread-safe. While somebody waits for his turn, a running merge takes all the time it can get.
  void AddWaiting(int count) { foreground_waiting_.fetch_add(count, std::memory_order_relaxed); }

  const CompactorCounters& counters() const { return counters_; }
  const RetentionCounters& retention_counters() const { return retention_.counters(); }

  // Whether rollups hold samples that a delete masks; null = there are none. Set before use.
  std::function<bool(const Tombstone&)> rollups_need;
  // Writes rollups anew that a delete masks; null = there are none. Set before use.
  std::function<Status()> rewrite_rollups;

 private:
  std::vector<WindowUse> OpenWindows(model::TimeRange range) const;
  // For what is written to files: sees every delete up to its commit number.
  std::unique_ptr<DatabaseSnapshot> PinForRewrite();
  Status SealWindow(model::Timestamp first_ms, model::Timestamp last_ms,
                    const DatabaseSnapshot& snapshot);
  Status SealWindows(const std::vector<WindowUse>& windows, bool whole_log);
  // Lets go of rows and log files that segments hold by now; with `whole_log` of what the open log
  // files hold, too, though they have other rows.
  Status Release(bool whole_log);
  void RetireRuns();
  Status MergeDue();
  Status MergeAll();
  Status SealAndMergeAll();
  // Asked between the columns of a merge whose inputs begin at `oldest_ms`: paces it, does what is
  // due meanwhile.
  bool EndsMerge(model::Timestamp oldest_ms);
  // Of a core, for merges, now.
  double Share() const;
  Status Merge(std::vector<Version::Segment> inputs, uint8_t level);
  // Deletes what is past its time, and what is over the size and from before `before_ms`.
  Status ApplyRetention(model::Timestamp before_ms);
  // The same for the size alone; seals what is in the way.
  Status MakeHeadroom(model::Timestamp before_ms);
  // Some column of the file is in a series and range of the delete.
  bool Touches(const Tombstone& tombstone, const SegmentReader& segment);
  // Samples that it masks are in the head or in the log.
  bool HeadNeeds(const Tombstone& tombstone);
  std::vector<Version::Segment> SegmentsThatNeed(const Tombstone& tombstone);
  Status RewriteTouched();
  // Forgets deletes that nothing needs any more.
  Status DropTombstones();
  // Whether the head or the log still holds rows of a segment's windows.
  Retention::Held HeldByHead() const;
  // Rewrites files that hold series whose time is past, or deletes them.
  Status ApplyRetentionRules();
  Status SealDue();
  Status SealWhatIsDue(model::Timestamp now);
  // Rows that cannot be sealed stay in memory and log, and would until both are full. So while
  // seals fail samples are refused from twice head_bytes_max on, or twice what the head was when
  // that began; reads and alerts go on, and seals are tried again.
  void NoteSeals(const Status& status);
  Status SealAndMerge();
  Status SealPast(model::Timestamp now);
  void DropResidentPages();
  void Count(const DroppedSamples& dropped);

  Env& env_;
  Head& head_;
  SegmentStore& store_;
  Quarantine& quarantine_;
  DiskBudget& budget_;
  const CompactorOptions options_;
  CompactorCounters counters_;

  mutable Mutex policy_mu_;
  StoragePolicy policy_ GUARDED_BY(policy_mu_);

  model::Timestamp next_seal_ms_ = model::kMinTimestamp;
  int64_t next_drop_ms_ = 0;
  model::Timestamp sealed_past_ms_ = model::kMinTimestamp;  // SealPast looked this far
  int64_t seal_retry_ms_ = 0;                               // of the monotonic clock; not before
  size_t seals_failed_head_bytes_ = 0;  // of the head when seals began to fail; 0: they do not
  // Versions that must be gone before the rows sealed since may leave memory.
  std::vector<std::weak_ptr<const Version>> retiring_;
  std::set<SegmentId> damaged_;  // not merged
  // What the head and the log held when a delete was first seen here, by its number: until windows
  // are sealed and log files are gone, it is needed.
  struct HeldForDelete {
    std::vector<WindowUse> windows;
    std::vector<uint32_t> log_files;  // the open one of each shard
  };
  std::map<uint64_t, HeldForDelete> held_;
  std::weak_ptr<const Version> tombstones_checked_;
  // Files that a delete was found not to touch.
  std::set<std::pair<uint64_t, SegmentId>> untouched_;
  bool rows_to_retire_ = false;  // something was sealed since RetireRuns last came through
  Retention retention_;
  std::map<model::Timestamp, DayHistory> days_;

  Pacer pacer_{env_};
  uint32_t columns_merged_ = 0;
  int64_t next_merge_ms_ = 0;   // monotonic
  int64_t next_chores_ms_ = 0;  // monotonic
  Status chores_;               // of what was done during the last merge
  bool in_foreground_ = false;  // CompactAll, CleanTombstones: as fast as they can
  std::atomic<int> foreground_waiting_{0};
  std::atomic<bool> paused_{false};
  std::atomic<bool> stopping_{false};
};

}  // namespace tocsin::tsdb
