#include "model/storage.h"

#include <algorithm>
#include <memory>
#include <type_traits>
#include <unordered_map>

namespace tocsin::model {

std::string_view AppendOutcomeName(AppendOutcome outcome) {
  switch (outcome) {
    case AppendOutcome::kOk:
      return "ok";
    case AppendOutcome::kDuplicate:
      return "duplicate";
    case AppendOutcome::kDuplicateTimestamp:
      return "duplicate_timestamp";
    case AppendOutcome::kOutOfOrder:
      return "out_of_order";
    case AppendOutcome::kTooOld:
      return "too_old";
    case AppendOutcome::kTooFarInFuture:
      return "too_far_in_future";
    case AppendOutcome::kOverLimit:
      return "over_limit";
    case AppendOutcome::kStorageFull:
      return "storage_full";
  }
  return "unknown";
}

ColumnBatch::ColumnBatch() = default;
ColumnBatch::~ColumnBatch() = default;
ColumnBatch::ColumnBatch(ColumnBatch&&) noexcept = default;
ColumnBatch& ColumnBatch::operator=(ColumnBatch&&) noexcept = default;

uint64_t* ColumnBatch::NewWords(size_t count) {
  static constexpr size_t kChunkWords = 8192;
  while (current_chunk_ < chunks_.size()) {
    Chunk& chunk = chunks_[current_chunk_];
    if (chunk.capacity - chunk.used >= count) {
      uint64_t* words = chunk.words.get() + chunk.used;
      chunk.used += count;
      return words;
    }
    ++current_chunk_;
  }
  Chunk chunk;
  chunk.capacity = std::max(count, kChunkWords);
  chunk.words = std::make_unique_for_overwrite<uint64_t[]>(chunk.capacity);
  chunk.used = count;
  allocated_bytes_ += chunk.capacity * sizeof(uint64_t);
  chunks_.push_back(std::move(chunk));
  return chunks_.back().words.get();
}

Timestamp* ColumnBatch::NewTimestamps(size_t count) {
  return reinterpret_cast<Timestamp*>(NewWords(count));
}
double* ColumnBatch::NewValues(size_t count) { return reinterpret_cast<double*>(NewWords(count)); }
Facts* ColumnBatch::NewFacts(size_t count) {
  static_assert(sizeof(Facts) % sizeof(uint64_t) == 0 && std::is_trivially_destructible_v<Facts>);
  Facts* facts = reinterpret_cast<Facts*>(NewWords(count * (sizeof(Facts) / sizeof(uint64_t))));
  std::uninitialized_value_construct_n(facts, count);
  return facts;
}
const Histogram** ColumnBatch::NewHistogramPointers(size_t count) {
  static_assert(sizeof(const Histogram*) == sizeof(uint64_t));
  return reinterpret_cast<const Histogram**>(NewWords(count));
}

Histogram* ColumnBatch::NewHistogram() {
  if (histograms_used_ == histograms_.size()) {
    histograms_.push_back(std::make_unique<Histogram>());
    allocated_bytes_ += sizeof(Histogram);
  }
  Histogram* histogram = histograms_[histograms_used_++].get();
  *histogram = Histogram();
  return histogram;
}

void ColumnBatch::Clear() {
  columns.clear();
  for (Chunk& chunk : chunks_) chunk.used = 0;
  current_chunk_ = 0;
  histograms_used_ = 0;
}

void SeriesSelection::Group(bool without, std::span<const std::string> names,
                            std::vector<uint32_t>* group_of_series,
                            std::vector<Labels>* groups) const {
  group_of_series->clear();
  groups->clear();
  group_of_series->reserve(size());
  const auto named = [&](std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::unordered_map<Labels, uint32_t, LabelsHash> ids;
  std::vector<LabelView> kept;
  for (size_t i = 0; i < size(); ++i) {
    const Labels labels = LabelsAt(i);
    kept.clear();
    for (const LabelView& label : labels) {
      if (without ? !named(label.name) && label.name != kMetricName : named(label.name))
        kept.push_back(label);
    }
    Labels group = Labels::FromSorted(kept.data(), kept.size());
    const auto [it, added] =
        ids.try_emplace(std::move(group), static_cast<uint32_t>(groups->size()));
    if (added) groups->push_back(it->first);
    group_of_series->push_back(it->second);
  }
}

}  // namespace tocsin::model
