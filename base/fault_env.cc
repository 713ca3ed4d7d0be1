#include "base/fault_env.h"

#include <algorithm>

#include "base/check.h"

namespace tocsin {

class FaultEnv::Writer final : public WritableFile {
 public:
  Writer(FaultEnv& env, std::string path, std::unique_ptr<WritableFile> file, uint64_t generation)
      : env_(env), path_(std::move(path)), file_(std::move(file)), generation_(generation) {}

  Status Append(std::string_view bytes) override {
    MutexLock lock(env_.mu_);
    TOCSIN_RETURN_IF_ERROR(EnterAlive(kAppendOp));
    return file_->Append(bytes);
  }
  Status Flush() override {
    MutexLock lock(env_.mu_);
    TOCSIN_RETURN_IF_ERROR(EnterAlive(kFlushOp));
    return file_->Flush();
  }
  Status Sync() override {
    MutexLock lock(env_.mu_);
    if (Status status = EnterAlive(kSyncOp); !status.ok()) {
      if (generation_ == env_.generation_) env_.NoteFailedSync(path_);
      return status;
    }
    TOCSIN_RETURN_IF_ERROR(file_->Sync());
    // Of the file, whichever handle wrote it.
    const Result<uint64_t> size = env_.target_.FileSize(path_);
    env_.synced_bytes_[path_] = size ? *size : file_->size();
    return Status::Ok();
  }
  Status Close() override {
    MutexLock lock(env_.mu_);
    TOCSIN_RETURN_IF_ERROR(EnterAlive(kFlushOp));
    return file_->Close();
  }
  uint64_t size() const override { return file_->size(); }

 private:
  Status EnterAlive(FileOps op) REQUIRES(env_.mu_) {
    if (generation_ != env_.generation_) {
      return Status(Code::kIo, path_ + ": opened before the crash");
    }
    return env_.Enter(op).Annotate(path_);
  }

  FaultEnv& env_;
  const std::string path_;
  const std::unique_ptr<WritableFile> file_;
  const uint64_t generation_;
};

void FaultEnv::FailAfter(uint64_t count, Status status, FileOps ops, Repeat repeat) {
  MutexLock lock(mu_);
  fault_ = Fault{count, std::move(status), ops, repeat};
  fault_hit_ = false;
}

void FaultEnv::ClearFault() {
  MutexLock lock(mu_);
  fault_.reset();
}

bool FaultEnv::fault_hit() {
  MutexLock lock(mu_);
  return fault_hit_;
}

uint64_t FaultEnv::operations(FileOps ops) {
  MutexLock lock(mu_);
  uint64_t sum = 0;
  for (const auto& [op, count] : counts_) {
    if ((op & ops) != 0) sum += count;
  }
  return sum;
}

Status FaultEnv::Enter(FileOps op) {
  ++counts_[op];
  if (!fault_ || (fault_->ops & op) == 0) return Status::Ok();
  if (fault_->passes_left > 0) {
    --fault_->passes_left;
    return Status::Ok();
  }
  fault_hit_ = true;
  Status status = fault_->status;
  if (fault_->repeat == Repeat::kOnce) fault_.reset();
  return status;
}

void FaultEnv::NoteFailedSync(const std::string& path) {
  const Result<uint64_t> size = target_.FileSize(path);
  const auto state = synced_bytes_.find(path);
  if (!size || state == synced_bytes_.end() || *size <= state->second) return;
  const auto [range, fresh] = dropped_.try_emplace(path, state->second, *size);
  if (!fresh) range->second.second = std::max(range->second.second, *size);
}

void FaultEnv::DropUnwritten(const std::string& path, uint64_t begin, uint64_t end) {
  Result<std::string> bytes = target_.ReadFile(path);
  if (!bytes) return;
  end = std::min<uint64_t>(end, bytes->size());
  if (begin >= end) return;
  std::fill(bytes->begin() + static_cast<ptrdiff_t>(begin),
            bytes->begin() + static_cast<ptrdiff_t>(end), '\0');
  const auto file = target_.NewWritableFile(path, WriteMode::kTruncate);
  CHECK(file.has_value());
  CHECK((*file)->Append(*bytes).ok());
  CHECK((*file)->Close().ok());
}

Status FaultEnv::EnterUnlocked(FileOps op) {
  MutexLock lock(mu_);
  return Enter(op);
}

Result<std::unique_ptr<WritableFile>> FaultEnv::NewWritableFile(const std::string& path,
                                                                WriteMode mode) {
  MutexLock lock(mu_);
  TOCSIN_TRY(Enter(kOpenOp).Annotate("open " + path));
  const bool existed = target_.Exists(path);
  TOCSIN_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, target_.NewWritableFile(path, mode));
  if (!existed) {
    name_changes_[std::string(DirName(path))].push_back(
        {NameChange::Kind::kCreate, path, {}, std::nullopt});
  }
  if (!existed || mode == WriteMode::kTruncate) {
    synced_bytes_[path] = 0;
    dropped_.erase(path);
  } else {
    synced_bytes_.try_emplace(path, file->size());
  }
  return std::make_unique<Writer>(*this, path, std::move(file), generation_);
}

Result<std::unique_ptr<RandomAccessFile>> FaultEnv::NewRandomAccessFile(const std::string& path) {
  TOCSIN_TRY(EnterUnlocked(kReadOp).Annotate("open " + path));
  return target_.NewRandomAccessFile(path);
}

Result<std::unique_ptr<MappedFile>> FaultEnv::MapFile(const std::string& path) {
  TOCSIN_TRY(EnterUnlocked(kReadOp).Annotate("map " + path));
  return target_.MapFile(path);
}

Result<std::string> FaultEnv::ReadFileUpTo(const std::string& path, uint64_t limit_bytes) {
  TOCSIN_TRY(EnterUnlocked(kReadOp).Annotate("read " + path));
  return target_.ReadFileUpTo(path, limit_bytes);
}

Result<std::vector<std::string>> FaultEnv::ListDir(const std::string& path) {
  TOCSIN_TRY(EnterUnlocked(kReadOp).Annotate("list " + path));
  return target_.ListDir(path);
}

Status FaultEnv::Rename(const std::string& from, const std::string& to) {
  MutexLock lock(mu_);
  TOCSIN_RETURN_IF_ERROR(Enter(kRenameOp).Annotate("rename " + from));
  const auto info = target_.Stat(from);
  const bool is_file = info && !info->is_directory;
  std::optional<SavedFile> overwritten = is_file ? Save(to) : std::nullopt;
  TOCSIN_RETURN_IF_ERROR(target_.Rename(from, to));
  if (!is_file) return Status::Ok();
  synced_bytes_.erase(to);
  dropped_.erase(to);
  if (const auto range = dropped_.find(from); range != dropped_.end()) {
    dropped_[to] = range->second;
    dropped_.erase(range);
  }
  if (const auto state = synced_bytes_.find(from); state != synced_bytes_.end()) {
    synced_bytes_[to] = state->second;
    synced_bytes_.erase(state);
  }
  name_changes_[std::string(DirName(to))].push_back(
      {NameChange::Kind::kRename, to, from, std::move(overwritten)});
  return Status::Ok();
}

Status FaultEnv::Remove(const std::string& path) {
  MutexLock lock(mu_);
  TOCSIN_RETURN_IF_ERROR(Enter(kRemoveOp).Annotate("remove " + path));
  std::optional<SavedFile> removed = Save(path);
  TOCSIN_RETURN_IF_ERROR(target_.Remove(path));
  dropped_.erase(path);
  synced_bytes_.erase(path);
  if (removed) {
    name_changes_[std::string(DirName(path))].push_back(
        {NameChange::Kind::kRemove, path, {}, std::move(removed)});
  } else {
    name_changes_.erase(path);  // a directory, gone with all that was in it
  }
  return Status::Ok();
}

Status FaultEnv::Truncate(const std::string& path, uint64_t size) {
  MutexLock lock(mu_);
  TOCSIN_RETURN_IF_ERROR(Enter(kTruncateOp).Annotate("truncate " + path));
  TOCSIN_RETURN_IF_ERROR(target_.Truncate(path, size));
  if (const auto state = synced_bytes_.find(path); state != synced_bytes_.end()) {
    state->second = std::min(state->second, size);
  }
  if (const auto range = dropped_.find(path); range != dropped_.end()) {
    range->second.second = std::min(range->second.second, size);
    if (range->second.first >= range->second.second) dropped_.erase(range);
  }
  return Status::Ok();
}

Status FaultEnv::CreateDirs(const std::string& path) {
  MutexLock lock(mu_);
  TOCSIN_RETURN_IF_ERROR(Enter(kCreateDirsOp).Annotate("create directory " + path));
  return target_.CreateDirs(path);
}

Status FaultEnv::SyncDir(const std::string& path) {
  MutexLock lock(mu_);
  TOCSIN_RETURN_IF_ERROR(Enter(kSyncDirOp).Annotate("sync directory " + path));
  TOCSIN_RETURN_IF_ERROR(target_.SyncDir(path));
  name_changes_.erase(path.size() > 1 && path.ends_with('/') ? path.substr(0, path.size() - 1)
                                                             : path);
  return Status::Ok();
}

void FaultEnv::Kill() {
  MutexLock lock(mu_);
  ++generation_;
}

void FaultEnv::PowerCut(Cut cut, uint64_t seed) {
  MutexLock lock(mu_);
  ++generation_;
  random_.seed(seed);
  for (auto& [directory, changes] : name_changes_) {
    size_t kept = 0;
    if (cut == Cut::kTorn) kept = static_cast<size_t>(random_() % (changes.size() + 1));
    while (changes.size() > kept) {
      Undo(changes.back());
      changes.pop_back();
    }
  }
  name_changes_.clear();
  for (const auto& [path, synced_bytes] : synced_bytes_) CutFile(path, synced_bytes, cut);
  synced_bytes_.clear();
  for (const auto& [path, range] : dropped_) DropUnwritten(path, range.first, range.second);
  dropped_.clear();
}

std::optional<FaultEnv::SavedFile> FaultEnv::Save(const std::string& path) {
  Result<std::string> bytes = target_.ReadFile(path);
  if (!bytes) return std::nullopt;
  const auto state = synced_bytes_.find(path);
  const uint64_t synced = state == synced_bytes_.end() ? bytes->size() : state->second;
  return SavedFile{std::move(*bytes), synced};
}

void FaultEnv::Restore(const std::string& path, const SavedFile& saved) {
  const auto file = target_.NewWritableFile(path, WriteMode::kTruncate);
  CHECK(file.has_value());
  CHECK((*file)->Append(saved.bytes).ok());
  CHECK((*file)->Close().ok());
  synced_bytes_[path] = saved.synced_bytes;
}

void FaultEnv::Undo(const NameChange& change) {
  switch (change.kind) {
    case NameChange::Kind::kCreate:
      synced_bytes_.erase(change.path);
      // Gone already when a rename in another directory took it away for good.
      if (target_.Exists(change.path)) CHECK(target_.Remove(change.path).ok());
      break;
    case NameChange::Kind::kRename:
      if (target_.Exists(change.path)) {
        CHECK(target_.Rename(change.path, change.old_path).ok());
        if (const auto state = synced_bytes_.find(change.path); state != synced_bytes_.end()) {
          synced_bytes_[change.old_path] = state->second;
          synced_bytes_.erase(state);
        }
      }
      if (change.overwritten) Restore(change.path, *change.overwritten);
      break;
    case NameChange::Kind::kRemove:
      Restore(change.path, *change.overwritten);
      break;
  }
}

void FaultEnv::CutFile(const std::string& path, uint64_t synced_bytes, Cut cut) {
  Result<std::string> bytes = target_.ReadFile(path);
  if (!bytes || bytes->size() <= synced_bytes) return;
  size_t kept = static_cast<size_t>(synced_bytes);
  if (cut == Cut::kTorn) {
    kept += static_cast<size_t>(random_() % (bytes->size() - kept + 1));
    // A sector that was being written: up to 512 bytes before the tear may be anything.
    const size_t garbage = std::min<size_t>(kept - static_cast<size_t>(synced_bytes),
                                            static_cast<size_t>(random_() % 512));
    if (random_() % 2 == 0) {
      for (size_t i = kept - garbage; i < kept; ++i) (*bytes)[i] = static_cast<char>(random_());
    }
  }
  bytes->resize(kept);
  Restore(path, SavedFile{std::move(*bytes), kept});
}

}  // namespace tocsin
