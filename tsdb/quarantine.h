// Quarantine: where damaged files go: out of the way, named in the log, never deleted by us.
// Thread-safe.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/mutex.h"
#include "base/status.h"
#include "tsdb/damage.h"

namespace tocsin::tsdb {

class Quarantine {
 public:
  // `read_only`: nothing is moved, only listed.
  Quarantine(Env& env, std::string directory, bool read_only = false)
      : env_(env), directory_(std::move(directory)), read_only_(read_only) {}

  // Renames the file into the directory. When even that fails, the file stays where it is and is
  // listed all the same.
  void Put(const std::string& path, std::string_view reason);
  // A file that stays where it is although a part of it could not be read: the rest is served.
  // Listed and logged once a file.
  void Note(const std::string& path, std::string_view reason);

  // Empties the list: what was read is read again from the beginning.
  void Forget();

  uint64_t files() const;
  std::vector<Damage> list() const;

 private:
  Env& env_;
  const std::string directory_;
  const bool read_only_;
  mutable Mutex mutex_;
  std::vector<Damage> list_ GUARDED_BY(mutex_);
  std::set<std::string> noted_ GUARDED_BY(mutex_);
};

}  // namespace tocsin::tsdb
