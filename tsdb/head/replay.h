// Replay: log files back into a head, in two steps.
//
//   Restore    sources, keys, layouts and the last state of every slot, from the newest file of
//              each shard (files begin with a checkpoint) and the rows in it. Afterwards the head
//              takes appends.
//   LoadOlder  the rows of the older files, beside appends. They are read into pages of their own
//              and put in front of the live page's runs, a shard at a time.
//
// Frames are copied into pages as they are (memory is the frames), run once through the slots'
// state; nothing is appended anew, and files are read a few blocks at a time: the peak is what the
// head holds anyhow.
//
// Damage never ends a replay. What cannot be read is skipped to the next record; a source whose
// frames have a gap waits for its page's next state record; a batch without its commit record never
// happened. All of it is counted.
//
// Thread contract: one thread; it starts its own. progress() is for anybody.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "tsdb/head/head.h"
#include "tsdb/version.h"
#include "tsdb/wal/shard_log.h"

namespace tocsin::tsdb {

// The log files of a directory.
struct LogInventory {
  struct Shard {
    std::vector<LogFileInfo> files;  // ascending by number
  };
  std::vector<Shard> shards;  // by number; as many as the files' headers say
  // Between others, all of a shard, or all that a shard had of the last process run.
  uint64_t missing_files = 0;
  bool read_only = false;  // a replay changes no file
  // Without any sound block: path and reason, to be put aside.
  std::vector<std::pair<std::string, std::string>> unreadable;
};
// kUnimplemented when a file was written by a newer version of Tocsin, kPermissionDenied when one
// may not be read. No directory is no files.
// Removes what was being written when a crash came, but when `read_only`: then it may be the work
// of a daemon beside us.
Result<LogInventory> ListLogs(Env& env, const std::string& directory, bool read_only);

struct ReplayResult {
  uint64_t rows = 0;
  uint64_t samples = 0;
  uint64_t damaged_places = 0;
  uint64_t torn_tails = 0;
  uint64_t lost_frames = 0;
  uint64_t lost_samples = 0;  // in them; see DatabaseCounters
  // Files with damage inside or that could not be opened: path and reason.
  std::vector<std::pair<std::string, std::string>> damaged_files;

  void Add(ReplayResult&& other);
};

class ShardReplay;

class Replay {
 public:
  // Shards in parallel on up to `threads` threads. `version`: the segments that are open; none may
  // be sealed before LoadOlder is done.
  Replay(Env& env, LogInventory inventory, std::shared_ptr<const Version> version, size_t threads,
         Head* head);
  ~Replay();

  // Before anybody else uses the head. Fills its logs with the files found.
  ReplayResult Restore();
  // What is left to do, if anything; lets go of the version. May run beside anything but seals.
  // Ends early when `stop` becomes true.
  ReplayResult LoadOlder(const std::atomic<bool>& stop);
  // Files of older rows are still to be loaded.
  bool has_older() const { return files_done() < files_total(); }

  uint64_t files_total() const { return files_total_; }
  uint64_t files_done() const { return files_done_.load(std::memory_order_relaxed); }

 private:
  // Which file Restore begins with: the newest whose checkpoint is whole.
  size_t FirstFileToRestore(size_t shard) const;
  bool CheckpointIsWhole(const LogFileInfo& file) const;
  void ReplayFiles(ShardReplay& replay, size_t shard, size_t begin, size_t end,
                   const std::atomic<bool>* stop, ReplayResult* result);

  Env& env_;
  LogInventory inventory_;
  std::shared_ptr<const Version> version_;
  const size_t threads_;
  Head& head_;
  std::vector<size_t> restored_from_;  // by shard: index of the first file Restore read
  uint64_t files_total_ = 0;
  std::atomic<uint64_t> files_done_{0};
};

}  // namespace tocsin::tsdb
