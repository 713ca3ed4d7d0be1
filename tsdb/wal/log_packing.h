// Packed records: runs of whole records of the log, compressed with LZ4 into one record of type
// kPacked (docs/format/wal.md). What does not become smaller stays as it is.
#pragma once

#include <string>
#include <string_view>

namespace tocsin::tsdb {

// Records are gathered up to so many bytes; a longer record is packed alone up to kPackedRawMax.
inline constexpr size_t kPackGroupBytes = 64 * 1024;
inline constexpr size_t kPackedRawMax = size_t{1} << 20;

// Appends `records` (each: varint length, bytes), packed where that helps, to `out`.
void PackRecords(std::string_view records, std::string* out);
// The records in the payload of a kPacked record; false when it is damaged.
bool UnpackRecords(std::string_view payload, std::string* records);

}  // namespace tocsin::tsdb
