// Write-ahead logs of Prometheus (wal/, wbl/ and checkpoints in them), read as records. The format:
// Prometheus' tsdb/docs/format/wal.md.
//
//   directory  segments 00000000 …; checkpoint.N/ with segments of its own stands for those up to N
//   segment    pages of 32 KiB: fragments u8 type, u16 length, u32 CRC-32C, data
//              type: low three bits 0 rest of the page is empty, 1 whole, 2 first, 3 middle, 4
//              last; 8 compressed with snappy, 16 with zstd (the record as a whole)
//
// Damage costs the record it is in: reading goes on at the next page.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"

namespace tocsin::tsdb {

inline constexpr size_t kPrometheusPageBytes = 32 * 1024;
// Of one record, uncompressed. A scrape of a million samples has 20 MB.
inline constexpr size_t kPrometheusRecordBytesMax = size_t{256} << 20;

struct PrometheusLogStats {
  uint64_t segments = 0;
  uint64_t records = 0;
  uint64_t damaged_places = 0;
  uint64_t torn_tails = 0;  // segments that end within a record, as after a crash
  std::string first_damage;
};

// Of one segment's bytes. `name` is for messages.
void ReadPrometheusSegment(std::string_view bytes, const std::string& name,
                           const std::function<void(std::string_view record)>& visit,
                           PrometheusLogStats* stats);

// Paths of the segments that count, in order: the last checkpoint's, then those behind it. No
// directory is no segments.
Result<std::vector<std::string>> ListPrometheusLog(Env& env, const std::string& directory);

}  // namespace tocsin::tsdb
