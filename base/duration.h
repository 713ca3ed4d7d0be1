// Durations as Prometheus writes them: "1h30m", "15s", "500ms", "0". Units y w d h m s ms, each at
// most once and in this order; y is 365 days, w 7 days. In milliseconds, as everywhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace tocsin {

// Not negative. The message is Prometheus': `not a valid duration string: "1"`.
Result<int64_t> ParseDuration(std::string_view text);

// The shortest such form: "1h30m", "1d1h", "0s"; years and weeks only when nothing remains
// (90d, not 12w6d).
std::string FormatDuration(int64_t duration_ms);

}  // namespace tocsin
