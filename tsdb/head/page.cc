#include "tsdb/head/page.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "base/check.h"

#include <xxhash.h>

namespace tocsin::tsdb {
namespace {

size_t RestartBytes(const SlotStates& states) {
  return sizeof(Run) + states.bits.size() * 9 + states.live.size() * 8 +
         states.starts_ms.size() * 8;
}

// The size that an allocator with four classes a doubling (jemalloc) gives for `bytes`.
size_t AllocationClass(size_t bytes) {
  const size_t step = std::max<size_t>(std::bit_floor(bytes - 1) / 4, 16);
  return (bytes + step - 1) / step * step;
}

void FillDirectory(const FrameView& view, uint32_t entries, char* out) {
  uint32_t next_entry = 0;
  const char* payload = view.payload;
  const auto put = [&](uint32_t item) {
    const uint32_t packed =
        item << kDirectoryPayloadBits | static_cast<uint32_t>(payload - view.payload);
    std::memcpy(out + size_t{4} * next_entry++, &packed, sizeof packed);
  };
  uint32_t item = 0;
  const auto skip_item = [&] {
    payload += PayloadBytes(view.code(item), payload);
    ++item;
  };
  if (view.list || view.ranges > 0) {
    while (item < view.items) {
      if (item % 64 == 0) put(item);
      skip_item();
    }
  } else {
    for (uint32_t w = 0; w < entries; ++w) {
      put(item);
      for (int n = std::popcount(view.word(w)); n > 0; --n) skip_item();
    }
  }
  DCHECK(next_entry == entries);
}

}  // namespace

Slab* Slab::New(uint32_t capacity) {
  return new (::operator new(sizeof(Slab) + capacity)) Slab(capacity);
}

void Slab::Delete(Slab* slab) {
  slab->~Slab();
  ::operator delete(slab);
}

void RaiseWindowUse(std::vector<WindowUse>* uses, model::Timestamp window_ms, uint64_t commit) {
  for (WindowUse& use : *uses) {
    if (use.window_ms == window_ms) {
      use.commit = std::max(use.commit, commit);
      return;
    }
  }
  uses->push_back({window_ms, commit});
}

Run::~Run() {
  for (Slab* slab = first.load(std::memory_order_relaxed); slab != nullptr;) {
    Slab* following = slab->next.load(std::memory_order_relaxed);
    Slab::Delete(slab);
    slab = following;
  }
}

void Run::Widen(model::Timestamp t) {
  if (t < min_ms.load(std::memory_order_relaxed)) min_ms.store(t, std::memory_order_relaxed);
  if (t > max_ms.load(std::memory_order_relaxed)) max_ms.store(t, std::memory_order_relaxed);
}

Page::~Page() {
  for (Run* run = first_run_.load(std::memory_order_relaxed); run != nullptr;) {
    Run* following = run->next.load(std::memory_order_relaxed);
    delete run;
    run = following;
  }
}

void Page::Resize(uint32_t slots) {
  states.Resize(slots);
  const size_t words = states.live.size();
  current.resize(words, 0);
  stale.resize(words, 0);
  histogram.resize(words, 0);
  if (!last_ms.empty()) last_ms.resize(slots, model::kMinTimestamp);
}

SlotHistory Page::History(uint32_t slot) const {
  const size_t word = slot / 64;
  const uint64_t bit = uint64_t{1} << (slot % 64);
  SlotHistory history;
  if ((current[word] & bit) != 0) {
    history.last_ms = last_full_ms;
  } else if (!last_ms.empty()) {
    history.last_ms = last_ms[slot];
  }
  history.any = history.last_ms != model::kMinTimestamp;
  history.stale = (stale[word] & bit) != 0;
  history.histogram = (histogram[word] & bit) != 0;
  history.bits = states.bits[slot];
  if (history.histogram) {
    const auto found = histogram_hashes.find(slot);
    history.bits = found == histogram_hashes.end() ? 0 : found->second;
  }
  return history;
}

bool Page::CoveredBy(const uint64_t* present) const {
  const uint32_t tail = slots() % 64;
  const size_t whole = slots() / 64;
  for (size_t w = 0; w < whole; ++w) {
    if (present[w] != UINT64_MAX) return false;
  }
  return slots() > 0 && (tail == 0 || present[whole] == (uint64_t{1} << tail) - 1);
}

bool Page::PrepareRow(model::Timestamp row_ms) {
  if (last_run_ != nullptr && !run_required_) {
    const Run& run = *last_run_;
    const bool long_enough = run.bytes >= 2 * RestartBytes(states);
    const bool other_window = WindowStart(row_ms) > run.window_ms && run.frames >= kRunFramesMin;
    const bool full = run.frames >= kRunRows && run.samples >= uint64_t{kRunRows} * slots();
    if (!other_window && !((full || run.frames >= kRunFramesMax) && long_enough)) return false;
  }
  StartRun(row_ms);
  return true;
}

void Page::StartRun(model::Timestamp row_ms) {
  run_required_ = false;
  auto* run = new Run();
  run->restart = states;
  run->window_ms = WindowStart(row_ms);
  run->first_sequence = sequence + 1;
  run->bytes = RestartBytes(states);
  run_bytes_ += run->bytes;
  if (last_run_ == nullptr) {
    first_run_.store(run, std::memory_order_release);
  } else {
    last_run_->next.store(run, std::memory_order_release);
  }
  last_run_ = run;
}

// Doubles with the run, so that a small source holds little and a large one has few slabs. Of the
// sizes that the allocator does not round up, the one that frames like this one fill best.
static uint32_t SlabCapacity(uint32_t frame_bytes, size_t run_bytes) {
  const size_t wanted = std::clamp<size_t>(run_bytes, kSlabBytesMin, kSlabBytesMax / 2);
  if (wanted < kSlabBytesMax / 2 || frame_bytes > kSlabBytesMax / 2) {
    const size_t least = std::max(wanted, sizeof(Slab) + frame_bytes);
    return static_cast<uint32_t>(AllocationClass(least) - sizeof(Slab));
  }
  size_t best = 0;
  double best_fill = 0;
  for (size_t size = kSlabBytesMax / 2; size <= kSlabBytesMax; size = AllocationClass(size + 1)) {
    const size_t room = size - sizeof(Slab);
    const auto used = static_cast<double>(room / frame_bytes * frame_bytes);
    if (const double fill = used / static_cast<double>(size); fill >= best_fill) {
      best_fill = fill;
      best = room;
    }
  }
  return static_cast<uint32_t>(best);
}

char* Page::Allocate(uint32_t bytes) {
  Run& run = *last_run_;
  if (run.last == nullptr ||
      run.last->capacity - run.last->published.load(std::memory_order_relaxed) < bytes) {
    Slab* slab = Slab::New(SlabCapacity(bytes, run.bytes - RestartBytes(run.restart)));
    const uint32_t capacity = slab->capacity;
    if (run.last == nullptr) {
      run.first.store(slab, std::memory_order_release);
    } else {
      run.last->next.store(slab, std::memory_order_release);
    }
    run.last = slab;
    run.bytes += sizeof(Slab) + capacity;
    run_bytes_ += sizeof(Slab) + capacity;
  }
  return run.last->data() + run.last->published.load(std::memory_order_relaxed);
}

uint32_t DirectoryEntries(const FrameView& view) {
  if (static_cast<size_t>(view.payload_end - view.payload) > kDirectoryPayloadMax) return 0;
  if (view.list || view.ranges > 0) return view.items <= 64 ? 0 : (view.items + 63) / 64;
  return view.slots <= 64 ? 0 : view.word_count();
}

FrameHeader* Page::Store(std::string_view body, uint32_t sections_offset, const FrameView& view,
                         model::Timestamp row_ms, model::Timestamp min_ms,
                         model::Timestamp max_ms) {
  const uint32_t entries = DirectoryEntries(view);
  // The slack is the frame's own: decoders load 8 bytes at a time, and the next frame's may be
  // being written.
  const size_t used = sizeof(FrameHeader) + size_t{4} * entries + body.size();
  const size_t bytes = (used + kFrameSlack + 7) & ~size_t{7};
  char* memory = Allocate(static_cast<uint32_t>(bytes));
  auto* header = new (memory) FrameHeader();
  header->row_ms = row_ms;
  header->bytes = static_cast<uint32_t>(bytes);
  header->sections_offset = sections_offset;
  header->slots = static_cast<uint16_t>(view.slots);
  header->items = static_cast<uint16_t>(view.items);
  header->flags = static_cast<uint8_t>(body[0]);
  header->ranges = view.ranges;
  header->directory_entries = static_cast<uint16_t>(entries);
  if (entries > 0) FillDirectory(view, entries, memory + sizeof(FrameHeader));
  std::memcpy(memory + used - body.size(), body.data(), body.size());
  std::memset(memory + used, 0, bytes - used);
  Run& run = *last_run_;
  if (min_ms <= max_ms) {
    run.Widen(min_ms);
    run.Widen(max_ms);
  }
  ++run.frames;
  const bool part = view.kind == FrameKind::kPartial || view.kind == FrameKind::kLate;
  run.samples += part ? view.items : view.slots;
  run.last->published.store(run.last->published.load(std::memory_order_relaxed) + header->bytes,
                            std::memory_order_release);
  return header;
}

void Page::SetLast(uint32_t slot, model::Timestamp t) {
  if (last_ms.empty()) last_ms.resize(states.size(), model::kMinTimestamp);
  last_ms[slot] = t;
  newest_note_ms_ = std::max(newest_note_ms_, t);
}

void Page::RefreshNewest() {
  newest_note_ms_ = model::kMinTimestamp;
  for (const model::Timestamp t : last_ms) newest_note_ms_ = std::max(newest_note_ms_, t);
}

void Page::NoteFullRow(model::Timestamp row_ms, const uint64_t* present, const uint64_t* stale_now,
                       const uint64_t* histogram_now) {
  for (size_t w = 0; w < current.size(); ++w) {
    for (uint64_t gone = current[w] & ~present[w]; gone != 0; gone &= gone - 1) {
      SetLast(static_cast<uint32_t>(64 * w) + static_cast<uint32_t>(std::countr_zero(gone)),
              last_full_ms);
    }
    current[w] = present[w];
    stale[w] = (stale[w] & ~present[w]) | stale_now[w];
    histogram[w] = (histogram[w] & ~present[w]) | histogram_now[w];
  }
  last_full_ms = row_ms;
}

void Page::NoteSample(uint32_t slot, model::Timestamp t, bool stale_now, bool histogram_now,
                      uint64_t histogram_hash) {
  const size_t word = slot / 64;
  const uint64_t bit = uint64_t{1} << (slot % 64);
  current[word] &= ~bit;
  SetLast(slot, t);
  stale[word] = stale_now ? stale[word] | bit : stale[word] & ~bit;
  histogram[word] = histogram_now ? histogram[word] | bit : histogram[word] & ~bit;
  if (histogram_now) histogram_hashes[slot] = histogram_hash;
}

Status Page::Replay(std::string_view body, model::Timestamp row_ms, uint64_t commit,
                    const std::function<bool(model::Timestamp)>& sealed, bool rows_only,
                    std::vector<WindowUse>* uses, uint64_t* items) {
  auto parsed = FrameView::Parse(body);
  if (!parsed) return std::move(parsed).error();
  const FrameView& view = *parsed;
  const bool full = view.kind == FrameKind::kFull;
  const bool cover = view.kind == FrameKind::kCover;
  if ((full && row_ms <= last_full_ms) || (cover && row_ms <= newest_ms()))
    return Status(Code::kCorruption, "frame: a whole row that is not later than what is before it");
  if (slots() < view.slots) Resize(view.slots);
  *items += view.items;
  const FrameExtent extent = ExtentOf(view, row_ms);
  bool keep = false;
  for (const model::Timestamp window_ms : extent.windows) keep = keep || !sealed(window_ms);
  const bool starts_run = keep && (last_run_ == nullptr || run_required_);
  if (starts_run || !keep) CatchUpStates();
  if (starts_run) StartRun(row_ms);
  states_behind_ = rows_only && keep;
  if (!states_behind_) ApplyFrame(view, &states);
  if (!rows_only) {
    NoteFrame(view, row_ms);
  } else if (full || cover) {
    last_full_ms = row_ms;
  }
  ++sequence;
  if (!keep) {
    run_required_ = true;
    return Status::Ok();
  }
  FrameHeader* header = Store(body, static_cast<uint32_t>(view.payload_end - body.data()), view,
                              row_ms, extent.min_ms, extent.max_ms);
  header->commit.store(commit, std::memory_order_relaxed);
  for (const model::Timestamp window_ms : extent.windows) {
    RaiseWindowUse(&last_run_->uses, window_ms, commit);
    RaiseWindowUse(uses, window_ms, commit);
  }
  return Status::Ok();
}

void Page::CatchUpStates() {
  if (!states_behind_) return;
  const uint32_t known = slots();
  states = last_run_->restart;
  for (const Slab* slab = last_run_->first.load(std::memory_order_relaxed); slab != nullptr;
       slab = slab->next.load(std::memory_order_relaxed)) {
    const uint32_t end = slab->published.load(std::memory_order_relaxed);
    for (uint32_t at = 0; at < end;) {
      const auto* header = reinterpret_cast<const FrameHeader*>(slab->data() + at);
      ApplyFrame(header->view(), &states);
      at += header->bytes;
    }
  }
  if (slots() < known) states.Resize(known);
  states_behind_ = false;
}

// A frame of floats at the row's timestamp: nothing to be looked at item by item.
void Page::NotePlainFrame(const FrameView& view, model::Timestamp row_ms) {
  static constexpr uint64_t kNone[kFrameSlotsMax / 64] = {};
  uint64_t present[kFrameSlotsMax / 64] = {};
  if (view.kind == FrameKind::kFull) {
    // Every slot that is live after the frame has its sample at this row.
    std::copy(states.live.begin(), states.live.end(), present);
    NoteFullRow(row_ms, present, kNone, kNone);
    return;
  }
  const bool cover = view.kind == FrameKind::kCover;
  if (cover && view.slots == slots() && row_ms > newest_ms()) {
    std::fill_n(present, slots() / 64, UINT64_MAX);
    if (slots() % 64 != 0) present[slots() / 64] = (uint64_t{1} << (slots() % 64)) - 1;
    NoteFullRow(row_ms, present, kNone, kNone);
  } else if (cover) {
    for (uint32_t slot = 0; slot < view.slots; ++slot) NoteSample(slot, row_ms, false, false, 0);
  } else {
    ForEachItem(view, [&](uint32_t, uint32_t slot, FrameCode, const char*) {
      NoteSample(slot, row_ms, false, false, 0);
    });
  }
}

// Derives from a frame, after ApplyFrame, what the appender knew when it wrote it.
void Page::NoteFrame(const FrameView& view, model::Timestamp row_ms) {
  if (view.kind == FrameKind::kLate) return;
  if (OnlyPlainValues(view)) {
    NotePlainFrame(view, row_ms);
    return;
  }
  // A cover that is later than all before it is to the slots' history what a full row is.
  const bool cover = view.kind == FrameKind::kCover;
  const bool covers_all = cover && view.slots == slots() && row_ms > newest_ms();
  const bool full = view.kind == FrameKind::kFull || covers_all;
  std::vector<SectionEntry> own;
  ReadSection(view.own, &own);
  size_t next_own = 0;
  struct Note {
    uint32_t slot;
    model::Timestamp t;
    bool stale;
    bool histogram;
    uint64_t hash;
  };
  std::vector<Note> notes;
  uint64_t present[kFrameSlotsMax / 64] = {};
  uint64_t stale_now[kFrameSlotsMax / 64] = {};
  uint64_t histogram_now[kFrameSlotsMax / 64] = {};
  if (view.kind == FrameKind::kFull) {
    // Every slot that is live after the frame has its sample at this row.
    std::copy(states.live.begin(), states.live.end(), present);
  } else if (cover) {
    for (uint32_t slot = 0; slot < view.slots; ++slot)
      present[slot / 64] |= uint64_t{1} << (slot % 64);
  }
  ForEachItem(view, [&](uint32_t item, uint32_t slot, FrameCode code, const char* payload) {
    const bool has_own = next_own < own.size() && own[next_own].item == item;
    const model::Timestamp t = has_own ? row_ms + own[next_own++].value : row_ms;
    if (view.kind == FrameKind::kFull && code == FrameCode::kAbsent) return;
    const bool is_stale = code == FrameCode::kStale;
    const bool is_histogram = code == FrameCode::kHistogram;
    uint64_t hash = 0;
    if (is_histogram) hash = HashOfHistogram(HistogramPayload(payload));
    const uint64_t bit = uint64_t{1} << (slot % 64);
    if (!full || has_own) {
      notes.push_back({slot, t, is_stale, is_histogram, hash});
      present[slot / 64] &= ~bit;
      return;
    }
    present[slot / 64] |= bit;
    if (is_stale) stale_now[slot / 64] |= bit;
    if (is_histogram) {
      histogram_now[slot / 64] |= bit;
      histogram_hashes[slot] = hash;
    }
  });
  if (full) {
    NoteFullRow(row_ms, present, stale_now, histogram_now);
  } else if (cover) {
    for (uint32_t slot = 0; slot < view.slots; ++slot) {
      if (((present[slot / 64] >> (slot % 64)) & 1) != 0) NoteSample(slot, row_ms, false, false, 0);
    }
  }
  for (const Note& note : notes)
    NoteSample(note.slot, note.t, note.stale, note.histogram, note.hash);
}

FrameExtent ExtentOf(const FrameView& view, model::Timestamp row_ms) {
  FrameExtent extent;
  const auto sampled = [&](model::Timestamp t) {
    extent.min_ms = std::min(extent.min_ms, t);
    extent.max_ms = std::max(extent.max_ms, t);
    const model::Timestamp window_ms = WindowStart(t);
    if (std::find(extent.windows.begin(), extent.windows.end(), window_ms) == extent.windows.end())
      extent.windows.push_back(window_ms);
  };
  std::vector<SectionEntry> own;
  ReadSection(view.own, &own);
  const bool whole = view.kind == FrameKind::kFull || view.kind == FrameKind::kCover;
  if (whole || own.size() < view.items) sampled(row_ms);
  for (const SectionEntry& entry : own) sampled(row_ms + entry.value);
  return extent;
}

uint64_t HashOfHistogram(std::string_view encoded) {
  return XXH3_64bits(encoded.data(), encoded.size());
}

void Page::ForgetHistory(uint32_t slot) {
  const uint64_t bit = uint64_t{1} << (slot % 64);
  current[slot / 64] &= ~bit;
  stale[slot / 64] &= ~bit;
  histogram[slot / 64] &= ~bit;
  histogram_hashes.erase(slot);
  if (!last_ms.empty()) last_ms[slot] = model::kMinTimestamp;
}

void Page::ForgetLastValue(uint32_t slot, model::TimeRange range) {
  const SlotHistory history = History(slot);
  if (!history.any || !range.Contains(history.last_ms)) return;
  // A histogram without a hash: neither equal to anything nor different.
  histogram[slot / 64] |= uint64_t{1} << (slot % 64);
  histogram_hashes.erase(slot);
}

std::vector<model::Timestamp> Page::LastTimestamps() const {
  std::vector<model::Timestamp> last(slots());
  for (uint32_t slot = 0; slot < last.size(); ++slot) last[slot] = History(slot).last_ms;
  return last;
}

void Page::RewindHistory(const std::vector<model::Timestamp>& kept, model::Timestamp kept_full_ms) {
  for (uint32_t slot = 0; slot < slots(); ++slot) {
    const model::Timestamp before = slot < kept.size() ? kept[slot] : model::kMinTimestamp;
    if (History(slot).last_ms <= before) continue;
    ForgetHistory(slot);
    if (before != model::kMinTimestamp) {
      SetLast(slot, before);
      ForgetLastValue(slot, {});
    }
  }
  last_full_ms = std::min(last_full_ms, kept_full_ms);
  RefreshNewest();
}

void Page::TakeOlderRuns(Page* older) {
  Run* first = older->first_run_.load(std::memory_order_relaxed);
  if (first == nullptr) return;
  older->last_run_->next.store(first_run_.load(std::memory_order_relaxed),
                               std::memory_order_relaxed);
  if (last_run_ == nullptr) {
    last_run_ = older->last_run_;
    run_required_ = true;
  }
  first_run_.store(first, std::memory_order_release);
  run_bytes_ += older->run_bytes_;
  older->first_run_.store(nullptr, std::memory_order_relaxed);
  older->last_run_ = nullptr;
  older->run_bytes_ = 0;
}

Run* Page::UnlinkFirstRun() {
  Run* run = first_run_.load(std::memory_order_relaxed);
  Run* following = run->next.load(std::memory_order_relaxed);
  if (following == nullptr) last_run_ = nullptr;
  first_run_.store(following, std::memory_order_release);
  run_bytes_ -= run->bytes;
  return run;
}

size_t Page::run_count() const {
  size_t count = 0;
  for (const Run* run = first_run(); run != nullptr;
       run = run->next.load(std::memory_order_relaxed))
    ++count;
  return count;
}

}  // namespace tocsin::tsdb
