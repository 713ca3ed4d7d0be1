// Pacer: keeps a thread to its share of a core. Work is done in small pieces; between them Pace()
// sleeps as long as the processor time since the last call asks for at that share. A short job is
// not slowed down: so much time of a core as kBurstNanos is free at first.
//
// One thread: processor time is that of the caller.
#pragma once

#include <cstdint>
#include <functional>

#include "base/env.h"

namespace tocsin::tsdb {

class Pacer {
 public:
  static constexpr int64_t kBurstNanos = 50'000'000;
  static constexpr int64_t kNapMs = 50;  // `go_on` is asked so often

  explicit Pacer(Env& env) : env_(env) {}

  // Work begins: time that passed since the last piece counts for nothing.
  void Start();
  // `share`: 0…1 of a core, 1 = never sleeps. Sleeps in naps while `go_on` says so.
  void Pace(double share, const std::function<bool()>& go_on);

  int64_t slept_ms() const { return slept_ms_; }

 private:
  Env& env_;
  int64_t last_cpu_nanos_ = 0;
  int64_t last_wall_nanos_ = 0;
  double owed_nanos_ = 0;  // of sleep; negative: the burst that is left
  int64_t slept_ms_ = 0;
};

}  // namespace tocsin::tsdb
