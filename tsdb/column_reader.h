// SelectionReader: decodes the columns of a selection: each series' parts from segments and head,
// merged by time. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "model/storage.h"
#include "tsdb/head/newest_samples.h"
#include "tsdb/head/page_pass.h"
#include "tsdb/head/page_reader.h"
#include "tsdb/segment/facts.h"
#include "tsdb/segment/reader.h"
#include "tsdb/selection.h"

namespace tocsin::tsdb {

class SelectionReader final : public model::ColumnReader {
 public:
  explicit SelectionReader(const Selection& selection) : selection_(selection) {}

  Status Read(size_t first, size_t count, model::ColumnBatch* batch) override;

 private:
  // Page readers hold a list of frames each (about 100 bytes a row).
  static constexpr size_t kPageReadersMax = 256;

  // Reads the head's part of all these series, page by page, into head_parts_.
  void ReadHeadParts(size_t first, size_t count, model::ColumnBatch* batch);
  void ReadSlots(uint32_t source, uint32_t page, std::span<const uint32_t> slots,
                 model::ColumnBatch* batch, model::Column* columns);
  // Sets the columns of slots whose newest sample the writer knows; the places of the others in
  // `slots` go to `left`.
  void ReadNewest(uint32_t source, uint32_t page, std::span<const uint32_t> slots,
                  model::ColumnBatch* batch, model::Column* columns, std::vector<uint32_t>* left);
  HeadView View() const;
  Status ReadSeries(size_t first, size_t i, model::ColumnBatch* batch, model::Column* column);
  // rollup/series_facts.cc. False: the series has no facts, or must be read as samples.
  Result<bool> ReadSeriesFacts(size_t first, size_t i, model::ColumnBatch* batch,
                               model::Column* column);
  // Of runs_, and of parts_ folded in between.
  Result<bool> MakeFacts(model::ColumnBatch* batch, model::Column* column);
  // Each appends to runs_. False: there is nothing that the wish can do with.
  Result<bool> ReadColumnFacts(const Selection::Address& address, model::ColumnBatch* batch);
  // Of the samples in `range`; the head gives those of the selection's range.
  Status ReadPart(uint32_t address, model::TimeRange range, model::ColumnBatch* batch,
                  model::Column* column);
  // Chains lie side by side mostly: what is read in a moment.
  void PrefetchBehind(uint32_t address) const;
  PageReader* ReaderOf(uint32_t source, uint32_t page);
  void Merge(model::ColumnBatch* batch, model::Column* column);
  // Makes room for the series' parts; then, with the sum of what they took, learns from it.
  void BeginPlace(bool several, model::ColumnBatch* batch);
  void LearnPlace(size_t wanted);
  void MergeFloats(model::ColumnBatch* batch, model::Column* column);
  void MergeHistograms(model::ColumnBatch* batch, model::Column* column);

  const Selection& selection_;
  std::unordered_map<uint64_t, std::unique_ptr<PageReader>> pages_;
  PagePass pass_;
  std::vector<NewestSample> newest_;                         // of the slots being read
  std::vector<std::unique_ptr<SegmentCursor>> cursors_;      // by segment, made on first use
  std::vector<std::unique_ptr<FactsReader>> facts_readers_;  // likewise
  Result<bool> ReadRollup(uint32_t address, model::ColumnBatch* batch);
  // The samples that a gone segment's rollup has kept.
  Status ReadThinned(uint32_t address, model::ColumnBatch* batch, model::Column* column);
  Status ReadBuckets(uint32_t address, model::ColumnBatch* batch);

  std::vector<std::unique_ptr<RollupCursor>> rollup_cursors_;  // by rollup, made on first use
  std::vector<model::Facts> buckets_;                          // of the rollup column being read
  std::vector<model::Facts> runs_;                             // of the series being read
  std::vector<model::Column> head_parts_;                      // of the series of this call
  std::vector<uint32_t> head_addresses_;           // which address each is of; kNoId: none was read
  std::vector<model::Column> parts_;               // of the series being read, by precedence
  std::vector<const model::Column*> float_parts_;  // of them, by time
  // What is left of where the parts of the series being read are decoded end to end, and how many
  // words the longest series so far would have taken.
  std::span<double> free_place_;
  size_t place_wanted_ = 0;
  // The last concatenation of timestamps: neighbours mostly join the very same arrays.
  std::vector<std::span<const model::Timestamp>> joined_parts_;
  std::span<const model::Timestamp> joined_;
};

}  // namespace tocsin::tsdb
