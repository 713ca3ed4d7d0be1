// RepairStore: what can be saved of a damaged store is written anew, the rest is put aside.
//
// Segments: a file that cannot be opened goes to quarantine/. Of one that opens and is damaged
// inside, every column that decodes is written to a new segment, and of the others each half hour
// that does; then the damaged file goes to quarantine/. Logs: all that a replay finds is sealed
// into segments; a damaged log file is copied to quarantine/ first.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "tsdb/damage.h"

namespace tocsin::tsdb {

struct RepairReport {
  uint64_t segments = 0;  // that were looked at
  struct Damaged : Damage {
    bool rewritten = false;  // else nothing could be saved
    uint64_t samples = 0;    // as the file's footer said; 0 when that is damaged
    uint64_t samples_saved = 0;
    uint64_t columns_lost = 0;  // without one readable sample
    uint64_t columns_cut = 0;   // parts of them were saved
    std::string rewritten_to;
  };
  std::vector<Damaged> damaged;
  std::vector<Damage> damaged_logs;
  std::vector<Damage> missing;  // segments
};

// Takes the store's lock (kUnavailable: it is in use). `progress`: segments done and to do.
Result<RepairReport> RepairStore(Env& env, const std::string& dir,
                                 const std::function<void(uint64_t, uint64_t)>& progress);

}  // namespace tocsin::tsdb
