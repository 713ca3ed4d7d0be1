// The text format 0.0.4 and 1.0.0 (https://prometheus.io/docs/instrumenting/exposition_formats/),
// as leniently as Prometheus reads it: any blanks between tokens, commas that may be missing or
// trail, quoted UTF-8 names.
#pragma once

#include <string_view>

#include "collector/exposition/item.h"

namespace tocsin::collector {

// Reads the item at the front of `input`. `last`: the page ends with `input` (a missing newline at
// its end is forgiven).
ItemKind ReadTextItem(std::string_view input, bool last, Item* item);

// Reads a sample's value and what may follow, up to and with the newline. `line`: the line's first
// byte, for messages. On kSample `*length` counts the bytes from `input`'s front.
ItemKind ReadTextTail(std::string_view input, const char* line, bool last, SampleTail* tail,
                      size_t* length, std::string* error);

}  // namespace tocsin::collector
