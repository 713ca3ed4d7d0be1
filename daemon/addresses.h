// Under which address others reach us: --web.external-url, --web.route-prefix and what follows from
// them.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "daemon/flags.h"

namespace tocsin::daemon {

struct Addresses {
  std::string external_url;                // "http://host:9090/prom", without a closing slash
  std::string external_path;               // "/prom/", with one
  std::string route_prefix;                // "" or "/prom"
  std::vector<std::string> allowed_hosts;  // of the external URL, when one was given; lower case
};

// `host_name` stands in when no external URL, or only its path, is given. kInvalidArgument: not an
// http(s) URL.
Result<Addresses> ResolveAddresses(const ServeFlags& flags, const std::string& host_name);

}  // namespace tocsin::daemon
