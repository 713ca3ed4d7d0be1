// SegmentIndex: the seven index sections of an open segment. Those that the file has packed
// (section_packing.h) are unpacked into memory of this, the others are read in place from the
// file's bytes, which must outlive it. Immutable and thread-safe.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tsdb/segment/format.h"
#include "tsdb/segment/index_reader.h"

namespace tocsin::tsdb {

class SegmentIndex {
 public:
  // `stored`: the sections as the file has them, verified. `cache`: which outlives this, or null.
  // `damaged` says which section is bad when this fails.
  static Result<std::shared_ptr<const SegmentIndex>> Load(
      const Footer& footer, uint8_t version,
      const std::array<std::string_view, kSectionCount>& stored, MatcherCache* cache,
      Section* damaged);

  SegmentIndex(const SegmentIndex&) = delete;
  SegmentIndex& operator=(const SegmentIndex&) = delete;

  const SymbolSection& symbols() const { return symbols_; }
  const RecordSection& sources() const { return sources_; }
  const RecordSection& keys() const { return keys_; }
  const SegmentLabelSide& source_side() const { return source_side_; }
  const SegmentLabelSide& key_side() const { return key_side_; }
  std::string_view directory() const { return bytes(Section::kDirectory); }
  std::string_view directory_blocks() const { return bytes(Section::kDirectoryBlocks); }
  size_t directory_block_count() const { return block_columns_.size(); }
  // Columns before a directory block.
  uint32_t columns_before(size_t block) const { return block_columns_[block]; }

 private:
  SegmentIndex() = default;
  std::string_view bytes(Section section) const { return bytes_[static_cast<size_t>(section)]; }
  Status Init(Section section, uint8_t version, const SegmentMeta& meta);
  Status CountColumns(std::string_view blocks);

  std::array<std::string, kSectionCount> unpacked_;
  std::array<std::string_view, kSectionCount> bytes_;
  SymbolSection symbols_;
  RecordSection sources_;
  RecordSection keys_;
  SegmentLabelSide source_side_;
  SegmentLabelSide key_side_;
  std::vector<uint32_t> block_columns_;
};

}  // namespace tocsin::tsdb
