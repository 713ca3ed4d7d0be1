// prometheus.yml of any bytes: every complaint names its place, and nothing crashes.
//   config_fuzz corpus/    with ../shared/conformance/config/prometheus as corpus
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/mem_env.h"
#include "daemon/config/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tocsin::MemEnv env;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = tocsin::daemon::ParseConfig(env, text, "p.yml", {});
  if (!config && !config.error().message().starts_with("p.yml")) __builtin_trap();
  return 0;
}
