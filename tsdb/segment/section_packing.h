// Index sections of small files, packed with zstd. Read in place they would be a third of a half
// hour's file; unpacked, all of a file's fit into kPackedIndexMax bytes of memory
// (segment_index.h says for how long).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tocsin::tsdb {

// A file whose index is larger keeps it as it is, to be read in place.
inline constexpr uint64_t kPackedIndexMax = 256 * 1024;

// False, with nothing of use in `packed`, when an eighth at least is not saved.
[[nodiscard]] bool PackSection(std::string_view raw, std::string* packed);
// False when `packed` does not hold exactly `raw_length` ≤ kPackedIndexMax bytes.
[[nodiscard]] bool UnpackSection(std::string_view packed, uint64_t raw_length, std::string* raw);

}  // namespace tocsin::tsdb
