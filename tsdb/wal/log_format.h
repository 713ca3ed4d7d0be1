// The shape of a log file: 32 KiB blocks of fragments that carry one stream of records. What the
// records say is tsdb/wal/records.h; the whole is docs/format/wal.md.
//
//   file     = block*                                       named SS-NNNNNNNN.log: shard, number
//   block    = block header (40 bytes) | fragment* | zeros
//   fragment = crc32c u32 | length u16 | first record u16 | `length` bytes of the stream
//
// `first record` is the offset, in the fragment, of the first record that begins in it (kNoRecord:
// none does). A fragment never crosses a block, so a reader that meets damage goes on at the next
// block, at the next record that begins there. The crc covers everything behind it. Every block
// repeats what a reader must know to go on from there.
//
// Every file begins with a checkpoint: the sources, keys, layouts and slot states that later
// records of the file refer to. So any file may be dropped or lost without hurting the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/sample.h"

namespace tocsin::tsdb {

inline constexpr uint32_t kLogMagic = 0x4c575354;  // "TSWL"
// What it reads: all up to it. 2: sync records, packed records, cover frames. 3: checkpoints packed
// smaller. 4: frames whose set is ranges of slots.
inline constexpr uint8_t kLogVersion = 4;
inline constexpr size_t kLogBlockBytes = 32 * 1024;
inline constexpr size_t kLogBlockHeaderBytes = 40;
inline constexpr size_t kLogFragmentHeaderBytes = 8;
inline constexpr uint16_t kNoRecord = UINT16_MAX;
// A new file is begun at the first chance after so many bytes.
inline constexpr uint64_t kLogFileBytesMax = uint64_t{64} << 20;
// A record longer than this is damage. The longest real ones are frames of 4,096 histograms.
inline constexpr uint64_t kLogRecordBytesMax = uint64_t{256} << 20;

// RecordType::kPacked and kPackedSmall, which the file's reader takes apart (records.h has the
// others).
inline constexpr uint8_t kPackedRecordType = 10;
inline constexpr uint8_t kPackedSmallRecordType = 13;

//   magic u32 | version u8 | shard u8 | shard count u8 | 0 | epoch u64 | file number u32 |
//   block number u32 | base timestamp i64 | 0 u32 | crc32c u32 of the 36 bytes before
struct LogFileHeader {
  uint8_t shard = 0;
  uint8_t shard_count = 0;
  uint64_t epoch =
      0;  // of the process run that wrote it: source and key ids mean nothing outside it
  uint32_t number = 0;
  model::Timestamp base_ms = 0;  // timestamps of records are relative to it
  friend bool operator==(const LogFileHeader&, const LogFileHeader&) = default;
};

void PutBlockHeader(std::string& out, const LogFileHeader& header, uint32_t block);
// Nothing when the bytes are no sound header. `*newer`: written by a later version of Tocsin.
std::optional<LogFileHeader> ReadBlockHeader(std::string_view block, uint32_t* block_number,
                                             bool* newer);

std::string LogFileName(uint32_t shard, uint32_t number);
inline constexpr uint32_t kShardsMax = 64;
// False for names that are no log file's.
bool ParseLogFileName(std::string_view name, uint32_t* shard, uint32_t* number);

}  // namespace tocsin::tsdb
