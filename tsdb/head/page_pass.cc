#include "tsdb/head/page_pass.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <tuple>

namespace tocsin::tsdb {

namespace {

// Bounds what is decoded before it is finished, so that it stays in a core's own cache: 12 bytes a
// sample. A half hour at 15 s of 270 slots.
constexpr size_t kPassSamples = size_t{1} << 15;
constexpr size_t kSlotsMin = 8;
// How many frames ahead of the one being walked the slots' parts are fetched, and of how many
// places in it.
constexpr uint32_t kFramesAhead = 12;
constexpr size_t kPlacesAhead = 6;
constexpr uint32_t kWords = kFrameSlotsMax / 64;

// Decoding a value without a jump by its code. Decimal codes add ((raw & mask) ^ sign) - sign +
// plus to the decimal; bitwise ones give (bits & keep) ^ (raw & mask); the rest is kSlow.
struct CodeStep {
  enum Kind : uint8_t { kSlow, kDecimal, kBitwise };
  Kind kind =
      kSlow;  // 0: g++ 12 forgets default initialisers of array elements in constant expressions
  uint64_t mask = 0;
  uint64_t sign = 0;
  uint64_t keep = 0;
  int64_t plus = 0;
};

constexpr std::array<CodeStep, 16> kSteps = [] {
  std::array<CodeStep, 16> steps{};
  const auto at = [&steps](FrameCode code) -> CodeStep& {
    return steps[static_cast<size_t>(code)];
  };
  const auto low = [](int bytes) { return (uint64_t{1} << (8 * bytes)) - 1; };
  at(FrameCode::kPlusOne) = {.kind = CodeStep::kDecimal, .plus = 1};
  const std::pair<FrameCode, int> deltas[] = {{FrameCode::kDelta1, 1},
                                              {FrameCode::kDelta2, 2},
                                              {FrameCode::kDelta3, 3},
                                              {FrameCode::kDelta4, 4},
                                              {FrameCode::kDelta6, 6}};
  for (const auto& [code, bytes] : deltas) {
    at(code) = {
        .kind = CodeStep::kDecimal, .mask = low(bytes), .sign = uint64_t{1} << (8 * bytes - 1)};
  }
  at(FrameCode::kAbsent) = {.kind = CodeStep::kBitwise, .keep = UINT64_MAX};  // as kSame
  at(FrameCode::kRaw8) = {.kind = CodeStep::kBitwise, .mask = UINT64_MAX};
  at(FrameCode::kXor6) = {.kind = CodeStep::kBitwise, .mask = low(6), .keep = UINT64_MAX};
  at(FrameCode::kXor7) = {.kind = CodeStep::kBitwise, .mask = low(7), .keep = UINT64_MAX};
  return steps;
}();

uint64_t Step(FrameCode code, const char* payload, uint64_t bits, uint8_t* exponent) {
  const CodeStep& step = kSteps[static_cast<size_t>(code)];
  uint64_t raw;
  std::memcpy(&raw, payload, sizeof raw);
  if (step.kind == CodeStep::kDecimal) {
    const auto delta = static_cast<int64_t>(((raw & step.mask) ^ step.sign) - step.sign);
    return BitsOfDecimal(DecimalOf(bits, *exponent) + delta + step.plus, *exponent);
  }
  if (step.kind == CodeStep::kBitwise) return (bits & step.keep) ^ (raw & step.mask);
  int changed = *exponent;
  const uint64_t decoded = DecodeValue(code, payload, bits, &changed);
  *exponent = static_cast<uint8_t>(changed);
  return decoded;
}

// Bits of the slots that word `w` of a frame of `slots` slots has.
uint64_t WordOf(uint32_t w, uint32_t slots) {
  const uint32_t left = slots - 64 * w;
  return left >= 64 ? UINT64_MAX : (uint64_t{1} << left) - 1;
}

// The slots whose part of a frame is worth fetching: the first of each word, or of all where so
// many words are read that the frame is walked from end to end.
size_t PlacesToFetch(std::span<const uint32_t> slots, std::array<uint32_t, kPlacesAhead>* places) {
  size_t count = 0;
  for (const uint32_t slot : slots) {
    if (count > 0 && (*places)[count - 1] / 64 == slot / 64) continue;
    if (count == kPlacesAhead) return 1;
    (*places)[count++] = slot;
  }
  return count;
}

}  // namespace

void PagePass::Place(std::span<const uint32_t> slots) {
  index_of_.assign(kFrameSlotsMax, kNoId);
  slots_.assign(kWords, 0);
  for (uint32_t i = 0; i < slots.size(); ++i) {
    index_of_[slots[i]] = i;
    slots_[slots[i] / 64] |= uint64_t{1} << (slots[i] % 64);
  }
}

void PagePass::Read(PageReader& reader, std::span<const uint32_t> slots, model::ColumnBatch* batch,
                    model::Column* columns) {
  const size_t rows = reader.emitted_ + reader.late_emitted_;
  const size_t together = std::max(kSlotsMin, kPassSamples / std::max<size_t>(rows, 1));
  times_in_order_ = {};
  if (reader.late_emitted_ > 0) OrderFrames(reader);
  for (size_t i = 0; i < slots.size(); i += together) {
    ReadSome(reader, slots.subspan(i, std::min(together, slots.size() - i)), batch, columns + i);
  }
}

void PagePass::ReadSome(PageReader& reader, std::span<const uint32_t> slots,
                        model::ColumnBatch* batch, model::Column* columns) {
  Place(slots);
  bits_.resize(slots.size());
  exponents_.resize(slots.size());
  counts_.assign(slots.size(), 0);
  alone_.assign(slots.size(), 0);
  late_.assign(slots.size(), 0);
  stride_ = reader.emitted_ + reader.late_emitted_;
  values_ = batch->NewValues(slots.size() * stride_);
  if (frames_.size() < slots.size() * stride_) frames_.resize(slots.size() * stride_);
  std::array<uint32_t, kPlacesAhead> places{};
  const size_t place_count = PlacesToFetch(slots, &places);
  for (const RunFrames& run : reader.runs_) {
    BeginRun(run, slots);
    for (uint32_t f = run.first; f < run.last; ++f) {
      for (size_t i = 0; i < place_count; ++i) {
        if (f + kFramesAhead < run.last)
          PageReader::PrefetchSet(reader.frames_[f + kFramesAhead], places[i]);
        if (f + kFramesAhead / 2 < run.last)
          PageReader::PrefetchItem(reader.frames_[f + kFramesAhead / 2], places[i]);
      }
      WalkFrame(reader.frames_[f], f);
    }
  }
  for (uint32_t i = 0; i < slots.size(); ++i) {
    if (alone_[i] != 0) {
      reader.ReadSlot(slots[i], batch, &columns[i]);
    } else if (late_[i] != 0) {
      FinishLate(reader, i, batch, &columns[i]);
    } else {
      Finish(reader, i, batch, &columns[i]);
    }
  }
}

void PagePass::BeginRun(const RunFrames& run, std::span<const uint32_t> slots) {
  const SlotStates& restart = run.run->restart;
  live_ = restart.live;
  live_.resize(kWords, 0);
  for (uint32_t i = 0; i < slots.size(); ++i) {
    const bool known = slots[i] < restart.size();
    bits_[i] = known ? restart.bits[slots[i]] : 0;
    exponents_[i] = known ? restart.mode[slots[i]] & SlotStates::kExponentMask : 0;
    if (known && restart.start_ms(slots[i]) != 0) alone_[i] = 1;
  }
}

void PagePass::WalkFrame(const Frame& frame, uint32_t number) {
  if (frame.view.kind == FrameKind::kFull) {
    WalkItems<Walk::kFull>(frame, number);
    if (frame.emit) EmitLive(frame, number);
    return;
  }
  if (frame.view.kind == FrameKind::kLate) {
    if (frame.emit || frame.view.has_sections()) WalkItems<Walk::kLate>(frame, number);
    return;
  }
  WalkItems<Walk::kPart>(frame, number);
  if (frame.emit && frame.view.kind == FrameKind::kCover) EmitUnchanged(frame, number);
}

template <PagePass::Walk kWalk>
void PagePass::WalkItems(const Frame& frame, uint32_t number) {
  const FrameView& view = frame.view;
  if (view.ranges > 0 && PassesBy(view)) return;
  if (view.list || view.ranges > 0 || frame.header->directory_entries == 0) {
    ForEachItem(view, [&](uint32_t, uint32_t slot, FrameCode code, const char* payload) {
      if (index_of_[slot] != kNoId) TakeItem<kWalk>(frame, number, slot, code, payload);
    });
    return;
  }
  // The directory leads past words without a slot that is asked for.
  for (uint32_t w = 0; w < view.word_count(); ++w) {
    uint64_t word = view.word(w);
    if ((word & slots_[w]) == 0) continue;
    uint32_t packed;
    std::memcpy(&packed, frame.header->directory() + size_t{4} * w, sizeof packed);
    uint32_t item = packed >> kDirectoryPayloadBits;
    const char* payload = view.payload + (packed & kDirectoryPayloadMax);
    for (; word != 0; word &= word - 1) {
      const uint32_t slot = 64 * w + static_cast<uint32_t>(std::countr_zero(word));
      const FrameCode code = view.code(item++);
      if (index_of_[slot] != kNoId) TakeItem<kWalk>(frame, number, slot, code, payload);
      payload += PayloadBytes(code, payload);
    }
  }
}

void PagePass::Emit(uint32_t index, uint32_t number, uint64_t bits) {
  const size_t at = index * stride_ + counts_[index]++;
  values_[at] = std::bit_cast<double>(bits);
  frames_[at] = number;
}

template <PagePass::Walk kWalk>
void PagePass::TakeItem(const Frame& frame, uint32_t number, uint32_t slot, FrameCode code,
                        const char* payload) {
  const uint32_t index = index_of_[slot];
  const uint64_t bit = uint64_t{1} << (slot % 64);
  constexpr bool kFull = kWalk == Walk::kFull;
  if (frame.view.has_sections() || code == FrameCode::kHistogram) [[unlikely]] {
    alone_[index] = 1;
    return;
  }
  if (kWalk == Walk::kLate) {
    late_[index] = 1;
    uint8_t exponent = 0;
    Emit(index, number,
         code == FrameCode::kStale ? model::kStaleBits : Step(code, payload, 0, &exponent));
    return;
  }
  if (code == FrameCode::kStale) [[unlikely]] {
    if (kFull) live_[slot / 64] &= ~bit;
    if (frame.emit) Emit(index, number, model::kStaleBits);
    return;
  }
  if (kFull && code == FrameCode::kAbsent) [[unlikely]] {
    live_[slot / 64] &= ~bit;
    return;
  }
  bits_[index] = Step(code, payload, bits_[index], &exponents_[index]);
  if (kFull) {
    live_[slot / 64] |= bit;  // its sample comes with the row's
  } else if (frame.emit) {
    Emit(index, number, bits_[index]);
  }
}

// The samples of a full frame: every live slot's last value.
void PagePass::EmitLive(const Frame& frame, uint32_t number) {
  for (uint32_t w = 0; w < frame.view.word_count(); ++w) {
    uint64_t live = live_[w] & slots_[w] & WordOf(w, frame.view.slots);
    for (; live != 0; live &= live - 1) {
      const uint32_t index = index_of_[64 * w + static_cast<uint32_t>(std::countr_zero(live))];
      Emit(index, number, bits_[index]);
    }
  }
}

bool PagePass::PassesBy(const FrameView& view) const {
  for (uint32_t r = 0; r < view.ranges; ++r) {
    const auto [first, count] = view.range(r);
    for (uint32_t slot = first; slot < first + count; slot = (slot / 64 + 1) * 64) {
      const uint32_t here = std::min(first + count - slot, 64 - slot % 64);
      const uint64_t bits = here == 64 ? UINT64_MAX : (uint64_t{1} << here) - 1;
      if ((slots_[slot / 64] & bits << (slot % 64)) != 0) return false;
    }
  }
  return true;
}

void PagePass::FindItems(const FrameView& view) {
  items_.assign(kWords, 0);
  for (uint32_t r = 0; r < view.ranges; ++r) {
    const auto [first, count] = view.range(r);
    for (uint32_t slot = first; slot < first + count; ++slot)
      items_[slot / 64] |= uint64_t{1} << (slot % 64);
  }
  if (view.ranges > 0) return;
  if (!view.list) {
    std::memcpy(items_.data(), view.set, size_t{8} * view.word_count());
    return;
  }
  for (uint32_t item = 0; item < view.items; ++item) {
    const uint32_t slot = view.list_slot(item);
    items_[slot / 64] |= uint64_t{1} << (slot % 64);
  }
}

// The samples of the slots that a cover frame has no item of.
void PagePass::EmitUnchanged(const Frame& frame, uint32_t number) {
  FindItems(frame.view);
  for (uint32_t w = 0; w < frame.view.word_count(); ++w) {
    uint64_t same = slots_[w] & ~items_[w] & WordOf(w, frame.view.slots);
    for (; same != 0; same &= same - 1) {
      const uint32_t index = index_of_[64 * w + static_cast<uint32_t>(std::countr_zero(same))];
      Emit(index, number, bits_[index]);
    }
  }
}

void PagePass::Finish(PageReader& reader, uint32_t index, model::ColumnBatch* batch,
                      model::Column* column) {
  *column = model::Column();
  const size_t count = counts_[index];
  if (count == 0) return;
  const double* values = values_ + index * stride_;
  const uint32_t* frames = frames_.data() + index * stride_;
  column->values = {values, count};
  // Without partial frames each sample is of another row of rows_.
  bool every_row = count == reader.rows_.size();
  if (every_row && reader.any_partial_) {
    for (size_t i = 0; i < count && every_row; ++i)
      every_row = reader.frames_[frames[i]].row_ms == reader.rows_[i];
  }
  if (every_row) {
    column->timestamps = reader.SharedRows(batch);
  } else {
    model::Timestamp* own = batch->NewTimestamps(count);
    for (size_t i = 0; i < count; ++i) own[i] = reader.frames_[frames[i]].row_ms;
    column->timestamps = {own, count};
  }
  NoteValues(column);
}

void PagePass::NoteValues(model::Column* column) {
  const auto first = std::bit_cast<uint64_t>(column->values[0]);
  uint64_t differs = 0;
  uint64_t stale = 0;
  for (const double value : column->values) {
    const auto bits = std::bit_cast<uint64_t>(value);
    differs |= bits ^ first;
    stale |= uint64_t{bits == model::kStaleBits};
  }
  column->constant = differs == 0;
  column->may_hold_stale = stale != 0;
}

// ----------------------------------------------------------------------------------------------------------
// late samples

// Of equal timestamps the late frame comes behind, then the one that was committed later.
void PagePass::OrderFrames(const PageReader& reader) {
  by_time_.clear();
  for (uint32_t f = 0; f < reader.frames_.size(); ++f) {
    if (reader.frames_[f].emit) by_time_.push_back(f);
  }
  const auto order = [&reader](uint32_t f) {
    const Frame& frame = reader.frames_[f];
    return std::tuple(frame.row_ms, frame.view.kind == FrameKind::kLate, f);
  };
  std::sort(by_time_.begin(), by_time_.end(),
            [&order](uint32_t a, uint32_t b) { return order(a) < order(b); });
  place_.assign(reader.frames_.size(), kNoId);
  times_differ_ = true;
  for (uint32_t i = 0; i < by_time_.size(); ++i) {
    place_[by_time_[i]] = i;
    times_differ_ = times_differ_ && (i == 0 || reader.frames_[by_time_[i - 1]].row_ms !=
                                                    reader.frames_[by_time_[i]].row_ms);
  }
}

void PagePass::FinishLate(PageReader& reader, uint32_t index, model::ColumnBatch* batch,
                          model::Column* column) {
  *column = model::Column();
  const size_t count = counts_[index];
  double* values = values_ + index * stride_;
  const uint32_t* frames = frames_.data() + index * stride_;
  sample_at_.assign(by_time_.size(), kNoId);
  for (uint32_t i = 0; i < count; ++i) sample_at_[place_[frames[i]]] = i;
  ordered_.resize(count);
  if (times_differ_ && count == by_time_.size()) {
    for (size_t i = 0; i < count; ++i) ordered_[i] = values[sample_at_[i]];
    std::memcpy(values, ordered_.data(), count * sizeof(double));
    if (times_in_order_.empty()) {
      model::Timestamp* times = batch->NewTimestamps(count);
      for (size_t i = 0; i < count; ++i) times[i] = reader.frames_[by_time_[i]].row_ms;
      times_in_order_ = {times, count};
    }
    column->timestamps = times_in_order_;
    column->values = {values, count};
    NoteValues(column);
    return;
  }
  model::Timestamp* times = batch->NewTimestamps(count);
  size_t kept = 0;
  for (size_t place = 0; place < by_time_.size(); ++place) {
    if (sample_at_[place] == kNoId) continue;
    const double value = values[sample_at_[place]];
    const model::Timestamp t = reader.frames_[by_time_[place]].row_ms;
    if (kept > 0 && times[kept - 1] == t) {
      const bool equal =
          std::bit_cast<uint64_t>(ordered_[kept - 1]) == std::bit_cast<uint64_t>(value);
      ++(equal ? reader.equal_dropped_ : reader.unequal_dropped_);
      continue;
    }
    ordered_[kept] = value;
    times[kept++] = t;
  }
  std::memcpy(values, ordered_.data(), kept * sizeof(double));
  column->timestamps = {times, kept};
  column->values = {values, kept};
  NoteValues(column);
}

// ----------------------------------------------------------------------------------------------------------
// times only

void PagePass::ReadTimes(PageReader& reader, std::span<const uint32_t> slots,
                         model::ColumnBatch* batch, model::Column* columns) {
  if (reader.any_partial_ || reader.late_emitted_ > 0) return Read(reader, slots, batch, columns);
  const uint32_t words = slots.back() / 64 + 1;
  every_row_.assign(kWords, UINT64_MAX);
  some_row_.assign(kWords, 0);
  alone_bits_.assign(kWords, 0);
  for (const RunFrames& run : reader.runs_) {
    live_ = run.run->restart.live;
    live_.resize(kWords, 0);
    for (size_t slot = 0; slot < run.run->restart.starts_ms.size(); ++slot) {
      if (run.run->restart.starts_ms[slot] != 0)
        alone_bits_[slot / 64] |= uint64_t{1} << (slot % 64);
    }
    for (uint32_t f = run.first; f < run.last; ++f) {
      const Frame& frame = reader.frames_[f];
      const FrameView& view = frame.view;
      FindItems(view);
      const bool full = view.kind == FrameKind::kFull;
      if (view.kind == FrameKind::kLate || view.has_sections()) {
        for (uint32_t w = 0; w < words; ++w) alone_bits_[w] |= items_[w];
        if (!full) continue;
      } else if (!OnlyPlainValues(view)) {
        NoteSpecialItems(view);
      }
      for (uint32_t w = 0; w < words; ++w) {
        if (full) live_[w] |= items_[w];
        if (!frame.emit) continue;
        const uint64_t slots_there = 64 * w < view.slots ? WordOf(w, view.slots) : 0;
        const uint64_t there = full ? slots_there & live_[w] : slots_there;
        every_row_[w] &= there;
        some_row_[w] |= there;
      }
    }
  }
  std::span<const double> zeros;
  for (size_t i = 0; i < slots.size(); ++i) {
    const uint32_t w = slots[i] / 64;
    const uint64_t bit = uint64_t{1} << (slots[i] % 64);
    columns[i] = model::Column();
    if (((some_row_[w] | alone_bits_[w]) & bit) == 0) continue;
    if ((every_row_[w] & ~alone_bits_[w] & bit) == 0) {
      reader.ReadSlot(slots[i], batch, &columns[i]);
      continue;
    }
    columns[i].timestamps = reader.SharedRows(batch);
    if (zeros.size() != columns[i].timestamps.size()) {
      double* values = batch->NewValues(columns[i].timestamps.size());
      std::fill_n(values, columns[i].timestamps.size(), 0.0);
      zeros = {values, columns[i].timestamps.size()};
    }
    columns[i].values = zeros;
    columns[i].may_hold_stale = false;
  }
}

// Slots that are told by more than being there are read by themselves.
void PagePass::NoteSpecialItems(const FrameView& view) {
  const bool full = view.kind == FrameKind::kFull;
  uint32_t item = 0;
  const auto note = [&](uint32_t slot) {
    const FrameCode code = view.code(item++);
    if (code == FrameCode::kStale || code == FrameCode::kHistogram ||
        (full && code == FrameCode::kAbsent)) {
      alone_bits_[slot / 64] |= uint64_t{1} << (slot % 64);
    }
  };
  if (view.list) {
    while (item < view.items) note(view.list_slot(item));
    return;
  }
  for (uint32_t r = 0; r < view.ranges; ++r) {
    const auto [first, count] = view.range(r);
    for (uint32_t slot = first; slot < first + count; ++slot) note(slot);
  }
  if (view.ranges > 0) return;
  for (uint32_t w = 0; w < view.word_count(); ++w) {
    for (uint64_t word = view.word(w); word != 0; word &= word - 1)
      note(64 * w + static_cast<uint32_t>(std::countr_zero(word)));
  }
}

}  // namespace tocsin::tsdb
