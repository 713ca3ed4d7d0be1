// DiskBudget: how many bytes the files of a database take, how many they may take, and whether
// samples are let in.
//
// BudgetEnv reserves before it writes, so that the cap is never exceeded, not even for a moment:
//
//        0 ······················ goal ········ refuse ········ cap
//        |       retention deletes |  samples    |  log and      | nothing is written:
//        |       down to here      |  go on      |  seals go on  | Reserve() fails
//
// The headroom between goal and cap is a sixteenth of the cap, at most 256 MiB: room for the log
// between two rounds of retention, and for what is needed to make room (a seal, new log files).
// Below the free-space floor samples are refused, too, whatever the cap is, and so they are while
// rows cannot be sealed and have filled the memory that is for them (Compactor::NoteSeals).
//
// Thread-safe, without locks.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/status.h"

namespace tocsin::tsdb {

class DiskBudget {
 public:
  // Counts bytes that are about to be written; false, and nothing counted, when they would not fit.
  bool Reserve(uint64_t bytes);
  // Counts bytes that are there already.
  void Add(uint64_t bytes) { used_.fetch_add(bytes, std::memory_order_relaxed); }
  // Files were removed, or fewer bytes written than reserved.
  void Subtract(uint64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }

  void SetCap(uint64_t bytes) { cap_.store(bytes, std::memory_order_relaxed); }  // 0 = none
  void SetBelowFloor(bool below) { below_floor_.store(below, std::memory_order_relaxed); }

  void SetHeadFull(bool full) { head_full_.store(full, std::memory_order_relaxed); }

  uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  uint64_t cap() const { return cap_.load(std::memory_order_relaxed); }
  bool below_floor() const { return below_floor_.load(std::memory_order_relaxed); }
  bool head_full() const { return head_full_.load(std::memory_order_relaxed); }
  // Bytes above the goal; 0 without a cap.
  uint64_t excess() const;
  // Bytes that may be written before the cap is reached; without a cap the highest number.
  uint64_t left() const;
  bool refuses() const;

  // Ok while samples are let in; else kNoSpace with the reason.
  Status Admit() const;

 private:
  std::atomic<uint64_t> used_{0};
  std::atomic<uint64_t> cap_{0};
  std::atomic<bool> below_floor_{false};
  std::atomic<bool> head_full_{false};
};

}  // namespace tocsin::tsdb
