// LogWriter: appends records to one log file. A failed write leaves the writer where it was: the
// next call cuts the file back to its last good byte and writes the same records again, so that a
// disk that was full for a while loses nothing.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/status.h"
#include "tsdb/wal/log_format.h"

namespace tocsin::tsdb {

class LogWriter {
 public:
  // A new file at `path` (an old one there is emptied); made by the first Write.
  LogWriter(Env& env, std::string path, const LogFileHeader& header);

  // Hands whole records (each: varint length, bytes) to the kernel. `copy`, if any, gets the same
  // bytes as the file.
  Status Write(std::string_view records, std::string* copy = nullptr);
  // Through the handle that everything was written with.
  Status Sync();
  Status Close();
  // Somebody put another file with the same bytes in the place of this one.
  void Reopen() { file_.reset(); }

  const std::string& path() const { return path_; }
  uint64_t size() const { return good_bytes_; }

 private:
  Status Open();
  // Puts fragments of records[*done …] at the file's place `position` into out_, up to about
  // kPieceBytes. `*next_record`: where the first record begins that did not yet.
  void FramePiece(std::string_view records, uint64_t position, size_t* done, size_t* next_record);

  Env& env_;
  const std::string path_;
  const LogFileHeader header_;
  std::unique_ptr<WritableFile> file_;
  bool created_ = false;
  uint64_t good_bytes_ = 0;  // in the kernel
  std::string out_;
};

}  // namespace tocsin::tsdb
