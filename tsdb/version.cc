#include "tsdb/version.h"

#include <utility>

namespace tocsin::tsdb {

// The successor may die with this one, and its successor with it: a long chain must not become a
// deep recursion.
Version::~Version() {
  std::shared_ptr<const Version> successor = std::move(next_);
  while (successor != nullptr && successor.use_count() == 1) {
    std::shared_ptr<const Version> after = std::move(successor->next_);
    successor = std::move(after);
  }
}

std::weak_ptr<const Version> VersionList::Publish(std::shared_ptr<const Version> version) {
  std::shared_ptr<const Version> old;
  {
    MutexLock lock(mutex_);
    current_->next_ = version;
    old = std::exchange(current_, std::move(version));
  }
  return old;
}

}  // namespace tocsin::tsdb
