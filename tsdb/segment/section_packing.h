// Index sections of small files, packed with zstd. Read in place they would be a third of a half
// hour's file; unpacked, all of a file's fit into kPackedIndexMax bytes of memory
// (segment_index.h says for how long).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct ZSTD_CCtx_s;

namespace tocsin::tsdb {

// A file whose index is larger keeps it as it is, to be read in place.
inline constexpr uint64_t kPackedIndexMax = 256 * 1024;

// Packs the sections of one file: what zstd works in is made once.
class SectionPacker {
 public:
  // `thorough`: else what is packed is rewritten within a day.
  explicit SectionPacker(bool thorough);
  // False, with nothing of use in `packed`, when an eighth at least is not saved.
  [[nodiscard]] bool Pack(std::string_view raw, std::string* packed);

 private:
  struct FreeContext {
    void operator()(ZSTD_CCtx_s* context) const;
  };
  const int level_;
  std::unique_ptr<ZSTD_CCtx_s, FreeContext> context_;
};
// False when `packed` does not hold exactly `raw_length` ≤ kPackedIndexMax bytes.
[[nodiscard]] bool UnpackSection(std::string_view packed, uint64_t raw_length, std::string* raw);

}  // namespace tocsin::tsdb
