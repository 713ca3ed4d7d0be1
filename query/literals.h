// Literals of PromQL as text: numbers, durations, strings, and the reverse. The forms are Go's,
// since PromQL inherits them: 1_000, 0x1f, 010 is octal, \u00e9, `raw`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace tocsin::query {

// A number token. The message on failure is Go's: strconv.ParseFloat: parsing "1e999": value out of
// range.
Result<double> ParseNumber(std::string_view text);

// "1h30m" in milliseconds: integers with the units y w d h m s ms in that order, each at most once,
// or a bare 0. No sign, no fraction. 1y = 365d. Messages as the reference gives them.
Result<int64_t> ParseDuration(std::string_view text);
// The canonical form: 1h30m, 366d, 0s. Negative durations get a leading minus.
std::string FormatDuration(int64_t duration_ms);

// The value of a string token with its quotes (" ' or `); nothing when it is not well-formed.
std::optional<std::string> UnquoteString(std::string_view quoted);

// The shortest decimal that reads back as `value`, never with an exponent: 100000, 0.0000001, NaN,
// +Inf, -Inf.
std::string FormatFloatPlain(double value);
// The shortest one in Go's %v form: 1e+06, 0.5, 1e-07, NaN, +Inf, -Inf.
std::string FormatFloatShort(double value);

// Decodes the character at `position`: its length in bytes, 0 past the end. Bytes that are not
// UTF-8 count as U+FFFD of length 1.
inline constexpr uint32_t kRuneError = 0xfffd;
int DecodeCharacter(std::string_view text, size_t position, uint32_t* rune);
// 'x' with Go escapes, as error messages show a character.
std::string QuoteCharacter(uint32_t rune);

}  // namespace tocsin::query
