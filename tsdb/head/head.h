// Head: recent samples. Sources in shards, each shard written under its own mutex; one commit
// number over all of them; readers without locks.
//
//   commit:  lock the batch's shards, ascending → decide every sample → encode frames into pages
//   and
//            log buffers → n = commit number + 1 into the frames, then publish n with one store →
//            commit record into each log buffer → unlock → wait for the log if asked to
//   read:    commit_number() once; frames with a higher number do not exist for this reader
//
// Lock order: shard mutexes in ascending order → publish_mutex_. The log's own locks are taken
// without them. HeadIndex locks inside.
//
// Thread contract: thread-safe, but for what says otherwise.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/env.h"
#include "base/mutex.h"
#include "base/status.h"
#include "model/storage.h"
#include "tsdb/disk_budget.h"
#include "tsdb/head/exemplars.h"
#include "tsdb/head/frame.h"
#include "tsdb/head/newest_samples.h"
#include "tsdb/head/page.h"
#include "tsdb/head/page_reader.h"
#include "tsdb/head/source.h"
#include "tsdb/index/epoch.h"
#include "tsdb/index/head_index.h"
#include "tsdb/index/id_array.h"
#include "tsdb/wal/shard_log.h"
#include "tsdb/wal/tail_positions.h"

namespace tocsin::tsdb {

struct HeadOptions {
  std::string log_dir;
  bool wal = true;
  uint32_t shards = 8;
  uint64_t epoch = 0;
  uint64_t fingerprint_seed = 0;
  int64_t out_of_order_window_ms = 0;
  bool accept_any_first_timestamp = false;
  model::Durability minimum_durability = model::Durability::kGrouped;
  uint64_t series_limit = 0;
  uint64_t source_series_limit = 0;
  size_t exemplars_max = 0;
  const DiskBudget* budget = nullptr;  // null = everything is let in
  bool compress_log = false;
  uint64_t tail_log_bytes_max = 0;
};

struct HeadCounters {
  std::atomic<uint64_t> batches_committed{0};
  std::atomic<uint64_t> rows_committed{0};
  std::atomic<uint64_t> samples_committed{0};
  std::atomic<uint64_t> samples_late{0};
  std::atomic<uint64_t> samples_refused[8] = {};
  std::atomic<uint64_t> samples_refused_with_batch{0};
  std::atomic<uint64_t> batches_refused{0};
  std::atomic<uint64_t> series_refused{0};
  std::atomic<uint64_t> backpressure_waits{0};
};

// Which keys the open log file of a shard knows: a bit each, in pieces for as many neighbours. Ids
// only ever rise, so what is kept must depend on the keys that are alive, not on the highest id.
class KeysLogged {
 public:
  // True when it was not among them.
  bool Add(KeyId key) {
    uint64_t& word = pieces_[key / kPieceKeys][key / 64 % (kPieceKeys / 64)];
    const uint64_t bit = uint64_t{1} << (key % 64);
    const bool added = (word & bit) == 0;
    word |= bit;
    return added;
  }
  void Clear() { pieces_ = {}; }

 private:
  static constexpr KeyId kPieceKeys = 2048;
  std::unordered_map<KeyId, std::array<uint64_t, kPieceKeys / 64>> pieces_;
};

// What is written under one mutex.
// What was last committed under a mark's key, and the shards that have a part of its batch.
struct CommittedMark {
  std::string bytes;
  uint64_t commit = 0;
  uint64_t shards = 0;  // one bit each
};

struct Shard {
  Shard(uint32_t shard_number, Env& env, const HeadOptions& options)
      : number(shard_number),
        log(env, options.log_dir, shard_number, options.shards, options.epoch, mutex, options.wal,
            options.compress_log) {}

  const uint32_t number;
  Mutex mutex;
  ShardLog log;
  std::vector<Source*> sources GUARDED_BY(mutex);
  // The latest half hour that rows were logged of: the first row of a later one begins a file.
  model::Timestamp log_window_ms GUARDED_BY(mutex) = model::kMinTimestamp;
  KeysLogged keys_logged GUARDED_BY(mutex);
  // That came with batches of this shard: its log alone can answer for their rows.
  std::map<std::string, CommittedMark> marks GUARDED_BY(mutex);
  FrameEncoder encoder GUARDED_BY(mutex);
};

class Head {
 public:
  Head(Env& env, HeadOptions options);
  ~Head();

  // --- appending ---
  Result<std::unique_ptr<model::SourceWriter>> OpenSource(const model::Origin& origin,
                                                          const model::Labels& labels);
  std::unique_ptr<model::AppendBatch> NewBatch();

  // --- reading ---
  uint64_t commit_number() const { return commit_number_.load(std::memory_order_acquire); }
  const HeadIndex& index() const { return index_; }
  // Null for a source that was removed. Lives as long as a pin taken before.
  const Source* FindSource(SourceId id) const { return sources_.Get(id); }
  EpochDomain::Pin NewPin() const { return epochs_.NewPin(); }
  // newest_samples.h, under the shard's mutex for a few microseconds.
  void ReadNewest(const Source& source, const Page& page, const HeadView& view,
                  std::span<const uint32_t> slots, NewestSample* newest) const;
  const ExemplarRing& exemplars() const { return exemplars_; }

  // --- replay; before anybody else uses the head, or under the mutex of the source's shard ---
  // `in_use`: an incarnation that the head knows stays, whatever it holds. `*added`: the head did
  // not know the source.
  Source& ReplaySource(const model::Origin& origin, const model::Labels& labels,
                       uint64_t incarnation, bool in_use, bool* added);
  // Makes the page, with a key for each slot. kUnknownKey: the key's record was lost.
  static constexpr KeyId kUnknownKey = kNoId - 1;
  Page& ReplayLayout(Source& source, uint32_t page, uint32_t first_slot,
                     const std::vector<KeyId>& keys);
  KeyId ReplayKey(const model::Labels& labels) { return index_.AddKey(labels); }
  // A mark that `shard`'s log holds. The one with the highest commit number counts.
  void ReplayMark(uint32_t shard, const std::string& key, CommittedMark mark);
  void ReplayExemplar(Source& source, model::Slot slot, const model::Exemplar& exemplar,
                      uint64_t commit);
  void RaiseCommitNumber(uint64_t commit);
  void RaiseNewest(model::Timestamp t);
  void RaiseSettled(model::Timestamp now_ms);
  // Adds up what was replayed; forgets gaps: the next log file begins with every page's state.
  void FinishRestore();

  // --- start ---
  // Opens each shard's next log file, with a checkpoint, and hands it to the kernel; a shard at a
  // time, since a checkpoint is as long as everything alive.
  Status StartLogs();

  // --- replay beside appends ---
  // Puts the runs of `older`, the same page's earlier rows, in front of `live`'s. Under the shard's
  // mutex.
  void TakeOlderRuns(Page& older, Page* live);

  // --- deletes ---
  // The next commit number, for a delete: every row has a lower or a higher one.
  uint64_t ReserveCommitNumber();
  // Raises ChangeNumber for `range`.
  void NoteChange(model::TimeRange range);
  // The last samples of series that satisfy a set may be deleted, if in `range`: the same ones,
  // sent again, are no duplicates of them. Too much of it costs a duplicate until the next seal.
  void ForgetLastValues(const std::vector<model::MatcherSet>& matcher_sets, model::TimeRange range);
  // Removes the exemplars for which `deleted` is true.
  void RemoveExemplars(const ExemplarRing::Predicate& deleted) { exemplars_.Remove(deleted); }

  // --- snapshots ---
  // All marks as of a commit number.
  std::vector<std::pair<std::string, std::string>> Marks(uint64_t* commit);

  // --- sealing ---
  // Half hours that hold samples which `covered` does not cover, each with the highest commit.
  std::vector<WindowUse> OpenWindows(const std::function<bool(const WindowUse&)>& covered);
  // A run that segments hold for every reader that may still come.
  struct CoveredRun {
    Page* page;
    Run* run;
  };
  // Detaches the runs at the front of pages that are covered; they are freed when no pin is left
  // that may be reading them. Precondition: no pin is older than the version that covers them.
  size_t RetireRuns(const std::function<bool(const WindowUse&)>& covered);
  // Removes sources that nobody held and that had no samples here for `idle_ms`, but those of
  // imported exemplars as long as these are kept. With it go the
  // last values by which repeated samples are told.
  size_t RemoveIdleSources(int64_t idle_ms);
  // Frees slots that were released and whose samples have left memory and log, for other keys.
  // Precondition: as for RetireRuns.
  size_t RecycleSlots() NO_THREAD_SAFETY_ANALYSIS;
  // Begins a new log file in shards whose file has samples, and none that `covered` does not cover
  // (null: whatever it has), so that the old one can be dropped. Syncs every log, a shard at a
  // time.
  Status RotateLogs(const std::function<bool(const WindowUse&)>& covered) NO_THREAD_SAFETY_ANALYSIS;

  // --- log ---
  Status FlushLogs(bool sync);
  TailPositions& tails() { return tails_; }
  const TailPositions& tails() const { return tails_; }
  // What tails still want of each shard's log.
  LogKeep LogToKeep() const {
    return {tails_.Lowest(), options_.tail_log_bytes_max / shards_.size()};
  }
  size_t shard_count() const { return shards_.size(); }
  Shard& shard(size_t i) { return *shards_[i]; }
  const Shard& shard(size_t i) const { return *shards_[i]; }

  // --- figures ---
  const HeadCounters& counters() const { return counters_; }
  size_t run_bytes() const { return run_bytes_.load(std::memory_order_relaxed); }
  size_t run_count() const;
  model::Timestamp newest_ms() const { return newest_ms_.load(std::memory_order_relaxed); }
  // Of samples in memory; max < min when there are none.
  model::TimeRange Span() const;
  bool FindMark(std::string_view key, std::string* bytes) const;
  // Rises when samples at or before SettledUntil() are committed, or NoteChange says.
  model::Timestamp SettledUntil() const;
  uint64_t ChangeNumber(model::TimeRange range) const;
  // Woken when a log buffer is full enough; the caller sets it before the first append.
  std::function<void()> wake_log_writer;

 private:
  friend class HeadBatch;
  friend class HeadSourceWriter;

  uint32_t ShardOf(const model::Origin& origin, const model::Labels& labels) const;
  Source& AddSource(SourceId id, const model::Origin& origin, const model::Labels& labels,
                    uint64_t incarnation) REQUIRES(sources_mutex_);
  void RemoveSource(Source* source) REQUIRES(sources_mutex_);
  Result<model::Slot> AddSlot(Source& source, const model::Labels& key);
  void ReleaseSlot(Source& source, model::Slot slot);
  void CloseWriter(Source& source);
  // Puts what the open log file does not know of the page into the log's buffer.
  // (The log refers to the shard's mutex, which the lock analysis does not see through.)
  void LogMarks(Shard& shard) NO_THREAD_SAFETY_ANALYSIS;
  void LogDictionary(Shard& shard, Source& source, Page& page) NO_THREAD_SAFETY_ANALYSIS;
  void StartLogFile(Shard& shard) NO_THREAD_SAFETY_ANALYSIS;
  void AccountRuns(size_t before, size_t after) {
    run_bytes_.fetch_add(after - before, std::memory_order_relaxed);
  }

  Env& env_;
  const HeadOptions options_;
  EpochDomain epochs_;
  HeadIndex index_;
  IdArray<Source> sources_;
  std::vector<std::unique_ptr<Shard>> shards_;
  ExemplarRing exemplars_;
  TailPositions tails_;
  HeadCounters counters_;

  // Guards the source table's writing side and `epochs_`' retiring side.
  Mutex sources_mutex_;

  int64_t opened_ms_ = 0;  // fixed once StartLogs was called

  Mutex publish_mutex_;
  std::atomic<uint64_t> commit_number_{0};
  std::atomic<model::Timestamp> newest_ms_{model::kMinTimestamp};
  std::atomic<model::Timestamp> settled_ms_{model::kMinTimestamp};
  std::atomic<size_t> run_bytes_{0};
  // Counts by half hour, modulo the size: a collision only makes a number rise for nothing.
  static constexpr size_t kChangeCounters = 1024;
  struct ChangeWindows;
  std::atomic<uint64_t> changes_[kChangeCounters] = {};
  std::atomic<uint64_t> next_batch_{1};

  mutable Mutex marks_mutex_;
  void SetMark(const std::string& key, CommittedMark mark) EXCLUDES(marks_mutex_);
  std::unordered_map<std::string, CommittedMark> marks_ GUARDED_BY(marks_mutex_);
};

}  // namespace tocsin::tsdb
