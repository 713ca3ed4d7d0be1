// The storage as everyone else sees it: Appender (write), Queryable (read), Tail (follow: tail.h).
// collector/ and alerting/ write through Appender, query/ and api/ read through Queryable; none of
// them knows tsdb/.
//
//   write:  SourceWriter = Appender::OpenSource(origin, labels)      once per target, sender or
//   rule
//           slot = writer.AddSlot(key)                               once per series of it
//           batch = Appender::NewBatch(); batch.BeginRow(writer, ts); batch.Set(slot, v) …;
//           batch.Commit(options)
//   read:   snapshot = Queryable::Pin(); selection = snapshot.Select(matchers, range, hints)
//           reader = selection.NewReader(); reader.Read(first, count, &columns) …
//
// A series *is* its full label set; (source, key) is only its address, and one label set may have
// several addresses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/facts.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/metadata.h"
#include "model/sample.h"

namespace tocsin::model {

// ----------------------------------------------------------------------------------------------------------
// writing

// What became of one sample. One byte, no string: every value has its counter
// (tocsin_lost_samples_total{reason}).
enum class AppendOutcome : uint8_t {
  kOk,
  kDuplicate,           // same timestamp and same value as stored: dropped, not an error
  kDuplicateTimestamp,  // same timestamp, another value
  kOutOfOrder,          // older than the slot's last sample while the late window is 0
  kTooOld,              // older than the late window allows
  kTooFarInFuture,      // more than kMaxFutureMs ahead of now
  kOverLimit,           // a series or source limit was reached
  kStorageFull,         // free-space floor reached
};
std::string_view AppendOutcomeName(AppendOutcome outcome);  // "ok", "duplicate", "out_of_order", …

// Receivers and scrapes refuse samples further in the future than this.
inline constexpr int64_t kMaxFutureMs = 10 * 60 * 1000;

enum class OriginKind : uint8_t { kScrape = 0, kPush = 1, kRule = 2, kInternal = 3 };

// Who samples a source. Part of the source's identity, never a label: `id` is e.g. "job/url", a
// sender, a rule's path.
struct Origin {
  OriginKind kind = OriginKind::kInternal;
  std::string id;
  friend bool operator==(const Origin&, const Origin&) = default;
};

using Slot = uint32_t;
inline constexpr Slot kNoSlot = UINT32_MAX;
// "The sample has its row's timestamp."
inline constexpr Timestamp kRowTimestamp = kMinTimestamp;

// A handle on one source. One thread at a time; must not outlive its Appender. Destroying it only
// closes the handle.
class SourceWriter {
 public:
  virtual ~SourceWriter() = default;
  virtual const Labels& source_labels() const = 0;
  // The slot of `key` (metric name + own labels; shares no label name with the source: else
  // kInvalidArgument), added on first use. Stable until ReleaseSlot. kResourceExhausted over a
  // series limit.
  virtual Result<Slot> AddSlot(const Labels& key) = 0;
  // The caller will not use the slot again (its line is gone and was marked stale); storage may
  // recycle it.
  virtual void ReleaseSlot(Slot slot) = 0;
};

enum class RowKind : uint8_t {
  kFull,     // a whole sampling: a live slot that is not Set has no sample at this row
  kPartial,  // only the slots that are Set are sampled (pushes, rules)
};

// Opaque bytes committed with the rows (for example Kafka offsets).
struct Mark {
  std::string key;
  std::string bytes;
};

enum class Durability : uint8_t {
  kGrouped,  // with the kernel within 100 ms (scrapes, rules)
  kKernel,   // Commit returns once the bytes are with the kernel: survives kill -9 (acknowledged
             // pushes)
  kSynced,   // Commit returns after fdatasync: survives power loss
};

struct CommitOptions {
  Durability durability = Durability::kGrouped;
  // True: one refused sample (kDuplicate aside) refuses the whole batch, nothing is written (remote
  // write 1.0). False: refused samples are left out, the rest is committed (scrapes).
  bool all_or_nothing = false;
  // Late samples older than the window are accepted this much further (scrape path).
  int64_t extra_late_ms = 0;
  std::span<const Mark> marks;
};

struct Refusal {
  uint32_t row;  // index of the BeginRow call in the batch
  Slot slot;
  Timestamp timestamp_ms;
  AppendOutcome outcome;
};

struct CommitResult {
  Status status;  // not ok: nothing was committed (kIo, kNoSpace, or all_or_nothing with refusals)
  uint64_t commit_number = 0;
  uint64_t samples_committed = 0;
  std::vector<Refusal> refusals;  // every sample that was not kept, kDuplicate included
};

// Rows published together: readers see all of them or none. A scrape with its derived sources, or a
// whole push request, is one batch. Nothing is visible or durable before Commit; destroying an
// uncommitted batch drops it. One thread.
class AppendBatch {
 public:
  virtual ~AppendBatch() = default;
  // Starts a row of `writer` (which must outlive the batch); the Set calls that follow belong to
  // it.
  virtual void BeginRow(SourceWriter& writer, Timestamp row_ts_ms, RowKind kind) = 0;
  // At most once per slot and own timestamp in a row. `own_ts_ms` differs from the row's only where
  // the exposition carried a timestamp.
  virtual void Set(Slot slot, double value, Timestamp own_ts_ms = kRowTimestamp) = 0;
  virtual void SetHistogram(Slot slot, const Histogram& histogram,
                            Timestamp own_ts_ms = kRowTimestamp) = 0;
  // The start (creation) timestamp of the sample just Set.
  virtual void SetStartTimestamp(Slot slot, Timestamp start_ts_ms) = 0;
  virtual void AddExemplar(Slot slot, const Exemplar& exemplar) = 0;
  virtual CommitResult Commit(const CommitOptions& options) = 0;
};

// Thread-safe.
class Appender {
 public:
  virtual ~Appender() = default;
  // Opens (or makes) the source (origin, labels). Two handles on one source may be open at once.
  virtual Result<std::unique_ptr<SourceWriter>> OpenSource(const Origin& origin,
                                                           const Labels& labels) = 0;
  virtual std::unique_ptr<AppendBatch> NewBatch() = 0;
  // The labels of every source of `origin` that has recent samples: where a writer that forgot
  // finds again what it had opened.
  virtual void VisitSources(const Origin& /*origin*/,
                            const std::function<void(const Labels&)>& /*visit*/) const {}
};

// ----------------------------------------------------------------------------------------------------------
// reading

// What the caller will do with the samples. Hints never change an answer, only its cost, and, with
// `facts`, its form: a column is then given as facts where the store has them.
struct SelectHints {
  bool sorted = false;        // the selection is in label order (Labels::Compare)
  size_t limit = 0;           // at most this many series; 0 = all
  int64_t step_ms = 0;        // of a range query; 0 = instant
  int64_t range_ms = 0;       // of a range selector
  std::string_view function;  // that the samples go to: "rate", "sum_over_time", …
  FactsWish facts;
  // Only when samples are, of which kind, and which are staleness markers, matters: values of
  // others may be anything.
  bool times_only = false;
  // Only the newest sample in the range matters: older ones may be left out where it is a float.
  bool newest_only = false;
  // Asked before the selection takes this many bytes more, as often as it grows; an error ends it
  // with that error. A store need not ask.
  std::function<Status(uint64_t bytes)> charge;
};

// The samples of one series, ascending in time, staleness markers included. Views into the
// ColumnBatch that holds it.
struct Column {
  std::span<const Timestamp>
      timestamps;                  // of the float samples; often shared with neighbouring columns
  std::span<const double> values;  // same length
  std::span<const Timestamp> histogram_timestamps;
  std::span<const Histogram* const> histograms;  // same length
  std::span<const Timestamp>
      start_timestamps;  // of the float samples, 0 = none; empty when there are none at all
  std::span<const Timestamp> histogram_start_timestamps;
  bool constant = false;       // every float value has the same bits
  bool may_hold_stale = true;  // false: no staleness marker among the values
  // Instead of all of the above, ascending in time: only where SelectHints::facts asked for them.
  std::span<const Facts> facts;
};

// How coarse the samples or facts of a selection are. Rollups stand for raw samples that are past
// their retention, and, as facts, for those that are still there.
struct Resolution {
  int64_t bucket_ms = 0;  // of the coarsest rollup that is used; 0: raw samples only
  // Samples up to here are what rollups have kept of them: first and last ones of buckets of
  // thinned_bucket_ms, so that answers are near the truth at best. Nothing is where it is 0.
  int64_t thinned_bucket_ms = 0;
  Timestamp thinned_until_ms = kMinTimestamp;
};

// Decoded columns of neighbouring series and the memory that they view. Reused from call to call:
// Read overwrites it.
class ColumnBatch {
 public:
  std::vector<Column> columns;  // columns[i] belongs to series first + i of the Read call

  // Memory for decoders: valid until Clear. Buffers are kept and reused.
  Timestamp* NewTimestamps(size_t count);
  double* NewValues(size_t count);
  Facts* NewFacts(size_t count);
  const Histogram** NewHistogramPointers(size_t count);
  Histogram* NewHistogram();
  void Clear();
  size_t allocated_bytes() const { return allocated_bytes_; }

  ColumnBatch();
  ~ColumnBatch();
  ColumnBatch(ColumnBatch&&) noexcept;
  ColumnBatch& operator=(ColumnBatch&&) noexcept;

 private:
  struct Chunk {
    std::unique_ptr<uint64_t[]> words;
    size_t capacity = 0;
    size_t used = 0;
  };
  uint64_t* NewWords(size_t count);

  std::vector<Chunk> chunks_;
  size_t current_chunk_ = 0;
  std::vector<std::unique_ptr<Histogram>> histograms_;
  size_t histograms_used_ = 0;
  size_t allocated_bytes_ = 0;
};

// Reads the columns of one selection; holds decoder state and caches (timestamps decoded once per
// source). One thread at a time; several readers of one selection may run in parallel.
class ColumnReader {
 public:
  virtual ~ColumnReader() = default;
  // Decodes series [first, first + count) over the range given to Select into `batch` (cleared
  // first).
  virtual Status Read(size_t first, size_t count, ColumnBatch* batch) = 0;
};

// The series that matched, as of the snapshot. Neighbours share timestamps where that is possible,
// unless sorted was asked for. Thread-safe. Must not outlive its Snapshot.
class SeriesSelection {
 public:
  virtual ~SeriesSelection() = default;
  virtual size_t size() const = 0;
  virtual Labels LabelsAt(size_t series) const = 0;  // materialised on each call
  virtual std::unique_ptr<ColumnReader> NewReader() const = 0;
  virtual Resolution resolution() const { return {}; }

  // Groups the series by (or without) label names: fills group_of_series with one id a series and
  // groups with each id's labels. `without` also drops the metric name. The default asks LabelsAt;
  // a store may know cheaper ways.
  virtual void Group(bool without, std::span<const std::string> names,
                     std::vector<uint32_t>* group_of_series, std::vector<Labels>* groups) const;
};

using MatcherSet = std::vector<Matcher>;

// How much of names, values or series a label call may answer with.
struct LabelHints {
  LabelHints() = default;
  LabelHints(size_t most) : limit(most) {}  // NOLINT: most callers have nothing but a limit

  size_t limit = 0;  // at most this many; 0 = all
  // As of SelectHints: asked as the answer grows; an error ends the call with that error.
  std::function<Status(uint64_t bytes)> charge;
};

struct ExemplarSeries {
  Labels series_labels;
  std::vector<Exemplar> exemplars;
};

// One pinned state of the store: later commits, seals and deletes do not change its answers.
// Thread-safe.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  virtual uint64_t commit_number() const = 0;
  // Series with all matchers true that may have samples in `range`.
  virtual Result<std::unique_ptr<SeriesSelection>> Select(const MatcherSet& matchers,
                                                          TimeRange range,
                                                          const SelectHints& hints) const = 0;
  // The label calls answer from the index, without samples. `matcher_sets` are or-ed; none =
  // everything. Sorted.
  virtual Result<std::vector<std::string>> LabelNames(std::span<const MatcherSet> matcher_sets,
                                                      TimeRange range,
                                                      const LabelHints& hints) const = 0;
  virtual Result<std::vector<std::string>> LabelValues(std::string_view name,
                                                       std::span<const MatcherSet> matcher_sets,
                                                       TimeRange range,
                                                       const LabelHints& hints) const = 0;
  virtual Result<std::vector<Labels>> Series(std::span<const MatcherSet> matcher_sets,
                                             TimeRange range, const LabelHints& hints) const = 0;
  virtual Result<std::vector<ExemplarSeries>> Exemplars(std::span<const MatcherSet> matcher_sets,
                                                        TimeRange range) const = 0;
};

// Thread-safe.
class Queryable {
 public:
  virtual ~Queryable() = default;
  virtual std::unique_ptr<Snapshot> Pin() const = 0;
  // Rises whenever anything in `range` before the newest row changes (late samples, deletes):
  // result caches key on it.
  virtual uint64_t ChangeNumber(TimeRange range) const = 0;
};

}  // namespace tocsin::model
