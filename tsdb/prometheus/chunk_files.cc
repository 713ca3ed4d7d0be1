#include "tsdb/prometheus/chunk_files.h"

#include <algorithm>

#include "base/crc32c.h"
#include "tsdb/prometheus/big_endian.h"
#include "tsdb/prometheus/chunk.h"

namespace tocsin::tsdb {
namespace {

constexpr uint8_t kChunksVersion = 1;

Status Damaged(std::string_view what, uint64_t offset) {
  return Status(Code::kCorruption, std::string(what) + " at offset " + std::to_string(offset));
}

Status CheckHeader(std::string_view file, uint32_t magic) {
  if (file.size() < kChunksHeaderBytes || LoadBig32(file.data()) != magic)
    return Status(Code::kCorruption, "no chunk file of Prometheus");
  if (file[4] != kChunksVersion) {
    return Status(
        Code::kUnimplemented,
        "chunk file of version " + std::to_string(static_cast<uint8_t>(file[4])) + " is not known");
  }
  return Status::Ok();
}

}  // namespace

Result<ChunkView> ReadChunkAt(std::string_view file, uint64_t offset) {
  if (offset < kChunksHeaderBytes || offset >= file.size())
    return Error(Damaged("chunk past the end of its file", offset));
  ByteReader in(file.substr(offset));
  const uint64_t length = in.Varint();
  if (length > kChunkBytesMax) return Error(Damaged("chunk of more than 8 MiB", offset));
  const std::string_view checked = in.Bytes(length + 1);
  const uint32_t crc = ReadBig32(in);
  if (!in.ok()) return Error(Damaged("chunk past the end of its file", offset));
  if (Crc32c(checked) != crc) return Error(Damaged("chunk with a wrong checksum", offset));
  return ChunkView{static_cast<uint8_t>(checked[0]), checked.substr(1)};
}

Result<ChunkFiles> ChunkFiles::Open(Env& env, const std::string& directory) {
  auto listed = env.ListDir(directory);
  // A block without samples may have none.
  if (!listed && listed.error().code() == Code::kNotFound) return ChunkFiles();
  TOCSIN_ASSIGN_OR_RETURN(std::vector<std::string> names, std::move(listed));
  // 000001 is number 0 of references, and so on: a gap would shift all behind it.
  std::erase_if(names, [](const std::string& name) {
    return name.empty() || name.find_first_not_of("0123456789") != std::string::npos;
  });
  ChunkFiles files;
  for (const std::string& name : names) {
    TOCSIN_ASSIGN_OR_RETURN(std::unique_ptr<MappedFile> file,
                            env.MapFile(JoinPath(directory, name)));
    if (const Status status = CheckHeader(file->bytes(), kChunksMagic); !status.ok())
      return Error(status.Annotate("chunks/" + name));
    files.files_.push_back(std::move(file));
  }
  return files;
}

Result<ChunkView> ChunkFiles::Read(uint64_t ref) const {
  const uint64_t number = ref >> 32;
  if (number >= files_.size()) {
    return Error(Code::kCorruption, "chunks: file " + std::to_string(number + 1) + " of " +
                                        std::to_string(files_.size()) + " is missing");
  }
  return ReadChunkAt(files_[number]->bytes(), ref & UINT32_MAX);
}

Status ForEachHeadChunk(std::string_view file, const std::function<void(const HeadChunk&)>& visit) {
  TOCSIN_RETURN_IF_ERROR(CheckHeader(file, kHeadChunksMagic));
  ByteReader in(file);
  in.Skip(kChunksHeaderBytes);
  while (!in.at_end()) {
    const size_t offset = in.position();
    const std::string_view rest = in.rest();
    HeadChunk chunk;
    chunk.series = ReadBig64(in);
    chunk.min_ms = static_cast<model::Timestamp>(ReadBig64(in));
    chunk.max_ms = static_cast<model::Timestamp>(ReadBig64(in));
    const uint8_t encoding = in.Fixed8();
    if (chunk.series == 0 && (!in.ok() || encoding == 0)) {
      // Written in advance, or the end. Zeros only: else something was overwritten.
      if (rest.find_first_not_of('\0') == std::string_view::npos) return Status::Ok();
      return Damaged("chunk without a series", offset);
    }
    const uint64_t length = in.Varint();
    if (length > kChunkBytesMax) return Damaged("chunk of more than 8 MiB", offset);
    chunk.chunk.data = in.Bytes(length);
    const size_t checked_bytes = in.position() - offset;
    const uint32_t crc = ReadBig32(in);
    if (!in.ok()) return Damaged("chunk past the end of its file", offset);
    if (Crc32c(rest.substr(0, checked_bytes)) != crc)
      return Damaged("chunk with a wrong checksum", offset);
    chunk.out_of_order = (encoding & kOutOfOrderChunk) != 0;
    chunk.chunk.encoding = encoding & static_cast<uint8_t>(~kOutOfOrderChunk);
    visit(chunk);
  }
  return Status::Ok();
}

}  // namespace tocsin::tsdb
