// The parser of the HTTP front: where a request ends, and whether it is clean HTTP/1.x. Pure
// functions and a small state machine over bytes; no sockets, no clock. Everything that two
// implementations could read in two ways (and thus be used to smuggle a request past a proxy) is
// refused here: see server.h for the list. RFC 9112 is the measure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/http/message.h"

namespace tocsin::http {

struct HeadLimits {
  size_t head_bytes_max = 1024 * 1024;
  size_t target_bytes_max = 512 * 1024;
  size_t path_bytes_max = 7 * 1024;  // of the target, without the query; cpp-httplib takes 8 KiB
  size_t header_line_bytes_max = 8 * 1024;
  size_t header_count_max = 100;
};

// Why a request is refused: the status to answer before closing. status 0: not refused.
struct Refusal {
  int status = 0;
  std::string_view reason;  // a literal
  explicit operator bool() const { return status != 0; }
};

enum class BodyFraming : uint8_t { kNone, kLength, kChunked };

struct RequestHead {
  std::string method;
  std::string path;       // encoded as sent; starts with '/', or is "*"
  std::string raw_query;  // without '?'
  int version_minor = 1;  // HTTP/1.0 or 1.1
  Headers headers;
  std::string host;  // of the target if it is absolute, else of the Host header; with its port
  bool keep_alive = true;
  bool expect_continue = false;
  BodyFraming framing = BodyFraming::kNone;
  uint64_t content_length = 0;
};

// Finds the end of a head in bytes that grow. Reset() before the next request.
class HeadScanner {
 public:
  static constexpr size_t kNotYet = SIZE_MAX;
  // The length of the head, CRLF CRLF included; kNotYet while it is incomplete. `bytes` begins
  // with what earlier calls were given. Sets `refusal` at a bare LF or CR, or over the limits.
  size_t Scan(std::string_view bytes, const HeadLimits& limits, Refusal* refusal);
  void Reset() { scanned_ = line_start_ = 0; }
  bool fresh() const { return scanned_ == 0; }

 private:
  size_t scanned_ = 0;
  size_t line_start_ = 0;
};

// `head`: one whole head as HeadScanner delimits it.
Refusal ParseHead(std::string_view head, const HeadLimits& limits, RequestHead* request);

// Decodes the body that follows a head.
class BodyDecoder {
 public:
  // Refuses a declared length over `body_bytes_max`.
  Refusal Start(BodyFraming framing, uint64_t content_length, size_t body_bytes_max);

  // Takes bytes from the front of `bytes` and points `content` at the decoded body bytes among
  // them (possibly none). Call until done() or the input is used up; returns the bytes taken.
  size_t Consume(std::string_view bytes, std::string_view* content, Refusal* refusal);
  bool done() const { return state_ == State::kDone; }
  // Of a body by length, what is still to come.
  uint64_t remaining() const { return remaining_; }

 private:
  enum class State : uint8_t {
    kDone,
    kLength,
    kChunkSize,       // hexadecimal digits
    kChunkExtension,  // ignored up to CR
    kChunkSizeLf,
    kChunkData,
    kChunkDataCr,
    kChunkDataLf,
    kTrailerStart,  // first byte of a line
    kTrailer,       // inside a line
    kTrailerLf,
    kEndLf,
  };
  Refusal Step(char c);
  Refusal BeginChunk();

  State state_ = State::kDone;
  uint64_t remaining_ = 0;  // of the body by length, or of the chunk
  uint64_t received_ = 0;   // content bytes of a chunked body
  uint64_t body_bytes_max_ = 0;
  uint64_t chunk_size_ = 0;
  int chunk_digits_ = 0;
  size_t overhead_bytes_ = 0;  // extensions and trailers
};

}  // namespace tocsin::http
