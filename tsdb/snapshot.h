// DatabaseSnapshot: model::Snapshot over one version of the segments and the head up to one commit
// number. Answers are the union of both; a label set with several addresses (another split into
// source and key, the same source in many segments) is one series.
//
// Deletes are those of the version: a snapshot pinned before a delete goes on seeing what that
// took.
//
// Series are joined by the 128-bit keyed fingerprint of their label sets, the sum of that of their
// source and that of their key; full label sets are built for results only.
//
// Thread-safe. Must not outlive the database.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/storage.h"
#include "tsdb/head/head.h"
#include "tsdb/quarantine.h"
#include "tsdb/rollup/rollup_store.h"
#include "tsdb/version.h"

namespace tocsin::tsdb {

class DatabaseSnapshot final : public model::Snapshot {
 public:
  // `quarantine` hears of damaged segments; queries go on without what is damaged.
  // `rollups` was pinned before `version`; null: none. `readers`, unless null, counts the snapshots
  // that there are.
  DatabaseSnapshot(const Head& head, std::shared_ptr<const Version> version, Quarantine& quarantine,
                   std::shared_ptr<const RollupSet> rollups = nullptr,
                   std::atomic<uint32_t>* readers = nullptr);
  ~DatabaseSnapshot() override;

  uint64_t commit_number() const override { return commit_; }
  Result<std::unique_ptr<model::SeriesSelection>> Select(
      const model::MatcherSet& matchers, model::TimeRange range,
      const model::SelectHints& hints) const override;
  Result<std::vector<std::string>> LabelNames(std::span<const model::MatcherSet> matcher_sets,
                                              model::TimeRange range,
                                              const model::LabelHints& hints) const override;
  Result<std::vector<std::string>> LabelValues(std::string_view name,
                                               std::span<const model::MatcherSet> matcher_sets,
                                               model::TimeRange range,
                                               const model::LabelHints& hints) const override;
  Result<std::vector<model::Labels>> Series(std::span<const model::MatcherSet> matcher_sets,
                                            model::TimeRange range,
                                            const model::LabelHints& hints) const override;
  Result<std::vector<model::ExemplarSeries>> Exemplars(
      std::span<const model::MatcherSet> matcher_sets, model::TimeRange range) const override;

  const Head& head() const { return head_; }
  const Version& version() const { return *version_; }
  const RollupSet& rollups() const { return *rollups_; }
  const HeadIndex::Pin& index() const { return index_; }
  // Deletes that may have taken samples in `range` from rows of the head, and from a segment.
  TombstoneList HeadTombstones(model::TimeRange range) const;
  TombstoneList SegmentTombstones(const SegmentReader& segment, model::TimeRange range) const;
  // For a failed read of a segment: Ok after noting damage (its part of the answer is missing), the
  // status itself for anything else.
  Status SkipDamage(const SegmentReader& segment, Status status) const;

 private:
  bool HeadMeets(model::TimeRange range) const;
  // The segments that meet `range`, and the rollups that stand for segments that are gone.
  std::vector<const SegmentReader*> Files(model::TimeRange range) const;
  // Something in `range` may be deleted: the indexes alone do not tell which labels are left.
  bool DeletesMeet(model::TimeRange range) const;
  // Every source's and key's labels of the series that match and are not wholly deleted.
  Status VisitLabelParts(std::span<const model::MatcherSet> matcher_sets, model::TimeRange range,
                         const model::LabelHints& hints,
                         const std::function<void(const model::Labels&)>& visit) const;

  const Head& head_;
  Quarantine& quarantine_;
  const std::shared_ptr<const RollupSet> rollups_;
  std::atomic<uint32_t>* const readers_;
  // In this order: rows that the version has in segments have numbers up to commit_, and whatever
  // the head still had when the version was pinned is kept by the epoch.
  const std::shared_ptr<const Version> version_;
  const uint64_t commit_;
  const EpochDomain::Pin epoch_;
  const HeadIndex::Pin index_;
};

// The union of two label sets without a common name.
model::Labels JoinLabels(const model::Labels& a, const model::Labels& b);

}  // namespace tocsin::tsdb
