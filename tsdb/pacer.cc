#include "tsdb/pacer.h"

#include <algorithm>

namespace tocsin::tsdb {

void Pacer::Start() {
  last_cpu_nanos_ = env_.ThreadCpuNanos();
  last_wall_nanos_ = env_.MonotonicNanos();
  owed_nanos_ = -static_cast<double>(kBurstNanos);
}

void Pacer::Pace(double share, const std::function<bool()>& go_on) {
  const int64_t cpu = env_.ThreadCpuNanos();
  const int64_t wall = env_.MonotonicNanos();
  owed_nanos_ += static_cast<double>(cpu - last_cpu_nanos_) / share -
                 static_cast<double>(wall - last_wall_nanos_);
  // Waiting for a disk, or for a processor, saves up nothing.
  owed_nanos_ = std::max(owed_nanos_, -static_cast<double>(kBurstNanos));
  last_cpu_nanos_ = cpu;
  last_wall_nanos_ = wall;
  while (share < 1 && owed_nanos_ > 1e6 && go_on()) {
    const int64_t nap_ms = std::clamp<int64_t>(static_cast<int64_t>(owed_nanos_ / 1e6), 1, kNapMs);
    env_.SleepFor(nap_ms);
    slept_ms_ += nap_ms;
    const int64_t now = env_.MonotonicNanos();
    owed_nanos_ -= static_cast<double>(now - last_wall_nanos_);
    last_wall_nanos_ = now;
  }
}

}  // namespace tocsin::tsdb
