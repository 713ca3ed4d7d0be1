// Literals of PromQL: numbers and strings. The forms are Go's, since PromQL inherits them: 1_000,
// 0x1f, 010 is octal, \u00e9, `raw`. Durations are in base/duration.h.
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

// The value of a string token with its quotes (" ' or `); nothing when it is not well-formed.
std::optional<std::string> UnquoteString(std::string_view quoted);

// Decodes the character at `position`: its length in bytes, 0 past the end. Bytes that are not
// UTF-8 count as U+FFFD of length 1.
inline constexpr uint32_t kRuneError = 0xfffd;
int DecodeCharacter(std::string_view text, size_t position, uint32_t* rune);
// 'x' with Go escapes, as error messages show a character.
std::string QuoteCharacter(uint32_t rune);

}  // namespace tocsin::query
