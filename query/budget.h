// What bounds a query besides time: bytes (base/budget.h: a Budget a query below that of all
// queries) and samples.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/budget.h"
#include "base/status.h"

namespace tocsin::query {

// Tells the profile of the node that this thread works in, if any (profile.h).
void CountProfiledBytes(uint64_t bytes);

// Bytes charged for one buffer or container that grows; released with it. One owner.
class MemoryCharge {
 public:
  MemoryCharge() = default;
  ~MemoryCharge() { Clear(); }
  MemoryCharge(MemoryCharge&& other) noexcept;
  MemoryCharge& operator=(MemoryCharge&& other) noexcept;

  // From now on `bytes` are held (no change when that is less than before). Call before allocating.
  Status Grow(Budget* budget, uint64_t bytes);
  void Clear();

 private:
  Budget* budget_ = nullptr;
  uint64_t bytes_ = 0;
};

// kExecution "query processing would load too many samples into memory in query execution".
Status TooManySamples();

// Samples that a query holds at once, as the reference counts them. Thread-safe.
class SampleBudget {
 public:
  explicit SampleBudget(int64_t limit) : limit_(limit) {}
  // TooManySamples() over the limit.
  Status Add(int64_t samples);
  int64_t held() const { return held_.load(std::memory_order_relaxed); }
  // Gives back what is above `samples`: an operator that has used up its children.
  void ReturnTo(int64_t samples) { held_.store(samples, std::memory_order_relaxed); }
  int64_t peak() const { return peak_.load(std::memory_order_relaxed); }

 private:
  const int64_t limit_;
  std::atomic<int64_t> held_ = 0;
  std::atomic<int64_t> peak_ = 0;
};

}  // namespace tocsin::query
