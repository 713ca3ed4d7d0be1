// The index file of a Prometheus block, versions 1 and 2 (Prometheus' tsdb/docs/format/index.md):
//
//   magic 0xBAAAD700, version | symbols | series | label indices | postings | label offset table |
//   postings offset table | 52 bytes: offsets of these six, CRC-32C
//
// Version 2 aligns series to 16 bytes, refers to them by place / 16 and to symbols by number;
// version 1 uses plain offsets for both. Every part has a CRC-32C of its own, which is checked
// where the part is read. Nothing is unpacked when opening but the places of symbols.
//
// Immutable and thread-safe. Views the bytes it was given, which must outlive it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/labels.h"
#include "model/sample.h"

namespace tocsin::tsdb {

inline constexpr uint32_t kBlockIndexMagic = 0xBAAAD700;
inline constexpr uint64_t kSeriesAlignment = 16;
inline constexpr size_t kIndexTocBytes = 6 * 8 + 4;
// One series' chunks in one block: 162 h at one chunk a sample and second.
inline constexpr uint64_t kSeriesChunksMax = 1 << 20;
inline constexpr uint64_t kSeriesLabelsMax = 1 << 12;

struct ChunkPlace {
  model::Timestamp min_ms = 0;
  model::Timestamp max_ms = 0;
  uint64_t ref = 0;  // file number - 1 in the upper 32 bits, offset in the lower
};

class BlockIndex {
 public:
  // `force_version`, unless 0, counts instead of what the file says: blocks of one development
  // version of Prometheus 2 have index version 2 in meta.json and say 1.
  static Result<BlockIndex> Open(std::string_view bytes, int force_version);

  int version() const { return version_; }
  // Of all series. In order of their label sets, unless a file lacks the list of all.
  uint64_t series_count() const { return gathered_.empty() ? all_.size() / 4 : gathered_.size(); }
  uint64_t series_ref(uint64_t i) const;
  // Either out may be null.
  Status ReadSeries(uint64_t ref, model::Labels* labels, std::vector<ChunkPlace>* chunks) const;

 private:
  Status OpenSymbols(uint64_t offset);
  Status FindAllPostings(uint64_t table_offset);
  Result<std::string_view> Postings(uint64_t offset) const;
  // The content of a part that is u32 length | content | u32 CRC.
  Result<std::string_view> Part(uint64_t offset, std::string_view what) const;
  Result<std::string_view> Symbol(uint32_t ref) const;

  std::string_view bytes_;
  int version_ = 0;
  std::vector<uint32_t> symbol_places_;  // version 2, from the beginning of the content
  std::string_view symbols_;
  uint64_t symbols_end_ = 0;
  std::string_view all_;            // postings of everything: u32 each
  std::vector<uint32_t> gathered_;  // in its place where it is missing
};

}  // namespace tocsin::tsdb
