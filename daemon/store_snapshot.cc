#include "daemon/store_snapshot.h"

#include <fmt/format.h>

#include <memory>
#include <string_view>

#include "base/env.h"
#include "base/log.h"
#include "base/state_store.h"
#include "base/time_text.h"
#include "collector/metadata_store.h"
#include "tsdb/database.h"

namespace tocsin::daemon {

namespace {

Status CopyMetadata(Env& env, const collector::MetadataStore& metadata, const std::string& to) {
  StateStoreOptions options;
  options.reserve = false;
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::unique_ptr<StateStore> state,
                                 OpenStateStore(env, to, options));
  collector::MetadataStore copy(&env, {});
  TOCSIN_RETURN_IF_ERROR(copy.Load(state.get()));
  metadata.Visit("", [&copy](const std::string& family, const model::Metadata& its) {
    copy.Note(family, its);
    return true;
  });
  return copy.Flush();
}

}  // namespace

Result<std::string> TakeSnapshot(Env& env, tsdb::Database& database,
                                 const collector::MetadataStore& metadata, bool skip_head) {
  constexpr size_t kToTheSecond = std::string_view("2026-11-24T05:52:21").size();
  std::string name = FormatTimeMs(env.NowMs()).substr(0, kToTheSecond);
  std::erase_if(name, [](char c) { return c == '-' || c == ':'; });
  name += fmt::format("Z-{:016x}", env.RandomUint64());
  const std::string directory = JoinPath(database.options().dir, "snapshots");
  const std::string path = JoinPath(directory, name);
  TOCSIN_TRY(database.Snapshot(path, skip_head));
  if (const Status copied = CopyMetadata(env, metadata, JoinPath(path, "state")); !copied.ok())
    LogWarn("main", "a snapshot is without metadata", {{"snapshot", path}, {"err", copied}});
  return name;
}

}  // namespace tocsin::daemon
