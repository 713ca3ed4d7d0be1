#include "tsdb/head/batch.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "tsdb/codec/histograms.h"
#include "tsdb/wal/records.h"

namespace tocsin::tsdb {
namespace {

constexpr uint32_t kWords = kFrameSlotsMax / 64;

// One page's row, spread out by slot: 48 KiB that each thread keeps.
struct DenseRow {
  uint64_t bits[kFrameSlotsMax];
  uint32_t sample[kFrameSlotsMax];
};
DenseRow& ThreadDenseRow() {
  static thread_local DenseRow row;
  return row;
}

// Samples of the thread's last batch, within bounds: mostly the next has as many.
size_t& ThreadBatchSamples() {
  static thread_local size_t samples = 0;
  return samples;
}
constexpr size_t kBatchSamplesKeptMax = 16'384;

model::Timestamp Before(model::Timestamp t, int64_t duration_ms) {
  return t < model::kMinTimestamp + duration_ms ? model::kMinTimestamp : t - duration_ms;
}

}  // namespace

// Open addressing over (page, slot).
class HeadBatch::Overlay {
 public:
  explicit Overlay(size_t samples) : entries_(std::bit_ceil(2 * samples + 16)) {}

  SlotHistory& At(const Page& page, uint32_t slot) {
    const size_t mask = entries_.size() - 1;
    size_t i = ((reinterpret_cast<uintptr_t>(&page) >> 6) + slot) * 0x9e3779b97f4a7c15ull >> 20;
    for (i &= mask;; i = (i + 1) & mask) {
      Entry& entry = entries_[i];
      if (entry.page == &page && entry.slot == slot) return entry.history;
      if (entry.page == nullptr) {
        entry = {&page, slot, page.History(slot)};
        return entry.history;
      }
    }
  }

 private:
  struct Entry {
    const Page* page = nullptr;
    uint32_t slot = 0;
    SlotHistory history;
  };
  std::vector<Entry> entries_;
};

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
// verdicts

bool HeadBatch::Stale(const Sample& sample) const { return model::IsStale(sample.value); }

model::Timestamp HeadBatch::TimeOf(const Row& row, const Sample& sample) const {
  if (sample.extra == kPlain || extras_[sample.extra].own_ms == model::kRowTimestamp)
    return row.row_ms;
  return extras_[sample.extra].own_ms;
}

HeadBatch::Bounds HeadBatch::MakeBounds(const model::CommitOptions& options) const {
  const int64_t window = head_.options_.out_of_order_window_ms;
  const model::Timestamp now = head_.env_.NowMs();
  const model::Timestamp newest = head_.newest_ms();
  const model::Timestamp ref = std::min(newest, now);
  Bounds bounds;
  bounds.now_ms = now;
  bounds.future_ms = now + model::kMaxFutureMs;
  bounds.late_allowed = window > 0;
  bounds.late_ms = Before(ref, window + options.extra_late_ms);
  // An empty head takes any past.
  bounds.first_ms = newest == model::kMinTimestamp || head_.options_.accept_any_first_timestamp
                        ? model::kMinTimestamp
                        : Before(ref, std::max<int64_t>(window, 60 * 60 * 1000));
  return bounds;
}

HeadBatch::Verdict HeadBatch::Judge(const SlotHistory& history, const Row& row,
                                    const Sample& sample, const Bounds& bounds) const {
  using Outcome = model::AppendOutcome;
  const model::Timestamp t = TimeOf(row, sample);
  if (t > bounds.future_ms) return {Outcome::kTooFarInFuture, false};
  if (!history.any) return {t >= bounds.first_ms ? Outcome::kOk : Outcome::kTooOld, false};
  if (t > history.last_ms) return {Outcome::kOk, false};
  if (t == history.last_ms && history.value_unknown()) return {Outcome::kOk, true};
  if (t == history.last_ms) {
    const bool histogram = sample.extra != kPlain && extras_[sample.extra].histogram;
    bool same = histogram == history.histogram;
    if (histogram) {
      same = same && HashOfHistogram(extras_[sample.extra].encoded) == history.bits;
    } else if (Stale(sample) || history.stale) {
      same = same && Stale(sample) && history.stale;
    } else {
      same = same && std::bit_cast<uint64_t>(sample.value) == history.bits;
    }
    return {same ? Outcome::kDuplicate : Outcome::kDuplicateTimestamp, false};
  }
  if (!bounds.late_allowed) return {Outcome::kOutOfOrder, false};
  if (t < bounds.late_ms) return {Outcome::kTooOld, false};
  return {Outcome::kOk, true};
}

HeadBatch::Verdict HeadBatch::JudgeNow(const Page& page, uint32_t at, const Row& row,
                                       const Sample& sample, const Bounds& bounds) const {
  // Nearly all: in order, and not too old even for a first sample.
  if (sample.extra == kPlain && row.row_ms >= bounds.first_ms && row.row_ms <= bounds.future_ms &&
      page.InOrder(at, row.row_ms))
    return {model::AppendOutcome::kOk, false};
  return Judge(page.History(at), row, sample, bounds);
}

void HeadBatch::Refuse(uint32_t row_number, const Sample& sample, model::AppendOutcome outcome,
                       model::CommitResult* result) {
  result->refusals.push_back({row_number, sample.slot, TimeOf(rows_[row_number], sample), outcome});
  ++refused_[static_cast<size_t>(outcome)];
}

// Newer than all that the source has: nothing in the row can be refused.
bool HeadBatch::InOrderAtSight(const Row& row, const Bounds& bounds) const {
  if (row.has_extras || row.row_ms < bounds.first_ms || row.row_ms > bounds.future_ms) return false;
  for (uint32_t p = 0; p < row.source->page_count(); ++p) {
    if (row.row_ms <= row.source->writable_page(p).newest_ms()) return false;
  }
  return true;
}

// Judges the whole batch without touching anything; false when a sample is refused.
bool HeadBatch::JudgeAll(const Bounds& bounds, model::CommitResult* result) {
  Overlay overlay(repeats_ ? samples_.size() : 0);
  bool all = true;
  for (uint32_t r = 0; r < rows_.size(); ++r) {
    const Row& row = rows_[r];
    if (!repeats_ && InOrderAtSight(row, bounds)) continue;
    for (uint32_t i = row.first_sample; i < row.last_sample; ++i) {
      const Sample& sample = samples_[i];
      const Page& page = row.source->writable_page(sample.slot / kFrameSlotsMax);
      const uint32_t at = sample.slot % kFrameSlotsMax;
      Verdict verdict;
      if (repeats_) {
        SlotHistory& history = overlay.At(page, at);
        verdict = Judge(history, row, sample, bounds);
        if (verdict.outcome == model::AppendOutcome::kOk && !verdict.late) {
          history.any = true;
          history.last_ms = TimeOf(row, sample);
          history.stale = Stale(sample);
          history.histogram = sample.extra != kPlain && extras_[sample.extra].histogram;
          history.bits = history.histogram ? HashOfHistogram(extras_[sample.extra].encoded)
                                           : std::bit_cast<uint64_t>(sample.value);
        }
      } else {
        verdict = JudgeNow(page, at, row, sample, bounds);
      }
      if (verdict.outcome == model::AppendOutcome::kOk) continue;
      Refuse(r, sample, verdict.outcome, result);
      all = all && verdict.outcome == model::AppendOutcome::kDuplicate;
    }
  }
  return all;
}

// ----------------------------------------------------------------------------------------------------------
// writing

void HeadBatch::StoreFrame(Source& source, Page& page, model::Timestamp row_ms,
                           FrameEncoder& encoder) {
  Shard& shard = *head_.shards_[source.shard];
  const std::string_view body = encoder.Finish();
  const FrameView view = FrameView::ParseTrusted(body.data(), static_cast<uint32_t>(body.size()),
                                                 encoder.sections_offset());
  ++page.sequence;
  const size_t before = page.run_bytes();
  FrameHeader* header = nullptr;
  if (view.own.empty()) {
    header = page.Store(body, encoder.sections_offset(), view, row_ms, row_ms, row_ms);
    written_.push_back({header, page.last_run(), source.shard, WindowStart(row_ms)});
  } else {
    const FrameExtent extent = ExtentOf(view, row_ms);
    header =
        page.Store(body, encoder.sections_offset(), view, row_ms, extent.min_ms, extent.max_ms);
    for (const model::Timestamp window_ms : extent.windows)
      written_.push_back({header, page.last_run(), source.shard, window_ms});
  }
  head_.AccountRuns(before, page.run_bytes());
  if (shard.log.enabled())
    PutFrameRecord(shard.log.buffer(), page, row_ms, shard.log.base_ms(), body);
}

void HeadBatch::AddItem(FrameEncoder& encoder, const Row& row, const Page& page,
                        const Sample& sample, uint32_t at) {
  const Extra* extra = sample.extra == kPlain ? nullptr : &extras_[sample.extra];
  if (extra != nullptr && extra->histogram) {
    encoder.AddHistogram(at, extra->encoded);
  } else if (Stale(sample)) {
    encoder.AddStale(at);
  } else {
    encoder.AddValue(at, sample.value);
  }
  if (const model::Timestamp t = TimeOf(row, sample); t != row.row_ms)
    encoder.SetOwnTimestamp(t - row.row_ms);
  const model::Timestamp start = extra == nullptr ? 0 : extra->start_ms;
  if (start != 0 || !page.states.starts_ms.empty()) encoder.SetStart(start);
}

// The usual rows: floats with the row's timestamp, in order, whole as scrapes are, or a push's
// part. False when it is another kind; then nothing has happened.
bool HeadBatch::WritePlainRow(const Row& row, Page& page, std::span<const uint32_t> samples,
                              const Bounds& bounds) {
  const bool full = row.kind == model::RowKind::kFull;
  const bool newest = row.row_ms > page.newest_ms();
  if (row.has_extras || row.row_ms < bounds.first_ms || row.row_ms > bounds.future_ms ||
      !page.states.starts_ms.empty() || (full && !newest))
    return false;
  DenseRow& dense = ThreadDenseRow();
  uint64_t present[kWords] = {};
  uint64_t changed[kWords] = {};
  uint64_t stale[kWords] = {};
  static constexpr uint64_t kNone[kWords] = {};
  const uint64_t* last = page.states.bits.data();
  const uint32_t slots = page.slots();
  for (const uint32_t i : samples) {
    const uint32_t at = samples_[i].slot % kFrameSlotsMax;
    CHECK(at < slots);
    const auto bits = std::bit_cast<uint64_t>(samples_[i].value);
    const uint64_t bit = uint64_t{1} << (at % 64);
    if ((present[at / 64] & bit) != 0) return false;
    if (!newest && !page.InOrder(at, row.row_ms)) return false;
    present[at / 64] |= bit;
    dense.bits[at] = bits;
    changed[at / 64] |= bits != last[at] ? bit : 0;
    stale[at / 64] |= bits == model::kStaleBits ? bit : 0;
  }
  const auto words = static_cast<uint32_t>(page.states.live.size());
  const bool cover = !full && newest && page.CoveredBy(present);
  // Which slots get an item, and which of these only to say that they are gone.
  uint64_t items[kWords] = {};
  uint64_t absent[kWords] = {};
  bool anything = false;
  for (uint32_t w = 0; w < words; ++w) {
    const uint64_t live = page.states.live[w];
    anything = anything || present[w] != 0 || (full && live != 0);
    if (full) {
      absent[w] = live & ~present[w];
      items[w] = changed[w] | stale[w] | (present[w] & ~live) | absent[w];
    } else {
      items[w] = cover ? changed[w] | stale[w] : present[w];
    }
  }
  if (!anything) return true;

  Shard& shard = *head_.shards_[row.source->shard];
  const bool state_logged = page.log_number == shard.log.file_number();
  head_.LogDictionary(shard, *row.source, page);
  const size_t before = page.run_bytes();
  if (page.PrepareRow(row.row_ms) && state_logged && shard.log.enabled())
    PutStateRecord(shard.log.buffer(), page, shard.log.base_ms());
  head_.AccountRuns(before, page.run_bytes());
  FrameEncoder& encoder = shard.encoder;
  encoder.Begin(full    ? FrameKind::kFull
                : cover ? FrameKind::kCover
                        : FrameKind::kPartial,
                page.states);
  for (uint32_t w = 0; w < words; ++w) {
    for (uint64_t rest = items[w]; rest != 0; rest &= rest - 1) {
      const int b = std::countr_zero(rest);
      const uint32_t at = 64 * w + static_cast<uint32_t>(b);
      if (((absent[w] >> b) & 1) != 0) {
        encoder.AddAbsent(at);
      } else if (((stale[w] >> b) & 1) != 0) {
        encoder.AddStale(at);
      } else {
        encoder.AddValue(at, std::bit_cast<double>(dense.bits[at]));
      }
    }
  }
  StoreFrame(*row.source, page, row.row_ms, encoder);
  if (full || cover) {
    page.NoteFullRow(row.row_ms, present, stale, kNone);
  } else {
    for (uint32_t w = 0; w < words; ++w) {
      for (uint64_t rest = present[w]; rest != 0; rest &= rest - 1) {
        const int b = std::countr_zero(rest);
        page.NoteSample(64 * w + static_cast<uint32_t>(b), row.row_ms, ((stale[w] >> b) & 1) != 0,
                        false, 0);
      }
    }
  }
  return true;
}

// Any other row, a frame (and one for what is late) at a time. Samples of a slot that this frame
// has one of already stay in `samples` for the next.
void HeadBatch::WriteRound(uint32_t row_number, Page& page, bool first_round,
                           std::vector<uint32_t>* samples, const Bounds& bounds,
                           model::CommitResult* result) {
  const Row& row = rows_[row_number];
  DenseRow& dense = ThreadDenseRow();
  uint64_t taken[kWords] = {};
  uint64_t main[kWords] = {};
  uint64_t late[kWords] = {};
  std::vector<uint32_t> rest;
  bool any_main = false;
  bool any_late = false;
  for (const uint32_t i : *samples) {
    const Sample& sample = samples_[i];
    const uint32_t at = sample.slot % kFrameSlotsMax;
    CHECK(at < page.slots());
    const uint64_t bit = uint64_t{1} << (at % 64);
    if ((taken[at / 64] & bit) != 0) {
      rest.push_back(i);
      continue;
    }
    taken[at / 64] |= bit;
    const Verdict verdict = JudgeNow(page, at, row, sample, bounds);
    if (verdict.outcome != model::AppendOutcome::kOk) {
      Refuse(row_number, sample, verdict.outcome, result);
      continue;
    }
    ++result->samples_committed;
    (verdict.late ? late : main)[at / 64] |= bit;
    (verdict.late ? any_late : any_main) = true;
    if (verdict.late) ++late_samples_;
    dense.sample[at] = i;
  }
  samples->swap(rest);
  const auto words = static_cast<uint32_t>(page.states.live.size());
  const bool full = first_round && row.kind == model::RowKind::kFull &&
                    row.row_ms > page.last_full_ms && row.row_ms <= bounds.future_ms;
  bool any_live = false;
  for (uint32_t w = 0; w < words; ++w) any_live = any_live || page.states.live[w] != 0;
  const bool write_main = any_main || (full && any_live);
  if (!write_main && !any_late) return;

  Shard& shard = *head_.shards_[row.source->shard];
  const bool state_logged = page.log_number == shard.log.file_number();
  head_.LogDictionary(shard, *row.source, page);
  const size_t before = page.run_bytes();
  if (page.PrepareRow(row.row_ms) && state_logged && shard.log.enabled())
    PutStateRecord(shard.log.buffer(), page, shard.log.base_ms());
  head_.AccountRuns(before, page.run_bytes());
  FrameEncoder& encoder = shard.encoder;

  if (write_main) {
    uint64_t present[kWords] = {};
    uint64_t stale[kWords] = {};
    uint64_t histogram[kWords] = {};
    struct Note {
      uint32_t at;
      uint32_t sample;
    };
    std::vector<Note> own;
    encoder.Begin(full ? FrameKind::kFull : FrameKind::kPartial, page.states);
    for (uint32_t w = 0; w < words; ++w) {
      const uint64_t live = page.states.live[w];
      const uint64_t absent = full ? live & ~main[w] : 0;
      for (uint64_t items = main[w] | absent; items != 0; items &= items - 1) {
        const int b = std::countr_zero(items);
        const uint64_t bit = uint64_t{1} << b;
        const uint32_t at = 64 * w + static_cast<uint32_t>(b);
        if ((absent & bit) != 0) {
          encoder.AddAbsent(at);
          continue;
        }
        const Sample& sample = samples_[dense.sample[at]];
        const Extra* extra = sample.extra == kPlain ? nullptr : &extras_[sample.extra];
        const bool has_own = TimeOf(row, sample) != row.row_ms;
        const bool is_histogram = extra != nullptr && extra->histogram;
        if (has_own || !full) {
          own.push_back({at, dense.sample[at]});
        } else {
          present[w] |= bit;
          if (is_histogram) {
            histogram[w] |= bit;
            page.histogram_hashes[at] = HashOfHistogram(extra->encoded);
          } else if (Stale(sample)) {
            stale[w] |= bit;
          }
        }
        const bool unchanged = full && !has_own && !is_histogram && (live & bit) != 0 &&
                               std::bit_cast<uint64_t>(sample.value) == page.states.bits[at] &&
                               (extra == nullptr ? 0 : extra->start_ms) == page.states.start_ms(at);
        if (!unchanged) AddItem(encoder, row, page, sample, at);
      }
    }
    StoreFrame(*row.source, page, row.row_ms, encoder);
    if (full) page.NoteFullRow(row.row_ms, present, stale, histogram);
    for (const Note& note : own) {
      const Sample& sample = samples_[note.sample];
      const bool is_histogram = sample.extra != kPlain && extras_[sample.extra].histogram;
      page.NoteSample(note.at, TimeOf(row, sample), !is_histogram && Stale(sample), is_histogram,
                      is_histogram ? HashOfHistogram(extras_[sample.extra].encoded) : 0);
    }
  }
  if (any_late) {
    encoder.Begin(FrameKind::kLate, page.states);
    for (uint32_t w = 0; w < words; ++w) {
      for (uint64_t items = late[w]; items != 0; items &= items - 1) {
        const uint32_t at = 64 * w + static_cast<uint32_t>(std::countr_zero(items));
        AddItem(encoder, row, page, samples_[dense.sample[at]], at);
      }
    }
    StoreFrame(*row.source, page, row.row_ms, encoder);
  }
}

void HeadBatch::WritePage(uint32_t row_number, Page& page, std::span<const uint32_t> samples,
                          const Bounds& bounds, model::CommitResult* result) {
  if (WritePlainRow(rows_[row_number], page, samples, bounds)) {
    result->samples_committed += samples.size();
    return;
  }
  std::vector<uint32_t> rest(samples.begin(), samples.end());
  bool first_round = true;
  do {
    WriteRound(row_number, page, first_round, &rest, bounds, result);
    first_round = false;
  } while (!rest.empty());
}

void HeadBatch::BeginWindowInLogs(const Bounds& bounds) {
  for (const Row& row : rows_) {
    Shard& shard = *head_.shards_[row.source->shard];
    const model::Timestamp window_ms = WindowStart(row.row_ms);
    // A sender whose clock is ahead begins nothing for the others.
    if (window_ms <= shard.log_window_ms || row.row_ms > bounds.now_ms) continue;
    shard.log_window_ms = window_ms;
    if (shard.log.enabled() && shard.log.file_has_samples()) head_.StartLogFile(shard);
  }
}

void HeadBatch::WriteRow(uint32_t row_number, const Bounds& bounds, model::CommitResult* result) {
  const Row& row = rows_[row_number];
  Source& source = *row.source;
  static thread_local std::vector<uint32_t> order;
  order.resize(row.last_sample - row.first_sample);
  std::iota(order.begin(), order.end(), row.first_sample);
  if (source.page_count() == 0) {
    CHECK(order.empty());
    return;
  }
  if (source.page_count() > 1) {
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return samples_[a].slot / kFrameSlotsMax < samples_[b].slot / kFrameSlotsMax;
    });
  }
  // A full row is a full row of every page; a partial one only of those it mentions.
  size_t begin = 0;
  for (uint32_t p = 0; p < source.page_count(); ++p) {
    size_t end = begin;
    while (end < order.size() && samples_[order[end]].slot / kFrameSlotsMax == p) ++end;
    if (end > begin || row.kind == model::RowKind::kFull) {
      WritePage(row_number, source.writable_page(p),
                std::span<const uint32_t>(order).subspan(begin, end - begin), bounds, result);
    }
    begin = end;
  }
  CHECK(begin == order.size());
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
  if (!options.marks.empty() && touched == 0) touched = shards & (~shards + 1);
  uint64_t commit = 0;
  {
    MutexLock lock(head_.publish_mutex_);
    commit = head_.commit_number_.load(std::memory_order_relaxed) + 1;
    for (const Written& written : written_)
      written.header->commit.store(commit, std::memory_order_relaxed);
    for (const model::Mark& mark : options.marks) head_.ReplayMark(mark.key, mark.bytes);
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
    if (((touched >> e.source->shard) & 1) != 0 && shard.log.enabled() && e.source->logged)
      PutExemplarRecord(shard.log.buffer(), e.source->id, e.slot, e.exemplar);
    head_.exemplars_.Add(e.source->id, e.slot, e.exemplar, commit);
  }
  for (uint64_t rest = touched; rest != 0; rest &= rest - 1) {
    const auto number = static_cast<uint32_t>(std::countr_zero(rest));
    Shard& shard = *head_.shards_[number];
    if (!shard.log.enabled()) {
      shard.log.Appended();
      continue;
    }
    for (const model::Mark& mark : options.marks)
      PutMarkRecord(shard.log.buffer(), mark.key, mark.bytes);
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
    if (!written_.empty() || (!options.marks.empty() && shards != 0)) {
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
