// StressWriter: one writing client of the store under stress. It owns some sources of the Universe
// and commits batches of their units: in order, late, again, under every durability; it deletes
// ranges of its own sources. What it did it tells ExpectedState before and after each call.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "expected_state.h"
#include "tsdb/database.h"

namespace tocsin::stress {

// How far the writers are, so that none is late for the others' sake.
class Progress {
 public:
  explicit Progress(int sources) : next_row_(static_cast<size_t>(sources)) {}
  int next_row(int source) const { return next_row_[static_cast<size_t>(source)].load(); }
  void set_next_row(int source, int row) { next_row_[static_cast<size_t>(source)].store(row); }
  int lowest() const;
  int highest() const;

 private:
  std::vector<std::atomic<int>> next_row_;
};

// Counts of a run, to show that it did what it is for.
struct StressCounts {
  std::atomic<uint64_t> batches = 0;
  std::atomic<uint64_t> late_units = 0;
  std::atomic<uint64_t> repeated_units = 0;
  std::atomic<uint64_t> failed_batches = 0;
  std::atomic<uint64_t> deletes = 0;
  std::atomic<uint64_t> samples = 0;
};

// The mark that a writer commits with its batches: a number that rises.
class ExpectedMark {
 public:
  void Tried(uint64_t number) { tried_ = number; }
  void Acknowledged(WriteState state, uint64_t number);
  uint64_t tried() const { return tried_; }
  // `found`: what the store has; 0: none. At least what was acknowledged so safely.
  Status Compare(uint64_t found, WriteState least) const;
  void Settle(uint64_t found);

 private:
  uint64_t tried_ = 0;
  uint64_t acknowledged_[kSynced + 1] = {};
};

class StressWriter {
 public:
  // Rows: the writer goes on behind the last row of its sources that `expected` knows as tried.
  StressWriter(ExpectedState* expected, Progress* progress, StressCounts* counts,
               tsdb::Database* database, int first_source, int last_source, uint64_t seed);

  // From now on batches carry the mark `key`, and these and the units that were first written by a
  // batch that was acknowledged are noted. What they point to must outlive the writer.
  void set_mark(std::string key, ExpectedMark* mark) {
    mark_key_ = std::move(key);
    mark_ = mark;
  }
  void set_acknowledged(std::vector<Unit>* acknowledged) { acknowledged_ = acknowledged; }

  // One batch, or one delete. An error is a broken promise of the store, unless `may_fail` (a fault
  // is being injected) allows that calls fail. kResourceExhausted: all rows are written.
  Status Step(bool may_fail);

 private:
  struct Source {
    int id = 0;
    std::unique_ptr<model::SourceWriter> writer;
    std::vector<model::Slot> slots;  // kNoSlot: not open
  };

  Status WriteBatch(bool may_fail);
  Status DeleteRange(bool may_fail);
  bool OpenSource(Source* source);
  // Units for one row of `source`, chosen at random; empty when it is too far ahead.
  std::vector<Unit> Choose(const Source& source);
  bool Stage(model::AppendBatch* batch, Source* source, const Unit& unit);
  bool MayWrite(const Unit& unit) const;
  uint64_t Random(uint64_t below) { return random_() % below; }

  ExpectedState* expected_;
  Progress* progress_;
  StressCounts* counts_;
  tsdb::Database* database_;
  std::vector<Source> sources_;
  std::mt19937_64 random_;
  std::string mark_key_;
  ExpectedMark* mark_ = nullptr;
  std::vector<Unit>* acknowledged_ = nullptr;
};

}  // namespace tocsin::stress
