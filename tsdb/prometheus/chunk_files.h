// The files that hold Prometheus' chunks.
//
// In a block, chunks/000001 …:  magic 0x85BD40DD, version 1, 3 zero bytes |
//   chunks: uvarint length, u8 encoding, data, CRC-32C of encoding and data
// Of the head, chunks_head/000001 …: magic 0x0130BC91, version 1, 3 zero bytes |
//   chunks: u64 series, u64 min, u64 max, u8 encoding, uvarint length, data, CRC-32C of all of it
//   zeros to the end where the file was made longer in advance
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "model/sample.h"

namespace tocsin::tsdb {

inline constexpr uint32_t kChunksMagic = 0x85BD40DD;
inline constexpr uint32_t kHeadChunksMagic = 0x0130BC91;
inline constexpr size_t kChunksHeaderBytes = 8;
// Set in the encoding of a head chunk whose samples came out of order.
inline constexpr uint8_t kOutOfOrderChunk = 0x80;

struct ChunkView {
  uint8_t encoding = 0;
  std::string_view data;
};

// A chunk of a file's bytes at `offset`, its checksum checked.
Result<ChunkView> ReadChunkAt(std::string_view file, uint64_t offset);

// The chunk files of one block. Thread-safe; views live as long as it does.
class ChunkFiles {
 public:
  static Result<ChunkFiles> Open(Env& env, const std::string& directory);
  Result<ChunkView> Read(uint64_t ref) const;

 private:
  std::vector<std::unique_ptr<MappedFile>> files_;
};

struct HeadChunk {
  uint64_t series = 0;
  model::Timestamp min_ms = 0;
  model::Timestamp max_ms = 0;
  bool out_of_order = false;
  ChunkView chunk;
};

// Every sound chunk of a head chunk file, in order. kCorruption names the first damage, behind
// which nothing is read: what does not even have a length cannot be skipped.
Status ForEachHeadChunk(std::string_view file, const std::function<void(const HeadChunk&)>& visit);

}  // namespace tocsin::tsdb
