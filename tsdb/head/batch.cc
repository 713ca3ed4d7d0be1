#include "tsdb/head/batch.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"
#include "tsdb/codec/histograms.h"
#include "tsdb/wal/records.h"

namespace tocsin::tsdb {
namespace {

// Samples of the thread's last batch, within bounds: mostly the next has as many.
size_t& ThreadBatchSamples() {
  static thread_local size_t samples = 0;
  return samples;
}
constexpr size_t kBatchSamplesKeptMax = 16'384;

}  // namespace

// ----------------------------------------------------------------------------------------------------------
// staging

void HeadBatch::BeginRow(model::SourceWriter& writer, model::Timestamp row_ts_ms,
                         model::RowKind kind) {
  EndRow();
  const auto first = static_cast<uint32_t>(samples_.size());
  if (first == 0) samples_.reserve(ThreadBatchSamples());
  rows_.push_back({&static_cast<HeadSourceWriter&>(writer).source(), row_ts_ms, kind, first, first,
                   false, false});
}

void HeadBatch::Set(model::Slot slot, double value, model::Timestamp own_ts_ms) {
  samples_.push_back({slot, kPlain, value});
  if (own_ts_ms == model::kRowTimestamp) [[likely]]
    return;
  Row& row = rows_.back();
  if (own_ts_ms != row.row_ms) {
    ExtraOf(samples_.back()).own_ms = own_ts_ms;
    row.has_own = true;
  }
}

void HeadBatch::EndRow() {
  if (!rows_.empty()) rows_.back().last_sample = static_cast<uint32_t>(samples_.size());
}

void HeadBatch::SetHistogram(model::Slot slot, const model::Histogram& histogram,
                             model::Timestamp own_ts_ms) {
  Set(slot, 0, own_ts_ms);
  Extra& extra = ExtraOf(samples_.back());
  extra.histogram = true;
  EncodeHistogram(histogram, &extra.encoded);
}

HeadBatch::Extra& HeadBatch::ExtraOf(Sample& sample) {
  if (sample.extra == kPlain) {
    sample.extra = static_cast<uint32_t>(extras_.size());
    extras_.emplace_back();
    rows_.back().has_extras = true;
  }
  return extras_[sample.extra];
}

HeadBatch::Sample* HeadBatch::FindSample(model::Slot slot) {
  for (size_t i = samples_.size(); i > rows_.back().first_sample; --i) {
    if (samples_[i - 1].slot == slot) return &samples_[i - 1];
  }
  return nullptr;
}

void HeadBatch::SetStartTimestamp(model::Slot slot, model::Timestamp start_ts_ms) {
  Sample* sample = FindSample(slot);
  DCHECK(sample != nullptr);
  if (sample != nullptr) ExtraOf(*sample).start_ms = start_ts_ms;
}

void HeadBatch::AddExemplar(model::Slot slot, const model::Exemplar& exemplar) {
  model::Exemplar stamped = exemplar;
  if (!stamped.has_timestamp) stamped.timestamp_ms = rows_.back().row_ms;
  exemplars_.push_back({rows_.back().source, slot, std::move(stamped)});
}

// ----------------------------------------------------------------------------------------------------------
// commit

// Locks the shards of all rows in ascending order: one bit each.
uint64_t HeadBatch::LockShards() {
  uint64_t shards = 0;
  for (const Row& row : rows_) shards |= uint64_t{1} << row.source->shard;
  for (uint64_t rest = shards; rest != 0; rest &= rest - 1)
    head_.shards_[static_cast<size_t>(std::countr_zero(rest))]->mutex.Lock();
  return shards;
}

void HeadBatch::UnlockShards(uint64_t shards) {
  for (; shards != 0; shards &= shards - 1)
    head_.shards_[static_cast<size_t>(std::countr_zero(shards))]->mutex.Unlock();
}

// Before any lock: waits while log buffers are full, and refuses while the log cannot be written or
// the disk has no room.
Status HeadBatch::MakeRoomInLogs(uint64_t shards) {
  if (const DiskBudget* budget = head_.options_.budget; budget != nullptr)
    TOCSIN_RETURN_IF_ERROR(budget->Admit());
  for (; shards != 0; shards &= shards - 1) {
    ShardLog& log = head_.shards_[static_cast<size_t>(std::countr_zero(shards))]->log;
    if (!log.enabled()) return Status::Ok();
    const bool full = log.buffered_bytes() > kLogBufferBytesMax;
    if (full) head_.counters_.backpressure_waits.fetch_add(1, std::memory_order_relaxed);
    if (full || log.failing()) TOCSIN_RETURN_IF_ERROR(log.FlushAll());
  }
  return Status::Ok();
}

// Gives the written frames their number and closes the batch in the logs.
void HeadBatch::Publish(uint64_t shards, const model::CommitOptions& options,
                        model::CommitResult* result) {
  uint64_t touched = 0;
  for (const Written& written : written_) touched |= uint64_t{1} << written.shard;
  for (const RowExemplar& e : exemplars_) touched |= uint64_t{1} << e.source->shard;
  if (!options.marks.empty() && touched == 0) touched = shards & (~shards + 1);
  uint64_t commit = 0;
  {
    MutexLock lock(head_.publish_mutex_);
    commit = head_.commit_number_.load(std::memory_order_relaxed) + 1;
    for (const Written& written : written_)
      written.header->commit.store(commit, std::memory_order_relaxed);
    for (const model::Mark& mark : options.marks)
      head_.SetMark(mark.key, {mark.bytes, commit, touched});
    head_.commit_number_.store(commit, std::memory_order_release);
  }
  result->commit_number = commit;
  std::atomic_thread_fence(std::memory_order_seq_cst);  // see Head::SettledUntil
  const model::Timestamp settled = head_.settled_ms_.load(std::memory_order_seq_cst);
  model::Timestamp latest = model::kMinTimestamp;
  for (const Written& written : written_) {
    RaiseWindowUse(&written.run->uses, written.window_ms, commit);
    head_.shards_[written.shard]->log.NoteUse(written.window_ms, commit);
    latest = std::max(latest, written.header->row_ms);
    if (written.header->row_ms <= settled)
      head_.NoteChange({written.header->row_ms, written.header->row_ms});
  }
  for (const Extra& extra : extras_) {
    if (extra.own_ms != model::kRowTimestamp && extra.own_ms <= settled)
      head_.NoteChange({extra.own_ms, extra.own_ms});
  }
  head_.RaiseNewest(latest);
  head_.RaiseSettled(head_.env_.NowMs());
  for (const RowExemplar& e : exemplars_) {
    Shard& shard = *head_.shards_[e.source->shard];
    if (shard.log.enabled()) {
      // Without samples of its own it may be the first that the log hears of the series.
      head_.LogDictionary(shard, *e.source, e.source->writable_page(e.slot / kFrameSlotsMax));
      PutExemplarRecord(shard.log.buffer(), e.source->id, e.slot, e.exemplar);
    }
    head_.exemplars_.Add(e.source->id, e.slot, e.exemplar, commit);
  }
  for (uint64_t rest = touched; rest != 0; rest &= rest - 1) {
    const auto number = static_cast<uint32_t>(std::countr_zero(rest));
    Shard& shard = *head_.shards_[number];
    if (!shard.log.enabled()) {
      shard.log.Appended();
      continue;
    }
    for (const model::Mark& mark : options.marks) {
      PutMarkRecord(shard.log.buffer(), mark.key, mark.bytes);
      shard.marks[mark.key] = {mark.bytes, commit, touched};
    }
    PutCommitRecord(shard.log.buffer(), commit, touched);
    log_positions_.emplace_back(number, shard.log.Appended());
    if (shard.log.wants_new_file()) head_.StartLogFile(shard);
  }
}

// A duplicate is acknowledged with what it is a copy of, which may be in the log's buffer still, or
// not synced: its writer failed, gave up, or waits just now.
void HeadBatch::AwaitDuplicates(uint64_t shards, const model::CommitResult& result) {
  const bool any = std::any_of(result.refusals.begin(), result.refusals.end(),
                               [](const model::Refusal& refusal) {
                                 return refusal.outcome == model::AppendOutcome::kDuplicate;
                               });
  if (!any) return;
  for (const auto& [number, position] : log_positions_) shards &= ~(uint64_t{1} << number);
  for (; shards != 0; shards &= shards - 1) {
    const auto number = static_cast<uint32_t>(std::countr_zero(shards));
    log_positions_.emplace_back(number, head_.shards_[number]->log.Appended());
  }
}

Status HeadBatch::WaitForLogs(model::Durability durability) {
  bool wake = false;
  for (const auto& [number, position] : log_positions_) {
    ShardLog& log = head_.shards_[number]->log;
    if (durability == model::Durability::kKernel) {
      TOCSIN_RETURN_IF_ERROR(log.Flush(position));
    } else if (durability == model::Durability::kSynced) {
      TOCSIN_RETURN_IF_ERROR(log.Sync(position));
    } else {
      wake = wake || log.buffered_bytes() > kLogWakeBytes;
    }
  }
  if (wake && head_.wake_log_writer) head_.wake_log_writer();
  return Status::Ok();
}

model::CommitResult HeadBatch::Commit(const model::CommitOptions& options) {
  model::CommitResult result;
  EndRow();
  ThreadBatchSamples() = std::min(samples_.size(), kBatchSamplesKeptMax);
  HeadCounters& counters = head_.counters_;
  if (rows_.empty() && options.marks.empty()) {
    result.commit_number = head_.commit_number();
    return result;
  }
  uint64_t wanted = 0;
  for (const Row& row : rows_) wanted |= uint64_t{1} << row.source->shard;
  if (Status status = MakeRoomInLogs(wanted == 0 ? 1 : wanted); !status.ok()) {
    counters.batches_refused.fetch_add(1, std::memory_order_relaxed);
    counters.samples_refused[static_cast<size_t>(model::AppendOutcome::kStorageFull)].fetch_add(
        samples_.size(), std::memory_order_relaxed);
    result.status = std::move(status);
    return result;
  }

  const uint64_t shards = LockShards();
  const uint64_t batch = head_.next_batch_.fetch_add(1, std::memory_order_relaxed);
  for (const Row& row : rows_) {
    repeats_ = repeats_ || row.has_own || row.source->batch == batch;
    row.source->batch = batch;
  }
  const Bounds bounds = MakeBounds(options);
  bool refused = options.all_or_nothing && !JudgeAll(bounds, &result);
  if (!refused) {
    result.refusals.clear();
    std::fill(std::begin(refused_), std::end(refused_), 0);
    BeginWindowInLogs(bounds);
    for (uint32_t r = 0; r < rows_.size(); ++r) WriteRow(r, bounds, &result);
    const bool more = !options.marks.empty() || !exemplars_.empty();
    if (!written_.empty() || (more && shards != 0)) {
      Publish(shards, options, &result);
    } else {
      result.commit_number = head_.commit_number();
    }
    AwaitDuplicates(shards, result);
  }
  UnlockShards(shards);

  if (shards == 0) {  // marks alone
    Shard& shard = *head_.shards_[0];
    MutexLock lock(shard.mutex);
    Publish(1, options, &result);
  }
  for (size_t i = 0; i < std::size(refused_); ++i) {
    if (refused_[i] > 0)
      counters.samples_refused[i].fetch_add(refused_[i], std::memory_order_relaxed);
  }
  if (refused) {
    counters.samples_refused_with_batch.fetch_add(samples_.size() - result.refusals.size(),
                                                  std::memory_order_relaxed);
    counters.batches_refused.fetch_add(1, std::memory_order_relaxed);
    const auto first = std::find_if(result.refusals.begin(), result.refusals.end(),
                                    [](const model::Refusal& refusal) {
                                      return refusal.outcome != model::AppendOutcome::kDuplicate;
                                    });
    result.samples_committed = 0;
    result.status = Status(Code::kInvalidArgument,
                           "batch refused: " + std::string(AppendOutcomeName(first->outcome)));
    return result;
  }
  counters.batches_committed.fetch_add(1, std::memory_order_relaxed);
  counters.rows_committed.fetch_add(rows_.size(), std::memory_order_relaxed);
  counters.samples_committed.fetch_add(result.samples_committed, std::memory_order_relaxed);
  counters.samples_late.fetch_add(late_samples_, std::memory_order_relaxed);
  result.status = WaitForLogs(std::max(options.durability, head_.options_.minimum_durability));
  return result;
}

std::unique_ptr<model::AppendBatch> Head::NewBatch() { return std::make_unique<HeadBatch>(*this); }

}  // namespace tocsin::tsdb
