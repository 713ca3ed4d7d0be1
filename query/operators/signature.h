// Signatures: the labels that two series must share to be joined, as on(…) or ignoring(…) say. The
// metric name counts only when on(…) names it.
#pragma once

#include <vector>

#include "query/ast.h"
#include "query/operators/operator.h"

namespace tocsin::query {

model::Labels SignatureOf(const VectorMatching& matching, const model::Labels& labels);

// The signature ids of both sides' series, shared between them; returns how many there are.
Result<size_t> HashSignatures(const VectorMatching& matching, const Operator& lhs,
                              const Operator& rhs, std::vector<uint32_t>* group_of_lhs,
                              std::vector<uint32_t>* group_of_rhs);

}  // namespace tocsin::query
