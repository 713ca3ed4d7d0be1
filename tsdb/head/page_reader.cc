#include "tsdb/head/page_reader.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "tsdb/codec/histograms.h"

namespace tocsin::tsdb {

namespace {

// How many frames ahead of the one being read a slot's part of it is fetched.
constexpr uint32_t kFramesAhead = 12;

// Payload bytes of two neighbouring items by their two codes; kToldByPayload when one of them says
// its size itself.
constexpr uint8_t kToldByPayload = 0xff;
constexpr std::array<uint8_t, 256> kPairBytes = [] {
  std::array<uint8_t, 256> table{};
  for (int pair = 0; pair < 256; ++pair) {
    const int8_t low = frame_internal::kPayloadBytes[pair & 0x0f];
    const int8_t high = frame_internal::kPayloadBytes[pair >> 4];
    table[static_cast<size_t>(pair)] =
        low < 0 || high < 0 ? kToldByPayload : static_cast<uint8_t>(low + high);
  }
  return table;
}();

}  // namespace

void SealedCuts::Raise(model::Timestamp window_ms, uint64_t commit) {
  const auto at =
      std::lower_bound(cuts_.begin(), cuts_.end(), window_ms,
                       [](const WindowUse& use, model::Timestamp w) { return use.window_ms < w; });
  if (at != cuts_.end() && at->window_ms == window_ms) {
    at->commit = std::max(at->commit, commit);
  } else {
    cuts_.insert(at, {window_ms, commit});
  }
}

bool SealedCuts::CoversWindow(model::Timestamp window_ms, uint64_t commit) const {
  if (cuts_.empty() || window_ms > cuts_.back().window_ms) return false;
  const auto at =
      std::lower_bound(cuts_.begin(), cuts_.end(), window_ms,
                       [](const WindowUse& use, model::Timestamp w) { return use.window_ms < w; });
  return at->window_ms == window_ms && commit <= at->commit;
}

PageReader::PageReader(const Page& page, const HeadView& view) : view_(view) {
  for (const Run* run = page.first_run(); run != nullptr;
       run = run->next.load(std::memory_order_acquire)) {
    if (run->min_ms.load(std::memory_order_relaxed) > view_.range.max_ms ||
        run->max_ms.load(std::memory_order_relaxed) < view_.range.min_ms)
      continue;
    const auto first = static_cast<uint32_t>(frames_.size());
    bool any = false;
    for (const Slab* slab = run->first.load(std::memory_order_acquire); slab != nullptr;
         slab = slab->next.load(std::memory_order_acquire)) {
      const uint32_t end = slab->published.load(std::memory_order_acquire);
      for (uint32_t at = 0; at < end;) {
        const auto* header = reinterpret_cast<const FrameHeader*>(slab->data() + at);
        at += header->bytes;
        const uint64_t commit = header->commit.load(std::memory_order_relaxed);
        // Frames lie in commit order: what follows is later still.
        if (commit > view_.commit) break;
        Frame frame{header->view(), header, header->row_ms, commit, false};
        frame.emit = Visible(frame.row_ms, commit);
        any = any || frame.emit || !frame.view.own.empty();
        frames_.push_back(frame);
      }
    }
    if (!any) {
      frames_.resize(first);
      continue;
    }
    for (uint32_t i = first; i < frames_.size(); ++i) {
      const FrameKind kind = frames_[i].view.kind;
      if (frames_[i].emit && (kind == FrameKind::kFull || kind == FrameKind::kCover))
        rows_.push_back(frames_[i].row_ms);
    }
    runs_.push_back({run, first, static_cast<uint32_t>(frames_.size())});
  }
  times_.resize(frames_.size());
  values_.resize(frames_.size());
}

// A slot's part of a frame is three or four cache lines far from the next frame's: what is read
// later is asked for early. First the set and the directory, then, when these are there, the item.
void PageReader::PrefetchSet(const Frame& frame, uint32_t slot) {
  if (frame.view.list) {
    __builtin_prefetch(frame.view.set + frame.view.items);
    return;
  }
  if (slot >= frame.view.slots) return;
  __builtin_prefetch(frame.view.set + size_t{8} * (slot / 64));
  if (frame.header->directory_entries > 0)
    __builtin_prefetch(frame.header->directory() + size_t{4} * (slot / 64));
}

void PageReader::PrefetchItem(const Frame& frame, uint32_t slot) {
  if (frame.view.list || slot >= frame.view.slots || frame.header->directory_entries == 0) return;
  uint32_t packed;
  std::memcpy(&packed, frame.header->directory() + size_t{4} * (slot / 64), sizeof packed);
  __builtin_prefetch(frame.view.codes + (packed >> kDirectoryPayloadBits) / 2);
  const char* payload = frame.view.payload + (packed & kDirectoryPayloadMax);
  __builtin_prefetch(payload);
  __builtin_prefetch(payload + 64);
}

// The slot's item in the frame, if it has one.
bool PageReader::Locate(const Frame& frame, uint32_t slot, uint32_t* item, const char** payload) {
  const FrameView& view = frame.view;
  uint32_t found;
  uint32_t from = 0;
  uint32_t offset = 0;
  const auto enter = [&](uint32_t entry) {
    uint32_t packed;
    std::memcpy(&packed, frame.header->directory() + size_t{4} * entry, sizeof packed);
    from = packed >> kDirectoryPayloadBits;
    offset = packed & kDirectoryPayloadMax;
  };
  if (view.list) {
    uint32_t low = 0;
    uint32_t high = view.items;
    while (low < high) {
      const uint32_t middle = (low + high) / 2;
      if (view.list_slot(middle) < slot) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (low == view.items || view.list_slot(low) != slot) return false;
    found = low;
    if (frame.header->directory_entries > 0) enter(found / 64);
  } else {
    const uint64_t word = view.word(slot / 64);
    const uint64_t bit = uint64_t{1} << (slot % 64);
    if ((word & bit) == 0) return false;
    const auto before = static_cast<uint32_t>(std::popcount(word & (bit - 1)));
    if (frame.header->directory_entries > 0) {
      enter(slot / 64);
      found = from + before;
    } else {
      found = before;
      for (uint32_t w = 0; w < slot / 64; ++w)
        found += static_cast<uint32_t>(std::popcount(view.word(w)));
    }
  }
  const char* p = view.payload + offset;
  uint32_t i = from;
  if (i % 2 != 0 && i < found) {
    p += PayloadBytes(view.code(i), p);
    ++i;
  }
  for (; i + 2 <= found; i += 2) {
    const uint8_t both = kPairBytes[static_cast<uint8_t>(view.codes[i / 2])];
    if (both != kToldByPayload) [[likely]] {
      p += both;
      continue;
    }
    p += PayloadBytes(view.code(i), p);
    p += PayloadBytes(view.code(i + 1), p);
  }
  for (; i < found; ++i) p += PayloadBytes(view.code(i), p);
  *item = found;
  *payload = p;
  return true;
}

void PageReader::Emit(model::Timestamp t, uint64_t bits, int64_t start_ms) {
  const size_t at = rows_seen_;
  times_[at] = t;
  values_[at] = bits;
  if (start_ms != 0 && !any_start_) {
    any_start_ = true;
    starts_.assign(at, 0);
  }
  if (any_start_) starts_.push_back(start_ms);
  ++rows_seen_;
}

void PageReader::EmitItem(const Frame& frame, uint32_t, uint32_t item, const char* payload,
                          uint64_t* bits, int* exponent, bool* live, int64_t* start_ms) {
  const FrameCode code = frame.view.code(item);
  const FrameKind kind = frame.view.kind;
  if (kind == FrameKind::kFull && code == FrameCode::kAbsent) {
    *live = false;
    return;
  }
  model::Timestamp t = frame.row_ms;
  bool visible = frame.emit;
  bool own = false;
  if (frame.view.has_sections()) {
    int64_t difference;
    if (FindInSection(frame.view.own, item, &difference)) {
      own = true;
      t += difference;
      visible = Visible(t, frame.commit);
    }
    FindInSection(frame.view.starts, item, start_ms);
  }
  const bool value =
      code != FrameCode::kStale && code != FrameCode::kHistogram;  // kAbsent here is kSame
  if (value) *bits = DecodeValue(code, payload, *bits, exponent);
  if (kind == FrameKind::kFull) *live = value && !own;
  if (!visible || Deleted(t, frame.commit)) return;
  if (kind == FrameKind::kLate) {
    late_.push_back(
        {t, code == FrameCode::kStale ? model::kStaleBits : *bits, *start_ms,
         code == FrameCode::kHistogram ? HistogramPayload(payload) : std::string_view()});
  } else if (code == FrameCode::kHistogram) {
    histograms_.push_back({t, *start_ms, HistogramPayload(payload)});
  } else {
    Emit(t, code == FrameCode::kStale ? model::kStaleBits : *bits, *start_ms);
  }
}

void PageReader::ReadSlot(uint32_t slot, model::ColumnBatch* batch, model::Column* column,
                          std::span<const DeletedSpan> deleted) {
  deleted_ = deleted;
  rows_seen_ = 0;
  any_start_ = false;
  starts_.clear();
  histograms_.clear();
  late_.clear();
  for (const RunFrames& run : runs_) {
    const SlotStates& restart = run.run->restart;
    uint64_t bits = 0;
    int exponent = 0;
    bool live = false;
    int64_t start_ms = 0;
    if (slot < restart.size()) {
      bits = restart.bits[slot];
      exponent = restart.mode[slot] & SlotStates::kExponentMask;
      live = restart.is_live(slot);
      start_ms = restart.start_ms(slot);
    }
    for (uint32_t i = run.first; i < run.last; ++i) {
      const Frame& frame = frames_[i];
      if (i + kFramesAhead < run.last) PrefetchSet(frames_[i + kFramesAhead], slot);
      if (i + kFramesAhead / 2 < run.last) PrefetchItem(frames_[i + kFramesAhead / 2], slot);
      if (slot >= frame.view.slots) continue;
      uint32_t item;
      const char* payload;
      if (!Locate(frame, slot, &item, &payload)) {
        const FrameKind kind = frame.view.kind;
        if (frame.emit && (kind == FrameKind::kCover || (live && kind == FrameKind::kFull)) &&
            !Deleted(frame.row_ms, frame.commit))
          Emit(frame.row_ms, bits, start_ms);
        continue;
      }
      if (frame.view.kind == FrameKind::kLate) {
        uint64_t late_bits = 0;
        int late_exponent = 0;
        bool late_live = false;
        int64_t late_start = 0;
        EmitItem(frame, slot, item, payload, &late_bits, &late_exponent, &late_live, &late_start);
      } else {
        EmitItem(frame, slot, item, payload, &bits, &exponent, &live, &start_ms);
      }
    }
  }
  if (!late_.empty()) MergeLate();
  *column = model::Column();
  FinishFloats(times_.data(), values_.data(), rows_seen_, batch, column);
  if (any_start_ && rows_seen_ > 0) {
    model::Timestamp* starts = batch->NewTimestamps(rows_seen_);
    std::copy_n(starts_.begin(), rows_seen_, starts);
    column->start_timestamps = {starts, rows_seen_};
  }
  FinishHistograms(batch, column);
}

// Late samples arrive in any order; of equal timestamps the one that was committed first stays.
void PageReader::MergeLate() {
  std::stable_sort(late_.begin(), late_.end(),
                   [](const LateSample& a, const LateSample& b) { return a.t < b.t; });
  std::vector<LateSample> floats;
  std::vector<HistogramSample> merged_histograms;
  size_t next_histogram = 0;
  const auto add_histogram = [&](const HistogramSample& h) {
    if (merged_histograms.empty() || merged_histograms.back().t != h.t) {
      merged_histograms.push_back(h);
    } else {
      ++(merged_histograms.back().encoded == h.encoded ? equal_dropped_ : unequal_dropped_);
    }
  };
  size_t next = 0;
  for (const LateSample& late : late_) {
    if (!late.histogram.empty()) {
      while (next_histogram < histograms_.size() && histograms_[next_histogram].t <= late.t)
        add_histogram(histograms_[next_histogram++]);
      add_histogram({late.t, late.start_ms, late.histogram});
      continue;
    }
    for (; next < rows_seen_ && times_[next] <= late.t; ++next)
      floats.push_back({times_[next], values_[next], any_start_ ? starts_[next] : 0, {}});
    if (floats.empty() || floats.back().t != late.t) {
      floats.push_back(late);
    } else {
      ++(floats.back().bits == late.bits ? equal_dropped_ : unequal_dropped_);
    }
  }
  for (; next < rows_seen_; ++next)
    floats.push_back({times_[next], values_[next], any_start_ ? starts_[next] : 0, {}});
  while (next_histogram < histograms_.size()) add_histogram(histograms_[next_histogram++]);
  histograms_ = std::move(merged_histograms);
  if (floats.size() > times_.size()) {
    times_.resize(floats.size());
    values_.resize(floats.size());
  }
  starts_.clear();
  any_start_ = false;
  rows_seen_ = 0;
  for (const LateSample& sample : floats) Emit(sample.t, sample.bits, sample.start_ms);
}

std::span<const model::Timestamp> PageReader::SharedRows(model::ColumnBatch* batch) {
  if (shared_rows_.empty() && !rows_.empty()) {
    model::Timestamp* copy = batch->NewTimestamps(rows_.size());
    std::copy(rows_.begin(), rows_.end(), copy);
    shared_rows_ = {copy, rows_.size()};
  }
  return shared_rows_;
}

void PageReader::FinishFloats(const model::Timestamp* times, const uint64_t* values, size_t count,
                              model::ColumnBatch* batch, model::Column* column) {
  if (count == 0) return;
  double* copied = batch->NewValues(count);
  std::memcpy(copied, values, count * sizeof(double));
  column->values = {copied, count};
  if (count == rows_.size() && std::equal(rows_.begin(), rows_.end(), times)) {
    column->timestamps = SharedRows(batch);
  } else {
    model::Timestamp* own = batch->NewTimestamps(count);
    std::copy_n(times, count, own);
    column->timestamps = {own, count};
  }
  bool constant = true;
  bool stale = false;
  for (size_t i = 0; i < count; ++i) {
    constant = constant && values[i] == values[0];
    stale = stale || values[i] == model::kStaleBits;
  }
  column->constant = constant;
  column->may_hold_stale = stale;
}

void PageReader::FinishHistograms(model::ColumnBatch* batch, model::Column* column) {
  if (histograms_.empty()) return;
  const size_t histogram_count = histograms_.size();
  model::Timestamp* times = batch->NewTimestamps(histogram_count);
  model::Timestamp* starts = batch->NewTimestamps(histogram_count);
  const model::Histogram** pointers = batch->NewHistogramPointers(histogram_count);
  size_t kept = 0;
  bool any_start = false;
  for (const HistogramSample& sample : histograms_) {
    model::Histogram* histogram = batch->NewHistogram();
    ByteReader encoded(sample.encoded);
    if (!DecodeHistogram(&encoded, histogram)) continue;  // of a damaged log with a good checksum
    times[kept] = sample.t;
    starts[kept] = sample.start_ms;
    any_start = any_start || sample.start_ms != 0;
    pointers[kept++] = histogram;
  }
  column->histogram_timestamps = {times, kept};
  column->histograms = {pointers, kept};
  if (any_start) column->histogram_start_timestamps = {starts, kept};
}

// ----------------------------------------------------------------------------------------------------------
// many slots together

namespace {

// Fewer slots than this are read one by one.
constexpr size_t kTogetherMin = 8;
// Bounds what a pass holds: 16 bytes a sample.
constexpr size_t kPassSamples = size_t{1} << 20;

}  // namespace

void PageReader::ReadSlots(std::span<const uint32_t> slots, model::ColumnBatch* batch,
                           model::Column* columns) {
  if (slots.size() < kTogetherMin || frames_.empty()) {
    for (size_t i = 0; i < slots.size(); ++i) ReadSlot(slots[i], batch, &columns[i]);
    return;
  }
  const size_t together = std::max(kTogetherMin, kPassSamples / frames_.size());
  for (size_t i = 0; i < slots.size(); i += together) {
    ReadPass(slots.subspan(i, std::min(together, slots.size() - i)), batch, columns + i);
  }
}

void PageReader::ReadPass(std::span<const uint32_t> slots, model::ColumnBatch* batch,
                          model::Column* columns) {
  pass_index_.assign(kFrameSlotsMax, kNoId);
  pass_slots_.assign(kFrameSlotsMax / 64, 0);
  for (uint32_t i = 0; i < slots.size(); ++i) {
    pass_index_[slots[i]] = i;
    pass_slots_[slots[i] / 64] |= uint64_t{1} << (slots[i] % 64);
  }
  pass_bits_.resize(slots.size());
  pass_exponents_.resize(slots.size());
  pass_counts_.assign(slots.size(), 0);
  pass_alone_.assign(slots.size(), 0);
  pass_times_.resize(slots.size() * frames_.size());
  pass_values_.resize(slots.size() * frames_.size());
  for (const RunFrames& run : runs_) PassRun(run, slots);
  for (uint32_t i = 0; i < slots.size(); ++i) {
    if (pass_alone_[i] != 0) {
      ReadSlot(slots[i], batch, &columns[i]);
      continue;
    }
    columns[i] = model::Column();
    FinishFloats(&pass_times_[i * frames_.size()], &pass_values_[i * frames_.size()],
                 pass_counts_[i], batch, &columns[i]);
  }
}

void PageReader::PassRun(const RunFrames& run, std::span<const uint32_t> slots) {
  const SlotStates& restart = run.run->restart;
  pass_live_ = restart.live;
  pass_live_.resize(kFrameSlotsMax / 64, 0);
  for (uint32_t i = 0; i < slots.size(); ++i) {
    const bool known = slots[i] < restart.size();
    pass_bits_[i] = known ? restart.bits[slots[i]] : 0;
    pass_exponents_[i] = known ? restart.mode[slots[i]] & SlotStates::kExponentMask : 0;
    if (known && restart.start_ms(slots[i]) != 0) pass_alone_[i] = 1;
  }
  for (uint32_t f = run.first; f < run.last; ++f) {
    const Frame& frame = frames_[f];
    PassItems(frame);
    if (!frame.emit) continue;
    if (frame.view.kind == FrameKind::kCover) PassCover(frame);
    if (frame.view.kind != FrameKind::kFull) continue;
    for (uint32_t w = 0; w < frame.view.word_count(); ++w) {
      uint64_t live = pass_live_[w] & pass_slots_[w];
      const uint32_t left = frame.view.slots - 64 * w;
      if (left < 64) live &= (uint64_t{1} << left) - 1;
      for (; live != 0; live &= live - 1) {
        const uint32_t index = pass_index_[64 * w + static_cast<uint32_t>(std::countr_zero(live))];
        PassEmit(index, frame.row_ms, pass_bits_[index]);
      }
    }
  }
}

void PageReader::PassItems(const Frame& frame) {
  const FrameView& view = frame.view;
  if (view.list || frame.header->directory_entries == 0) {
    ForEachItem(view, [&](uint32_t, uint32_t slot, FrameCode code, const char* payload) {
      if (pass_index_[slot] != kNoId) PassItem(frame, slot, code, payload);
    });
    return;
  }
  // The directory leads past words without a slot that is asked for.
  for (uint32_t w = 0; w < view.word_count(); ++w) {
    uint64_t word = view.word(w);
    if ((word & pass_slots_[w]) == 0) continue;
    uint32_t packed;
    std::memcpy(&packed, frame.header->directory() + size_t{4} * w, sizeof packed);
    uint32_t item = packed >> kDirectoryPayloadBits;
    const char* payload = view.payload + (packed & kDirectoryPayloadMax);
    for (; word != 0; word &= word - 1) {
      const uint32_t slot = 64 * w + static_cast<uint32_t>(std::countr_zero(word));
      const FrameCode code = view.code(item++);
      if (pass_index_[slot] != kNoId) PassItem(frame, slot, code, payload);
      payload += PayloadBytes(code, payload);
    }
  }
}

// The samples of the slots that a cover frame has no item of.
void PageReader::PassCover(const Frame& frame) {
  const FrameView& view = frame.view;
  uint64_t items[kFrameSlotsMax / 64] = {};
  if (view.list) {
    for (uint32_t item = 0; item < view.items; ++item) {
      const uint32_t slot = view.list_slot(item);
      items[slot / 64] |= uint64_t{1} << (slot % 64);
    }
  } else {
    std::memcpy(items, view.set, size_t{8} * view.word_count());
  }
  for (uint32_t w = 0; w < view.word_count(); ++w) {
    uint64_t same = pass_slots_[w] & ~items[w];
    const uint32_t left = view.slots - 64 * w;
    if (left < 64) same &= (uint64_t{1} << left) - 1;
    for (; same != 0; same &= same - 1) {
      const uint32_t index = pass_index_[64 * w + static_cast<uint32_t>(std::countr_zero(same))];
      PassEmit(index, frame.row_ms, pass_bits_[index]);
    }
  }
}

void PageReader::PassItem(const Frame& frame, uint32_t slot, FrameCode code, const char* payload) {
  const uint32_t index = pass_index_[slot];
  const uint64_t bit = uint64_t{1} << (slot % 64);
  const bool full = frame.view.kind == FrameKind::kFull;
  if (frame.view.kind == FrameKind::kLate || frame.view.has_sections() ||
      code == FrameCode::kHistogram) {
    pass_alone_[index] = 1;
    return;
  }
  if (code == FrameCode::kStale) {
    if (full) pass_live_[slot / 64] &= ~bit;
    if (frame.emit) PassEmit(index, frame.row_ms, model::kStaleBits);
    return;
  }
  if (full && code == FrameCode::kAbsent) {
    pass_live_[slot / 64] &= ~bit;
    return;
  }
  pass_bits_[index] = DecodeValue(code, payload, pass_bits_[index], &pass_exponents_[index]);
  if (full) {
    pass_live_[slot / 64] |= bit;  // its sample comes with the row's
  } else if (frame.emit) {
    PassEmit(index, frame.row_ms, pass_bits_[index]);
  }
}

}  // namespace tocsin::tsdb
