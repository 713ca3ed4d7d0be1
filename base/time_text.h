// Instants as text: RFC 3339, always UTC when written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace tocsin {

// "2026-11-24T08:15:00.123Z": always three decimals (logs).
std::string FormatTimeMs(int64_t time_ms);
// The same with trailing zeros of the fraction trimmed: "2026-11-24T08:15:00Z" (JSON API).
std::string FormatTime(int64_t time_ms);
// With a fraction of up to nine digits, or none, and Z or an offset; rounded down to milliseconds.
Result<int64_t> ParseTime(std::string_view text);

}  // namespace tocsin
