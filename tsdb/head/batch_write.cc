// HeadBatch's writing: rows into frames, of pages and of the log's buffer.
#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "tsdb/head/batch.h"
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

}  // namespace

FrameEncoder& HeadBatch::PrepareFrames(Source& source, Page& page, model::Timestamp row_ms) {
  Shard& shard = *head_.shards_[source.shard];
  const bool state_logged = page.log_number == shard.log.file_number();
  head_.LogDictionary(shard, source, page);
  const size_t before = page.run_bytes();
  if (page.PrepareRow(row_ms) && state_logged && shard.log.enabled())
    PutStateRecord(shard.log.buffer(), page, shard.log.base_ms());
  head_.AccountRuns(before, page.run_bytes());
  return shard.encoder;
}

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

struct HeadBatch::PlainSets {
  uint64_t present[kWords] = {};
  uint64_t changed[kWords] = {};
  uint64_t stale[kWords] = {};
};

// False when a slot occurs twice, or is late. Samples mostly come in the order of slots, so a word
// of each set is kept in a register as long as they stay in it.
bool HeadBatch::Spread(const Row& row, const Page& page, std::span<const Sample> samples,
                       PlainSets* sets) {
  DenseRow& dense = ThreadDenseRow();
  const bool newest = row.row_ms > page.newest_ms();
  const uint64_t* last = page.states.bits.data();
  const uint32_t slots = page.slots();
  uint32_t word = 0;
  uint64_t present = 0;
  uint64_t changed = 0;
  uint64_t stale = 0;
  const auto put_back = [&] {
    sets->present[word] = present;
    sets->changed[word] = changed;
    sets->stale[word] = stale;
  };
  for (const Sample& sample : samples) {
    const uint32_t at = sample.slot - page.number * kFrameSlotsMax;
    CHECK(at < slots);
    if (at / 64 != word) {
      put_back();
      word = at / 64;
      present = sets->present[word];
      changed = sets->changed[word];
      stale = sets->stale[word];
    }
    const auto bits = std::bit_cast<uint64_t>(sample.value);
    const uint32_t b = at % 64;
    if (((present >> b) & 1) != 0) return false;
    if (!newest && !page.InOrder(at, row.row_ms)) return false;
    present |= uint64_t{1} << b;
    dense.bits[at] = bits;
    changed |= uint64_t{bits != last[at]} << b;
    stale |= uint64_t{bits == model::kStaleBits} << b;
  }
  put_back();
  return true;
}

// The usual rows: floats with the row's timestamp, in order, whole as scrapes are, or a push's
// part. False when it is another kind; then nothing has happened.
bool HeadBatch::WritePlainRow(const Row& row, Page& page, std::span<const Sample> samples,
                              const Bounds& bounds) {
  const bool full = row.kind == model::RowKind::kFull;
  const bool newest = row.row_ms > page.newest_ms();
  if (row.has_extras || row.row_ms < bounds.first_ms || row.row_ms > bounds.future_ms ||
      !page.states.starts_ms.empty() || (full && !newest))
    return false;
  PlainSets sets;
  if (!Spread(row, page, samples, &sets)) return false;
  const DenseRow& dense = ThreadDenseRow();
  const auto& [present, changed, stale] = sets;
  static constexpr uint64_t kNone[kWords] = {};
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

  FrameEncoder& encoder = PrepareFrames(*row.source, page, row.row_ms);
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

bool HeadBatch::WriteLateRow(const Row& row, Page& page, std::span<const Sample> samples,
                             const Bounds& bounds) {
  if (samples.empty() || row.has_extras || !bounds.late_allowed || row.row_ms < bounds.late_ms ||
      row.row_ms > bounds.future_ms || row.row_ms >= page.newest_ms() ||
      !page.states.starts_ms.empty())
    return false;
  DenseRow& dense = ThreadDenseRow();
  uint64_t present[kWords] = {};
  for (const Sample& sample : samples) {
    const uint32_t at = sample.slot - page.number * kFrameSlotsMax;
    CHECK(at < page.slots());
    const uint64_t bit = uint64_t{1} << (at % 64);
    if ((present[at / 64] & bit) != 0 || row.row_ms >= page.LastOf(at)) return false;
    present[at / 64] |= bit;
    dense.bits[at] = std::bit_cast<uint64_t>(sample.value);
  }
  FrameEncoder& encoder = PrepareFrames(*row.source, page, row.row_ms);
  encoder.Begin(FrameKind::kLate, page.states);
  for (uint32_t w = 0; w < page.states.live.size(); ++w) {
    for (uint64_t rest = present[w]; rest != 0; rest &= rest - 1) {
      const uint32_t at = 64 * w + static_cast<uint32_t>(std::countr_zero(rest));
      if (dense.bits[at] == model::kStaleBits) {
        encoder.AddStale(at);
      } else {
        encoder.AddValue(at, std::bit_cast<double>(dense.bits[at]));
      }
    }
  }
  StoreFrame(*row.source, page, row.row_ms, encoder);
  late_samples_ += samples.size();
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
    const uint32_t at = sample.slot - page.number * kFrameSlotsMax;
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

  FrameEncoder& encoder = PrepareFrames(*row.source, page, row.row_ms);

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

void HeadBatch::WritePage(uint32_t row_number, Page& page, uint32_t begin, uint32_t end,
                          const Bounds& bounds, model::CommitResult* result) {
  const std::span<const Sample> samples(samples_.data() + begin, end - begin);
  const Row& row = rows_[row_number];
  if (WritePlainRow(row, page, samples, bounds) || WriteLateRow(row, page, samples, bounds)) {
    result->samples_committed += samples.size();
    return;
  }
  std::vector<uint32_t> rest(end - begin);
  std::iota(rest.begin(), rest.end(), begin);
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
  if (source.page_count() == 0) {
    CHECK(row.first_sample == row.last_sample);
    return;
  }
  if (source.page_count() > 1) {
    const auto first = samples_.begin() + row.first_sample;
    const auto last = samples_.begin() + row.last_sample;
    const auto page_order = [](const Sample& a, const Sample& b) {
      return a.slot / kFrameSlotsMax < b.slot / kFrameSlotsMax;
    };
    if (!std::is_sorted(first, last, page_order)) std::stable_sort(first, last, page_order);
  }
  // A full row is a full row of every page; a partial one only of those it mentions.
  uint32_t begin = row.first_sample;
  for (uint32_t p = 0; p < source.page_count(); ++p) {
    uint32_t end = source.page_count() == 1 ? row.last_sample : begin;
    while (end < row.last_sample && samples_[end].slot / kFrameSlotsMax == p) ++end;
    if (end > begin || row.kind == model::RowKind::kFull)
      WritePage(row_number, source.writable_page(p), begin, end, bounds, result);
    begin = end;
  }
  CHECK(begin == row.last_sample);
}

}  // namespace tocsin::tsdb
