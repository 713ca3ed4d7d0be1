// SegmentMeta: what a segment's footer says about the whole file. The manifest of a data directory
// is a cache of these and is rebuilt from them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/sample.h"
#include "tsdb/types.h"

namespace tocsin {
class Env;
}

namespace tocsin::tsdb {

// Written into every file; a reader refuses a newer one loudly and reads the older ones.
// docs/format/segment.md tells what each version changed.
inline constexpr uint8_t kSegmentFormatVersion = 5;
inline constexpr uint8_t kSegmentFormatVersionMin = 1;
inline constexpr std::string_view kSegmentSuffix = ".seg";

// L0: one window of one shard. L1: six UTC hours of one shard. L2: one UTC day of one shard.
inline constexpr uint8_t kMaxSegmentLevel = 2;

// Samples that lost to one at the same timestamp while a file was written: late ones, which are not
// told from what is stored when they come.
struct DroppedSamples {
  uint64_t equal = 0;    // with the value that stays
  uint64_t unequal = 0;  // with another one
};

struct SegmentMeta {
  SegmentId id;
  uint8_t level = 0;
  uint32_t shard = 0;
  uint64_t generation = 0;        // of the writer's choosing; grows with every file of a directory
  uint64_t fingerprint_seed = 0;  // of the directory that wrote the file
  // Covers every sample, ends included; empty (min > max) in a footer-only segment.
  model::TimeRange range{1, 0};
  // Ascending by (group, window). One for a sealed file; a merged one has those of all its inputs,
  // of equal (group, window) the highest commit.
  std::vector<SegmentCut> cuts;
  // The inputs that this file stands for: each may be deleted once this file is synced and known.
  std::vector<SegmentId> replaces;
  // Deletes with numbers up to this one have been applied: their samples are not in the file. Every
  // sample in it has a lower number than any later delete. The writer raises it to commit().
  uint64_t deletes_applied = 0;

  // Filled by the writer.
  uint64_t source_count = 0;
  uint64_t key_count = 0;
  uint64_t column_count = 0;
  uint64_t sample_count = 0;  // floats and histograms
  uint64_t file_bytes = 0;

  // Highest commit of all cuts; 0 without cuts.
  uint64_t commit() const;
  friend bool operator==(const SegmentMeta&, const SegmentMeta&) = default;
};

// The file's name inside its directory: "L0-20261124T083000-s3-<32 hex digits>.seg". Only the
// suffix matters when reading: the footer says the rest.
std::string SegmentFileName(const SegmentMeta& meta);
SegmentId NewSegmentId(Env& env);

}  // namespace tocsin::tsdb
