// ForwardingEnv: another Env (the process' own unless told), for tests and benchmarks that replace
// a part of it: usually the clock, so that days of samples take seconds.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/env.h"

namespace tocsin {

class ForwardingEnv : public Env {
 public:
  explicit ForwardingEnv(Env& target = Env::Default()) : real_(target) {}

  int64_t NowMs() override { return real_.NowMs(); }
  int64_t MonotonicNanos() override { return real_.MonotonicNanos(); }
  int64_t ThreadCpuNanos() override { return real_.ThreadCpuNanos(); }
  void SleepFor(int64_t duration_ms) override { real_.SleepFor(duration_ms); }
  void FillRandom(void* out, size_t count) override { real_.FillRandom(out, count); }
  Result<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path,
                                                        WriteMode mode) override {
    return real_.NewWritableFile(path, mode);
  }
  Result<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) override {
    return real_.NewRandomAccessFile(path);
  }
  Result<std::unique_ptr<MappedFile>> MapFile(const std::string& path) override {
    return real_.MapFile(path);
  }
  Result<std::string> ReadFileUpTo(const std::string& path, uint64_t limit_bytes) override {
    return real_.ReadFileUpTo(path, limit_bytes);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    return real_.Rename(from, to);
  }
  Status Link(const std::string& from, const std::string& to) override {
    return real_.Link(from, to);
  }
  Status Remove(const std::string& path) override { return real_.Remove(path); }
  Status Truncate(const std::string& path, uint64_t size) override {
    return real_.Truncate(path, size);
  }
  Result<FileInfo> Stat(const std::string& path) override { return real_.Stat(path); }
  Result<std::vector<std::string>> ListDir(const std::string& path) override {
    return real_.ListDir(path);
  }
  Status CreateDirs(const std::string& path) override { return real_.CreateDirs(path); }
  Status SyncDir(const std::string& path) override { return real_.SyncDir(path); }
  Result<uint64_t> FreeSpace(const std::string& path) override { return real_.FreeSpace(path); }
  Result<uint64_t> DiskSize(const std::string& path) override { return real_.DiskSize(path); }
  Result<std::unique_ptr<FileLock>> LockFile(const std::string& path) override {
    return real_.LockFile(path);
  }

 private:
  Env& real_;
};

}  // namespace tocsin
