// Tail: committed rows from a position on, in commit order, for those who pass them on (remote
// write, agent mode).
//
//   auto tail = database.OpenTail(position);          // position: what the caller had durably done
//   (*tail)->Next(10'000, visitor);                   // …Row(row) for each sample of whole batches
//   (*tail)->Release(position);                       // done up to here: the log may go
//
// Positions are commit numbers: everything up to one was given. They stay good over restarts,
// rotations of the log and seals. The log is kept for the slowest tail, up to a bound; a tail that
// fell behind it goes on at the next record that tells the series' state, and counts the gap.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/metadata.h"
#include "model/sample.h"

namespace tocsin::model {

// Pointers are valid during the visit.
struct TailRow {
  uint64_t commit_number = 0;
  // Of the series as long as the Tail lives, never another one's: for caches of whatever is made of
  // the labels. After a restart of the database in the followed stretch a series may have two.
  uint64_t series = 0;
  const Labels* source_labels = nullptr;  // the series' labels are both parts together
  const Labels* key_labels = nullptr;
  Timestamp timestamp_ms = 0;
  Timestamp start_timestamp_ms = 0;      // 0 = none
  double value = 0;                      // staleness markers, too
  const Histogram* histogram = nullptr;  // null for a float
};

struct TailExemplar {
  uint64_t commit_number = 0;
  uint64_t series = 0;
  const Labels* source_labels = nullptr;
  const Labels* key_labels = nullptr;
  const model::Exemplar* exemplar = nullptr;
};

class TailVisitor {
 public:
  virtual ~TailVisitor() = default;
  virtual void Row(const TailRow& row) = 0;
  virtual void Exemplar(const TailExemplar& /*exemplar*/) {}
};

struct TailProgress {
  uint64_t samples = 0;  // given
  uint64_t gaps = 0;     // places where rows were lost: damage, or log that was not kept
  // In them. Of rows that nobody can read an estimate: parts of rows are taken to be as long as
  // those that were given are on average; rows of pages of which nothing was given, as their page
  // has live series.
  uint64_t lost_samples = 0;
};

// One thread at a time. Must not outlive its database.
class Tail {
 public:
  virtual ~Tail() = default;
  // Visits the next whole batches, until there were `max_samples` or there are no more. Rows of one
  // batch come shard by shard, in the order in which they were set within a page.
  virtual Result<TailProgress> Next(size_t max_samples, TailVisitor& visitor) = 0;
  // Everything up to this commit number was given.
  virtual uint64_t position() const = 0;
  // The caller has done with everything up to `position`, durably.
  virtual void Release(uint64_t position) = 0;
};

}  // namespace tocsin::model
