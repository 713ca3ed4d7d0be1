// The order of keys and sources in a file. It is the same in every file: that is what lets a merge
// stream.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/labels.h"
#include "model/sample.h"
#include "model/storage.h"

namespace tocsin::tsdb {

// The metric a series belongs to: the name without _bucket, _sum or _count. Families are kept
// together so that the columns of one histogram of one source are neighbours.
std::string_view MetricFamily(std::string_view metric_name);
// Of a file's keys, by family, then by label set, and of its sources, by label set, then by origin.
bool KeyOrder(const model::Labels& a, const model::Labels& b);
bool SourceOrder(const model::Labels& a, const model::Origin& origin_a, const model::Labels& b,
                 const model::Origin& origin_b);

struct KeyPlaces {
  std::vector<uint32_t> place;     // by place before: where it is now
  std::vector<uint32_t> families;  // by place now: rises where the family changes
};
// Brings distinct keys into KeyOrder.
KeyPlaces SortKeys(std::vector<model::Labels>* keys);

}  // namespace tocsin::tsdb
