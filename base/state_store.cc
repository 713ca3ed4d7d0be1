#include "base/state_store.h"

#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#include <cerrno>
#include <cstring>

#include "base/env.h"
#include "base/log.h"

namespace tocsin {
namespace {

// LevelDB's default is 1000; a state store has a handful of files.
constexpr int kOpenFilesMax = 64;

leveldb::Slice Slice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view View(const leveldb::Slice& slice) { return {slice.data(), slice.size()}; }

// What the reserve holds: more than LevelDB writes when it opens (its log as a table).
constexpr uint64_t kReserveBytes = 4 << 20;
constexpr uint64_t kReserveFreeBytesMin = 16 * kReserveBytes;
constexpr std::string_view kReserveFile = "RESERVE";

bool SaysNoSpace(const leveldb::Status& status) {
  const std::string text = status.ToString();
  return text.find(std::strerror(ENOSPC)) != std::string::npos ||
         text.find(std::strerror(EDQUOT)) != std::string::npos;
}

Status FromLevelDb(const leveldb::Status& status) {
  if (status.ok()) return Status::Ok();
  const Code code = status.IsCorruption() ? Code::kCorruption
                    : status.IsNotFound() ? Code::kNotFound
                    : SaysNoSpace(status) ? Code::kNoSpace
                                          : Code::kIo;
  return Status(code, "state store: " + status.ToString());
}

leveldb::Options OpenOptions() {
  leveldb::Options options;
  options.create_if_missing = true;
  options.paranoid_checks = true;
  options.max_open_files = kOpenFilesMax;
  return options;
}

leveldb::ReadOptions CheckedRead() {
  leveldb::ReadOptions options;
  options.verify_checksums = true;
  return options;
}

class LevelDbStateStore final : public StateStore {
 public:
  LevelDbStateStore(std::unique_ptr<leveldb::DB> db, StateRecovery recovery, bool sync)
      : db_(std::move(db)), recovery_(std::move(recovery)) {
    write_options_.sync = sync;
  }

  Result<std::optional<std::string>> Get(std::string_view key) override {
    std::string value;
    const leveldb::Status status = db_->Get(CheckedRead(), Slice(key), &value);
    if (status.IsNotFound()) return std::nullopt;
    TOCSIN_TRY(FromLevelDb(status));
    return value;
  }

  Status Write(const StateBatch& batch) override {
    leveldb::WriteBatch changes;
    for (const auto& [key, value] : batch.changes()) {
      if (value) {
        changes.Put(Slice(key), Slice(*value));
      } else {
        changes.Delete(Slice(key));
      }
    }
    return FromLevelDb(db_->Write(write_options_, &changes));
  }

  Status ForEach(std::string_view prefix,
                 const std::function<bool(std::string_view, std::string_view)>& visit) override {
    const std::unique_ptr<leveldb::Iterator> it(db_->NewIterator(CheckedRead()));
    for (it->Seek(Slice(prefix)); it->Valid(); it->Next()) {
      if (!View(it->key()).starts_with(prefix)) break;
      if (!visit(View(it->key()), View(it->value()))) break;
    }
    return FromLevelDb(it->status());
  }

  const StateRecovery& recovery() const override { return recovery_; }

 private:
  const std::unique_ptr<leveldb::DB> db_;
  const StateRecovery recovery_;
  leveldb::WriteOptions write_options_;
};

// LevelDB takes a directory without CURRENT for an empty store and would drop what is in it.
bool LostItsRoot(Env& env, const std::string& path) {
  const auto names = env.ListDir(path);
  if (!names) return false;
  bool has_root = false;
  bool has_data = false;
  for (const std::string& name : *names) {
    has_root = has_root || name == "CURRENT";
    has_data = has_data || name.ends_with(".ldb") || name.starts_with("MANIFEST-");
  }
  return has_data && !has_root;
}

// Opens and reads everything once: LevelDB itself would notice a damaged block only when it is
// asked for.
Result<std::unique_ptr<leveldb::DB>> OpenChecked(Env& env, const std::string& path) {
  if (LostItsRoot(env, path)) return Error(Code::kCorruption, "state store: CURRENT is missing");
  leveldb::DB* raw = nullptr;
  const leveldb::Status status = leveldb::DB::Open(OpenOptions(), path, &raw);
  std::unique_ptr<leveldb::DB> db(raw);
  TOCSIN_TRY(FromLevelDb(status));
  leveldb::ReadOptions read = CheckedRead();
  read.fill_cache = false;
  const std::unique_ptr<leveldb::Iterator> it(db->NewIterator(read));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
  }
  TOCSIN_TRY(FromLevelDb(it->status()));
  return db;
}

// What keeps a sound store from opening.
bool IsNoDamage(const Status& status) {
  if (status.code() == Code::kNoSpace) return true;
  if (status.code() != Code::kIo) return false;
  if (status.message().find("lock") != std::string::npos) return true;
  for (const int error : {EACCES, EROFS, EMFILE, ENFILE}) {
    if (status.message().find(std::strerror(error)) != std::string::npos) return true;
  }
  return false;
}

// LevelDB writes when it opens: without room a daemon could not start on a full disk, so a few
// bytes are held back.
void KeepReserve(Env& env, const std::string& path) {
  const std::string reserve = JoinPath(path, kReserveFile);
  if (env.Exists(reserve)) return;
  if (env.FreeSpace(path).value_or(0) < kReserveFreeBytesMin) return;
  std::string noise(kReserveBytes, '\0');  // some file systems have no blocks for zeros
  env.FillRandom(noise.data(), noise.size());
  if (const Status status = env.WriteFileAtomically(reserve, noise); !status.ok())
    LogWarn("state", "no disk space is held back for the state store", {{"err", status}});
}

bool GiveUpReserve(Env& env, const std::string& path) {
  const std::string reserve = JoinPath(path, kReserveFile);
  return env.Exists(reserve) && env.Remove(reserve).ok();
}

// PATH.damaged-1, -2, …: the first that is free.
Result<std::string> SetAside(Env& env, const std::string& path) {
  for (int n = 1;; ++n) {
    std::string aside = path + ".damaged-" + std::to_string(n);
    if (env.Exists(aside)) continue;
    TOCSIN_TRY(env.Rename(path, aside));
    TOCSIN_TRY(env.SyncDir(std::string(DirName(path))));
    return aside;
  }
}

}  // namespace

Result<std::unique_ptr<StateStore>> OpenStateStore(Env& env, const std::string& path,
                                                   const StateStoreOptions& options) {
  TOCSIN_TRY(env.CreateDirs(path));
  StateRecovery recovery;
  Result<std::unique_ptr<leveldb::DB>> db = OpenChecked(env, path);
  if (!db && db.error().code() == Code::kNoSpace && GiveUpReserve(env, path)) {
    LogWarn("state", "the disk is full: the reserve is given up to open the state store",
            {{"path", path}});
    db = OpenChecked(env, path);
  }
  const Status damage = db ? Status::Ok() : db.error();
  // Nothing may be moved then.
  if (IsNoDamage(damage)) return Error(damage.Annotate(path));
  if (!damage.ok() && env.FreeSpace(path).value_or(kReserveBytes) < kReserveBytes) {
    return Error(Status(Code::kNoSpace, damage.message() + "; too little disk space to repair that")
                     .Annotate(path));
  }
  if (!damage.ok()) {
    const Status repaired = FromLevelDb(leveldb::RepairDB(path, OpenOptions()));
    if (repaired.ok()) db = OpenChecked(env, path);
    recovery = {StateRecovery::Kind::kRepaired,
                path + " was damaged (" + damage.message() +
                    ") and repaired: what could not be read is in " + path + "/lost"};
  }
  if (!db) {
    TOCSIN_ASSIGN_OR_RETURN(const std::string aside, SetAside(env, path));
    TOCSIN_TRY(env.CreateDirs(path));
    db = OpenChecked(env, path);
    if (!db) return Error(db.error().Annotate(path));
    recovery = {StateRecovery::Kind::kSetAside, path + " was damaged (" + damage.message() +
                                                    ") beyond repair and set aside as " + aside};
  }
  if (recovery.kind != StateRecovery::Kind::kNone) {
    LogWarn("state", "state store was damaged", {{"path", path}, {"what", recovery.message}});
  }
  if (options.reserve) KeepReserve(env, path);
  return std::make_unique<LevelDbStateStore>(std::move(*db), std::move(recovery), options.sync);
}

Result<std::optional<std::string>> MemoryStateStore::Get(std::string_view key) {
  MutexLock lock(mu_);
  const auto it = entries_.find(key);
  if (it == entries_.end()) return std::nullopt;
  return it->second;
}

Status MemoryStateStore::Write(const StateBatch& batch) {
  MutexLock lock(mu_);
  TOCSIN_RETURN_IF_ERROR(write_status_);
  for (const auto& [key, value] : batch.changes()) {
    if (value) {
      entries_[key] = *value;
    } else {
      entries_.erase(key);
    }
  }
  return Status::Ok();
}

Status MemoryStateStore::ForEach(
    std::string_view prefix,
    const std::function<bool(std::string_view key, std::string_view value)>& visit) {
  std::map<std::string, std::string, std::less<>> entries;
  {
    MutexLock lock(mu_);
    entries = entries_;
  }
  for (auto it = entries.lower_bound(prefix); it != entries.end(); ++it) {
    if (!it->first.starts_with(prefix) || !visit(it->first, it->second)) break;
  }
  return Status::Ok();
}

void MemoryStateStore::FailWrites(Status status) {
  MutexLock lock(mu_);
  write_status_ = std::move(status);
}

}  // namespace tocsin
