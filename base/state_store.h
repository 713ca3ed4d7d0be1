// StateStore: small durable state by key (alert state, silences, notification log, marks,
// tombstones, the dictionary's checkpoint). Never samples. Keys are bytes, sorted; the owner of a
// prefix names it
// ("alert/", "silence/"). Thread-safe.
//
//   TOCSIN_ASSIGN_OR_RETURN(auto store, OpenStateStore(env, "data/state", {}));
//   StateBatch batch;
//   batch.Put("alert/…", bytes).Delete("alert/…");
//   TOCSIN_RETURN_IF_ERROR(store->Write(batch));     // all or nothing, synced
//   store->ForEach("alert/", [](std::string_view key, std::string_view value) { …; return true; });
//
// Opening never fails because of damaged bytes: what can be read is kept, the rest is set aside,
// and recovery() says so. Nor, the first time, because the disk is full: a few MiB are held back
// for that (RESERVE). kNoSpace when these are gone, too; a sound store stays as it is then. Two
// implementations: LevelDB on disk, and memory for tests.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"

namespace tocsin {

class Env;

// Changes that become durable together. Later changes of one key win.
class StateBatch {
 public:
  StateBatch& Put(std::string_view key, std::string_view value) {
    changes_.emplace_back(key, std::string(value));
    return *this;
  }
  StateBatch& Delete(std::string_view key) {
    changes_.emplace_back(key, std::nullopt);
    return *this;
  }
  bool empty() const { return changes_.empty(); }
  // A value that is absent means: delete.
  const std::vector<std::pair<std::string, std::optional<std::string>>>& changes() const {
    return changes_;
  }

 private:
  std::vector<std::pair<std::string, std::optional<std::string>>> changes_;
};

// What opening had to do about damage.
struct StateRecovery {
  enum class Kind : uint8_t { kNone, kRepaired, kSetAside } kind = Kind::kNone;
  std::string message;  // for log and status page; "" for kNone
};

class StateStore {
 public:
  virtual ~StateStore() = default;

  // Nothing when there is no such key.
  virtual Result<std::optional<std::string>> Get(std::string_view key) = 0;
  virtual Status Write(const StateBatch& batch) = 0;
  // All keys that begin with `prefix`, in order, as of now; stops when `visit` returns false.
  virtual Status ForEach(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) = 0;
  virtual const StateRecovery& recovery() const = 0;

  Status Put(std::string_view key, std::string_view value) {
    return Write(StateBatch().Put(key, value));
  }
  Status Delete(std::string_view key) { return Write(StateBatch().Delete(key)); }
};

struct StateStoreOptions {
  bool reserve = true;  // hold disk space back for opening it on a full disk
  // False: a write reaches the kernel only (survives kill -9, not a power cut): for the ledger.
  bool sync = true;
};

// `path` is a directory, created if need be. `env` gives names of directories set aside their time;
// the store's own files are LevelDB's, on the real disk.
Result<std::unique_ptr<StateStore>> OpenStateStore(Env& env, const std::string& path,
                                                   const StateStoreOptions& options);

class MemoryStateStore final : public StateStore {
 public:
  Result<std::optional<std::string>> Get(std::string_view key) override;
  Status Write(const StateBatch& batch) override;
  Status ForEach(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) override;
  const StateRecovery& recovery() const override { return recovery_; }

  // For tests of failure: every Write fails with this until it is ok again.
  void FailWrites(Status status);

 private:
  const StateRecovery recovery_;
  Mutex mu_;
  Status write_status_ GUARDED_BY(mu_);
  std::map<std::string, std::string, std::less<>> entries_ GUARDED_BY(mu_);
};

}  // namespace tocsin
