#include "query/operators/pair_notes.h"

namespace tocsin::query {

void PairNotes::Note(size_t step, uint64_t order, PairNote note) {
  MutexLock lock(mu_);
  if (last_.empty()) last_.resize(steps_);
  Last& last = last_[step];
  if (last.note == PairNote::kNone || order >= last.order) last = {order, note};
}

void PairNotes::AnnotateLast(BinaryOp op, PositionRange position, AnnotationSink* annotations) {
  MutexLock lock(mu_);
  uint32_t said = 0;  // bits by note
  for (const Last& last : last_) {
    const uint32_t bit = uint32_t{1} << static_cast<uint32_t>(last.note);
    if ((said & bit) == 0) AnnotatePair(last.note, op, position, annotations);
    said |= bit;
  }
}

}  // namespace tocsin::query
