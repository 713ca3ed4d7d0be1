// UTF-8, character by character.
#pragma once

#include <cstddef>
#include <string_view>

namespace tocsin {

// Length of the well-formed character at the front of `text`: 1 to 4, 0 when there is none
// (overlong forms and surrogates are none). `text` is not empty.
size_t Utf8Length(std::string_view text);

}  // namespace tocsin
