// ResultCache: answers of range queries, by extent. When a dashboard asks again, only the steps
// that were not answered yet are evaluated, and those whose samples may still be on their way.
//
// An extent is one answer, kept whole, with the stretch of steps that is settled: every sample that
// they depend on lies at or before QueryServiceOptions::settled_until of just before the
// evaluation, so nothing changes under them without raising ChangeNumber. Its stamps are the change
// numbers of all windows of the store that its steps depend on, read before the evaluation; where
// one has moved, only the steps before it are used.
//
// Keys: the expression as the printer writes it, step, phase of the steps, lookback. One extent a
// key; the least recently used go when the bytes held pass the bound. Thread-safe.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "model/storage.h"
#include "query/step_dependence.h"
#include "query/value.h"

namespace tocsin::query {

using SharedResult = std::shared_ptr<const QueryResult>;

// The steps first, first + step, … ≤ last.
struct StepRange {
  model::Timestamp first_ms = 0;
  model::Timestamp last_ms = -1;
  bool empty() const { return first_ms > last_ms; }
};

// Change numbers of the windows that a stretch of time touches.
struct ChangeStamps {
  static constexpr int64_t kWindowMs = 30 * 60 * 1000;  // as fine as the storage tells changes
  static constexpr int64_t kWindowsMax = 20'000;        // more: not cached

  int64_t first_window = 0;
  std::vector<uint64_t> numbers;

  // Nothing (empty) when the range has more windows than that.
  static ChangeStamps Read(const model::Queryable& store, model::TimeRange range);
  // The end of the time, from `from_ms` on, over which both say the same: the start of the first
  // window that differs (or that one of them does not have).
  model::Timestamp AgreesUntil(const ChangeStamps& other, model::Timestamp from_ms) const;
};

struct Extent {
  StepRange settled;
  ChangeStamps stamps;
  SharedResult result;  // a Matrix without annotations, over these steps and perhaps later ones
};

struct ResultCacheStats {
  uint64_t hits = 0;     // answers with at least one step from the cache
  uint64_t misses = 0;   // answers of cacheable queries without
  uint64_t refused = 0;  // answers that may not be cached
  uint64_t stale = 0;    // extents found to have changed, in whole or in part
  uint64_t evicted = 0;
  uint64_t steps_reused = 0;
  uint64_t bytes = 0;
  uint64_t bytes_max = 0;
  uint64_t extents = 0;
};

class ResultCache {
 public:
  // 0 bytes: keeps nothing.
  explicit ResultCache(uint64_t bytes_max) : bytes_max_(bytes_max) {}

  bool enabled() const { return bytes_max_ > 0; }
  // Null when there is none.
  std::shared_ptr<const Extent> Find(const std::string& key) EXCLUDES(mu_);
  // Takes the place of the key's extent. What is larger than an eighth of the bound is not kept.
  void Put(const std::string& key, Extent extent) EXCLUDES(mu_);
  void Remove(const std::string& key) EXCLUDES(mu_);
  void Clear() EXCLUDES(mu_);  // a reload: what an expression means may have changed

  enum class Event : uint8_t { kHit, kMiss, kRefused, kStale };
  void Count(Event event, uint64_t steps_reused = 0) EXCLUDES(mu_);
  ResultCacheStats stats() const EXCLUDES(mu_);

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const Extent> extent;
    uint64_t bytes;
  };
  using Entries = std::list<Entry>;  // most recently used first

  void Drop(Entries::iterator entry) REQUIRES(mu_);

  const uint64_t bytes_max_;
  mutable Mutex mu_;
  Entries entries_ GUARDED_BY(mu_);
  std::unordered_map<std::string, Entries::iterator> by_key_ GUARDED_BY(mu_);
  uint64_t bytes_ GUARDED_BY(mu_) = 0;
  ResultCacheStats stats_ GUARDED_BY(mu_);
};

// The points of `from` in `range`, put behind those of `into`, which all lie before them. Both are
// sorted by labels; so is what comes out, and series without a point do not appear.
void AppendPoints(const Matrix& from, StepRange range, Matrix* into);

}  // namespace tocsin::query
