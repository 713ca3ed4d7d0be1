// Console: where a command line tool of ours writes. Two sinks in the order things happen, so that
// tests read what a terminal would show.
#pragma once

#include <functional>
#include <string_view>

namespace tocsin::daemon {

struct Console {
  std::function<void(std::string_view)> out;  // standard output
  std::function<void(std::string_view)> err;  // standard error

  // The process' own.
  static Console Standard();
};

}  // namespace tocsin::daemon
