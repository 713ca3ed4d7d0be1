// FileProvider: target groups in JSON or YAML files, looked at each second.
//
//   [{"targets": ["host:9100", …], "labels": {"name": "value", …}}, …]
//
// Each group gets the label __meta_filepath. A file that cannot be read or parsed keeps the groups
// it last gave; a file that is gone loses them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "discovery/provider.h"

namespace tocsin::discovery {

inline constexpr uint64_t kDiscoveryFileBytesMax = uint64_t{64} << 20;

// The groups of one file; `path` decides the syntax by its ending and stands in messages.
Result<std::vector<TargetGroup>> ParseTargetGroups(const std::string& path, std::string_view text);

class FileProvider final : public Provider {
 public:
  FileProvider(Env* env, FileConfig config);

  bool Poll(int64_t now_ms) override;
  const std::vector<TargetGroup>& groups() const override { return groups_; }
  const std::string& last_error() const override { return last_error_; }
  int64_t poll_interval_ms() const override { return kLookIntervalMs; }

 private:
  static constexpr int64_t kLookIntervalMs = 1000;

  struct File {
    FileInfo info;
    int64_t read_ms = 0;
    std::vector<TargetGroup> groups;
    std::string error;
  };
  std::vector<std::string> MatchingFiles() const;
  // True when the file was read and its groups are others than before.
  bool Refresh(const std::string& path, int64_t now_ms, File* file);

  Env* const env_;
  const FileConfig config_;
  std::map<std::string, File> files_;
  std::vector<TargetGroup> groups_;
  std::string last_error_;
  bool polled_ = false;
};

}  // namespace tocsin::discovery
