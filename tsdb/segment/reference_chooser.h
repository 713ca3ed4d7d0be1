// ReferenceChooser: which earlier column of a metric family, if any, one may be told by.
//
// A histogram's +Inf bucket is its count, neighbouring buckets rise together. Only columns of the
// same source and family are looked at, with samples at the same rows, and only as many as memory
// for kReferenceBytesMax of values holds: the encoder keeps theirs, and a reader finds all of them
// nearby. Chains are bounded by kReferenceDepthMax steps.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "tsdb/segment/column_codec.h"

namespace tocsin::tsdb {

inline constexpr size_t kReferenceBytesMax = 8 << 20;
// Columns back whose differences are compared; columns that are wholly equal are found further
// back.
inline constexpr size_t kResidualCandidates = 4;

class ReferenceChooser {
 public:
  struct Candidate {
    uint64_t offset = 0;  // in the file
    uint32_t length = 0;
    uint8_t flags = 0;
    uint32_t axis = 0;
    unsigned depth = 0;  // steps to a column that stands for itself
    RowPlaces places;
    std::vector<double> values;
  };

  // The columns from here on are of this source and family.
  void Enter(uint32_t source, uint32_t family);
  // The best reference for a column, or null. Lives until the next call of Add or Enter.
  const Candidate* Choose(uint32_t axis, const RowPlaces& places,
                          std::span<const double> values) const;
  void Add(Candidate candidate);

 private:
  uint32_t source_ = UINT32_MAX;
  uint32_t family_ = UINT32_MAX;
  size_t bytes_ = 0;
  std::deque<Candidate> columns_;  // in file order
};

}  // namespace tocsin::tsdb
