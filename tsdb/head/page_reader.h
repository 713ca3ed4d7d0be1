// PageReader: the samples of slots of one page, as one snapshot sees them.
//
// Made once per page and query: it lists the frames that the snapshot sees and how each counts, so
// that reading a slot is a walk over that list. One thread at a time. Takes no lock; the snapshot's
// pins keep what it points to alive.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "model/sample.h"
#include "model/storage.h"
#include "tsdb/head/frame.h"
#include "tsdb/head/page.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {

// Up to which commit number each half hour is in segments. Sorted by window.
class SealedCuts {
 public:
  // Raises the entry of `window_ms`.
  void Raise(model::Timestamp window_ms, uint64_t commit);
  bool Covers(model::Timestamp t, uint64_t commit) const {
    return CoversWindow(WindowStart(t), commit);
  }
  bool CoversWindow(model::Timestamp window_ms, uint64_t commit) const;
  const std::vector<WindowUse>& cuts() const { return cuts_; }

 private:
  std::vector<WindowUse> cuts_;
};

// What a reader may see of the head.
struct HeadView {
  uint64_t commit = 0;                 // rows with a higher number do not exist
  const SealedCuts* sealed = nullptr;  // samples that segments hold are not read here
  model::TimeRange range;
};

class PagePass;

class PageReader {
 public:
  PageReader(const Page& page, const HeadView& view);
  ~PageReader();

  bool empty() const { return frames_.empty(); }
  // Late samples that lost to one at the same timestamp, in all slots read so far: with an equal
  // value, with another.
  uint64_t equal_dropped() const { return equal_dropped_; }
  uint64_t unequal_dropped() const { return unequal_dropped_; }
  // The slot's samples in the view's range, without those in `deleted`. Views into `batch`.
  void ReadSlot(uint32_t slot, model::ColumnBatch* batch, model::Column* column,
                std::span<const DeletedSpan> deleted = {});
  // Many slots, ascending, at once: decodes each frame once instead of once per slot. `pass` has
  // the buffers; without one they are the reader's own. `times_only`: see PagePass.
  void ReadSlots(std::span<const uint32_t> slots, model::ColumnBatch* batch, model::Column* columns,
                 PagePass* pass = nullptr, bool times_only = false);
  // Call when the batch was cleared: timestamps that were shared through it are gone.
  void BatchCleared() { shared_rows_ = {}; }
  // Row timestamps of the full and cover frames in the view: what most slots share.
  std::span<const model::Timestamp> rows() const { return rows_; }
  // Row timestamps of all frames in the view, in no order.
  void AppendRowTimes(std::vector<model::Timestamp>* times) const {
    for (const Frame& frame : frames_) {
      if (frame.emit) times->push_back(frame.row_ms);
    }
  }

 private:
  friend class PagePass;

  struct Frame {
    FrameView view;
    const FrameHeader* header;
    model::Timestamp row_ms;
    uint64_t commit;
    bool emit;  // samples with the row's timestamp are in the view
  };
  struct RunFrames {
    const Run* run;
    uint32_t first;
    uint32_t last;  // one past
  };
  struct LateSample {
    model::Timestamp t;
    uint64_t bits;
    int64_t start_ms;
    std::string_view histogram;
  };
  struct HistogramSample {
    model::Timestamp t;
    int64_t start_ms;
    std::string_view encoded;
  };

  bool Visible(model::Timestamp t, uint64_t commit) const {
    return view_.range.Contains(t) && !view_.sealed->Covers(t, commit);
  }
  static void PrefetchSet(const Frame& frame, uint32_t slot);
  static void PrefetchItem(const Frame& frame, uint32_t slot);
  bool Deleted(model::Timestamp t, uint64_t commit) const {
    for (const DeletedSpan& span : deleted_) {
      if (commit < span.commit && span.range.Contains(t)) return true;
    }
    return false;
  }
  static bool Locate(const Frame& frame, uint32_t slot, uint32_t* item, const char** payload);
  void Emit(model::Timestamp t, uint64_t bits, int64_t start_ms);
  void EmitItem(const Frame& frame, uint32_t slot, uint32_t item, const char* payload,
                uint64_t* bits, int* exponent, bool* live, int64_t* start_ms);
  void MergeLate();
  void FinishFloats(const model::Timestamp* times, const uint64_t* values, size_t count,
                    model::ColumnBatch* batch, model::Column* column);
  void FinishHistograms(model::ColumnBatch* batch, model::Column* column);
  std::span<const model::Timestamp> SharedRows(model::ColumnBatch* batch);

  const HeadView view_;
  std::vector<Frame> frames_;
  std::vector<RunFrames> runs_;
  std::vector<model::Timestamp> rows_;
  size_t emitted_ = 0;        // frames that give a slot a sample with the row's timestamp
  size_t late_emitted_ = 0;   // late ones that do
  bool any_partial_ = false;  // of those, some are partial
  std::span<const model::Timestamp> shared_rows_;  // in the batch

  // The slot being read.
  std::span<const DeletedSpan> deleted_;
  std::vector<model::Timestamp> times_;
  std::vector<uint64_t> values_;
  std::vector<int64_t> starts_;
  bool any_start_ = false;
  uint32_t rows_seen_ = 0;  // floats so far, late ones aside
  std::vector<HistogramSample> histograms_;
  std::vector<LateSample> late_;
  uint64_t equal_dropped_ = 0;
  uint64_t unequal_dropped_ = 0;

  std::unique_ptr<PagePass> own_pass_;
};

}  // namespace tocsin::tsdb
