// Env: everything Tocsin asks of the outside world besides the network: clocks, randomness and
// files. Code takes an Env& and so runs in tests over MemEnv (mem_env.h: files in memory, a clock
// that is set by hand) and FaultEnv (fault_env.h: operations that fail, power cuts).
//
// Where written bytes are, from least to most safe:
//   Append()  in the file object's buffer: lost by kill -9
//   Flush()   in the kernel: survives kill -9, not a power cut
//   Sync()    on the device (fdatasync): survives a power cut. The name of a new, renamed or
//   removed
//             file survives one only after SyncDir() of its directory.
//
// Thread contract: an Env is thread-safe; a WritableFile belongs to one thread at a time (Sync may
// run beside Append only where a class says so; none does here); RandomAccessFile and MappedFile
// are immutable and thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace tocsin {

// Append-only. Destroying it without Close() drops what was not flushed: the same as a crash.
class WritableFile {
 public:
  virtual ~WritableFile() = default;

  virtual Status Append(std::string_view bytes) = 0;
  virtual Status Flush() = 0;
  virtual Status Sync() = 0;   // Flush, then fdatasync
  virtual Status Close() = 0;  // Flush, then close; no sync. Idempotent.
  // Bytes in the file, counting those still buffered.
  virtual uint64_t size() const = 0;
};

class RandomAccessFile {
 public:
  virtual ~RandomAccessFile() = default;

  // Bytes read into `out`: less than `count` only at the end of the file.
  virtual Result<size_t> Read(uint64_t offset, void* out, size_t count) const = 0;
  virtual uint64_t size() const = 0;  // when opened
};

// A whole file mapped read-only as it was when opened. The mapping outlives removal of the file; a
// file that another process cuts while mapped raises SIGBUS, so map only files under our lock file.
class MappedFile {
 public:
  virtual ~MappedFile() = default;

  const char* data() const { return data_; }
  size_t size() const { return size_; }
  std::string_view bytes() const { return {data_, size_}; }

 protected:
  const char* data_ = nullptr;
  size_t size_ = 0;
};

// Held until destroyed.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct FileInfo {
  uint64_t size = 0;
  int64_t modified_ms = 0;
  bool is_directory = false;
  uint64_t links = 1;  // names that the file has
};

enum class WriteMode : uint8_t {
  kTruncate,  // create, or empty an existing file
  kAppend,    // create, or go on at the end of an existing file
};

class Env {
 public:
  virtual ~Env() = default;

  // The process' own: POSIX calls. Never destroyed.
  static Env& Default();

  // --- clocks ---
  virtual int64_t NowMs() = 0;  // wall clock, ms since the epoch; may step either way
  virtual int64_t MonotonicNanos() = 0;
  virtual void SleepFor(int64_t duration_ms) = 0;
  // Processor time that the calling thread has used.
  virtual int64_t ThreadCpuNanos() = 0;

  // --- randomness: fit for keys and tokens ---
  virtual void FillRandom(void* out, size_t count) = 0;
  uint64_t RandomUint64();

  // --- files ---
  virtual Result<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path,
                                                                WriteMode mode) = 0;
  virtual Result<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(
      const std::string& path) = 0;
  virtual Result<std::unique_ptr<MappedFile>> MapFile(const std::string& path) = 0;
  // kResourceExhausted when the file is longer than `limit_bytes`.
  virtual Result<std::string> ReadFileUpTo(const std::string& path, uint64_t limit_bytes) = 0;
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  virtual Status Remove(const std::string& path) = 0;  // a file, or an empty directory
  // Another name for a file that nobody changes any more: a hard link, or, where there are none, a
  // synced copy. `to` does not exist. Its directory is the caller's to sync.
  virtual Status Link(const std::string& from, const std::string& to);
  virtual Status Truncate(const std::string& path, uint64_t size) = 0;
  virtual Result<FileInfo> Stat(const std::string& path) = 0;
  // Names without "." and "..", sorted.
  virtual Result<std::vector<std::string>> ListDir(const std::string& path) = 0;
  virtual Status CreateDirs(const std::string& path) = 0;  // with parents; fine when it exists
  virtual Status SyncDir(const std::string& path) = 0;
  // Bytes an unprivileged process may still write on the file system that holds `path`.
  virtual Result<uint64_t> FreeSpace(const std::string& path) = 0;
  // Bytes that file system has in all.
  virtual Result<uint64_t> DiskSize(const std::string& path) = 0;
  // Creates the file if need be; kUnavailable when somebody (also in this process) holds it.
  virtual Result<std::unique_ptr<FileLock>> LockFile(const std::string& path) = 0;

  // --- made of the above ---
  Result<std::string> ReadFile(const std::string& path) {
    return ReadFileUpTo(path, kReadFileLimitBytes);
  }
  bool Exists(const std::string& path);
  Result<uint64_t> FileSize(const std::string& path);
  Result<int64_t> ModTimeMs(const std::string& path);
  // Afterwards `path` holds either its old or its new bytes, whole, also after a power cut: writes
  // PATH.tmp, syncs it, renames it over, syncs the directory.
  Status WriteFileAtomically(const std::string& path, std::string_view bytes);
  // Removes a file or a whole directory tree; fine when it does not exist.
  Status RemoveTree(const std::string& path);

  // Configuration, state and page files; sealed segments are mapped instead.
  static constexpr uint64_t kReadFileLimitBytes = uint64_t{1} << 30;
};

// "a/b" for ("a", "b"); an absolute `name` is returned alone.
std::string JoinPath(std::string_view directory, std::string_view name);
std::string_view DirName(std::string_view path);   // "." when there is no slash
std::string_view BaseName(std::string_view path);  // what follows the last slash

}  // namespace tocsin
