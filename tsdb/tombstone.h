// Tombstone: one delete: which series, which time range, and the commit number it was given. A
// sample is deleted by it when its series matches, its timestamp lies in the range, and it was
// committed before: what is written later stays, even at the same timestamp.
//
// Files are never edited. A segment says in its footer up to which number deletes have been applied
// to it (SegmentMeta::deletes_applied): a tombstone above that masks the whole file's samples of
// its series and range when they are read, since every one of them was committed before; one at or
// below it was applied when the file was written. In the head each row has its own number. Seals
// and merges leave out what is masked; a tombstone is forgotten when nothing is left that it masks
// (Compactor).
//
// Tombstone is immutable; shared by versions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "model/labels.h"
#include "model/sample.h"
#include "model/storage.h"
#include "tsdb/column_filter.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {

// Deletes that wait for their files to be rewritten. Every query evaluates those that overlap it,
// and every change of the manifest writes them: more are refused until clean_tombstones was called.
inline constexpr size_t kTombstonesMax = 10'000;
// Of one, encoded: a matcher is a few dozen bytes.
inline constexpr size_t kTombstoneBytesMax = size_t{1} << 20;

struct Tombstone {
  uint64_t commit = 0;  // samples of lower numbers are deleted
  model::TimeRange range;
  std::vector<model::MatcherSet> matcher_sets;  // or-ed; at least one
};

// Ascending by commit number.
using TombstoneList = std::vector<std::shared_ptr<const Tombstone>>;

void EncodeTombstone(const Tombstone& tombstone, std::string* out);
// Null when the bytes make no sense.
std::shared_ptr<const Tombstone> DecodeTombstone(ByteReader* in);

// Tells which of some tombstones hit a series. A matcher is evaluated once per source and once per
// key, however many series there are. One thread.
class DeletedSeries {
 public:
  explicit DeletedSeries(TombstoneList tombstones);

  bool empty() const { return tombstones_.empty(); }
  // The spans deleted from the series (source, key). The label functions are asked at most once for
  // each id. Lives until the next call.
  using LabelsOf = std::function<model::Labels(uint32_t id)>;
  std::span<const DeletedSpan> Find(uint32_t source, const LabelsOf& source_labels, uint32_t key,
                                    const LabelsOf& key_labels);

 private:
  // One bit a matcher, of all sets of all tombstones one after the other.
  struct Part {
    std::vector<uint64_t> has;
    std::vector<uint64_t> matches;
    bool possible = true;  // sources: some set may still match
  };
  const Part& PartOf(std::unordered_map<uint32_t, Part>* parts, uint32_t id,
                     const LabelsOf& labels);
  bool SetMatches(size_t first, size_t last, const Part& source, const Part& key) const;

  const TombstoneList tombstones_;
  std::vector<const model::Matcher*> matchers_;
  std::unordered_map<uint32_t, Part> sources_;
  std::unordered_map<uint32_t, Part> keys_;
  std::vector<DeletedSpan> found_;
};

// Of `tombstones`, those that mask samples of a file to which deletes up to `applied` have been
// applied and which lies in `range`.
TombstoneList TombstonesAbove(const TombstoneList& tombstones, uint64_t applied,
                              model::TimeRange range);

// What a merge leaves out: for each input the tombstones that its footer does not say are applied.
class TombstoneFilter final : public ColumnFilter {
 public:
  explicit TombstoneFilter(const TombstoneList& tombstones) : tombstones_(tombstones) {}
  void AddDropped(const Column& column, std::vector<model::TimeRange>* dropped) override;

 private:
  const TombstoneList& tombstones_;
  std::unordered_map<const SegmentReader*, std::unique_ptr<DeletedSeries>> inputs_;
};

}  // namespace tocsin::tsdb
