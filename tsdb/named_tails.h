// NamedTails: tails whose positions outlive the process. A file each, `tails/NAME`: up to which
// commit its reader was done, and which frame of every page was the last then, so that frames which
// the log lost or did not keep meanwhile are counted (docs/format/wal.md, "Tails").
//
// A position is written at most once a second, by the tail's own thread.
//
// Thread contract: thread-safe; a tail is for one thread at a time, and must not outlive this.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/mutex.h"
#include "base/status.h"
#include "model/tail.h"
#include "tsdb/head/head.h"
#include "tsdb/quarantine.h"
#include "tsdb/wal/shard_follower.h"

namespace tocsin::tsdb {

inline constexpr int64_t kTailSaveIntervalMs = 1000;
inline constexpr size_t kTailNameLengthMax = 64;

// What a file holds.
struct TailPosition {
  uint64_t commit = 0;
  std::vector<std::vector<PagePosition>> shards;
};
std::string EncodeTailPosition(const TailPosition& position);
// kCorruption; kUnimplemented when a newer version wrote it.
Result<TailPosition> DecodeTailPosition(std::string_view bytes);

class NamedTails {
 public:
  NamedTails(Env& env, std::string directory, Head& head, Quarantine& quarantine)
      : env_(env), directory_(std::move(directory)), head_(head), quarantine_(quarantine) {}

  // Reads the positions there are and has the log kept for them. Before anything else.
  void Load();
  // kUnavailable: it is open; kInvalidArgument: no such name can be. A new one begins with what is
  // committed from now on.
  Result<std::unique_ptr<model::Tail>> Open(std::string_view name);
  Status Forget(std::string_view name);

 private:
  friend class NamedTail;
  struct Known {
    bool open = false;
    TailPositions::Position kept;  // null while the tail is open: it has its own
    TailPosition position;         // what the file says
  };

  Status Save(const std::string& name, const TailPosition& position);
  void Closed(const std::string& name, uint64_t released);
  std::string PathOf(const std::string& name) const { return JoinPath(directory_, name); }

  Env& env_;
  const std::string directory_;
  Head& head_;
  Quarantine& quarantine_;
  Mutex mutex_;
  std::map<std::string, Known, std::less<>> tails_ GUARDED_BY(mutex_);
};

}  // namespace tocsin::tsdb
