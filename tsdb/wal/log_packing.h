// Packed records: runs of whole records of the log, compressed into one (docs/format/wal.md). What
// does not become smaller stays as it is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tocsin::tsdb {

// Records are gathered up to so many bytes; a longer record is packed alone up to kPackedRawMax.
inline constexpr size_t kPackGroupBytes = 64 * 1024;
inline constexpr size_t kPackedRawMax = size_t{1} << 20;

// What comes with every batch is packed fast (LZ4); a file's first records, which are its
// checkpoint and what is left of it after a compaction, small (zstd).
enum class LogPacking : uint8_t { kFast, kSmall };

// Appends `records` (each: varint length, bytes), packed where that helps, to `out`.
void PackRecords(std::string_view records, LogPacking packing, std::string* out);
bool IsPackedRecord(std::string_view record);
// The records in a packed one; false when it is damaged.
bool UnpackRecords(std::string_view record, std::string* records);

}  // namespace tocsin::tsdb
