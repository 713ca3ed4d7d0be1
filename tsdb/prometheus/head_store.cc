#include "tsdb/prometheus/head_store.h"

#include <algorithm>

namespace tocsin::tsdb {

using model::Histogram;
using model::Labels;
using model::TimeRange;
using model::Timestamp;

// Fills the store from the files.
class HeadStore::Loader final : public PrometheusLogVisitor {
 public:
  Loader(HeadStore& store, Timestamp min_valid_ms) : store_(store), min_valid_ms_(min_valid_ms) {}

  // First: what chunks hold is not taken from the logs.
  Status LoadChunks(Env& env, const std::string& directory);
  Status LoadLog(Env& env, const std::string& directory, bool late, PrometheusLogStats* stats,
                 const std::function<void(uint64_t)>& progress);
  void Finish();

  void OnSeries(uint64_t series, const Labels& labels) override;
  void OnSample(uint64_t series, Timestamp t, double value, Timestamp start_ms) override;
  void OnHistogram(uint64_t series, Timestamp t, Histogram histogram, Timestamp start_ms) override;
  void OnDeletion(uint64_t series, TimeRange range) override;
  void OnExemplar(uint64_t series, const model::Exemplar& exemplar) override;
  void OnMetadata(uint64_t series, const model::Metadata& metadata) override;
  // Samples that a chunk has as well fall together when they are put in order.
  void OnChunkMarker(uint64_t) override {}
  void OnUnknown(uint8_t type) override {
    if (store_.stats_.unknown_records++ == 0)
      Note("log record of unknown type " + std::to_string(type));
  }

 private:
  void Note(std::string text) {
    if (store_.stats_.damage.size() < SkippedData::kExamplesMax)
      store_.stats_.damage.push_back(std::move(text));
  }
  Series* Find(uint64_t series) {
    const auto found = by_number_.find(series);
    if (found != by_number_.end()) return found->second;
    ++store_.stats_.samples_without_series;
    return nullptr;
  }
  // The series that takes a sample at `t`, or null.
  Series* Admit(uint64_t series, Timestamp t);
  void NoteStart(Series* series, Timestamp t, Timestamp start_ms);

  HeadStore& store_;
  const Timestamp min_valid_ms_;
  bool late_ = false;
  std::unordered_map<uint64_t, std::vector<HeadChunk>> chunks_;
  std::unordered_map<uint64_t, Series*> by_number_;
  std::unordered_map<Labels, Series*, model::LabelsHash> by_labels_;
};

Status HeadStore::Loader::LoadChunks(Env& env, const std::string& directory) {
  const auto names = env.ListDir(directory);
  if (!names) {
    return names.error().code() == Code::kNotFound ? Status::Ok() : Status(names.error());
  }
  for (const std::string& name : *names) {
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string path = JoinPath(directory, name);
    const auto size = env.FileSize(path);
    if (size && *size == 0) continue;
    auto file = env.MapFile(path);
    if (!file) return file.error();
    const Status status = ForEachHeadChunk((*file)->bytes(), [this](const HeadChunk& chunk) {
      ++store_.stats_.head_chunks;
      chunks_[chunk.series].push_back(chunk);
    });
    if (!status.ok()) {
      ++store_.stats_.damaged_chunk_files;
      Note("chunks_head/" + name + ": " + status.message());
    }
    store_.chunk_files_.push_back(std::move(*file));
  }
  return Status::Ok();
}

Status HeadStore::Loader::LoadLog(Env& env, const std::string& directory, bool late,
                                  PrometheusLogStats* stats,
                                  const std::function<void(uint64_t)>& progress) {
  late_ = late;
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::vector<std::string> paths,
                                 ListPrometheusLog(env, directory));
  for (const std::string& path : paths) {
    const auto size = env.FileSize(path);
    if (size && *size == 0) continue;
    const auto file = env.MapFile(path);
    if (!file) return file.error();
    ReadPrometheusSegment((*file)->bytes(), path,
                          [this](std::string_view record) {
                            const Status status = VisitPrometheusRecord(
                                record, this, &store_.stats_.rounded_histograms);
                            if (!status.ok() && store_.stats_.damaged_records++ == 0)
                              Note(status.message());
                          },
                          stats);
    progress((*file)->size());
  }
  if (!stats->first_damage.empty()) Note(stats->first_damage);
  return Status::Ok();
}

void HeadStore::Loader::OnSeries(uint64_t number, const Labels& labels) {
  Series*& series = by_labels_[labels];
  if (series == nullptr) {
    series = &store_.series_.emplace_back();
    series->labels = labels;
  }
  if (!by_number_.emplace(number, series).second) return;
  // A series that came back has another number, and chunks under both.
  const auto found = chunks_.find(number);
  if (found == chunks_.end()) return;
  for (const HeadChunk& chunk : found->second) {
    if (!chunk.out_of_order && chunk.max_ms < min_valid_ms_) continue;
    series->pieces.push_back({chunk.min_ms, chunk.max_ms, chunk.chunk});
    store_.AddRange({chunk.min_ms, chunk.max_ms});
    if (!chunk.out_of_order) series->last_ms = std::max(series->last_ms, chunk.max_ms);
  }
  chunks_.erase(found);
}

// The log says it of series; scrapes and answers of families.
void HeadStore::Loader::OnMetadata(uint64_t number, const model::Metadata& metadata) {
  const auto found = by_number_.find(number);
  if (found == by_number_.end()) {
    ++store_.stats_.metadata_without_series;
    return;
  }
  std::string_view family = found->second->labels.MetricName();
  const auto strip = [&family](std::initializer_list<std::string_view> suffixes) {
    for (const std::string_view suffix : suffixes) {
      if (!family.ends_with(suffix)) continue;
      family.remove_suffix(suffix.size());
      return;
    }
  };
  switch (metadata.type) {
    case model::MetricType::kHistogram:
      strip({"_bucket", "_count", "_sum"});
      break;
    case model::MetricType::kGaugeHistogram:
      strip({"_bucket", "_gcount", "_gsum"});
      break;
    case model::MetricType::kSummary:
      strip({"_count", "_sum"});
      break;
    default:
      break;
  }
  if (!family.empty()) store_.metadata_.insert_or_assign(std::string(family), metadata);
}

HeadStore::Series* HeadStore::Loader::Admit(uint64_t number, Timestamp t) {
  Series* const series = Find(number);
  if (series == nullptr) return nullptr;
  if (!kImportableRange.Contains(t)) {
    ++store_.stats_.samples_outside_time;
    return nullptr;
  }
  if (late_) {
    ++store_.stats_.late_samples;
    return series;
  }
  if (t < min_valid_ms_) {
    ++store_.stats_.samples_before_blocks;
    return nullptr;
  }
  if (t <= series->last_ms) {
    ++store_.stats_.repeated_samples;
    return nullptr;
  }
  series->last_ms = t;
  ++store_.stats_.samples;
  return series;
}

void HeadStore::Loader::NoteStart(Series* series, Timestamp t, Timestamp start_ms) {
  const Timestamp known = series->starts.empty() ? 0 : series->starts.back().second;
  if (start_ms != known) series->starts.emplace_back(t, start_ms);
}

void HeadStore::Loader::OnSample(uint64_t number, Timestamp t, double value, Timestamp start_ms) {
  Series* const series = Admit(number, t);
  if (series == nullptr) return;
  if (late_) {
    // Differences wrap, so times may go back and forth inside a chunk.
    if (series->late == nullptr) series->late = std::make_unique<XorChunkWriter>();
    series->late_range.min_ms = std::min(series->late_range.min_ms, t);
    series->late_range.max_ms = std::max(series->late_range.max_ms, t);
    series->late->Append(t, value);
    if (series->late->count() < UINT16_MAX) return;
    ChunkBytes chunk = series->late->Take();
    chunk.min_ms = series->late_range.min_ms;
    chunk.max_ms = series->late_range.max_ms;
    store_.AddPiece(series, std::move(chunk));
    series->late_range = {model::kMaxTimestamp, model::kMinTimestamp};
    return;
  }
  NoteStart(series, t, start_ms);
  series->floats.Append(t, value);
  if (series->floats.count() == kChunkSamplesMax) store_.AddPiece(series, series->floats.Take());
}

void HeadStore::Loader::OnHistogram(uint64_t number, Timestamp t, Histogram histogram,
                                    Timestamp start_ms) {
  Series* const series = Admit(number, t);
  if (series == nullptr) return;
  store_.stats_.histogram_starts += start_ms != 0 ? 1 : 0;
  if (late_) {
    series->late_histograms.emplace_back(t, std::move(histogram));
    store_.AddRange({t, t});
    return;
  }
  if (series->histograms == nullptr) series->histograms = std::make_unique<HistogramChunkWriter>();
  HistogramChunkWriter& writer = *series->histograms;
  if (!writer.Fits(histogram) || writer.count() == kChunkSamplesMax)
    store_.AddPiece(series, writer.Take());
  writer.Append(t, histogram);
}

void HeadStore::Loader::OnDeletion(uint64_t number, TimeRange range) {
  const auto found = by_number_.find(number);
  if (found == by_number_.end()) return;
  ++store_.stats_.deletions;
  found->second->deleted.push_back(range);
}

void HeadStore::Loader::OnExemplar(uint64_t number, const model::Exemplar& exemplar) {
  ++store_.stats_.exemplars;
  const auto found = by_number_.find(number);
  if (found == by_number_.end() || !kImportableRange.Contains(exemplar.timestamp_ms)) {
    ++store_.stats_.exemplars_without_series;
    return;
  }
  if (store_.exemplars_.size() == kImportExemplarsMax) {
    store_.exemplars_.pop_front();
    ++store_.stats_.exemplars_over_limit;
  }
  store_.exemplars_.emplace_back(found->second, exemplar);
}

void HeadStore::Loader::Finish() {
  for (Series& series : store_.series_) {
    if (series.floats.count() > 0) store_.AddPiece(&series, series.floats.Take());
    if (series.histograms != nullptr && series.histograms->count() > 0)
      store_.AddPiece(&series, series.histograms->Take());
    series.histograms.reset();
    if (series.late != nullptr && series.late->count() > 0) {
      ChunkBytes chunk = series.late->Take();
      chunk.min_ms = series.late_range.min_ms;
      chunk.max_ms = series.late_range.max_ms;
      store_.AddPiece(&series, std::move(chunk));
    }
    series.late.reset();
  }
  for (const auto& [number, chunks] : chunks_) store_.stats_.chunks_without_series += chunks.size();
}

std::vector<SeriesExemplar> HeadStore::TakeExemplars() {
  std::vector<SeriesExemplar> exemplars;
  exemplars.reserve(exemplars_.size());
  for (auto& [series, exemplar] : exemplars_)
    exemplars.push_back({series->labels, std::move(exemplar)});
  exemplars_.clear();
  return exemplars;
}

uint64_t HeadStore::sample_count() const {
  uint64_t count = 0;
  for (const Series& series : series_) {
    for (const Piece& piece : series.pieces) count += ChunkSampleCount(piece.chunk.data);
    count += series.late_histograms.size();
  }
  return count;
}

void HeadStore::AddPiece(Series* series, ChunkBytes chunk) {
  AddRange({chunk.min_ms, chunk.max_ms});
  const std::string& data = chunk_data_.emplace_back(std::move(chunk.data));
  series->pieces.push_back(
      {chunk.min_ms, chunk.max_ms, {static_cast<uint8_t>(chunk.encoding), data}});
}

Result<std::unique_ptr<HeadStore>> HeadStore::Open(
    Env& env, const std::string& directory, Timestamp min_valid_ms,
    const std::function<void(uint64_t, uint64_t)>& progress) {
  std::unique_ptr<HeadStore> store(new HeadStore());
  Loader loader(*store, min_valid_ms);
  const std::string wal = JoinPath(directory, "wal");
  const std::string wbl = JoinPath(directory, "wbl");
  uint64_t all_bytes = 0;
  for (const std::string& log : {wal, wbl}) {
    TOCSIN_ASSIGN_OR_RETURN(const std::vector<std::string> paths, ListPrometheusLog(env, log));
    for (const std::string& path : paths) all_bytes += env.FileSize(path).value_or(0);
  }
  uint64_t done_bytes = 0;
  const auto add_progress = [&](uint64_t bytes) {
    done_bytes += bytes;
    progress(done_bytes, all_bytes);
  };
  if (Status status = loader.LoadChunks(env, JoinPath(directory, "chunks_head")); !status.ok())
    return Error(std::move(status));
  TOCSIN_TRY(loader.LoadLog(env, wal, false, &store->stats_.wal, add_progress));
  TOCSIN_TRY(loader.LoadLog(env, wbl, true, &store->stats_.wbl, add_progress));
  loader.Finish();
  return store;
}

bool HeadStore::FindLabels(uint64_t i, TimeRange range, Labels* labels, SkippedData*) const {
  const Series& series = series_[i];
  const bool found = std::any_of(series.pieces.begin(), series.pieces.end(),
                                 [&](const Piece& piece) {
                                   return range.Overlaps({piece.min_ms, piece.max_ms});
                                 }) ||
                     std::any_of(series.late_histograms.begin(), series.late_histograms.end(),
                                 [&](const auto& late) { return range.Contains(late.first); });
  if (found) *labels = series.labels;
  return found;
}

void HeadStore::ReadSamples(uint64_t i, TimeRange range, ChunkSamples* out,
                            SkippedData* skipped) const {
  const Series& series = series_[i];
  const std::vector<TimeRange>* deleted = series.deleted.empty() ? nullptr : &series.deleted;
  const size_t first = out->timestamps.size();
  for (const Piece& piece : series.pieces) {
    if (!range.Overlaps({piece.min_ms, piece.max_ms})) continue;
    const Status status = AddChunk(piece.chunk, range, deleted, out);
    if (status.ok()) continue;
    if (status.code() == Code::kUnimplemented) {
      ++skipped->unknown_chunks[piece.chunk.encoding];
    } else {
      ++skipped->damaged_chunks;
    }
    skipped->AddExample("head: " + status.message());
  }
  for (const auto& [t, histogram] : series.late_histograms) {
    const auto covers = [at = t](const TimeRange& gone) { return gone.Contains(at); };
    if (!range.Contains(t) || std::any_of(series.deleted.begin(), series.deleted.end(), covers)) {
      continue;
    }
    out->histogram_timestamps.push_back(t);
    out->histograms.push_back(histogram);
  }
  if (!series.starts.empty()) {
    out->starts.resize(out->timestamps.size());
    for (size_t s = first; s < out->timestamps.size(); ++s) {
      const auto after =
          std::upper_bound(series.starts.begin(), series.starts.end(), out->timestamps[s],
                           [](Timestamp t, const auto& start) { return t < start.first; });
      if (out->starts[s] == 0 && after != series.starts.begin())
        out->starts[s] = std::prev(after)->second;
    }
  }
  skipped->rounded_histograms += out->rounded_histograms;
  out->rounded_histograms = 0;
}

}  // namespace tocsin::tsdb
