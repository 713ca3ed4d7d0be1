// BlockWriter: one block of Prometheus (index version 2, chunks, empty tombstones, meta.json),
// which every Prometheus since 2.0 reads, and since 2.40 where it holds histograms.
//
//   BlockWriter writer(env, dir);                          // dir/ULID.tmp-for-creation/
//   writer.Open(symbols);                                  // every label name and value, sorted
//   writer.AddSeries(labels, column);                      // ascending by label set
//   Result<BlockMeta> meta = writer.Finish();              // synced and renamed to dir/ULID
//
// Memory: symbols and 4 bytes a series and label. One thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "model/labels.h"
#include "model/storage.h"
#include "tsdb/prometheus/block_index.h"
#include "tsdb/prometheus/block_meta.h"
#include "tsdb/prometheus/chunk_writer.h"

namespace tocsin::tsdb {

// Of one chunk file, as Prometheus cuts them.
inline constexpr uint64_t kChunkFileBytesMax = uint64_t{512} << 20;

class BlockWriter {
 public:
  BlockWriter(Env& env, std::string directory);
  ~BlockWriter();  // without Finish: what was written is removed
  BlockWriter(const BlockWriter&) = delete;
  BlockWriter& operator=(const BlockWriter&) = delete;

  // `symbols`: sorted, distinct; the strings of all series.
  Status Open(std::vector<std::string> symbols);
  // A column without samples is left out. Start timestamps have no place in these chunks.
  Status AddSeries(const model::Labels& labels, const model::Column& column);
  Result<BlockMeta> Finish();

  uint64_t bytes() const { return bytes_; }

 private:
  void MakeChunks(const model::Column& column);
  void EndFloats();
  void EndHistograms();
  Status WriteChunks(std::vector<ChunkPlace>* places);
  Status OpenChunkFile();
  Status WriteIndex(std::string_view bytes);
  // u32 length | content | CRC-32C.
  Status WriteIndexPart(std::string_view content);
  Status PadIndex(uint64_t alignment);
  Status WriteSeriesEntry(const model::Labels& labels, const std::vector<ChunkPlace>& places);
  Status WriteLabelIndices(std::string* table);
  Status WritePostings(std::string* table);
  Status FinishIndex();

  Env& env_;
  const std::string directory_;
  BlockMeta meta_;
  const std::string path_;  // while it is being written
  bool finished_ = false;
  uint64_t bytes_ = 0;

  std::vector<std::string> symbols_;
  std::unordered_map<std::string_view, uint32_t> symbol_numbers_;
  std::unique_ptr<WritableFile> index_;
  uint64_t series_offset_ = 0;
  // Label pair, as symbols, to its series; of all of them under no name.
  std::map<std::pair<uint32_t, uint32_t>, std::vector<uint32_t>> postings_;
  std::vector<uint32_t> all_series_;

  std::unique_ptr<WritableFile> chunk_file_;
  uint64_t chunk_files_ = 0;
  XorChunkWriter floats_;
  std::unique_ptr<HistogramChunkWriter> histograms_;
  std::vector<ChunkBytes> chunks_;  // of the series being added
};

}  // namespace tocsin::tsdb
