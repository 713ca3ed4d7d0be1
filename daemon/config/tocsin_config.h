// TocsinConfig: tocsin.yml (--tocsin.config-file), the settings that Prometheus has no place for.
// Read as strictly as prometheus.yml: every complaint has FILE:LINE:COLUMN, unknown fields are
// refused. What it says wins over prometheus.yml, which wins over flags.
//
//   storage:
//     retention: {time: 90d, size: 200GB, percentage: 80}
//     retention_rules:                       # the first that matches a series decides
//       - matchers: ['job="debug"', '__name__=~"go_.*"']
//         time: 3d
//     free_space_floor: 1GB                  # or a part of the disk: 2%
//     compaction: {cpu_share: 20%}           # of one core
//     rollups:                               # of closed days, with retentions of their own
//       - {resolution: 5m, retention: 180d}
//       - {resolution: 1h, retention: 5y}
//
// packaging/tocsin.yml has it all with comments. A further section is a table in tocsin_config.cc,
// a struct here and a line in Build().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "daemon/config/schema.h"
#include "tsdb/storage_policy.h"

namespace tocsin {
class Env;
}

namespace tocsin::daemon {

// Bytes, or a part of the disk.
struct DiskAmount {
  uint64_t bytes = 0;
  double disk_share = 0;  // 0…1; 0: `bytes` holds
};

struct TocsinConfig {
  // Nothing: the file does not say.
  struct Storage {
    std::optional<int64_t> retention_ms;
    std::optional<uint64_t> retention_bytes;
    std::optional<double> retention_disk_share;
    std::vector<tsdb::RetentionRule> retention_rules;
    std::optional<DiskAmount> free_space_floor;
    std::optional<double> compaction_cpu_share;
    std::vector<tsdb::RollupPolicy> rollups;  // ascending by resolution
  };
  Storage storage;

  std::vector<NotBuiltUse> not_built;
  Status RefuseNotBuilt() const;
};

Result<TocsinConfig> LoadTocsinConfig(Env& env, const std::string& path);
// The same for text already read; `path` only names it.
Result<TocsinConfig> ParseTocsinConfig(std::string_view text, const std::string& path);

}  // namespace tocsin::daemon
