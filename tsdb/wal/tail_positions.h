// TailPositions: how far each tail has passed the log on, and what tails have lost. Thread-safe.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/mutex.h"

namespace tocsin::tsdb {

class TailPositions {
 public:
  using Position = std::shared_ptr<std::atomic<uint64_t>>;

  Position Add(uint64_t position) {
    MutexLock lock(mutex_);
    positions_.push_back(std::make_shared<std::atomic<uint64_t>>(position));
    return positions_.back();
  }
  void Remove(const Position& position) {
    MutexLock lock(mutex_);
    std::erase(positions_, position);
  }
  // UINT64_MAX when there are no tails.
  uint64_t Lowest() const {
    MutexLock lock(mutex_);
    uint64_t lowest = UINT64_MAX;
    for (const Position& position : positions_) lowest = std::min(lowest, position->load());
    return lowest;
  }
  void CountLost(uint64_t samples) { lost_samples_.fetch_add(samples, std::memory_order_relaxed); }
  uint64_t lost_samples() const { return lost_samples_.load(std::memory_order_relaxed); }

 private:
  mutable Mutex mutex_;
  std::vector<Position> positions_ GUARDED_BY(mutex_);
  std::atomic<uint64_t> lost_samples_{0};
};

}  // namespace tocsin::tsdb
