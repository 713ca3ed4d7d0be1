// PairNotes: what a join has to say about its pairs. Of all pairs that meet at one step the
// reference reports the last one's note alone, in the order of the many side; pairs are combined by
// several threads in any order here.
#pragma once

#include <cstdint>
#include <vector>

#include "base/mutex.h"
#include "query/functions/point_math.h"

namespace tocsin::query {

class PairNotes {
 public:
  explicit PairNotes(size_t steps) : steps_(steps) {}

  // `order`: of the pair among those of its step. Thread-safe.
  void Note(size_t step, uint64_t order, PairNote note);
  void AnnotateLast(BinaryOp op, PositionRange position, AnnotationSink* annotations);

 private:
  struct Last {
    uint64_t order = 0;
    PairNote note = PairNote::kNone;
  };
  const size_t steps_;
  Mutex mu_;
  std::vector<Last> last_ GUARDED_BY(mu_);  // one a step, once there is any
};

}  // namespace tocsin::query
