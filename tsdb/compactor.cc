#include "tsdb/compactor.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/self_metrics.h"
#include "tsdb/sealer.h"
#include "tsdb/segment/merge.h"

namespace tocsin::tsdb {
namespace {

std::vector<const SegmentMeta*> Metas(const Version& version) {
  std::vector<const SegmentMeta*> metas;
  for (const Version::Segment& segment : version.segments) metas.push_back(&segment->meta());
  return metas;
}

struct PlannedMerge {
  std::vector<Version::Segment> inputs;
  MergeChoice choice;
};

// Without the version: rows leave memory when the last reference to an older one is gone.
std::vector<PlannedMerge> Plan(const Version& version, const std::vector<MergeChoice>& choices) {
  std::vector<PlannedMerge> plan;
  for (const MergeChoice& choice : choices) {
    PlannedMerge& merge = plan.emplace_back(std::vector<Version::Segment>(), choice);
    for (const size_t at : choice.inputs) merge.inputs.push_back(version.segments[at]);
  }
  return plan;
}

// Tries to see marks and rows of the same moment while batches are committed.
constexpr int kPinAttemptsMax = 100;

// Retention may have deleted some to make room for others.
bool AllThere(const Version& version, std::span<const Version::Segment> segments) {
  return std::all_of(segments.begin(), segments.end(), [&](const Version::Segment& segment) {
    return std::find(version.segments.begin(), version.segments.end(), segment) !=
           version.segments.end();
  });
}

}  // namespace

void Compactor::SetPolicy(StoragePolicy policy) {
  MutexLock lock(policy_mu_);
  policy_ = std::move(policy);
}

StoragePolicy Compactor::policy() const {
  MutexLock lock(policy_mu_);
  return policy_;
}

void Compactor::Count(const DroppedSamples& dropped) {
  counters_.equal_dropped.fetch_add(dropped.equal, std::memory_order_relaxed);
  counters_.unequal_dropped.fetch_add(dropped.unequal, std::memory_order_relaxed);
}

// ----------------------------------------------------------------------------------------------------------
// sealing

std::unique_ptr<DatabaseSnapshot> Compactor::PinForRewrite() {
  std::unique_ptr<DatabaseSnapshot> snapshot;
  store_.WithoutDeletes(
      [&] { snapshot = std::make_unique<DatabaseSnapshot>(head_, store_.Current(), quarantine_); });
  return snapshot;
}

namespace {

// The end of those that share a file with the first: late rows of windows that were sealed before,
// and then one window that was not, within a quarter of a day.
size_t SealedTogether(const std::vector<WindowUse>& windows, size_t begin,
                      const SealedCuts& sealed) {
  const auto quarter = [&](size_t i) {
    return (windows[i].window_ms - DayStart(windows[i].window_ms)) / kQuarterDayMs;
  };
  size_t end = begin + 1;
  while (end < windows.size() && sealed.CoversWindow(windows[end - 1].window_ms, 0) &&
         DayStart(windows[end].window_ms) == DayStart(windows[begin].window_ms) &&
         quarter(end) == quarter(begin))
    ++end;
  return end;
}

}  // namespace

Status Compactor::SealWindow(model::Timestamp first_ms, model::Timestamp last_ms,
                             const DatabaseSnapshot& snapshot) {
  const SegmentMeta meta = store_.NewMeta(0);
  uint64_t samples = 0;
  DroppedSamples dropped;
  std::weak_ptr<const Version> old_version;
  const Status status = store_.Add(
      meta,
      [&](const std::string& path) -> Result<SegmentMeta> {
        auto written = WriteSealedWindow(env_, snapshot, first_ms, last_ms, path, meta, &dropped);
        if (written) samples = written->sample_count;
        return written;
      },
      {}, &old_version);
  if (!status.ok()) {
    counters_.seal_failures.fetch_add(1, std::memory_order_relaxed);
    return status.Annotate("seal");
  }
  retiring_.push_back(std::move(old_version));
  rows_to_retire_ = true;
  counters_.seals.fetch_add(1, std::memory_order_relaxed);
  counters_.samples_sealed.fetch_add(samples, std::memory_order_relaxed);
  Count(dropped);
  return Status::Ok();
}

Status Compactor::SealWindows(const std::vector<WindowUse>& windows, bool whole_log) {
  if (windows.empty()) return Status::Ok();
  Status status;
  for (size_t begin = 0; begin < windows.size() && status.ok();) {
    std::unique_ptr<DatabaseSnapshot> snapshot = PinForRewrite();
    const size_t end = SealedTogether(windows, begin, snapshot->version().sealed);
    status = SealWindow(windows[begin].window_ms, windows[end - 1].window_ms, *snapshot);
    snapshot.reset();  // it keeps the rows
    begin = end;
    if (status.ok()) RetireRuns();
  }
  const Status released = Release(whole_log);
  return status.ok() ? released : status;
}

void Compactor::RetireRuns() {
  std::erase_if(retiring_, [](const auto& version) { return version.expired(); });
  if (!retiring_.empty() || !rows_to_retire_) return;
  rows_to_retire_ = false;
  const std::shared_ptr<const Version> version = store_.Current();
  head_.RetireRuns([&](const WindowUse& use) {
    return version->sealed.CoversWindow(use.window_ms, use.commit);
  });
}

Status Compactor::Release(bool whole_log) {
  // What a file still holds alone decides how long it stays: begin new ones, with every slot's
  // state, put that on disk, then drop the old. By itself a file is begun with each half hour.
  const std::shared_ptr<const Version> version = store_.Current();
  const auto covered = [&version](const WindowUse& use) {
    return version->sealed.CoversWindow(use.window_ms, use.commit);
  };
  TOCSIN_RETURN_IF_ERROR(
      head_.RotateLogs(whole_log ? std::function<bool(const WindowUse&)>() : covered));
  for (size_t s = 0; s < head_.shard_count(); ++s) {
    size_t removed = 0;
    TOCSIN_RETURN_IF_ERROR(head_.shard(s).log.DropCovered(covered, head_.LogToKeep(), &removed));
  }
  RetireRuns();
  return Status::Ok();
}

Status Compactor::Seal(model::TimeRange range) {
  return SealWindows(OpenWindows(range), /*whole_log=*/true);
}

std::vector<WindowUse> Compactor::OpenWindows(model::TimeRange range) const {
  // Not held any longer: rows leave memory when the last reference to an older version is gone.
  const std::shared_ptr<const Version> version = store_.Current();
  std::vector<WindowUse> windows = head_.OpenWindows([&](const WindowUse& use) {
    return version->sealed.CoversWindow(use.window_ms, use.commit);
  });
  std::erase_if(windows, [&](const WindowUse& window) {
    return !range.Overlaps({window.window_ms, window.window_ms + kWindowMs - 1});
  });
  return windows;
}

Status Compactor::CompactAll() {
  in_foreground_ = true;
  const Status status = SealAndMergeAll();
  in_foreground_ = false;
  return status;
}

Status Compactor::SealAndMergeAll() {
  TOCSIN_RETURN_IF_ERROR(Seal({}));
  return MergeAll();
}

// ----------------------------------------------------------------------------------------------------------
// merging

Status Compactor::Merge(std::vector<Version::Segment> inputs, uint8_t level) {
  uint64_t input_bytes = 0;
  uint64_t columns = 0;
  model::Timestamp oldest = model::kMaxTimestamp;
  model::Timestamp newest = model::kMinTimestamp;
  for (const Version::Segment& input : inputs) {
    oldest = std::min(oldest, input->meta().range.min_ms);
    input_bytes += input->meta().file_bytes;
    columns += input->meta().column_count;
    newest = std::max(newest, input->meta().range.max_ms);
  }
  // The inputs go only when the output is there, which of noise may be the larger one: column
  // facts, restarts of chunks.
  if (budget_.cap() != 0) {
    const uint64_t room = input_bytes + columns * kMergedColumnGrowth;
    TOCSIN_RETURN_IF_ERROR(retention_.MakeRoom(room, oldest, HeldByHead()));
    // What cannot be in two places for a while stays in parts.
    if (budget_.left() < room) return Status::Ok();
  }
  if (!AllThere(*store_.Current(), inputs)) return Status::Ok();
  SegmentMeta meta = store_.NewMeta(level);
  DroppedSamples dropped;
  MergeOptions options;
  options.dropped = &dropped;
  const StoragePolicy policy = this->policy();
  std::optional<RuleFilter> rule_filter;
  // Where everything is past its time the whole file will be deleted.
  if (std::vector<bool> expired = retention_.Expired(policy, newest);
      std::find(expired.begin(), expired.end(), false) != expired.end())
    options.filters.push_back(&rule_filter.emplace(policy.retention_rules, std::move(expired)));
  TombstoneList tombstones;
  store_.WithoutDeletes([&] {
    tombstones = store_.Current()->tombstones;
    meta.deletes_applied = head_.commit_number();
  });
  TombstoneFilter deleted(tombstones);
  if (!tombstones.empty()) options.filters.push_back(&deleted);
  options.cancelled = [&] { return EndsMerge(oldest); };
  pacer_.Start();
  chores_ = Status::Ok();
  std::weak_ptr<const Version> old_version;
  Status status = store_.Add(
      meta,
      [&](const std::string& path) { return MergeSegments(env_, inputs, path, meta, options); },
      inputs, &old_version);
  if (status.ok()) {
    // Rules may have dropped columns, facts of whole days may be added up in another order.
    store_.NoteRewrite();
    counters_.merges.fetch_add(1, std::memory_order_relaxed);
    Count(dropped);
    return status;
  }
  if (status.code() == Code::kCancelled && !in_foreground_) return chores_;
  if (status.code() == Code::kNoSpace && !in_foreground_) {
    next_merge_ms_ = env_.MonotonicNanos() / 1'000'000 + kMergeRetryMs;
    // A cap that is too small for a merge is no failure: the files stay as they are.
    if (budget_.left() < 2 * input_bytes) return Status::Ok();
  }
  counters_.merge_failures.fetch_add(1, std::memory_order_relaxed);
  if (status.code() != Code::kCorruption) return status.Annotate("merge");
  // A damaged input stays a file of its own, so that what is sound in it goes on being served.
  for (const Version::Segment& input : inputs) {
    const Status sound = input->Verify();
    if (sound.ok()) continue;
    quarantine_.Note(input->path(), sound.message());
    damaged_.insert(input->meta().id);
  }
  return Status::Ok();
}

Status Compactor::MergeDue() {
  if (paused_.load(std::memory_order_relaxed) || env_.MonotonicNanos() / 1'000'000 < next_merge_ms_)
    return Status::Ok();
  const MergeRequest request{
      .now_ms = env_.NowMs(),
      .monotonic_ms = env_.MonotonicNanos() / 1'000'000,
      // With the seal in which the last late rows come: else each day had an overlay of them.
      .day_grace_ms =
          options_.seal_delay_ms +
          std::clamp<int64_t>(options_.out_of_order_window_ms, 60 * 60 * 1000, 6 * 60 * 60 * 1000),
      .excluded = &damaged_};
  std::vector<PlannedMerge> plan;
  {
    const std::shared_ptr<const Version> version = store_.Current();
    plan = Plan(*version, DueMerges(Metas(*version), request, &days_));
  }
  const auto waiting = std::count_if(plan.begin(), plan.end(), [](const PlannedMerge& merge) {
    return merge.choice.day.has_value();
  });
  counters_.days_waiting.store(static_cast<uint64_t>(waiting), std::memory_order_relaxed);
  for (const auto& [inputs, choice] : plan) {
    if (!retention_.HasRoomToRewrite(choice.input_bytes)) continue;
    const uint64_t merges = counters_.merges.load(std::memory_order_relaxed);
    TOCSIN_RETURN_IF_ERROR(Merge(inputs, choice.level));
    if (stopping_.load(std::memory_order_relaxed) || paused_.load(std::memory_order_relaxed)) break;
    const bool merged = counters_.merges.load(std::memory_order_relaxed) > merges;
    if (merged && choice.day) days_[*choice.day].rewritten_ms = env_.MonotonicNanos() / 1'000'000;
  }
  return Status::Ok();
}

Status Compactor::MergeAll() {
  if (paused_.load(std::memory_order_relaxed))
    return Status(Code::kUnavailable, "compaction is paused");
  std::vector<PlannedMerge> plan;
  {
    const std::shared_ptr<const Version> version = store_.Current();
    plan = Plan(*version, AllMerges(Metas(*version), damaged_));
  }
  for (const auto& [inputs, choice] : plan) {
    if (!retention_.HasRoomToRewrite(choice.input_bytes))
      return Status(Code::kNoSpace, "merge: too little free space");
    TOCSIN_RETURN_IF_ERROR(Merge(inputs, choice.level));
  }
  return Status::Ok();
}

// Between two columns of a merge. What is due meanwhile is done here: a merge of a day at a fifth
// of a core may take longer than a half hour.
bool Compactor::EndsMerge(model::Timestamp oldest_ms) {
  constexpr uint32_t kColumnsBetween = 32;
  constexpr int64_t kChoresIntervalMs = 1000;
  if (++columns_merged_ % kColumnsBetween != 0) return false;
  const auto ends = [this] {
    return stopping_.load(std::memory_order_relaxed) ||
           (paused_.load(std::memory_order_relaxed) && !in_foreground_);
  };
  const auto hurries = [this] {
    return in_foreground_ || foreground_waiting_.load(std::memory_order_relaxed) > 0;
  };
  const auto chores_due = [this] { return env_.MonotonicNanos() / 1'000'000 >= next_chores_ms_; };
  do {
    if (chores_due()) {
      next_chores_ms_ = env_.MonotonicNanos() / 1'000'000 + kChoresIntervalMs;
      chores_ = ApplyRetention(oldest_ms);
      if (chores_.ok()) chores_ = SealDue();
      // Its inputs may have to go instead.
      const bool crowded = budget_.excess() > 0;
      if (crowded) next_merge_ms_ = next_chores_ms_ + kMergeRetryMs;
      if (!chores_.ok() || crowded) return true;
    }
    pacer_.Pace(hurries() ? 1.0 : Share(), [&] { return !ends() && !hurries() && !chores_due(); });
  } while (!ends() && chores_due());
  return ends();
}

Status Compactor::RunPaced(bool foreground, const std::function<Status(const EndsWork&)>& work) {
  const bool idle =
      paused_.load(std::memory_order_relaxed) || env_.MonotonicNanos() / 1'000'000 < next_merge_ms_;
  if (idle && !foreground) return Status::Ok();
  const bool in_foreground = std::exchange(in_foreground_, in_foreground_ || foreground);
  pacer_.Start();
  chores_ = Status::Ok();
  const Status status = work([this](model::Timestamp oldest_ms) { return EndsMerge(oldest_ms); });
  in_foreground_ = in_foreground;
  return status.ok() ? chores_ : status;
}

// While queries run a quarter of the share; twice the share for each closed day that waits, so
// that the queue cannot grow for ever.
double Compactor::Share() const {
  double share = policy().compaction_cpu_share;
  if (options_.queries_running && options_.queries_running()) share /= 4;
  const uint64_t waiting = counters_.days_waiting.load(std::memory_order_relaxed);
  for (uint64_t day = 1; day < std::min<uint64_t>(waiting, 8); ++day) share *= 2;
  return std::min(share, 1.0);
}

// ----------------------------------------------------------------------------------------------------------
// deletes

bool Compactor::Touches(const Tombstone& tombstone, const SegmentReader& segment) {
  const SegmentMeta& meta = segment.meta();
  if (tombstone.commit <= meta.deletes_applied || !tombstone.range.Overlaps(meta.range))
    return false;
  if (untouched_.contains({tombstone.commit, meta.id})) return false;
  for (const model::MatcherSet& set : tombstone.matcher_sets) {
    const auto columns = segment.Select(set, tombstone.range);
    if (!columns || !columns->empty()) return true;  // an index that cannot be read may hide some
  }
  untouched_.insert({tombstone.commit, meta.id});
  return false;
}

bool Compactor::HeadNeeds(const Tombstone& tombstone) {
  const auto [it, fresh] = held_.try_emplace(tombstone.commit);
  HeldForDelete& held = it->second;
  if (fresh) {
    held.windows = OpenWindows(tombstone.range);
    for (size_t s = 0; s < head_.shard_count(); ++s) {
      ShardLog& log = head_.shard(s).log;
      MutexLock lock(log.mutex());
      held.log_files.push_back(log.file_number());
    }
  }
  const std::shared_ptr<const Version> version = store_.Current();
  std::erase_if(held.windows, [&](const WindowUse& use) {
    return version->sealed.CoversWindow(use.window_ms, use.commit);
  });
  if (!held.windows.empty()) return true;
  // Exemplars, which no seal takes away, come back from the log.
  for (size_t s = 0; s < head_.shard_count(); ++s) {
    ShardLog& log = head_.shard(s).log;
    if (!log.enabled()) continue;
    const uint32_t oldest = log.oldest_number();
    MutexLock lock(log.mutex());
    if (oldest <= held.log_files[s] && log.file_has_samples()) return true;
    if (oldest < held.log_files[s]) return true;
  }
  return false;
}

std::vector<Version::Segment> Compactor::SegmentsThatNeed(const Tombstone& tombstone) {
  std::vector<Version::Segment> segments = store_.Current()->segments;
  std::erase_if(segments, [&](const auto& segment) { return !Touches(tombstone, *segment); });
  return segments;
}

Status Compactor::DropTombstones() {
  const std::shared_ptr<const Version> version = store_.Current();
  // Whatever makes a delete superfluous publishes a version.
  if (version == tombstones_checked_.lock()) return Status::Ok();
  std::vector<uint64_t> unneeded;
  for (const auto& tombstone : version->tombstones) {
    if (!HeadNeeds(*tombstone) && SegmentsThatNeed(*tombstone).empty() &&
        !(rollups_need && rollups_need(*tombstone)))
      unneeded.push_back(tombstone->commit);
  }
  TOCSIN_RETURN_IF_ERROR(store_.DropTombstones(unneeded).Annotate("tombstones"));
  tombstones_checked_ = version;
  for (const uint64_t commit : unneeded) {
    held_.erase(commit);
    untouched_.erase(untouched_.lower_bound({commit, SegmentId()}),
                     untouched_.lower_bound({commit + 1, SegmentId()}));
  }
  return Status::Ok();
}

Status Compactor::CleanTombstones() {
  in_foreground_ = true;
  const Status status = RewriteTouched();
  in_foreground_ = false;
  return status;
}

Result<SnapshotContents> Compactor::SealForSnapshot(bool skip_head) {
  SnapshotContents contents;
  std::unique_ptr<DatabaseSnapshot> pin;
  store_.WithoutDeletes([&] {
    uint64_t marked = 0;
    std::vector<std::pair<std::string, std::string>> marks;
    // Marks must not speak of rows that the pin does not see; older ones only say less.
    for (int attempt = 0; attempt < kPinAttemptsMax; ++attempt) {
      marks = head_.Marks(&marked);
      pin = std::make_unique<DatabaseSnapshot>(head_, store_.Current(), quarantine_);
      if (pin->commit_number() == marked) break;
    }
    if (!skip_head) contents.log = CollectSnapshotLog(head_, pin->commit_number(), marks);
  });
  contents.commit = pin->commit_number();
  contents.version.segments = pin->version().segments;
  contents.version.tombstones = pin->version().tombstones;
  if (skip_head) return contents;
  std::set<SegmentId> known;
  for (const Version::Segment& segment : pin->version().segments) known.insert(segment->meta().id);
  // All by the same pin: whatever is committed meanwhile is in none of these files.
  const std::vector<WindowUse> windows = OpenWindows({});
  for (const WindowUse& window : windows)
    TOCSIN_TRY(SealWindow(window.window_ms, window.window_ms, *pin));
  for (const auto pinned = store_.Current(); const Version::Segment& segment : pinned->segments) {
    if (!known.contains(segment->meta().id)) contents.version.segments.push_back(segment);
  }
  pin.reset();
  TOCSIN_TRY(Release(/*whole_log=*/true));
  return contents;
}

Status Compactor::RewriteTouched() {
  const std::shared_ptr<const Version> version = store_.Current();
  if (version->tombstones.empty()) return Status::Ok();
  // Everything, since a log file goes only when all of it is in segments.
  bool in_head = false;
  for (const auto& tombstone : version->tombstones) in_head = HeadNeeds(*tombstone) || in_head;
  if (in_head) TOCSIN_RETURN_IF_ERROR(Seal({}));
  for (const auto& tombstone : version->tombstones) {
    for (const Version::Segment& segment : SegmentsThatNeed(*tombstone)) {
      if (!damaged_.contains(segment->meta().id))
        TOCSIN_RETURN_IF_ERROR(Merge({segment}, segment->meta().level));
    }
  }
  if (rewrite_rollups) TOCSIN_RETURN_IF_ERROR(rewrite_rollups());
  TOCSIN_RETURN_IF_ERROR(DropTombstones());
  // Merge leaves as it is what is damaged, and what there is no room to have twice for a while.
  std::set<std::string> left;
  for (const auto& tombstone : version->tombstones) {
    for (const Version::Segment& segment : SegmentsThatNeed(*tombstone))
      left.insert(segment->path());
  }
  if (left.empty()) return Status::Ok();
  std::string names;
  for (const std::string& name : left) names += (names.empty() ? "" : ", ") + name;
  return Status(Code::kUnavailable, "damaged, or no room: not rewritten: " + names);
}

// ----------------------------------------------------------------------------------------------------------
// retention

Retention::Held Compactor::HeldByHead() const {
  // Found out when somebody asks: most rounds delete nothing.
  return [this,
          windows = std::optional<std::set<model::Timestamp>>()](const SegmentMeta& meta) mutable {
    if (!windows) {
      std::vector<WindowUse> uses = head_.OpenWindows([](const WindowUse&) { return false; });
      for (size_t s = 0; s < head_.shard_count(); ++s) head_.shard(s).log.AppendUses(&uses);
      windows.emplace();
      for (const WindowUse& use : uses) windows->insert(use.window_ms);
    }
    return std::any_of(meta.cuts.begin(), meta.cuts.end(), [&](const SegmentCut& cut) {
      return windows->contains(cut.window_start_ms);
    });
  };
}

Status Compactor::MakeHeadroom(model::Timestamp before_ms) {
  if (budget_.excess() == 0) return Status::Ok();
  TOCSIN_RETURN_IF_ERROR(retention_.MakeRoom(0, before_ms, HeldByHead()));
  if (budget_.excess() == 0) return Status::Ok();
  // What is left is from today, and the log has it too.
  TOCSIN_RETURN_IF_ERROR(Seal({}));
  TOCSIN_RETURN_IF_ERROR(Release(/*whole_log=*/true));
  return retention_.MakeRoom(0, before_ms, HeldByHead());
}

Status Compactor::ApplyRetention(model::Timestamp before_ms) {
  const StoragePolicy policy = this->policy();
  retention_.Watch(policy);
  const Retention::Held held = [this, by_head = HeldByHead()](const SegmentMeta& meta) {
    return (hold_expired && hold_expired(meta)) || by_head(meta);
  };
  TOCSIN_RETURN_IF_ERROR(retention_.DropExpired(policy, held));
  // A log that takes a quarter of the cap is sealed ahead of time: segments can be deleted.
  uint64_t log_bytes = 0;
  for (size_t s = 0; s < head_.shard_count(); ++s) log_bytes += head_.shard(s).log.total_bytes();
  if (budget_.cap() != 0 && log_bytes > budget_.cap() / 4) TOCSIN_RETURN_IF_ERROR(Seal({}));
  return MakeHeadroom(before_ms);
}

Status Compactor::ApplyRetentionRules() {
  const StoragePolicy policy = this->policy();
  if (paused_.load(std::memory_order_relaxed)) return Status::Ok();
  for (const Retention::Rewrite& rewrite : retention_.DueRewrites(policy)) {
    if (stopping_.load(std::memory_order_relaxed)) break;
    const SegmentMeta& meta = rewrite.segment->meta();
    if (damaged_.contains(meta.id) || !retention_.HasRoomToRewrite(meta.file_bytes)) continue;
    TOCSIN_RETURN_IF_ERROR(Merge({rewrite.segment}, meta.level));
  }
  return Status::Ok();
}

Status Compactor::RunRound() {
  // First, and whatever comes of the rest: on a full disk it is what makes room for seals and
  // merges.
  const Status retained = ApplyRetention(model::kMaxTimestamp);
  const Status compacted = SealAndMerge();
  DropResidentPages();
  const Status dropped = DropTombstones();
  if (!compacted.ok()) return compacted;
  return retained.ok() ? dropped : retained;
}

// What queries and merges read of the segments is the system's page cache, not our memory.
void Compactor::DropResidentPages() {
  const int64_t monotonic = env_.MonotonicNanos() / 1'000'000;
  if (monotonic < next_drop_ms_) return;
  next_drop_ms_ = monotonic + kDropPagesMs;
  for (const auto pinned = store_.Current(); const Version::Segment& segment : pinned->segments)
    segment->DropResidentPages();
}

// Rows of the past, as a backfill or a sender that catches up brings them, would stay in memory
// until the next half hour begins. A window of theirs is sealed once rows well past its end have
// come, but only once so: what trickles in after that waits for the half hour.
Status Compactor::SealPast(model::Timestamp now) {
  const model::Timestamp newest = head_.newest_ms();
  if (newest == model::kMinTimestamp) return Status::Ok();
  const model::Timestamp reached = WindowStart(std::min(now, newest) - options_.seal_delay_ms);
  if (reached <= sealed_past_ms_) return Status::Ok();
  sealed_past_ms_ = reached;
  std::vector<WindowUse> windows = OpenWindows({model::kMinTimestamp, reached - 1});
  std::erase_if(windows, [version = store_.Current()](const WindowUse& window) {
    return version->sealed.CoversWindow(window.window_ms, 0);
  });
  return SealWindows(windows, /*whole_log=*/false);
}

Status Compactor::SealDue() {
  const int64_t monotonic = env_.MonotonicNanos() / 1'000'000;
  Status status;
  if (monotonic >= seal_retry_ms_) {
    status = SealWhatIsDue(env_.NowMs());
    if (!status.ok()) {
      seal_retry_ms_ = monotonic + kSealRetryMs;
      next_seal_ms_ = model::kMinTimestamp;  // then whatever the clock says
    }
    NoteSeals(status);
  }
  RetireRuns();
  if (retiring_.empty()) {
    head_.RecycleSlots();
    head_.RemoveIdleSources(kIdleSourceMs);
  }
  const size_t bytes_max = 2 * std::max<size_t>(options_.head_bytes_max, seals_failed_head_bytes_);
  const bool full = seals_failed_head_bytes_ > 0 && head_.run_bytes() > bytes_max;
  if (full && !budget_.head_full())
    LogError("tsdb", "rows that cannot be sealed fill the memory for them: samples are refused",
             {{"head_bytes", head_.run_bytes()}, {"head_bytes_max", bytes_max}});
  if (!full && budget_.head_full())
    LogInfo("tsdb", "memory for rows is free again: samples are accepted");
  budget_.SetHeadFull(full);
  static Gauge& head_full = SelfMetrics::Default().GetGauge(
      "tocsin_tsdb_head_full",
      "1 while samples are refused because rows that cannot be sealed fill the memory for them.");
  head_full.Set(full ? 1 : 0);
  return status;
}

void Compactor::NoteSeals(const Status& status) {
  const bool failed_before = seals_failed_head_bytes_ > 0;
  if (!status.ok() && !failed_before) {
    seals_failed_head_bytes_ = std::max<size_t>(head_.run_bytes(), 1);
    LogError("tsdb", "half hours cannot be sealed: their rows stay in memory and log",
             {{"err", status}, {"head_bytes", head_.run_bytes()}});
  } else if (status.ok() && failed_before) {
    seals_failed_head_bytes_ = 0;
    LogInfo("tsdb", "half hours are sealed again");
  }
}

Status Compactor::SealWhatIsDue(model::Timestamp now) {
  if (now >= next_seal_ms_) {
    const model::Timestamp due = now - options_.seal_delay_ms;
    TOCSIN_RETURN_IF_ERROR(SealWindows(OpenWindows({model::kMinTimestamp, WindowStart(due) - 1}),
                                       /*whole_log=*/false));
    next_seal_ms_ = WindowStart(due) + kWindowMs + options_.seal_delay_ms;
  }
  TOCSIN_RETURN_IF_ERROR(SealPast(now));
  if (head_.run_bytes() > options_.head_bytes_max) {
    TOCSIN_RETURN_IF_ERROR(
        Seal({model::kMinTimestamp, WindowStart(now - options_.seal_delay_ms) - 1}));
    if (head_.run_bytes() > options_.head_bytes_max && retiring_.empty())
      TOCSIN_RETURN_IF_ERROR(Seal({}));
  }
  return Status::Ok();
}

Status Compactor::SealAndMerge() {
  TOCSIN_RETURN_IF_ERROR(SealDue());
  TOCSIN_RETURN_IF_ERROR(MergeDue());
  return ApplyRetentionRules();
}

}  // namespace tocsin::tsdb
