#include "daemon/tools/console.h"

#include <cstdio>

namespace tocsin::daemon {

Console Console::Standard() {
  // Both unbuffered towards each other: an error stands below the line it belongs to.
  return Console{.out =
                     [](std::string_view text) {
                       std::fwrite(text.data(), 1, text.size(), stdout);
                       std::fflush(stdout);
                     },
                 .err =
                     [](std::string_view text) {
                       std::fwrite(text.data(), 1, text.size(), stderr);
                       std::fflush(stderr);
                     }};
}

}  // namespace tocsin::daemon
