// WriteSnapshot: a version of the store as a directory of its own, from which a daemon starts: the
// segments and rollups as further names of the same files (or copies, on another file system), a
// manifest with the deletes in force, the seed of fingerprints, and a log of exemplars and marks
// only: what samples are in memory was sealed before, or is left out.
//
//   DIR.tmp/{seed, segments/*, rollups/*, wal/*}, synced, then renamed to DIR, the directory above
//   synced
//
// So DIR is either not there or whole, also after a power cut.
#pragma once

#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "tsdb/snapshot_log.h"
#include "tsdb/version.h"

namespace tocsin::tsdb {

// What is left of one that was not finished has this suffix.
inline constexpr std::string_view kUnfinishedSnapshotSuffix = ".tmp";

struct SnapshotContents {
  Version version;      // segments and tombstones
  uint64_t commit = 0;  // no sample or delete in it has a higher number
  std::vector<std::string> rollup_paths;
  std::string seed_path;
  SnapshotLog log;  // exemplars and marks
};

// `directory` must not exist. Whatever fails, nothing is left behind but for a crash.
Status WriteSnapshot(Env& env, const std::string& directory, const SnapshotContents& contents);

}  // namespace tocsin::tsdb
