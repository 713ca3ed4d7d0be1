#include "query/operators/shared.h"

namespace tocsin::query {

Status SharedOperator::Open() {
  State& state = *state_;
  std::atomic<int64_t>& queryable = context_->queryable_samples;
  if (state.opened) {
    queryable.fetch_add(state.queryable_samples, std::memory_order_relaxed);
    return *state.opened;
  }
  const int64_t before = queryable.load(std::memory_order_relaxed);
  state.opened = state.op->Open();
  state.queryable_samples = queryable.load(std::memory_order_relaxed) - before;
  return *state.opened;
}

}  // namespace tocsin::query
