// Any bytes as a rollup file, past the checksums, and as a rollup column: they decode or are
// refused.
//   rollup_fuzz -rss_limit_mb=4096 corpus/     with rollups (*.rol) as corpus
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tsdb/rollup/rollup_column.h"
#include "tsdb/rollup/rollup_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tocsin;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto file = tsdb::RollupFile::OpenBytes(bytes, "fuzz.rol", 1, false);
  if (file) static_cast<void>((*file)->Verify());
  // The first half as a source, the second as a column of it.
  tsdb::SourceBuckets source;
  model::ColumnBatch batch;
  std::vector<model::Facts> facts;
  if (size < 2) return 0;
  const size_t split = data[0] * size / 256;
  const std::string_view half = bytes.substr(1, split);
  if (!tsdb::DecodeSourceBuckets(half, 300'000, &source)) source.Clear();
  static_cast<void>(tsdb::DecodeRollupColumn(bytes.substr(std::min(size, split + 1)), source,
                                             300'000, &batch, &facts));
  static_cast<void>(tsdb::DecodeHistogramRollup(bytes.substr(std::min(size, split + 1)), source,
                                                300'000, &batch, &facts));
  source.Clear();
  static_cast<void>(tsdb::DecodeRollupColumn(bytes, source, 300'000, &batch, &facts));
  static_cast<void>(tsdb::DecodeHistogramRollup(bytes, source, 300'000, &batch, &facts));
  return 0;
}
