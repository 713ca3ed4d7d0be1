// The newest sample of each slot of a page, as the writer knows it: for instant selectors, which
// would walk a half hour of frames for it otherwise.
//
// The writer's state may say more than a snapshot sees: a sample that is not in the snapshot, or
// one that a segment holds and deletes may have been at. Slots of which that cannot be ruled out
// are kUnknown and are read from their frames.
#pragma once

#include <cstdint>
#include <span>

#include "model/sample.h"
#include "tsdb/head/page.h"
#include "tsdb/head/page_reader.h"

namespace tocsin::tsdb {

struct NewestSample {
  enum Kind : uint8_t {
    kUnknown,
    kNone,   // no sample of the slot is in the view's range
    kFloat,  // or a staleness marker
  };
  Kind kind = kUnknown;
  model::Timestamp t = 0;
  double value = 0;
};

// Under the mutex of the page's shard. `newest` has an entry for each of `slots`.
void FindNewestSamples(const Page& page, const HeadView& view, std::span<const uint32_t> slots,
                       NewestSample* newest);

}  // namespace tocsin::tsdb
