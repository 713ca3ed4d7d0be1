// Constants and small coders of the segment file that writer and reader share. The layout is drawn
// in docs/format/segment.md.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "tsdb/index/postings.h"
#include "tsdb/segment/meta.h"

namespace tocsin::tsdb {

// Bytes that a transfer in text mode would change, as PNG does it.
inline constexpr std::string_view kSegmentMagic = "TOCSEG\r\n";
inline constexpr std::string_view kSegmentEndMagic = "GESCOT\r\n";
// magic | u8 version | 7 zero bytes | id
inline constexpr size_t kSegmentHeaderBytes = 32;
// u32 footer length | u32 CRC32C of the footer | u8 version | 7 zero bytes | end magic
inline constexpr size_t kSegmentTrailerBytes = 24;

// The unit of checksums. A page read cold from disk costs one I/O of this size anyway, and 4 bytes
// in 64 KiB are nothing.
inline constexpr uint64_t kPageBytes = 64 * 1024;

// What a column holds and how: in the directory, so that a constant is known without its page.
inline constexpr uint8_t kColumnFloats = 1;
inline constexpr uint8_t kColumnHistograms = 2;
inline constexpr uint8_t kColumnConstant = 4;      // all floats have the same bits
inline constexpr uint8_t kColumnMayHoldStale = 8;  // a staleness marker is among the floats
inline constexpr uint8_t kColumnStarts = 16;       // floats have start timestamps
inline constexpr uint8_t kColumnFull = 32;         // a float at every row of the axis
inline constexpr uint8_t kColumnOwnAxis = 64;      // an axis other than the source's rows
inline constexpr uint8_t kColumnReference = 128;   // floats are told by another column; version 2

// In the flags of a histogram part: its chunks are those of histogram_columns.h; since version 3.
inline constexpr uint8_t kHistogramColumns = 128;

// Columns told by columns told by columns …: so many at most are decoded for one that is read
// alone.
inline constexpr unsigned kReferencesMax = 16;

// Columns a directory block: one select decodes only blocks whose bounds meet its ids.
inline constexpr size_t kDirectoryBlockColumns = 256;
// u64 data offset | u64 offset in the directory | u32 columns | u32 key min, max, source min, max
inline constexpr size_t kDirectoryBlockBytes = 36;
enum class DirectoryStep : uint8_t {
  kNextKey = 0,     // same source, key + 1
  kNextSource = 1,  // source + 1, same key
  kExplicit = 2,    // both as signed differences
};

enum class Section : uint8_t {
  kSymbols,
  kSources,
  kKeys,
  kSourcePostings,
  kKeyPostings,
  kDirectory,
  kDirectoryBlocks,
};
inline constexpr size_t kSectionCount = 7;

// Sections that a file may have or not, by number; a reader passes over numbers that it does not
// know. Since version 2.
enum class ExtraSection : uint32_t {
  kFacts = 1,   // facts.h
  kRollup = 2,  // tsdb/rollup/rollup_file.h
};

struct SectionPlace {
  uint64_t offset = 0;
  uint64_t length = 0;
  uint64_t raw_length = 0;  // of an index section that is packed: unpacked
};

struct Footer {
  SegmentMeta meta;                // file_bytes is not stored
  uint64_t page_table_offset = 0;  // and the end of what the pages cover
  uint32_t page_table_crc = 0;
  SectionPlace sections[kSectionCount];

  std::map<uint32_t, SectionPlace> extra;  // by ExtraSection

  const SectionPlace& section(Section s) const { return sections[static_cast<size_t>(s)]; }
  bool packed_index() const {
    return std::any_of(std::begin(sections), std::end(sections),
                       [](const SectionPlace& place) { return place.raw_length != 0; });
  }
};

void EncodeFooter(const Footer& footer, std::string* out);
// Of a file of format `version`. Checks every offset against `file_bytes`.
[[nodiscard]] bool DecodeFooter(std::string_view bytes, uint8_t version, uint64_t file_bytes,
                                Footer* footer);

// Entries of the dictionaries, and values of a label name, are reached by the block of so many in
// which they lie: an offset for each would be a fifth of a small segment's index.
inline constexpr uint32_t kIndexBlock = 16;
// A table of keys up to this one does without fingerprints: they are computed when first asked for.
inline constexpr uint32_t kUnprintedKeysMax = 16384;

// Sorted ids: varint (count << 1 | form), then by form
//   0 gaps  varint id 0, then varint id - previous - 1 each
//   1 runs  varint gap, varint length - 1 for each run of neighbours; a gap counts from the end of
//   the
//           last run
void EncodeIds(IdSpan ids, std::string* out);
// Replaces `ids`. Every id is below `limit`, which also bounds the memory.
[[nodiscard]] bool DecodeIds(ByteReader* in, uint32_t limit, IdList* ids);

}  // namespace tocsin::tsdb
