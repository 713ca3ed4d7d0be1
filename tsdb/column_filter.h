// ColumnFilter: what is left out of a column when its file is rewritten: deleted ranges
// (tombstones) and what retention by matchers has given up. A merge asks every filter about every
// column of every input before it mixes them; a sample in any of the ranges is not written. A
// column of which nothing is left is not in the output.
//
// A filter answers for one merge, on one thread, and may remember what it found out by the ids.
#pragma once

#include <cstdint>
#include <vector>

#include "model/labels.h"
#include "model/sample.h"
#include "tsdb/segment/reader.h"

namespace tocsin::tsdb {

class ColumnFilter {
 public:
  // A column of `input`. `source` and `key` number the sources and keys of all inputs of the merge
  // from 0 on: the same label set has the same number in every input.
  struct Column {
    const SegmentReader& input;
    uint32_t source;
    uint32_t key;
    const model::Labels& source_labels;
    const model::Labels& key_labels;
  };

  virtual ~ColumnFilter() = default;
  // Adds the time ranges, ends included, of which `column` keeps nothing.
  virtual void AddDropped(const Column& column, std::vector<model::TimeRange>* dropped) = 0;
};

}  // namespace tocsin::tsdb
