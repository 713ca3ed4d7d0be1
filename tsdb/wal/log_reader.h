// LogReader: the records of one log file, read a few blocks at a time, skipping what is damaged: a
// fragment where its length still leads to a sound one, else the rest of its block.
//
//   LogReader reader(file, size);                       // or LogReader reader(bytes);
//   while (reader.Next(&record, &after_damage)) …       // record: type byte and payload
//   reader.damaged_places(), reader.torn_tail()
//
// A file that is still being written is followed by Extend: its size up to which whole records
// stand.
//
// One thread at a time. A record is valid until the next call.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/env.h"
#include "tsdb/wal/log_format.h"

namespace tocsin::tsdb {

class LogReader {
 public:
  // Views the bytes.
  explicit LogReader(std::string_view bytes);
  // Reads up to `size` bytes of the file, which must outlive the reader. Blocks that cannot be read
  // are damage; status() has the first error.
  LogReader(const RandomAccessFile& file, uint64_t size);

  // Of the first sound block; nothing when there is none.
  const std::optional<LogFileHeader>& header() const { return header_; }
  // The file was written by a newer version.
  bool newer() const { return newer_; }

  // False at the end. `*after_damage`: bytes were skipped since the record before.
  bool Next(std::string_view* record, bool* after_damage);
  // After Next returned false: the file has grown to `size` bytes.
  void Extend(uint64_t size);
  // After Next returned false: the same bytes are in another file, which must outlive the reader.
  void SwitchFile(const RandomAccessFile& file);

  // Runs of bytes that were skipped, a torn tail not among them.
  uint64_t damaged_places() const { return damaged_places_; }
  // The file ends within a fragment, or in zeros: what a crash in the middle of a write leaves.
  bool torn_tail() const { return torn_tail_; }
  // Where the last run of skipped bytes began, and the first one.
  uint64_t damage_offset() const { return damage_offset_; }
  std::optional<uint64_t> first_damage() const { return first_damage_; }
  // After Next returned false: bytes at the end of which nothing is sound, zeros alone not counted.
  uint64_t lost_end_bytes() const { return lost_end_bytes_; }
  // Bytes behind the fragment that was read last.
  uint64_t position() const { return position_; }
  const Status& status() const { return status_; }

 private:
  // What there is from `position` to the end of its block.
  std::string_view RestOfBlock(uint64_t position);
  bool OnlyZerosFrom(uint64_t position);
  void FindHeader();
  bool NextFragment();
  // Goes to the next record that begins in the fragment; false when none does.
  bool EnterFragment();
  bool NextRecord(std::string_view* record);
  // The next of the records that were packed into one.
  bool NextUnpacked(std::string_view* record);
  // The record's length; false when the stream breaks off.
  bool ReadLength(uint64_t* length);
  bool Assemble(uint64_t length, std::string_view* record);
  // Goes on at `next`.
  void Damage(bool torn, uint64_t next);
  void EndOfFile();

  const RandomAccessFile* file_ = nullptr;
  std::string_view window_;  // all bytes, or those read from file_ last
  std::string window_memory_;
  uint64_t window_begin_ = 0;
  uint64_t size_;
  Status status_;

  std::optional<LogFileHeader> header_;
  bool newer_ = false;
  uint64_t position_ = 0;
  std::string_view fragment_;  // rest of the current fragment
  bool synchronised_ = false;  // fragment_ continues the stream at a known place
  bool in_damage_ = false;
  bool report_damage_ = false;
  bool may_be_torn_ = false;  // the damage is what a crash may leave at the end
  bool torn_tail_ = false;
  uint64_t damage_offset_ = 0;
  std::optional<uint64_t> first_damage_;
  uint64_t lost_end_bytes_ = 0;
  uint16_t first_record_ = kNoRecord;
  std::string assembled_;
  std::string unpacked_;
  std::string_view unpacked_rest_;
  uint64_t damaged_places_ = 0;
};

}  // namespace tocsin::tsdb
