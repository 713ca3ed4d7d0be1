#include "tsdb/wal/log_format.h"

#include <charconv>
#include <cstdio>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace tocsin::tsdb {

void PutBlockHeader(std::string& out, const LogFileHeader& header, uint32_t block) {
  const size_t begin = out.size();
  PutFixed32(out, kLogMagic);
  PutFixed8(out, kLogVersion);
  PutFixed8(out, header.shard);
  PutFixed8(out, header.shard_count);
  PutFixed8(out, 0);
  PutFixed64(out, header.epoch);
  PutFixed32(out, header.number);
  PutFixed32(out, block);
  PutFixed64(out, static_cast<uint64_t>(header.base_ms));
  PutFixed32(out, 0);
  PutFixed32(out, Crc32c(std::string_view(out).substr(begin)));
}

std::optional<LogFileHeader> ReadBlockHeader(std::string_view block, uint32_t* block_number,
                                             bool* newer) {
  *newer = false;
  if (block.size() < kLogBlockHeaderBytes) return std::nullopt;
  ByteReader reader(block.substr(0, kLogBlockHeaderBytes));
  LogFileHeader header;
  if (reader.Fixed32() != kLogMagic) return std::nullopt;
  const uint8_t version = reader.Fixed8();
  header.shard = reader.Fixed8();
  header.shard_count = reader.Fixed8();
  reader.Fixed8();
  header.epoch = reader.Fixed64();
  header.number = reader.Fixed32();
  *block_number = reader.Fixed32();
  header.base_ms = static_cast<model::Timestamp>(reader.Fixed64());
  reader.Fixed32();
  if (reader.Fixed32() != Crc32c(block.substr(0, kLogBlockHeaderBytes - 4))) return std::nullopt;
  if (version > kLogVersion) {
    *newer = true;
    return std::nullopt;
  }
  return header;
}

std::string LogFileName(uint32_t shard, uint32_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "%02u-%08u.log", shard, number);
  return name;
}

bool ParseLogFileName(std::string_view name, uint32_t* shard, uint32_t* number) {
  if (!name.ends_with(".log")) return false;
  name.remove_suffix(4);
  const size_t dash = name.find('-');
  if (dash == std::string_view::npos) return false;
  const auto parse = [](std::string_view text, uint32_t* out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
    return error == std::errc() && end == text.data() + text.size() && !text.empty();
  };
  return parse(name.substr(0, dash), shard) && parse(name.substr(dash + 1), number) &&
         *shard < kShardsMax;
}

}  // namespace tocsin::tsdb
