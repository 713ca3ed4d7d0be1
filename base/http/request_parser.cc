#include "base/http/request_parser.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace tocsin::http {
namespace {

constexpr size_t kMethodBytesMax = 32;
// Chunk extensions and trailers have no use here and are dropped.
constexpr size_t kChunkOverheadBytesMax = 16 * 1024;
constexpr int kChunkDigitsMax = 16;
constexpr int kContentLengthDigitsMax = 18;

constexpr Refusal BadRequest(std::string_view reason) { return {400, reason}; }

constexpr std::array<bool, 256> MakeTokenTable() {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<size_t>(c)] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<size_t>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> kTokenByte = MakeTokenTable();

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return kTokenByte[static_cast<unsigned char>(c)];
  });
}

bool IsControl(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

std::string_view TrimSpace(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes one line off the front, without its CRLF.
std::string_view TakeLine(std::string_view* head) {
  const size_t end = head->find('\n');
  DCHECK(end != std::string_view::npos && end > 0);
  const std::string_view line = head->substr(0, end - 1);
  head->remove_prefix(end + 1);
  return line;
}

// Splits "http://host:port/path" (which a proxy's client sends) into host and path.
Refusal TakeAuthority(std::string_view* target, RequestHead* request) {
  static constexpr std::string_view kScheme = "http://";
  if (target->size() < kScheme.size() ||
      !EqualsIgnoreCase(target->substr(0, kScheme.size()), kScheme)) {
    return BadRequest("malformed request target");
  }
  target->remove_prefix(kScheme.size());
  const size_t end = std::min(target->find_first_of("/?"), target->size());
  if (end == 0) return BadRequest("malformed request target");
  request->host = target->substr(0, end);
  target->remove_prefix(end);
  return {};
}

Refusal ParseRequestLine(std::string_view line, const HeadLimits& limits, RequestHead* request) {
  const size_t first_space = line.find(' ');
  const size_t last_space = line.rfind(' ');
  if (first_space == std::string_view::npos || first_space == last_space) {
    return BadRequest("malformed request line");
  }
  const std::string_view method = line.substr(0, first_space);
  const std::string_view version = line.substr(last_space + 1);
  std::string_view target = line.substr(first_space + 1, last_space - first_space - 1);
  if (method.size() > kMethodBytesMax || !IsToken(method)) return BadRequest("malformed method");
  if (version.size() != 8 || !version.starts_with("HTTP/") || version[6] != '.') {
    return BadRequest("malformed HTTP version");
  }
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return {505, "HTTP version not supported"};
  if (target.empty()) return BadRequest("malformed request target");
  if (target.size() > limits.target_bytes_max) return {414, "request target too long"};
  for (const char c : target) {
    if (c == ' ' || IsControl(c)) return BadRequest("malformed request target");
  }
  request->method = method;
  request->version_minor = version.back() - '0';
  if (target.front() != '/' && target != "*") {
    if (const Refusal refusal = TakeAuthority(&target, request)) return refusal;
  }
  const size_t question = target.find('?');
  request->path = target.substr(0, question);
  if (request->path.size() > limits.path_bytes_max) return {414, "request path too long"};
  if (request->path.empty()) request->path = "/";
  if (question != std::string_view::npos) request->raw_query = target.substr(question + 1);
  return {};
}

Refusal ParseHeaderLine(std::string_view line, RequestHead* request) {
  if (line.front() == ' ' || line.front() == '\t') return BadRequest("folded header");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return BadRequest("malformed header");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = TrimSpace(line.substr(colon + 1));
  if (!IsToken(name)) return BadRequest("malformed header name");
  for (const char c : value) {
    if (IsControl(c) && c != '\t') return BadRequest("control character in a header");
  }
  request->headers.Add(std::string(name), std::string(value));
  return {};
}

Refusal DecideFraming(RequestHead* request) {
  const size_t lengths = request->headers.Count("Content-Length");
  const size_t encodings = request->headers.Count("Transfer-Encoding");
  if (lengths > 0 && encodings > 0) {
    return BadRequest("both Content-Length and Transfer-Encoding");
  }
  if (encodings > 0) {
    if (request->version_minor == 0) return BadRequest("Transfer-Encoding in HTTP/1.0");
    if (encodings > 1 || !EqualsIgnoreCase(request->headers.Get("Transfer-Encoding"), "chunked")) {
      return BadRequest("unsupported Transfer-Encoding");
    }
    request->framing = BodyFraming::kChunked;
    return {};
  }
  if (lengths == 0) return {};
  if (lengths > 1) return BadRequest("repeated Content-Length");
  const std::string_view text = request->headers.Get("Content-Length");
  if (text.empty() || text.size() > kContentLengthDigitsMax) {
    return BadRequest("malformed Content-Length");
  }
  uint64_t length = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return BadRequest("malformed Content-Length");
    length = length * 10 + static_cast<uint64_t>(c - '0');
  }
  request->framing = length > 0 ? BodyFraming::kLength : BodyFraming::kNone;
  request->content_length = length;
  return {};
}

bool ListHasToken(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    if (EqualsIgnoreCase(TrimSpace(list.substr(0, comma)), token)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

Refusal DecideConnection(RequestHead* request) {
  const std::string connection = request->headers.Joined("Connection");
  request->keep_alive = request->version_minor == 0 ? ListHasToken(connection, "keep-alive")
                                                    : !ListHasToken(connection, "close");
  if (request->headers.Has("Expect")) {
    if (request->headers.Count("Expect") > 1 ||
        !EqualsIgnoreCase(request->headers.Get("Expect"), "100-continue")) {
      return {417, "unsupported expectation"};
    }
    request->expect_continue =
        request->version_minor == 1 && request->framing != BodyFraming::kNone;
  }
  const size_t hosts = request->headers.Count("Host");
  if (hosts > 1 || (hosts == 0 && request->version_minor == 1)) {
    return BadRequest("missing or repeated Host");
  }
  if (request->host.empty()) request->host = request->headers.Get("Host");
  return {};
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

size_t HeadScanner::Scan(std::string_view bytes, const HeadLimits& limits, Refusal* refusal) {
  while (scanned_ < bytes.size()) {
    const size_t end = bytes.find('\n', scanned_);
    if (end == std::string_view::npos) {
      scanned_ = bytes.size();
      break;
    }
    if (end == line_start_ || bytes[end - 1] != '\r') {
      *refusal = BadRequest("bare LF");
      return kNotYet;
    }
    scanned_ = end + 1;
    if (end - 1 == line_start_) {
      if (line_start_ > 0) return scanned_;
      *refusal = BadRequest("empty request line");
      return kNotYet;
    }
    line_start_ = scanned_;
  }
  if (bytes.size() > limits.head_bytes_max) *refusal = {431, "request head too large"};
  return kNotYet;
}

Refusal ParseHead(std::string_view head, const HeadLimits& limits, RequestHead* request) {
  *request = RequestHead();
  if (head.size() > limits.head_bytes_max) return {431, "request head too large"};
  if (const Refusal refusal = ParseRequestLine(TakeLine(&head), limits, request)) return refusal;
  while (true) {
    const std::string_view line = TakeLine(&head);
    if (line.empty()) break;
    if (line.size() > limits.header_line_bytes_max) return {431, "request header too large"};
    if (request->headers.size() == limits.header_count_max) {
      return {431, "too many request headers"};
    }
    if (const Refusal refusal = ParseHeaderLine(line, request)) return refusal;
  }
  if (const Refusal refusal = DecideFraming(request)) return refusal;
  return DecideConnection(request);
}

Refusal BodyDecoder::Start(BodyFraming framing, uint64_t content_length, size_t body_bytes_max) {
  *this = BodyDecoder();
  body_bytes_max_ = body_bytes_max;
  switch (framing) {
    case BodyFraming::kNone:
      break;
    case BodyFraming::kLength:
      if (content_length > body_bytes_max) return {413, "request body too large"};
      remaining_ = content_length;
      state_ = State::kLength;
      break;
    case BodyFraming::kChunked:
      state_ = State::kChunkSize;
      break;
  }
  return {};
}

size_t BodyDecoder::Consume(std::string_view bytes, std::string_view* content, Refusal* refusal) {
  *content = {};
  if (state_ == State::kLength || state_ == State::kChunkData) {
    const size_t taken = static_cast<size_t>(std::min<uint64_t>(bytes.size(), remaining_));
    *content = bytes.substr(0, taken);
    remaining_ -= taken;
    if (remaining_ == 0) {
      state_ = state_ == State::kLength ? State::kDone : State::kChunkDataCr;
    }
    return taken;
  }
  size_t taken = 0;
  while (taken < bytes.size() && state_ != State::kDone && state_ != State::kChunkData) {
    if (const Refusal step = Step(bytes[taken++])) {
      *refusal = step;
      break;
    }
  }
  return taken;
}

Refusal BodyDecoder::BeginChunk() {
  if (chunk_size_ == 0) {
    state_ = State::kTrailerStart;
    return {};
  }
  if (chunk_size_ > body_bytes_max_ - received_) return {413, "request body too large"};
  received_ += chunk_size_;
  remaining_ = chunk_size_;
  state_ = State::kChunkData;
  return {};
}

Refusal BodyDecoder::Step(char c) {
  static constexpr Refusal kMalformed = BadRequest("malformed chunked body");
  const auto expect = [&](char wanted, State next) -> Refusal {
    if (c != wanted) return kMalformed;
    state_ = next;
    return {};
  };
  switch (state_) {
    case State::kChunkSize: {
      const int digit = HexDigit(c);
      if (digit >= 0) {
        if (++chunk_digits_ > kChunkDigitsMax) return kMalformed;
        chunk_size_ = chunk_size_ << 4 | static_cast<uint64_t>(digit);
        return {};
      }
      if (chunk_digits_ == 0) return kMalformed;
      if (c == ';') {
        state_ = State::kChunkExtension;
        return {};
      }
      return expect('\r', State::kChunkSizeLf);
    }
    case State::kChunkExtension:
    case State::kTrailer:
      if (++overhead_bytes_ > kChunkOverheadBytesMax) {
        return BadRequest("chunk extensions or trailers too large");
      }
      if (c == '\r') {
        state_ = state_ == State::kTrailer ? State::kTrailerLf : State::kChunkSizeLf;
        return {};
      }
      return IsControl(c) && c != '\t' ? kMalformed : Refusal{};
    case State::kChunkSizeLf:
      if (c != '\n') return kMalformed;
      return BeginChunk();
    case State::kChunkDataCr:
      return expect('\r', State::kChunkDataLf);
    case State::kChunkDataLf:
      chunk_size_ = 0;
      chunk_digits_ = 0;
      return expect('\n', State::kChunkSize);
    case State::kTrailerStart:
      if (c == '\r') {
        state_ = State::kEndLf;
        return {};
      }
      if (!kTokenByte[static_cast<unsigned char>(c)]) return kMalformed;
      state_ = State::kTrailer;
      return {};
    case State::kTrailerLf:
      return expect('\n', State::kTrailerStart);
    case State::kEndLf:
      return expect('\n', State::kDone);
    case State::kDone:
    case State::kLength:
    case State::kChunkData:
      break;
  }
  CHECK_MSG(false, "Step in a state that takes whole spans");
}

}  // namespace tocsin::http
