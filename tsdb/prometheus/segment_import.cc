#include "tsdb/prometheus/segment_import.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tsdb/segment/writer.h"

namespace tocsin::tsdb {
namespace {

using model::Labels;
using model::LabelView;
using model::TimeRange;
using model::Timestamp;

// Series of a source that are tried for its rows when it has no `up`.
constexpr size_t kAxisCandidatesMax = 8;
// Samples between two words to `progress`.
constexpr uint64_t kProgressSamples = 1 << 18;

// Where one store has one series.
struct Entry {
  uint32_t family;
  uint32_t source;
  uint32_t key;
  uint32_t store;
  uint64_t series;
  auto place() const { return std::tuple(family, source, key); }
};

// The label pairs that all series of one job and instance have.
class SourceFinder {
 public:
  void Add(const Labels& labels) {
    const std::string group = GroupOf(labels);
    const auto [found, fresh] = groups_.try_emplace(group);
    if (fresh) {
      found->second = WithoutName(labels);
    } else {
      Intersect(&found->second, labels);
    }
  }
  // Source labels in order; afterwards SourceOf.
  std::vector<Labels> TakeSources() {
    std::vector<std::pair<Labels, const std::string*>> all;
    for (auto& [group, labels] : groups_) all.emplace_back(labels, &group);
    std::sort(all.begin(), all.end(),
              [](const auto& a, const auto& b) { return Labels::Compare(a.first, b.first) < 0; });
    std::vector<Labels> sources;
    for (auto& [labels, group] : all) {
      // Two groups may share their labels: without instance, and one series each.
      if (sources.empty() || !(sources.back() == labels)) sources.push_back(labels);
      numbers_[*group] = static_cast<uint32_t>(sources.size() - 1);
    }
    groups_.clear();
    return sources;
  }
  uint32_t SourceOf(const Labels& labels) const { return numbers_.at(GroupOf(labels)); }

 private:
  static std::string GroupOf(const Labels& labels) {
    const std::string_view job = labels.Get(model::kJobLabel);
    std::string group;
    group.reserve(64);
    group.append(job).push_back('\0');
    group.append(labels.Get(model::kInstanceLabel));
    return group;
  }
  static Labels WithoutName(const Labels& labels) {
    std::vector<LabelView> views;
    for (const LabelView& label : labels) {
      if (label.name != model::kMetricName) views.push_back(label);
    }
    return Labels::FromSorted(views.data(), views.size());
  }
  static void Intersect(Labels* common, const Labels& labels) {
    std::vector<LabelView> views;
    auto other = labels.begin();
    size_t all = 0;
    for (const LabelView& label : *common) {
      ++all;
      while (other != labels.end() && other->name < label.name) ++other;
      if (other != labels.end() && *other == label) views.push_back(label);
    }
    if (views.size() < all) *common = Labels::FromSorted(views.data(), views.size());
  }

  std::unordered_map<std::string, Labels> groups_;
  std::unordered_map<std::string, uint32_t> numbers_;
};

// The labels of `series` that its source does not have.
Labels KeyOf(const Labels& series, const Labels& source) {
  std::vector<LabelView> views;
  auto common = source.begin();
  for (const LabelView& label : series) {
    while (common != source.end() && common->name < label.name) ++common;
    if (common != source.end() && common->name == label.name) continue;
    views.push_back(label);
  }
  return Labels::FromSorted(views.data(), views.size());
}

// Makes the samples of one series ascend strictly: the first of equal timestamps stays.
class SampleOrderer {
 public:
  void Order(ChunkSamples* samples, DroppedSamples* repeated) {
    if (!Ascends(samples->timestamps)) OrderFloats(samples, repeated);
    if (!Ascends(samples->histogram_timestamps)) OrderHistograms(samples, repeated);
    if (!samples->timestamps.empty() && !samples->histogram_timestamps.empty())
      DropShadowed(samples, repeated);
  }

 private:
  static bool Ascends(const std::vector<Timestamp>& timestamps) {
    return std::adjacent_find(timestamps.begin(), timestamps.end(), std::greater_equal<>()) ==
           timestamps.end();
  }
  void SortPlaces(const std::vector<Timestamp>& timestamps) {
    places_.resize(timestamps.size());
    std::iota(places_.begin(), places_.end(), 0);
    std::stable_sort(places_.begin(), places_.end(),
                     [&](size_t a, size_t b) { return timestamps[a] < timestamps[b]; });
  }
  void OrderFloats(ChunkSamples* samples, DroppedSamples* repeated) {
    SortPlaces(samples->timestamps);
    ChunkSamples ordered;
    for (const size_t place : places_) {
      const Timestamp t = samples->timestamps[place];
      const double value = samples->values[place];
      if (!ordered.timestamps.empty() && ordered.timestamps.back() == t) {
        const bool equal =
            std::bit_cast<uint64_t>(ordered.values.back()) == std::bit_cast<uint64_t>(value);
        ++(equal ? repeated->equal : repeated->unequal);
        continue;
      }
      ordered.timestamps.push_back(t);
      ordered.values.push_back(value);
      if (!samples->starts.empty()) ordered.starts.push_back(samples->starts[place]);
    }
    samples->timestamps = std::move(ordered.timestamps);
    samples->values = std::move(ordered.values);
    samples->starts = std::move(ordered.starts);
  }
  void OrderHistograms(ChunkSamples* samples, DroppedSamples* repeated) {
    SortPlaces(samples->histogram_timestamps);
    ChunkSamples ordered;
    for (const size_t place : places_) {
      const Timestamp t = samples->histogram_timestamps[place];
      model::Histogram& histogram = samples->histograms[place];
      if (!ordered.histograms.empty() && ordered.histogram_timestamps.back() == t) {
        // What was a reset to one chunk may be none to another.
        histogram.hint = ordered.histograms.back().hint;
        ++(ordered.histograms.back() == histogram ? repeated->equal : repeated->unequal);
        continue;
      }
      ordered.histogram_timestamps.push_back(t);
      ordered.histograms.push_back(std::move(histogram));
    }
    samples->histogram_timestamps = std::move(ordered.histogram_timestamps);
    samples->histograms = std::move(ordered.histograms);
  }
  // Of a float and a histogram at one timestamp the float stays.
  static void DropShadowed(ChunkSamples* samples, DroppedSamples* repeated) {
    size_t kept = 0;
    auto floats = samples->timestamps.begin();
    for (size_t i = 0; i < samples->histogram_timestamps.size(); ++i) {
      const Timestamp t = samples->histogram_timestamps[i];
      while (floats != samples->timestamps.end() && *floats < t) ++floats;
      if (floats != samples->timestamps.end() && *floats == t) {
        ++repeated->unequal;
        continue;
      }
      if (kept != i) {
        samples->histogram_timestamps[kept] = t;
        samples->histograms[kept] = std::move(samples->histograms[i]);
      }
      ++kept;
    }
    samples->histogram_timestamps.resize(kept);
    samples->histograms.resize(kept);
  }

  std::vector<size_t> places_;
};

class SegmentImport {
 public:
  SegmentImport(SampleStores stores, TimeRange range, ImportCounts* counts)
      : stores_(stores), range_(range), counts_(*counts) {}

  void FindSeries();
  void FindRows();
  void Write(SegmentWriter& writer, const std::function<void(uint64_t)>& progress);

 private:
  // The entries of one series begin at `begin`; returns one past them.
  size_t EndOfSeries(size_t begin) const {
    size_t end = begin + 1;
    while (end < entries_.size() && entries_[end].place() == entries_[begin].place()) ++end;
    return end;
  }
  // Into samples_, in order.
  void ReadSeries(size_t begin, size_t end, SkippedData* skipped, DroppedSamples* repeated);
  void DropInvalidHistograms(SkippedData* skipped);
  void SortKeys();

  const SampleStores stores_;
  const TimeRange range_;
  ImportCounts& counts_;
  std::vector<Labels> sources_;
  std::vector<Labels> keys_;
  std::vector<Entry> entries_;                // in file order
  std::vector<std::vector<Timestamp>> rows_;  // by source
  ChunkSamples samples_;
  SampleOrderer orderer_;
};

void SegmentImport::FindSeries() {
  SourceFinder finder;
  Labels labels;
  for (const auto& store : stores_) {
    for (uint64_t i = 0; i < store->series_count(); ++i) {
      if (store->FindLabels(i, range_, &labels, &counts_.skipped)) finder.Add(labels);
    }
  }
  sources_ = finder.TakeSources();
  std::unordered_map<Labels, uint32_t, model::LabelsHash> keys;
  SkippedData known;  // damage was noted above
  for (uint32_t s = 0; s < stores_.size(); ++s) {
    for (uint64_t i = 0; i < stores_[s]->series_count(); ++i) {
      if (!stores_[s]->FindLabels(i, range_, &labels, &known)) continue;
      const uint32_t source = finder.SourceOf(labels);
      Labels key = KeyOf(labels, sources_[source]);
      const auto [found, fresh] =
          keys.try_emplace(std::move(key), static_cast<uint32_t>(keys_.size()));
      if (fresh) keys_.push_back(found->first);
      entries_.push_back({0, source, found->second, s, i});
    }
  }
  keys.clear();
  SortKeys();
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return std::tuple(a.place(), a.store, a.series) < std::tuple(b.place(), b.store, b.series);
  });
}

void SegmentImport::SortKeys() {
  const KeyPlaces places = tsdb::SortKeys(&keys_);
  for (Entry& entry : entries_) {
    entry.key = places.place[entry.key];
    entry.family = places.families[entry.key];
  }
}

void SegmentImport::ReadSeries(size_t begin, size_t end, SkippedData* skipped,
                               DroppedSamples* repeated) {
  samples_.Clear();
  for (size_t e = begin; e < end; ++e)
    stores_[entries_[e].store]->ReadSamples(entries_[e].series, range_, &samples_, skipped);
  DropInvalidHistograms(skipped);
  orderer_.Order(&samples_, repeated);
}

void SegmentImport::DropInvalidHistograms(SkippedData* skipped) {
  size_t kept = 0;
  for (size_t i = 0; i < samples_.histograms.size(); ++i) {
    const Status valid = samples_.histograms[i].Validate();
    if (!valid.ok()) {
      if (skipped->invalid_histograms++ == 0) skipped->AddExample("histogram: " + valid.message());
      continue;
    }
    if (kept != i) {
      samples_.histograms[kept] = std::move(samples_.histograms[i]);
      samples_.histogram_timestamps[kept] = samples_.histogram_timestamps[i];
    }
    ++kept;
  }
  samples_.histograms.resize(kept);
  samples_.histogram_timestamps.resize(kept);
}

void SegmentImport::FindRows() {
  struct Tried {
    size_t count = 0;
    bool up = false;
  };
  std::vector<Tried> tried(sources_.size());
  rows_.resize(sources_.size());
  SkippedData skipped;  // read, and noted, again when it is written
  DroppedSamples repeated;
  const Labels up = Labels::FromPairs({{model::kMetricName, "up"}});
  const auto up_key = std::lower_bound(keys_.begin(), keys_.end(), up, KeyOrder);
  const auto up_number = up_key != keys_.end() && *up_key == up
                             ? static_cast<uint32_t>(up_key - keys_.begin())
                             : UINT32_MAX;
  for (const bool up_round : {true, false}) {
    for (size_t begin = 0; begin < entries_.size(); begin = EndOfSeries(begin)) {
      const Entry& entry = entries_[begin];
      Tried& source = tried[entry.source];
      if (source.up || source.count == kAxisCandidatesMax) continue;
      if (up_round != (entry.key == up_number)) continue;
      ReadSeries(begin, EndOfSeries(begin), &skipped, &repeated);
      const std::vector<Timestamp>& timestamps =
          samples_.timestamps.size() >= samples_.histogram_timestamps.size()
              ? samples_.timestamps
              : samples_.histogram_timestamps;
      ++source.count;
      source.up = up_round && !timestamps.empty();
      std::vector<Timestamp>& rows = rows_[entry.source];
      if (timestamps.size() > rows.size()) rows.assign(timestamps.begin(), timestamps.end());
    }
  }
}

void SegmentImport::Write(SegmentWriter& writer, const std::function<void(uint64_t)>& progress) {
  const model::Origin origin = ImportOrigin();
  for (size_t s = 0; s < sources_.size(); ++s) writer.AddSource(origin, sources_[s], rows_[s]);
  for (const Labels& key : keys_) writer.AddKey(key);
  std::vector<const model::Histogram*> histograms;
  uint64_t done = 0;
  for (size_t begin = 0; begin < entries_.size();) {
    const size_t end = EndOfSeries(begin);
    ReadSeries(begin, end, &counts_.skipped, &counts_.repeated);
    const Entry& entry = entries_[begin];
    begin = end;
    if (samples_.size() == 0) continue;
    histograms.clear();
    for (const model::Histogram& h : samples_.histograms) histograms.push_back(&h);
    model::Column column;
    column.timestamps = samples_.timestamps;
    column.values = samples_.values;
    column.start_timestamps = samples_.starts;
    column.histogram_timestamps = samples_.histogram_timestamps;
    column.histograms = histograms;
    writer.AddColumn(entry.source, entry.key, column);
    ++counts_.series;
    counts_.float_samples += samples_.timestamps.size();
    counts_.histogram_samples += samples_.histograms.size();
    done += samples_.size();
    if (done >= kProgressSamples) progress(std::exchange(done, 0));
  }
  progress(done);
}

}  // namespace

Result<SegmentMeta> WriteImportSegment(Env& env, SampleStores stores, TimeRange range,
                                       const std::string& path, SegmentMeta meta,
                                       const std::function<void(uint64_t)>& progress,
                                       ImportCounts* counts) {
  SegmentImport import(stores, range, counts);
  import.FindSeries();
  import.FindRows();
  SegmentWriter::Options options;
  options.sorted_input = true;
  // As the merges that end at this level keep them.
  options.facts = meta.level == kMaxSegmentLevel;
  SegmentWriter writer(env, path, std::move(meta), std::move(options));
  TOCSIN_TRY(writer.Open());
  import.Write(writer, progress);
  return writer.Finish();
}

}  // namespace tocsin::tsdb
