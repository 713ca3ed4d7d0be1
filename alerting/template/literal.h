// Go literals inside templates: quoted strings, character constants and numbers.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "alerting/template/value.h"

namespace tocsin::alerting::tmpl {

// "a\n", `raw`; nothing when the escapes are not Go's.
std::optional<std::string> UnquoteGo(std::string_view literal);

// 12, 0x1f, 1_000, 1e3, .5, 'a'. An int when the text says so, else a float; nothing when it is
// neither or does not fit.
std::optional<Value> ParseGoNumber(std::string_view literal);

}  // namespace tocsin::alerting::tmpl
