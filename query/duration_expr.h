// Evaluates duration expressions ([5m + step()], offset (range() / 2)) once the ends and the step
// of the query are known.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "query/ast.h"

namespace tocsin::query {

// What step() and range() stand for. An instant query has step 0 and range 0.
struct DurationContext {
  int64_t step_ms = 0;
  int64_t range_ms = 0;  // end - start
};

// kExecution: "division by zero", "modulo by zero", "duration is out of range"; "duration must be
// greater than 0" unless `may_be_negative` (offsets).
Result<int64_t> EvaluateDuration(const DurationExpr& expr, const DurationContext& context,
                                 bool may_be_negative);

// Computes every duration expression of the tree and stores the result beside it: range_ms,
// step_ms, offset_ms. The expressions stay, for printing.
Status ResolveDurations(Expr* expr, const DurationContext& context);

}  // namespace tocsin::query
