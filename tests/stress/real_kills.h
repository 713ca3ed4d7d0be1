// RealKills: the store as processes on the real disk. A parent starts a child that opens the store,
// compares it with what is known, and then writes, reads, seals, merges and deletes from several
// threads until the parent sends SIGKILL; and again. Meanwhile the parent tries to open it, too.
// What is known lies in memory that both share, so it outlives the child. A run is over when all
// rows are written or at `end`.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/status.h"

namespace tocsin::stress {

struct RealKillsOptions {
  std::string dir;  // emptied first
  uint64_t seed = 1;
  std::chrono::steady_clock::time_point end;
  int writers = 3;  // two sources each
  int readers = 2;
  int longest_life_ms = 700;  // more under a sanitizer
};

// Prints a line with what was done. An error names what was broken.
Status RunRealKills(const RealKillsOptions& options);

}  // namespace tocsin::stress
