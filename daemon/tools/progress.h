// Progress: how far a long command is, on standard error. On a terminal a bar that is redrawn in
// place, ten times a second at most; elsewhere a plain line every ten seconds.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/tools/console.h"

namespace tocsin {
class Env;
}

namespace tocsin::daemon {

class Progress {
 public:
  Progress(Env& env, const Console& console, bool terminal);
  // Whether standard error is a terminal.
  static bool OnTerminal();

  // `done` of `all` in whatever unit; 0 = not known.
  void Show(std::string_view what, uint64_t done, uint64_t all);
  // Takes the bar away. What was long enough to be seen ends with a line.
  void End();

 private:
  Env& env_;
  const Console& console_;
  const bool terminal_;
  const int64_t began_ns_;
  int64_t shown_ns_;
  bool drawn_ = false;
};

}  // namespace tocsin::daemon
