// Env::Default(): the operating system itself.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include "base/check.h"
#include "base/env.h"
#include "base/resident_pages.h"

namespace tocsin {
namespace {

// Appends of a few bytes are gathered to one write(2); LevelDB uses the same size.
constexpr size_t kWriteBufferBytes = 64 * 1024;

Status ErrnoStatus(std::string_view operation, const std::string& path) {
  const int error_number = errno;
  return Status::FromErrno(std::string(operation) + " " + path, error_number);
}

// A descriptor that is closed when it goes out of scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

int OpenRetrying(const std::string& path, int flags, mode_t mode = 0) {
  int fd;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

class PosixWritableFile final : public WritableFile {
 public:
  PosixWritableFile(std::string path, int fd, uint64_t size)
      : path_(std::move(path)), fd_(fd), size_(size) {
    buffer_.reserve(kWriteBufferBytes);
  }

  Status Append(std::string_view bytes) override {
    if (buffer_.size() + bytes.size() > kWriteBufferBytes) TOCSIN_RETURN_IF_ERROR(Flush());
    if (bytes.size() >= kWriteBufferBytes) {
      TOCSIN_RETURN_IF_ERROR(Write(bytes));
    } else {
      buffer_ += bytes;
    }
    size_ += bytes.size();
    return Status::Ok();
  }

  Status Flush() override {
    const Status status = Write(buffer_);
    // After a failed write nobody knows which bytes arrived: the file's owner gives it up, and a
    // second write of the same bytes could only double them.
    buffer_.clear();
    return status;
  }

  Status Sync() override {
    TOCSIN_RETURN_IF_ERROR(Flush());
    if (::fdatasync(fd_.get()) != 0) return ErrnoStatus("sync", path_);
    return Status::Ok();
  }

  Status Close() override {
    if (!fd_.valid()) return Status::Ok();
    Status status = Flush();
    if (::close(fd_.Release()) != 0 && status.ok()) status = ErrnoStatus("close", path_);
    return status;
  }

  uint64_t size() const override { return size_; }

 private:
  Status Write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
      if (written < 0) {
        if (errno == EINTR) continue;
        return ErrnoStatus("write", path_);
      }
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return Status::Ok();
  }

  const std::string path_;
  Descriptor fd_;
  std::string buffer_;
  uint64_t size_;
};

class PosixRandomAccessFile final : public RandomAccessFile {
 public:
  PosixRandomAccessFile(std::string path, int fd, uint64_t size)
      : path_(std::move(path)), fd_(fd), size_(size) {}

  Result<size_t> Read(uint64_t offset, void* out, size_t count) const override {
    size_t done = 0;
    while (done < count) {
      const ssize_t got = ::pread(fd_.get(), static_cast<char*>(out) + done, count - done,
                                  static_cast<off_t>(offset + done));
      if (got < 0) {
        if (errno == EINTR) continue;
        return Error(ErrnoStatus("read", path_));
      }
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    return done;
  }

  uint64_t size() const override { return size_; }

 private:
  const std::string path_;
  const Descriptor fd_;
  const uint64_t size_;
};

class PosixMappedFile final : public MappedFile, public ResidentPages {
 public:
  PosixMappedFile(void* address, size_t size) : address_(address) {
    data_ = static_cast<const char*>(address);
    size_ = size;
  }
  ~PosixMappedFile() override {
    if (address_ != nullptr) ::munmap(address_, size_);
  }
  // Advice: that it is not taken does no harm.
  void Drop() const override {
    if (address_ != nullptr) static_cast<void>(::madvise(address_, size_, MADV_DONTNEED));
  }

 private:
  void* const address_;
};

class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(int fd) : fd_(fd) {}

 private:
  const Descriptor fd_;
};

class PosixEnv final : public Env {
 public:
  int64_t NowMs() override {
    timespec now;
    ::clock_gettime(CLOCK_REALTIME, &now);
    return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
  }

  int64_t MonotonicNanos() override {
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  }

  int64_t ThreadCpuNanos() override {
    timespec used;
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return int64_t{used.tv_sec} * 1'000'000'000 + used.tv_nsec;
  }

  void SleepFor(int64_t duration_ms) override {
    if (duration_ms <= 0) return;
    timespec left{duration_ms / 1000, (duration_ms % 1000) * 1'000'000};
    while (::nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
  }

  void FillRandom(void* out, size_t count) override {
    size_t done = 0;
    while (done < count) {
      const ssize_t got = ::getrandom(static_cast<char*>(out) + done, count - done, 0);
      if (got < 0) {
        CHECK_MSG(errno == EINTR, "getrandom(2) fails only on kernels without it");
        continue;
      }
      done += static_cast<size_t>(got);
    }
  }

  Result<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path,
                                                        WriteMode mode) override {
    const int flags = O_WRONLY | O_CREAT | O_APPEND | (mode == WriteMode::kTruncate ? O_TRUNC : 0);
    Descriptor fd(OpenRetrying(path, flags, 0644));
    if (!fd.valid()) return Error(ErrnoStatus("open", path));
    struct stat info;
    if (::fstat(fd.get(), &info) != 0) return Error(ErrnoStatus("stat", path));
    return std::make_unique<PosixWritableFile>(path, fd.Release(),
                                               static_cast<uint64_t>(info.st_size));
  }

  Result<std::unique_ptr<RandomAccessFile>> NewRandomAccessFile(const std::string& path) override {
    Descriptor fd(OpenRetrying(path, O_RDONLY));
    if (!fd.valid()) return Error(ErrnoStatus("open", path));
    struct stat info;
    if (::fstat(fd.get(), &info) != 0) return Error(ErrnoStatus("stat", path));
    return std::make_unique<PosixRandomAccessFile>(path, fd.Release(),
                                                   static_cast<uint64_t>(info.st_size));
  }

  Result<std::unique_ptr<MappedFile>> MapFile(const std::string& path) override {
    const Descriptor fd(OpenRetrying(path, O_RDONLY));
    if (!fd.valid()) return Error(ErrnoStatus("open", path));
    struct stat info;
    if (::fstat(fd.get(), &info) != 0) return Error(ErrnoStatus("stat", path));
    const auto size = static_cast<size_t>(info.st_size);
    if (size == 0) return std::make_unique<PosixMappedFile>(nullptr, 0);
    void* const address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (address == MAP_FAILED) return Error(ErrnoStatus("map", path));
    return std::make_unique<PosixMappedFile>(address, size);
  }

  Result<std::string> ReadFileUpTo(const std::string& path, uint64_t limit_bytes) override {
    const Descriptor fd(OpenRetrying(path, O_RDONLY));
    if (!fd.valid()) return Error(ErrnoStatus("open", path));
    // Not by st_size: files of /proc and pipes say 0.
    std::string bytes;
    char chunk[16 * 1024];
    while (true) {
      const ssize_t got = ::read(fd.get(), chunk, sizeof chunk);
      if (got < 0) {
        if (errno == EINTR) continue;
        return Error(ErrnoStatus("read", path));
      }
      if (got == 0) return bytes;
      if (bytes.size() + static_cast<size_t>(got) > limit_bytes) {
        return Error(Code::kResourceExhausted, "read " + path + ": longer than the limit of " +
                                                   std::to_string(limit_bytes) + " bytes");
      }
      bytes.append(chunk, static_cast<size_t>(got));
    }
  }

  Status Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return ErrnoStatus("rename " + from + " to", to);
    return Status::Ok();
  }

  Status Link(const std::string& from, const std::string& to) override {
    if (::link(from.c_str(), to.c_str()) == 0) return Status::Ok();
    // Another file system, or one without hard links.
    if (errno == EXDEV || errno == EPERM || errno == EMLINK || errno == EOPNOTSUPP)
      return Env::Link(from, to);
    return ErrnoStatus("link " + from + " to", to);
  }

  Status Remove(const std::string& path) override {
    if (::remove(path.c_str()) != 0) return ErrnoStatus("remove", path);
    return Status::Ok();
  }

  Status Truncate(const std::string& path, uint64_t size) override {
    if (::truncate(path.c_str(), static_cast<off_t>(size)) != 0) {
      return ErrnoStatus("truncate", path);
    }
    return Status::Ok();
  }

  Result<FileInfo> Stat(const std::string& path) override {
    struct stat info;
    if (::stat(path.c_str(), &info) != 0) return Error(ErrnoStatus("stat", path));
    return FileInfo{
        .size = static_cast<uint64_t>(info.st_size),
        .modified_ms = int64_t{info.st_mtim.tv_sec} * 1000 + info.st_mtim.tv_nsec / 1'000'000,
        .is_directory = S_ISDIR(info.st_mode),
        .links = static_cast<uint64_t>(info.st_nlink)};
  }

  Result<std::vector<std::string>> ListDir(const std::string& path) override {
    DIR* const directory = ::opendir(path.c_str());
    if (directory == nullptr) return Error(ErrnoStatus("list", path));
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(directory)) {
      const std::string_view name(entry->d_name);
      if (name != "." && name != "..") names.emplace_back(name);
    }
    const int error_number = errno;
    ::closedir(directory);
    if (error_number != 0) return Error(Status::FromErrno("list " + path, error_number));
    std::sort(names.begin(), names.end());
    return names;
  }

  Status CreateDirs(const std::string& path) override {
    for (size_t end = path.find('/', 1); true; end = path.find('/', end + 1)) {
      const std::string prefix = path.substr(0, end);
      if (!prefix.empty() && ::mkdir(prefix.c_str(), 0755) != 0 && errno != EEXIST) {
        return ErrnoStatus("create directory", prefix);
      }
      if (end == std::string::npos) break;
    }
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const FileInfo info, Stat(path));
    if (!info.is_directory) return Status::FromErrno("create directory " + path, ENOTDIR);
    return Status::Ok();
  }

  Status SyncDir(const std::string& path) override {
    const Descriptor fd(OpenRetrying(path, O_RDONLY | O_DIRECTORY));
    if (!fd.valid()) return ErrnoStatus("open directory", path);
    if (::fsync(fd.get()) != 0) return ErrnoStatus("sync directory", path);
    return Status::Ok();
  }

  Result<uint64_t> FreeSpace(const std::string& path) override {
    struct statvfs info;
    if (::statvfs(path.c_str(), &info) != 0) return Error(ErrnoStatus("free space of", path));
    return uint64_t{info.f_bavail} * uint64_t{info.f_frsize};
  }

  Result<uint64_t> DiskSize(const std::string& path) override {
    struct statvfs info;
    if (::statvfs(path.c_str(), &info) != 0) return Error(ErrnoStatus("size of", path));
    return uint64_t{info.f_blocks} * uint64_t{info.f_frsize};
  }

  Result<std::unique_ptr<FileLock>> LockFile(const std::string& path) override {
    Descriptor fd(OpenRetrying(path, O_RDWR | O_CREAT, 0644));
    if (!fd.valid()) return Error(ErrnoStatus("open", path));
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) {
        return Error(Code::kUnavailable, "lock " + path + ": another process holds it");
      }
      return Error(ErrnoStatus("lock", path));
    }
    return std::make_unique<PosixFileLock>(fd.Release());
  }
};

}  // namespace

Env& Env::Default() {
  static Env* const env = new PosixEnv;
  return *env;
}

}  // namespace tocsin
