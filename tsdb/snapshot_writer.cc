#include "tsdb/snapshot_writer.h"

#include "base/log.h"
#include "tsdb/manifest.h"
#include "tsdb/segment_store.h"

namespace tocsin::tsdb {
namespace {

Status LinkInto(Env& env, const std::string& directory, const std::string& path) {
  return env.Link(path, JoinPath(directory, BaseName(path)));
}

Status Fill(Env& env, const std::string& directory, const SnapshotContents& contents) {
  const std::string segments = JoinPath(directory, "segments");
  const std::string rollups = JoinPath(directory, "rollups");
  TOCSIN_RETURN_IF_ERROR(env.CreateDirs(segments));
  TOCSIN_RETURN_IF_ERROR(env.CreateDirs(rollups));
  for (const Version::Segment& segment : contents.version.segments)
    TOCSIN_RETURN_IF_ERROR(LinkInto(env, segments, segment->path()));
  for (const std::string& path : contents.rollup_paths)
    TOCSIN_RETURN_IF_ERROR(LinkInto(env, rollups, path));
  TOCSIN_RETURN_IF_ERROR(LinkInto(env, directory, contents.seed_path));
  Manifest manifest = SegmentStore::ManifestOf(contents.version, contents.commit);
  manifest.sequence = 1;
  TOCSIN_RETURN_IF_ERROR(WriteManifest(env, segments, manifest));
  TOCSIN_RETURN_IF_ERROR(WriteSnapshotLog(env, JoinPath(directory, "wal"), contents.log));
  TOCSIN_RETURN_IF_ERROR(env.SyncDir(rollups));
  TOCSIN_RETURN_IF_ERROR(env.SyncDir(segments));
  return env.SyncDir(directory);
}

}  // namespace

Status WriteSnapshot(Env& env, const std::string& directory, const SnapshotContents& contents) {
  if (env.Exists(directory)) return Status(Code::kAlreadyExists, directory + " exists");
  const std::string unfinished = directory + std::string(kUnfinishedSnapshotSuffix);
  const std::string parent(DirName(directory));
  TOCSIN_RETURN_IF_ERROR(env.CreateDirs(parent));
  Status status = Fill(env, unfinished, contents);
  if (status.ok()) status = env.Rename(unfinished, directory);
  if (status.ok()) status = env.SyncDir(parent);
  if (status.ok()) return status;
  for (const std::string& left : {unfinished, directory}) {
    if (const Status removed = env.RemoveTree(left); !removed.ok())
      LogWarn("tsdb", "an unfinished snapshot cannot be removed",
              {{"dir", left}, {"err", removed}});
  }
  return status.Annotate("snapshot");
}

}  // namespace tocsin::tsdb
