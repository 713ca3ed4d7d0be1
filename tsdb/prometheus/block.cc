#include "tsdb/prometheus/block.h"

#include "base/crc32c.h"
#include "tsdb/prometheus/big_endian.h"

namespace tocsin::tsdb {
namespace {

constexpr uint8_t kTombstonesVersion = 1;
constexpr uint64_t kTombstonesBytesMax = uint64_t{256} << 20;

}  // namespace

Result<DeletedRanges> ParseTombstones(std::string_view bytes) {
  const auto damaged = [](std::string_view what) {
    return Error(Code::kCorruption, "tombstones: " + std::string(what));
  };
  if (bytes.size() < 4 + 1 + 4 || LoadBig32(bytes.data()) != kTombstonesMagic)
    return damaged("no tombstones file of Prometheus");
  const std::string_view checked = bytes.substr(5, bytes.size() - 9);
  if (static_cast<uint8_t>(bytes[4]) != kTombstonesVersion)
    return Error(Code::kUnimplemented, "tombstones: version is not known");
  if (Crc32c(checked) != LoadBig32(bytes.data() + bytes.size() - 4))
    return damaged("wrong checksum");
  ByteReader in(checked);
  DeletedRanges deleted;
  while (!in.at_end()) {
    const uint64_t series = in.Varint();
    const model::Timestamp min_ms = in.SignedVarint();
    const model::Timestamp max_ms = in.SignedVarint();
    if (!in.ok()) return damaged("end early");
    deleted[series].push_back({min_ms, max_ms});
  }
  return deleted;
}

Result<BlockMeta> ReadBlockMeta(Env& env, const std::string& directory) {
  auto text = env.ReadFileUpTo(JoinPath(directory, kBlockMetaFile), kBlockMetaBytesMax);
  if (!text) return Error(text.error());
  auto meta = ParseBlockMeta(*text);
  if (!meta) return Error(meta.error().Annotate(kBlockMetaFile));
  return meta;
}

Result<std::unique_ptr<Block>> Block::Open(Env& env, const std::string& directory) {
  auto block = std::make_unique<Block>();
  block->directory_ = directory;
  TOCSIN_ASSIGN_OR_RETURN(block->meta_, ReadBlockMeta(env, directory));
  TOCSIN_ASSIGN_OR_RETURN(block->index_file_, env.MapFile(JoinPath(directory, "index")));
  // meta.json of version 2 was written for a moment only, with an index that calls itself version 1
  // and is 2.
  TOCSIN_ASSIGN_OR_RETURN(block->index_, BlockIndex::Open(block->index_file_->bytes(),
                                                          block->meta_.version == 2 ? 2 : 0));
  TOCSIN_ASSIGN_OR_RETURN(block->chunks_, ChunkFiles::Open(env, JoinPath(directory, "chunks")));
  auto tombstones = env.ReadFileUpTo(JoinPath(directory, "tombstones"), kTombstonesBytesMax);
  if (tombstones) {
    TOCSIN_ASSIGN_OR_RETURN(block->deleted_, ParseTombstones(*tombstones));
  } else if (tombstones.error().code() != Code::kNotFound) {
    return Error(tombstones.error());
  }
  return block;
}

const std::vector<model::TimeRange>* Block::deleted(uint64_t series_ref) const {
  const auto found = deleted_.find(series_ref);
  return found == deleted_.end() ? nullptr : &found->second;
}

}  // namespace tocsin::tsdb
