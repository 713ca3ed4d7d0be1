// Value columns: one interface over the codecs. A column of doubles becomes a kind byte and a
// payload; the encoder takes what is smallest
// of what its effort allows. Every kind is bit-exact for every double, NaN
// payloads, the staleness marker and -0 included.
//
//   kind u8 | payload to the end of the bytes
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "tsdb/codec/integers.h"

namespace tocsin::tsdb {

// Numbers are part of the segment format; never reuse one.
enum class ValueKind : uint8_t {
  kConst = 0,      // one packed double: every value has its bits
  kRaw = 1,        // 8 bytes a value, little-endian
  kGorilla = 2,    // gorilla.h
  kDecimal = 3,    // decimal.h
  kScaled = 4,     // decimal.h, with ulps or against a reference
  kOrdered = 5,    // ordered.h
  kReference = 6,  // nothing: every value has the bits of the reference's at the same place
};

// `reference`: another column's values at the same places, or empty. Kinds may be told by it; the
// decoder needs the same one then.
struct ValueEncoding {
  Effort effort = Effort::kFast;
  std::span<const double> reference;
};

// Appends; nothing for no values. `kind`, when not null, is told what was chosen.
void EncodeValues(std::span<const double> values, const ValueEncoding& encoding, std::string* out,
                  ValueKind* kind = nullptr);
// All of `bytes` are one column of `count` values.
[[nodiscard]] bool DecodeValues(std::string_view bytes, size_t count,
                                std::span<const double> reference, double* out);
// Whether a column of these bytes was told by a reference.
bool NeedsReference(std::string_view bytes);

bool AllSameBits(std::span<const double> values);

// A double by its leading bytes: u8 count (0 … 8), then so many high bytes of its bits, lowest
// first. 0 takes one byte, small whole numbers three.
void PutPackedDouble(std::string& out, double value);
double ReadPackedDouble(ByteReader* in);

// A double as a packed double (first byte up to 8), or shorter as a decimal: u8 16 + e, signed
// varint k, for k / 10^e.
void PutShortDouble(std::string& out, double value);
double ReadShortDouble(ByteReader* in);

}  // namespace tocsin::tsdb
