#include "tsdb/segment/section_packing.h"

#include <zstd.h>

namespace tocsin::tsdb {
namespace {

// Higher ones save 5 % more for five times the time.
constexpr int kLevel = 3;

}  // namespace

bool PackSection(std::string_view raw, std::string* packed) {
  if (raw.empty() || raw.size() > kPackedIndexMax) return false;
  packed->resize(ZSTD_compressBound(raw.size()));
  const size_t size = ZSTD_compress(packed->data(), packed->size(), raw.data(), raw.size(), kLevel);
  if (ZSTD_isError(size) != 0 || size > raw.size() - raw.size() / 8) return false;
  packed->resize(size);
  return true;
}

bool UnpackSection(std::string_view packed, uint64_t raw_length, std::string* raw) {
  if (raw_length == 0 || raw_length > kPackedIndexMax) return false;
  raw->resize(raw_length);
  const size_t size = ZSTD_decompress(raw->data(), raw->size(), packed.data(), packed.size());
  return ZSTD_isError(size) == 0 && size == raw_length;
}

}  // namespace tocsin::tsdb
