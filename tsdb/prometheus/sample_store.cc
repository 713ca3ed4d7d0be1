#include "tsdb/prometheus/sample_store.h"

#include <algorithm>

#include "tsdb/compactor.h"

namespace tocsin::tsdb {
namespace {

// Of the samples from `first` on, keeps those that `wanted` says.
template <typename Wanted>
void KeepFloats(size_t first, const Wanted& wanted, ChunkSamples* samples) {
  size_t kept = first;
  for (size_t i = first; i < samples->timestamps.size(); ++i) {
    if (!wanted(samples->timestamps[i])) continue;
    samples->timestamps[kept] = samples->timestamps[i];
    samples->values[kept] = samples->values[i];
    if (!samples->starts.empty()) samples->starts[kept] = samples->starts[i];
    ++kept;
  }
  samples->timestamps.resize(kept);
  samples->values.resize(kept);
  if (!samples->starts.empty()) samples->starts.resize(kept);
}

template <typename Wanted>
void KeepHistograms(size_t first, const Wanted& wanted, ChunkSamples* samples) {
  size_t kept = first;
  for (size_t i = first; i < samples->histogram_timestamps.size(); ++i) {
    if (!wanted(samples->histogram_timestamps[i])) continue;
    if (kept != i) {
      samples->histogram_timestamps[kept] = samples->histogram_timestamps[i];
      samples->histograms[kept] = std::move(samples->histograms[i]);
    }
    ++kept;
  }
  samples->histogram_timestamps.resize(kept);
  samples->histograms.resize(kept);
}

}  // namespace

void AddDays(model::TimeRange range, std::set<model::Timestamp>* days) {
  range.min_ms = std::max(range.min_ms, kImportableRange.min_ms);
  range.max_ms = std::min(range.max_ms, kImportableRange.max_ms);
  if (range.min_ms > range.max_ms) return;
  const int64_t remainder = range.min_ms % kDayMs;
  auto day = range.min_ms - (remainder < 0 ? remainder + kDayMs : remainder);
  for (; day <= range.max_ms; day += kDayMs) days->insert(days->end(), day);
}

std::set<model::Timestamp> BlockStore::Days() const {
  std::set<model::Timestamp> days;
  AddDays({block_->meta().min_ms, block_->meta().end_ms - 1}, &days);
  return days;
}

void SkippedData::AddExample(std::string text) {
  if (examples.size() < kExamplesMax) examples.push_back(std::move(text));
}

Status AddChunk(const ChunkView& chunk, model::TimeRange range,
                const std::vector<model::TimeRange>* deleted, ChunkSamples* out) {
  const size_t floats = out->timestamps.size();
  const size_t histograms = out->histogram_timestamps.size();
  const Status status = DecodeChunk(chunk.encoding, chunk.data, out);
  const auto wanted = [&](model::Timestamp t) {
    if (!range.Contains(t)) return false;
    if (deleted == nullptr) return true;
    return std::none_of(deleted->begin(), deleted->end(),
                        [t](const model::TimeRange& gone) { return gone.Contains(t); });
  };
  KeepFloats(floats, wanted, out);
  KeepHistograms(histograms, wanted, out);
  return status;
}

bool BlockStore::FindLabels(uint64_t i, model::TimeRange range, model::Labels* labels,
                            SkippedData* skipped) const {
  const uint64_t ref = block_->index().series_ref(i);
  const Status status = block_->index().ReadSeries(ref, labels, &places_);
  if (!status.ok()) {
    ++skipped->damaged_series;
    skipped->AddExample("block " + name() + ": " + status.message());
    return false;
  }
  return std::any_of(places_.begin(), places_.end(), [&](const ChunkPlace& place) {
    return range.Overlaps({place.min_ms, place.max_ms});
  });
}

void BlockStore::ReadSamples(uint64_t i, model::TimeRange range, ChunkSamples* out,
                             SkippedData* skipped) const {
  const uint64_t ref = block_->index().series_ref(i);
  // Damage here was noted by FindLabels.
  if (!block_->index().ReadSeries(ref, nullptr, &places_).ok()) return;
  for (const ChunkPlace& place : places_) {
    if (!range.Overlaps({place.min_ms, place.max_ms})) continue;
    Status status;
    const auto chunk = block_->chunks().Read(place.ref);
    if (chunk) {
      status = AddChunk(*chunk, range, block_->deleted(ref), out);
    } else {
      status = chunk.error();
    }
    if (status.ok()) continue;
    if (status.code() == Code::kUnimplemented && chunk) {
      ++skipped->unknown_chunks[chunk->encoding];
    } else {
      ++skipped->damaged_chunks;
    }
    skipped->AddExample("block " + name() + ": " + status.message());
  }
  skipped->rounded_histograms += out->rounded_histograms;
  out->rounded_histograms = 0;
}

}  // namespace tocsin::tsdb
