// Column facts (model/facts.h): folding samples into them, and the section of an L2 segment that
// holds those of its columns (docs/format/segment.md, "Column facts").
//
//   section   varint columns | u32 offset of each block in the section | blocks
//   block     the records of kFactsBlockColumns columns, in file order
//   record    u8 head | [times, unless regular] | [values]
//
// A record is by the source's rows where that is enough (a column with a sample at every row), and
// by its own values where they are all alike: 2–12 bytes for most columns, about 40 for a gauge of
// a whole day.
//
// One thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "model/facts.h"
#include "model/storage.h"
#include "tsdb/segment/column_codec.h"

namespace tocsin::tsdb {

class SegmentFile;
struct ColumnRef;

inline constexpr uint32_t kFactsBlockColumns = 64;
// Values before resets that a record holds; with more of them the resets are not known.
inline constexpr uint32_t kFactsResetsMax = 64;
// What falls more often than once in so many samples is no counter: nobody asks for its resets.
inline constexpr uint32_t kSamplesPerReset = 32;

// Folds ascending samples into facts.
class FactsFolder {
 public:
  void Add(model::Timestamp t, double value) {
    facts_.newest_ms = t;
    facts_.ends_stale = model::IsStale(value);
    if (!facts_.ends_stale) AddSample(t, value);
  }
  void Add(std::span<const model::Timestamp> timestamps, std::span<const double> values);
  // Nothing was added, not even a marker.
  bool empty() const { return facts_.count == 0 && !facts_.ends_stale; }
  // The facts of what was added since the last Take; `before_resets` stays null.
  model::Facts Take();
  // The values before the resets of all runs since the last Clear, run by run.
  const std::vector<double>& before_resets() const { return before_resets_; }
  void Clear();

 private:
  void AddSample(model::Timestamp t, double value);
  // All of a column at once: false, and nothing was added, unless that is plain arithmetic.
  bool AddPlain(std::span<const model::Timestamp> timestamps, std::span<const double> values);

  model::Facts facts_;
  double sum_ = 0;
  double compensation_ = 0;
  bool all_finite_ = true;
  bool any_number_ = false;
  std::vector<double> before_resets_;
};

// Folds a column into runs of which each lies in one tile of `wish` and on one side of each of
// `between`, which ascend. The facts and their values live in `batch`.
std::span<const model::Facts> FoldByTile(const model::Column& column, const model::FactsWish& wish,
                                         std::span<const model::Facts> between,
                                         model::ColumnBatch* batch);

// Makes the section while the columns are written.
class FactsWriter {
 public:
  // The next column in file order. `rows`: of its source.
  void AddColumn(std::span<const model::Timestamp> rows, const model::Column& column);
  // The same for a column that has one value, no staleness marker, at every row of its source.
  void AddConstant();
  std::string Finish() const;

 private:
  void NextColumn();

  uint32_t columns_ = 0;
  std::vector<uint32_t> blocks_;
  std::string records_;
  FactsFolder folder_;
};

// Reads the facts of columns of one file; must not outlive it.
class FactsReader {
 public:
  explicit FactsReader(const SegmentFile& file) : file_(file) {}
  // The facts of `ref`; count 0 and not ends_stale: there are none (the file has no such section,
  // the column holds histograms). `before_resets` lives in `batch`.
  Status Read(const ColumnRef& ref, model::ColumnBatch* batch, model::Facts* facts);
  // The facts of `ref` are those of its samples, `column`.
  Status Verify(const ColumnRef& ref, const model::Column& column, model::ColumnBatch* batch);

 private:
  Status Open();
  // `wanted`: else only passed over, and `ref` is another column's.
  Status Decode(const ColumnRef& ref, bool wanted, ByteReader* in, model::ColumnBatch* batch,
                model::Facts* facts);
  double ReadNumber(ByteReader* in) const;
  Status ReadConstant(const ColumnRef& ref, double* value) const;
  Status UseRows(uint32_t source);

  const SegmentFile& file_;
  bool opened_ = false;
  uint64_t columns_ = 0;
  std::string_view section_;
  std::string_view offsets_;  // of the blocks
  // Where the reader stands: columns are mostly read in file order.
  uint32_t next_column_ = 0;
  ByteReader records_;
  uint32_t rows_source_ = UINT32_MAX;
  AxisChunks rows_;
};

}  // namespace tocsin::tsdb
