// Rollup columns of native histograms (rollup_column.h).
#include <algorithm>

#include "base/bytes.h"
#include "tsdb/codec/histogram_columns.h"
#include "tsdb/rollup/histogram_facts.h"
#include "tsdb/rollup/rollup_column.h"
#include "tsdb/rollup/rollup_places.h"

namespace tocsin::tsdb {

using model::Facts;
using model::Histogram;
using model::Timestamp;

namespace {

// Head of a column, beside those of rollup_places.h.
constexpr uint8_t kGauges = 2;
constexpr uint8_t kFirst = 4;  // first, and of counters resets, are known
constexpr uint8_t kSum = 16;

// Of a column: a decoder's memory. Two a bucket, and room for resets.
constexpr uint64_t kKeptMax = 1 << 18;

void PutHistograms(std::span<const Histogram* const> histograms, std::string* out) {
  std::string bytes;
  if (!histograms.empty()) EncodeHistograms(histograms, Effort::kSmall, &bytes);
  PutString(*out, bytes);
}

bool ReadHistograms(ByteReader* in, size_t count, model::ColumnBatch* batch,
                    const Histogram*** out) {
  const std::string_view bytes = in->String();
  if (!in->ok()) return false;
  std::vector<Histogram*> histograms(count);
  for (Histogram*& histogram : histograms) histogram = batch->NewHistogram();
  *out = batch->NewHistogramPointers(count);
  std::copy(histograms.begin(), histograms.end(), *out);
  return DecodeHistograms(bytes, histograms);
}

}  // namespace

bool ColumnBuckets::FoldHistograms(const model::Column& column, int64_t bucket_ms) {
  numbers.clear();
  facts.clear();
  before_resets.clear();
  sums.Clear();
  HistogramFolder folder(&sums);
  const bool histograms = ForEachHistogram(column, [&](Timestamp t, const Histogram* histogram) {
    const int64_t number = BucketOf(t, bucket_ms);
    if (numbers.empty() || numbers.back() != number) {
      if (!numbers.empty()) facts.push_back(folder.Take());
      numbers.push_back(number);
    }
    if (histogram == nullptr) {
      folder.AddMarker(t);
    } else {
      folder.Add(t, histogram);
    }
  });
  if (!numbers.empty()) facts.push_back(folder.Take());
  kept = folder.kept();
  gauges = folder.gauges();
  return histograms && !folder.mixed() && kept.size() <= kKeptMax;
}

void EncodeHistogramRollup(const ColumnBuckets& column, const SourceBuckets& source,
                           int64_t bucket_ms, std::string* out) {
  const size_t head_at = out->size();
  out->push_back(0);
  uint8_t head = EncodePlaces(column, source, bucket_ms, out);
  if (column.gauges) head |= kGauges;
  uint8_t known = model::kFactsAll;
  std::vector<int64_t> kept_counts;
  std::vector<const Histogram*> sums;
  for (const Facts& f : column.facts) {
    kept_counts.push_back(f.kept_count);
    if (f.count == 0) continue;
    known &= f.known;
    sums.push_back(f.histogram_sum);
  }
  PutIntegers(kept_counts, out);
  // Of counters hints say what the populations do.
  std::vector<Histogram> bare;
  std::vector<const Histogram*> kept(column.kept);
  if (!column.gauges) {
    bare.reserve(kept.size());
    for (const Histogram*& histogram : kept) {
      bare.push_back(*histogram);
      bare.back().hint = model::CounterResetHint::kUnknown;
      histogram = &bare.back();
    }
  }
  PutHistograms(kept, out);
  if ((known & model::kFactFirst) != 0) head |= kFirst;
  if (column.gauges && (known & model::kFactSum) != 0) {
    head |= kSum;
    PutHistograms(sums, out);
  }
  if (HasMarkers(column)) {
    head |= kMarkers;
    EncodeMarkers(column, bucket_ms, out);
  }
  (*out)[head_at] = static_cast<char>(head);
}

bool DecodeHistogramRollup(std::string_view bytes, const SourceBuckets& source, int64_t bucket_ms,
                           model::ColumnBatch* batch, std::vector<Facts>* facts) {
  ByteReader in(bytes);
  const uint8_t head = in.Fixed8();
  std::vector<Timestamp> starts;
  if (!in.ok() || !ReadPlaces(head, source, bucket_ms, &in, facts, &starts)) return false;
  std::vector<int64_t> kept_counts;
  if (!ReadIntegers(&in, facts->size(), &kept_counts)) return false;
  uint64_t kept_total = 0;
  size_t filled = 0;
  for (size_t i = 0; i < facts->size(); ++i) {
    const int64_t kept = kept_counts[i];
    // The first and the last; no more than there were.
    if (kept < 0 || kept > int64_t{(*facts)[i].count} || (kept == 0) != ((*facts)[i].count == 0))
      return false;
    kept_total += static_cast<uint64_t>(kept);
    filled += kept > 0 ? 1 : 0;
    if (kept_total > kKeptMax) return false;
  }
  const Histogram** kept = nullptr;
  const Histogram** sums = nullptr;
  if (!ReadHistograms(&in, kept_total, batch, &kept)) return false;
  if ((head & kSum) != 0 && !ReadHistograms(&in, filled, batch, &sums)) return false;
  uint8_t known = 0;
  if ((head & kFirst) != 0) known |= model::kFactFirst;
  if ((head & kFirst) != 0 && (head & kGauges) == 0) known |= model::kFactResets;
  if (sums != nullptr) known |= model::kFactSum;
  for (size_t i = 0; i < facts->size(); ++i) {
    Facts& f = (*facts)[i];
    f.newest_ms = f.last_ms;
    if (f.count == 0) continue;
    f.known = known;
    f.kept = kept;
    f.kept_count = static_cast<uint32_t>(kept_counts[i]);
    kept += kept_counts[i];
    if (sums != nullptr) f.histogram_sum = *sums++;
  }
  if ((head & kMarkers) != 0 && !ReadMarkers(starts, &in, facts)) return false;
  return in.ok() && in.at_end();
}

}  // namespace tocsin::tsdb
