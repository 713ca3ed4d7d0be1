#include "tsdb/prometheus/buffered_store.h"

#include <algorithm>

namespace tocsin::tsdb {

void BufferedStore::Add(const model::Labels& labels, model::Timestamp t, double value) {
  Series*& series = by_labels_[labels];
  if (series == nullptr) {
    series = &series_.emplace_back();
    series->labels = labels;
  }
  // Time may go back and forth within a chunk: differences are signed.
  series->open.Append(t, value);
  series->open_range.min_ms = std::min(series->open_range.min_ms, t);
  series->open_range.max_ms = std::max(series->open_range.max_ms, t);
  ++samples_;
  if (series->open.count() == kChunkSamplesMax) EndChunk(series);
}

void BufferedStore::EndChunk(Series* series) {
  if (series->open.count() == 0) return;
  ChunkBytes chunk = series->open.Take();
  chunk.min_ms = series->open_range.min_ms;
  chunk.max_ms = series->open_range.max_ms;
  AddDays(series->open_range, &days_);
  series->open_range = {model::kMaxTimestamp, model::kMinTimestamp};
  series->chunks.push_back(std::move(chunk));
}

void BufferedStore::Finish() {
  for (Series& series : series_) EndChunk(&series);
  by_labels_.clear();
}

bool BufferedStore::FindLabels(uint64_t i, model::TimeRange range, model::Labels* labels,
                               SkippedData*) const {
  const Series& series = series_[i];
  const bool found = std::any_of(
      series.chunks.begin(), series.chunks.end(),
      [&](const ChunkBytes& chunk) { return range.Overlaps({chunk.min_ms, chunk.max_ms}); });
  if (found) *labels = series.labels;
  return found;
}

void BufferedStore::ReadSamples(uint64_t i, model::TimeRange range, ChunkSamples* out,
                                SkippedData* skipped) const {
  for (const ChunkBytes& chunk : series_[i].chunks) {
    if (!range.Overlaps({chunk.min_ms, chunk.max_ms})) continue;
    const Status status =
        AddChunk({static_cast<uint8_t>(chunk.encoding), chunk.data}, range, nullptr, out);
    if (status.ok()) continue;
    ++skipped->damaged_chunks;
    skipped->AddExample(name_ + ": " + status.message());
  }
}

}  // namespace tocsin::tsdb
