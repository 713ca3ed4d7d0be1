// DirectoryWriter: the directory of a file's columns (docs/format/segment.md, "Directory") while
// they are written, in file order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tocsin::tsdb {

class DirectoryWriter {
 public:
  // `offset`: of the column's first byte in the file.
  void Add(uint32_t source, uint32_t key, uint8_t flags, uint64_t offset, uint64_t length);
  // After the last column. Both sections are then whole.
  void Finish() { EndBlock(); }

  const std::string& columns() const { return columns_; }
  const std::string& blocks() const { return blocks_; }
  // The source or key has a column. Ids past the end have none.
  const std::vector<bool>& sources() const { return sources_; }
  const std::vector<bool>& keys() const { return keys_; }

 private:
  struct Block {
    uint32_t count = 0;
    uint64_t data_offset = 0;
    uint64_t data_end = 0;
    uint64_t directory_offset = 0;
    uint32_t key_min = 0, key_max = 0, source_min = 0, source_max = 0;
    uint32_t source = 0, key = 0;  // of the last column
    uint8_t flags = 0;
  };
  void EndBlock();

  std::string columns_;
  std::string blocks_;
  std::vector<bool> sources_;
  std::vector<bool> keys_;
  Block block_;
};

}  // namespace tocsin::tsdb
