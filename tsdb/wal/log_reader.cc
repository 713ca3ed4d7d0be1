#include "tsdb/wal/log_reader.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "tsdb/wal/log_packing.h"

namespace tocsin::tsdb {
namespace {

// Read at once: the first block alone (often only the header is wanted), then so many.
constexpr uint64_t kWindowBytes = 8 * kLogBlockBytes;

bool OnlyZeros(std::string_view bytes) {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

struct Fragment {
  bool whole = false;  // header and as many bytes as it says are there
  bool sound = false;
  uint16_t length = 0;
  uint16_t first_record = kNoRecord;
};
Fragment ReadFragment(std::string_view rest) {
  Fragment fragment;
  ByteReader reader(rest);
  const uint32_t crc = reader.Fixed32();
  fragment.length = reader.Fixed16();
  fragment.first_record = reader.Fixed16();
  fragment.whole = reader.ok() && fragment.length <= reader.remaining();
  fragment.sound = fragment.whole && fragment.length > 0 &&
                   crc == Crc32c(rest.substr(4, size_t{4} + fragment.length));
  return fragment;
}

// The next sound fragment of a block whose rest begins with an unsound one, reached by the lengths
// that are written there: most damage hits the bytes, not the length. `rest.size()`: there is none.
size_t NextSoundFragment(std::string_view rest) {
  size_t at = 0;
  while (at < rest.size()) {
    const Fragment fragment = ReadFragment(rest.substr(at));
    if (fragment.sound) return at;
    if (!fragment.whole || fragment.length == 0) break;
    at += kLogFragmentHeaderBytes + fragment.length;
  }
  return rest.size();
}

uint64_t NextBlock(uint64_t position) { return (position / kLogBlockBytes + 1) * kLogBlockBytes; }

}  // namespace

LogReader::LogReader(std::string_view bytes) : window_(bytes), size_(bytes.size()) { FindHeader(); }

LogReader::LogReader(const RandomAccessFile& file, uint64_t size) : file_(&file), size_(size) {
  FindHeader();
}

void LogReader::FindHeader() {
  for (uint64_t at = 0; at < size_ && !header_; at += kLogBlockBytes) {
    uint32_t block = 0;
    bool newer = false;
    header_ = ReadBlockHeader(RestOfBlock(at), &block, &newer);
    newer_ = newer_ || newer;
  }
}

std::string_view LogReader::RestOfBlock(uint64_t position) {
  const uint64_t block = position / kLogBlockBytes * kLogBlockBytes;
  const uint64_t end = std::min(block + kLogBlockBytes, size_);
  if (position < window_begin_ || end > window_begin_ + window_.size()) {
    if (file_ == nullptr) return {};
    const bool first = window_memory_.empty();
    uint64_t wanted = std::min(first ? kLogBlockBytes : kWindowBytes, size_ - block);
    window_memory_.resize(static_cast<size_t>(wanted));
    auto read = file_->Read(block, window_memory_.data(), static_cast<size_t>(wanted));
    if (!read && wanted > kLogBlockBytes) {  // one bad block must not cost its neighbours
      wanted = kLogBlockBytes;
      read = file_->Read(block, window_memory_.data(), static_cast<size_t>(wanted));
    }
    if (!read && status_.ok()) status_ = read.error();
    window_begin_ = block;
    window_ = std::string_view(window_memory_).substr(0, read ? *read : 0);
    if (position - window_begin_ > window_.size()) return {};
  }
  const uint64_t known_end = std::min(end, window_begin_ + window_.size());
  return window_.substr(static_cast<size_t>(position - window_begin_),
                        static_cast<size_t>(known_end - position));
}

bool LogReader::OnlyZerosFrom(uint64_t position) {
  while (position < size_) {
    const std::string_view rest = RestOfBlock(position);
    if (rest.empty() || !OnlyZeros(rest)) return false;
    position += rest.size();
  }
  return true;
}

void LogReader::Extend(uint64_t size) {
  size_ = std::max(size_, size);
  // The last block has grown: read it anew.
  if (file_ != nullptr) window_ = {};
}

void LogReader::SwitchFile(const RandomAccessFile& file) {
  file_ = &file;
  window_ = {};
}

void LogReader::Damage(bool torn, uint64_t next) {
  if (!in_damage_) {
    may_be_torn_ = torn;
    damage_offset_ = position_;
    if (!first_damage_) first_damage_ = position_;
  }
  in_damage_ = true;
  synchronised_ = false;
  fragment_ = {};
  position_ = std::min<uint64_t>(size_, next);
}

// Nothing sound follows the last damage.
void LogReader::EndOfFile() {
  if (!in_damage_) return;
  in_damage_ = false;
  report_damage_ = true;
  lost_end_bytes_ = OnlyZerosFrom(damage_offset_) ? 0 : size_ - damage_offset_;
  if (may_be_torn_) {
    torn_tail_ = true;
  } else {
    ++damaged_places_;
  }
}

// Moves to the next sound fragment; false at the end of the file.
bool LogReader::NextFragment() {
  while (position_ < size_) {
    const size_t in_block = position_ % kLogBlockBytes;
    if (in_block == 0) {
      uint32_t block = 0;
      bool newer = false;
      const auto header = ReadBlockHeader(RestOfBlock(position_), &block, &newer);
      if (!header || header != header_ || block != position_ / kLogBlockBytes) {
        Damage(size_ - position_ < kLogBlockHeaderBytes || OnlyZerosFrom(position_),
               NextBlock(position_));
        continue;
      }
      position_ += kLogBlockHeaderBytes;
      continue;
    }
    const uint64_t room = std::min<uint64_t>(kLogBlockBytes - in_block, size_ - position_);
    if (kLogBlockBytes - in_block <= kLogFragmentHeaderBytes) {
      position_ += room;
      continue;
    }
    const std::string_view rest = RestOfBlock(position_);
    const Fragment fragment = ReadFragment(rest);
    if (!fragment.sound) {
      const size_t skipped = NextSoundFragment(rest);
      if (skipped < rest.size()) {
        Damage(/*torn=*/false, position_ + skipped);
        continue;
      }
      Damage((!fragment.whole && position_ + room == size_) || OnlyZerosFrom(position_),
             NextBlock(position_));
      continue;
    }
    fragment_ = rest.substr(kLogFragmentHeaderBytes, fragment.length);
    first_record_ = fragment.first_record;
    position_ += kLogFragmentHeaderBytes + fragment.length;
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

bool LogReader::EnterFragment() {
  synchronised_ = first_record_ != kNoRecord && first_record_ < fragment_.size();
  fragment_.remove_prefix(synchronised_ ? first_record_ : fragment_.size());
  return synchronised_;
}

bool LogReader::ReadLength(uint64_t* length) {
  *length = 0;
  for (int shift = 0;; shift += 7) {
    while (fragment_.empty()) {
      if (!NextFragment() || !synchronised_) return false;
    }
    if (shift > 28) {
      fragment_ = {};  // no length at all
      return false;
    }
    const auto byte = static_cast<uint8_t>(fragment_.front());
    fragment_.remove_prefix(1);
    *length |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return true;
  }
}

bool LogReader::Assemble(uint64_t length, std::string_view* record) {
  assembled_.clear();
  if (length > kLogRecordBytesMax) {
    fragment_ = {};
    return false;
  }
  while (assembled_.size() < length) {
    if (fragment_.empty()) {
      if (!NextFragment() || !synchronised_) return false;
      continue;
    }
    const size_t take = std::min(fragment_.size(), static_cast<size_t>(length) - assembled_.size());
    assembled_.append(fragment_.substr(0, take));
    fragment_.remove_prefix(take);
  }
  *record = assembled_;
  return true;
}

// The record at the stream's place; false when it is lost.
bool LogReader::NextRecord(std::string_view* record) {
  uint64_t length = 0;
  if (!ReadLength(&length)) return false;
  if (length > fragment_.size()) {
    if (!Assemble(length, record)) return false;
  } else {
    *record = fragment_.substr(0, static_cast<size_t>(length));
    fragment_.remove_prefix(static_cast<size_t>(length));
  }
  if (!record->empty()) return true;
  fragment_ = {};  // no such record: the fragment's rest is lost
  return false;
}

bool LogReader::NextUnpacked(std::string_view* record) {
  if (unpacked_rest_.empty()) return false;
  ByteReader reader(unpacked_rest_);
  *record = reader.String();
  if (!reader.ok() || record->empty()) {  // no writer of ours makes such a one
    unpacked_rest_ = {};
    report_damage_ = true;
    ++damaged_places_;
    return false;
  }
  unpacked_rest_ = reader.rest();
  return true;
}

bool LogReader::Next(std::string_view* record, bool* after_damage) {
  if (!header_) return false;
  *after_damage = false;
  if (NextUnpacked(record)) return true;
  while (true) {
    if (!synchronised_ || fragment_.empty()) {
      const bool had_place = synchronised_;
      if (!NextFragment()) return false;
      if ((!had_place || !synchronised_) && !EnterFragment()) continue;
    }
    if (NextRecord(record)) {
      if (IsPackedRecord(*record)) {
        unpacked_rest_ = {};
        if (UnpackRecords(*record, &unpacked_)) {
          unpacked_rest_ = unpacked_;
        } else {
          ++damaged_places_;
          report_damage_ = true;
        }
        if (!NextUnpacked(record)) continue;
      }
      *after_damage = report_damage_;
      report_damage_ = false;
      return true;
    }
    // NextFragment may have found a sound fragment behind the damage: resume inside it.
    synchronised_ = false;
    if (fragment_.empty()) {
      if (position_ < size_) continue;
      EndOfFile();
      return false;
    }
    EnterFragment();
  }
}

}  // namespace tocsin::tsdb
