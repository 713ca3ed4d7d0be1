// Manifests and positions of tails of any bytes, taken as they are and once more behind a header
// with the right checksum, so that the fuzzer reaches what the checksum protects. One that is
// accepted must keep its meaning: written again and read again it is the same, byte for byte.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "tsdb/manifest.h"
#include "tsdb/named_tails.h"

namespace {

void Check(std::string_view bytes) {
  using namespace tocsin::tsdb;
  const auto manifest = DecodeManifest(bytes);
  if (!manifest) return;
  const std::string once = EncodeManifest(*manifest);
  const auto again = DecodeManifest(once);
  if (!again || EncodeManifest(*again) != once) std::abort();
}

void CheckTail(std::string_view bytes) {
  using namespace tocsin::tsdb;
  const auto position = DecodeTailPosition(bytes);
  if (!position) return;
  const std::string once = EncodeTailPosition(*position);
  const auto again = DecodeTailPosition(once);
  if (!again || EncodeTailPosition(*again) != once) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  Check(input);
  std::string whole = "TOCMAN\r\n";  // docs/format/manifest.md
  tocsin::PutFixed32(whole, tocsin::Crc32c(input));
  Check(whole.append(input));
  CheckTail(input);
  std::string tail;  // docs/format/wal.md, "Tails"
  tocsin::PutFixed32(tail, 0x50545354);
  tail.push_back(1);
  tail.append(input);
  tocsin::PutFixed32(tail, tocsin::Crc32c(tail));
  CheckTail(tail);
  return 0;
}
