// HeadBatch's verdicts: which samples of a batch may be written.
#include <algorithm>
#include <bit>
#include <utility>

#include "tsdb/codec/histograms.h"
#include "tsdb/head/batch.h"

namespace tocsin::tsdb {
namespace {

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
  bounds.late_ms = std::max(-kTimestampMax, Before(ref, window + options.extra_late_ms));
  // An empty head takes any past.
  bounds.first_ms = newest == model::kMinTimestamp || head_.options_.accept_any_first_timestamp
                        ? -kTimestampMax
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

}  // namespace tocsin::tsdb
