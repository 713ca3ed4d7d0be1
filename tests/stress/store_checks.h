// StoreChecks: what the stress program does with a store beside writing and reading it, each time
// against what a snapshot of it held: rollups and column facts against samples, a snapshot on disk,
// an export to Prometheus' blocks and back, a reader and a second process beside it, its tail.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "expected_state.h"
#include "model/tail.h"
#include "tsdb/database.h"

namespace tocsin::stress {

// Facts in tiles of `tile_ms` against the samples of the same snapshot. Adds to `facts` how many
// runs were given as facts.
Status CheckFacts(const Universe& universe, const model::Snapshot& snapshot, int64_t tile_ms,
                  uint64_t* facts);

// Opens the store that Database::Snapshot wrote to `dir` and gives what it holds; removes it.
Result<Observed> ObserveSnapshotDirectory(const Universe& universe, tsdb::DatabaseOptions options,
                                          const std::string& dir);

// Exports what `snapshot` holds and imports it again; gives what came of it. Uses DIR.blocks and
// DIR.imported, and removes them.
Result<Observed> ObserveRoundTrip(const Universe& universe, const model::Snapshot& snapshot,
                                  tsdb::DatabaseOptions options, const std::string& dir);

// No second process gets the directory of a database that is open.
Status CheckLock(const tsdb::DatabaseOptions& options);

// A tail of the store from its opening on: every row that it gives is one that was written, and
// nothing that was acknowledged since is missing.
class TailCheck final : public model::TailVisitor {
 public:
  TailCheck(const Universe& universe, tsdb::Database* database);

  // Reads on. Without gaps, since no log was lost meanwhile.
  Status Follow();
  // Everything in `acknowledged`, which may be more by now, was given.
  Status Expect(const std::vector<Unit>& acknowledged) const;
  uint64_t samples() const { return samples_; }

  void Row(const model::TailRow& row) override;

 private:
  const Universe& universe_;
  std::unique_ptr<model::Tail> tail_;
  std::vector<uint8_t> given_;  // samples by unit
  uint64_t samples_ = 0;
  uint64_t last_commit_ = 0;
  Status status_;
};

}  // namespace tocsin::stress
