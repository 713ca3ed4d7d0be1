#include "base/byte_size.h"

#include <cmath>

#include "base/number.h"

namespace tocsin {
namespace {

constexpr std::string_view kUnitLetters = "KMGTPE";

// Shift of a unit, or nothing for an unknown one.
int UnitShift(std::string_view unit) {
  if (unit == "B") return 0;
  const size_t index = unit.empty() ? std::string_view::npos : kUnitLetters.find(unit[0]);
  const std::string_view rest = unit.empty() ? unit : unit.substr(1);
  if (index == std::string_view::npos || (rest != "B" && rest != "iB")) return -1;
  return static_cast<int>(index + 1) * 10;
}

bool IsNumberCharacter(char c) { return (c >= '0' && c <= '9') || c == '.'; }

}  // namespace

Result<int64_t> ParseByteSize(std::string_view text) {
  const std::string_view whole = text;
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text == "0") return 0;
  if (text.empty()) {
    return Error(Code::kInvalidArgument, "units: invalid " + std::string(whole));
  }
  double total = 0;
  while (!text.empty()) {
    size_t end = 0;
    while (end < text.size() && IsNumberCharacter(text[end])) ++end;
    const auto count = ParseFloatPlain(text.substr(0, end));
    if (!count) return Error(Code::kInvalidArgument, "units: invalid " + std::string(whole));
    text.remove_prefix(end);
    end = 0;
    while (end < text.size() && !IsNumberCharacter(text[end])) ++end;
    const int shift = UnitShift(text.substr(0, end));
    if (shift < 0) {
      return Error(
          Code::kInvalidArgument,
          "units: unknown unit " + std::string(text.substr(0, end)) + " in " + std::string(whole));
    }
    text.remove_prefix(end);
    total += std::ldexp(*count, shift);
  }
  if (total >= 9223372036854775808.0) {
    return Error(Code::kInvalidArgument, "units: " + std::string(whole) + " is out of range");
  }
  const auto bytes = static_cast<int64_t>(total);
  return negative ? -bytes : bytes;
}

std::string FormatByteSize(int64_t bytes) {
  if (bytes == 0) return "0B";
  std::string out = bytes < 0 ? "-" : "";
  uint64_t left = bytes < 0 ? 0 - static_cast<uint64_t>(bytes) : static_cast<uint64_t>(bytes);
  for (int unit = static_cast<int>(kUnitLetters.size()); unit >= 0; --unit) {
    const uint64_t count = left >> (unit * 10);
    if (count == 0) continue;
    out += std::to_string(count);
    if (unit > 0) out += kUnitLetters[static_cast<size_t>(unit) - 1];
    out += 'B';
    left -= count << (unit * 10);
  }
  return out;
}

}  // namespace tocsin
