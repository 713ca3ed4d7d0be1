// Files of targets, of any bytes, as JSON and as YAML: groups or a complaint.
//   discovery_fuzz corpus/    with ../shared/conformance/sd as corpus
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "discovery/file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const char* path : {"targets.json", "targets.yml"}) {
    const auto groups = tocsin::discovery::ParseTargetGroups(path, text);
    if (!groups && groups.error().message().empty()) __builtin_trap();
  }
  return 0;
}
