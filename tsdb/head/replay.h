// Replay: log files back into a head. Frames are copied into pages as they are (memory is the
// frames), run once through the slots' state; nothing is appended anew.
//
// Damage never ends a replay. What cannot be read is skipped to the next record; a source whose
// frames have a gap waits for its page's next state record; a batch without its commit record never
// happened. All of it is counted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "tsdb/head/head.h"
#include "tsdb/head/page_reader.h"
#include "tsdb/wal/shard_log.h"

namespace tocsin::tsdb {

// The log files of a directory.
struct LogInventory {
  struct Shard {
    std::vector<LogFileInfo> files;  // ascending by number
  };
  std::vector<Shard> shards;  // by number; as many as the files' headers say
  uint64_t missing_files = 0;
  // Without any sound block: path and reason, to be put aside.
  std::vector<std::pair<std::string, std::string>> unreadable;
};
// kUnimplemented when a file was written by a newer version of Tocsin. No directory is no files.
Result<LogInventory> ListLogs(Env& env, const std::string& directory);

struct ReplayResult {
  uint64_t rows = 0;
  uint64_t samples = 0;
  uint64_t damaged_places = 0;
  uint64_t torn_tails = 0;
  uint64_t lost_frames = 0;
  // Files with damage inside or that could not be opened: path and reason.
  std::vector<std::pair<std::string, std::string>> damaged_files;
};
// Shards in parallel on up to `threads` threads. Fills head's logs with the files found.
ReplayResult ReplayLogs(Env& env, const LogInventory& inventory, const SealedCuts& sealed,
                        size_t threads, Head* head);

}  // namespace tocsin::tsdb
