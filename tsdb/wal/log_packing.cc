#include "tsdb/wal/log_packing.h"

#include <lz4.h>

#include "base/bytes.h"
#include "tsdb/wal/log_format.h"

namespace tocsin::tsdb {
namespace {

// Below this nothing is won.
constexpr size_t kPackBytesMin = 128;

void PackGroup(std::string_view group, std::string* packed, std::string* out) {
  if (group.size() < kPackBytesMin || group.size() > kPackedRawMax) {
    out->append(group);
    return;
  }
  packed->resize(static_cast<size_t>(LZ4_compressBound(static_cast<int>(group.size()))));
  const int bytes =
      LZ4_compress_default(group.data(), packed->data(), static_cast<int>(group.size()),
                           static_cast<int>(packed->size()));
  // An eighth saved is worth the reader's time.
  if (bytes <= 0 || static_cast<size_t>(bytes) > group.size() - group.size() / 8) {
    out->append(group);
    return;
  }
  PutVarint(*out, 1 + VarintSize(group.size()) + static_cast<size_t>(bytes));
  PutFixed8(*out, kPackedRecordType);
  PutVarint(*out, group.size());
  out->append(packed->data(), static_cast<size_t>(bytes));
}

}  // namespace

void PackRecords(std::string_view records, std::string* out) {
  std::string packed;
  size_t begin = 0;
  size_t end = 0;
  while (end < records.size()) {
    ByteReader reader(records.substr(end));
    const size_t length = static_cast<size_t>(reader.Varint());
    const size_t next = end + reader.position() + length;
    if (next - begin > kPackGroupBytes && end > begin) {
      PackGroup(records.substr(begin, end - begin), &packed, out);
      begin = end;
    }
    end = next;
  }
  if (end > begin) PackGroup(records.substr(begin, end - begin), &packed, out);
}

bool UnpackRecords(std::string_view payload, std::string* records) {
  ByteReader reader(payload);
  const uint64_t raw = reader.Varint();
  if (!reader.ok() || raw == 0 || raw > kPackedRawMax) return false;
  const std::string_view packed = reader.rest();
  records->resize(static_cast<size_t>(raw));
  return LZ4_decompress_safe(packed.data(), records->data(), static_cast<int>(packed.size()),
                             static_cast<int>(raw)) == static_cast<int>(raw);
}

}  // namespace tocsin::tsdb
