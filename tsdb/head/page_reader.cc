#include "tsdb/head/page_reader.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "tsdb/codec/histograms.h"
#include "tsdb/head/page_pass.h"

namespace tocsin::tsdb {

namespace {

// How many frames ahead of the one being read a slot's part of it is fetched.
constexpr uint32_t kFramesAhead = 12;

// How many frames ahead a frame's header is guessed at while frames are listed.
constexpr uint32_t kHeadersAhead = 4;
// A half hour at 15 s; longer lists grow.
constexpr size_t kFramesExpected = 128;

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
  frames_.reserve(kFramesExpected);
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
        // Rows of one page are about equally long, and each header tells only where the next is.
        const char* ahead = slab->data() + at + size_t{kHeadersAhead} * header->bytes;
        __builtin_prefetch(ahead);
        __builtin_prefetch(ahead + 64);
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
      if (!frames_[i].emit) continue;
      if (kind == FrameKind::kLate) {
        ++late_emitted_;
        continue;
      }
      ++emitted_;
      if (kind == FrameKind::kPartial) {
        any_partial_ = true;
      } else {
        rows_.push_back(frames_[i].row_ms);
      }
    }
    runs_.push_back({run, first, static_cast<uint32_t>(frames_.size())});
  }
  times_.resize(frames_.size());
  values_.resize(frames_.size());
}

PageReader::~PageReader() = default;

// A slot's part of a frame is three or four cache lines far from the next frame's: what is read
// later is asked for early. First the set and the directory, then, when these are there, the item.
void PageReader::PrefetchSet(const Frame& frame, uint32_t slot) {
  if (frame.view.list || frame.view.ranges > 0) {
    __builtin_prefetch(frame.view.set + (frame.view.list ? frame.view.items : 0));
    return;
  }
  if (slot >= frame.view.slots) return;
  __builtin_prefetch(frame.view.set + size_t{8} * (slot / 64));
  if (frame.header->directory_entries > 0)
    __builtin_prefetch(frame.header->directory() + size_t{4} * (slot / 64));
}

void PageReader::PrefetchItem(const Frame& frame, uint32_t slot) {
  if (frame.view.list || frame.view.ranges > 0 || slot >= frame.view.slots ||
      frame.header->directory_entries == 0)
    return;
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
  } else if (view.ranges > 0) {
    uint32_t r = 0;
    uint32_t before = 0;
    while (r < view.ranges && view.range(r).first + view.range(r).count <= slot)
      before += view.range(r++).count;
    if (r == view.ranges || view.range(r).first > slot) return false;
    found = before + slot - view.range(r).first;
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

}  // namespace

void PageReader::ReadSlots(std::span<const uint32_t> slots, model::ColumnBatch* batch,
                           model::Column* columns, PagePass* pass, bool times_only) {
  if (slots.size() < kTogetherMin || frames_.empty()) {
    for (size_t i = 0; i < slots.size(); ++i) ReadSlot(slots[i], batch, &columns[i]);
    return;
  }
  if (pass == nullptr) {
    if (own_pass_ == nullptr) own_pass_ = std::make_unique<PagePass>();
    pass = own_pass_.get();
  }
  if (times_only) {
    pass->ReadTimes(*this, slots, batch, columns);
  } else {
    pass->Read(*this, slots, batch, columns);
  }
}

}  // namespace tocsin::tsdb
