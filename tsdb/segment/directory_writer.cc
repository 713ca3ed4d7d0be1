#include "tsdb/segment/directory_writer.h"

#include <algorithm>

#include "base/bytes.h"
#include "tsdb/segment/format.h"

namespace tocsin::tsdb {

void DirectoryWriter::EndBlock() {
  if (block_.count == 0) return;
  PutFixed64(blocks_, block_.data_offset);
  PutFixed64(blocks_, block_.directory_offset);
  PutFixed32(blocks_, block_.count);
  PutFixed32(blocks_, block_.key_min);
  PutFixed32(blocks_, block_.key_max);
  PutFixed32(blocks_, block_.source_min);
  PutFixed32(blocks_, block_.source_max);
  block_ = Block();
}

void DirectoryWriter::Add(uint32_t source, uint32_t key, uint8_t flags, uint64_t offset,
                          uint64_t length) {
  // A block's columns lie end to end: an axis written in between starts a new one.
  if (block_.count == kDirectoryBlockColumns || (block_.count > 0 && block_.data_end != offset)) {
    EndBlock();
  }
  if (block_.count == 0) {
    block_.data_offset = offset;
    block_.directory_offset = columns_.size();
    block_.key_min = block_.key_max = key;
    block_.source_min = block_.source_max = source;
  }
  DirectoryStep step = DirectoryStep::kExplicit;
  if (block_.count > 0 && source == block_.source && key == block_.key + 1) {
    step = DirectoryStep::kNextKey;
  } else if (block_.count > 0 && source == block_.source + 1 && key == block_.key) {
    step = DirectoryStep::kNextSource;
  }
  const bool new_flags = block_.count == 0 || flags != block_.flags;
  PutVarint(columns_, length << 3 | (new_flags ? 4 : 0) | static_cast<uint64_t>(step));
  if (new_flags) PutFixed8(columns_, flags);
  if (step == DirectoryStep::kExplicit) {
    PutSignedVarint(columns_, int64_t{source} - block_.source);
    PutSignedVarint(columns_, int64_t{key} - block_.key);
  }
  block_.source = source;
  block_.key = key;
  block_.flags = flags;
  block_.key_min = std::min(block_.key_min, key);
  block_.key_max = std::max(block_.key_max, key);
  block_.source_min = std::min(block_.source_min, source);
  block_.source_max = std::max(block_.source_max, source);
  block_.data_end = offset + length;
  if (source >= sources_.size()) sources_.resize(source + 1);
  if (key >= keys_.size()) keys_.resize(key + 1);
  sources_[source] = keys_[key] = true;
  ++block_.count;
}

}  // namespace tocsin::tsdb
