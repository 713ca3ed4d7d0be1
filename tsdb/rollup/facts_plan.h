// FactsPlan: what of a selection is answered with facts or by rollups instead of samples, decided
// once for all its series by the pinned version (TSDB.md 6.11).
//
// - A segment's column facts stand for its columns where the whole file lies in one tile of the
//   caller's wish and nothing else (another file, the head) has samples in its time: then every
//   column of it is all there is of its series there.
// - A rollup whose segment is there stands for the segment where the tiles are made of whole
//   buckets. Buckets that something else has samples in (late rows) are dirty: they are read raw.
// - A rollup whose segment is gone is all there is, whatever is asked: as facts where that was
//   wished for, else as the few samples that it has kept (Resolution::thinned_bucket_ms).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "model/facts.h"
#include "model/sample.h"
#include "model/storage.h"
#include "tsdb/rollup/rollup_store.h"
#include "tsdb/version.h"

namespace tocsin::tsdb {

class FactsPlan {
 public:
  struct Rollup {
    std::shared_ptr<const RollupFile> file;
    uint32_t segment = kNoId;  // that it was made from; kNoId: it is gone
    // Samples in here are read raw, whole buckets; empty: none.
    model::TimeRange dirty{1, 0};

    bool gone() const { return segment == kNoId; }
  };

  FactsPlan() = default;
  // `head`: holds every sample of the head that the selection may meet.
  FactsPlan(const Version& version, const RollupSet& rollups, model::TimeRange range,
            model::TimeRange head, const model::SelectHints& hints);

  // Some series may have facts.
  bool any_facts() const { return any_facts_; }
  const model::FactsWish& wish() const { return wish_; }
  // By number of the segment in the version.
  bool UsesColumnFacts(uint32_t segment) const {
    return segment < column_facts_.size() && column_facts_[segment];
  }
  // The number of the rollup that stands for a segment, or kNoId.
  uint32_t RollupOf(uint32_t segment) const {
    return segment < rollup_of_.size() ? rollup_of_[segment] : kNoId;
  }
  const std::vector<Rollup>& rollups() const { return rollups_; }
  model::Resolution resolution() const { return resolution_; }
  // What is read of a gone rollup: the selection's range, and before it what an instant selector
  // looks back at.
  model::TimeRange ThinnedRange(const Rollup& rollup) const;

 private:
  void PlanColumnFacts(const Version& version, model::TimeRange head);
  void PlanRollups(const Version& version, const RollupSet& rollups, model::TimeRange head);
  // Of one segment's rollups, which ascend by bucket.
  void Choose(const Version& version, std::span<const std::shared_ptr<const RollupFile>> files,
              model::TimeRange head);

  model::TimeRange range_;
  model::FactsWish wish_;
  bool looks_back_ = false;
  bool any_facts_ = false;
  std::vector<bool> column_facts_;
  std::vector<uint32_t> rollup_of_;
  std::vector<Rollup> rollups_;
  model::Resolution resolution_;
};

// The rollups of `rollups` that are all there is of their segments' samples, one of each, and meet
// `range`: what label queries ask beside the segments.
std::vector<std::shared_ptr<const RollupFile>> GoneRollups(const Version& version,
                                                           const RollupSet& rollups,
                                                           model::TimeRange range);

}  // namespace tocsin::tsdb
