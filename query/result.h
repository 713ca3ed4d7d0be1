// From operators to what a query answers: vectors, matrices, scalars.
#pragma once

#include "query/operators/operator.h"
#include "query/operators/range_source.h"
#include "query/value.h"

namespace tocsin::query {

// All of these open and read the operator. Names that were to be dropped are dropped here, and
// series that become equal by that become one.

Result<Scalar> CollectScalar(Operator* op);
// The grid has one step. In the operator's order.
Result<Vector> CollectVector(Operator* op);
// Sorted by labels; series without a point are left out.
Result<Matrix> CollectMatrix(Operator* op);
// The samples themselves, in the window of the only step.
Result<Matrix> CollectRange(QueryContext* context, RangeSource* source);

}  // namespace tocsin::query
