// Which samples the answer of a range query at one step depends on, and whether the answer at a
// step is the same in whatever range the step lies: what a cache of answers must know. Only what is
// provably so is let through.
//
// Not the same in every range, and so refused: `@`, start(), end() and range(); durations that are
// computed; topk, bottomk and limitk, which break ties by the order in which series were found;
// info(), which looks at all steps together; regressions (window_trend.cc), and sums over windows
// that overlap so much that they are folded, in an order that depends on where the range begins
// (window_sum.cc). Native histograms are refused by what was read (QueryStats::histograms_read):
// their reset hints look at what stands before the range.
#pragma once

#include <cstdint>
#include <optional>

#include "query/ast.h"

namespace tocsin::query {

// Samples in [t + first_ms, t + last_ms] decide about step t. Empty (first > last): none do.
struct StepDependence {
  int64_t first_ms = 0;
  int64_t last_ms = -1;
  bool empty() const { return first_ms > last_ms; }
};

struct StepSettings {
  int64_t lookback_delta_ms = 0;
  int64_t step_ms = 0;           // of the range query
  int64_t subquery_step_ms = 0;  // of sub-queries that do not say
};

// Nothing: the answer at a step may depend on the range. Precondition: `expr` was parsed.
std::optional<StepDependence> StepDependenceOf(const Expr& expr, const StepSettings& settings);

}  // namespace tocsin::query
