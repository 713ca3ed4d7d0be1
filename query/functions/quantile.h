// The quantile of plain numbers, with linear interpolation between neighbours.
#pragma once

#include <span>
#include <vector>

namespace tocsin::query {

// NaN sorts before everything.
void SortForQuantile(std::vector<double>* values);
// q outside [0, 1] gives -Inf or +Inf; NaN, or nothing to look at, gives NaN.
double QuantileOfSorted(double q, std::span<const double> sorted);

}  // namespace tocsin::query
