// RollupFile: one open rollup of one day's segment at one resolution (docs/format/rollup.md). It is
// a segment file, with the same sources and keys and an index of its own, whose columns are buckets
// (rollup_column.h) instead of samples, and with one more section:
//
//   varint bucket ms | 16 bytes id of the segment it was made from | varint its bytes | varint its
//   samples | varint sources | sources + 1 × u32 offset in the section | each source's buckets
//
// RollupFile is immutable and thread-safe; RollupCursor: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/facts.h"
#include "model/storage.h"
#include "tsdb/rollup/rollup_column.h"
#include "tsdb/segment/segment_file.h"

namespace tocsin::tsdb {

// "20261124T000000-5m-<32 hex digits>.rol": only the suffix matters when reading.
inline constexpr std::string_view kRollupSuffix = ".rol";

// What a rollup says of itself.
struct RollupInfo {
  int64_t bucket_ms = 0;
  SegmentId input;
  uint64_t input_bytes = 0;
  uint64_t input_samples = 0;
};

class RollupFile {
 public:
  static Result<std::shared_ptr<const RollupFile>> Open(Env& env, const std::string& path,
                                                        uint64_t fingerprint_seed);
  // For tests and fuzzing, as SegmentReader::OpenBytes.
  static Result<std::shared_ptr<const RollupFile>> OpenBytes(std::string_view bytes,
                                                             const std::string& name,
                                                             uint64_t fingerprint_seed,
                                                             bool verify_checksums);

  const RollupInfo& info() const { return info_; }
  // The dictionaries and the index. Columns are RollupCursor's to read.
  const SegmentFile& segment() const { return *segment_; }
  const std::string& path() const { return segment_->path(); }
  // Holds every sample that is in a bucket.
  const model::TimeRange& range() const { return segment_->meta().range; }
  uint64_t file_bytes() const { return segment_->meta().file_bytes; }

  // Of the section: where a source's buckets are.
  Result<std::string_view> SourceBytes(uint32_t source) const;

  // Reads every page and every column.
  Status Verify() const;

 private:
  friend class RollupCursor;
  RollupFile() = default;
  static Result<std::shared_ptr<const RollupFile>> Create(
      Result<std::shared_ptr<const SegmentReader>> segment);
  Status ReadInfo();

  std::shared_ptr<const SegmentFile> segment_;
  RollupInfo info_;
  std::string_view section_;
  std::string_view offsets_;
  uint32_t sources_ = 0;
};

class RollupCursor {
 public:
  explicit RollupCursor(const RollupFile& file) : file_(file) {}
  // Replaces `facts` by the buckets of `ref`. Values before resets live in `batch`.
  Status Read(const ColumnRef& ref, model::ColumnBatch* batch, std::vector<model::Facts>* facts);
  // Of the column read last.
  const SourceBuckets& source_buckets() const { return buckets_; }

 private:
  const RollupFile& file_;
  uint32_t source_ = UINT32_MAX;  // whose buckets these are
  SourceBuckets buckets_;
};

// Makes the section.
std::string EncodeRollupSection(const RollupInfo& info,
                                const std::vector<std::string>& source_buckets);
std::string RollupFileName(const SegmentMeta& meta, int64_t bucket_ms);
// "5m", "1h", "90s".
std::string BucketText(int64_t bucket_ms);

}  // namespace tocsin::tsdb
