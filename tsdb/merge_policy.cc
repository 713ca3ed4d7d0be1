#include "tsdb/merge_policy.h"

#include <algorithm>

namespace tocsin::tsdb {
namespace {

struct Candidate {
  const SegmentMeta* meta;
  size_t at;
};
using Segments = std::vector<Candidate>;

model::Timestamp BlockStart(model::Timestamp t, int64_t block_ms) {
  const int64_t remainder = t % block_ms;
  return t - (remainder < 0 ? remainder + block_ms : remainder);
}

// By the start of the block in which their first window lies.
std::map<model::Timestamp, Segments> Blocks(const Segments& segments, int64_t block_ms) {
  std::map<model::Timestamp, Segments> blocks;
  for (const Candidate& segment : segments)
    blocks[BlockStart(segment.meta->cuts.front().window_start_ms, block_ms)].push_back(segment);
  return blocks;
}

Segments Candidates(std::span<const SegmentMeta* const> metas,
                    const std::set<SegmentId>& excluded) {
  Segments segments;
  for (size_t i = 0; i < metas.size(); ++i) {
    if (!metas[i]->cuts.empty() && !excluded.contains(metas[i]->id))
      segments.push_back({metas[i], i});
  }
  return segments;
}

uint64_t Bytes(const Segments& segments) {
  uint64_t bytes = 0;
  for (const Candidate& segment : segments) bytes += segment.meta->file_bytes;
  return bytes;
}

MergeChoice Choose(const Segments& segments, uint8_t level,
                   std::optional<model::Timestamp> day = std::nullopt) {
  MergeChoice choice{{}, Bytes(segments), level, day};
  for (const Candidate& segment : segments) choice.inputs.push_back(segment.at);
  return choice;
}

bool OverheadWeighs(const Segments& segments) {
  uint64_t columns = 0;
  for (const Candidate& segment : segments) columns += segment.meta->column_count;
  return columns * kColumnOverheadBytes * kOverheadDivisor >= Bytes(segments);
}

Segments OfLevel(const Segments& segments, uint8_t lowest, uint8_t highest) {
  Segments some;
  for (const Candidate& segment : segments) {
    const uint8_t level = segment.meta->level;
    if (level >= lowest && level <= highest) some.push_back(segment);
  }
  return some;
}

std::optional<MergeChoice> ClosedDay(model::Timestamp day, const Segments& segments,
                                     const MergeRequest& request, DayHistory* history) {
  const Segments top = OfLevel(segments, kMaxSegmentLevel, kMaxSegmentLevel);
  const Segments overlays = OfLevel(segments, 0, kMaxSegmentLevel - 1);
  if (top.empty() || top.size() > 1) return Choose(segments, kMaxSegmentLevel, day);
  if (overlays.size() != history->overlays) {
    history->overlays = overlays.size();
    history->overlays_since_ms = request.monotonic_ms;
  }
  if (overlays.empty()) return std::nullopt;
  const bool idle = request.monotonic_ms - history->overlays_since_ms >= kOverlayIdleMs;
  const bool large =
      static_cast<double>(Bytes(overlays)) >= kOverlayShare * static_cast<double>(Bytes(top));
  const bool allowed = history->rewritten_ms == 0 ||
                       request.monotonic_ms - history->rewritten_ms >= kDayRewriteIntervalMs;
  if (allowed && (idle || large)) return Choose(segments, kMaxSegmentLevel, day);
  if (overlays.size() >= kOverlayFilesMax) return Choose(overlays, 1);
  return std::nullopt;
}

// Closed quarters of a day that is open, or waits for its close.
void OpenDay(const Segments& segments, const MergeRequest& request,
             std::vector<MergeChoice>* choices) {
  // A file of the whole day (POST …/compact) waits for the day's end.
  const Segments below = OfLevel(segments, 0, 1);
  for (const auto& [start, quarter] : Blocks(below, kQuarterDayMs)) {
    if (request.now_ms < start + kQuarterDayMs + request.day_grace_ms) continue;
    Segments fresh = OfLevel(quarter, 0, 0);
    // What came after the quarter's L1 waits until it is many, as overlays do.
    const bool merged = fresh.size() < quarter.size();
    if (fresh.size() < (merged ? kOverlayFilesMax : 2)) continue;
    if (merged || OverheadWeighs(fresh)) choices->push_back(Choose(quarter, 1));
  }
}

}  // namespace

model::Timestamp DayStart(model::Timestamp t) { return BlockStart(t, kDayMs); }

std::vector<MergeChoice> DueMerges(std::span<const SegmentMeta* const> all,
                                   const MergeRequest& request,
                                   std::map<model::Timestamp, DayHistory>* history) {
  std::vector<MergeChoice> days;
  std::vector<MergeChoice> quarters;
  const std::map<model::Timestamp, Segments> blocks =
      Blocks(Candidates(all, *request.excluded), kDayMs);
  std::erase_if(*history, [&](const auto& entry) { return !blocks.contains(entry.first); });
  for (const auto& [day, segments] : blocks) {
    if (request.now_ms < day + kDayMs + request.day_grace_ms) {
      OpenDay(segments, request, &quarters);
      continue;
    }
    const bool settled = segments.size() == 1 && segments.front().meta->level == kMaxSegmentLevel;
    if (settled) continue;
    if (auto choice = ClosedDay(day, segments, request, &(*history)[day]))
      days.push_back(*std::move(choice));
  }
  days.insert(days.end(), std::make_move_iterator(quarters.begin()),
              std::make_move_iterator(quarters.end()));
  return days;
}

std::vector<MergeChoice> AllMerges(std::span<const SegmentMeta* const> all,
                                   const std::set<SegmentId>& excluded) {
  std::vector<MergeChoice> choices;
  for (const auto& [day, segments] : Blocks(Candidates(all, excluded), kDayMs)) {
    const bool settled = segments.size() == 1 && segments.front().meta->level == kMaxSegmentLevel;
    if (!settled) choices.push_back(Choose(segments, kMaxSegmentLevel, day));
  }
  return choices;
}

}  // namespace tocsin::tsdb
