// BitWriter and BitReader: streams of bits for the column codecs, most significant bit first within
// each byte, 64 bits buffered. The reader is bounded: past its end it gives zeros and fails for
// good.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/check.h"

namespace tocsin {

class BitWriter {
 public:
  // Appends to `out`, which must outlive the writer.
  explicit BitWriter(std::string& out) : out_(out) {}

  void Bit(bool bit) { Bits(bit ? 1 : 0, 1); }

  // The low `count` bits of `value`, 0 ≤ count ≤ 64; higher bits of `value` must be zero.
  void Bits(uint64_t value, unsigned count) {
    DCHECK(count <= 64 && (count == 64 || value >> count == 0));
    const unsigned free = 64 - used_;
    if (count < free) {
      // used_ + count < 64, so the shift is at least 1.
      buffer_ |= count == 0 ? 0 : value << (free - count);
      used_ += count;
      return;
    }
    const unsigned left = count - free;  // 0 … 63 bits that do not fit
    buffer_ |= value >> left;
    Emit(8);
    buffer_ = left == 0 ? 0 : value << (64 - left);
    used_ = left;
  }

  // Bits written so far by this writer.
  size_t bit_count() const { return emitted_bytes_ * 8 + used_; }

  // Pads with zeros to a whole byte. The writer can go on from there.
  void Finish() {
    Emit((used_ + 7) / 8);
    buffer_ = 0;
    used_ = 0;
  }

 private:
  void Emit(unsigned bytes) {
    const uint64_t big_endian = __builtin_bswap64(buffer_);
    char raw[8];
    std::memcpy(raw, &big_endian, 8);
    out_.append(raw, bytes);
    emitted_bytes_ += bytes;
  }

  std::string& out_;
  uint64_t buffer_ = 0;  // bits fill from the top
  unsigned used_ = 0;    // 0 … 63
  size_t emitted_bytes_ = 0;
};

class BitReader {
 public:
  BitReader() = default;
  explicit BitReader(std::string_view bytes)
      : pos_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool ok() const { return ok_; }

  bool Bit() { return Bits(1) != 0; }

  // 0 ≤ count ≤ 64.
  uint64_t Bits(unsigned count) {
    DCHECK(count <= 64);
    if (count == 0) return 0;
    if (available_ < count) return Slow(count);
    return Take(count);
  }

  // The next `count` bits (1 … 32) without consuming them, zeros past the end: for table lookups.
  uint64_t Peek(unsigned count) {
    if (available_ < count) Refill();
    return buffer_ >> (64 - count);
  }
  // Consumes bits that were peeked.
  void Skip(unsigned count) {
    if (count > available_) {
      ok_ = false;
      available_ = 0;
      buffer_ = 0;
      return;
    }
    buffer_ <<= count;
    available_ -= count;
  }

  // Unread bits, those of the padding included.
  size_t remaining_bits() const { return static_cast<size_t>(end_ - pos_) * 8 + available_; }

 private:
  uint64_t Take(unsigned count) {  // 1 … 64, all available
    const uint64_t value = buffer_ >> (64 - count);
    buffer_ = count == 64 ? 0 : buffer_ << count;
    available_ -= count;
    return value;
  }

  void Refill() {
    if (end_ - pos_ >= 8) {
      uint64_t word;
      std::memcpy(&word, pos_, 8);
      word = __builtin_bswap64(word);
      const unsigned bytes = (64 - available_) / 8;  // 0 … 8 whole bytes fit
      if (bytes == 0) return;
      buffer_ |= word >> available_;
      pos_ += bytes;
      available_ += bytes * 8;
      // The part of a ninth byte that came along stays out until it is counted.
      if (available_ < 64) buffer_ &= ~uint64_t{0} << (64 - available_);
      return;
    }
    while (available_ <= 56 && pos_ != end_) {
      buffer_ |= static_cast<uint64_t>(static_cast<uint8_t>(*pos_++)) << (56 - available_);
      available_ += 8;
    }
  }

  uint64_t Slow(unsigned count) {
    const unsigned first = available_;
    const uint64_t high = first == 0 ? 0 : Take(first);
    Refill();
    const unsigned rest = count - first;  // 1 … 64
    if (available_ < rest) {
      ok_ = false;
      available_ = 0;
      buffer_ = 0;
      return 0;
    }
    const uint64_t low = Take(rest);
    return rest == 64 ? low : (high << rest) | low;
  }

  const char* pos_ = nullptr;
  const char* end_ = nullptr;
  uint64_t buffer_ = 0;  // unread bits at the top, zeros below
  unsigned available_ = 0;
  bool ok_ = true;
};

}  // namespace tocsin
