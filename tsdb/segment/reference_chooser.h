// ReferenceChooser: which earlier column, if any, one may be told by.
//
// A histogram's +Inf bucket is its count, allocated bytes are the heap's; neighbouring buckets rise
// together. A column that is wholly equal is found among all of its source that memory for
// kReferenceBytesMax of values still holds: with few sources that is all of them, with many those
// of the metric family. Residuals are tried against the family's last few. Values are compared, not
// only hashes; chains are bounded by kReferenceDepthMax steps, so that reading one column decodes a
// bounded number of others.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

#include "tsdb/segment/column_codec.h"

namespace tocsin::tsdb {

inline constexpr size_t kReferenceBytesMax = 8 << 20;
// Columns back whose differences are compared.
inline constexpr size_t kResidualCandidates = 4;

class ReferenceChooser {
 public:
  struct Candidate {
    uint32_t source = 0;
    uint32_t family = 0;
    uint64_t offset = 0;  // in the file
    uint32_t length = 0;
    uint8_t flags = 0;
    uint32_t axis = 0;
    unsigned depth = 0;  // steps to a column that stands for itself
    RowPlaces places;
    std::vector<double> values;
    uint64_t hash = 0;  // HashOf
  };
  // Of a column's values and source.
  static uint64_t HashOf(uint32_t source, std::span<const double> values);

  // The best reference for `column`, of which offset, length and flags are not known yet; or null.
  // Lives until the next Add.
  const Candidate* Choose(const Candidate& column) const;
  void Add(Candidate candidate);

 private:
  const Candidate& At(uint64_t number) const { return columns_[number - first_]; }

  size_t bytes_ = 0;
  std::deque<Candidate> columns_;                  // in file order
  uint64_t first_ = 0;                             // number of the first one
  std::unordered_map<uint64_t, uint64_t> newest_;  // by hash: number of the last such column
};

}  // namespace tocsin::tsdb
