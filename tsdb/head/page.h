// Page: the open samples of one layout page (up to 4,096 slots of one source) and the writer's
// state for the next frame.
//
//   Page ── Run ──────── Run ──────── Run …       commit order; a new run at each half hour
//            │ restart    │ restart                and every 256 rows
//            Slab ─ Slab  Slab ─ Slab              up to 14 KiB of frames each
//
// A run starts with a restart, the coding state of every slot: whoever reads a slot starts at the
// nearest restart instead of at the beginning of time. Frames are never edited or moved; the one
// thing written after a frame is visible is its commit number, once, when its batch is published.
// A run leaves memory whole, when everything in it has been sealed.
//
//   frame in a slab:  FrameHeader | rank directory | body (frame.h) | slack, padded to 8 bytes
//
// The rank directory has one u32 per 64 slots (bitmap) or per 64 items (list, ranges): items before
// it << 19 | payload bytes before it. It costs 0.06 bytes a sample and makes reading one slot of a
// row independent of the page's width. Frames with one entry's worth of slots have none.
//
// Thread contract: everything is written under the shard's mutex, and what the writer knows of
// slots is read under it, too (newest_samples.h). Readers of frames take no lock: they follow
// atomic pointers, stop at a slab's published bytes and skip frames whose commit number is above
// theirs; what they may still see is kept alive by their pin.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/sample.h"
#include "tsdb/head/frame.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {

inline constexpr uint64_t kUncommitted = UINT64_MAX;
// Blocks from 16 KiB on cost jemalloc a page beside their own.
inline constexpr uint32_t kSlabBytesMax = 14 * 1024;
inline constexpr uint32_t kSlabBytesMin = 256;
// A restart costs 9 bytes a slot; at 256 rows that is 0.035 bytes a sample. Rows that come in
// pieces count by their samples, within bounds: readers walk all frames of a run, and a gap in the
// log hides a page's rows up to its next state record.
inline constexpr uint32_t kRunRows = 256;
inline constexpr uint32_t kRunFramesMax = 2048;
// A half hour with fewer rows than this does not start a run of its own (slow scrapes, backfill).
inline constexpr uint32_t kRunFramesMin = 32;

struct FrameHeader {
  std::atomic<uint64_t> commit{kUncommitted};
  model::Timestamp row_ms = 0;
  uint32_t bytes = 0;            // to the next header
  uint32_t sections_offset = 0;  // in the body
  uint16_t directory_entries = 0;
  // What the body begins with: a reader that lists frames need not touch it.
  uint16_t slots = 0;
  uint16_t items = 0;
  uint8_t flags = 0;
  uint8_t ranges = 0;

  const char* directory() const { return reinterpret_cast<const char*>(this + 1); }
  const char* body() const { return directory() + size_t{4} * directory_entries; }
  FrameView view() const {
    const auto to_body = static_cast<uint32_t>(body() - reinterpret_cast<const char*>(this));
    return FrameView::FromParts(flags, slots, items, ranges, body(), bytes - to_body,
                                sections_offset);
  }
};
static_assert(sizeof(FrameHeader) == 32);

inline constexpr uint32_t kDirectoryPayloadBits = 19;
inline constexpr uint32_t kDirectoryPayloadMax = (1u << kDirectoryPayloadBits) - 1;

struct Slab {
  static Slab* New(uint32_t capacity);
  static void Delete(Slab* slab);

  std::atomic<Slab*> next{nullptr};
  std::atomic<uint32_t> published{0};  // bytes of whole frames
  const uint32_t capacity;

  char* data() { return reinterpret_cast<char*>(this + 1); }
  const char* data() const { return reinterpret_cast<const char*>(this + 1); }

 private:
  explicit Slab(uint32_t bytes) : capacity(bytes) {}
};

// Samples in one half hour, and the highest commit number among them.
struct WindowUse {
  model::Timestamp window_ms;
  uint64_t commit;
};
// Raises (or adds) the entry of `window_ms`. Lists are short: usually one entry.
void RaiseWindowUse(std::vector<WindowUse>* uses, model::Timestamp window_ms, uint64_t commit);

struct Run {
  ~Run();

  SlotStates restart;  // fixed
  std::atomic<Run*> next{nullptr};
  std::atomic<Slab*> first{nullptr};
  // Of all samples in it, own timestamps included; only ever widened.
  std::atomic<model::Timestamp> min_ms{model::kMaxTimestamp};
  std::atomic<model::Timestamp> max_ms{model::kMinTimestamp};

  // The writer's.
  Slab* last = nullptr;
  uint32_t frames = 0;
  uint64_t samples = 0;            // items of partial and late frames, slots of others
  uint32_t first_sequence = 0;     // of its first frame
  size_t bytes = 0;                // allocated, restart included
  model::Timestamp window_ms = 0;  // of its first row
  std::vector<WindowUse> uses;     // committed samples only

  void Widen(model::Timestamp t);
};

// What the writer knows of a slot's last sample.
struct SlotHistory {
  bool any = false;
  model::Timestamp last_ms = model::kMinTimestamp;
  bool stale = false;
  bool histogram = false;
  uint64_t bits = 0;  // of a float that is not stale; a hash of a histogram's encoding

  // What the sample was is not known any more, only when: Page::RewindHistory, ForgetLastValue. One
  // with its timestamp is stored as a late one; what it repeats is dropped when rows are put in
  // order.
  bool value_unknown() const { return histogram && bits == 0; }
};

class Page {
 public:
  Page(SourceId source_id, uint32_t page_number) : source(source_id), number(page_number) {}
  ~Page();
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;

  // --- fixed ---
  const SourceId source;
  const uint32_t number;  // slot = number * kFrameSlotsMax + slot in page

  // --- for readers ---
  const Run* first_run() const { return first_run_.load(std::memory_order_acquire); }

  // --- the writer's; under the shard's mutex ---
  uint32_t slots() const { return static_cast<uint32_t>(states.size()); }
  void Resize(uint32_t slots);
  SlotHistory History(uint32_t slot) const;
  // The slot has no sample at `t` or later.
  bool InOrder(uint32_t slot, model::Timestamp t) const { return t > LastOf(slot); }
  // Of the slot's last sample; kMinTimestamp when there is none.
  model::Timestamp LastOf(uint32_t slot) const {
    if (((current[slot / 64] >> (slot % 64)) & 1) != 0) return last_full_ms;
    return last_ms.empty() ? model::kMinTimestamp : last_ms[slot];
  }
  // No slot has a later sample.
  model::Timestamp newest_ms() const { return std::max(last_full_ms, newest_note_ms_); }
  // Starts a run when row `row_ms` should not go into the last one; true when it did (the log then
  // gets a state record).
  bool PrepareRow(model::Timestamp row_ms);
  void StartRun(model::Timestamp row_ms);
  // After last_ms was replaced.
  void RefreshNewest();
  // Replay: the next frame that is kept starts a run, from `states` as they are (a state record
  // came, or frames were skipped).
  void RequireRun() {
    run_required_ = true;
    states_behind_ = false;
  }
  // Every slot has a sample in a row: what a cover frame holds, or leaves out as unchanged.
  bool CoveredBy(const uint64_t* present) const;
  // Stores a frame whose items already went through `states`. `min_ms`, `max_ms`: of its samples.
  FrameHeader* Store(std::string_view body, uint32_t sections_offset, const FrameView& view,
                     model::Timestamp row_ms, model::Timestamp min_ms, model::Timestamp max_ms);
  // Notes what a frame did to its slots: last timestamps, staleness. Called once per frame by the
  // appender (which knows) or by replay (which derives it from the frame).
  void NoteFullRow(model::Timestamp row_ms, const uint64_t* present, const uint64_t* stale,
                   const uint64_t* histogram);
  void NoteSample(uint32_t slot, model::Timestamp t, bool stale, bool histogram,
                  uint64_t histogram_hash);
  // A frame from the log: checks it, runs it through the state and stores it as committed, unless
  // `sealed` says of every half hour it has samples in that segments hold them. `uses` learns what
  // is stored. With `rows_only` the state follows only as far as runs need it, which begin with
  // state records nearly always, and slots have no history. kCorruption, and nothing has changed:
  // it is no frame, or a whole row that the writer cannot have written there.
  Status Replay(std::string_view body, model::Timestamp row_ms, uint64_t commit,
                const std::function<bool(model::Timestamp window_ms)>& sealed, bool rows_only,
                std::vector<WindowUse>* uses, uint64_t* items);

  // Replay: takes over the runs of `older`, the same page's earlier rows, in front of its own.
  void TakeOlderRuns(Page* older);
  // Frees the first run. Returns it; the caller keeps it until no reader can be in it.
  Run* UnlinkFirstRun();
  Run* first_run_for_writer() const { return first_run_.load(std::memory_order_relaxed); }
  Run* last_run() const { return last_run_; }
  size_t run_count() const;

  SlotStates states;
  uint32_t sequence = 0;  // of the last frame; what replay tells gaps by
  model::Timestamp last_full_ms = model::kMinTimestamp;
  // One bit a slot: its last sample is the full row at last_full_ms; it was a staleness marker; a
  // histogram.
  std::vector<uint64_t> current;
  std::vector<uint64_t> stale;
  std::vector<uint64_t> histogram;
  // For slots that are not current. Empty as long as every slot is.
  std::vector<model::Timestamp> last_ms;
  std::unordered_map<uint32_t, uint64_t> histogram_hashes;

  // Slots whose writer is done with them (`released`), until their samples have left memory and log
  // and they may stand for another key.
  struct Released {
    uint32_t sequence = 0;    // frames up to here may hold samples of it
    uint64_t log_number = 0;  // log files up to here, too
    bool dead = false;        // it was not live when this was noted
  };
  std::unordered_map<uint32_t, Released> released_slots;
  // One bit a slot: known from the log, and nobody has asked for it since the start.
  std::vector<uint64_t> unclaimed;
  // Slots below slots_logged that stand for another key than the open log file says.
  std::vector<uint32_t> relabelled;
  // The slot's next sample is its first. What codes refer to stays.
  void ForgetHistory(uint32_t slot);
  // The slot's last sample lies in `range` and may be deleted: another one at its timestamp is no
  // duplicate of it.
  void ForgetLastValue(uint32_t slot, model::TimeRange range);
  // Timestamps of every slot's last sample.
  std::vector<model::Timestamp> LastTimestamps() const;
  // Replay: of the rows that the page's state knows of, those behind `kept` (LastTimestamps() from
  // before, and the last full row then) are lost. Their samples may be sent again and are no
  // duplicates. What codes refer to stays; what the samples at `kept` were is not known any more.
  void RewindHistory(const std::vector<model::Timestamp>& kept, model::Timestamp kept_full_ms);

  uint32_t slots_logged = 0;                // slots whose keys the open log file knows
  uint64_t log_number = 0;                  // log file that has the state of this page
  bool broken = false;                      // replay only: a gap; wait for the next state record
  uint32_t restored_sequence = UINT32_MAX;  // replay only: of the first state record there was
  // Bytes of all runs, mirrored into the database's gauge by the caller.
  size_t run_bytes() const { return run_bytes_; }

 private:
  void NoteFrame(const FrameView& view, model::Timestamp row_ms);
  void NotePlainFrame(const FrameView& view, model::Timestamp row_ms);
  // Runs the last run's frames through the state.
  void CatchUpStates();
  void SetLast(uint32_t slot, model::Timestamp t);
  char* Allocate(uint32_t bytes);

  std::atomic<Run*> first_run_{nullptr};
  Run* last_run_ = nullptr;
  bool run_required_ = false;
  bool states_behind_ = false;                              // replay only: of the last run's frames
  model::Timestamp newest_note_ms_ = model::kMinTimestamp;  // of all ever set in last_ms
  size_t run_bytes_ = 0;
};

// The span of a frame's samples, and the half hours they lie in.
struct FrameExtent {
  model::Timestamp min_ms = model::kMaxTimestamp;
  model::Timestamp max_ms = model::kMinTimestamp;
  std::vector<model::Timestamp> windows;
};
FrameExtent ExtentOf(const FrameView& view, model::Timestamp row_ms);

// Tells an equal histogram from another one at the same timestamp.
uint64_t HashOfHistogram(std::string_view encoded);

// How many directory entries a frame gets.
uint32_t DirectoryEntries(const FrameView& view);

}  // namespace tocsin::tsdb
