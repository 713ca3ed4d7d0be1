// ShardLog: the log of one shard: a bounded buffer in front of a series of log files.
//
// Records are appended to buffer() under the shard's mutex, without I/O. Flush moves them to the
// kernel, Sync to the disk; both take the mutex only to swap the buffer out, and whoever flushes
// writes for everybody who waits (group commit). When writing fails, what was taken is kept and
// written first by the next Flush: nothing is lost and nothing is written twice. Meanwhile
// failing() tells appenders to refuse.
//
// A failed fdatasync may have dropped the bytes it was asked for, and a second one would claim
// success. So after one the open file is written anew: what was on disk before is copied, what came
// since comes from memory (or is read back and checked), and the copy, synced, takes the file's
// name. Until that has worked nothing counts as synced.
//
// A file is begun only when the one before is on the disk: it says so in its first record. Replay
// relies on it: a file's checkpoint speaks of rows in the files before.
//
// A file is dropped (DropCovered) once segments hold every sample of it and tails have passed it.
//
// Thread contract: members marked REQUIRES(mutex()) want the shard's mutex; the others are
// thread-safe and must be called without it.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/mutex.h"
#include "base/status.h"
#include "tsdb/head/page.h"
#include "tsdb/wal/log_format.h"
#include "tsdb/wal/log_writer.h"

namespace tocsin::tsdb {

// wal-write is woken at once when a buffer holds so much.
inline constexpr size_t kLogWakeBytes = 512 * 1024;
// Appenders flush themselves (and so wait for the disk) above this.
inline constexpr size_t kLogBufferBytesMax = size_t{4} << 20;
// Of what is not synced yet, a copy of so much is held against a failing fdatasync.
inline constexpr size_t kLogUnsyncedCopyMax = size_t{1} << 20;

struct LogFileInfo {
  uint32_t number = 0;
  std::string path;
  uint64_t bytes = 0;
  uint64_t last_commit = 0;  // no batch in it has a higher number
  uint64_t epoch = 0;        // of the process run that wrote it; set for files found at start
  // Its first record says that the file before is on the disk whole.
  bool previous_synced = false;
  uint32_t rewrites = 0;  // how often another file with the same bytes took its place
  std::vector<WindowUse> uses;
};

// What there is to follow.
struct LogView {
  std::vector<LogFileInfo> files;  // ascending; the open one last; without uses
  uint64_t complete_commit = 0;    // every batch up to this number is in the files
};

// Which log files must stay although segments hold their samples.
struct LogKeep {
  uint64_t commit = UINT64_MAX;  // files with batches above it …
  uint64_t bytes_max = 0;        // … as long as they are no more than this together
};

class ShardLog {
 public:
  ShardLog(Env& env, std::string dir, uint32_t shard, uint32_t shard_count, uint64_t epoch,
           Mutex& mutex, bool enabled, bool compress);
  // The number of the last published batch; set before the first file is started.
  void FollowCommits(const std::atomic<uint64_t>* commit_number) { commit_number_ = commit_number; }

  Mutex& mutex() TOCSIN_TSA(lock_returned(mutex_)) { return mutex_; }
  bool enabled() const { return enabled_; }

  // --- under the shard's mutex ---
  std::string& buffer() REQUIRES(mutex_) { return chunks_.back().records; }
  model::Timestamp base_ms() const REQUIRES(mutex_) { return base_ms_; }
  // A batch with samples in `window_ms` was appended.
  void NoteUse(model::Timestamp window_ms, uint64_t commit) REQUIRES(mutex_) {
    RaiseWindowUse(&uses_, window_ms, commit);
  }
  // Accounts for what was appended since the last call; the position behind it.
  uint64_t Appended() REQUIRES(mutex_);
  bool wants_new_file() const REQUIRES(mutex_) {
    return position_ - file_begin_ >= kLogFileBytesMax;
  }
  bool file_has_samples() const REQUIRES(mutex_) { return !uses_.empty(); }
  // Samples in the open file, by half hour.
  const std::vector<WindowUse>& file_uses() const REQUIRES(mutex_) { return uses_; }
  uint32_t file_number() const REQUIRES(mutex_) { return number_; }
  // What is appended from now on goes to a new file, which must begin with a checkpoint. The first
  // call opens the log.
  void StartFile(model::Timestamp now_ms) REQUIRES(mutex_);

  // Bytes that wait in the buffer.
  size_t buffered_bytes() const { return buffered_bytes_.load(std::memory_order_relaxed); }

  // --- anywhere else ---
  // Files found at start, in ascending order; new ones get higher numbers.
  void AdoptFiles(std::vector<LogFileInfo> files);
  // What replay has read in some of them by now.
  void NoteReplayed(const std::vector<LogFileInfo>& files);
  // Hands everything appended up to `position` to the kernel / the disk.
  Status Flush(uint64_t position);
  Status Sync(uint64_t position);
  Status FlushAll();
  Status SyncAll();
  // The last write failed: with this.
  bool failing() const { return failing_.load(std::memory_order_acquire); }
  Status failure() const;
  Status Close();

  // Removes files all of whose samples are covered, oldest first, never the open one.
  Status DropCovered(const std::function<bool(const WindowUse&)>& covered, const LogKeep& keep,
                     size_t* removed);
  LogView View() const;
  uint64_t total_bytes() const;
  // Adds the windows of all files, the open one included.
  void AppendUses(std::vector<WindowUse>* uses) const;
  // Of the oldest file there is.
  uint32_t oldest_number() const;
  uint64_t bytes_written() const { return bytes_written_.load(std::memory_order_relaxed); }
  uint64_t write_failures() const { return write_failures_.load(std::memory_order_relaxed); }
  uint64_t sync_failures() const { return sync_failures_.load(std::memory_order_relaxed); }
  uint64_t syncs() const { return syncs_.load(std::memory_order_relaxed); }

 private:
  struct Chunk {
    bool new_file = false;
    uint32_t number = 0;
    model::Timestamp base_ms = 0;
    std::string records;
    std::vector<WindowUse> closed_uses;  // of the file before, when new_file
    uint64_t closed_commit = 0;          // no batch in the file before has a higher number
  };

  Status WriteLocked() REQUIRES(io_mutex_);
  Status WriteChunk(Chunk& chunk) REQUIRES(io_mutex_);
  Status WriteRecords(std::string_view records) REQUIRES(io_mutex_);
  // Before the next file is begun.
  Status FinishOpenFile() REQUIRES(io_mutex_);
  void SyncAdoptedFile() REQUIRES(io_mutex_);
  void OpenNext(Chunk& chunk) REQUIRES(io_mutex_);
  void NoteSynced(uint64_t bytes) REQUIRES(io_mutex_);
  Status RewriteOpenFile() REQUIRES(io_mutex_);
  Status CopyOpenFile(const std::string& to) REQUIRES(io_mutex_);
  bool ReadsBackWhole(const std::string& path) const REQUIRES(io_mutex_);
  // Through a handle of its own, so that nobody who writes waits for the disk.
  Status SyncFile(const std::string& path, uint32_t number, uint32_t rewrites)
      REQUIRES(sync_mutex_);

  Env& env_;
  const std::string dir_;
  const uint32_t shard_;
  const uint32_t shard_count_;
  const uint64_t epoch_;
  Mutex& mutex_;
  const bool enabled_;
  const bool compress_;
  const std::atomic<uint64_t>* commit_number_ = nullptr;

  std::deque<Chunk> chunks_ GUARDED_BY(mutex_);
  uint64_t position_ GUARDED_BY(mutex_) = 0;  // of the stream; grows over all files
  uint64_t file_begin_ GUARDED_BY(mutex_) = 0;
  size_t accounted_ GUARDED_BY(mutex_) = 0;  // of the last chunk
  uint32_t number_ GUARDED_BY(mutex_) = 0;
  model::Timestamp base_ms_ GUARDED_BY(mutex_) = 0;
  std::vector<WindowUse> uses_ GUARDED_BY(mutex_);  // of the open file
  std::atomic<size_t> buffered_bytes_{0};

  // Held while writing. Never taken with the shard's mutex held.
  mutable Mutex io_mutex_;
  std::deque<Chunk> writing_ GUARDED_BY(io_mutex_);
  uint64_t taken_ GUARDED_BY(io_mutex_) = 0;  // position behind `writing_`
  uint64_t taken_commit_ GUARDED_BY(io_mutex_) = 0;
  uint64_t written_ GUARDED_BY(io_mutex_) = 0;
  uint64_t written_commit_ GUARDED_BY(io_mutex_) = 0;
  std::unique_ptr<LogWriter> writer_ GUARDED_BY(io_mutex_);
  std::string packed_ GUARDED_BY(io_mutex_);
  LogFileInfo open_ GUARDED_BY(io_mutex_);            // writer_'s file; bytes are the writer's
  uint64_t synced_bytes_ GUARDED_BY(io_mutex_) = 0;   // of the open file
  uint64_t logged_synced_ GUARDED_BY(io_mutex_) = 0;  // what its last sync record says
  bool doubtful_ GUARDED_BY(io_mutex_) = false;       // an fdatasync of it failed
  std::string unsynced_copy_ GUARDED_BY(io_mutex_);   // the file from copy_begin_ on …
  uint64_t copy_begin_ GUARDED_BY(io_mutex_) = 0;
  bool copy_whole_ GUARDED_BY(io_mutex_) = true;          // … unless that was too much
  bool adopted_synced_ GUARDED_BY(io_mutex_) = false;     // the last of files_, which others wrote
  std::vector<LogFileInfo> files_ GUARDED_BY(io_mutex_);  // closed ones
  bool directory_unsynced_ GUARDED_BY(io_mutex_) = false;
  Status failure_ GUARDED_BY(io_mutex_);
  std::atomic<bool> failing_{false};

  Mutex sync_mutex_;  // held while syncing; taken before io_mutex_
  uint64_t synced_ GUARDED_BY(sync_mutex_) = 0;
  // Kept open, so that it hears of every failed write-back of the file.
  std::unique_ptr<WritableFile> sync_file_ GUARDED_BY(sync_mutex_);
  uint32_t sync_file_number_ GUARDED_BY(sync_mutex_) = 0;
  uint32_t sync_file_rewrites_ GUARDED_BY(sync_mutex_) = 0;

  std::atomic<uint64_t> bytes_written_{0};
  std::atomic<uint64_t> write_failures_{0};
  std::atomic<uint64_t> sync_failures_{0};
  std::atomic<uint64_t> syncs_{0};
};

}  // namespace tocsin::tsdb
