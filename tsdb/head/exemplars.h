// ExemplarRing: the last exemplars of the whole head, in one bounded ring. Thread-safe; readers
// copy what they want under a short lock (exemplar queries are rare and small).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "model/metadata.h"
#include "model/sample.h"
#include "model/storage.h"
#include "tsdb/types.h"

namespace tocsin::tsdb {

class ExemplarRing {
 public:
  explicit ExemplarRing(size_t capacity) : capacity_(capacity) {}

  // An exemplar equal to the slot's last one is dropped, as is all when the capacity is 0.
  // `commit`: of the batch that brought it.
  void Add(SourceId source, model::Slot slot, const model::Exemplar& exemplar, uint64_t commit);
  // Oldest first; `visit` with the ring locked.
  using Visit = std::function<void(SourceId, model::Slot, const model::Exemplar&, uint64_t commit)>;
  void ForEach(const Visit& visit) const;
  using Predicate =
      std::function<bool(SourceId, model::Slot, const model::Exemplar&, uint64_t commit)>;
  void Remove(const Predicate& gone);
  size_t size() const;
  // At once, however full the ring is: asked every second for each source that may leave.
  bool Has(SourceId source) const;

 private:
  struct Entry {
    SourceId source;
    model::Slot slot;
    model::Exemplar exemplar;
    uint64_t commit;
  };

  // One entry of the source goes.
  void Forget(SourceId source) REQUIRES(mutex_);

  const size_t capacity_;
  mutable Mutex mutex_;
  std::vector<Entry> entries_ GUARDED_BY(mutex_);
  std::unordered_map<SourceId, size_t> counts_ GUARDED_BY(mutex_);  // of those that have some
  size_t next_ GUARDED_BY(mutex_) = 0;  // place of the oldest once the ring is full
};

}  // namespace tocsin::tsdb
