// PagePass: many slots of one page at once, frame by frame instead of slot by slot: each frame is
// walked once, and what is decoded goes straight into the columns.
//
// Only plain samples are read so: a slot that meets a histogram, an own or a start timestamp is
// left to PageReader::ReadSlot, which knows all of these. Late samples are decoded in the order in
// which they were committed, like the others, and put in their places when a column is finished.
//
// Holds buffers only; one for all page readers of a thread. One thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/storage.h"
#include "tsdb/head/page_reader.h"

namespace tocsin::tsdb {

class PagePass {
 public:
  // Slots of `reader`'s page, ascending. Views into `batch`.
  void Read(PageReader& reader, std::span<const uint32_t> slots, model::ColumnBatch* batch,
            model::Column* columns);
  // The same where the values do not matter (SelectHints::times_only): those of slots without a
  // staleness marker are zeros, and their frames' payloads are not looked at.
  void ReadTimes(PageReader& reader, std::span<const uint32_t> slots, model::ColumnBatch* batch,
                 model::Column* columns);

 private:
  using Frame = PageReader::Frame;
  using RunFrames = PageReader::RunFrames;

  void Place(std::span<const uint32_t> slots);
  void ReadSome(PageReader& reader, std::span<const uint32_t> slots, model::ColumnBatch* batch,
                model::Column* columns);
  // How frames count: late ones leave slots as they are, whole ones make them live.
  enum class Walk : uint8_t { kFull, kPart, kLate };
  void BeginRun(const RunFrames& run, std::span<const uint32_t> slots);
  void WalkFrame(const Frame& frame, uint32_t number);
  template <Walk kWalk>
  void WalkItems(const Frame& frame, uint32_t number);
  template <Walk kWalk>
  void TakeItem(const Frame& frame, uint32_t number, uint32_t slot, FrameCode code,
                const char* payload);
  void EmitLive(const Frame& frame, uint32_t number);
  void EmitUnchanged(const Frame& frame, uint32_t number);
  void Emit(uint32_t index, uint32_t number, uint64_t bits);
  void Finish(PageReader& reader, uint32_t index, model::ColumnBatch* batch, model::Column* column);
  // Which place each frame's samples have among those of all others, and the other way round.
  void OrderFrames(const PageReader& reader);
  // The same for a slot with late samples: by time, and without what an earlier one was before.
  void FinishLate(PageReader& reader, uint32_t index, model::ColumnBatch* batch,
                  model::Column* column);
  static void NoteValues(model::Column* column);
  // None of the frame's ranges has a slot that is read.
  bool PassesBy(const FrameView& view) const;
  // Which slots have an item in the frame.
  void FindItems(const FrameView& view);
  void NoteSpecialItems(const FrameView& view);

  // The slots being read, numbered from 0: each slot's number, or kNoId, and one bit a slot.
  std::vector<uint32_t> index_of_;
  std::vector<uint64_t> slots_;
  std::vector<uint64_t> live_;
  std::vector<uint64_t> items_;       // of the frame being walked
  std::vector<uint64_t> every_row_;   // one bit a slot: has had a sample in every row
  std::vector<uint64_t> some_row_;    // in some
  std::vector<uint64_t> alone_bits_;  // one bit a slot
  // By the slot's number.
  std::vector<uint64_t> bits_;
  std::vector<uint8_t> exponents_;
  std::vector<uint32_t> counts_;
  std::vector<uint8_t> alone_;  // has more than plain samples: to be read by itself
  std::vector<uint8_t> late_;   // has a late sample

  // A row of stride_ for each number: values in the batch, and the frames that they came from.
  size_t stride_ = 0;
  double* values_ = nullptr;
  std::vector<uint32_t> frames_;

  // Where there are late frames: the frames that give samples, by time, and each frame's place.
  std::vector<uint32_t> by_time_;
  std::vector<uint32_t> place_;
  bool times_differ_ = false;                         // no two of them have the same timestamp
  std::span<const model::Timestamp> times_in_order_;  // of by_time_; in the batch
  // Scratch of FinishLate: by place, the slot's sample, or kNoId.
  std::vector<uint32_t> sample_at_;
  std::vector<double> ordered_;
};

}  // namespace tocsin::tsdb
