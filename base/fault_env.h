// FaultEnv: an Env for tests that wraps another one and makes it fail: the n-th operation returns
// an error, kill -9 forgets what was not flushed, a power cut forgets what was not synced.
//
//   MemEnv memory;
//   FaultEnv env(memory);
//   env.FailAfter(7, Status(Code::kNoSpace, "no space left"), kSpaceOps, Repeat::kFromThenOn);
//   …run…
//   env.PowerCut(FaultEnv::Cut::kTorn, seed);   // then reopen over `env`, compare with the oracle
//
// What a power cut keeps. Of a file: all bytes up to its last Sync; kTorn also keeps a random part
// of what follows, its last bytes possibly garbage. Of a directory: creations, renames and removals
// up to the last SyncDir; kTorn also keeps a random first part of the later ones. After a Sync that
// failed, what it was asked for reads as zeros then, even if a later Sync succeeded. Simplified:
// creating and removing directories and renaming whole ones lasts at once, and emptying a file by
// WriteMode::kTruncate or Truncate() is never undone.
//
// Handles opened before a cut or a kill fail with kIo afterwards. Thread-safe; calls are
// serialised.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/env.h"
#include "base/mutex.h"

namespace tocsin {

// Bits, so that a fault can name several.
using FileOps = uint32_t;
inline constexpr FileOps kOpenOp = 1 << 0;  // for writing
inline constexpr FileOps kAppendOp = 1 << 1;
inline constexpr FileOps kFlushOp = 1 << 2;
inline constexpr FileOps kSyncOp = 1 << 3;
inline constexpr FileOps kRenameOp = 1 << 4;
inline constexpr FileOps kRemoveOp = 1 << 5;
inline constexpr FileOps kTruncateOp = 1 << 6;
inline constexpr FileOps kSyncDirOp = 1 << 7;
inline constexpr FileOps kCreateDirsOp = 1 << 8;
inline constexpr FileOps kReadOp = 1 << 9;  // opening for reading, reading, mapping, listing
// Everything that changes the disk.
inline constexpr FileOps kWriteOps = kReadOp - 1;
// What a full disk refuses.
inline constexpr FileOps kSpaceOps = kOpenOp | kAppendOp | kFlushOp | kSyncOp | kCreateDirsOp;

enum class Repeat : uint8_t { kOnce, kFromThenOn };

class FaultEnv final : public Env {
 public:
  explicit FaultEnv(Env& target) : target_(target) {}

  // Lets `count` operations of the kinds in `ops` pass and fails the next one, or all from there
  // on. Replaces an earlier fault.
  void FailAfter(uint64_t count, Status status, FileOps ops = kWriteOps,
                 Repeat repeat = Repeat::kOnce);
  void ClearFault();
  bool fault_hit();
  // Operations of the kinds in `ops` so far: how many crash points a scenario has.
  uint64_t operations(FileOps ops = kWriteOps);

  // The process dies: what was appended and not flushed is gone, handles go stale.
  void Kill();
  enum class Cut : uint8_t { kDropUnsynced, kTorn };
  // The machine dies. CHECKs that the wrapped Env obeys.
  void PowerCut(Cut cut, uint64_t seed = 1);

  int64_t NowMs() override { return target_.NowMs(); }
  int64_t MonotonicNanos() override { return target_.MonotonicNanos(); }
  void SleepFor(int64_t duration_ms) override { target_.SleepFor(duration_ms); }
  int64_t ThreadCpuNanos() override { return target_.ThreadCpuNanos(); }
  void FillRandom(void* out, size_t count) override { target_.FillRandom(out, count); }

  Result<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path,
                                                        WriteMode mode) override;
  Result<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) override;
  Result<std::unique_ptr<MappedFile>> MapFile(const std::string& path) override;
  Result<std::string> ReadFileUpTo(const std::string& path, uint64_t limit_bytes) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status Truncate(const std::string& path, uint64_t size) override;
  Result<FileInfo> Stat(const std::string& path) override { return target_.Stat(path); }
  Result<std::vector<std::string>> ListDir(const std::string& path) override;
  Status CreateDirs(const std::string& path) override;
  Status SyncDir(const std::string& path) override;
  Result<uint64_t> FreeSpace(const std::string& path) override { return target_.FreeSpace(path); }
  Result<uint64_t> DiskSize(const std::string& path) override { return target_.DiskSize(path); }
  Result<std::unique_ptr<FileLock>> LockFile(const std::string& path) override {
    return target_.LockFile(path);
  }

 private:
  class Writer;
  struct Fault {
    uint64_t passes_left;
    Status status;
    FileOps ops;
    Repeat repeat;
  };
  struct SavedFile {
    std::string bytes;
    uint64_t synced_bytes;
  };
  // One not yet synced change of a directory, and what it takes to undo it.
  struct NameChange {
    enum class Kind : uint8_t { kCreate, kRename, kRemove } kind;
    std::string path;                      // created, removed, or the new name
    std::string old_path;                  // kRename
    std::optional<SavedFile> overwritten;  // kRemove, and kRename onto an existing file
  };

  // Counts the operation; the fault's status when it is its turn.
  Status Enter(FileOps op) REQUIRES(mu_);
  void NoteFailedSync(const std::string& path) REQUIRES(mu_);
  void DropUnwritten(const std::string& path, uint64_t begin, uint64_t end) REQUIRES(mu_);
  Status EnterUnlocked(FileOps op);
  std::optional<SavedFile> Save(const std::string& path) REQUIRES(mu_);
  void Restore(const std::string& path, const SavedFile& saved) REQUIRES(mu_);
  void Undo(const NameChange& change) REQUIRES(mu_);
  void CutFile(const std::string& path, uint64_t synced_bytes, Cut cut) REQUIRES(mu_);

  Env& target_;
  Mutex mu_;
  std::optional<Fault> fault_ GUARDED_BY(mu_);
  bool fault_hit_ GUARDED_BY(mu_) = false;
  std::map<FileOps, uint64_t> counts_ GUARDED_BY(mu_);
  uint64_t generation_ GUARDED_BY(mu_) = 0;  // grows at each kill or cut; older handles are stale
  std::mt19937_64 random_ GUARDED_BY(mu_);
  // Files written through this Env: how many of their bytes a power cut keeps.
  std::map<std::string, uint64_t> synced_bytes_ GUARDED_BY(mu_);
  // Of these files: [begin, end) never reached the disk, whatever is synced later.
  std::map<std::string, std::pair<uint64_t, uint64_t>> dropped_ GUARDED_BY(mu_);
  std::map<std::string, std::vector<NameChange>> name_changes_ GUARDED_BY(mu_);  // by directory
};

}  // namespace tocsin
