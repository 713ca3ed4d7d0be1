// Sizes in bytes as Prometheus writes them: "512MB", "1GiB", "1.5KB", "1GB512MB", "0". A unit is
// required; all are powers of 1024 (KB and KiB alike): B KB MB GB TB PB EB.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace tocsin {

// May be negative ("-1GB"); callers say what they want. The message is Prometheus'.
Result<int64_t> ParseByteSize(std::string_view text);

// "15MB", "1GB512MB", "0B".
std::string FormatByteSize(int64_t bytes);

}  // namespace tocsin
