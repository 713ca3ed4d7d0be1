#include "base/http/content_encoding.h"

#include <zlib.h>

#include <algorithm>
#include <string>

namespace tocsin::http {
namespace {

// On a range query's answer (tests/bench/http_bench.cc): level 1 gives a fifth at 310 MB/s of CPU
// time, level 3 a sixth at 245, level 5 a ninth at 160. Processor time is scarcer here than
// network.
constexpr int kLevel = 1;
constexpr int kWindowBits = 15;
constexpr int kGzipWrapper = 16;
constexpr int kMemoryLevel = 8;
constexpr size_t kOutputBytes = 32 * 1024;

std::string_view TrimSpace(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string_view TakeUntil(std::string_view* text, char separator) {
  const size_t end = std::min(text->find(separator), text->size());
  const std::string_view taken = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return TrimSpace(taken);
}

// "0.375" as 375; -1 for what is no weight (RFC 9110 §12.4.2).
int ParseWeight(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return -1;
  int weight = (text[0] - '0') * 1000;
  if (text.size() == 1) return weight;
  if (text[1] != '.') return -1;
  int scale = 100;
  for (const char c : text.substr(2)) {
    if (c < '0' || c > '9') return -1;
    weight += (c - '0') * scale;
    scale /= 10;
  }
  return weight <= 1000 ? weight : -1;
}

struct Coding {
  std::string_view name;
  int weight = 1000;
};

// Takes the next entry off a list. Weights that cannot be read refuse the coding.
Coding TakeCoding(std::string_view* list) {
  std::string_view entry = TakeUntil(list, ',');
  Coding coding;
  coding.name = TakeUntil(&entry, ';');
  while (!entry.empty()) {
    const std::string_view parameter = TakeUntil(&entry, ';');
    if (parameter.size() >= 2 && (parameter[0] == 'q' || parameter[0] == 'Q') &&
        parameter[1] == '=') {
      coding.weight = std::max(ParseWeight(parameter.substr(2)), 0);
    }
  }
  return coding;
}

}  // namespace

std::string_view ContentEncodingName(ContentEncoding encoding) {
  switch (encoding) {
    case ContentEncoding::kIdentity:
      return "identity";
    case ContentEncoding::kGzip:
      return "gzip";
    case ContentEncoding::kDeflate:
      return "deflate";
  }
  return "identity";
}

ContentEncoding NegotiateEncoding(std::string_view accept_encoding) {
  ContentEncoding best = ContentEncoding::kIdentity;
  int best_weight = 0;
  int star_weight = 0;
  bool gzip_listed = false;
  while (!accept_encoding.empty()) {
    const Coding coding = TakeCoding(&accept_encoding);
    ContentEncoding encoding = ContentEncoding::kIdentity;
    if (EqualsIgnoreCase(coding.name, "gzip") || EqualsIgnoreCase(coding.name, "x-gzip")) {
      encoding = ContentEncoding::kGzip;
      gzip_listed = true;
    } else if (EqualsIgnoreCase(coding.name, "deflate")) {
      encoding = ContentEncoding::kDeflate;
    } else {
      if (coding.name == "*") star_weight = coding.weight;
      continue;
    }
    if (coding.weight > best_weight) {
      best = encoding;
      best_weight = coding.weight;
    }
  }
  if (!gzip_listed && star_weight > best_weight) return ContentEncoding::kGzip;
  return best;
}

int EncodingWeight(std::string_view accept_encoding, std::string_view name) {
  int star_weight = -1;
  while (!accept_encoding.empty()) {
    const Coding coding = TakeCoding(&accept_encoding);
    if (EqualsIgnoreCase(coding.name, name)) return coding.weight;
    if (coding.name == "*") star_weight = coding.weight;
  }
  if (star_weight >= 0) return star_weight;
  return name == "identity" ? 1 : 0;
}

struct Compressor::Stream {
  explicit Stream(ContentEncoding encoding) {
    const int wrapper = encoding == ContentEncoding::kGzip ? kGzipWrapper : 0;
    ready = deflateInit2(&zlib, kLevel, Z_DEFLATED, kWindowBits + wrapper, kMemoryLevel,
                         Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~Stream() {
    if (ready) deflateEnd(&zlib);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  bool Run(std::string_view input, int flush, ResponseBody* to) {
    // zlib's interface predates const; it does not write to its input.
    zlib.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(input.data()));
    zlib.avail_in = static_cast<uInt>(input.size());
    unsigned char buffer[kOutputBytes];
    do {
      zlib.next_out = buffer;
      zlib.avail_out = sizeof(buffer);
      if (deflate(&zlib, flush) == Z_STREAM_ERROR) return false;
      to->Append({reinterpret_cast<const char*>(buffer), sizeof(buffer) - zlib.avail_out});
    } while (zlib.avail_out == 0);
    return true;
  }

  z_stream zlib{};
  bool ready = false;
};

Compressor::Compressor() = default;
Compressor::~Compressor() = default;

bool Compressor::Compress(ContentEncoding encoding, ResponseBody* from, ResponseBody* to) {
  std::unique_ptr<Stream>& stream = streams_[encoding == ContentEncoding::kGzip ? 0 : 1];
  if (stream == nullptr) stream = std::make_unique<Stream>(encoding);
  if (!stream->ready || deflateReset(&stream->zlib) != Z_OK) {
    stream.reset();
    return false;
  }
  // A piece is at most a few MiB (AppendPiece); zlib counts input in 32 bits.
  for (std::string_view piece = from->Front(); !piece.empty(); piece = from->Front()) {
    while (!piece.empty()) {
      const std::string_view part = piece.substr(0, size_t{1} << 30);
      if (!stream->Run(part, Z_NO_FLUSH, to)) return false;
      piece.remove_prefix(part.size());
    }
    from->PopFront();
  }
  return stream->Run({}, Z_FINISH, to);
}

}  // namespace tocsin::http
