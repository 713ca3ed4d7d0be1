// SimulatedLives: the store through many lives on a simulated disk (MemEnv under FaultEnv), one
// seed, one thread, every step repeatable: appends, late rows, deletes, seals, merges, reads of
// pinned snapshots, failing and full disks, clock steps, snapshots on disk, exports and imports,
// tails, rollups, retention (by some seeds); each life ends with a clean stop, kill -9,
// or a power cut that drops or tears what was not synced. After each the store must hold what it
// promised.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "stress_writer.h"

namespace tocsin::stress {

struct SimulationCounts {
  StressCounts writes;
  uint64_t clean_stops = 0;
  uint64_t kills = 0;
  uint64_t power_cuts = 0;
  uint64_t torn_power_cuts = 0;
  uint64_t faults_hit = 0;
  uint64_t comparisons = 0;
  uint64_t facts = 0;  // runs of samples that were given as such
  uint64_t rollups = 0;
  uint64_t retired_segments = 0;
  uint64_t snapshots = 0;
  uint64_t round_trips = 0;
  uint64_t tailed_samples = 0;
};

// An error names the life and step and what was broken.
Status RunSimulatedLives(uint64_t seed, int lives, SimulationCounts* counts);

}  // namespace tocsin::stress
