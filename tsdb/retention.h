// Retention: which segments go, and when. By time: a file goes when its last sample is past its
// time, counted from min(now, newest sealed sample). By size or part of the disk: oldest first,
// until the budget has its headroom again. By matchers: series of a rule go at a rewrite of their
// file (RuleFilter); a file of which no series is left goes as a whole.
//
// What the head or the log still hold is not deleted: it would come back. Callers seal and release
// first and say what is held by `held`.
//
// Owned by `compact`.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "tsdb/column_filter.h"
#include "tsdb/disk_budget.h"
#include "tsdb/segment_store.h"
#include "tsdb/storage_policy.h"

namespace tocsin::tsdb {

// After the wall clock jumped by more than a day, deleting waits this long: it may jump back.
inline constexpr int64_t kClockJumpMs = int64_t{24} * 60 * 60 * 1000;
inline constexpr int64_t kClockJumpPauseMs = 60 * 60 * 1000;

struct RetentionCounters {
  std::atomic<uint64_t> time_deletions{0};  // segments
  std::atomic<uint64_t> size_deletions{0};
  std::atomic<uint64_t> rule_rewrites{0};
};

// Leaves out the series whose time is past: of rules[i] where `expired[i]`, of the series that no
// rule matches where `expired.back()`.
class RuleFilter final : public ColumnFilter {
 public:
  RuleFilter(const std::vector<RetentionRule>& rules, std::vector<bool> expired);
  void AddDropped(const Column& column, std::vector<model::TimeRange>* dropped) override;

 private:
  const std::vector<RetentionRule>& rules_;
  const std::vector<bool> expired_;
};

class Retention {
 public:
  // True for a segment that may not be deleted now.
  using Held = std::function<bool(const SegmentMeta&)>;

  Retention(Env& env, std::string dir, SegmentStore& store, DiskBudget& budget)
      : env_(env), dir_(std::move(dir)), store_(store), budget_(budget) {}

  // Looks at the clocks and the disk: sets the budget's limits.
  void Watch(const StoragePolicy& policy);

  // Deletes what is past its time, but not what is `held`.
  Status DropExpired(const StoragePolicy& policy, const Held& held);
  // Deletes the oldest segments, all of them from before `before_ms` and not `held`, until `bytes`
  // may be written and the budget has its headroom. Deletes nothing if that is out of reach.
  Status MakeRoom(uint64_t bytes, model::Timestamp before_ms, const Held& held);

  // Whether files of so many bytes may be rewritten, for which they are there twice for a while:
  // not at the price of deleting much, nor of free space below the floor.
  bool HasRoomToRewrite(uint64_t bytes) const;

  // Segments that hold series whose time is past together with others that stay.
  struct Rewrite {
    Version::Segment segment;
    std::vector<bool> expired;  // for RuleFilter
  };
  std::vector<Rewrite> DueRewrites(const StoragePolicy& policy);

  // What is past its time of a file whose last sample is from `max_ms`, for RuleFilter; empty when
  // nothing is.
  std::vector<bool> Expired(const StoragePolicy& policy, model::Timestamp max_ms) const;

  const RetentionCounters& counters() const { return counters_; }

 private:
  void WatchClock();
  // From where ages are counted.
  model::Timestamp Reference() const;
  void WatchDisk(const StoragePolicy& policy);
  // How many columns each rule decides, the last for no rule.
  const std::vector<uint64_t>* ClassColumns(const StoragePolicy& policy,
                                            const Version::Segment& segment);
  Status Delete(std::span<const Version::Segment> segments, std::atomic<uint64_t>* counter);

  Env& env_;
  const std::string dir_;
  SegmentStore& store_;
  DiskBudget& budget_;
  RetentionCounters counters_;

  int64_t last_wall_ms_ = 0;
  int64_t last_monotonic_ms_ = 0;
  int64_t no_delete_before_ms_ = 0;  // monotonic
  // Free bytes above the floor, at the last look.
  uint64_t free_bytes_ = UINT64_MAX;
  bool warned_below_floor_ = false;
  bool warned_refusing_ = false;

  // By segment, for the rules that `classes_for_` tells.
  std::map<SegmentId, std::vector<uint64_t>> classes_;
  std::string classes_for_;
};

}  // namespace tocsin::tsdb
