#include "tsdb/segment/merge.h"

#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>

#include "base/bytes.h"
#include "base/check.h"
#include "base/env.h"
#include "tsdb/codec/values.h"
#include "tsdb/segment/format.h"
#include "tsdb/segment/segment_file.h"
#include "tsdb/segment/writer.h"

namespace tocsin::tsdb {
namespace {

using model::Column;
using model::ColumnBatch;
using model::Histogram;
using model::Labels;
using model::Origin;
using model::TimeRange;
using model::Timestamp;

struct SourceLess {
  bool operator()(const std::pair<Labels, Origin>& a, const std::pair<Labels, Origin>& b) const {
    return SourceOrder(a.first, a.second, b.first, b.second);
  }
};

// What all inputs have, in file order, and where it is in each.
struct MergedDictionary {
  struct Source {
    Labels labels;
    Origin origin;
    std::vector<std::pair<size_t, uint32_t>> in;  // (input, local id)
    // The rows of each input lie behind those of the one before.
    bool rows_apart = false;
  };
  std::vector<Source> sources;
  std::vector<Labels> keys;
  std::vector<uint32_t> families;                 // of keys: rises where the family changes
  std::vector<std::vector<uint32_t>> source_ids;  // input → local id → merged id
  std::vector<std::vector<uint32_t>> key_ids;
};

// Timestamps are decoded once per source and batch: a batch holds columns of so many samples, 16
// bytes each at most, before it is cleared. File order goes from source to source, so more would
// only save anything for few sources.
constexpr size_t kBatchSamples = 1 << 18;

using Inputs = std::span<const std::shared_ptr<const SegmentReader>>;

Status MergeSources(Inputs inputs, MergedDictionary* merged) {
  std::map<std::pair<Labels, Origin>, std::vector<std::pair<size_t, uint32_t>>, SourceLess> all;
  for (size_t i = 0; i < inputs.size(); ++i) {
    for (uint32_t id = 0; id < inputs[i]->source_count(); ++id) {
      TOCSIN_ASSIGN_OR_RETURN_STATUS(Labels labels, inputs[i]->SourceLabels(id));
      TOCSIN_ASSIGN_OR_RETURN_STATUS(Origin origin, inputs[i]->SourceOrigin(id));
      all[{std::move(labels), std::move(origin)}].emplace_back(i, id);
    }
    merged->source_ids.emplace_back(inputs[i]->source_count());
  }
  for (auto& [identity, in] : all) {
    for (const auto& [input, id] : in) {
      merged->source_ids[input][id] = static_cast<uint32_t>(merged->sources.size());
    }
    merged->sources.push_back({identity.first, identity.second, std::move(in), false});
  }
  return Status::Ok();
}

// The files have the same keys under the same ids, as files of the same targets mostly do. False is
// always right.
bool SameKeys(const SegmentFile& a, const SegmentFile& b) {
  if (a.version() != b.version()) return false;
  for (const Section number : {Section::kSymbols, Section::kKeys}) {
    const SectionPlace& x = a.footer().sections[static_cast<size_t>(number)];
    const SectionPlace& y = b.footer().sections[static_cast<size_t>(number)];
    if (x.length != y.length || x.raw_length != y.raw_length) return false;
    const auto bytes = a.Bytes(x.offset, x.length);
    const auto others = b.Bytes(y.offset, y.length);
    if (!bytes || !others || *bytes != *others) return false;
  }
  return true;
}

Status MergeKeys(Inputs inputs, MergedDictionary* merged) {
  std::unordered_map<Labels, uint32_t, model::LabelsHash> ids;
  const auto file = [inputs](size_t i) -> const SegmentFile& {
    return static_cast<const SegmentFile&>(*inputs[i]);
  };
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (i > 0 && inputs[i]->key_count() == inputs[i - 1]->key_count() &&
        SameKeys(file(i - 1), file(i))) {
      merged->key_ids.push_back(merged->key_ids.back());
      continue;
    }
    std::vector<uint32_t>& local = merged->key_ids.emplace_back(inputs[i]->key_count());
    for (uint32_t id = 0; id < inputs[i]->key_count(); ++id) {
      TOCSIN_ASSIGN_OR_RETURN_STATUS(Labels labels, inputs[i]->KeyLabels(id));
      const auto [known, fresh] =
          ids.try_emplace(labels, static_cast<uint32_t>(merged->keys.size()));
      if (fresh) merged->keys.push_back(std::move(labels));
      local[id] = known->second;
    }
  }
  KeyPlaces places = SortKeys(&merged->keys);
  merged->families = std::move(places.families);
  for (std::vector<uint32_t>& local : merged->key_ids) {
    for (uint32_t& id : local) id = places.place[id];
  }
  return Status::Ok();
}

// Walks an input's columns in file order, one directory block in memory.
class ColumnStream {
 public:
  ColumnStream(const SegmentFile& file, size_t input, const MergedDictionary& merged)
      : file_(file), input_(input), merged_(merged), cursor_(file) {}

  Status Start() { return Fill(); }
  bool done() const { return at_ == columns_.size(); }
  const ColumnRef& ref() const { return columns_[at_]; }
  // Comparable between inputs.
  std::tuple<uint32_t, uint32_t, uint32_t> place() const {
    const uint32_t source = merged_.source_ids[input_][ref().source];
    const uint32_t key = merged_.key_ids[input_][ref().key];
    return {merged_.families[key], source, key};
  }
  Status Next() {
    const auto before = place();
    ++at_;
    if (done()) TOCSIN_RETURN_IF_ERROR(Fill());
    if (!done() && place() <= before) {
      return file_.Damaged(ref().offset, "columns are not in file order");
    }
    return Status::Ok();
  }
  SegmentCursor& cursor() { return cursor_; }
  size_t input() const { return input_; }
  const SegmentFile& file() const { return file_; }

 private:
  Status Fill() {
    at_ = 0;
    columns_.clear();
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const size_t blocks, file_.DirectoryBlockCount());
    while (columns_.empty() && block_ < blocks) {
      TOCSIN_RETURN_IF_ERROR(file_.ReadDirectoryBlock(block_++, &columns_));
    }
    return Status::Ok();
  }

  const SegmentFile& file_;
  const size_t input_;
  const MergedDictionary& merged_;
  SegmentCursor cursor_;
  std::vector<ColumnRef> columns_;
  size_t at_ = 0;
  size_t block_ = 0;
};

// One series' samples from several inputs, in time order.
class SampleMerger {
 public:
  void Clear() {
    parts_.clear();
    drops_.clear();
  }
  // Later parts lose to earlier ones at equal timestamps. The views stay alive until Merge is done.
  void Add(const Column& column, std::vector<TimeRange> drop) {
    parts_.push_back(column);
    drops_.push_back(std::move(drop));
  }
  // The view lives until the next call. `dropped` is raised, unless null.
  Column Merge(DroppedSamples* dropped);
  // The same where the parts have floats at all of `rows`, one part behind the other.
  Column MergeWhole(std::span<const Timestamp> rows);

 private:
  struct Sample {
    Timestamp t;
    uint32_t part;
    bool is_histogram;
    uint32_t index;
  };
  bool IsPlain() const;
  // Floats only, and none of them deleted.
  bool IsFloats() const;
  void MergeFloats(DroppedSamples* dropped);
  void MergeBehind(const Column& part, size_t from, DroppedSamples* dropped);
  bool SameValue(const Sample& a, const Sample& b) const;
  void ClearMerged();
  // Values and start timestamps of one part behind the other.
  void Concatenate();
  void AppendFloat(const Column& part, size_t index);
  void AppendHistogram(const Column& part, size_t index);
  Column View() const;

  std::vector<Column> parts_;
  std::vector<std::vector<TimeRange>> drops_;
  std::vector<Timestamp> timestamps_;
  std::vector<double> values_;
  std::vector<Timestamp> starts_;
  std::vector<Timestamp> histogram_timestamps_;
  std::vector<const Histogram*> histograms_;
  std::vector<Timestamp> histogram_starts_;
  // Scratch of MergeBehind.
  std::vector<Timestamp> tail_timestamps_;
  std::vector<double> tail_values_;
};

// Floats only, one part behind the other in time: what nearly all merges are.
bool SampleMerger::IsPlain() const {
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (!drops_[i].empty() || !parts_[i].histograms.empty()) return false;
    if (i > 0 && !parts_[i].timestamps.empty() && !parts_[i - 1].timestamps.empty() &&
        parts_[i].timestamps.front() <= parts_[i - 1].timestamps.back()) {
      return false;
    }
    if (parts_[i].timestamps.empty()) return false;
  }
  return true;
}

void SampleMerger::Concatenate() {
  const bool starts = std::any_of(parts_.begin(), parts_.end(),
                                  [](const Column& c) { return !c.start_timestamps.empty(); });
  for (const Column& part : parts_) {
    values_.insert(values_.end(), part.values.begin(), part.values.end());
    if (!starts) continue;
    if (part.start_timestamps.empty()) {
      starts_.resize(starts_.size() + part.values.size());
    } else {
      starts_.insert(starts_.end(), part.start_timestamps.begin(), part.start_timestamps.end());
    }
  }
}

Column SampleMerger::MergeWhole(std::span<const Timestamp> rows) {
  ClearMerged();
  Column column = parts_[0];
  if (parts_.size() > 1) {
    Concatenate();
    column = View();
  }
  column.timestamps = rows;
  return column;
}

bool SampleMerger::IsFloats() const {
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (!drops_[i].empty() || !parts_[i].histograms.empty() || !parts_[i].start_timestamps.empty())
      return false;
  }
  return true;
}

// Late rows: a part begins before the one in front of it ends, by an hour or so. Only what
// overlaps is merged.
void SampleMerger::MergeFloats(DroppedSamples* dropped) {
  for (const Column& part : parts_) {
    if (part.timestamps.empty()) continue;
    const auto at =
        std::lower_bound(timestamps_.begin(), timestamps_.end(), part.timestamps.front());
    MergeBehind(part, static_cast<size_t>(at - timestamps_.begin()), dropped);
  }
}

// `from`: samples before it are older than the part.
void SampleMerger::MergeBehind(const Column& part, size_t from, DroppedSamples* dropped) {
  const auto offset = static_cast<ptrdiff_t>(from);
  tail_timestamps_.assign(timestamps_.begin() + offset, timestamps_.end());
  tail_values_.assign(values_.begin() + offset, values_.end());
  timestamps_.resize(from);
  values_.resize(from);
  size_t i = 0;
  for (size_t j = 0; j < tail_timestamps_.size(); ++j) {
    const Timestamp t = tail_timestamps_[j];
    for (; i < part.timestamps.size() && part.timestamps[i] < t; ++i) {
      timestamps_.push_back(part.timestamps[i]);
      values_.push_back(part.values[i]);
    }
    if (i < part.timestamps.size() && part.timestamps[i] == t) {
      const bool equal =
          std::bit_cast<uint64_t>(part.values[i]) == std::bit_cast<uint64_t>(tail_values_[j]);
      if (dropped != nullptr) ++(equal ? dropped->equal : dropped->unequal);
      ++i;
    }
    timestamps_.push_back(t);
    values_.push_back(tail_values_[j]);
  }
  const auto rest = static_cast<ptrdiff_t>(i);
  timestamps_.insert(timestamps_.end(), part.timestamps.begin() + rest, part.timestamps.end());
  values_.insert(values_.end(), part.values.begin() + rest, part.values.end());
}

void SampleMerger::AppendFloat(const Column& part, size_t index) {
  timestamps_.push_back(part.timestamps[index]);
  values_.push_back(part.values[index]);
  starts_.push_back(part.start_timestamps.empty() ? 0 : part.start_timestamps[index]);
}

void SampleMerger::AppendHistogram(const Column& part, size_t index) {
  histogram_timestamps_.push_back(part.histogram_timestamps[index]);
  histograms_.push_back(part.histograms[index]);
  histogram_starts_.push_back(
      part.histogram_start_timestamps.empty() ? 0 : part.histogram_start_timestamps[index]);
}

Column SampleMerger::View() const {
  Column column;
  column.timestamps = timestamps_;
  column.values = values_;
  column.start_timestamps = starts_;
  column.histogram_timestamps = histogram_timestamps_;
  column.histograms = histograms_;
  column.histogram_start_timestamps = histogram_starts_;
  column.may_hold_stale = std::any_of(parts_.begin(), parts_.end(),
                                      [](const Column& part) { return part.may_hold_stale; });
  return column;
}

bool SampleMerger::SameValue(const Sample& a, const Sample& b) const {
  if (a.is_histogram != b.is_histogram) return false;
  const Column& x = parts_[a.part];
  const Column& y = parts_[b.part];
  if (a.is_histogram) return *x.histograms[a.index] == *y.histograms[b.index];
  return std::bit_cast<uint64_t>(x.values[a.index]) == std::bit_cast<uint64_t>(y.values[b.index]);
}

void SampleMerger::ClearMerged() {
  timestamps_.clear();
  values_.clear();
  starts_.clear();
  histogram_timestamps_.clear();
  histograms_.clear();
  histogram_starts_.clear();
}

Column SampleMerger::Merge(DroppedSamples* dropped) {
  ClearMerged();
  if (parts_.size() == 1 && drops_[0].empty()) return parts_[0];
  if (IsPlain()) {
    for (const Column& part : parts_) {
      timestamps_.insert(timestamps_.end(), part.timestamps.begin(), part.timestamps.end());
    }
    Concatenate();
    return View();
  }
  if (IsFloats()) {
    MergeFloats(dropped);
    return View();
  }
  std::vector<Sample> samples;
  for (uint32_t p = 0; p < parts_.size(); ++p) {
    const auto add = [&](std::span<const Timestamp> timestamps, bool is_histogram) {
      for (uint32_t i = 0; i < timestamps.size(); ++i) {
        const Timestamp t = timestamps[i];
        const auto covers = [t](const TimeRange& range) { return range.Contains(t); };
        if (std::any_of(drops_[p].begin(), drops_[p].end(), covers)) continue;
        samples.push_back({t, p, is_histogram, i});
      }
    };
    add(parts_[p].timestamps, false);
    add(parts_[p].histogram_timestamps, true);
  }
  std::sort(samples.begin(), samples.end(), [](const Sample& a, const Sample& b) {
    return std::tie(a.t, a.part, a.is_histogram) < std::tie(b.t, b.part, b.is_histogram);
  });
  const Sample* last = nullptr;
  for (const Sample& sample : samples) {
    if (last != nullptr && last->t == sample.t) {
      if (dropped != nullptr) ++(SameValue(*last, sample) ? dropped->equal : dropped->unequal);
      continue;
    }
    last = &sample;
    if (sample.is_histogram) {
      AppendHistogram(parts_[sample.part], sample.index);
    } else {
      AppendFloat(parts_[sample.part], sample.index);
    }
  }
  return View();
}

// All rows of a source in any input.
Status MergeRows(MergedDictionary::Source& source, std::vector<ColumnStream>& streams,
                 std::vector<Timestamp>* rows) {
  std::vector<Timestamp> part;
  bool sorted = true;
  for (const auto& [input, id] : source.in) {
    TOCSIN_RETURN_IF_ERROR(streams[input].cursor().ReadRowTimestamps(id, &part));
    if (!rows->empty() && !part.empty() && part.front() <= rows->back()) sorted = false;
    rows->insert(rows->end(), part.begin(), part.end());
  }
  source.rows_apart = sorted && !rows->empty();
  if (!sorted) {
    std::sort(rows->begin(), rows->end());
    rows->erase(std::unique(rows->begin(), rows->end()), rows->end());
  }
  return Status::Ok();
}

void DescribeOutput(Inputs inputs, SegmentMeta* meta) {
  std::map<std::pair<uint32_t, Timestamp>, uint64_t> commits;
  std::vector<SegmentId>& replaces = meta->replaces;
  for (const auto& input : inputs) {
    for (const SegmentCut& cut : input->meta().cuts) {
      uint64_t& commit = commits[{cut.group, cut.window_start_ms}];
      commit = std::max(commit, cut.commit);
    }
    // What an input replaced may still lie there, if its removal failed; nobody else will say so
    // once the input itself is gone.
    replaces.push_back(input->meta().id);
    replaces.insert(replaces.end(), input->meta().replaces.begin(), input->meta().replaces.end());
  }
  std::sort(replaces.begin(), replaces.end());
  replaces.erase(std::unique(replaces.begin(), replaces.end()), replaces.end());
  meta->cuts.clear();
  for (const auto& [where, commit] : commits) {
    meta->cuts.push_back({where.first, where.second, commit});
  }
}

std::vector<TimeRange> DroppedRanges(const MergedDictionary& merged, const MergeOptions& options,
                                     const SegmentReader& input, uint32_t source, uint32_t key) {
  std::vector<TimeRange> dropped;
  for (ColumnFilter* filter : options.filters) {
    filter->AddDropped({input, source, key, merged.sources[source].labels, merged.keys[key]},
                       &dropped);
  }
  return dropped;
}

// Sources and keys that still have a column: the labels of what was deleted go with it.
struct Kept {
  std::vector<bool> sources;  // by merged id
  std::vector<bool> keys;
  std::vector<uint32_t> source_ids;  // merged id → id in the output
  std::vector<uint32_t> key_ids;
};

Status FindKept(Inputs inputs, const MergedDictionary& merged, const MergeOptions& options,
                Kept* kept) {
  kept->sources.assign(merged.sources.size(), false);
  kept->keys.assign(merged.keys.size(), false);
  kept->source_ids.assign(merged.sources.size(), kNoId);
  kept->key_ids.assign(merged.keys.size(), kNoId);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const TimeRange whole = inputs[i]->meta().range;
    TOCSIN_RETURN_IF_ERROR(inputs[i]->ForEachColumn([&](const ColumnRef& ref) {
      const uint32_t source = merged.source_ids[i][ref.source];
      const uint32_t key = merged.key_ids[i][ref.key];
      const std::vector<TimeRange> dropped =
          DroppedRanges(merged, options, *inputs[i], source, key);
      const bool gone = std::any_of(dropped.begin(), dropped.end(), [&](const TimeRange& range) {
        return range.min_ms <= whole.min_ms && range.max_ms >= whole.max_ms;
      });
      if (!gone) kept->sources[source] = kept->keys[key] = true;
      return true;
    }));
  }
  return Status::Ok();
}

// Merges the columns of all inputs, in file order.
class ColumnMerge {
 public:
  ColumnMerge(const MergedDictionary& merged, const MergeOptions& options, const Kept& kept,
              std::vector<ColumnStream>& streams, SegmentWriter& writer)
      : merged_(merged), options_(options), kept_(kept), streams_(streams), writer_(writer) {}

  bool done() const {
    return std::all_of(streams_.begin(), streams_.end(),
                       [](const ColumnStream& stream) { return stream.done(); });
  }
  // Writes the series that is next.
  Status Next();

 private:
  Status AddMerged(uint32_t source, uint32_t key);
  bool IsConstant(const MergedDictionary::Source& source, double* value) const;

  const MergedDictionary& merged_;
  const MergeOptions& options_;
  const Kept& kept_;
  std::vector<ColumnStream>& streams_;
  SegmentWriter& writer_;
  std::vector<ColumnStream*> next_;  // that have the series which is next
  ColumnBatch batch_;
  size_t samples_in_batch_ = 0;
  SampleMerger merger_;
};

// One value at every row of the source, so that no sample need be looked at: of real exporters two
// columns in three.
bool ColumnMerge::IsConstant(const MergedDictionary::Source& source, double* value) const {
  if (!source.rows_apart || next_.size() != source.in.size() || !options_.filters.empty()) {
    return false;
  }
  std::optional<double> found;
  for (const ColumnStream* stream : next_) {
    if (stream->ref().flags != (kColumnFloats | kColumnConstant | kColumnFull)) return false;
    const auto bytes = stream->file().Bytes(stream->ref().offset, stream->ref().length);
    if (!bytes) return false;
    ByteReader in(*bytes);
    const double its = ReadPackedDouble(&in);
    if (!in.ok() || !in.at_end() || model::IsStale(its)) return false;
    if (found && std::bit_cast<uint64_t>(*found) != std::bit_cast<uint64_t>(its)) return false;
    found = its;
  }
  *value = *found;
  return true;
}

Status ColumnMerge::AddMerged(uint32_t source, uint32_t key) {
  const MergedDictionary::Source& of = merged_.sources[source];
  const uint32_t source_id = kept_.source_ids[source];
  const uint32_t key_id = kept_.key_ids[key];
  if (double value = 0; IsConstant(of, &value)) {
    writer_.AddConstant(source_id, key_id, value);
    return Status::Ok();
  }
  if (samples_in_batch_ > kBatchSamples) {
    batch_.Clear();
    samples_in_batch_ = 0;
    for (ColumnStream& stream : streams_) stream.cursor().BatchCleared();
  }
  merger_.Clear();
  bool whole = of.rows_apart && next_.size() == of.in.size();
  for (ColumnStream* stream : next_) {
    const ColumnRef& ref = stream->ref();
    Column column;
    TOCSIN_RETURN_IF_ERROR(stream->cursor().Read(ref, TimeRange(), &batch_, &column));
    samples_in_batch_ += column.timestamps.size() + column.histogram_timestamps.size();
    std::vector<TimeRange> dropped = DroppedRanges(merged_, options_, stream->file(), source, key);
    whole &= dropped.empty() && (ref.flags & kColumnFull) != 0 &&
             (ref.flags & (kColumnHistograms | kColumnOwnAxis)) == 0;
    merger_.Add(column, std::move(dropped));
  }
  Column column;
  if (whole) {
    const std::span<const Timestamp> rows = writer_.RowsOf(source_id);
    column = merger_.MergeWhole(rows);
    if (column.values.size() != rows.size()) {
      const ColumnStream& first = *next_.front();
      return first.file().Damaged(first.ref().offset, "a column of other rows than its source's");
    }
  } else {
    column = merger_.Merge(options_.dropped);
  }
  if (column.values.empty() && column.histograms.empty()) return Status::Ok();
  writer_.AddColumn(source_id, key_id, column);
  return Status::Ok();
}

Status ColumnMerge::Next() {
  next_.clear();
  std::tuple<uint32_t, uint32_t, uint32_t> place;
  for (ColumnStream& stream : streams_) {
    if (stream.done()) continue;
    const auto its = stream.place();
    if (next_.empty() || its < place) {
      place = its;
      next_.clear();
    }
    if (its == place) next_.push_back(&stream);
  }
  CHECK(!next_.empty());
  const auto [family, source, key] = place;
  TOCSIN_RETURN_IF_ERROR(AddMerged(source, key));
  for (ColumnStream* stream : next_) TOCSIN_RETURN_IF_ERROR(stream->Next());
  return Status::Ok();
}

}  // namespace

Result<SegmentMeta> MergeSegments(Env& env, Inputs inputs, const std::string& path,
                                  SegmentMeta meta, const MergeOptions& options) {
  DescribeOutput(inputs, &meta);
  MergedDictionary merged;
  TOCSIN_TRY(MergeSources(inputs, &merged));
  TOCSIN_TRY(MergeKeys(inputs, &merged));
  std::vector<ColumnStream> streams;
  streams.reserve(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    streams.emplace_back(static_cast<const SegmentFile&>(*inputs[i]), i, merged);
    TOCSIN_TRY(streams.back().Start());
  }
  const bool facts = meta.level == kMaxSegmentLevel;
  // Rows of all sources at once would be the largest thing in memory by far: each source's are made
  // anew from the inputs whenever its next family comes.
  std::vector<uint32_t> merged_ids;  // of sources, by id in the output
  const auto rows_of = [&](uint32_t source, std::vector<Timestamp>* rows) {
    return MergeRows(merged.sources[merged_ids[source]], streams, rows);
  };
  SegmentWriter writer(env, path, std::move(meta),
                       {.sorted_input = true, .facts = facts, .rows_of = rows_of});
  TOCSIN_TRY(writer.Open());
  Kept kept;
  TOCSIN_TRY(FindKept(inputs, merged, options, &kept));
  std::vector<Timestamp> rows;
  for (size_t s = 0; s < merged.sources.size(); ++s) {
    if (!kept.sources[s]) continue;
    rows.clear();
    TOCSIN_TRY(MergeRows(merged.sources[s], streams, &rows));
    kept.source_ids[s] = writer.AddSource(merged.sources[s].origin, merged.sources[s].labels, rows);
    merged_ids.push_back(static_cast<uint32_t>(s));
  }
  for (size_t k = 0; k < merged.keys.size(); ++k) {
    if (kept.keys[k]) kept.key_ids[k] = writer.AddKey(merged.keys[k]);
  }
  ColumnMerge columns(merged, options, kept, streams, writer);
  while (!columns.done()) {
    if (options.cancelled && options.cancelled()) {
      return Error(Code::kCancelled, "merge stopped");
    }
    TOCSIN_TRY(columns.Next());
  }
  return writer.Finish();
}

}  // namespace tocsin::tsdb
