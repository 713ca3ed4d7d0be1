// LogReader: the records of one log file's bytes, skipping what is damaged.
//
//   LogReader reader(bytes);
//   while (reader.Next(&record)) …                 // record: type byte and payload
//   reader.damaged_places(), reader.torn_tail()
//
// One thread at a time. Views the bytes; a record is valid until the next call.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tsdb/wal/log_format.h"

namespace tocsin::tsdb {

class LogReader {
 public:
  explicit LogReader(std::string_view bytes);

  // Of the first sound block; nothing when there is none.
  const std::optional<LogFileHeader>& header() const { return header_; }
  // The file was written by a newer version.
  bool newer() const { return newer_; }

  // False at the end. `*after_damage`: bytes were skipped since the record before.
  bool Next(std::string_view* record, bool* after_damage);

  // Runs of bytes that were skipped, a torn tail not among them.
  uint64_t damaged_places() const { return damaged_places_; }
  // The file ends within a fragment, or in zeros: what a crash in the middle of a write leaves.
  bool torn_tail() const { return torn_tail_; }

 private:
  bool NextFragment();
  void Damage(bool torn);
  void EndOfFile();

  const std::string_view bytes_;
  std::optional<LogFileHeader> header_;
  bool newer_ = false;
  size_t position_ = 0;
  std::string_view fragment_;  // rest of the current fragment
  bool synchronised_ = false;  // fragment_ continues the stream at a known place
  bool in_damage_ = false;
  bool report_damage_ = false;
  bool may_be_torn_ = false;  // the damage is what a crash may leave at the end
  bool torn_tail_ = false;
  uint16_t first_record_ = kNoRecord;
  std::string assembled_;
  uint64_t damaged_places_ = 0;
};

}  // namespace tocsin::tsdb
