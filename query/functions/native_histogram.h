// histogram_count, _sum, _avg, _stddev and _stdvar: numbers of one native histogram. Floats have no
// answer.
#pragma once

#include <string_view>

#include "query/operators/map.h"

namespace tocsin::query {

// Empty when `name` is none of them.
MapOperator::RowMap FindNativeHistogramFunction(std::string_view name);

}  // namespace tocsin::query
