#include "tsdb/selection.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "tsdb/column_reader.h"
#include "tsdb/label_ranks.h"

namespace tocsin::tsdb {

using model::TimeRange;

// Finds the series of a fingerprint: open addressing over series numbers.
class Selection::Joiner {
 public:
  Joiner(Selection& selection, const std::function<Status(uint64_t bytes)>& charge)
      : selection_(selection), charge_(charge), table_(16, kNoId), followers_(1, kNoId) {}

  // Before so many Adds. False: they may not take the memory, see status().
  bool Reserve(size_t more) {
    const size_t wanted = selection_.addresses_.size() + more;
    if (wanted <= room_) return true;
    const size_t room = std::max(wanted, room_ + room_ / 2);
    if (charge_) status_ = charge_((room - room_) * kBytesByAddress);
    if (!status_.ok()) return false;
    room_ = room;
    selection_.addresses_.reserve(room);
    if (fingerprints_.empty()) table_.assign(std::bit_ceil(2 * room + 16), kNoId);
    return true;
  }
  const Status& status() const { return status_; }

  void Add(Fingerprint fingerprint, const Address& address) {
    if (fingerprints_.size() * 2 >= table_.size()) Grow();
    const auto at = static_cast<uint32_t>(selection_.addresses_.size());
    selection_.addresses_.push_back(address);
    const uint32_t series = Find(fingerprint);
    followers_[previous_] = series;
    previous_ = series;
    if (series == last_.size()) {
      selection_.series_.push_back(at);
      last_.push_back(at);
      return;
    }
    selection_.addresses_[last_[series]].next = at;
    last_[series] = at;
    joined_ = true;
  }

  bool joined() const { return joined_; }

 private:
  // The address, and what finds a series by its fingerprint: only while the selection is made, but
  // that is when the memory is needed.
  static constexpr uint64_t kBytesByAddress =
      sizeof(Address) + sizeof(Fingerprint) + 7 * sizeof(uint32_t);

  // The number of the series, a new one where there is none.
  uint32_t Find(const Fingerprint& fingerprint) {
    // Files of one database have their series in one order.
    const uint32_t guess = followers_[previous_];
    if (guess < fingerprints_.size() && fingerprints_[guess] == fingerprint) return guess;
    size_t i = Home(fingerprint);
    while (table_[i] != kNoId && fingerprints_[table_[i]] != fingerprint)
      i = (i + 1) & (table_.size() - 1);
    if (table_[i] == kNoId) {
      table_[i] = static_cast<uint32_t>(fingerprints_.size());
      fingerprints_.push_back(fingerprint);
      followers_.push_back(kNoId);
    }
    return table_[i];
  }
  size_t Home(const Fingerprint& fingerprint) const {
    return FingerprintHasher()(fingerprint) & (table_.size() - 1);
  }
  void Grow() {
    table_.assign(table_.size() * 2, kNoId);
    for (uint32_t series = 0; series < fingerprints_.size(); ++series) {
      size_t i = Home(fingerprints_[series]);
      while (table_[i] != kNoId) i = (i + 1) & (table_.size() - 1);
      table_[i] = series;
    }
  }

  Selection& selection_;
  const std::function<Status(uint64_t bytes)>& charge_;
  Status status_;
  size_t room_ = 0;
  std::vector<uint32_t> table_;
  std::vector<Fingerprint> fingerprints_;
  std::vector<uint32_t> last_;
  // Which series was added after each one the last time.
  std::vector<uint32_t> followers_;
  uint32_t previous_ = 0;
  bool joined_ = false;
};

Result<std::unique_ptr<Selection>> Selection::Make(const DatabaseSnapshot& snapshot,
                                                   const model::MatcherSet& matchers,
                                                   model::TimeRange range,
                                                   const model::SelectHints& hints) {
  std::unique_ptr<Selection> selection(new Selection(snapshot, range, hints));
  Joiner joiner(*selection, hints.charge);
  // The head first: its order, source by source, is the one in which timestamps are shared.
  TOCSIN_TRY(selection->SelectHead(matchers, &joiner));
  selection->facts_plan_ =
      FactsPlan(snapshot.version(), snapshot.rollups(), range, selection->head_range_, hints);
  TOCSIN_TRY(selection->SelectSegments(matchers, &joiner));
  if (joiner.joined()) selection->OrderAddresses();
  if (hints.sorted) selection->Sort();
  if (hints.limit > 0 && selection->series_.size() > hints.limit)
    selection->series_.resize(hints.limit);
  return selection;
}

Status Selection::SelectHead(const model::MatcherSet& matchers, Joiner* joiner) {
  const HeadIndex::Pin& pin = snapshot_.index();
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const HeadSelection selected, pin.Select(matchers));
  DeletedSeries deletes(snapshot_.HeadTombstones(range_));
  const auto source_labels = [&pin](uint32_t id) { return pin.SourceLabels(id); };
  const auto key_labels = [&pin](uint32_t id) { return pin.KeyLabels(id); };
  if (!joiner->Reserve(selected.series_count)) return joiner->status();
  const HeadView view{snapshot_.commit_number(), &snapshot_.version().sealed, range_};
  model::ColumnBatch batch;
  for (const HeadSelection::Entry& entry : selected.entries) {
    const Source* source = snapshot_.head().FindSource(entry.source);
    if (source == nullptr) continue;
    const Fingerprint source_fingerprint = pin.SourceFingerprint(entry.source);
    const Page* page = nullptr;
    std::unique_ptr<PageReader> reader;  // of the page, when something of it is deleted
    bool meets = false;
    uint32_t page_number = kNoId;
    for (const SlotKey& slot_key : selected.lists[entry.list]) {
      const model::Slot slot = entry.slot_base + slot_key.slot;
      if (slot / kFrameSlotsMax != page_number) {
        page_number = slot / kFrameSlotsMax;
        page = source->page(page_number);
        reader.reset();
        meets = false;
        for (const Run* run = page == nullptr ? nullptr : page->first_run(); run != nullptr;
             run = run->next.load(std::memory_order_acquire)) {
          const model::TimeRange rows{run->min_ms.load(std::memory_order_relaxed),
                                      run->max_ms.load(std::memory_order_relaxed)};
          meets = meets || rows.Overlaps(range_);
          head_range_.min_ms = std::min(head_range_.min_ms, rows.min_ms);
          head_range_.max_ms = std::max(head_range_.max_ms, rows.max_ms);
        }
      }
      if (!meets) continue;
      if (!deletes.empty()) {
        const auto spans = deletes.Find(entry.source, source_labels, slot_key.key, key_labels);
        if (!spans.empty() && reader == nullptr) reader = std::make_unique<PageReader>(*page, view);
        if (!spans.empty() && NothingLeft(reader.get(), slot, spans, &batch)) continue;
        NoteDeleted(spans);
      }
      Address address{Address::kHead, kNoId, ColumnRef()};
      address.ref.source = entry.source;
      address.ref.key = slot_key.key;
      address.ref.offset = slot;
      joiner->Add(source_fingerprint + pin.KeyFingerprint(slot_key.key), address);
    }
  }
  return Status::Ok();
}

Status Selection::SelectSegments(const model::MatcherSet& matchers, Joiner* joiner) {
  const auto& segments = snapshot_.version().segments;
  for (uint32_t s = 0; s < segments.size(); ++s) {
    const SegmentReader& segment = *segments[s];
    if (!segment.meta().range.Overlaps(range_)) continue;
    TOCSIN_RETURN_IF_ERROR(
        snapshot_.SkipDamage(segment, SelectSegment(segment, s, matchers, joiner)));
    TOCSIN_RETURN_IF_ERROR(joiner->status());
  }
  const std::vector<FactsPlan::Rollup>& rollups = facts_plan_.rollups();
  for (uint32_t r = 0; r < rollups.size(); ++r) {
    const SegmentReader& file = rollups[r].file->segment();
    TOCSIN_RETURN_IF_ERROR(
        snapshot_.SkipDamage(file, SelectSegment(file, Address::kRollups + r, matchers, joiner)));
    TOCSIN_RETURN_IF_ERROR(joiner->status());
  }
  return Status::Ok();
}

Status Selection::SelectSegment(const SegmentReader& segment, uint32_t number,
                                const model::MatcherSet& matchers, Joiner* joiner) {
  // Rollups are looked back at further than the range says.
  const model::TimeRange range = number < Address::kRollups ? range_ : model::TimeRange();
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::vector<ColumnRef> columns,
                                 segment.Select(matchers, range));
  if (!joiner->Reserve(columns.size())) return Status::Ok();  // the caller looks: no damage
  DeletedSeries deletes(snapshot_.SegmentTombstones(segment, range));
  const TimeRange within{std::max(segment.meta().range.min_ms, range.min_ms),
                         std::min(segment.meta().range.max_ms, range.max_ms)};
  // Labels that cannot be read match nothing: reading the column will tell the damage.
  const auto source_labels = [&segment](uint32_t id) {
    return segment.SourceLabels(id).value_or(model::Labels());
  };
  const auto key_labels = [&segment](uint32_t id) {
    return segment.KeyLabels(id).value_or(model::Labels());
  };
  std::vector<Fingerprint> fingerprints;
  TOCSIN_RETURN_IF_ERROR(segment.SeriesFingerprints(columns, &fingerprints));
  for (size_t i = 0; i < columns.size(); ++i) {
    const ColumnRef& ref = columns[i];
    if (!deletes.empty()) {
      const auto spans = deletes.Find(ref.source, source_labels, ref.key, key_labels);
      if (std::any_of(spans.begin(), spans.end(), [&](const DeletedSpan& span) {
            return span.range.min_ms <= within.min_ms && span.range.max_ms >= within.max_ms;
          }))
        continue;
      NoteDeleted(spans);
    }
    joiner->Add(fingerprints[i], {number, kNoId, ref});
  }
  return Status::Ok();
}

bool Selection::NothingLeft(PageReader* page, model::Slot slot, std::span<const DeletedSpan> spans,
                            model::ColumnBatch* batch) {
  model::Column column;
  page->ReadSlot(slot % kFrameSlotsMax, batch, &column, spans);
  const bool nothing = column.values.empty() && column.histograms.empty();
  batch->Clear();
  page->BatchCleared();
  return nothing;
}

void Selection::NoteDeleted(std::span<const DeletedSpan> spans) {
  if (spans.empty()) return;
  if (deleted_.empty() ||
      !std::equal(spans.begin(), spans.end(), deleted_.back().begin(), deleted_.back().end()))
    deleted_.emplace_back(spans.begin(), spans.end());
  deleted_of_[static_cast<uint32_t>(addresses_.size())] =
      static_cast<uint32_t>(deleted_.size() - 1);
}

void Selection::VisitLabelParts(const std::function<void(const model::Labels&)>& visit) const {
  std::unordered_set<uint64_t> sources;
  std::unordered_set<uint64_t> keys;
  for (const Address& address : addresses_) {
    const uint64_t place = uint64_t{address.segment} << 32;
    if (sources.insert(place | address.ref.source).second) visit(SourcePart(address));
    if (keys.insert(place | address.ref.key).second) visit(KeyPart(address));
  }
}

// Where equal timestamps are decided, by source: fingerprint, then origin.
struct Selection::SourceRank {
  Fingerprint fingerprint;
  uint64_t origin = 0;
  auto operator<=>(const SourceRank&) const = default;
};

Selection::SourceRank Selection::RankOf(const Address& address) const {
  if (address.segment == Address::kHead) {
    const HeadIndex::Pin& pin = snapshot_.index();
    return {pin.SourceFingerprint(address.ref.source), pin.SourceOriginHash(address.ref.source)};
  }
  const SegmentReader& segment = FileOf(address);
  SourceRank rank;
  rank.fingerprint = segment.SourceFingerprint(address.ref.source).value_or(Fingerprint());
  if (const auto origin = segment.SourceOrigin(address.ref.source); origin)
    rank.origin = OriginHash(*origin, snapshot_.head().index().fingerprint_seed());
  return rank;
}

// Chains in the order in which equal timestamps are decided: by address (source fingerprint, then
// origin), within one by cut, the head last. The addresses of a series come to lie side by side.
void Selection::OrderAddresses() {
  struct Place {
    SourceRank source;
    uint32_t segment;
    uint32_t address;
    auto operator<=>(const Place&) const = default;
  };
  // Neighbours are mostly of one source: the last one of each file.
  struct Known {
    uint32_t source = kNoId;
    SourceRank rank;
  };
  const size_t segments = snapshot_.version().segments.size();
  std::vector<Known> last_source(segments + facts_plan_.rollups().size() + 1);
  const auto known_of = [&](const Address& address) -> Known& {
    if (address.segment == Address::kHead) return last_source.back();
    return last_source[address.in_rollup() ? segments + address.rollup() : address.segment];
  };
  std::vector<uint32_t> place_of(addresses_.size());
  std::vector<Place> places;
  uint32_t placed = 0;
  for (uint32_t& first : series_) {
    places.clear();
    for (uint32_t a = first; a != kNoId; a = addresses_[a].next) {
      const Address& address = addresses_[a];
      Known& known = known_of(address);
      if (known.source != address.ref.source) known = {address.ref.source, RankOf(address)};
      places.push_back({known.rank, address.segment, a});
    }
    if (!std::is_sorted(places.begin(), places.end())) std::sort(places.begin(), places.end());
    first = placed;
    for (size_t i = 0; i < places.size(); ++i) {
      place_of[places[i].address] = placed++;
      addresses_[places[i].address].next = i + 1 < places.size() ? placed : kNoId;
    }
  }
  std::unordered_map<uint32_t, uint32_t> deleted_of;
  for (const auto& [address, spans] : deleted_of_) deleted_of[place_of[address]] = spans;
  deleted_of_ = std::move(deleted_of);
  for (uint32_t a = 0; a < place_of.size(); ++a) {
    while (place_of[a] != a) {
      const uint32_t place = place_of[a];
      std::swap(addresses_[a], addresses_[place]);
      std::swap(place_of[a], place_of[place]);
    }
  }
}

void Selection::Sort() {
  // Label sets are read once per source and key, not per series.
  LabelRanks ranks;
  std::unordered_map<uint64_t, uint32_t> source_parts;
  std::unordered_map<uint64_t, uint32_t> key_parts;
  std::vector<std::pair<uint32_t, uint32_t>> parts;
  parts.reserve(series_.size());
  const auto local = [](uint32_t segment, uint32_t id) { return uint64_t{segment} << 32 | id; };
  for (const uint32_t first : series_) {
    const Address& address = addresses_[first];
    const auto [source, new_source] =
        source_parts.try_emplace(local(address.segment, address.ref.source), 0);
    if (new_source) source->second = ranks.AddPart(SourcePart(address));
    const auto [key, new_key] = key_parts.try_emplace(local(address.segment, address.ref.key), 0);
    if (new_key) key->second = ranks.AddPart(KeyPart(address));
    parts.emplace_back(source->second, key->second);
  }
  ranks.Rank();
  for (const auto& [source, key] : parts) ranks.AddSeries(source, key);
  std::vector<uint32_t> sorted;
  sorted.reserve(series_.size());
  for (const uint32_t i : ranks.Order()) sorted.push_back(series_[i]);
  series_ = std::move(sorted);
}

void Selection::NoteThinned(const FactsPlan::Rollup& rollup) const {
  const auto raise = [](std::atomic<int64_t>& value, int64_t to) {
    int64_t now = value.load(std::memory_order_relaxed);
    while (now < to && !value.compare_exchange_weak(now, to, std::memory_order_relaxed)) {
    }
  };
  raise(thinned_bucket_ms_, rollup.file->info().bucket_ms);
  raise(thinned_until_ms_, rollup.file->range().max_ms);
}

model::Resolution Selection::resolution() const {
  model::Resolution resolution = facts_plan_.resolution();
  resolution.thinned_bucket_ms =
      std::max(resolution.thinned_bucket_ms, thinned_bucket_ms_.load(std::memory_order_relaxed));
  resolution.thinned_until_ms =
      std::max(resolution.thinned_until_ms, thinned_until_ms_.load(std::memory_order_relaxed));
  return resolution;
}

const SegmentReader& Selection::FileOf(const Address& address) const {
  if (address.in_rollup()) return facts_plan_.rollups()[address.rollup()].file->segment();
  return *snapshot_.version().segments[address.segment];
}

model::Labels Selection::SourcePart(const Address& address) const {
  if (address.segment == Address::kHead) return snapshot_.index().SourceLabels(address.ref.source);
  return FileOf(address).SourceLabels(address.ref.source).value_or(model::Labels());
}

model::Labels Selection::KeyPart(const Address& address) const {
  if (address.segment == Address::kHead) return snapshot_.index().KeyLabels(address.ref.key);
  return FileOf(address).KeyLabels(address.ref.key).value_or(model::Labels());
}

model::Labels Selection::LabelsAt(size_t series) const {
  const Address& address = addresses_[series_[series]];
  return JoinLabels(SourcePart(address), KeyPart(address));
}

std::unique_ptr<model::ColumnReader> Selection::NewReader() const {
  return std::make_unique<SelectionReader>(*this);
}

// A partial group per source and per key, then one small table of pairs: label sets are built per
// distinct source, key and group, not per series.
void Selection::Group(bool without, std::span<const std::string> names,
                      std::vector<uint32_t>* group_of_series,
                      std::vector<model::Labels>* groups) const {
  group_of_series->clear();
  groups->clear();
  group_of_series->reserve(series_.size());
  const auto keep = [&](std::string_view name) {
    const bool named = std::find(names.begin(), names.end(), name) != names.end();
    return without ? !named && name != model::kMetricName : named;
  };
  const auto restrict = [&](const model::Labels& labels) {
    std::vector<model::LabelView> kept;
    for (const model::LabelView& label : labels) {
      if (keep(label.name)) kept.push_back(label);
    }
    return model::Labels::FromSorted(kept.data(), kept.size());
  };
  // Partial label sets by content; those of sources and keys share the numbering.
  std::unordered_map<model::Labels, uint32_t, model::LabelsHash> part_ids;
  std::vector<model::Labels> parts;
  const auto part_id = [&](const model::Labels& labels) {
    const auto [it, added] =
        part_ids.try_emplace(restrict(labels), static_cast<uint32_t>(parts.size()));
    if (added) parts.push_back(it->first);
    return it->second;
  };
  const auto local = [](uint32_t segment, uint32_t id) { return uint64_t{segment} << 32 | id; };
  std::unordered_map<uint64_t, uint32_t> source_parts;
  std::unordered_map<uint64_t, uint32_t> pair_groups;
  std::unordered_map<model::Labels, uint32_t, model::LabelsHash> group_ids;
  // Sources mostly repeat the keys of the one before: a table in front of the map.
  static constexpr size_t kRecentKeys = 4096;
  struct KeyPartOf {
    uint64_t key = UINT64_MAX;
    uint32_t part = 0;
  };
  std::vector<KeyPartOf> recent_keys(std::min(kRecentKeys, std::bit_ceil(series_.size() + 1)));
  std::unordered_map<uint64_t, uint32_t> key_parts;
  const auto key_part_of = [&](const Address& address) {
    const uint64_t key = local(address.segment, address.ref.key);
    KeyPartOf& recent = recent_keys[address.ref.key & (recent_keys.size() - 1)];
    if (recent.key == key) return recent.part;
    const auto [it, added] = key_parts.try_emplace(key, 0);
    if (added) it->second = part_id(KeyPart(address));
    recent = {key, it->second};
    return it->second;
  };
  uint64_t last_source = UINT64_MAX;
  uint32_t source_part = 0;
  uint64_t last_pair = UINT64_MAX;
  uint32_t group_of_pair = 0;
  for (const uint32_t first : series_) {
    const Address& address = addresses_[first];
    if (const uint64_t source = local(address.segment, address.ref.source); source != last_source) {
      const auto [it, added] = source_parts.try_emplace(source, 0);
      if (added) it->second = part_id(SourcePart(address));
      source_part = it->second;
      last_source = source;
    }
    const uint32_t key_part = key_part_of(address);
    if (const uint64_t pair = uint64_t{source_part} << 32 | key_part; pair != last_pair) {
      const auto [known, pair_added] = pair_groups.try_emplace(pair, 0);
      if (pair_added) {
        const auto [group, group_added] = group_ids.try_emplace(
            JoinLabels(parts[source_part], parts[key_part]), static_cast<uint32_t>(groups->size()));
        if (group_added) groups->push_back(group->first);
        known->second = group->second;
      }
      group_of_pair = known->second;
      last_pair = pair;
    }
    group_of_series->push_back(group_of_pair);
  }
}

}  // namespace tocsin::tsdb
