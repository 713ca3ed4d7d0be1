#include "query/budget.h"

#include <utility>

namespace tocsin::query {

MemoryCharge::MemoryCharge(MemoryCharge&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

MemoryCharge& MemoryCharge::operator=(MemoryCharge&& other) noexcept {
  if (this != &other) {
    Clear();
    budget_ = std::exchange(other.budget_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

Status MemoryCharge::Grow(Budget* budget, uint64_t bytes) {
  if (bytes <= bytes_) return Status::Ok();
  TOCSIN_RETURN_IF_ERROR(budget->Charge(bytes - bytes_));
  CountProfiledBytes(bytes - bytes_);
  budget_ = budget;
  bytes_ = bytes;
  return Status::Ok();
}

void MemoryCharge::Clear() {
  if (budget_ != nullptr && bytes_ > 0) budget_->Release(bytes_);
  bytes_ = 0;
}

Status TooManySamples() {
  return Status(Code::kExecution,
                "query processing would load too many samples into memory in query execution");
}

Status SampleBudget::Add(int64_t samples) {
  const int64_t held = held_.fetch_add(samples, std::memory_order_relaxed) + samples;
  int64_t peak = peak_.load(std::memory_order_relaxed);
  while (peak < held && !peak_.compare_exchange_weak(peak, held, std::memory_order_relaxed)) {
  }
  return held > limit_ ? TooManySamples() : Status::Ok();
}

}  // namespace tocsin::query
