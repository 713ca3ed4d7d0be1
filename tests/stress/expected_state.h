// ExpectedState: what the stress program knows of every sample that it ever tried to write, and the
// comparison of a store with it. In the manner of RocksDB's db_stress, the knowledge lies in memory
// that outlives the process under test.
//
// Everything about a sample follows from (seed, source, row, slot): its timestamp, whether it
// exists and its value. So one byte a *unit* is enough: a unit is what is committed together of one
// row (a whole scrape; one of the two halves of a pushed row), and a store holds all of a unit or
// nothing.
//
//   written:  kNever → kTried → kVisible, kKernel or kSynced (by the durability it was acknowledged
//             with)
//   deleted:  not → kDeleteTried → kDeleted; a unit with a delete is never written again
//
// Thread contract: bytes are atomic; one thread at a time writes the units of one source.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/metadata.h"
#include "model/sample.h"
#include "model/storage.h"

namespace tocsin::stress {

inline constexpr int kSlots = 24;
inline constexpr int kRows = 6000;  // 25 hours: a day closes on the way
inline constexpr int kParts = 2;
inline constexpr int64_t kRowMs = 15'000;

enum WriteState : uint8_t { kNever = 0, kTried = 1, kVisible = 2, kKernel = 3, kSynced = 4 };
inline constexpr uint8_t kWriteMask = 7;
inline constexpr uint8_t kDeleteTried = 1 << 4;
inline constexpr uint8_t kDeleted = 1 << 5;

struct Unit {
  int source;
  int row;
  int part;
};

// The data set. Sources with an even number are scraped (part 0 holds the row), odd ones pushed.
class Universe {
 public:
  Universe(uint64_t seed, int sources, model::Timestamp start_ms)
      : seed_(seed), sources_(sources), start_ms_(start_ms) {}

  int sources() const { return sources_; }
  model::Timestamp start_ms() const { return start_ms_; }
  static bool IsScrape(int source) { return source % 2 == 0; }
  // Of some slots the samples are of both kinds in turn.
  static bool IsHistogram(int slot, int row) {
    return slot % 8 == 5 && (slot % 16 != 13 || row % 40 >= 3);
  }
  // Some samples carry a timestamp of their own, so long before their row's.
  static int64_t OwnLagMs(int slot) { return slot % 12 == 6 ? 3 : 0; }

  model::Timestamp TimestampOf(int source, int row) const;
  model::Timestamp SampleTimestampOf(int source, int row, int slot) const {
    return TimestampOf(source, row) - OwnLagMs(slot);
  }
  // The row whose timestamp of this source is `t`; -1 for none.
  int RowAt(int source, model::Timestamp t) const;
  // Since when the sample's counter counts; 0: it does not say.
  model::Timestamp StartOf(int source, int row, int slot) const;
  std::optional<model::Exemplar> ExemplarOf(int source, int row, int slot) const;
  bool Holds(const Unit& unit, int slot) const;
  int CountSlots(const Unit& unit) const;
  double Value(int source, int row, int slot) const;
  model::Histogram HistogramOf(int source, int row, int slot) const;

  model::Labels SourceLabels(int source) const;
  model::Labels Key(int slot) const;

  size_t units() const { return static_cast<size_t>(sources_) * kRows * kParts; }
  static size_t IndexOf(const Unit& unit) {
    return (static_cast<size_t>(unit.source) * kRows + static_cast<size_t>(unit.row)) * kParts +
           static_cast<size_t>(unit.part);
  }
  static Unit UnitAt(size_t index) {
    return {static_cast<int>(index / kParts / kRows), static_cast<int>(index / kParts % kRows),
            static_cast<int>(index % kParts)};
  }
  // The part of a row that holds `slot`.
  static int PartOf(int source, int slot) { return IsScrape(source) ? 0 : slot % kParts; }

 private:
  uint64_t Hash(int source, int row, int slot) const;

  uint64_t seed_;
  int sources_;
  model::Timestamp start_ms_;
};

// One byte a unit, in memory given by the caller (units() of them, zero at first).
class ExpectedState {
 public:
  ExpectedState(const Universe& universe, std::atomic<uint8_t>* bytes)
      : universe_(universe), bytes_(bytes) {}

  const Universe& universe() const { return universe_; }
  uint8_t Get(size_t index) const { return bytes_[index].load(std::memory_order_acquire); }
  uint8_t Get(const Unit& unit) const { return Get(Universe::IndexOf(unit)); }
  void Set(size_t index, uint8_t byte) { bytes_[index].store(byte, std::memory_order_release); }
  // Raises the written part of the byte; never lowers it.
  void Raise(const Unit& unit, WriteState state);
  void Flag(const Unit& unit, uint8_t delete_flag);
  std::vector<uint8_t> Copy() const;

 private:
  const Universe& universe_;
  std::atomic<uint8_t>* bytes_;
};

// Field by field, but that hints are the storage's to change and doubles are told by their bits.
bool SameHistogram(const model::Histogram& a, const model::Histogram& b);
// Of a series' labels; false when no series has them.
bool FindPlace(const Universe& universe, const model::Labels& labels, int* source, int* slot);

// How many samples of each unit a snapshot holds.
using Observed = std::vector<uint8_t>;

// Reads every series. Fails on a sample that no write can have made: an unknown series or
// timestamp, other bits, the same sample twice. Samples that are only what a rollup kept are not
// counted. `starts_may_lack`: it went through a format without start timestamps.
Result<Observed> Observe(const Universe& universe, const model::Snapshot& snapshot,
                         bool starts_may_lack = false);

// Compares a snapshot's content with what was known `before` it was pinned and `after` it was read.
// What was acknowledged at `least` as safely (kVisible without a crash, kKernel after kill -9,
// kSynced after a power cut) must be there, what was deleted must not be, nothing may be there in
// part. `floors`, by source (none: no retention): what is older may be gone, also in part.
Status Compare(const Universe& universe, std::span<const uint8_t> before,
               std::span<const uint8_t> after, const Observed& observed, WriteState least,
               std::span<const model::Timestamp> floors = {});
// Each exemplar was written, to that series, and is not deleted. They may outlive samples that
// retention took.
Status CompareExemplars(const ExpectedState& expected, const model::Snapshot& snapshot,
                        std::span<const model::Timestamp> floors = {});

// After a crash: what was in doubt is known now. Absent units may be written again.
void Settle(ExpectedState* expected, const Observed& observed);

}  // namespace tocsin::stress
