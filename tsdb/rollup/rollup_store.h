// RollupStore: the rollup files of one data directory (rollups/*.rol).
//
// The directory is the manifest, as with segments: each file names the segment that it was made
// from. A file is written as NAME.tmp, synced, renamed, and only then known to readers. It stands
// for its segment as long as that is there, and in its place when retention has deleted it; where
// another segment has replaced it, the file is of no use any more, and is removed once the new one
// is rolled up.
//
// Thread contract: Current and the counters are for everybody; the rest belongs to one thread at a
// time (the compactor's).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/mutex.h"
#include "base/status.h"
#include "tsdb/quarantine.h"
#include "tsdb/rollup/rollup_file.h"
#include "tsdb/rollup/rollup_writer.h"
#include "tsdb/storage_policy.h"
#include "tsdb/version.h"

namespace tocsin::tsdb {

// Ascending by time, then by bucket.
using RollupSet = std::vector<std::shared_ptr<const RollupFile>>;

// What has become of the segment that a rollup was made from.
enum class RollupInput : uint8_t {
  kPresent,   // it is there
  kReplaced,  // another one holds its samples
  kGone,      // retention has deleted it: the rollup is all that is left
};
// Also the segment's number in the version when it is there.
RollupInput FindRollupInput(const RollupFile& file, const Version& version, uint32_t* segment);

struct RollupCounters {
  std::atomic<uint64_t> written{0};  // files
  std::atomic<uint64_t> failures{0};
  std::atomic<uint64_t> deleted{0};  // past their retention
};

class RollupStore {
 public:
  RollupStore(Env& env, std::string directory, uint64_t seed, Quarantine& quarantine)
      : env_(env), directory_(std::move(directory)), seed_(seed), quarantine_(quarantine) {}

  // Opens what is there. Fails only when the directory cannot be read, or a file is of a newer
  // version.
  Status Open();
  // Changes nothing; a directory that is not there is an empty one.
  Status OpenReadOnly();

  // Pin this before the version of the segments: then a rollup's segment is in the version, or what
  // replaced it, or retention has deleted it.
  std::shared_ptr<const RollupSet> Current() const;
  // How often Current has changed: what is read from other files is added up in another order.
  uint64_t publications() const { return publications_.load(std::memory_order_acquire); }

  // Asked between columns with the oldest sample of the input; true ends the work.
  using Ends = std::function<bool(model::Timestamp oldest_ms)>;
  using CurrentVersion = std::function<std::shared_ptr<const Version>()>;
  // One round: deletes what is past its retention or replaced, and rolls up at most `segments_max`
  // segments that are days by now and are lacking a resolution of the policy. No version is held
  // while that goes on.
  Status RunRound(const CurrentVersion& current, const StoragePolicy& policy,
                  model::Timestamp now_ms, const TypeOfMetric& type_of, const Ends& ends,
                  size_t segments_max);
  // Writes anew, without the buckets that `tombstones` mask, what is left of segments that are
  // gone. Deletes up to the number `applied` are in `tombstones`, or were.
  Status Rewrite(const Version& version, const TombstoneList& tombstones, uint64_t applied,
                 const Ends& ends);
  // A segment that is to be rolled up before retention deletes it. Not so when that failed last
  // time: a full disk needs the room.
  bool Awaits(const SegmentMeta& meta, const StoragePolicy& policy, model::Timestamp now_ms) const;
  // Deletes the oldest rollups, as many as hold `bytes`.
  Status RemoveOldest(uint64_t bytes);

  const RollupCounters& counters() const { return counters_; }
  uint64_t bytes() const;

 private:
  // `unfinished`: paths of files that were being written.
  Result<RollupSet> FindFiles(std::vector<std::string>* unfinished);
  void Publish(RollupSet files);
  // Resolutions of the policy that the segment has no rollup of.
  std::vector<int64_t> Lacking(const SegmentMeta& meta, const StoragePolicy& policy,
                               model::Timestamp now_ms) const;
  Status Roll(const Version::Segment& segment, std::vector<int64_t> buckets,
              const TypeOfMetric& type_of, const std::function<bool()>& cancelled);
  Status RewriteOne(const std::shared_ptr<const RollupFile>& file, const TombstoneList& tombstones,
                    uint64_t applied, const std::function<bool()>& cancelled);
  RollupOutput NewOutput(int64_t bucket_ms);
  // Gives a written file its name.
  Result<std::shared_ptr<const RollupFile>> Keep(const RollupOutput& output);
  Status RemoveFiles(const std::function<bool(const RollupFile&)>& doomed, uint64_t* removed);

  Env& env_;
  const std::string directory_;
  const uint64_t seed_;
  Quarantine& quarantine_;
  RollupCounters counters_;
  std::atomic<uint64_t> publications_{0};
  std::set<SegmentId> damaged_;  // not rolled up
  uint64_t generation_ = 0;
  bool last_failed_ = false;

  mutable Mutex mutex_;
  std::shared_ptr<const RollupSet> current_ GUARDED_BY(mutex_) = std::make_shared<RollupSet>();
};

}  // namespace tocsin::tsdb
