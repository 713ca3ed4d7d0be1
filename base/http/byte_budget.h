// ByteBudget: a named bound on the bytes that many owners hold together (request bodies being
// received, response bodies waiting to be sent). Charged before the memory is taken, so the bound
// is never passed; who is refused answers with an error instead of growing. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>

namespace tocsin::http {

class ByteBudget {
 public:
  explicit ByteBudget(size_t bytes_max) : bytes_max_(bytes_max) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  bool TryCharge(size_t bytes) {
    size_t held = held_.load(std::memory_order_relaxed);
    do {
      if (bytes > bytes_max_ || held > bytes_max_ - bytes) return false;
    } while (!held_.compare_exchange_weak(held, held + bytes, std::memory_order_relaxed));
    return true;
  }
  void Release(size_t bytes) { held_.fetch_sub(bytes, std::memory_order_relaxed); }

  size_t held() const { return held_.load(std::memory_order_relaxed); }
  size_t bytes_max() const { return bytes_max_; }

 private:
  const size_t bytes_max_;
  std::atomic<size_t> held_{0};
};

}  // namespace tocsin::http
