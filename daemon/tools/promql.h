// `tocsin promql format|parse|explain`:
//
//   promql format EXPR               the expression, pretty-printed; `-` reads standard input
//   promql parse EXPR                its syntax tree as JSON (as /api/v1/parse_query gives it)
//   promql explain [--server=URL] [--time=T | --start=T --end=T --step=D] EXPR
//                                    runs it on a server and prints what each node of the plan did
//
// All parts of the language are on, experimental ones too. Exit codes: 0 good, 1 the expression or
// the server says no, 2 wrong usage.
#pragma once

#include <span>
#include <string>

#include "daemon/tools/console.h"

namespace tocsin::daemon {

// `args` behind "promql".
int RunPromql(std::span<const std::string> args, const Console& console);

}  // namespace tocsin::daemon
