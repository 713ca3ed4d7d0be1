// ReferenceChooser: which earlier columns, if any, one may be told by.
//
// A histogram's +Inf bucket is its count, allocated bytes are the heap's; neighbouring buckets rise
// together; inactive memory is that of files and the rest; what was allocated is what was freed and
// what is live. So a column is looked for that
//
//   is wholly equal: found by its hash among all of the source that are still held;
//   is near: among the last few of the metric family;
//   is near, its negative is, or the sum or difference of two is: among the last of the source, by
//   differences between neighbouring values at kSteps places. The best one is found first, then the
//   one that best tells what it leaves.
//
// Values are compared, not only hashes. Values of kReferenceBytesMax are held: with few sources
// those of a whole day, with many of the family. Reading one column decodes at most kReferencesMax
// others.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

#include "tsdb/segment/column_codec.h"

namespace tocsin::tsdb {

inline constexpr size_t kReferenceBytesMax = 8 << 20;
// Columns back in the family whose differences are compared closely.
inline constexpr size_t kResidualCandidates = 4;
// Columns back of the source that are looked at, one for so many rows, so that the time it takes is
// in proportion to that of coding them.
inline constexpr size_t kScreenedMax = 128;
inline constexpr size_t kRowsPerScreened = 8;

class ReferenceChooser {
 public:
  static constexpr size_t kSteps = 32;
  // Differences between neighbours at evenly spread places.
  using Steps = std::array<float, kSteps>;

  struct Candidate {
    uint32_t source = 0;
    uint32_t family = 0;
    uint64_t offset = 0;  // in the file
    uint32_t length = 0;
    uint8_t flags = 0;
    uint32_t axis = 0;
    unsigned decodes = 0;  // columns that reading this one decodes besides
    RowPlaces places;
    std::vector<double> values;
    uint64_t hash = 0;  // HashOf
    Steps steps{};      // StepsOf
  };
  // Of a column's values and source.
  static uint64_t HashOf(uint32_t source, std::span<const double> values);
  static Steps StepsOf(std::span<const double> values);

  struct Choice {
    std::span<const double> values;  // that tell; empty: none
    ColumnReference reference;
    unsigned decodes = 0;
    bool equal = false;  // to a column that is held
  };
  // The best reference for `column`, of which length and flags are not known yet. Lives until the
  // next call.
  Choice Choose(const Candidate& column);
  void Add(Candidate candidate);

 private:
  struct Pick {
    ReferenceWay way = ReferenceWay::kOne;
    const Candidate* first = nullptr;
    const Candidate* second = nullptr;
  };
  const Candidate& At(uint64_t number) const { return columns_[number - first_]; }
  Choice Chosen(const Candidate& column, const Pick& pick, std::span<const double> values) const;
  std::span<const double> ValuesOf(const Pick& pick, std::vector<double>* scratch) const;
  void PickFromFamily(const Candidate& column, std::vector<Pick>* picks) const;
  void PickFromSource(const Candidate& column, std::vector<Pick>* picks) const;

  size_t bytes_ = 0;
  std::deque<Candidate> columns_;                  // in file order
  uint64_t first_ = 0;                             // number of the first one
  std::unordered_map<uint64_t, uint64_t> newest_;  // by hash: number of the last such column
  std::vector<double> combined_;
  std::vector<double> trial_;
};

}  // namespace tocsin::tsdb
