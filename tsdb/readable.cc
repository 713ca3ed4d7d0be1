#include "tsdb/readable.h"

#include <string_view>
#include <vector>

#include "tsdb/head/replay.h"
#include "tsdb/manifest.h"
#include "tsdb/named_tails.h"
#include "tsdb/rollup/rollup_file.h"
#include "tsdb/segment/reader.h"

namespace tocsin::tsdb {
namespace {

std::vector<std::string> Names(Env& env, const std::string& directory) {
  return env.ListDir(directory).value_or(std::vector<std::string>());
}

Status IfRefused(const Status& status) {
  const bool refused =
      status.code() == Code::kUnimplemented || status.code() == Code::kPermissionDenied;
  return refused ? status : Status::Ok();
}

Status CheckSegments(Env& env, const std::string& directory, std::string_view suffix) {
  for (const std::string& name : Names(env, directory)) {
    if (!name.ends_with(suffix)) continue;
    // Of any seed: it is not kept.
    const auto segment = SegmentReader::Open(env, JoinPath(directory, name), 0);
    if (!segment) TOCSIN_RETURN_IF_ERROR(IfRefused(segment.error()));
  }
  return Status::Ok();
}

Status CheckTails(Env& env, const std::string& directory) {
  for (const std::string& name : Names(env, directory)) {
    const auto bytes = env.ReadFile(JoinPath(directory, name));
    if (!bytes) {
      TOCSIN_RETURN_IF_ERROR(IfRefused(bytes.error()));
      continue;
    }
    const auto position = DecodeTailPosition(*bytes);
    if (!position)
      TOCSIN_RETURN_IF_ERROR(IfRefused(position.error()).Annotate(JoinPath(directory, name)));
  }
  return Status::Ok();
}

}  // namespace

Status CheckReadable(Env& env, const std::string& dir) {
  const std::string segments = JoinPath(dir, "segments");
  if (const auto manifest = ReadManifest(env, segments); !manifest)
    TOCSIN_RETURN_IF_ERROR(IfRefused(manifest.error()));
  if (const auto logs = ListLogs(env, JoinPath(dir, "wal"), /*read_only=*/true); !logs)
    TOCSIN_RETURN_IF_ERROR(IfRefused(logs.error()));
  TOCSIN_RETURN_IF_ERROR(CheckSegments(env, segments, kSegmentSuffix));
  TOCSIN_RETURN_IF_ERROR(CheckSegments(env, JoinPath(dir, "import"), kSegmentSuffix));
  TOCSIN_RETURN_IF_ERROR(CheckSegments(env, JoinPath(dir, "rollups"), kRollupSuffix));
  return CheckTails(env, JoinPath(dir, "tails"));
}

}  // namespace tocsin::tsdb
