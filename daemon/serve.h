// `tocsin serve`: the daemon from its flags to its exit code.
#pragma once

#include <string>
#include <vector>

namespace tocsin::daemon {

// 0 after a clean stop; 1 when flags or configuration are refused or a part cannot start.
int Serve(const std::vector<std::string>& args);

}  // namespace tocsin::daemon
