#include "tsdb/segment/section_packing.h"

#include <zstd.h>

namespace tocsin::tsdb {
namespace {

// Higher ones save 5 % more for five times the time.
constexpr int kThoroughLevel = 3;
constexpr int kQuickLevel = 1;

}  // namespace

void SectionPacker::FreeContext::operator()(ZSTD_CCtx_s* context) const { ZSTD_freeCCtx(context); }

SectionPacker::SectionPacker(bool thorough)
    : level_(thorough ? kThoroughLevel : kQuickLevel), context_(ZSTD_createCCtx()) {}

bool SectionPacker::Pack(std::string_view raw, std::string* packed) {
  if (context_ == nullptr || raw.empty() || raw.size() > kPackedIndexMax) return false;
  packed->resize(ZSTD_compressBound(raw.size()));
  const size_t size = ZSTD_compressCCtx(context_.get(), packed->data(), packed->size(), raw.data(),
                                        raw.size(), level_);
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
