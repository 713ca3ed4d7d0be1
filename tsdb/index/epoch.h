// EpochDomain: lets readers walk structures that a writer replaces piecewise, without a lock. A
// reader holds a pin; memory that the writer has unlinked is retired and freed once no pin that
// could have seen it is left.
//
//   auto pin = domain.NewPin();            // reader: then load pointers, follow them
//   list.store(new_list); domain.Retire(old_list, bytes, [](void* p) { … });      // writer
//
// How: pins are references to the current generation; retired memory belongs to the generation that
// was current then; generations form a chain in which each keeps its successor alive. So a
// generation, and its garbage, dies when it is no longer current and no pin on it or on an older
// one is left.
//
// Thread contract: NewPin and dropping a pin: any thread. Retire and Collect: one writer at a time
// (the caller's lock).
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/mutex.h"

namespace tocsin::tsdb {

class EpochDomain {
 public:
  class Generation;
  using Pin = std::shared_ptr<const Generation>;

  // Retire closes a generation by itself whenever it holds this much.
  explicit EpochDomain(size_t collect_bytes = size_t{1} << 20);
  ~EpochDomain();

  Pin NewPin() const;

  using Deleter = void (*)(void*);
  // Precondition: readers that pin from now on cannot reach `memory`. It may be freed at once.
  void Retire(void* memory, size_t bytes, Deleter deleter);
  template <typename T>
  void RetireDelete(T* object, size_t bytes = sizeof(T)) {
    if (object != nullptr) {
      Retire(object, bytes, [](void* p) { delete static_cast<T*>(p); });
    }
  }
  // Closes the current generation, so that what was retired dies with the pins that are alive now.
  void Collect();

 private:
  const size_t collect_bytes_;
  mutable Mutex mu_;  // held for a pointer copy only
  std::shared_ptr<Generation> current_ GUARDED_BY(mu_);
  Generation* open_;          // == current_; for the writer
  size_t retired_bytes_ = 0;  // in the open generation
};

}  // namespace tocsin::tsdb
