// ImportPrometheus: a whole data directory of Prometheus (blocks, head chunks, logs) into a Tocsin
// data directory, offline.
//
// All or nothing: segments are written to import/ in the data directory and moved into place once
// all of them are there; until then the store is as it was. An import that was broken off leaves
// import/ behind, which the next one clears away, or, if only moving was left, finishes.
//
// Day by day: one segment of level 2 a UTC day, or four of level 1 where the rows of a day's
// sources would not fit into memory. Blocks are mapped, so what is resident is the index of a day,
// not its samples. The directory that is read is not changed; Prometheus must not be running on it.
//
// A sample that the store has already is there once afterwards; of two values at one timestamp one
// counts, as always with two sources of a series.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "tsdb/prometheus/head_store.h"
#include "tsdb/prometheus/segment_import.h"

namespace tocsin::tsdb {

// Rows of all sources of one segment; above it a day is written in quarters.
inline constexpr uint64_t kImportRowBytesMax = uint64_t{512} << 20;

struct ImportProgress {
  std::string what;  // "reading the log", "2026-11-24"
  uint64_t done = 0;
  uint64_t all = 0;  // the unit is `what`'s
};

struct ImportOptions {
  std::string from;  // Prometheus' data directory, or one with blocks only
  std::string dir;   // ours; made if absent
  model::TimeRange range;
  uint64_t row_bytes_max = kImportRowBytesMax;
  std::function<void(const ImportProgress&)> progress = [](const ImportProgress&) {};
};

struct ImportReport {
  uint64_t blocks = 0;
  uint64_t superseded_blocks = 0;  // a compaction's parents that were not deleted yet
  // Directories that could not be taken, and why.
  std::vector<std::pair<std::string, std::string>> refused_blocks;
  // chunk_snapshot.* (--enable-feature=memory-snapshot-on-shutdown): what Prometheus starts quicker
  // from. The log has all of it, too: they are not read.
  std::vector<std::string> head_snapshots;
  ImportCounts counts;
  HeadStoreStats head;
  // By family, of the log: not in the store but for whoever keeps metadata.
  std::map<std::string, model::Metadata> metadata;
  uint64_t head_series = 0;
  uint64_t exemplars = 0;  // that the store did not have
  uint64_t segments = 0;
  uint64_t segment_bytes = 0;
  model::TimeRange range{model::kMaxTimestamp, model::kMinTimestamp};  // of what was written
  bool finished_earlier = false;  // an earlier import's segments were moved into place first

  // There are head snapshots, but not the log whose samples they repeat.
  bool lacks_log() const { return !head_snapshots.empty() && head.wal.segments == 0; }
  // Something that was there was left out because it could not be read.
  bool damaged() const;
};

Result<ImportReport> ImportPrometheus(Env& env, const ImportOptions& options);

// The part that other importers share: `stores` by precedence into `options.dir`.
Status ImportStores(Env& env, const ImportOptions& options, SampleStores stores,
                    ImportReport* report);

}  // namespace tocsin::tsdb
