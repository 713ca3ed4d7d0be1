// HeadSourceWriter and HeadBatch: the head's side of model::SourceWriter and model::AppendBatch.
// Rows are staged as they come and touched only in Commit, under the mutexes of their shards.
// batch.cc stages and commits, batch_judge.cc says which samples may be written, batch_write.cc
// writes them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/histogram.h"
#include "model/storage.h"
#include "tsdb/head/head.h"

namespace tocsin::tsdb {

class HeadSourceWriter final : public model::SourceWriter {
 public:
  HeadSourceWriter(Head& head, Source& source) : head_(head), source_(source) {}
  ~HeadSourceWriter() override { head_.CloseWriter(source_); }

  const model::Labels& source_labels() const override { return source_.labels; }
  Result<model::Slot> AddSlot(const model::Labels& key) override {
    return head_.AddSlot(source_, key);
  }
  void ReleaseSlot(model::Slot slot) override { head_.ReleaseSlot(source_, slot); }

  Source& source() const { return source_; }

 private:
  Head& head_;
  Source& source_;
};

class HeadBatch final : public model::AppendBatch {
 public:
  explicit HeadBatch(Head& head) : head_(head) {}

  void BeginRow(model::SourceWriter& writer, model::Timestamp row_ts_ms,
                model::RowKind kind) override;
  void Set(model::Slot slot, double value, model::Timestamp own_ts_ms) override;
  void SetHistogram(model::Slot slot, const model::Histogram& histogram,
                    model::Timestamp own_ts_ms) override;
  void SetStartTimestamp(model::Slot slot, model::Timestamp start_ts_ms) override;
  void AddExemplar(model::Slot slot, const model::Exemplar& exemplar) override;
  model::CommitResult Commit(const model::CommitOptions& options) override;

 private:
  static constexpr uint32_t kPlain = UINT32_MAX;

  struct Row {
    Source* source;
    model::Timestamp row_ms;
    model::RowKind kind;
    uint32_t first_sample;
    uint32_t last_sample;  // one past; known from EndRow on
    bool has_extras;
    bool has_own;
  };
  struct Sample {
    uint32_t slot;
    uint32_t extra;  // index into extras_, or kPlain
    double value;
  };
  struct Extra {
    model::Timestamp own_ms = model::kRowTimestamp;
    model::Timestamp start_ms = 0;
    bool histogram = false;
    std::string encoded;  // of the histogram
  };
  struct RowExemplar {
    Source* source;
    model::Slot slot;
    model::Exemplar exemplar;
  };
  // A frame that waits for its commit number.
  struct Written {
    FrameHeader* header;
    Run* run;
    uint32_t shard;
    model::Timestamp window_ms;
  };
  // What the verdicts of one commit refer to.
  struct Bounds {
    model::Timestamp now_ms;
    model::Timestamp future_ms;  // beyond: kTooFarInFuture
    model::Timestamp late_ms;    // late samples from here on
    model::Timestamp first_ms;   // first samples of a slot from here on
    bool late_allowed;
  };
  // State of slots that the batch touches more than once, while it is only being judged.
  class Overlay;
  struct Verdict {
    model::AppendOutcome outcome;
    bool late;
  };

  void EndRow();  // whatever was Set since BeginRow is its
  Extra& ExtraOf(Sample& sample);
  Sample* FindSample(model::Slot slot);
  bool Stale(const Sample& sample) const;
  model::Timestamp TimeOf(const Row& row, const Sample& sample) const;
  // Of the row's sample in slot `at` of `page`, as the page is now.
  Verdict JudgeNow(const Page& page, uint32_t at, const Row& row, const Sample& sample,
                   const Bounds& bounds) const;
  Verdict Judge(const SlotHistory& history, const Row& row, const Sample& sample,
                const Bounds& bounds) const;

  // From LockShards to UnlockShards all of the batch's shards are locked: a set that the lock
  // analysis cannot follow.
  uint64_t LockShards() NO_THREAD_SAFETY_ANALYSIS;
  void UnlockShards(uint64_t shards) NO_THREAD_SAFETY_ANALYSIS;
  Status MakeRoomInLogs(uint64_t shards);
  Bounds MakeBounds(const model::CommitOptions& options) const;
  bool InOrderAtSight(const Row& row, const Bounds& bounds) const;
  bool JudgeAll(const Bounds& bounds, model::CommitResult* result);
  void WriteRow(uint32_t row_number, const Bounds& bounds, model::CommitResult* result);
  // The rows begin a half hour: so does a log file, and the one before can be dropped, unread by
  // the next start, as soon as its half hour is sealed.
  void BeginWindowInLogs(const Bounds& bounds) NO_THREAD_SAFETY_ANALYSIS;
  // `begin` to `end` in samples_: the row's samples in this page.
  void WritePage(uint32_t row_number, Page& page, uint32_t begin, uint32_t end,
                 const Bounds& bounds, model::CommitResult* result);
  bool WritePlainRow(const Row& row, Page& page, std::span<const Sample> samples,
                     const Bounds& bounds);
  // What a plain row is about, a bit a slot; the values are in the thread's dense row.
  struct PlainSets;
  static bool Spread(const Row& row, const Page& page, std::span<const Sample> samples,
                     PlainSets* sets);
  // The usual late rows: floats, each of them older than its slot's last. False when it is another
  // kind; then nothing has happened.
  bool WriteLateRow(const Row& row, Page& page, std::span<const Sample> samples,
                    const Bounds& bounds);
  void WriteRound(uint32_t row_number, Page& page, bool first_round, std::vector<uint32_t>* samples,
                  const Bounds& bounds, model::CommitResult* result);
  void AddItem(FrameEncoder& encoder, const Row& row, const Page& page, const Sample& sample,
               uint32_t at);
  // Before the row's frames: a run of the page for them, and in the log its keys and the state that
  // the run starts from. The encoder is the shard's.
  FrameEncoder& PrepareFrames(Source& source, Page& page,
                              model::Timestamp row_ms) NO_THREAD_SAFETY_ANALYSIS;
  void StoreFrame(Source& source, Page& page, model::Timestamp row_ms,
                  FrameEncoder& encoder) NO_THREAD_SAFETY_ANALYSIS;
  void Refuse(uint32_t row_number, const Sample& sample, model::AppendOutcome outcome,
              model::CommitResult* result);
  void Publish(uint64_t shards, const model::CommitOptions& options,
               model::CommitResult* result) NO_THREAD_SAFETY_ANALYSIS;
  void AwaitDuplicates(uint64_t shards,
                       const model::CommitResult& result) NO_THREAD_SAFETY_ANALYSIS;
  Status WaitForLogs(model::Durability durability);

  Head& head_;
  std::vector<Row> rows_;
  std::vector<Sample> samples_;
  std::vector<Extra> extras_;
  std::vector<RowExemplar> exemplars_;
  // Scratch of Commit.
  std::vector<Written> written_;
  std::vector<std::pair<uint32_t, uint64_t>> log_positions_;  // shard, position to wait for
  uint64_t late_samples_ = 0;
  uint64_t refused_[8] = {};
  bool repeats_ = false;  // a slot may occur in several rows, or twice in one
};

}  // namespace tocsin::tsdb
