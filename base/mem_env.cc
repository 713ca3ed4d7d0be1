#include "base/mem_env.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tocsin {
namespace {

// "a//b/" and "a/b" are one file.
std::string Normalized(std::string_view path) {
  std::string out;
  for (const char c : path) {
    if (c == '/' && out.ends_with('/')) continue;
    out += c;
  }
  if (out.size() > 1 && out.ends_with('/')) out.pop_back();
  if (out.starts_with("./") && out.size() > 2) out.erase(0, 2);
  return out;
}

Status NoSuchFile(std::string_view operation, const std::string& path) {
  return Status::FromErrno(std::string(operation) + " " + path, ENOENT);
}

}  // namespace

struct MemEnv::File {
  Mutex mu;
  std::string bytes GUARDED_BY(mu);
  int64_t modified_ms GUARDED_BY(mu) = 0;
};

class MemEnv::Writer final : public WritableFile {
 public:
  Writer(MemEnv& env, std::shared_ptr<File> file, uint64_t size)
      : env_(env), file_(std::move(file)), size_(size) {}

  Status Append(std::string_view bytes) override {
    buffer_ += bytes;
    size_ += bytes.size();
    return Status::Ok();
  }
  Status Flush() override {
    const int64_t now_ms = env_.NowMs();
    MutexLock lock(file_->mu);
    file_->bytes += buffer_;
    file_->modified_ms = now_ms;
    buffer_.clear();
    return Status::Ok();
  }
  Status Sync() override { return Flush(); }
  Status Close() override { return Flush(); }
  uint64_t size() const override { return size_; }

 private:
  MemEnv& env_;
  const std::shared_ptr<File> file_;
  std::string buffer_;
  uint64_t size_;
};

class MemEnv::Reader final : public RandomAccessFile {
 public:
  Reader(std::shared_ptr<File> file, uint64_t size) : file_(std::move(file)), size_(size) {}

  Result<size_t> Read(uint64_t offset, void* out, size_t count) const override {
    MutexLock lock(file_->mu);
    if (offset >= file_->bytes.size()) return size_t{0};
    const size_t got = std::min(count, file_->bytes.size() - static_cast<size_t>(offset));
    std::memcpy(out, file_->bytes.data() + offset, got);
    return got;
  }
  uint64_t size() const override { return size_; }

 private:
  const std::shared_ptr<File> file_;
  const uint64_t size_;
};

class MemEnv::Mapping final : public MappedFile {
 public:
  explicit Mapping(std::string bytes) : bytes_(std::move(bytes)) {
    data_ = bytes_.data();
    size_ = bytes_.size();
  }

 private:
  const std::string bytes_;
};

class MemEnv::Lock final : public FileLock {
 public:
  Lock(MemEnv& env, std::string path) : env_(env), path_(std::move(path)) {}
  ~Lock() override { env_.Unlock(path_); }

 private:
  MemEnv& env_;
  const std::string path_;
};

MemEnv::MemEnv(uint64_t seed) : random_(seed) { directories_ = {".", "/"}; }
MemEnv::~MemEnv() = default;

void MemEnv::AdvanceMs(int64_t duration_ms) {
  MutexLock lock(mu_);
  now_ms_ += duration_ms;
  monotonic_nanos_ += duration_ms * 1'000'000;
}

void MemEnv::SetNowMs(int64_t now_ms) {
  MutexLock lock(mu_);
  now_ms_ = now_ms;
}

void MemEnv::SetFreeSpace(uint64_t bytes) {
  MutexLock lock(mu_);
  free_space_ = bytes;
}

void MemEnv::SetDiskSize(uint64_t bytes) {
  MutexLock lock(mu_);
  disk_size_ = bytes;
}

void MemEnv::SetCpuPerCall(int64_t nanos) {
  MutexLock lock(mu_);
  cpu_per_call_ = nanos;
}

int64_t MemEnv::ThreadCpuNanos() {
  MutexLock lock(mu_);
  return cpu_nanos_ += cpu_per_call_;
}

int64_t MemEnv::NowMs() {
  MutexLock lock(mu_);
  return now_ms_;
}

int64_t MemEnv::MonotonicNanos() {
  MutexLock lock(mu_);
  return monotonic_nanos_;
}

void MemEnv::SleepFor(int64_t duration_ms) { AdvanceMs(std::max<int64_t>(duration_ms, 0)); }

void MemEnv::FillRandom(void* out, size_t count) {
  MutexLock lock(mu_);
  auto* bytes = static_cast<unsigned char*>(out);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<unsigned char>(random_() >> 32);
}

std::shared_ptr<MemEnv::File> MemEnv::Find(const std::string& path) {
  const auto it = files_.find(Normalized(path));
  return it == files_.end() ? nullptr : it->second;
}

bool MemEnv::DirectoryExists(const std::string& path) {
  return directories_.contains(Normalized(path));
}

Result<std::unique_ptr<WritableFile>> MemEnv::NewWritableFile(const std::string& path,
                                                              WriteMode mode) {
  MutexLock lock(mu_);
  if (!DirectoryExists(std::string(DirName(Normalized(path))))) {
    return Error(NoSuchFile("open", path));
  }
  if (DirectoryExists(path)) return Error(Status::FromErrno("open " + path, EISDIR));
  std::shared_ptr<File>& file = files_[Normalized(path)];
  if (file == nullptr) file = std::make_shared<File>();
  MutexLock file_lock(file->mu);
  if (mode == WriteMode::kTruncate) file->bytes.clear();
  file->modified_ms = now_ms_;
  return std::make_unique<Writer>(*this, file, file->bytes.size());
}

Result<std::unique_ptr<RandomAccessFile>> MemEnv::NewRandomAccessFile(const std::string& path) {
  MutexLock lock(mu_);
  std::shared_ptr<File> file = Find(path);
  if (file == nullptr) return Error(NoSuchFile("open", path));
  uint64_t size = 0;
  {
    MutexLock file_lock(file->mu);
    size = file->bytes.size();
  }
  return std::make_unique<Reader>(std::move(file), size);
}

Result<std::unique_ptr<MappedFile>> MemEnv::MapFile(const std::string& path) {
  TOCSIN_ASSIGN_OR_RETURN(std::string bytes, ReadFile(path));
  return std::make_unique<Mapping>(std::move(bytes));
}

Result<std::string> MemEnv::ReadFileUpTo(const std::string& path, uint64_t limit_bytes) {
  MutexLock lock(mu_);
  const std::shared_ptr<File> file = Find(path);
  if (file == nullptr) return Error(NoSuchFile("open", path));
  MutexLock file_lock(file->mu);
  if (file->bytes.size() > limit_bytes) {
    return Error(Code::kResourceExhausted, "read " + path + ": longer than the limit of " +
                                               std::to_string(limit_bytes) + " bytes");
  }
  return file->bytes;
}

Status MemEnv::Rename(const std::string& from, const std::string& to) {
  MutexLock lock(mu_);
  const std::string old_path = Normalized(from);
  const std::string new_path = Normalized(to);
  if (const auto it = files_.find(old_path); it != files_.end()) {
    if (!DirectoryExists(std::string(DirName(new_path)))) return NoSuchFile("rename", to);
    const std::shared_ptr<File> file = it->second;
    files_.erase(it);
    files_[new_path] = file;
    return Status::Ok();
  }
  if (!DirectoryExists(old_path)) return NoSuchFile("rename", from);
  // A directory moves with everything below it.
  const auto moved = [&](const std::string& path) {
    return path == old_path || path.starts_with(old_path + "/");
  };
  std::map<std::string, std::shared_ptr<File>> files;
  for (const auto& [path, file] : files_) {
    files[moved(path) ? new_path + path.substr(old_path.size()) : path] = file;
  }
  std::set<std::string> directories;
  for (const std::string& path : directories_) {
    directories.insert(moved(path) ? new_path + path.substr(old_path.size()) : path);
  }
  files_ = std::move(files);
  directories_ = std::move(directories);
  return Status::Ok();
}

Status MemEnv::Remove(const std::string& path) {
  MutexLock lock(mu_);
  const std::string normal = Normalized(path);
  if (files_.erase(normal) > 0) return Status::Ok();
  if (!directories_.contains(normal)) return NoSuchFile("remove", path);
  const std::string below = normal + "/";
  const auto file = files_.lower_bound(below);
  const auto directory = directories_.lower_bound(below);
  if ((file != files_.end() && file->first.starts_with(below)) ||
      (directory != directories_.end() && directory->starts_with(below))) {
    return Status::FromErrno("remove " + path, ENOTEMPTY);
  }
  directories_.erase(normal);
  return Status::Ok();
}

Status MemEnv::Truncate(const std::string& path, uint64_t size) {
  MutexLock lock(mu_);
  const std::shared_ptr<File> file = Find(path);
  if (file == nullptr) return NoSuchFile("truncate", path);
  MutexLock file_lock(file->mu);
  file->bytes.resize(static_cast<size_t>(size));
  file->modified_ms = now_ms_;
  return Status::Ok();
}

Result<FileInfo> MemEnv::Stat(const std::string& path) {
  MutexLock lock(mu_);
  if (DirectoryExists(path)) return FileInfo{.size = 0, .modified_ms = 0, .is_directory = true};
  const std::shared_ptr<File> file = Find(path);
  if (file == nullptr) return Error(NoSuchFile("stat", path));
  MutexLock file_lock(file->mu);
  return FileInfo{
      .size = file->bytes.size(), .modified_ms = file->modified_ms, .is_directory = false};
}

Result<std::vector<std::string>> MemEnv::ListDir(const std::string& path) {
  MutexLock lock(mu_);
  if (!DirectoryExists(path)) return Error(NoSuchFile("list", path));
  const std::string directory = Normalized(path);
  std::set<std::string> names;
  const auto add = [&](const std::string& entry) {
    if (entry != directory && DirName(entry) == directory) names.emplace(BaseName(entry));
  };
  for (const auto& [entry, file] : files_) add(entry);
  for (const std::string& entry : directories_) add(entry);
  return std::vector<std::string>(names.begin(), names.end());
}

Status MemEnv::CreateDirs(const std::string& path) {
  MutexLock lock(mu_);
  std::string directory = Normalized(path);
  while (!directories_.contains(directory)) {
    if (files_.contains(directory)) {
      return Status::FromErrno("create directory " + directory, ENOTDIR);
    }
    directories_.insert(directory);
    directory = std::string(DirName(directory));
  }
  return Status::Ok();
}

Status MemEnv::SyncDir(const std::string& path) {
  MutexLock lock(mu_);
  return DirectoryExists(path) ? Status::Ok() : NoSuchFile("sync directory", path);
}

Result<uint64_t> MemEnv::FreeSpace(const std::string&) {
  MutexLock lock(mu_);
  return free_space_;
}

Result<uint64_t> MemEnv::DiskSize(const std::string&) {
  MutexLock lock(mu_);
  return disk_size_;
}

Result<std::unique_ptr<FileLock>> MemEnv::LockFile(const std::string& path) {
  {
    MutexLock lock(mu_);
    if (!locks_.insert(Normalized(path)).second) {
      return Error(Code::kUnavailable, "lock " + path + ": another process holds it");
    }
  }
  auto held = std::make_unique<Lock>(*this, Normalized(path));
  TOCSIN_ASSIGN_OR_RETURN(const auto file, NewWritableFile(path, WriteMode::kAppend));
  return held;
}

void MemEnv::Unlock(const std::string& path) {
  MutexLock lock(mu_);
  locks_.erase(path);
}

}  // namespace tocsin
