// Little-endian fixed-width integers, varints and length-prefixed strings: the alphabet of every
// on-disk format of ours (docs/format/*.md).
//
//   varint  7 bits a byte, low first, high bit = more follows; at most 10 bytes
//   zigzag  signed numbers of small size as small varints: 0, -1, 1, -2, … → 0, 1, 2, 3, …
//
// Writing appends to a std::string. Reading goes through ByteReader, which never looks past its
// bounds: the first read that does not fit makes it fail for good, later reads give zeros, so a
// decoder checks ok() once at the end of a record (and before it trusts a count).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace tocsin {

static_assert(std::endian::native == std::endian::little, "fixed-width fields are copied as is");

inline constexpr size_t kVarintBytesMax = 10;

inline void PutFixed8(std::string& out, uint8_t v) { out.push_back(static_cast<char>(v)); }

template <typename T>
inline void PutFixed(std::string& out, T v) {
  char bytes[sizeof v];
  std::memcpy(bytes, &v, sizeof v);
  out.append(bytes, sizeof v);
}
inline void PutFixed16(std::string& out, uint16_t v) { PutFixed(out, v); }
inline void PutFixed32(std::string& out, uint32_t v) { PutFixed(out, v); }
inline void PutFixed64(std::string& out, uint64_t v) { PutFixed(out, v); }
inline void PutDouble(std::string& out, double v) { PutFixed64(out, std::bit_cast<uint64_t>(v)); }

inline uint64_t ZigZag(int64_t v) {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
inline int64_t UnZigZag(uint64_t v) {
  return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
}

// Writes at most kVarintBytesMax bytes to `out` and returns one past the last.
inline char* EncodeVarint(char* out, uint64_t v) {
  while (v >= 0x80) {
    *out++ = static_cast<char>(v | 0x80);
    v >>= 7;
  }
  *out++ = static_cast<char>(v);
  return out;
}
inline void PutVarint(std::string& out, uint64_t v) {
  char bytes[kVarintBytesMax];
  out.append(bytes, static_cast<size_t>(EncodeVarint(bytes, v) - bytes));
}
inline void PutSignedVarint(std::string& out, int64_t v) { PutVarint(out, ZigZag(v)); }
inline void PutString(std::string& out, std::string_view v) {
  PutVarint(out, v.size());
  out.append(v);
}
inline size_t VarintSize(uint64_t v) {
  return (static_cast<size_t>(std::bit_width(v | 1)) + 6) / 7;
}

// Overwrites 4 bytes at `offset`, e.g. a length that is known only once its body is written.
inline void SetFixed32(std::string& out, size_t offset, uint32_t v) {
  std::memcpy(out.data() + offset, &v, sizeof v);
}

// Unaligned loads from bytes whose size the caller has checked.
template <typename T>
inline T LoadFixed(const char* in) {
  T v;
  std::memcpy(&v, in, sizeof v);
  return v;
}

// Views the bytes it was given, which must outlive it and every string_view it hands out.
class ByteReader {
 public:
  ByteReader() = default;
  explicit ByteReader(std::string_view bytes)
      : begin_(bytes.data()), pos_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool ok() const { return ok_; }
  bool at_end() const { return pos_ == end_; }
  size_t remaining() const { return static_cast<size_t>(end_ - pos_); }
  size_t position() const { return static_cast<size_t>(pos_ - begin_); }
  std::string_view rest() const { return {pos_, remaining()}; }
  // For a decoder that finds nonsense: fails as a read past the end would.
  void Fail() {
    ok_ = false;
    pos_ = end_;
  }

  uint8_t Fixed8() { return Fixed<uint8_t>(); }
  uint16_t Fixed16() { return Fixed<uint16_t>(); }
  uint32_t Fixed32() { return Fixed<uint32_t>(); }
  uint64_t Fixed64() { return Fixed<uint64_t>(); }
  double Double() { return std::bit_cast<double>(Fixed64()); }

  uint64_t Varint() {
    // Most varints of ours are one byte.
    if (pos_ != end_ && static_cast<uint8_t>(*pos_) < 0x80) return static_cast<uint8_t>(*pos_++);
    uint64_t v = 0;
    for (int shift = 0; shift < 64 && pos_ != end_; shift += 7) {
      const auto byte = static_cast<uint8_t>(*pos_++);
      if (shift == 63 && byte > 1) break;  // more than 64 bits
      v |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return v;
    }
    Fail();
    return 0;
  }
  int64_t SignedVarint() { return UnZigZag(Varint()); }
  // A varint that must fit: a count or an index below a bound the caller knows.
  uint32_t Varint32() {
    const uint64_t v = Varint();
    if (v <= UINT32_MAX) return static_cast<uint32_t>(v);
    Fail();
    return 0;
  }

  std::string_view Bytes(uint64_t count) {
    if (count > remaining()) {
      Fail();
      return {};
    }
    const std::string_view bytes(pos_, static_cast<size_t>(count));
    pos_ += count;
    return bytes;
  }
  std::string_view String() { return Bytes(Varint()); }
  void Skip(uint64_t count) { Bytes(count); }

 private:
  template <typename T>
  T Fixed() {
    if (remaining() < sizeof(T)) {
      Fail();
      return 0;
    }
    const T v = LoadFixed<T>(pos_);
    pos_ += sizeof(T);
    return v;
  }

  const char* begin_ = nullptr;
  const char* pos_ = nullptr;
  const char* end_ = nullptr;
  bool ok_ = true;
};

}  // namespace tocsin
