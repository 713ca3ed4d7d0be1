// Compression of answers: what the client accepts, and the two encodings that are offered, gzip and
// deflate (in zlib's wrapper, as RFC 9110 has it).
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/http/message.h"

namespace tocsin::http {

enum class ContentEncoding : uint8_t { kIdentity, kGzip, kDeflate };
std::string_view ContentEncodingName(ContentEncoding encoding);  // "identity", "gzip", "deflate"

// The offered encoding with the highest weight, the first listed among equals. Names are compared
// whole; `q=0` refuses one; `*` stands for gzip unless that is listed.
ContentEncoding NegotiateEncoding(std::string_view accept_encoding);

// The weight, 0…1000, that an Accept-Encoding list gives to `name`; 0 when it is not acceptable.
// For callers that hold precompressed bytes (pages). Identity is acceptable unless refused.
int EncodingWeight(std::string_view accept_encoding, std::string_view name);

// Keeps zlib's state for the next body. One thread at a time.
class Compressor {
 public:
  Compressor();
  ~Compressor();
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  // Moves `from` through the encoding into `to`, piece by piece, so that the two never are in
  // memory whole at once. False when zlib fails (memory): `to` is unusable then.
  bool Compress(ContentEncoding encoding, ResponseBody* from, ResponseBody* to);

 private:
  struct Stream;
  std::unique_ptr<Stream> streams_[2];  // gzip, deflate; made at first use
};

}  // namespace tocsin::http
