// Functions of one float at a time: mathematics, trigonometry, rounding, clamping, calendar.
// Histograms never come out of them.
#pragma once

#include <string_view>

#include "query/operators/map.h"

namespace tocsin::query {

// The row function of `name` (abs, ceil, clamp, round, day_of_week, …) for the given number of
// scalar arguments; empty when there is none of that name.
MapOperator::RowMap FindElementwise(std::string_view name, size_t scalar_count);

// -x, of floats and histograms.
MapOperator::RowMap Negation();

}  // namespace tocsin::query
