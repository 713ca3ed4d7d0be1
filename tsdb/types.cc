#include "tsdb/types.h"

#include <xxhash.h>

#include "base/bytes.h"

namespace tocsin::tsdb {
namespace {

Fingerprint HashOf(std::string_view bytes, uint64_t seed) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(bytes.data(), bytes.size(), seed);
  return {hash.high64, hash.low64};
}

}  // namespace

Fingerprint FingerprintOf(const model::Labels& labels, uint64_t seed) {
  // A pair's packed bytes lie between two iterator positions; label views give their ends.
  Fingerprint sum;
  const char* pair_begin = labels.packed().data();
  for (const model::LabelView label : labels) {
    const char* pair_end = label.value.data() + label.value.size();
    sum = sum + HashOf({pair_begin, static_cast<size_t>(pair_end - pair_begin)}, seed);
    pair_begin = pair_end;
  }
  return sum;
}

Fingerprint FingerprintOfPair(std::string_view name, std::string_view value, uint64_t seed) {
  std::string packed;
  PutString(packed, name);
  PutString(packed, value);
  return HashOf(packed, seed);
}

uint64_t OriginHash(const model::Origin& origin, uint64_t seed) {
  std::string bytes;
  PutFixed8(bytes, static_cast<uint8_t>(origin.kind));
  bytes += origin.id;
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::string SegmentId::ToHex() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const uint8_t byte : bytes) {
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 15]);
  }
  return hex;
}

model::Origin ImportOrigin() { return {model::OriginKind::kInternal, "prometheus"}; }

}  // namespace tocsin::tsdb
