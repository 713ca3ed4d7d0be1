// LabelRanks: label sets as sequences of numbers that compare as Labels::Compare does, for sorting
// many series that are made of few parts (sources and keys). Texts are ranked once; a series then
// costs merging two short lists of numbers and, in the sort, comparing numbers.
//
//   LabelRanks ranks;
//   uint32_t part = ranks.AddPart(labels); …       // each distinct source and key
//   ranks.Rank();
//   ranks.AddSeries(source_part, key_part); …      // numbered from 0
//   std::vector<uint32_t> order = ranks.Order();
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/labels.h"

namespace tocsin::tsdb {

class LabelRanks {
 public:
  uint32_t AddPart(model::Labels labels);
  void Rank();
  // Two parts without a common label name.
  void AddSeries(uint32_t part_a, uint32_t part_b);
  // Numbers of the series, ascending by label set; of equal ones the lower number first.
  std::vector<uint32_t> Order() const;

 private:
  using Pair = std::pair<uint32_t, uint32_t>;  // ranks of name and value
  std::vector<model::Labels> parts_;
  std::vector<std::vector<Pair>> ranked_;  // by part
  std::vector<Pair> pairs_;                // of all series, one after another
  std::vector<size_t> ends_;               // of each series in pairs_
};

}  // namespace tocsin::tsdb
