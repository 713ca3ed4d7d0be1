// Any bytes as a remote write message, compressed and not: refused or written, within bounds.
#include <snappy.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/mem_env.h"
#include "collector/push/remote_write.h"
#include "tests/support/recording_appender.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tocsin;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  MemEnv env;
  testing::RecordingAppender appender;
  collector::RemoteWriteReceiver receiver(&env, &appender, {});
  (void)receiver.Write("s", bytes);
  std::string compressed;
  snappy::Compress(bytes.data(), bytes.size(), &compressed);
  const auto once = receiver.Write("s", compressed);
  const auto again = receiver.Write("s", compressed);
  CHECK(once.http_status == again.http_status);
  CHECK(once.samples_written == again.samples_written);
  return 0;
}
