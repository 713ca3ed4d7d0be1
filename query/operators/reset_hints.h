// Counter reset hints of stored histograms. Storage knows "not reset" for a sample that follows on
// the one before, and leaves the rest unknown. Where only count, sum and average are asked for
// (histogram_count & co. right above a selector), the reference finds the missing hints itself
// while it reads; conflicts between them are then reported by aggregations.
#pragma once

#include "model/storage.h"

namespace tocsin::query {

// Gives every histogram of unknown hint whose predecessor is in the column the hint that comparing
// them tells. Changed histograms live in `batch`.
void DetectResetHints(model::ColumnBatch* batch, model::Column* column);

}  // namespace tocsin::query
