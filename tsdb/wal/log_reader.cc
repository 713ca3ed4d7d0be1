#include "tsdb/wal/log_reader.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace tocsin::tsdb {
namespace {

bool OnlyZeros(std::string_view bytes) {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

}  // namespace

LogReader::LogReader(std::string_view bytes) : bytes_(bytes) {
  for (size_t at = 0; at < bytes_.size() && !header_; at += kLogBlockBytes) {
    uint32_t block = 0;
    bool newer = false;
    header_ = ReadBlockHeader(bytes_.substr(at), &block, &newer);
    newer_ = newer_ || newer;
  }
}

void LogReader::Damage(bool torn) {
  if (!in_damage_) may_be_torn_ = torn;
  in_damage_ = true;
  synchronised_ = false;
  fragment_ = {};
  position_ = std::min(bytes_.size(), (position_ / kLogBlockBytes + 1) * kLogBlockBytes);
}

// Nothing sound follows the last damage.
void LogReader::EndOfFile() {
  if (!in_damage_) return;
  in_damage_ = false;
  if (may_be_torn_) {
    torn_tail_ = true;
  } else {
    ++damaged_places_;
  }
}

// Moves to the next sound fragment; false at the end of the file.
bool LogReader::NextFragment() {
  while (position_ < bytes_.size()) {
    const size_t in_block = position_ % kLogBlockBytes;
    if (in_block == 0) {
      uint32_t block = 0;
      bool newer = false;
      const auto header = ReadBlockHeader(bytes_.substr(position_), &block, &newer);
      if (!header || header != header_ || block != position_ / kLogBlockBytes) {
        Damage(bytes_.size() - position_ < kLogBlockHeaderBytes ||
               OnlyZeros(bytes_.substr(position_)));
        continue;
      }
      position_ += kLogBlockHeaderBytes;
      continue;
    }
    const size_t room = std::min(kLogBlockBytes - in_block, bytes_.size() - position_);
    if (kLogBlockBytes - in_block <= kLogFragmentHeaderBytes) {
      position_ += room;
      continue;
    }
    const std::string_view rest = bytes_.substr(position_, room);
    ByteReader reader(rest);
    const uint32_t crc = reader.Fixed32();
    const uint16_t length = reader.Fixed16();
    const uint16_t first = reader.Fixed16();
    if (!reader.ok() || length == 0 || length > reader.remaining() ||
        crc != Crc32c(rest.substr(4, size_t{4} + length))) {
      const bool cut = !reader.ok() || length > reader.remaining();
      Damage((cut && position_ + room == bytes_.size()) || OnlyZeros(bytes_.substr(position_)));
      continue;
    }
    fragment_ = rest.substr(kLogFragmentHeaderBytes, length);
    first_record_ = first;
    position_ += kLogFragmentHeaderBytes + length;
    if (in_damage_) {
      in_damage_ = false;
      ++damaged_places_;
      report_damage_ = true;
    }
    return true;
  }
  EndOfFile();
  return false;
}

bool LogReader::Next(std::string_view* record, bool* after_damage) {
  if (!header_) return false;
  while (true) {
    // Find the start of a record.
    if (!synchronised_ || fragment_.empty()) {
      const bool had_place = synchronised_;
      if (!NextFragment()) return false;
      if (!had_place || !synchronised_) {
        if (first_record_ == kNoRecord || first_record_ >= fragment_.size()) {
          synchronised_ = false;
          continue;
        }
        fragment_.remove_prefix(first_record_);
        synchronised_ = true;
      }
    }
    // Its length and bytes, over as many fragments as it takes.
    assembled_.clear();
    uint64_t length = 0;
    bool lost = false;
    for (int shift = 0;; shift += 7) {
      while (fragment_.empty() && !lost) {
        lost = !NextFragment() || !synchronised_;
      }
      if (lost) break;
      if (shift > 28) {
        fragment_ = {};  // no length at all
        lost = true;
        break;
      }
      const auto byte = static_cast<uint8_t>(fragment_.front());
      fragment_.remove_prefix(1);
      length |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) break;
    }
    if (!lost && length <= fragment_.size()) {
      *record = fragment_.substr(0, static_cast<size_t>(length));
      fragment_.remove_prefix(static_cast<size_t>(length));
    } else {
      if (!lost && length > kLogRecordBytesMax) {
        fragment_ = {};
        lost = true;
      }
      while (!lost && assembled_.size() < length) {
        if (fragment_.empty()) {
          lost = !NextFragment() || !synchronised_;
          continue;
        }
        const size_t take =
            std::min(fragment_.size(), static_cast<size_t>(length) - assembled_.size());
        assembled_.append(fragment_.substr(0, take));
        fragment_.remove_prefix(take);
      }
      *record = assembled_;
    }
    if (lost) {
      // NextFragment may have found a sound fragment behind the damage: resume inside it.
      synchronised_ = false;
      if (fragment_.empty()) {
        if (position_ >= bytes_.size()) {
          EndOfFile();
          return false;
        }
        continue;
      }
      if (first_record_ == kNoRecord || first_record_ >= fragment_.size()) {
        fragment_ = {};
        continue;
      }
      fragment_.remove_prefix(first_record_);
      synchronised_ = true;
      continue;
    }
    if (record->empty()) {  // no such record: treat the fragment's rest as lost
      fragment_ = {};
      synchronised_ = false;
      continue;
    }
    *after_damage = report_damage_;
    report_damage_ = false;
    return true;
  }
}

}  // namespace tocsin::tsdb
