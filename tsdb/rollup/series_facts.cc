// The part of SelectionReader that answers a series with facts: those of whole columns, and for
// what has none, samples folded by the tiles of the caller's wish.
#include <algorithm>

#include "tsdb/column_reader.h"
#include "tsdb/segment/segment_file.h"

namespace tocsin::tsdb {

using model::Column;
using model::ColumnBatch;
using model::Facts;

// Appends to runs_. False: there is nothing that the wish can do with.
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
  const uint8_t needs = selection_.facts_plan().wish().needs;
  if (facts.count == 0 && !facts.ends_stale) return false;
  if (facts.count > 0 && (facts.known & needs) != needs) return false;
  runs_.push_back(facts);
  return true;
}

Result<bool> SelectionReader::ReadSeriesFacts(size_t first, size_t i, ColumnBatch* batch,
                                              Column* column) {
  const FactsPlan& plan = selection_.facts_plan();
  const uint32_t begin = selection_.first_address(first + i);
  const auto count_in = [&](uint32_t segment) {
    size_t count = 0;
    for (uint32_t a = begin; a != kNoId; a = selection_.address(a).next)
      count += selection_.address(a).segment == segment ? 1 : 0;
    return count;
  };
  runs_.clear();
  parts_.clear();
  for (uint32_t a = begin; a != kNoId; a = selection_.address(a).next) {
    const Selection::Address& address = selection_.address(a);
    // Two addresses of one series in one file are interleaved.
    if (plan.UsesColumnFacts(address.segment) && count_in(address.segment) == 1) {
      TOCSIN_ASSIGN_OR_RETURN(const bool found, ReadColumnFacts(address, batch));
      if (found) continue;
    }
    Column part;
    if (a == head_addresses_[i]) {
      part = head_parts_[i];
    } else {
      TOCSIN_TRY(ReadPart(address, batch, &part));
    }
    if (!part.histograms.empty()) return false;
    if (!part.values.empty()) parts_.push_back(part);
  }
  if (runs_.empty()) return false;
  const auto earlier = [](const Facts& a, const Facts& b) { return a.newest_ms < b.newest_ms; };
  std::sort(runs_.begin(), runs_.end(), earlier);
  if (!parts_.empty()) {
    Column samples = parts_.front();
    if (parts_.size() > 1) {
      samples = Column();
      Merge(batch, &samples);
    }
    const std::span<const Facts> folded = FoldByTile(samples, plan.wish(), runs_, batch);
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
