#include "tsdb/database_impl.h"

#include <algorithm>
#include <map>
#include <utility>

#include "tsdb/index/selector.h"

namespace tocsin::tsdb {

Result<bool> DatabaseImpl::AnySeries(const std::vector<model::MatcherSet>& matcher_sets,
                                     model::TimeRange range) const {
  if (!load_progress().complete) return true;
  const DatabaseSnapshot snapshot(*head_, store_->Current(), quarantine_);
  for (const model::MatcherSet& set : matcher_sets) {
    TOCSIN_ASSIGN_OR_RETURN(const HeadSelection in_head, snapshot.index().Select(set));
    if (!in_head.entries.empty()) return true;
    for (const Version::Segment& segment : snapshot.version().segments) {
      const auto columns = segment->Select(set, range);
      // What cannot be told is deleted as well.
      if (!columns || !columns->empty()) return true;
    }
  }
  return RollupsNeed({UINT64_MAX, range, matcher_sets});
}

// Where its segment is gone, a delete masks the buckets of a rollup until that is written anew.
bool DatabaseImpl::RollupsNeed(const Tombstone& tombstone) const {
  const std::shared_ptr<const RollupSet> rollups = rollups_->Current();
  return std::any_of(rollups->begin(), rollups->end(), [&](const auto& rollup) {
    const SegmentReader& file = rollup->segment();
    if (tombstone.commit <= file.meta().deletes_applied ||
        !tombstone.range.Overlaps(file.meta().range))
      return false;
    return std::any_of(tombstone.matcher_sets.begin(), tombstone.matcher_sets.end(),
                       [&](const model::MatcherSet& set) {
                         const auto columns = file.Select(set, {});
                         return !columns || !columns->empty();
                       });
  });
}

void DatabaseImpl::ForgetExemplars(const TombstoneList& tombstones) {
  if (tombstones.empty()) return;
  const HeadIndex::Pin pin = head_->index().NewPin();
  DeletedSeries deletes(tombstones);
  // Not while the ring is locked: a commit may wait for it.
  std::map<std::pair<SourceId, model::Slot>, std::vector<DeletedSpan>> spans;
  head_->exemplars().ForEach([&spans](SourceId source, model::Slot slot, const model::Exemplar&,
                                      uint64_t) { spans[{source, slot}]; });
  for (auto& [place, deleted] : spans) {
    const KeyId key = pin.KeyAt(place.first, place.second);
    if (key == kNoId) continue;
    const auto found = deletes.Find(
        place.first, [&pin](uint32_t id) { return pin.SourceLabels(id); }, key,
        [&pin](uint32_t id) { return pin.KeyLabels(id); });
    deleted.assign(found.begin(), found.end());
  }
  head_->RemoveExemplars([&spans](SourceId source, model::Slot slot,
                                  const model::Exemplar& exemplar, uint64_t commit) {
    const auto found = spans.find({source, slot});
    if (found == spans.end()) return false;
    return std::any_of(found->second.begin(), found->second.end(), [&](const DeletedSpan& span) {
      return commit < span.commit && span.range.Contains(exemplar.timestamp_ms);
    });
  });
}

Status DatabaseImpl::DeleteSeries(std::vector<model::MatcherSet> matcher_sets,
                                  model::TimeRange range) {
  TOCSIN_RETURN_IF_ERROR(CheckWritable());
  if (matcher_sets.empty()) return Status(Code::kInvalidArgument, "no matchers");
  for (const model::MatcherSet& set : matcher_sets) {
    if (set.empty() || set.size() > kMatchersMax)
      return Status(Code::kInvalidArgument, "no matchers, or more than 64");
  }
  if (range.min_ms > range.max_ms) return Status::Ok();
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const bool any, AnySeries(matcher_sets, range));
  if (!any) return Status::Ok();
  TOCSIN_RETURN_IF_ERROR(
      store_->AddTombstone(range, matcher_sets, [this] { return head_->ReserveCommitNumber(); }));
  head_->ForgetLastValues(matcher_sets, range);
  ForgetExemplars(store_->Current()->tombstones);
  head_->NoteChange(range);
  deletes_.fetch_add(1, std::memory_order_relaxed);
  return Status::Ok();
}

}  // namespace tocsin::tsdb
