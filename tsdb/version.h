// Version: the set of sealed segments at one moment, what it covers, and the deletes in force.
// Immutable once published; a seal, a merge, a delete or retention publishes a successor. Snapshots
// pin one.
//
// An older version keeps every later one alive. So a version whose last reference is gone tells
// that no snapshot is left which was pinned on it or on an older one: then the head may let go of
// the rows that its successor has in segments.
#pragma once

#include <memory>
#include <vector>

#include "base/mutex.h"
#include "tsdb/head/page_reader.h"
#include "tsdb/segment/reader.h"
#include "tsdb/tombstone.h"

namespace tocsin::tsdb {

struct Version {
  using Segment = std::shared_ptr<const SegmentReader>;

  // Ascending by cut: of equal timestamps of one address the earlier segment's sample counts.
  std::vector<Segment> segments;
  SealedCuts sealed;
  std::vector<SegmentId> replaced;  // by any of them; ascending
  // Deletes that some segment or row of the head still needs.
  TombstoneList tombstones;

  ~Version();

 private:
  friend class VersionList;
  mutable std::shared_ptr<const Version> next_;
};

// The current version. Thread-safe; one publisher at a time.
class VersionList {
 public:
  VersionList() : current_(std::make_shared<Version>()) {}

  // For readers: a pointer copy under a lock that nobody holds longer than that.
  std::shared_ptr<const Version> Current() const {
    MutexLock lock(mutex_);
    return current_;
  }
  // Makes `version` current. Expired: nobody sees the version before it, or an older one, any more.
  std::weak_ptr<const Version> Publish(std::shared_ptr<const Version> version);

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const Version> current_ GUARDED_BY(mutex_);
};

}  // namespace tocsin::tsdb
