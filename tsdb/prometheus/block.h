// A block of Prometheus: a directory named by a ULID with meta.json, index, chunks/ and tombstones.
//
// Tombstones file: magic 0x0130BA30, version 1 | per deletion: uvarint series, varint min, varint
// max | CRC-32C of the deletions.
//
// Immutable and thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "model/sample.h"
#include "tsdb/prometheus/block_index.h"
#include "tsdb/prometheus/block_meta.h"
#include "tsdb/prometheus/chunk_files.h"

namespace tocsin::tsdb {

inline constexpr uint32_t kTombstonesMagic = 0x0130BA30;

using DeletedRanges = std::unordered_map<uint64_t, std::vector<model::TimeRange>>;
Result<DeletedRanges> ParseTombstones(std::string_view bytes);

// Reads and checks meta.json of a block's directory.
Result<BlockMeta> ReadBlockMeta(Env& env, const std::string& directory);

class Block {
 public:
  static Result<std::unique_ptr<Block>> Open(Env& env, const std::string& directory);

  const BlockMeta& meta() const { return meta_; }
  const std::string& directory() const { return directory_; }
  const BlockIndex& index() const { return index_; }
  const ChunkFiles& chunks() const { return chunks_; }
  // Of a series; null: nothing was deleted.
  const std::vector<model::TimeRange>* deleted(uint64_t series_ref) const;

 private:
  std::string directory_;
  BlockMeta meta_;
  std::unique_ptr<MappedFile> index_file_;
  BlockIndex index_;
  ChunkFiles chunks_;
  DeletedRanges deleted_;
};

}  // namespace tocsin::tsdb
