#include "tsdb/wal/log_packing.h"

#include <lz4.h>
#include <zstd.h>

#include <algorithm>

#include "base/bytes.h"
#include "tsdb/wal/log_format.h"

namespace tocsin::tsdb {
namespace {

// Below this nothing is won.
constexpr size_t kPackBytesMin = 128;

constexpr int kZstdLevel = 1;

// False where that fails.
bool Compress(std::string_view group, LogPacking packing, std::string* packed) {
  if (packing == LogPacking::kFast) {
    packed->resize(static_cast<size_t>(LZ4_compressBound(static_cast<int>(group.size()))));
    const int bytes =
        LZ4_compress_default(group.data(), packed->data(), static_cast<int>(group.size()),
                             static_cast<int>(packed->size()));
    packed->resize(static_cast<size_t>(std::max(bytes, 0)));
    return bytes > 0;
  }
  packed->resize(ZSTD_compressBound(group.size()));
  const size_t bytes =
      ZSTD_compress(packed->data(), packed->size(), group.data(), group.size(), kZstdLevel);
  if (ZSTD_isError(bytes) != 0) return false;
  packed->resize(bytes);
  return true;
}

void PackGroup(std::string_view group, LogPacking packing, std::string* packed, std::string* out) {
  if (group.size() < kPackBytesMin || group.size() > kPackedRawMax) {
    out->append(group);
    return;
  }
  // An eighth saved is worth the reader's time.
  if (!Compress(group, packing, packed) || packed->size() > group.size() - group.size() / 8) {
    out->append(group);
    return;
  }
  PutVarint(*out, 1 + VarintSize(group.size()) + packed->size());
  PutFixed8(*out, packing == LogPacking::kFast ? kPackedRecordType : kPackedSmallRecordType);
  PutVarint(*out, group.size());
  out->append(*packed);
}

}  // namespace

void PackRecords(std::string_view records, LogPacking packing, std::string* out) {
  std::string packed;
  size_t begin = 0;
  size_t end = 0;
  while (end < records.size()) {
    ByteReader reader(records.substr(end));
    const size_t length = static_cast<size_t>(reader.Varint());
    const size_t next = end + reader.position() + length;
    if (next - begin > kPackGroupBytes && end > begin) {
      PackGroup(records.substr(begin, end - begin), packing, &packed, out);
      begin = end;
    }
    end = next;
  }
  if (end > begin) PackGroup(records.substr(begin, end - begin), packing, &packed, out);
}

bool IsPackedRecord(std::string_view record) {
  if (record.empty()) return false;
  const auto type = static_cast<uint8_t>(record[0]);
  return type == kPackedRecordType || type == kPackedSmallRecordType;
}

bool UnpackRecords(std::string_view record, std::string* records) {
  ByteReader reader(record);
  const uint8_t type = reader.Fixed8();
  const uint64_t raw = reader.Varint();
  if (!reader.ok() || raw == 0 || raw > kPackedRawMax) return false;
  const std::string_view packed = reader.rest();
  records->resize(static_cast<size_t>(raw));
  if (type == kPackedSmallRecordType) {
    return ZSTD_decompress(records->data(), records->size(), packed.data(), packed.size()) == raw;
  }
  return LZ4_decompress_safe(packed.data(), records->data(), static_cast<int>(packed.size()),
                             static_cast<int>(raw)) == static_cast<int>(raw);
}

}  // namespace tocsin::tsdb
