// tocsin.yml of any bytes: every complaint names its place, and what is taken is within its bounds.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "daemon/config/tocsin_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = tocsin::daemon::ParseTocsinConfig(text, "t.yml");
  if (!config) {
    if (!config.error().message().starts_with("t.yml")) __builtin_trap();
    return 0;
  }
  const auto& storage = config->storage;
  if (storage.retention_ms.value_or(0) < 0) __builtin_trap();
  if (!(storage.retention_disk_share.value_or(0) <= 1)) __builtin_trap();
  for (size_t i = 1; i < storage.rollups.size(); ++i) {
    if (storage.rollups[i - 1].bucket_ms >= storage.rollups[i].bucket_ms) __builtin_trap();
  }
  return 0;
}
