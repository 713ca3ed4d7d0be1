// ImportStaging: where an import writes its segments, `import/` in the store, before they are moved
// into place all at once: a mark says that they are complete. So an import that a crash broke off
// either never happened or is ended by the next start, or import.
//
// Thread contract: under the store's lock.
#pragma once

#include <string>

#include "base/env.h"
#include "base/status.h"

namespace tocsin::tsdb {

class ImportStaging {
 public:
  ImportStaging(Env& env, const std::string& dir);

  const std::string& directory() const { return directory_; }
  // All segments are there, and none needs to be written again.
  bool IsComplete() const;

  // Ends what an earlier import began: moves its segments into place, which `*finished` tells, or
  // removes them.
  Status Recover(bool* finished);
  Status Begin() const { return env_.CreateDirs(directory_); }
  Status Publish();

 private:
  Status MoveIntoPlace();

  Env& env_;
  const std::string directory_;
  const std::string segments_;
};

}  // namespace tocsin::tsdb
