// The part of SelectionReader that answers a series with facts: those of whole columns and of
// rollup buckets, and for what has none, samples folded by the tiles of the caller's wish.
#include <algorithm>

#include "tsdb/column_reader.h"
#include "tsdb/rollup/histogram_facts.h"
#include "tsdb/rollup/rollup_file.h"
#include "tsdb/segment/segment_file.h"

namespace tocsin::tsdb {

using model::Column;
using model::ColumnBatch;
using model::Facts;
using model::TimeRange;
using model::Timestamp;

namespace {

bool Knows(const Facts& facts, uint8_t needs) {
  // What is between kept histograms decides about the counter reset hint of the last.
  if (facts.kept != nullptr) needs |= model::kFactFirst;
  return facts.count == 0 || (facts.known & needs) == needs;
}

bool IsEmpty(const Facts& facts) { return facts.count == 0 && !facts.ends_stale; }

TimeRange Common(TimeRange a, TimeRange b) {
  return {std::max(a.min_ms, b.min_ms), std::min(a.max_ms, b.max_ms)};
}

}  // namespace

Result<bool> SelectionReader::ReadColumnFacts(const Selection::Address& address,
                                              ColumnBatch* batch) {
  const auto& segment =
      static_cast<const SegmentFile&>(*selection_.snapshot().version().segments[address.segment]);
  if (facts_readers_.size() <= address.segment) facts_readers_.resize(address.segment + 1);
  auto& reader = facts_readers_[address.segment];
  if (reader == nullptr) reader = std::make_unique<FactsReader>(segment);
  Facts facts;
  if (Status status = reader->Read(address.ref, batch, &facts); !status.ok()) {
    TOCSIN_TRY(selection_.snapshot().SkipDamage(segment, std::move(status)));
    return false;
  }
  if (IsEmpty(facts) || !Knows(facts, selection_.facts_plan().wish().needs)) return false;
  runs_.push_back(facts);
  return true;
}

Status SelectionReader::ReadBuckets(uint32_t number, ColumnBatch* batch) {
  const Selection::Address& address = selection_.address(number);
  const RollupFile& file = *selection_.facts_plan().rollups()[address.rollup()].file;
  if (rollup_cursors_.size() <= address.rollup()) rollup_cursors_.resize(address.rollup() + 1);
  auto& cursor = rollup_cursors_[address.rollup()];
  if (cursor == nullptr) cursor = std::make_unique<RollupCursor>(file);
  Status status = cursor->Read(address.ref, batch, &buckets_);
  if (status.ok()) {
    // A bucket that a delete touches goes as a whole: its samples are not there any more.
    const int64_t bucket_ms = file.info().bucket_ms;
    const std::span<const DeletedSpan> deleted = selection_.deleted(number);
    std::erase_if(buckets_, [&](const Facts& bucket) {
      return IsBucketDeleted(bucket.newest_ms, bucket_ms, deleted);
    });
    return status;
  }
  buckets_.clear();
  return selection_.snapshot().SkipDamage(file.segment(), std::move(status));
}

Result<bool> SelectionReader::ReadRollup(uint32_t number, ColumnBatch* batch) {
  const Selection::Address& address = selection_.address(number);
  const FactsPlan& plan = selection_.facts_plan();
  const FactsPlan::Rollup& rollup = plan.rollups()[address.rollup()];
  TOCSIN_TRY(ReadBuckets(number, batch));
  const TimeRange range = rollup.gone() ? plan.ThinnedRange(rollup) : selection_.range();
  const auto unknown = [&](const Facts& bucket) { return !Knows(bucket, plan.wish().needs); };
  if (buckets_.empty() || std::any_of(buckets_.begin(), buckets_.end(), unknown)) return false;
  for (const Facts& bucket : buckets_) {
    if (!IsEmpty(bucket) && range.Contains(bucket.newest_ms) &&
        !rollup.dirty.Contains(bucket.newest_ms))
      runs_.push_back(bucket);
  }
  return true;
}

Status SelectionReader::ReadThinned(uint32_t number, ColumnBatch* batch, Column* column) {
  const Selection::Address& address = selection_.address(number);
  const FactsPlan& plan = selection_.facts_plan();
  const FactsPlan::Rollup& rollup = plan.rollups()[address.rollup()];
  *column = Column();
  // Where the segment is there its samples are read.
  if (!rollup.gone()) return Status::Ok();
  TOCSIN_RETURN_IF_ERROR(ReadBuckets(number, batch));
  selection_.NoteThinned(rollup);
  const TimeRange range = plan.ThinnedRange(rollup);
  // Of histograms the first and the last, too; of the others that are kept the times are not known.
  Timestamp* histogram_timestamps = batch->NewTimestamps(2 * buckets_.size());
  const model::Histogram** histograms = batch->NewHistogramPointers(2 * buckets_.size());
  size_t h = 0;
  const auto add_histogram = [&](Timestamp t, const model::Histogram* histogram) {
    if (!range.Contains(t) || (h > 0 && t <= histogram_timestamps[h - 1])) return;
    histogram_timestamps[h] = t;
    histograms[h++] = histogram;
  };
  Timestamp* timestamps = batch->NewTimestamps(3 * buckets_.size());
  double* values = batch->NewValues(3 * buckets_.size());
  size_t n = 0;
  const auto add = [&](Timestamp t, double value) {
    // Damaged buckets may be out of order.
    if (!range.Contains(t) || (n > 0 && t <= timestamps[n - 1])) return;
    timestamps[n] = t;
    values[n++] = value;
  };
  for (const Facts& bucket : buckets_) {
    if (bucket.kept != nullptr) {
      add_histogram(bucket.first_ms, bucket.kept[0]);
      add_histogram(bucket.last_ms, bucket.kept[bucket.kept_count - 1]);
    } else if (bucket.count > 0) {
      if ((bucket.known & model::kFactFirst) != 0) add(bucket.first_ms, bucket.first);
      add(bucket.last_ms, bucket.last);
    }
    if (bucket.ends_stale) add(bucket.newest_ms, model::StaleMarker());
  }
  column->timestamps = {timestamps, n};
  column->values = {values, n};
  column->histogram_timestamps = {histogram_timestamps, h};
  column->histograms = {histograms, h};
  return Status::Ok();
}

Result<bool> SelectionReader::ReadSeriesFacts(size_t first, size_t i, ColumnBatch* batch,
                                              Column* column) {
  const FactsPlan& plan = selection_.facts_plan();
  const uint32_t begin = selection_.first_address(first + i);
  // The only address of the series in a file; kNoId where it has none or several, whose samples
  // are interleaved.
  const auto only_in = [&](uint32_t segment) {
    uint32_t found = kNoId;
    for (uint32_t a = begin; a != kNoId; a = selection_.address(a).next) {
      if (selection_.address(a).segment != segment) continue;
      if (found != kNoId) return kNoId;
      found = a;
    }
    return found;
  };
  runs_.clear();
  parts_.clear();
  for (uint32_t a = begin; a != kNoId; a = selection_.address(a).next) {
    const Selection::Address& address = selection_.address(a);
    // Facts know of no delete.
    const bool whole = selection_.deleted(a).empty();
    TimeRange range = selection_.range();
    if (address.in_rollup()) {
      if (!plan.rollups()[address.rollup()].gone()) continue;
      TOCSIN_ASSIGN_OR_RETURN(const bool found, ReadRollup(a, batch));
      if (!found) return false;
      continue;
    }
    if (whole && plan.UsesColumnFacts(address.segment) && only_in(address.segment) == a) {
      TOCSIN_ASSIGN_OR_RETURN(const bool found, ReadColumnFacts(address, batch));
      if (found) continue;
    }
    if (const uint32_t r = plan.RollupOf(address.segment);
        r != kNoId && whole && only_in(address.segment) == a) {
      const uint32_t rolled = only_in(Selection::Address::kRollups + r);
      bool found = false;
      if (rolled != kNoId) {
        TOCSIN_ASSIGN_OR_RETURN(found, ReadRollup(rolled, batch));
      }
      if (found) {
        range = Common(range, plan.rollups()[r].dirty);
        if (range.min_ms > range.max_ms) continue;
      }
    }
    Column part;
    if (a == head_addresses_[i]) {
      part = head_parts_[i];
    } else {
      TOCSIN_TRY(ReadPart(a, range, batch, &part));
    }
    // Facts of histograms are in rollups only.
    if (!part.histograms.empty() && plan.rollups().empty()) return false;
    if (!part.values.empty() || !part.histograms.empty()) parts_.push_back(part);
  }
  return MakeFacts(batch, column);
}

namespace {

bool HasSample(const Column& part) {
  return std::any_of(part.values.begin(), part.values.end(),
                     [](double value) { return !model::IsStale(value); });
}

}  // namespace

Result<bool> SelectionReader::MakeFacts(ColumnBatch* batch, Column* column) {
  if (runs_.empty()) return false;
  const bool histograms =
      std::any_of(parts_.begin(), parts_.end(),
                  [](const Column& p) { return !p.histograms.empty(); }) ||
      std::any_of(runs_.begin(), runs_.end(), [](const Facts& f) { return f.kept != nullptr; });
  if (histograms) {
    const auto is_float = [](const Facts& f) { return f.count > 0 && f.kept == nullptr; };
    if (std::any_of(parts_.begin(), parts_.end(), HasSample) ||
        std::any_of(runs_.begin(), runs_.end(), is_float)) {
      return false;
    }
  }
  const auto earlier = [](const Facts& a, const Facts& b) { return a.newest_ms < b.newest_ms; };
  std::stable_sort(runs_.begin(), runs_.end(), earlier);
  if (!parts_.empty()) {
    Column samples = parts_.front();
    if (parts_.size() > 1) {
      samples = Column();
      Merge(batch, &samples);
    }
    const model::FactsWish& wish = selection_.facts_plan().wish();
    std::vector<Facts> folded;
    if (histograms) {
      if (!FoldHistogramsByTile(samples, wish, runs_, batch, &folded)) return false;
      if (std::any_of(folded.begin(), folded.end(),
                      [&wish](const Facts& f) { return !Knows(f, wish.needs); }))
        return false;
    } else {
      const std::span<const Facts> floats = FoldByTile(samples, wish, runs_, batch);
      folded.assign(floats.begin(), floats.end());
    }
    const auto middle = runs_.insert(runs_.end(), folded.begin(), folded.end());
    std::inplace_merge(runs_.begin(), middle, runs_.end(), earlier);
  }
  Facts* facts = batch->NewFacts(runs_.size());
  std::copy(runs_.begin(), runs_.end(), facts);
  *column = Column();
  column->facts = {facts, runs_.size()};
  return true;
}

}  // namespace tocsin::tsdb
