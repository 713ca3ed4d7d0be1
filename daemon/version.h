// What this build is called.
#pragma once

#include <string>
#include <string_view>

namespace tocsin::daemon {

std::string_view Version();   // "0.1.0"
std::string_view Compiler();  // "g++ 12.2.0"
// What `tocsin version` prints.
std::string VersionText();

}  // namespace tocsin::daemon
