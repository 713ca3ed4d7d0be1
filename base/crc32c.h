// CRC-32C (Castagnoli), the checksum of every record, page and footer of ours. Uses the SSE 4.2
// instruction where the processor has it, a table otherwise; both give the same numbers.
#pragma once

#include <cstdint>
#include <string_view>

namespace tocsin {

// The checksum of A followed by B is Extend(Crc32c(A), B).
uint32_t Crc32cExtend(uint32_t crc, std::string_view bytes);
inline uint32_t Crc32c(std::string_view bytes) { return Crc32cExtend(0, bytes); }

// For tests: the table version, whatever the processor.
uint32_t Crc32cExtendPortable(uint32_t crc, std::string_view bytes);

}  // namespace tocsin
