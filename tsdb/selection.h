// Selection: the series of one Select, each with its addresses, and the reader of their columns.
//
// Thread-safe once built; a reader belongs to one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "model/storage.h"
#include "tsdb/rollup/facts_plan.h"
#include "tsdb/snapshot.h"

namespace tocsin::tsdb {

class Selection final : public model::SeriesSelection {
 public:
  // One place where samples of a series are: a column of a segment, or a slot of the head.
  struct Address {
    static constexpr uint32_t kHead = UINT32_MAX;
    // From here on numbers are of rollups in the plan.
    static constexpr uint32_t kRollups = 1U << 30;
    uint32_t segment;  // index into the version's segments, or kHead
    uint32_t next;     // the series' next address; kNoId ends
    ColumnRef ref;     // head: source, key, slot in `offset`

    bool in_rollup() const { return segment >= kRollups && segment != kHead; }
    uint32_t rollup() const { return segment - kRollups; }
  };

  static Result<std::unique_ptr<Selection>> Make(const DatabaseSnapshot& snapshot,
                                                 const model::MatcherSet& matchers,
                                                 model::TimeRange range,
                                                 const model::SelectHints& hints);

  size_t size() const override { return series_.size(); }
  model::Labels LabelsAt(size_t series) const override;
  std::unique_ptr<model::ColumnReader> NewReader() const override;
  void Group(bool without, std::span<const std::string> names,
             std::vector<uint32_t>* group_of_series,
             std::vector<model::Labels>* groups) const override;

  const DatabaseSnapshot& snapshot() const { return snapshot_; }
  model::TimeRange range() const { return range_; }
  model::Resolution resolution() const override;
  // A series was read from what this rollup has kept of its samples though facts were wished for.
  void NoteThinned(const FactsPlan::Rollup& rollup) const;
  const FactsPlan& facts_plan() const { return facts_plan_; }
  bool times_only() const { return times_only_; }
  bool newest_only() const { return newest_only_; }
  const Address& address(uint32_t i) const { return addresses_[i]; }
  size_t address_count() const { return addresses_.size(); }
  uint32_t first_address(size_t series) const { return series_[series]; }
  // Every sample of the address, which is in a segment, is older than `t`.
  bool OlderThan(const Address& address, model::Timestamp t) const {
    return address.segment < Address::kRollups &&
           snapshot_.version().segments[address.segment]->meta().range.max_ms < t;
  }
  // What deletes took from the address' samples.
  std::span<const DeletedSpan> deleted(uint32_t address) const {
    if (deleted_of_.empty()) return {};
    const auto found = deleted_of_.find(address);
    return found == deleted_of_.end() ? std::span<const DeletedSpan>() : deleted_[found->second];
  }
  // The labels of every source and every key that some series has, each once a place.
  void VisitLabelParts(const std::function<void(const model::Labels&)>& visit) const;

 private:
  class Joiner;

  Selection(const DatabaseSnapshot& snapshot, model::TimeRange range,
            const model::SelectHints& hints)
      : snapshot_(snapshot),
        range_(range),
        times_only_(hints.times_only),
        newest_only_(hints.newest_only) {}
  Status SelectHead(const model::MatcherSet& matchers, Joiner* joiner);
  Status SelectSegments(const model::MatcherSet& matchers, Joiner* joiner);
  Status SelectSegment(const SegmentReader& segment, uint32_t number,
                       const model::MatcherSet& matchers, Joiner* joiner);
  // True when nothing of the slot of the head's page is left within the range. Clears `batch`.
  static bool NothingLeft(PageReader* page, model::Slot slot, std::span<const DeletedSpan> spans,
                          model::ColumnBatch* batch);
  // Remembers them for the address that is added next.
  void NoteDeleted(std::span<const DeletedSpan> spans);
  void Sort();
  struct SourceRank;
  SourceRank RankOf(const Address& address) const;
  void OrderAddresses();
  // Of an address that is not in the head.
  const SegmentReader& FileOf(const Address& address) const;
  model::Labels SourcePart(const Address& address) const;
  model::Labels KeyPart(const Address& address) const;

  const DatabaseSnapshot& snapshot_;
  const model::TimeRange range_;
  const bool times_only_;
  const bool newest_only_;
  std::vector<Address> addresses_;
  std::vector<uint32_t> series_;  // first address of each
  // Holds every sample of the pages that were selected.
  model::TimeRange head_range_{model::kMaxTimestamp, model::kMinTimestamp};
  FactsPlan facts_plan_;
  mutable std::atomic<int64_t> thinned_bucket_ms_{0};
  mutable std::atomic<model::Timestamp> thinned_until_ms_{model::kMinTimestamp};
  // Few series are deleted: a table beside the addresses.
  std::vector<std::vector<DeletedSpan>> deleted_;
  std::unordered_map<uint32_t, uint32_t> deleted_of_;  // address → place in deleted_
};

}  // namespace tocsin::tsdb
