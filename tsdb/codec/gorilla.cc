#include "tsdb/codec/gorilla.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "base/bitstream.h"
#include "base/bytes.h"

namespace tocsin::tsdb {
namespace {

constexpr unsigned kLeadingBits = 5;
constexpr unsigned kLeadingMax = 31;
constexpr unsigned kLengthBits = 6;
// "11", leading and length.
constexpr unsigned kWindowBits = 2 + kLeadingBits + kLengthBits;

// Unread bits at the top of a word, at least 57 of them, or zeros past the end. Random access by
// bit position: the loop below carries no buffer state from value to value but the position.
class BitWindow {
 public:
  explicit BitWindow(std::string_view bytes) : bytes_(bytes) {}

  uint64_t At(size_t bit) const {
    const size_t byte = bit / 8;
    if (byte + 8 <= bytes_.size()) [[likely]] {
      return __builtin_bswap64(LoadFixed<uint64_t>(bytes_.data() + byte)) << (bit % 8);
    }
    char tail[8] = {};
    if (byte < bytes_.size()) std::memcpy(tail, bytes_.data() + byte, bytes_.size() - byte);
    return __builtin_bswap64(LoadFixed<uint64_t>(tail)) << (bit % 8);
  }
  // `count`: 1 … 64.
  uint64_t Bits(size_t bit, unsigned count) const {
    if (count <= 57) return At(bit) >> (64 - count);
    const unsigned low = count - 32;
    return (At(bit) >> 32) << low | At(bit + 32) >> (64 - low);
  }
  size_t bit_count() const { return bytes_.size() * 8; }

 private:
  std::string_view bytes_;
};

}  // namespace

void EncodeGorilla(std::span<const double> values, std::string* out) {
  if (values.empty()) return;
  BitWriter bits(*out);
  uint64_t previous = std::bit_cast<uint64_t>(values[0]);
  bits.Bits(previous, 64);
  unsigned window_leading = 64;  // no window yet
  unsigned window_trailing = 0;
  for (size_t i = 1; i < values.size(); ++i) {
    const uint64_t current = std::bit_cast<uint64_t>(values[i]);
    const uint64_t x = current ^ previous;
    previous = current;
    if (x == 0) {
      bits.Bits(0, 1);
      continue;
    }
    const unsigned leading = std::min(static_cast<unsigned>(std::countl_zero(x)), kLeadingMax);
    const auto trailing = static_cast<unsigned>(std::countr_zero(x));
    const unsigned length = 64 - leading - trailing;
    if (window_leading != 64 && leading >= window_leading && trailing >= window_trailing) {
      const unsigned window = 64 - window_leading - window_trailing;
      // A window much wider than needed costs more than a new one.
      if (window <= length + kWindowBits) {
        bits.Bits(0b10, 2);
        bits.Bits(x >> window_trailing, window);
        continue;
      }
    }
    bits.Bits(0b11 << (kLeadingBits + kLengthBits) | leading << kLengthBits | (length - 1),
              kWindowBits);
    bits.Bits(x >> trailing, length);
    window_leading = leading;
    window_trailing = trailing;
  }
  bits.Finish();
}

bool DecodeGorilla(std::string_view bytes, size_t count, double* out) {
  if (count == 0) return true;
  if (bytes.size() < 8) return false;
  const BitWindow bits(bytes);
  uint64_t value = bits.Bits(0, 64);
  out[0] = std::bit_cast<double>(value);
  size_t at = 64;
  unsigned length = 0;  // no window yet
  unsigned trailing = 0;
  for (size_t i = 1; i < count; ++i) {
    const uint64_t head = bits.At(at);
    if (head >> 63 == 0) {
      at += 1;
    } else if (head >> 62 == 0b10) {
      if (length == 0) return false;
      at += 2;
      value ^= bits.Bits(at, length) << trailing;
      at += length;
    } else {
      const auto leading = static_cast<unsigned>(head >> (62 - kLeadingBits) & kLeadingMax);
      length = static_cast<unsigned>(head >> (64 - kWindowBits) & 63) + 1;
      if (leading + length > 64) return false;
      trailing = 64 - leading - length;
      at += kWindowBits;
      value ^= bits.Bits(at, length) << trailing;
      at += length;
    }
    out[i] = std::bit_cast<double>(value);
    if (at > bits.bit_count()) return false;
  }
  return true;
}

}  // namespace tocsin::tsdb
