// PageSink: the file being written, with its running offset and the checksums of its pages.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/crc32c.h"
#include "base/env.h"
#include "base/status.h"
#include "tsdb/segment/format.h"

namespace tocsin::tsdb {

// The first error sticks; later writes do nothing.
class PageSink {
 public:
  explicit PageSink(std::unique_ptr<WritableFile> file) : file_(std::move(file)) {}

  uint64_t offset() const { return offset_; }
  const Status& status() const { return status_; }

  void Append(std::string_view bytes) {
    AppendUnpaged(bytes);
    while (!bytes.empty()) {
      const std::string_view part = bytes.substr(0, kPageBytes - page_used_);
      page_crc_ = Crc32cExtend(page_crc_, part);
      page_used_ += part.size();
      if (page_used_ == kPageBytes) EndPage();
      bytes.remove_prefix(part.size());
    }
  }

  // The checksums of all pages, the last one being as long as it is; afterwards AppendUnpaged only.
  const std::vector<uint32_t>& EndPages() {
    if (page_used_ > 0) EndPage();
    return page_crcs_;
  }
  void AppendUnpaged(std::string_view bytes) {
    if (status_.ok()) status_ = file_->Append(bytes);
    offset_ += bytes.size();
  }

  Status SyncAndClose() {
    if (status_.ok()) status_ = file_->Sync();
    if (status_.ok()) status_ = file_->Close();
    return status_;
  }

 private:
  void EndPage() {
    page_crcs_.push_back(page_crc_);
    page_crc_ = 0;
    page_used_ = 0;
  }

  std::unique_ptr<WritableFile> file_;
  Status status_;
  uint64_t offset_ = 0;
  uint32_t page_crc_ = 0;
  uint64_t page_used_ = 0;
  std::vector<uint32_t> page_crcs_;
};

}  // namespace tocsin::tsdb
