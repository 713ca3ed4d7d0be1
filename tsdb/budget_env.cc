#include "tsdb/budget_env.h"

#include <algorithm>
#include <array>
#include <utility>

namespace tocsin::tsdb {
namespace {

// Folders of a data directory that are not the database's: alert state and history, whose size has
// bounds of its own.
constexpr std::array<std::string_view, 2> kForeignFolders = {"state", "ledger"};

}  // namespace

// Reserves before it appends. Bytes that a failure or a destructor without Close() lost are given
// back by a look at the file.
class BudgetEnv::Writer final : public WritableFile {
 public:
  Writer(BudgetEnv& env, std::string path, std::unique_ptr<WritableFile> target)
      : env_(env), path_(std::move(path)), target_(std::move(target)) {}
  ~Writer() override {
    target_.reset();
    if (appended_ && !closed_) env_.Recount(path_);
  }

  Status Append(std::string_view bytes) override {
    TOCSIN_RETURN_IF_ERROR(env_.Grow(path_, bytes.size()));
    appended_ = true;
    return target_->Append(bytes);
  }
  Status Flush() override { return target_->Flush(); }
  Status Sync() override { return target_->Sync(); }
  Status Close() override {
    Status status = target_->Close();
    closed_ = status.ok();
    return status;
  }
  uint64_t size() const override { return target_->size(); }

 private:
  BudgetEnv& env_;
  const std::string path_;
  std::unique_ptr<WritableFile> target_;
  bool appended_ = false;
  bool closed_ = false;
};

BudgetEnv::BudgetEnv(Env& target, std::string dir, DiskBudget& budget)
    : target_(target), dir_(std::move(dir) + "/"), budget_(budget) {}

Status BudgetEnv::CountFiles() {
  const std::string root = dir_.substr(0, dir_.size() - 1);
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::vector<std::string> names, target_.ListDir(root));
  for (const std::string& name : names) {
    if (std::find(kForeignFolders.begin(), kForeignFolders.end(), name) == kForeignFolders.end())
      TOCSIN_RETURN_IF_ERROR(CountTree(JoinPath(root, name)));
  }
  return Status::Ok();
}

Status BudgetEnv::CountTree(const std::string& path) {
  const auto info = target_.Stat(path);
  if (!info) return info.error().code() == Code::kNotFound ? Status::Ok() : info.error();
  if (!info->is_directory) {
    SetSize(path, info->size);
    return Status::Ok();
  }
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::vector<std::string> names, target_.ListDir(path));
  for (const std::string& name : names) TOCSIN_RETURN_IF_ERROR(CountTree(JoinPath(path, name)));
  return Status::Ok();
}

void BudgetEnv::SetSize(const std::string& path, uint64_t bytes) {
  MutexLock lock(mu_);
  const uint64_t before = std::exchange(bytes_[path], bytes);
  budget_.Add(bytes);
  budget_.Subtract(before);
}

Status BudgetEnv::Grow(const std::string& path, uint64_t bytes) {
  MutexLock lock(mu_);
  if (!budget_.Reserve(bytes)) {
    return Status(Code::kNoSpace, path + ": the retention size of " +
                                      std::to_string(budget_.cap()) + " bytes is reached");
  }
  bytes_[path] += bytes;
  return Status::Ok();
}

void BudgetEnv::Recount(const std::string& path) {
  MutexLock lock(mu_);
  const auto found = bytes_.find(path);
  if (found == bytes_.end()) return;  // removed meanwhile
  const auto info = target_.Stat(path);
  const uint64_t now = info ? info->size : 0;
  budget_.Add(now);
  budget_.Subtract(std::exchange(found->second, now));
}

Result<std::unique_ptr<WritableFile>> BudgetEnv::NewWritableFile(const std::string& path,
                                                                 WriteMode mode) {
  TOCSIN_ASSIGN_OR_RETURN(auto file, target_.NewWritableFile(path, mode));
  if (!Counts(path)) return file;
  if (mode == WriteMode::kTruncate) {
    SetSize(path, 0);
  } else {
    // Another handle may be appending to the file just now: what is counted is ahead of the file.
    MutexLock lock(mu_);
    if (bytes_.try_emplace(path, file->size()).second) budget_.Add(file->size());
  }
  return std::make_unique<Writer>(*this, path, std::move(file));
}

Status BudgetEnv::Rename(const std::string& from, const std::string& to) {
  TOCSIN_RETURN_IF_ERROR(target_.Rename(from, to));
  MutexLock lock(mu_);
  if (const auto overwritten = bytes_.find(to); overwritten != bytes_.end()) {
    budget_.Subtract(overwritten->second);
    bytes_.erase(overwritten);
  }
  if (auto moved = bytes_.extract(from); !moved.empty()) {
    moved.key() = to;
    bytes_.insert(std::move(moved));
  }
  // A whole directory: its files.
  const std::string prefix = from + "/";
  for (auto it = bytes_.lower_bound(prefix); it != bytes_.end() && it->first.starts_with(prefix);) {
    auto moved = bytes_.extract(it++);
    moved.key() = to + moved.key().substr(from.size());
    bytes_.insert(std::move(moved));
  }
  return Status::Ok();
}

Status BudgetEnv::Remove(const std::string& path) {
  TOCSIN_RETURN_IF_ERROR(target_.Remove(path));
  MutexLock lock(mu_);
  if (const auto found = bytes_.find(path); found != bytes_.end()) {
    budget_.Subtract(found->second);
    bytes_.erase(found);
  }
  return Status::Ok();
}

Status BudgetEnv::Truncate(const std::string& path, uint64_t size) {
  TOCSIN_RETURN_IF_ERROR(target_.Truncate(path, size));
  if (Counts(path)) SetSize(path, size);
  return Status::Ok();
}

}  // namespace tocsin::tsdb
