// ScrapeRows: the rows of one target in storage. Holds the target's own source, its derived sources
// and the automatic series, and makes one batch a scrape: the own source's row with the page's
// samples and the automatic series, then a row for each derived source that has something to say.
//
// Owned by the scrape thread that runs the target.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "collector/sample_labels.h"
#include "collector/scrape_config.h"
#include "collector/target.h"
#include "model/storage.h"

namespace tocsin::collector {

// What a line of the page became: eight bytes, kept for every series of every target.
struct LineState {
  static constexpr uint8_t kDropped = 1;  // by metric relabelling
  static constexpr uint8_t kRefused = 2;  // storage would not have the series: asked again
  static constexpr uint8_t kOwnTimestamp =
      4;                                   // last seen with a timestamp of its own: no staleness
  static constexpr uint8_t kShared = 8;    // another line or an automatic series has this slot
  static constexpr uint8_t kDerived = 16;  // of a derived source

  model::Slot slot = model::kNoSlot;
  uint16_t source = 0;  // 0 = the target's own
  uint8_t flags = 0;
  BoundLabels bounds = BoundLabels::kNone;

  bool has_series() const { return (flags & (kDropped | kRefused)) == 0; }
};
static_assert(sizeof(LineState) == 8);

// The numbers of one scrape.
struct ScrapeReport {
  bool up = false;
  double duration_s = 0;
  uint64_t samples_scraped = 0;
  uint64_t samples_post_relabel = 0;
  uint64_t series_added = 0;
  int64_t body_bytes = 0;  // -1 = over the limit
};

// A set of slots, per source. Slots are places in a layout, so a bitmap is small.
class SlotSet {
 public:
  bool Has(uint16_t source, model::Slot slot) const;
  bool Insert(uint16_t source, model::Slot slot);  // true when it was not there
  void Clear() { bits_.clear(); }

 private:
  std::vector<std::vector<uint64_t>> bits_;
};

class ScrapeRows {
 public:
  // More pairs of job and instance than this share one derived source: bounds what a hostile
  // federation page can open.
  static constexpr size_t kDerivedSourcesMax = 4096;

  ScrapeRows(const ScrapeConfig& config, const Target& target, model::Appender* appender);

  // Opens the target's source on first use. An error: nothing of the target can be stored now.
  Status Open();
  // The place of a series; kRefused when storage is over a limit, kDropped when relabelling said
  // so.
  LineState Resolve(const SeriesAddress& address, const Target& target);
  void Release(const LineState& line);
  const model::Labels& SourceLabels(const LineState& line) const {
    return sources_[line.source].labels;
  }
  // The address of a slot of another recorder of this target; null when its source cannot be
  // opened.
  std::optional<LineState> LineOf(const model::Labels& source, model::Slot slot);

  // Begins a batch with the own source's row. Drops an uncommitted one.
  void Start(model::Timestamp start_ms);
  void Drop();
  bool started() const { return batch_ != nullptr; }
  void SetOwn(model::Slot slot, double value) { batch_->Set(slot, value); }
  void Set(const LineState& line, double value, model::Timestamp own_ts_ms,
           const model::Exemplar* exemplar);
  void SetStale(const LineState& line);
  // Adds the automatic series, but for those in `shadowed` (the page itself has them), and commits.
  model::CommitResult Commit(const ScrapeReport& report, const SlotSet& shadowed);
  // Staleness markers for the automatic series too, then commits: the target is gone.
  model::CommitResult CommitEnd();

  bool IsAutomatic(const LineState& line) const;
  // Marks the automatic series' slots in `set`.
  void InsertAutomatic(SlotSet* set) const;
  uint64_t refused_series() const { return refused_series_; }

 private:
  struct Source {
    model::Labels labels;
    std::unique_ptr<model::SourceWriter> writer;
  };
  struct PendingSample {
    uint16_t source;
    model::Slot slot;
    model::Timestamp own_ts_ms;
    double value;
    size_t exemplar;  // index into exemplars_, or kNone
  };
  static constexpr size_t kNone = SIZE_MAX;
  static constexpr size_t kAutomaticMax = 8;

  Result<uint16_t> FindSource(const model::Labels& labels);
  void SetAutomatic(const ScrapeReport& report, const SlotSet& shadowed);
  model::CommitResult CommitRows();

  model::Appender* const appender_;
  const model::Origin origin_;
  const model::Labels target_labels_;
  const int64_t scrape_timeout_ms_;
  const uint64_t sample_limit_;
  const size_t automatic_count_;

  std::vector<Source> sources_;
  std::unordered_map<model::Labels, uint16_t, model::LabelsHash> derived_;
  std::array<model::Slot, kAutomaticMax> automatic_;
  uint64_t refused_series_ = 0;

  // The batch in the making.
  std::unique_ptr<model::AppendBatch> batch_;
  model::Timestamp start_ms_ = 0;
  std::vector<PendingSample> pending_;  // of derived sources
  std::vector<model::Exemplar> exemplars_;
};

}  // namespace tocsin::collector
