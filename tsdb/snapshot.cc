#include "tsdb/snapshot.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "tsdb/rollup/facts_plan.h"
#include "tsdb/selection.h"

namespace tocsin::tsdb {
namespace {

// Asks LabelHints::charge in portions.
class LabelCharge {
 public:
  explicit LabelCharge(const model::LabelHints& hints) : hints_(hints) {}

  Status Add(uint64_t bytes) {
    static constexpr uint64_t kPortionBytes = 64 * 1024;
    if (!hints_.charge) return Status::Ok();
    waiting_bytes_ += bytes;
    if (waiting_bytes_ < kPortionBytes) return Status::Ok();
    return hints_.charge(std::exchange(waiting_bytes_, 0));
  }

 private:
  const model::LabelHints& hints_;
  uint64_t waiting_bytes_ = 0;
};

// Names or values from several places.
class NameSet {
 public:
  explicit NameSet(const model::LabelHints& hints) : hints_(hints), charge_(hints) {}

  // After an error nothing is added any more.
  void Add(std::string_view name) {
    static constexpr uint64_t kNodeBytes = 80;  // and the string itself, in the set and the answer
    if (!status_.ok() || !names_.emplace(name).second) return;
    status_ = charge_.Add(kNodeBytes + 2 * name.size());
  }
  Result<std::vector<std::string>> Take() {
    if (!status_.ok()) return std::unexpected(status_);
    std::vector<std::string> result;
    const size_t limit = hints_.limit > 0 ? hints_.limit : names_.size();
    result.reserve(std::min(limit, names_.size()));
    while (result.size() < limit && !names_.empty()) {
      result.push_back(std::move(names_.extract(names_.begin()).value()));
    }
    return result;
  }
  const Status& status() const { return status_; }

 private:
  const model::LabelHints& hints_;
  LabelCharge charge_;
  Status status_;
  std::set<std::string> names_;
};

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
    const model::LabelHints& hints, const std::function<void(const model::Labels&)>& visit) const {
  static const model::MatcherSet kEverything;
  const std::span<const model::MatcherSet> sets =
      matcher_sets.empty() ? std::span<const model::MatcherSet>(&kEverything, 1) : matcher_sets;
  model::SelectHints select;
  select.charge = hints.charge;
  for (const model::MatcherSet& matchers : sets) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::unique_ptr<Selection> selection,
                                   Selection::Make(*this, matchers, range, select));
    selection->VisitLabelParts(visit);
  }
  return Status::Ok();
}

Result<std::vector<std::string>> DatabaseSnapshot::LabelNames(
    std::span<const model::MatcherSet> matcher_sets, model::TimeRange range,
    const model::LabelHints& hints) const {
  NameSet names(hints);
  if (DeletesMeet(range)) {
    TOCSIN_TRY(VisitLabelParts(matcher_sets, range, hints, [&names](const model::Labels& part) {
      for (const model::LabelView& label : part) names.Add(label.name);
    }));
    return names.Take();
  }
  if (HeadMeets(range)) {
    TOCSIN_ASSIGN_OR_RETURN(const std::vector<std::string> found, index_.LabelNames(matcher_sets));
    for (const std::string& name : found) names.Add(name);
  }
  for (const SegmentReader* segment : Files(range)) {
    TOCSIN_TRY(names.status());
    const auto more = segment->LabelNames(matcher_sets);
    if (!more) {
      TOCSIN_TRY(SkipDamage(*segment, more.error()));
      continue;
    }
    for (const std::string& name : *more) names.Add(name);
  }
  return names.Take();
}

Result<std::vector<std::string>> DatabaseSnapshot::LabelValues(
    std::string_view name, std::span<const model::MatcherSet> matcher_sets, model::TimeRange range,
    const model::LabelHints& hints) const {
  NameSet values(hints);
  if (DeletesMeet(range)) {
    TOCSIN_TRY(VisitLabelParts(matcher_sets, range, hints, [&](const model::Labels& part) {
      if (part.Has(name)) values.Add(part.Get(name));
    }));
    return values.Take();
  }
  if (HeadMeets(range)) {
    TOCSIN_ASSIGN_OR_RETURN(const std::vector<std::string> found,
                            index_.LabelValues(name, matcher_sets));
    for (const std::string& value : found) values.Add(value);
  }
  for (const SegmentReader* segment : Files(range)) {
    TOCSIN_TRY(values.status());
    const auto more = segment->LabelValues(name, matcher_sets);
    if (!more) {
      TOCSIN_TRY(SkipDamage(*segment, more.error()));
      continue;
    }
    for (const std::string& value : *more) values.Add(value);
  }
  return values.Take();
}

Result<std::vector<model::Labels>> DatabaseSnapshot::Series(
    std::span<const model::MatcherSet> matcher_sets, model::TimeRange range,
    const model::LabelHints& hints) const {
  static const model::MatcherSet kEverything;
  const std::span<const model::MatcherSet> sets =
      matcher_sets.empty() ? std::span<const model::MatcherSet>(&kEverything, 1) : matcher_sets;
  model::SelectHints select;
  select.charge = hints.charge;
  LabelCharge charge(hints);
  std::vector<model::Labels> result;
  if (sets.size() == 1) {
    // In order by the ranks of sources and keys: no label set is compared with another.
    select.sorted = true;
    select.limit = hints.limit;
    TOCSIN_ASSIGN_OR_RETURN(const std::unique_ptr<Selection> selection,
                            Selection::Make(*this, sets[0], range, select));
    TOCSIN_TRY(charge.Add(selection->size() * sizeof(model::Labels)));
    result.reserve(selection->size());
    for (size_t i = 0; i < selection->size(); ++i) {
      result.push_back(selection->LabelsAt(i));
      TOCSIN_TRY(charge.Add(result.back().packed().size()));
    }
    return result;
  }
  static constexpr uint64_t kNodeBytes = 48;
  std::set<model::Labels> series;
  for (const model::MatcherSet& matchers : sets) {
    TOCSIN_ASSIGN_OR_RETURN(const std::unique_ptr<Selection> selection,
                            Selection::Make(*this, matchers, range, select));
    for (size_t i = 0; i < selection->size(); ++i) {
      const auto [it, added] = series.insert(selection->LabelsAt(i));
      if (added) TOCSIN_TRY(charge.Add(kNodeBytes + sizeof(model::Labels) + it->packed().size()));
    }
  }
  const size_t limit = hints.limit > 0 ? hints.limit : series.size();
  while (result.size() < limit && !series.empty()) {
    result.push_back(std::move(series.extract(series.begin()).value()));
  }
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
