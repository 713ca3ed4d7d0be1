#include "daemon/store_snapshot.h"

#include <fmt/format.h>

#include <string_view>

#include "base/env.h"
#include "base/time_text.h"
#include "tsdb/database.h"

namespace tocsin::daemon {

Result<std::string> TakeSnapshot(Env& env, tsdb::Database& database, bool skip_head) {
  constexpr size_t kToTheSecond = std::string_view("2026-11-24T05:52:21").size();
  std::string name = FormatTimeMs(env.NowMs()).substr(0, kToTheSecond);
  std::erase_if(name, [](char c) { return c == '-' || c == ':'; });
  name += fmt::format("Z-{:016x}", env.RandomUint64());
  const std::string directory = JoinPath(database.options().dir, "snapshots");
  TOCSIN_TRY(database.Snapshot(JoinPath(directory, name), skip_head));
  return name;
}

}  // namespace tocsin::daemon
