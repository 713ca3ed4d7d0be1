// meta.json of a Prometheus block, and the ULIDs that name blocks (26 characters of Crockford's
// base 32: 48 bits of time in milliseconds, 80 random bits).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/sample.h"

namespace tocsin {
class Env;
}

namespace tocsin::tsdb {

inline constexpr std::string_view kBlockMetaFile = "meta.json";
inline constexpr uint64_t kBlockMetaBytesMax = 16 << 20;

struct BlockMeta {
  std::string ulid;
  model::Timestamp min_ms = 0;
  model::Timestamp end_ms = 0;  // one past the last sample at least
  uint64_t version = 1;
  struct Stats {
    uint64_t samples = 0;
    uint64_t float_samples = 0;
    uint64_t histogram_samples = 0;
    uint64_t series = 0;
    uint64_t chunks = 0;
    uint64_t tombstones = 0;
  } stats;
  uint64_t compaction_level = 1;
  std::vector<std::string> sources;
  std::vector<std::string> parents;  // ULIDs of the blocks that this one replaces
  bool from_out_of_order = false;  // holds late samples, besides what other blocks and the head do

  bool Overlaps(model::TimeRange range) const {
    return min_ms <= range.max_ms && range.min_ms < end_ms;
  }
};

bool IsUlid(std::string_view name);
std::string NewUlid(Env& env);
// With this time, and 5 bits of each of these bytes.
std::string UlidOf(int64_t time_ms, const std::array<uint8_t, 16>& random);
// When a ULID was made; 0 for anything else.
int64_t UlidTimeMs(std::string_view ulid);

Result<BlockMeta> ParseBlockMeta(std::string_view json);
std::string FormatBlockMeta(const BlockMeta& meta);

}  // namespace tocsin::tsdb
