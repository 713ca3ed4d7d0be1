#include "base/env.h"

namespace tocsin {
namespace {

// Deeper trees than ours ever are come from a symlink loop or a stranger.
constexpr int kTreeDepthMax = 32;

Status RemoveTreeAt(Env& env, const std::string& path, int depth) {
  const auto info = env.Stat(path);
  if (!info) return info.error().code() == Code::kNotFound ? Status::Ok() : info.error();
  if (info->is_directory) {
    if (depth >= kTreeDepthMax) {
      return Status(Code::kResourceExhausted, path + ": directory tree is too deep");
    }
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::vector<std::string> names, env.ListDir(path));
    for (const std::string& name : names) {
      TOCSIN_RETURN_IF_ERROR(RemoveTreeAt(env, JoinPath(path, name), depth + 1));
    }
  }
  return env.Remove(path);
}

}  // namespace

uint64_t Env::RandomUint64() {
  uint64_t value = 0;
  FillRandom(&value, sizeof value);
  return value;
}

bool Env::Exists(const std::string& path) { return Stat(path).has_value(); }

Result<uint64_t> Env::FileSize(const std::string& path) {
  TOCSIN_ASSIGN_OR_RETURN(const FileInfo info, Stat(path));
  return info.size;
}

Result<int64_t> Env::ModTimeMs(const std::string& path) {
  TOCSIN_ASSIGN_OR_RETURN(const FileInfo info, Stat(path));
  return info.modified_ms;
}

Status Env::Link(const std::string& from, const std::string& to) {
  constexpr size_t kChunkBytes = size_t{1} << 20;
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::unique_ptr<RandomAccessFile> in,
                                 NewRandomAccessFile(from));
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::unique_ptr<WritableFile> out,
                                 NewWritableFile(to, WriteMode::kTruncate));
  std::string chunk(kChunkBytes, '\0');
  for (uint64_t at = 0; at < in->size();) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const size_t got, in->Read(at, chunk.data(), chunk.size()));
    if (got == 0) return Status(Code::kIo, "copy " + from + ": it became shorter");
    TOCSIN_RETURN_IF_ERROR(out->Append(std::string_view(chunk).substr(0, got)));
    at += got;
  }
  TOCSIN_RETURN_IF_ERROR(out->Sync());
  return out->Close();
}

Status Env::WriteFileAtomically(const std::string& path, std::string_view bytes) {
  const std::string temporary = path + ".tmp";
  const auto write = [&]() -> Status {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(const std::unique_ptr<WritableFile> file,
                                   NewWritableFile(temporary, WriteMode::kTruncate));
    TOCSIN_RETURN_IF_ERROR(file->Append(bytes));
    TOCSIN_RETURN_IF_ERROR(file->Sync());
    TOCSIN_RETURN_IF_ERROR(file->Close());
    return Rename(temporary, path);
  };
  if (Status status = write(); !status.ok()) {
    // The first error counts; on a full disk even a small file is in the way.
    static_cast<void>(Remove(temporary));
    return status;
  }
  return SyncDir(std::string(DirName(path)));
}

Status Env::RemoveTree(const std::string& path) { return RemoveTreeAt(*this, path, 0); }

std::string JoinPath(std::string_view directory, std::string_view name) {
  if (directory.empty() || name.starts_with('/')) return std::string(name);
  std::string path(directory);
  if (!path.ends_with('/')) path += '/';
  path += name;
  return path;
}

std::string_view DirName(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string_view BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace tocsin
