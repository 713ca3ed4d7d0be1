#include "tsdb/rollup/histogram_facts.h"

#include <algorithm>

namespace tocsin::tsdb {

using model::Facts;
using model::Histogram;
using model::Timestamp;

void HistogramFolder::Keep(const Histogram* histogram, bool reset) {
  if (kept_.size() > run_begin_ && kept_.back() == histogram) return;
  kept_.push_back(histogram);
  reset_.push_back(reset);
}

void HistogramFolder::AddToSum(const Histogram& histogram) {
  if (facts_.count == 0) {
    sum_.emplace(histogram);
    sum_known_ = true;
    return;
  }
  if (!sum_known_) return;
  // Bounds that differ are told to whoever adds the samples up.
  const std::optional<model::CombineNotes> notes = sum_->Add(histogram);
  sum_known_ = notes.has_value() && !notes->bounds_reconciled;
}

void HistogramFolder::AddMarker(Timestamp t) {
  facts_.newest_ms = t;
  facts_.ends_stale = true;
}

void HistogramFolder::Add(Timestamp t, const Histogram* histogram) {
  if (histogram->is_stale()) return AddMarker(t);
  const bool gauge = histogram->hint == model::CounterResetHint::kGauge;
  mixed_ = mixed_ || gauges_.value_or(gauge) != gauge;
  gauges_ = gauge;
  if (gauge) AddToSum(*histogram);
  if (facts_.count == 0) {
    facts_.first_ms = t;
    schema_ = histogram->schema;
    mixes_schemas_ = false;
    Keep(histogram, false);
  } else {
    mixes_schemas_ =
        mixes_schemas_ || histogram->uses_custom_buckets() != last_->uses_custom_buckets();
    schema_ = std::min(schema_, histogram->schema);
    if (!gauge && model::HasLostObservations(*histogram, *last_)) {
      Keep(last_, false);
      Keep(histogram, true);
    }
  }
  last_ = histogram;
  facts_.last_ms = facts_.newest_ms = t;
  facts_.ends_stale = false;
  ++facts_.count;
}

bool HistogramFolder::KeptTellAll(size_t begin) const {
  int32_t schema = kept_[begin]->schema;
  bool mixes_schemas = false;
  for (size_t i = begin + 1; i < kept_.size(); ++i) {
    schema = std::min(schema, kept_[i]->schema);
    mixes_schemas =
        mixes_schemas || kept_[i]->uses_custom_buckets() != kept_[i - 1]->uses_custom_buckets();
    if (!gauges() && model::HasLostObservations(*kept_[i], *kept_[i - 1]) != reset_[i])
      return false;
  }
  return schema == schema_ && mixes_schemas == mixes_schemas_;
}

Facts HistogramFolder::Take() {
  if (facts_.count > 0) {
    Keep(last_, false);
    facts_.kept_count = static_cast<uint32_t>(kept_.size() - run_begin_);
    if (KeptTellAll(run_begin_))
      facts_.known = gauges() ? model::kFactFirst : model::kFactFirst | model::kFactResets;
    if (gauges() && sum_known_) {
      Histogram* sum = batch_->NewHistogram();
      *sum = sum_->Sum();
      facts_.histogram_sum = sum;
      facts_.known |= model::kFactSum;
    }
  }
  const Facts facts = facts_;
  facts_ = Facts();
  run_begin_ = kept_.size();
  return facts;
}

bool FoldHistogramsByTile(const model::Column& column, const model::FactsWish& wish,
                          std::span<const Facts> between, model::ColumnBatch* batch,
                          std::vector<Facts>* runs) {
  HistogramFolder folder(batch);
  const size_t begin = runs->size();
  Timestamp tile_end = model::kMinTimestamp;
  size_t next = 0;  // of `between`
  const bool histograms = ForEachHistogram(column, [&](Timestamp t, const Histogram* histogram) {
    const size_t passed = next;
    while (next < between.size() && between[next].newest_ms < t) ++next;
    if (t > tile_end || next != passed) {
      if (!folder.empty()) runs->push_back(folder.Take());
      tile_end = wish.origin_ms + (wish.TileOf(t) + 1) * wish.tile_ms;
    }
    if (histogram == nullptr) {
      folder.AddMarker(t);
    } else {
      folder.Add(t, histogram);
    }
  });
  if (!histograms || folder.mixed()) return false;
  if (!folder.empty()) runs->push_back(folder.Take());
  const Histogram** kept = batch->NewHistogramPointers(folder.kept().size());
  std::copy(folder.kept().begin(), folder.kept().end(), kept);
  for (size_t i = begin; i < runs->size(); ++i) {
    Facts& run = (*runs)[i];
    if (run.count == 0) continue;
    run.kept = kept;
    kept += run.kept_count;
  }
  return true;
}

}  // namespace tocsin::tsdb
