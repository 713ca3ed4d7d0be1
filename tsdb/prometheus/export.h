// ExportBlocks: what a snapshot of a store holds, as blocks of Prometheus, one a window of time.
//
// Memory: of one window the symbols, 4 bytes a series and label, and one series' samples. A block
// appears under its name when it is complete; blocks written before a failure stay.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "model/storage.h"
#include "tsdb/prometheus/block_meta.h"

namespace tocsin::tsdb {

// Prometheus' own blocks begin with two hours and grow by three.
inline constexpr int64_t kBlockDurationMs = int64_t{2} * 60 * 60 * 1000;

struct ExportOptions {
  std::string to;              // made if absent
  model::MatcherSet matchers;  // empty = everything
  model::TimeRange range;
  int64_t block_duration_ms = kBlockDurationMs;
  std::function<void(model::Timestamp window_ms, uint64_t done, uint64_t all)> progress =
      [](model::Timestamp, uint64_t, uint64_t) {};
};

struct ExportReport {
  std::vector<BlockMeta> blocks;
  std::vector<uint64_t> block_bytes;  // of each
  // Have no place in XOR and histogram chunks.
  uint64_t start_timestamps = 0;
};

// `snapshot` is one of a Database. kResourceExhausted when an index would outgrow its format.
Result<ExportReport> ExportBlocks(Env& env, const model::Snapshot& snapshot,
                                  const ExportOptions& options);

}  // namespace tocsin::tsdb
