// The front's parser: what is a request, what is refused, where it ends.
#include "base/http/request_parser.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

namespace tocsin::http {
namespace {
namespace http_request_parser_test {

struct Parsed {
  Refusal refusal;
  RequestHead head;
  std::string body;
  size_t taken = 0;
  bool done = false;
};

// Feeds `bytes` in pieces of `step` as a connection would.
Parsed ParseAll(const std::string& bytes, size_t step, size_t body_bytes_max = 1 << 20) {
  Parsed parsed;
  const HeadLimits limits;
  HeadScanner scanner;
  size_t head_bytes = HeadScanner::kNotYet;
  size_t given = 0;
  while (head_bytes == HeadScanner::kNotYet) {
    if (given == bytes.size()) return parsed;
    given = std::min(given + step, bytes.size());
    head_bytes = scanner.Scan(std::string_view(bytes).substr(0, given), limits, &parsed.refusal);
    if (parsed.refusal) return parsed;
  }
  parsed.refusal = ParseHead(std::string_view(bytes).substr(0, head_bytes), limits, &parsed.head);
  if (parsed.refusal) return parsed;
  BodyDecoder decoder;
  parsed.refusal = decoder.Start(parsed.head.framing, parsed.head.content_length, body_bytes_max);
  size_t at = head_bytes;
  while (!parsed.refusal && !decoder.done() && at < bytes.size()) {
    std::string_view content;
    at += decoder.Consume(std::string_view(bytes).substr(at, step), &content, &parsed.refusal);
    parsed.body += content;
  }
  parsed.done = decoder.done() && !parsed.refusal;
  parsed.taken = at;
  return parsed;
}

const std::string kGet = "GET /x HTTP/1.1\r\nHost: h\r\n";
const std::string kPost = "POST /x HTTP/1.1\r\nHost: h\r\n";

BOOST_AUTO_TEST_SUITE(HttpRequestParser)

BOOST_AUTO_TEST_CASE(RefusesWhatIsNotCleanHttp) {
  const struct {
    const char* name;
    std::string bytes;
    int status;
  } cases[] = {
      {"both lengths", kPost + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"repeated length", kPost + "Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde", 400},
      {"repeated equal length", kPost + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
      {"list of lengths", kPost + "Content-Length: 3, 3\r\n\r\nabc", 400},
      {"signed length", kPost + "Content-Length: +3\r\n\r\nabc", 400},
      {"hex length", kPost + "Content-Length: 0x3\r\n\r\nabc", 400},
      {"empty length", kPost + "Content-Length:\r\n\r\n", 400},
      {"length over 64 bits", kPost + "Content-Length: 99999999999999999999\r\n\r\n", 400},
      {"gzip, chunked", kPost + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
      {"identity", kPost + "Transfer-Encoding: identity\r\n\r\n", 400},
      {"xchunked", kPost + "Transfer-Encoding: xchunked\r\n\r\n", 400},
      {"chunked twice", kPost + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
       400},
      {"chunked in 1.0", "POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"bare LF after request line", "GET /x HTTP/1.1\nHost: h\r\n\r\n", 400},
      {"bare LF after header", "GET /x HTTP/1.1\r\nHost: h\n\r\n", 400},
      {"bare LF at end", "GET /x HTTP/1.1\r\nHost: h\r\n\n", 400},
      {"bare CR", "GET /x HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", 400},
      {"folded header", kGet + "X: a\r\n b\r\n\r\n", 400},
      {"folded with tab", kGet + "X: a\r\n\tb\r\n\r\n", 400},
      {"fold right after the request line", "GET /x HTTP/1.1\r\n Host: h\r\n\r\n", 400},
      {"space before colon", kGet + "X : a\r\n\r\n", 400},
      {"no colon", kGet + "X\r\n\r\n", 400},
      {"empty name", kGet + ": a\r\n\r\n", 400},
      {"NUL in a value", kGet + std::string("X: a\0b\r\n\r\n", 10), 400},
      {"DEL in a value", kGet + "X: a\x7f\r\n\r\n", 400},
      {"no host", "GET /x HTTP/1.1\r\n\r\n", 400},
      {"two hosts", kGet + "Host: other\r\n\r\n", 400},
      {"two hosts in 1.0", "GET /x HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"no version", "GET /x\r\nHost: h\r\n\r\n", 400},
      {"space in the target", "GET /x y HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"two spaces", "GET  /x HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"tab in the target", "GET /x\ty HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"relative target", "GET x HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"no method", " /x HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"method with colon", "G:T /x HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"HTTP/1.2", "GET /x HTTP/1.2\r\nHost: h\r\n\r\n", 505},
      {"lower-case http", "GET /x http/1.1\r\nHost: h\r\n\r\n", 400},
      {"TLS hello", std::string("\x16\x03\x01\x02\x00\x01\x00\n", 8), 400},
      {"empty line first", "\r\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"unknown expectation", kPost + "Content-Length: 1\r\nExpect: tea\r\n\r\n", 417},
      {"declared body too large", kPost + "Content-Length: 1048577\r\n\r\n", 413},
      {"chunked body too large", kPost + "Transfer-Encoding: chunked\r\n\r\n100001\r\n", 413},
      {"chunk size over 64 bits", kPost + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
       400},
      {"chunk without size", kPost + "Transfer-Encoding: chunked\r\n\r\n\r\n", 400},
      {"chunk size with sign", kPost + "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
      {"chunk size then space", kPost + "Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n", 400},
      {"chunk size, bare LF", kPost + "Transfer-Encoding: chunked\r\n\r\n1\na\r\n", 400},
      {"chunk data without CRLF", kPost + "Transfer-Encoding: chunked\r\n\r\n1\r\nab", 400},
      {"chunk data, bare LF", kPost + "Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n", 400},
      {"trailer with LF", kPost + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n", 400},
      {"long extension", kPost + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(20'000, 'x'),
       400},
      {"long trailers",
       kPost + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + std::string(20'000, 'x'), 400},
      {"long header line", kGet + "X: " + std::string(9'000, 'x') + "\r\n\r\n", 431},
      {"long path", "GET /" + std::string(8'000, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
      {"long target", "GET /x?" + std::string(600'000, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
      {"endless head", kGet + "X: " + std::string(1'100'000, 'x'), 431},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      for (const size_t step : {size_t{1} << 21, size_t{1021}}) {
        BOOST_TEST(ParseAll(c.bytes, step).refusal.status == c.status);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(CountsHeaders) {
  const auto with_headers = [](int count) {
    std::string bytes = "GET /x HTTP/1.1\r\nHost: h\r\n";
    for (int i = 1; i < count; ++i) bytes += "X: y\r\n";
    return ParseAll(bytes + "\r\n", 4096).refusal.status;
  };
  BOOST_TEST(with_headers(100) == 0);
  BOOST_TEST(with_headers(101) == 431);
}

BOOST_AUTO_TEST_CASE(EndsARequestWhereItEndsHoweverItArrives) {
  const struct {
    const char* name;
    std::string bytes;
    std::string body;
  } cases[] = {
      {"no body", kGet + "\r\n", ""},
      {"length 0", kPost + "Content-Length: 0\r\n\r\n", ""},
      {"length", kPost + "Content-Length: 5\r\n\r\na\nb\0c", "a\nb\0c"},
      {"chunks",
       kPost + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1A\r\n" + std::string(26, 'z') +
           "\r\n0\r\n\r\n",
       "abc" + std::string(26, 'z')},
      {"any case, extension, trailer",
       kPost + "TRANSFER-encoding: Chunked\r\n\r\n01;a=b\r\nx\r\n000\r\nX: y\r\nZ: w\r\n\r\n", "x"},
  };
  for (auto c : cases) {
    BOOST_TEST_CONTEXT(c.name) {
      if (std::string(c.name) == "length") {
        c.bytes = kPost + "Content-Length: 5\r\n\r\n" + std::string("a\nb\0c", 5);
        c.body = std::string("a\nb\0c", 5);
      }
      for (const size_t step : {1, 2, 3, 7, 4096}) {
        const Parsed parsed = ParseAll(c.bytes + "GET /next", step);
        BOOST_TEST(parsed.done);
        BOOST_TEST(parsed.body == c.body);
        BOOST_TEST(parsed.taken == c.bytes.size());
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(ReadsTheHead) {
  Parsed p =
      ParseAll("GET /a%20b?q=1?2 HTTP/1.1\r\nhOsT: h:1\r\nX-A: \t v w \t\r\nX-a: 2\r\n\r\n", 9);
  BOOST_TEST(p.refusal.status == 0);
  BOOST_TEST(p.head.path == "/a%20b");
  BOOST_TEST(p.head.raw_query == "q=1?2");
  BOOST_TEST(p.head.host == "h:1");
  BOOST_TEST(p.head.headers.Get("x-a") == "v w");
  BOOST_TEST(p.head.headers.Joined("X-A") == "v w, 2");
  BOOST_TEST(p.head.keep_alive);

  p = ParseAll("GET http://other:80?x HTTP/1.1\r\nHost: h\r\n\r\n", 99);
  BOOST_TEST(p.head.path == "/");
  BOOST_TEST(p.head.raw_query == "x");
  BOOST_TEST(p.head.host == "other:80");

  p = ParseAll("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 99);
  BOOST_TEST(p.head.path == "*");
}

BOOST_AUTO_TEST_CASE(KnowsWhetherTheConnectionLives) {
  const struct {
    const char* head;
    bool keep_alive;
  } cases[] = {
      {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", true},
      {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false},
      {"GET / HTTP/1.1\r\nHost: h\r\nConnection: x, CLOSE\r\n\r\n", false},
      {"GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n", true},
      {"GET / HTTP/1.0\r\n\r\n", false},
      {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.head) { BOOST_TEST(ParseAll(c.head, 99).head.keep_alive == c.keep_alive); }
  }
}

BOOST_AUTO_TEST_CASE(ExpectsOnlyBeforeABody) {
  BOOST_TEST(ParseAll(kPost + "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n", 9)
                 .head.expect_continue);
  BOOST_TEST(!ParseAll(kPost + "Expect: 100-continue\r\n\r\n", 9).head.expect_continue);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http_request_parser_test
}  // namespace
}  // namespace tocsin::http
