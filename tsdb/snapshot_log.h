// SnapshotLog: what a snapshot has of the log: exemplars and marks, which are in no segment. A log
// file a shard, with the sources and keys of the exemplars and nothing of any sample, so that a
// start from the snapshot reads it as any other log.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "tsdb/head/head.h"

namespace tocsin::tsdb {

struct SnapshotLog {
  // By shard; "" for those that have nothing.
  std::vector<std::string> records;
};

// Up to `commit`, after waiting for the batches that are being published. No delete may come
// meanwhile: one that did before, and has not reached the exemplars yet, does so when the snapshot
// is opened.
SnapshotLog CollectSnapshotLog(Head& head, uint64_t commit,
                               const std::vector<std::pair<std::string, std::string>>& marks);
// Into the directory `wal` of a snapshot, which is made if there is something; synced.
Status WriteSnapshotLog(Env& env, const std::string& directory, const SnapshotLog& log);

}  // namespace tocsin::tsdb
