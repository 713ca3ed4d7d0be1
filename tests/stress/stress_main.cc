// tsdb_stress: the storage under everything at once, in the manner of RocksDB's db_stress.
//
//   tsdb_stress memory --seed 1 --rounds 200 --lives 6    simulated disk: crashes, power cuts,
//   faults tsdb_stress disk --dir /tmp/x --seconds 60            real processes, threads and
//   SIGKILL
//
// Ends with 1 and the seed at the first broken promise; `memory` is repeatable from it.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include "base/log.h"
#include "real_kills.h"
#include "simulated_lives.h"

namespace tocsin::stress {
namespace {

int Memory(uint64_t seed, int rounds, int lives) {
  SimulationCounts counts;
  for (int round = 0; round < rounds; ++round, ++seed) {
    if (const Status status = RunSimulatedLives(seed, lives, &counts); !status.ok()) {
      std::fprintf(stderr, "tsdb_stress: seed %llu: %s\n", static_cast<unsigned long long>(seed),
                   status.ToString().c_str());
      return 1;
    }
  }
  const auto n = [](uint64_t number) { return static_cast<unsigned long long>(number); };
  std::printf(
      "memory: %d rounds of %d lives: %llu clean stops, %llu kills, %llu power cuts, %llu torn; "
      "%llu batches, %llu samples, %llu late units, %llu again, %llu deletes, %llu failed batches, "
      "%llu faults hit, %llu live comparisons; %llu facts, %llu rollups, %llu segments retired, "
      "%llu snapshots, %llu round trips, %llu samples by tails\n",
      rounds, lives, n(counts.clean_stops), n(counts.kills), n(counts.power_cuts),
      n(counts.torn_power_cuts), n(counts.writes.batches), n(counts.writes.samples),
      n(counts.writes.late_units), n(counts.writes.repeated_units), n(counts.writes.deletes),
      n(counts.writes.failed_batches), n(counts.faults_hit), n(counts.comparisons), n(counts.facts),
      n(counts.rollups), n(counts.retired_segments), n(counts.snapshots), n(counts.round_trips),
      n(counts.tailed_samples));
  return 0;
}

// One data set after the other, until the time is over.
int Disk(RealKillsOptions options, int64_t seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  for (; std::chrono::steady_clock::now() < end; ++options.seed) {
    options.end = end;
    if (const Status status = RunRealKills(options); !status.ok()) {
      std::fprintf(stderr, "tsdb_stress: seed %llu, store kept in %s: %s\n",
                   static_cast<unsigned long long>(options.seed), options.dir.c_str(),
                   status.ToString().c_str());
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace tocsin::stress

int main(int argc, char** argv) {
  CLI::App app("The storage under everything at once");
  app.require_subcommand(1);
  uint64_t seed = 1;
  int rounds = 20;
  int lives = 6;
  auto* memory = app.add_subcommand("memory", "a simulated disk, repeatable");
  memory->add_option("--seed", seed);
  memory->add_option("--rounds", rounds);
  memory->add_option("--lives", lives);
  int64_t seconds = 10;
  tocsin::stress::RealKillsOptions options;
  auto* disk = app.add_subcommand("disk", "processes and SIGKILL on a real disk");
  disk->add_option("--dir", options.dir)->required();
  disk->add_option("--seed", options.seed);
  disk->add_option("--seconds", seconds);
  disk->add_option("--writers", options.writers)->check(CLI::Range(1, 16));
  disk->add_option("--longest-life-ms", options.longest_life_ms)->check(CLI::Range(1, 3'600'000));
  disk->add_option("--readers", options.readers)->check(CLI::Range(0, 16));
  CLI11_PARSE(app, argc, argv);
  return memory->parsed() ? tocsin::stress::Memory(seed, rounds, lives)
                          : tocsin::stress::Disk(options, seconds);
}
