#include "query/operators/batch.h"

#include <algorithm>
#include <bit>

namespace tocsin::query {

Status Batch::Reset(size_t series, size_t steps, Budget* memory) {
  const size_t points = series * steps;
  if (points > capacity_) {
    TOCSIN_RETURN_IF_ERROR(charge_.Grow(memory, points * (sizeof(double) + sizeof(PointKind))));
    values_ = std::make_unique_for_overwrite<double[]>(points);
    kinds_ = std::make_unique_for_overwrite<PointKind[]>(points);
    capacity_ = points;
  }
  series_ = series;
  steps_ = steps;
  rows_.clear();
  if (points > 0) std::memset(kinds_.get(), 0, points * sizeof(PointKind));
  return Status::Ok();
}

HistogramPtr* Batch::MutableHistograms(size_t s) {
  if (rows_.size() < series_) rows_.resize(series_);
  if (rows_[s] == nullptr) rows_[s] = std::make_unique<HistogramPtr[]>(steps_);
  return rows_[s].get();
}

Status Batch::ReserveHistograms(const Batch& source, Budget* memory) {
  const uint64_t bytes = source.HistogramBytes();
  if (bytes == 0) return Status::Ok();
  histogram_bytes_ += bytes;
  return histograms_charge_.Grow(memory, histogram_bytes_);
}

void Batch::CopyRow(const Batch& source, size_t from, size_t to) {
  DCHECK(source.steps_ == steps_);
  std::copy_n(source.values(from), steps_, values(to));
  std::copy_n(source.kinds(from), steps_, kinds(to));
  if (const HistogramPtr* histograms = source.histograms(from); histograms != nullptr) {
    std::copy_n(histograms, steps_, MutableHistograms(to));
  }
}

void Batch::Broadcast(const Batch& source) {
  DCHECK(source.steps_ == 1 && source.series_ == series_);
  for (size_t s = 0; s < series_; ++s) {
    std::fill_n(values(s), steps_, source.values(s)[0]);
    std::fill_n(kinds(s), steps_, source.kinds(s)[0]);
    if (const HistogramPtr* histograms = source.histograms(s); histograms != nullptr) {
      std::fill_n(MutableHistograms(s), steps_, histograms[0]);
    }
  }
}

namespace {

// Eight kinds at once; the last few one by one.
constexpr size_t kWordKinds = sizeof(uint64_t);
constexpr uint64_t kEachOne = 0x0101010101010101;

uint64_t WordOf(const PointKind* kinds) {
  uint64_t word;
  std::memcpy(&word, kinds, sizeof(word));
  return word;
}

}  // namespace

size_t CountPresent(const PointKind* kinds, size_t steps) {
  size_t present = 0;
  size_t t = 0;
  for (; t + kWordKinds <= steps; t += kWordKinds) {
    const uint64_t word = WordOf(kinds + t);  // bytes of 0, 1 and 2
    present += static_cast<size_t>(std::popcount((word | word >> 1) & kEachOne));
  }
  for (; t < steps; ++t) present += kinds[t] != PointKind::kAbsent ? 1 : 0;
  return present;
}

namespace {

bool AllFloats(const PointKind* kinds, size_t steps) {
  static_assert(static_cast<uint8_t>(PointKind::kFloat) == 1);
  uint64_t differs = 0;
  size_t t = 0;
  for (; t + kWordKinds <= steps; t += kWordKinds) differs |= WordOf(kinds + t) ^ kEachOne;
  for (; t < steps; ++t) differs |= kinds[t] != PointKind::kFloat ? 1 : 0;
  return differs == 0;
}

}  // namespace

bool IsFloatRun(const PointKind* kinds, size_t steps, size_t* begin, size_t* end) {
  size_t first = 0;
  while (first < steps && kinds[first] == PointKind::kAbsent) ++first;
  size_t last = steps;
  while (last > first && kinds[last - 1] == PointKind::kAbsent) --last;
  *begin = first;
  *end = last;
  return AllFloats(kinds + first, last - first);
}

uint64_t Batch::HistogramBytes() const {
  uint64_t bytes = 0;
  for (const auto& row : rows_) {
    if (row == nullptr) continue;
    bytes += steps_ * sizeof(HistogramPtr);
    const model::Histogram* before = nullptr;  // neighbours often share one
    for (size_t t = 0; t < steps_; ++t) {
      if (row[t] != nullptr && row[t].get() != before) bytes += HeldBytes(*row[t]);
      before = row[t].get();
    }
  }
  return bytes;
}

size_t Batch::CountPoints() const {
  return series_ == 0 ? 0 : CountPresent(kinds_.get(), series_ * steps_);
}

}  // namespace tocsin::query
