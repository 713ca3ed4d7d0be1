// `tocsin check config|rules FILE…`: promtool's verdict, wording and exit code.
//
//   check config [--syntax-only] [--agent] [--lint=…] [--lint-fatal] [--ignore-unknown-fields]
//   FILE… check rules  [--lint=…] [--lint-fatal] [--ignore-unknown-fields] [FILE…]   (none:
//   standard input)
//
// Plain `check config` also wants the files that the configuration names (client certificates, rule
// files without a `*`) and checks rule and discovery files. What is valid and not built yet is
// listed and changes nothing about the exit code: 0 good, 1 bad, 3 only lint with --lint-fatal.
#pragma once

#include <span>
#include <string>

#include "daemon/tools/console.h"

namespace tocsin {
class Env;
}

namespace tocsin::daemon {

// `args` behind "check". Returns the exit code.
int RunCheck(Env& env, std::span<const std::string> args, const Console& console);

}  // namespace tocsin::daemon
