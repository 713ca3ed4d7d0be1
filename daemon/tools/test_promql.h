// `tocsin test promql PATH…`: runs PromQL test scripts against the real engine and storage, each
// once with all samples in the head and once half sealed.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::daemon {

// Paths name scripts or folders of *.test files. Writes one line per script, a line and the
// difference for each eval that fails, and last "N passed, N failed". The exit code: 0, 1 when
// something failed, 2 when a path cannot be read.
int TestPromql(const std::vector<std::string>& paths,
               const std::function<void(std::string_view)>& write);

}  // namespace tocsin::daemon
