// The HTTP front's parser: bytes as a client may send them, cut anywhere. However they are cut, the
// same requests come out, and what is accepted keeps to the bounds.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/http/content_encoding.h"
#include "base/http/form.h"
#include "base/http/listen_socket.h"
#include "base/http/request_parser.h"
#include "base/http/router.h"

namespace tocsin::http {
namespace {

constexpr size_t kBodyBytesMax = 1000;

// Every request in `bytes`, and the refusal that ends them, as one text.
std::string Describe(std::string_view bytes, size_t step) {
  const HeadLimits limits{.head_bytes_max = 4096,
                          .target_bytes_max = 512,
                          .path_bytes_max = 256,
                          .header_line_bytes_max = 256,
                          .header_count_max = 10};
  std::string out;
  while (!bytes.empty()) {
    HeadScanner scanner;
    Refusal refusal;
    size_t given = 0;
    size_t head_bytes = HeadScanner::kNotYet;
    while (head_bytes == HeadScanner::kNotYet && !refusal && given < bytes.size()) {
      given = std::min(given + step, bytes.size());
      head_bytes = scanner.Scan(bytes.substr(0, given), limits, &refusal);
    }
    // How much of an endless head was given when it was refused depends on the cut.
    if (refusal || head_bytes == HeadScanner::kNotYet) return out + "|refused";
    CHECK(head_bytes <= given);
    RequestHead head;
    refusal = ParseHead(bytes.substr(0, head_bytes), limits, &head);
    if (refusal) return out + "|refused";
    CHECK(head.path == "*" || head.path.starts_with('/'));
    CHECK(head.headers.size() <= limits.header_count_max);
    bytes.remove_prefix(head_bytes);

    BodyDecoder decoder;
    refusal = decoder.Start(head.framing, head.content_length, kBodyBytesMax);
    std::string body;
    while (!refusal && !decoder.done() && !bytes.empty()) {
      std::string_view content;
      const size_t taken = decoder.Consume(bytes.substr(0, step), &content, &refusal);
      CHECK(taken > 0 && taken <= bytes.size());
      body += content;
      bytes.remove_prefix(taken);
    }
    CHECK(body.size() <= kBodyBytesMax);
    out += "|" + head.method + " " + head.path + "?" + head.raw_query + " " + head.host + " " +
           std::to_string(head.headers.size()) + " " + body;
    if (refusal) return out + "|refused";
    if (!decoder.done()) return out + "|unfinished";
  }
  return out;
}

void TryTextParsers(std::string_view bytes) {
  FormParams params;
  params.Parse(bytes);
  (void)NegotiateEncoding(bytes);
  (void)HostWithoutPort(bytes);
  (void)ParseListenAddress(bytes);
  static const Router router = [] {
    Router r;
    const Handler nothing = [](const HttpRequest&, HttpResponse*) {};
    r.Add({.methods = {"GET"}, .pattern = "/a/{}/b", .handler = nothing});
    r.Add({.methods = {"POST"}, .pattern = "/a/{*}", .handler = nothing});
    return r;
  }();
  (void)router.Find("GET", bytes);
}

}  // namespace

int FuzzHttpRequest(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = Describe(bytes, std::max<size_t>(size, 1));
  for (const size_t step : {size_t{1}, size_t{3}, size_t{64}})
    CHECK(Describe(bytes, step) == whole);
  TryTextParsers(bytes);
  return 0;
}

}  // namespace tocsin::http

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return tocsin::http::FuzzHttpRequest(data, size);
}
