// BudgetEnv: the Env of one database directory. Every file below it is counted, and nothing is
// written there that would exceed the DiskBudget: Append gives kNoSpace instead, as a full disk
// would. So log, segments, rollups and what was put aside keep to the cap without knowing of it.
//
// Thread-safe. `target` and `budget` must outlive it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/mutex.h"
#include "tsdb/disk_budget.h"

namespace tocsin::tsdb {

class BudgetEnv final : public Env {
 public:
  BudgetEnv(Env& target, std::string dir, DiskBudget& budget);

  // Counts what is there: once, before the first write.
  Status CountFiles();

  int64_t NowMs() override { return target_.NowMs(); }
  int64_t MonotonicNanos() override { return target_.MonotonicNanos(); }
  void SleepFor(int64_t duration_ms) override { target_.SleepFor(duration_ms); }
  int64_t ThreadCpuNanos() override { return target_.ThreadCpuNanos(); }
  void FillRandom(void* out, size_t count) override { target_.FillRandom(out, count); }

  Result<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path,
                                                        WriteMode mode) override;
  Result<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) override {
    return target_.NewRandomAccessFile(path);
  }
  Result<std::unique_ptr<MappedFile>> MapFile(const std::string& path) override {
    return target_.MapFile(path);
  }
  Result<std::string> ReadFileUpTo(const std::string& path, uint64_t limit_bytes) override {
    return target_.ReadFileUpTo(path, limit_bytes);
  }
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  // The bytes are counted at the first name.
  Status Link(const std::string& from, const std::string& to) override {
    return target_.Link(from, to);
  }
  Status Truncate(const std::string& path, uint64_t size) override;
  Result<FileInfo> Stat(const std::string& path) override { return target_.Stat(path); }
  Result<std::vector<std::string>> ListDir(const std::string& path) override {
    return target_.ListDir(path);
  }
  Status CreateDirs(const std::string& path) override { return target_.CreateDirs(path); }
  Status SyncDir(const std::string& path) override { return target_.SyncDir(path); }
  Result<uint64_t> FreeSpace(const std::string& path) override { return target_.FreeSpace(path); }
  Result<uint64_t> DiskSize(const std::string& path) override { return target_.DiskSize(path); }
  Result<std::unique_ptr<FileLock>> LockFile(const std::string& path) override {
    return target_.LockFile(path);
  }

 private:
  class Writer;

  bool Counts(const std::string& path) const { return path.starts_with(dir_); }
  Status CountTree(const std::string& path);
  // The file at `path` now has so many bytes.
  void SetSize(const std::string& path, uint64_t bytes);
  Status Grow(const std::string& path, uint64_t bytes);
  // What the file system says, after something that may have lost bytes.
  void Recount(const std::string& path);

  Env& target_;
  const std::string dir_;  // with a slash at its end
  DiskBudget& budget_;

  Mutex mu_;
  std::map<std::string, uint64_t> bytes_ GUARDED_BY(mu_);  // by path; their sum is in the budget
};

}  // namespace tocsin::tsdb
