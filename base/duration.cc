#include "base/duration.h"

#include <limits>

namespace tocsin {
namespace {

struct Unit {
  std::string_view name;
  int64_t ms;
  bool only_exact;  // when printing
};

constexpr Unit kUnits[] = {
    {"y", int64_t{365} * 24 * 3600 * 1000, true},
    {"w", int64_t{7} * 24 * 3600 * 1000, true},
    {"d", int64_t{24} * 3600 * 1000, false},
    {"h", int64_t{3600} * 1000, false},
    {"m", int64_t{60} * 1000, false},
    {"s", 1000, false},
    {"ms", 1, false},
};

// Prometheus counts nanoseconds in an int64.
constexpr int64_t kDurationMaxMs = std::numeric_limits<int64_t>::max() / 1'000'000;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::unexpected<Status> Invalid(std::string_view text) {
  return Error(Code::kInvalidArgument,
               "not a valid duration string: \"" + std::string(text) + "\"");
}

}  // namespace

Result<int64_t> ParseDuration(std::string_view text) {
  if (text == "0") return 0;
  if (text.empty()) return Error(Code::kInvalidArgument, "empty duration string");
  int64_t total_ms = 0;
  size_t next_unit = 0;
  for (size_t pos = 0; pos < text.size();) {
    if (!IsDigit(text[pos])) return Invalid(text);
    int64_t count = 0;
    bool too_large = false;
    for (; pos < text.size() && IsDigit(text[pos]); ++pos) {
      if (count > kDurationMaxMs / 10) too_large = true;
      if (!too_large) count = count * 10 + (text[pos] - '0');
    }
    size_t end = pos;
    while (end < text.size() && !IsDigit(text[end])) ++end;
    const std::string_view name = text.substr(pos, end - pos);
    while (next_unit < std::size(kUnits) && kUnits[next_unit].name != name) ++next_unit;
    if (next_unit == std::size(kUnits)) return Invalid(text);
    const Unit& unit = kUnits[next_unit++];
    if (too_large || count > (kDurationMaxMs - total_ms) / unit.ms) {
      return Error(Code::kInvalidArgument, "duration out of range");
    }
    total_ms += count * unit.ms;
    pos = end;
  }
  return total_ms;
}

std::string FormatDuration(int64_t duration_ms) {
  if (duration_ms == 0) return "0s";
  std::string out;
  uint64_t left = static_cast<uint64_t>(duration_ms);
  if (duration_ms < 0) {
    out = "-";
    left = 0 - left;
  }
  for (const Unit& unit : kUnits) {
    const auto size = static_cast<uint64_t>(unit.ms);
    if (unit.only_exact && left % size != 0) continue;
    const uint64_t count = left / size;
    if (count == 0) continue;
    out += std::to_string(count);
    out += unit.name;
    left -= count * size;
  }
  return out;
}

}  // namespace tocsin
