#include "tsdb/quarantine.h"

#include "base/log.h"

namespace tocsin::tsdb {

void Quarantine::Put(const std::string& path, std::string_view reason) {
  if (read_only_) return Note(path, reason);
  Status status = env_.CreateDirs(directory_);
  std::string target = JoinPath(directory_, BaseName(path));
  for (int n = 1; status.ok() && env_.Exists(target); ++n)
    target = JoinPath(directory_, BaseName(path)) + "." + std::to_string(n);
  if (status.ok()) status = env_.Rename(path, target);
  if (status.ok()) status = env_.SyncDir(directory_);
  if (status.ok()) {
    LogWarn("tsdb", "damaged file put aside", {{"file", path}, {"to", target}, {"err", reason}});
  } else {
    LogError("tsdb", "damaged file cannot be put aside",
             {{"file", path}, {"err", status}, {"damage", reason}});
  }
  MutexLock lock(mutex_);
  list_.push_back({path, std::string(reason)});
}

void Quarantine::Note(const std::string& path, std::string_view reason) {
  MutexLock lock(mutex_);
  if (!noted_.insert(path).second) return;
  LogWarn("tsdb", "damage in a file is skipped", {{"file", path}, {"err", reason}});
  list_.push_back({path, std::string(reason)});
}

void Quarantine::Forget() {
  MutexLock lock(mutex_);
  list_.clear();
  noted_.clear();
}

uint64_t Quarantine::files() const {
  MutexLock lock(mutex_);
  return list_.size();
}

std::vector<Damage> Quarantine::list() const {
  MutexLock lock(mutex_);
  return list_;
}

}  // namespace tocsin::tsdb
