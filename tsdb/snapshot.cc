#include "tsdb/snapshot.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "tsdb/rollup/facts_plan.h"
#include "tsdb/selection.h"

namespace tocsin::tsdb {
namespace {

std::vector<std::string> Sorted(std::set<std::string> names, size_t limit) {
  std::vector<std::string> result(std::make_move_iterator(names.begin()),
                                  std::make_move_iterator(names.end()));
  if (limit > 0 && result.size() > limit) result.resize(limit);
  return result;
}

}  // namespace

model::Labels JoinLabels(const model::Labels& a, const model::Labels& b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  std::vector<model::LabelView> joined;
  auto left = a.begin();
  auto right = b.begin();
  while (left != a.end() || right != b.end()) {
    if (right == b.end() || (left != a.end() && left->name < right->name)) {
      joined.push_back(*left);
      ++left;
    } else {
      joined.push_back(*right);
      ++right;
    }
  }
  return model::Labels::FromSorted(joined.data(), joined.size());
}

DatabaseSnapshot::DatabaseSnapshot(const Head& head, std::shared_ptr<const Version> version,
                                   Quarantine& quarantine, std::shared_ptr<const RollupSet> rollups,
                                   std::atomic<uint32_t>* readers)
    : head_(head),
      quarantine_(quarantine),
      rollups_(rollups != nullptr ? std::move(rollups) : std::make_shared<const RollupSet>()),
      readers_(readers),
      version_(std::move(version)),
      commit_(head.commit_number()),
      epoch_(head.NewPin()),
      index_(head.index().NewPin()) {
  if (readers_ != nullptr) readers_->fetch_add(1, std::memory_order_relaxed);
}

DatabaseSnapshot::~DatabaseSnapshot() {
  if (readers_ != nullptr) readers_->fetch_sub(1, std::memory_order_relaxed);
}

Result<std::unique_ptr<model::SeriesSelection>> DatabaseSnapshot::Select(
    const model::MatcherSet& matchers, model::TimeRange range,
    const model::SelectHints& hints) const {
  TOCSIN_ASSIGN_OR_RETURN(std::unique_ptr<Selection> selection,
                          Selection::Make(*this, matchers, range, hints));
  return selection;
}

Status DatabaseSnapshot::SkipDamage(const SegmentReader& segment, Status status) const {
  if (status.code() != Code::kCorruption) return status.Annotate(segment.path());
  quarantine_.Note(segment.path(), status.message());
  return Status::Ok();
}

std::vector<const SegmentReader*> DatabaseSnapshot::Files(model::TimeRange range) const {
  std::vector<const SegmentReader*> files;
  for (const Version::Segment& segment : version_->segments) {
    if (segment->meta().range.Overlaps(range)) files.push_back(segment.get());
  }
  // The set holds them as long as this snapshot lives.
  for (const auto& rollup : GoneRollups(*version_, *rollups_, range))
    files.push_back(&rollup->segment());
  return files;
}

bool DatabaseSnapshot::HeadMeets(model::TimeRange range) const {
  for (SourceId id = 0; id < index_.source_id_end(); ++id) {
    const Source* source = head_.FindSource(id);
    if (source == nullptr) continue;
    for (uint32_t p = 0; const Page* page = source->page(p); ++p) {
      for (const Run* run = page->first_run(); run != nullptr;
           run = run->next.load(std::memory_order_acquire)) {
        if (run->min_ms.load(std::memory_order_relaxed) <= range.max_ms &&
            run->max_ms.load(std::memory_order_relaxed) >= range.min_ms)
          return true;
      }
    }
  }
  return false;
}

TombstoneList DatabaseSnapshot::HeadTombstones(model::TimeRange range) const {
  return TombstonesAbove(version_->tombstones, 0, range);
}

TombstoneList DatabaseSnapshot::SegmentTombstones(const SegmentReader& segment,
                                                  model::TimeRange range) const {
  const SegmentMeta& meta = segment.meta();
  return TombstonesAbove(
      version_->tombstones, meta.deletes_applied,
      {std::max(meta.range.min_ms, range.min_ms), std::min(meta.range.max_ms, range.max_ms)});
}

bool DatabaseSnapshot::DeletesMeet(model::TimeRange range) const {
  return std::any_of(version_->tombstones.begin(), version_->tombstones.end(),
                     [&](const auto& tombstone) { return tombstone->range.Overlaps(range); });
}

Status DatabaseSnapshot::VisitLabelParts(
    std::span<const model::MatcherSet> matcher_sets, model::TimeRange range,
    const std::function<void(const model::Labels&)>& visit) const {
  static const model::MatcherSet kEverything;
  const std::span<const model::MatcherSet> sets =
      matcher_sets.empty() ? std::span<const model::MatcherSet>(&kEverything, 1) : matcher_sets;
  for (const model::MatcherSet& matchers : sets) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::unique_ptr<Selection> selection,
                                   Selection::Make(*this, matchers, range, {}));
    selection->VisitLabelParts(visit);
  }
  return Status::Ok();
}

Result<std::vector<std::string>> DatabaseSnapshot::LabelNames(
    std::span<const model::MatcherSet> matcher_sets, model::TimeRange range, size_t limit) const {
  std::set<std::string> names;
  if (DeletesMeet(range)) {
    TOCSIN_TRY(VisitLabelParts(matcher_sets, range, [&names](const model::Labels& part) {
      for (const model::LabelView& label : part) names.emplace(label.name);
    }));
    return Sorted(std::move(names), limit);
  }
  if (HeadMeets(range)) {
    TOCSIN_ASSIGN_OR_RETURN(std::vector<std::string> found, index_.LabelNames(matcher_sets));
    for (std::string& name : found) names.insert(std::move(name));
  }
  for (const SegmentReader* segment : Files(range)) {
    auto more = segment->LabelNames(matcher_sets);
    if (!more) {
      TOCSIN_TRY(SkipDamage(*segment, more.error()));
      continue;
    }
    for (std::string& name : *more) names.insert(std::move(name));
  }
  return Sorted(std::move(names), limit);
}

Result<std::vector<std::string>> DatabaseSnapshot::LabelValues(
    std::string_view name, std::span<const model::MatcherSet> matcher_sets, model::TimeRange range,
    size_t limit) const {
  std::set<std::string> values;
  if (DeletesMeet(range)) {
    TOCSIN_TRY(VisitLabelParts(matcher_sets, range, [&](const model::Labels& part) {
      if (part.Has(name)) values.emplace(part.Get(name));
    }));
    return Sorted(std::move(values), limit);
  }
  if (HeadMeets(range)) {
    TOCSIN_ASSIGN_OR_RETURN(std::vector<std::string> found, index_.LabelValues(name, matcher_sets));
    for (std::string& value : found) values.insert(std::move(value));
  }
  for (const SegmentReader* segment : Files(range)) {
    auto more = segment->LabelValues(name, matcher_sets);
    if (!more) {
      TOCSIN_TRY(SkipDamage(*segment, more.error()));
      continue;
    }
    for (std::string& value : *more) values.insert(std::move(value));
  }
  return Sorted(std::move(values), limit);
}

Result<std::vector<model::Labels>> DatabaseSnapshot::Series(
    std::span<const model::MatcherSet> matcher_sets, model::TimeRange range, size_t limit) const {
  static const model::MatcherSet kEverything;
  const std::span<const model::MatcherSet> sets =
      matcher_sets.empty() ? std::span<const model::MatcherSet>(&kEverything, 1) : matcher_sets;
  if (sets.size() == 1) {
    // In order by the ranks of sources and keys: no label set is compared with another.
    model::SelectHints hints;
    hints.sorted = true;
    hints.limit = limit;
    TOCSIN_ASSIGN_OR_RETURN(const std::unique_ptr<Selection> selection,
                            Selection::Make(*this, sets[0], range, hints));
    std::vector<model::Labels> result;
    result.reserve(selection->size());
    for (size_t i = 0; i < selection->size(); ++i) result.push_back(selection->LabelsAt(i));
    return result;
  }
  std::set<model::Labels> series;
  for (const model::MatcherSet& matchers : sets) {
    TOCSIN_ASSIGN_OR_RETURN(std::unique_ptr<Selection> selection,
                            Selection::Make(*this, matchers, range, {}));
    for (size_t i = 0; i < selection->size(); ++i) series.insert(selection->LabelsAt(i));
  }
  std::vector<model::Labels> result(series.begin(), series.end());
  if (limit > 0 && result.size() > limit) result.resize(limit);
  return result;
}

Result<std::vector<model::ExemplarSeries>> DatabaseSnapshot::Exemplars(
    std::span<const model::MatcherSet> matcher_sets, model::TimeRange range) const {
  std::map<std::pair<SourceId, model::Slot>, std::vector<model::Exemplar>> by_slot;
  head_.exemplars().ForEach(
      [&](SourceId source, model::Slot slot, const model::Exemplar& exemplar, uint64_t) {
        if (range.Contains(exemplar.timestamp_ms)) by_slot[{source, slot}].push_back(exemplar);
      });
  std::map<model::Labels, std::vector<model::Exemplar>> by_series;
  for (auto& [place, exemplars] : by_slot) {
    const KeyId key = index_.KeyAt(place.first, place.second);
    if (key == kNoId) continue;
    model::Labels labels = index_.SeriesLabels(place.first, key);
    const bool wanted =
        matcher_sets.empty() ||
        std::any_of(matcher_sets.begin(), matcher_sets.end(),
                    [&](const model::MatcherSet& set) { return MatchesAll(set, labels); });
    if (!wanted) continue;
    std::vector<model::Exemplar>& all = by_series[std::move(labels)];
    std::move(exemplars.begin(), exemplars.end(), std::back_inserter(all));
  }
  std::vector<model::ExemplarSeries> result;
  for (auto& [labels, exemplars] : by_series) {
    std::stable_sort(exemplars.begin(), exemplars.end(),
                     [](const model::Exemplar& a, const model::Exemplar& b) {
                       return a.timestamp_ms < b.timestamp_ms;
                     });
    result.push_back({labels, std::move(exemplars)});
  }
  return result;
}

}  // namespace tocsin::tsdb
