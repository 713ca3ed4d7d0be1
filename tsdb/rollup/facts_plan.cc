#include "tsdb/rollup/facts_plan.h"

#include <algorithm>
#include <map>

namespace tocsin::tsdb {

using model::TimeRange;
using model::Timestamp;

namespace {

using Files = std::vector<std::shared_ptr<const RollupFile>>;

void Cover(TimeRange* hull, TimeRange range) {
  if (range.min_ms > range.max_ms) return;
  if (hull->min_ms > hull->max_ms) {
    *hull = range;
    return;
  }
  hull->min_ms = std::min(hull->min_ms, range.min_ms);
  hull->max_ms = std::max(hull->max_ms, range.max_ms);
}

TimeRange Common(TimeRange a, TimeRange b) {
  return {std::max(a.min_ms, b.min_ms), std::min(a.max_ms, b.max_ms)};
}

// `duration_ms` before t; ranges may be open.
Timestamp Earlier(Timestamp t, int64_t duration_ms) {
  return t < model::kMinTimestamp + duration_ms ? model::kMinTimestamp : t - duration_ms;
}

// By the segment that they were made from; each list ascends by bucket.
std::map<SegmentId, Files> BySegment(const RollupSet& rollups, TimeRange range, Timestamp before) {
  std::map<SegmentId, Files> grouped;
  for (const auto& file : rollups) {
    const TimeRange its = file->range();
    if (its.min_ms > range.max_ms || its.max_ms < Earlier(range.min_ms, before)) continue;
    grouped[file->info().input].push_back(file);
  }
  for (auto& [input, files] : grouped) {
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
      return a->info().bucket_ms < b->info().bucket_ms;
    });
  }
  return grouped;
}

}  // namespace

FactsPlan::FactsPlan(const Version& version, const RollupSet& rollups, TimeRange range,
                     TimeRange head, const model::SelectHints& hints)
    : range_(range), wish_(hints.facts), looks_back_(hints.range_ms == 0) {
  if (wish_.tile_ms <= 0) wish_.wanted = false;
  if (wish_.wanted) PlanColumnFacts(version, head);
  if (!rollups.empty()) PlanRollups(version, rollups, head);
}

void FactsPlan::PlanColumnFacts(const Version& version, TimeRange head) {
  const std::vector<Version::Segment>& segments = version.segments;
  column_facts_.resize(segments.size());
  for (size_t s = 0; s < segments.size(); ++s) {
    const SegmentReader& segment = *segments[s];
    const TimeRange its = segment.meta().range;
    if (!segment.has_facts() || its.min_ms < range_.min_ms || its.max_ms > range_.max_ms ||
        !wish_.OneTile(its.min_ms, its.max_ms) || its.Overlaps(head)) {
      continue;
    }
    const bool alone = std::none_of(segments.begin(), segments.end(), [&](const auto& other) {
      return other != segments[s] && other->meta().range.Overlaps(its);
    });
    column_facts_[s] = alone;
    any_facts_ = any_facts_ || alone;
  }
}

void FactsPlan::PlanRollups(const Version& version, const RollupSet& rollups, TimeRange head) {
  rollup_of_.assign(version.segments.size(), kNoId);
  Timestamp before = 0;
  if (looks_back_) {
    for (const auto& file : rollups) before = std::max(before, file->info().bucket_ms);
  }
  for (const auto& [input, files] : BySegment(rollups, range_, before))
    Choose(version, files, head);
}

void FactsPlan::Choose(const Version& version,
                       std::span<const std::shared_ptr<const RollupFile>> files, TimeRange head) {
  Rollup rollup;
  const RollupInput input = FindRollupInput(*files.front(), version, &rollup.segment);
  if (input == RollupInput::kReplaced) return;
  if (input == RollupInput::kPresent && UsesColumnFacts(rollup.segment)) return;
  // The coarsest that windows are made of.
  for (const auto& file : files) {
    const int64_t bucket_ms = file->info().bucket_ms;
    if (wish_.wanted && bucket_ms <= wish_.bucket_max_ms && wish_.AlignedTo(bucket_ms))
      rollup.file = file;
  }
  const bool exact = rollup.file != nullptr;
  if (input == RollupInput::kPresent) {
    if (!exact) return;
    const TimeRange its = rollup.file->range();
    for (size_t s = 0; s < version.segments.size(); ++s) {
      const TimeRange other = version.segments[s]->meta().range;
      if (s != rollup.segment && other.Overlaps(its)) Cover(&rollup.dirty, Common(other, its));
    }
    if (head.Overlaps(its)) Cover(&rollup.dirty, Common(head, its));
    rollup.dirty = WidenToBuckets(rollup.dirty, rollup.file->info().bucket_ms);
    if (rollup.dirty.min_ms <= std::max(its.min_ms, range_.min_ms) &&
        rollup.dirty.max_ms >= std::min(its.max_ms, range_.max_ms)) {
      return;
    }
    rollup_of_[rollup.segment] = static_cast<uint32_t>(rollups_.size());
  } else if (!exact) {
    rollup.file = files.front();  // the finest: the truth is nearest
    resolution_.thinned_bucket_ms =
        std::max(resolution_.thinned_bucket_ms, rollup.file->info().bucket_ms);
    resolution_.thinned_until_ms =
        std::max(resolution_.thinned_until_ms, rollup.file->range().max_ms);
  }
  resolution_.bucket_ms = std::max(resolution_.bucket_ms, rollup.file->info().bucket_ms);
  any_facts_ = any_facts_ || wish_.wanted;
  rollups_.push_back(std::move(rollup));
}

TimeRange FactsPlan::ThinnedRange(const Rollup& rollup) const {
  TimeRange range = range_;
  if (looks_back_) range.min_ms = Earlier(range.min_ms, rollup.file->info().bucket_ms);
  return range;
}

std::vector<std::shared_ptr<const RollupFile>> GoneRollups(const Version& version,
                                                           const RollupSet& rollups,
                                                           TimeRange range) {
  Files gone;
  for (const auto& [input, files] : BySegment(rollups, range, 0)) {
    uint32_t segment = kNoId;
    if (FindRollupInput(*files.front(), version, &segment) == RollupInput::kGone)
      gone.push_back(files.front());
  }
  return gone;
}

}  // namespace tocsin::tsdb
