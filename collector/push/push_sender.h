// PushSender: the push groups of one sender, and the batch of its request in the making. A push
// group is a source: series of one (job, instance) of the sender. Which other labels they all have
// in common (cluster, node, team) is learnt from requests that bring many series of a new (job,
// instance) at once; these name the source, too, and only the rest are keys, which then are the
// same for every target of a job: a series costs the index nothing instead of a hundred bytes
// (push_split.h). A series that differs goes to the source of (job, instance) alone.
//
//   ref = sender.Find(sender.Prefetch(raw_labels));
//   unknown:      ref = sender.Resolve(raw_labels, labels);
//   still unknown: sender.BeginLesson(); sender.Teach(labels of each series of the request);
//                 sender.EndLesson(); ref = sender.Resolve(raw_labels, labels)
//   sender.Add(ref, timestamp, value); …
//   CommitResult result = sender.Commit(options);     // rows: one per group and timestamp
//
// One thread at a time (remote_write.cc holds the sender's mutex).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "collector/push/known_series.h"
#include "collector/push/push_split.h"
#include "model/storage.h"

namespace tocsin::collector {

// Bounds shared by all senders.
struct PushLimits {
  size_t known_series_bytes_max = 0;
  size_t groups_max = 0;
  std::atomic<size_t> groups{0};
  std::atomic<size_t> known_series_bytes{0};
};

class PushSender {
 public:
  // Series not seen for so long are forgotten and their slots given back.
  static constexpr int64_t kForgetAfterMs = 2 * 60 * 60 * 1000;
  static constexpr int64_t kSweepEveryMs = 10 * 60 * 1000;

  PushSender(Env* env, model::Appender* appender, const LabelHasher* hasher, PushLimits* limits,
             std::string name);
  ~PushSender();

  enum class Fate : uint8_t {
    kStored,
    kDropped,  // no name, or invalid or repeated labels: left out without a word
    kRefused,  // a limit on series or groups was reached
    kUnknown,  // Find: not seen yet. Resolve: a lesson may help, at most once a request
  };
  struct SeriesRef {
    Fate fate = Fate::kUnknown;
    uint32_t group = 0;
    model::Slot slot = model::kNoSlot;
  };

  // Hash and Prefetch for a few series ahead, then Find each.
  LabelHasher::Hash Prefetch(std::string_view raw_labels) const {
    const LabelHasher::Hash hash = (*hasher_)(raw_labels);
    known_.Prefetch(hash);
    return hash;
  }
  SeriesRef Find(const LabelHasher::Hash& hash);
  // `labels` in any order. Remembers what it found under `raw_labels` (unless that is ""), but for
  // refusals.
  SeriesRef Resolve(std::string_view raw_labels, std::vector<model::LabelView> labels);
  // Shows all series of the request, whose bytes must live until EndLesson.
  void BeginLesson();
  void Teach(std::vector<model::LabelView> labels);
  void EndLesson();

  void Begin();  // forgets what was added and not committed
  void Add(const SeriesRef& ref, model::Timestamp timestamp_ms, double value);
  void AddHistogram(const SeriesRef& ref, model::Timestamp timestamp_ms,
                    model::Histogram histogram);
  void AddExemplar(const SeriesRef& ref, model::Exemplar exemplar);
  // A sample that comes twice in the request is taken once; `*duplicates` counts the others.
  model::CommitResult Commit(const model::CommitOptions& options, uint64_t* duplicates);

  size_t known_series() const { return known_.size(); }
  size_t groups() const { return groups_.size() - free_groups_.size(); }

 private:
  struct SlotUse {
    uint32_t row = 0;         // serial of the last row that set it
    uint32_t references = 0;  // entries of known_ that lead to it
    uint32_t resolved_s = 0;  // when Resolve last led to it
  };
  struct Group {
    std::unique_ptr<model::SourceWriter> writer;
    std::vector<SlotUse> slots;
    uint32_t last_row = kNone;  // index into rows_ of the request in the making
    uint32_t references = 0;    // of all slots
    uint32_t resolved_s = 0;    // the latest of all slots
  };
  struct Row {
    uint32_t group;
    model::Timestamp timestamp_ms;
    uint32_t first = kNone;  // index into cells_
    uint32_t last = kNone;
    uint32_t first_exemplar = kNone;
  };
  struct Cell {
    double value;
    model::Slot slot;
    uint32_t next;       // of the same row
    uint32_t histogram;  // index into histograms_, or kNone
  };
  struct PendingExemplar {
    model::Slot slot;
    uint32_t next;
    model::Exemplar exemplar;
  };
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr size_t kCellsKeptMax = 100'000;

  Result<uint32_t> OpenGroup(const model::Labels& labels);
  void CloseIdleGroups(int64_t older_than_s);
  void Remember(std::string_view raw_labels, const SeriesRef& ref);
  Row& RowAt(uint32_t group, model::Timestamp timestamp_ms);
  void AddCell(const SeriesRef& ref, model::Timestamp timestamp_ms, double value,
               uint32_t histogram);
  void EmitRow(const Row& row, model::AppendBatch* batch, uint64_t* duplicates);
  void SweepIfDue();
  void Sweep(int64_t older_than_s);

  Env* const env_;
  model::Appender* const appender_;
  const LabelHasher* const hasher_;
  PushLimits* const limits_;
  const std::string name_;

  KnownSeries known_;
  std::vector<Group> groups_;
  std::vector<uint32_t> free_groups_;  // without a writer: to be used again
  PushSplit split_;
  int64_t now_s_ = 0;
  int64_t next_sweep_ms_ = 0;
  uint32_t row_serial_ = 0;
  bool lesson_given_ = false;  // in this request

  // The request in the making.
  std::vector<Row> rows_;
  std::unordered_map<uint64_t, uint32_t> row_index_;  // hash of (group, timestamp) → rows_
  std::vector<Cell> cells_;
  std::vector<model::Histogram> histograms_;
  std::vector<PendingExemplar> exemplars_;
};

}  // namespace tocsin::collector
