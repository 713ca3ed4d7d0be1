// MemEnv: an Env for tests. Files live in memory, both clocks move only when told to, randomness
// comes from a seed. Thread-safe.
//
//   MemEnv env;                       // the clock stands at 2026-01-01T00:00:00Z
//   env.AdvanceMs(15'000);            // wall clock and monotonic clock together
//   env.SetNowMs(…);                  // steps the wall clock alone, as ntpd would
//   env.SleepFor(1000);               // returns at once, one second later
#pragma once

#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/mutex.h"

namespace tocsin {

class MemEnv final : public Env {
 public:
  static constexpr int64_t kStartMs = 1'767'225'600'000;

  explicit MemEnv(uint64_t seed = 1);
  ~MemEnv() override;

  void AdvanceMs(int64_t duration_ms);
  void SetNowMs(int64_t now_ms);
  // What FreeSpace answers; appends are not held to it (FaultEnv fails those).
  void SetFreeSpace(uint64_t bytes);
  // The same for DiskSize; a TiB unless told.
  void SetDiskSize(uint64_t bytes);
  // Every call of ThreadCpuNanos() finds so much more used; 0 unless told.
  void SetCpuPerCall(int64_t nanos);

  int64_t NowMs() override;
  int64_t MonotonicNanos() override;
  int64_t ThreadCpuNanos() override;
  void SleepFor(int64_t duration_ms) override;
  void FillRandom(void* out, size_t count) override;

  Result<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path,
                                                        WriteMode mode) override;
  Result<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) override;
  Result<std::unique_ptr<MappedFile>> MapFile(const std::string& path) override;
  Result<std::string> ReadFileUpTo(const std::string& path, uint64_t limit_bytes) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status Truncate(const std::string& path, uint64_t size) override;
  Result<FileInfo> Stat(const std::string& path) override;
  Result<std::vector<std::string>> ListDir(const std::string& path) override;
  Status CreateDirs(const std::string& path) override;
  Status SyncDir(const std::string& path) override;
  Result<uint64_t> FreeSpace(const std::string& path) override;
  Result<uint64_t> DiskSize(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> LockFile(const std::string& path) override;

 private:
  class Writer;
  class Reader;
  class Mapping;
  class Lock;
  // Shared by the path and the handles open on it, so that a removed file can still be read.
  struct File;

  std::shared_ptr<File> Find(const std::string& path) REQUIRES(mu_);
  bool DirectoryExists(const std::string& path) REQUIRES(mu_);
  void Unlock(const std::string& path);

  Mutex mu_;
  int64_t now_ms_ GUARDED_BY(mu_) = kStartMs;
  int64_t monotonic_nanos_ GUARDED_BY(mu_) = 0;
  uint64_t free_space_ GUARDED_BY(mu_) = uint64_t{1} << 40;
  uint64_t disk_size_ GUARDED_BY(mu_) = uint64_t{1} << 40;
  int64_t cpu_nanos_ GUARDED_BY(mu_) = 0;
  int64_t cpu_per_call_ GUARDED_BY(mu_) = 0;
  std::mt19937_64 random_ GUARDED_BY(mu_);
  std::map<std::string, std::shared_ptr<File>> files_ GUARDED_BY(mu_);
  std::set<std::string> directories_ GUARDED_BY(mu_);
  std::set<std::string> locks_ GUARDED_BY(mu_);
};

}  // namespace tocsin
