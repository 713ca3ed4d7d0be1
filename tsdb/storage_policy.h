// StoragePolicy: what may be changed while a database runs (Database::SetPolicy): how long samples
// are kept, how much of the disk they may take, how much of a core compaction may use.
//
// Several limits may hold at once; samples go when the first of them says so, oldest first. Zero
// switches a limit off. Shares are parts of one: of the file system that holds the directory, or of
// one core.
#pragma once

#include <cstdint>
#include <vector>

#include "model/matcher.h"

namespace tocsin::tsdb {

// Series that match all of `matchers` are kept for `retention_ms`, longer or shorter than the
// others. Of several rules that match, the first decides.
struct RetentionRule {
  std::vector<model::Matcher> matchers;
  int64_t retention_ms = 0;
};

// Rollups of closed days in buckets of `bucket_ms`, kept for `retention_ms` (0: for ever).
struct RollupPolicy {
  int64_t bucket_ms = 0;
  int64_t retention_ms = 0;
  friend bool operator==(const RollupPolicy&, const RollupPolicy&) = default;
};

struct StoragePolicy {
  int64_t retention_ms = int64_t{15} * 24 * 60 * 60 * 1000;
  std::vector<RetentionRule> retention_rules;

  // Most bytes of log, segments and snapshots together; asked before anything is written. With
  // both, the smaller holds.
  uint64_t retention_bytes = 0;
  double retention_disk_share = 0;

  // Below so much free space samples are refused. With both, the smaller holds: the default keeps
  // room for alert state and recovery on a big disk, and most of a small one usable.
  uint64_t free_space_floor_bytes = uint64_t{256} << 20;
  double free_space_floor_disk_share = 0.05;

  double compaction_cpu_share = 0.2;

  // Ascending by bucket. A resolution that is no longer named is not written any more; its files
  // stay, and are read, until a retention is over that is given again, or are removed by hand.
  std::vector<RollupPolicy> rollups;
};

}  // namespace tocsin::tsdb
