// Fixed-width integers as Prometheus' files hold them, highest byte first. Varints, zigzag and
// length-prefixed strings are those of base/bytes.h.
#pragma once

#include <bit>
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace tocsin::tsdb {

inline void PutBig32(std::string& out, uint32_t v) { PutFixed32(out, __builtin_bswap32(v)); }
inline void PutBig64(std::string& out, uint64_t v) { PutFixed64(out, __builtin_bswap64(v)); }

inline uint16_t ReadBig16(ByteReader& in) { return __builtin_bswap16(in.Fixed16()); }
inline uint32_t ReadBig32(ByteReader& in) { return __builtin_bswap32(in.Fixed32()); }
inline uint64_t ReadBig64(ByteReader& in) { return __builtin_bswap64(in.Fixed64()); }
inline double ReadBigDouble(ByteReader& in) { return std::bit_cast<double>(ReadBig64(in)); }

inline uint32_t LoadBig32(const char* in) { return __builtin_bswap32(LoadFixed<uint32_t>(in)); }

}  // namespace tocsin::tsdb
