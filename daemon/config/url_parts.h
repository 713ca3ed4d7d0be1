// UrlParts: a URL taken apart as far as configuration checks need, with the verdicts of Go's
// url.Parse (which takes nearly anything: a relative path is a URL too).
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace tocsin::daemon {

struct UrlParts {
  std::string scheme;  // lower case; "" when there is none
  std::string host;    // with port
  std::string path;
  bool has_password = false;
};

// kInvalidArgument: `parse "://x": missing protocol scheme`.
Result<UrlParts> ParseUrl(std::string_view url);
// The URL with a password replaced by xxxxx, as Prometheus shows it.
std::string RedactUrl(std::string_view url);

}  // namespace tocsin::daemon
