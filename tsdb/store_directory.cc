#include "tsdb/store_directory.h"

#include <algorithm>
#include <vector>

#include "tsdb/manifest.h"
#include "tsdb/prometheus/block_meta.h"
#include "tsdb/segment/meta.h"
#include "tsdb/wal/log_format.h"

namespace tocsin::tsdb {
namespace {

constexpr std::string_view kHowToImport =
    "data of Prometheus; `tocsin tsdb import` takes it over into a directory of its own";

// Empty when there is none, or it is a file.
std::vector<std::string> Names(Env& env, const std::string& directory) {
  return env.ListDir(directory).value_or(std::vector<std::string>());
}

bool HasSegments(Env& env, const std::string& directory) {
  const std::vector<std::string> names = Names(env, JoinPath(directory, "segments"));
  return std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return name == kManifestFile || name == kManifestCopyFile || name.ends_with(kSegmentSuffix);
  });
}

bool IsPrometheusLogFile(std::string_view name) {
  constexpr size_t kDigits = 8;
  return name.size() == kDigits &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<DirectoryKind> KindOfDirectory(Env& env, const std::string& directory) {
  TOCSIN_ASSIGN_OR_RETURN(const FileInfo info, env.Stat(directory));
  if (!info.is_directory) return Error(Code::kInvalidArgument, directory + ": not a directory");
  TOCSIN_ASSIGN_OR_RETURN(const std::vector<std::string> names, env.ListDir(directory));
  const std::vector<std::string> logs = Names(env, JoinPath(directory, "wal"));
  const auto is_our_log = [](const std::string& name) {
    uint32_t shard = 0;
    uint32_t number = 0;
    return ParseLogFileName(name, &shard, &number);
  };
  if (std::find(names.begin(), names.end(), kSeedFile) != names.end() ||
      std::any_of(logs.begin(), logs.end(), is_our_log) || HasSegments(env, directory))
    return DirectoryKind::kStore;
  const bool has_blocks = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return name == "chunks_head" || name == kBlockMetaFile ||
           (IsUlid(name) && env.Exists(JoinPath(JoinPath(directory, name), kBlockMetaFile)));
  });
  return has_blocks || std::any_of(logs.begin(), logs.end(), IsPrometheusLogFile)
             ? DirectoryKind::kPrometheus
             : DirectoryKind::kUnknown;
}

Status CheckIsStore(Env& env, const std::string& directory) {
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const DirectoryKind kind, KindOfDirectory(env, directory));
  if (kind == DirectoryKind::kStore) return Status::Ok();
  return Status(Code::kInvalidArgument,
                directory + ": no store: " +
                    (kind == DirectoryKind::kPrometheus
                         ? std::string(kHowToImport)
                         : "there is neither a seed nor segments nor a log in it"));
}

Status CheckMayHoldStore(Env& env, const std::string& directory) {
  const auto kind = KindOfDirectory(env, directory);
  if (!kind && kind.error().code() == Code::kNotFound) return Status::Ok();
  if (!kind) return kind.error();
  if (*kind != DirectoryKind::kPrometheus) return Status::Ok();
  return Status(Code::kInvalidArgument, directory + ": " + std::string(kHowToImport));
}

void MarkHarmless(std::vector<Damage>* damages) {
  const auto is_manifest = [](const Damage& damage) {
    const std::string_view name = BaseName(damage.path);
    return name == kManifestFile || name == kManifestCopyFile;
  };
  const auto manifests = std::count_if(damages->begin(), damages->end(), is_manifest);
  for (Damage& damage : *damages) {
    damage.harmless = is_manifest(damage) ? manifests == 1 : BaseName(damage.path) == kSeedFile;
  }
}

}  // namespace tocsin::tsdb
