#include "daemon/version.h"

namespace tocsin::daemon {

std::string_view Version() { return TOCSIN_VERSION; }

std::string_view Compiler() {
#if defined(__clang__)
  return "clang++ " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

std::string VersionText() {
  std::string text = "tocsin, version ";
  text += Version();
  text += "\n  speaks the HTTP API of Prometheus 3.14\n  compiler: ";
  text += Compiler();
  text += '\n';
  return text;
}

}  // namespace tocsin::daemon
