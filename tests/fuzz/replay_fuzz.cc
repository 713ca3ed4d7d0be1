// A log whose files are sound but whose records are any bytes: the store opens over it or refuses
// it, and everything that it then shows can be read, sealed, and read again.
// Input: records, each a u16 of length and its bytes.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem_env.h"
#include "model/storage.h"
#include "tsdb/database.h"
#include "tsdb/wal/log_writer.h"

namespace {

using namespace tocsin;  // NOLINT(google-build-using-namespace)

std::string Records(std::string_view input) {
  std::string records;
  while (input.size() >= 2) {
    uint16_t length;
    std::memcpy(&length, input.data(), sizeof length);
    const std::string_view record = input.substr(2, length);
    input.remove_prefix(2 + record.size());
    if (!record.empty()) PutString(records, record);
  }
  return records;
}

void ReadAll(const tsdb::Database& db) {
  const auto snapshot = db.Pin();
  const auto selection = snapshot->Select({}, {}, {});
  CHECK(selection.has_value());
  const auto reader = (*selection)->NewReader();
  model::ColumnBatch batch;
  for (size_t i = 0; i < (*selection)->size(); ++i) {
    CHECK(reader->Read(i, 1, &batch).ok());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ConfigureLog(LogLevel::kError, LogFormat::kLogfmt);
  MemEnv env;
  const std::string records = Records({reinterpret_cast<const char*>(data), size});
  CHECK(env.CreateDirs("/db/wal").ok());
  tsdb::LogFileHeader header;
  header.shard_count = 1;
  header.epoch = 1;
  header.number = 1;
  header.base_ms = MemEnv::kStartMs;
  tsdb::LogWriter writer(env, "/db/wal/" + tsdb::LogFileName(0, 1), header);
  CHECK(writer.Write(records).ok());
  CHECK(writer.Close().ok());

  tsdb::DatabaseOptions options;
  options.dir = "/db";
  options.env = &env;
  options.background = false;
  options.shards = 1;
  options.replay_threads = 1;
  auto db = tsdb::Database::Open(options);
  if (!db) return 0;
  ReadAll(**db);
  if ((*db)->Compact().ok()) ReadAll(**db);
  CHECK((*db)->Close().ok());
  return 0;
}
