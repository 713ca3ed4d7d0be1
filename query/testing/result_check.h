// Compares what a query gave with what a script expects.
#pragma once

#include "base/status.h"
#include "query/testing/test_script.h"
#include "query/value.h"

namespace tocsin::query {

inline constexpr double kScriptTolerance = 1e-6;  // relative

// Equal within the tolerance. Markers of staleness equal only themselves, NaN equals NaN.
bool AlmostEqual(double a, double b, double tolerance);
// `expected` first: its hint counts only when it was spelled out.
bool AlmostEqual(const model::Histogram& expected, bool hint_given, const model::Histogram& actual);

// kInternal with the difference in words.
Status CheckAnnotations(const EvalCommand& eval, const Annotations& annotations);
Status CheckValue(const EvalCommand& eval, const Value& value);
Status CheckFailure(const EvalCommand& eval, const Status& error);
Status CheckSorted(const Matrix& matrix);

}  // namespace tocsin::query
