#include "tsdb/disk_budget.h"

#include <algorithm>
#include <limits>

namespace tocsin::tsdb {
namespace {

constexpr uint64_t kHeadroomBytesMax = uint64_t{256} << 20;
constexpr uint64_t kHeadroomDivisor = 16;

uint64_t Headroom(uint64_t cap) { return std::min(cap / kHeadroomDivisor, kHeadroomBytesMax); }

}  // namespace

bool DiskBudget::Reserve(uint64_t bytes) {
  const uint64_t limit = cap();
  uint64_t used = used_.load(std::memory_order_relaxed);
  do {
    if (limit != 0 && (used > limit || bytes > limit - used)) return false;
  } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  return true;
}

uint64_t DiskBudget::excess() const {
  const uint64_t limit = cap();
  if (limit == 0) return 0;
  const uint64_t goal = limit - Headroom(limit);
  const uint64_t total = used();
  return total > goal ? total - goal : 0;
}

uint64_t DiskBudget::left() const {
  const uint64_t limit = cap();
  if (limit == 0) return std::numeric_limits<uint64_t>::max();
  const uint64_t total = used();
  return total < limit ? limit - total : 0;
}

bool DiskBudget::refuses() const {
  const uint64_t limit = cap();
  return below_floor() || (limit != 0 && used() > limit - Headroom(limit) / 2);
}

Status DiskBudget::Admit() const {
  if (head_full())
    return Status(Code::kNoSpace,
                  "storage is full: rows cannot be sealed and wait in memory and log");
  if (!refuses()) return Status::Ok();
  return Status(Code::kNoSpace, below_floor()
                                    ? "storage is full: free disk space is below the floor"
                                    : "storage is full: the retention size is reached");
}

}  // namespace tocsin::tsdb
