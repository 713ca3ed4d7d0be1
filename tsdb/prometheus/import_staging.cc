#include "tsdb/prometheus/import_staging.h"

#include <vector>

#include "tsdb/segment/meta.h"

namespace tocsin::tsdb {
namespace {

constexpr std::string_view kStagingDir = "import";
constexpr std::string_view kCompleteFile = "complete";

}  // namespace

ImportStaging::ImportStaging(Env& env, const std::string& dir)
    : env_(env), directory_(JoinPath(dir, kStagingDir)), segments_(JoinPath(dir, "segments")) {}

bool ImportStaging::IsComplete() const { return env_.Exists(JoinPath(directory_, kCompleteFile)); }

Status ImportStaging::Recover(bool* finished) {
  *finished = IsComplete();
  if (*finished) TOCSIN_RETURN_IF_ERROR(MoveIntoPlace());
  return env_.RemoveTree(directory_);
}

Status ImportStaging::Publish() {
  TOCSIN_RETURN_IF_ERROR(env_.SyncDir(directory_));
  TOCSIN_RETURN_IF_ERROR(env_.WriteFileAtomically(JoinPath(directory_, kCompleteFile), ""));
  TOCSIN_RETURN_IF_ERROR(MoveIntoPlace());
  return env_.RemoveTree(directory_);
}

Status ImportStaging::MoveIntoPlace() {
  TOCSIN_RETURN_IF_ERROR(env_.CreateDirs(segments_));
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::vector<std::string> names, env_.ListDir(directory_));
  for (const std::string& name : names) {
    if (!name.ends_with(kSegmentSuffix)) continue;
    TOCSIN_RETURN_IF_ERROR(env_.Rename(JoinPath(directory_, name), JoinPath(segments_, name)));
  }
  return env_.SyncDir(segments_);
}

}  // namespace tocsin::tsdb
