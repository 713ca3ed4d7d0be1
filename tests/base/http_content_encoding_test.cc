// Negotiation and compression of answers.
#include "base/http/content_encoding.h"

#include <zlib.h>

#include <boost/test/unit_test.hpp>
#include <string>

namespace tocsin::http {
namespace {
namespace http_content_encoding_test {

std::string Inflate(const std::string& bytes, int window_bits) {
  z_stream zlib{};
  BOOST_REQUIRE(inflateInit2(&zlib, window_bits) == Z_OK);
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  zlib.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  char buffer[4096];
  int code = Z_OK;
  while (code == Z_OK) {
    zlib.next_out = reinterpret_cast<Bytef*>(buffer);
    zlib.avail_out = sizeof(buffer);
    code = inflate(&zlib, Z_NO_FLUSH);
    out.append(buffer, sizeof(buffer) - zlib.avail_out);
  }
  BOOST_TEST(code == Z_STREAM_END);
  inflateEnd(&zlib);
  return out;
}

BOOST_AUTO_TEST_SUITE(HttpContentEncoding)

BOOST_AUTO_TEST_CASE(NegotiatesAsTheListSays) {
  const struct {
    const char* accept;
    const char* want;
  } cases[] = {
      {"", "identity"},
      {"gzip", "gzip"},
      {"GZIP", "gzip"},
      {"deflate, gzip", "deflate"},
      {"gzip, deflate", "gzip"},
      {"gzip;q=0", "identity"},
      {"gzip;q=0, deflate", "deflate"},
      {"gzip;q=0.5, deflate;q=0.8", "deflate"},
      {"gzip; q=1.0 , deflate;q=0.999", "gzip"},
      {"x-gzipped, gzipper", "identity"},
      {"x-br0ken", "identity"},
      {"br, zstd", "identity"},
      {"br;q=1.0, gzip;q=0.8, *;q=0.1", "gzip"},
      {"*", "gzip"},
      {"*;q=0", "identity"},
      {"gzip;q=0, *", "identity"},
      {"gzip;q=abc", "identity"},
      {"gzip;q=2", "identity"},
      {",,gzip,,", "gzip"},
      {"identity;q=1, gzip;q=0.1", "gzip"},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.accept) {
      BOOST_TEST(ContentEncodingName(NegotiateEncoding(c.accept)) == c.want);
    }
  }
}

BOOST_AUTO_TEST_CASE(WeighsOneEncoding) {
  BOOST_TEST(EncodingWeight("br;q=0.25, gzip", "br") == 250);
  BOOST_TEST(EncodingWeight("gzip", "br") == 0);
  BOOST_TEST(EncodingWeight("*;q=0.5", "br") == 500);
  BOOST_TEST(EncodingWeight("gzip", "identity") == 1);
  BOOST_TEST(EncodingWeight("identity;q=0", "identity") == 0);
}

BOOST_AUTO_TEST_CASE(CompressesWhatInflatesBack) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "{\"job\":\"node\",\"n\":" + std::to_string(i) + "}";
  Compressor compressor;
  for (int round = 0; round < 2; ++round) {
    for (const auto encoding : {ContentEncoding::kGzip, ContentEncoding::kDeflate}) {
      Budget budget("test", 64 << 20);
      ResponseBody from(&budget);
      ResponseBody to(&budget);
      from.Append(text);
      BOOST_TEST(compressor.Compress(encoding, &from, &to));
      BOOST_TEST(from.empty());
      BOOST_TEST(to.size() * 4 < text.size());
      const int window = encoding == ContentEncoding::kGzip ? 15 + 16 : 15;
      BOOST_TEST((Inflate(to.ToString(), window) == text));
      to.Flush();
      BOOST_TEST(budget.used() == to.size());
    }
  }
}

BOOST_AUTO_TEST_CASE(BodiesKeepToTheBudget) {
  Budget budget("test", 100'000);
  {
    ResponseBody body(&budget);
    body.Append(std::string(90'000, 'x'));
    body.Flush();
    BOOST_TEST(budget.used() == 90'000u);
    body.Append(std::string(90'000, 'x'));
    body.Flush();
    BOOST_TEST(body.overflowed());
    BOOST_TEST(body.empty());
    BOOST_TEST(budget.used() == 0u);
  }
  ResponseBody body(&budget);
  body.AppendPiece("one");
  body.Append("two");
  ResponseBody moved = std::move(body);
  BOOST_TEST(moved.ToString() == "onetwo");
  BOOST_TEST(moved.Front() == "one");
  moved.PopFront();
  BOOST_TEST(moved.Front() == "two");
  moved.PopFront();
  BOOST_TEST(moved.Front() == "");
  BOOST_TEST(budget.used() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http_content_encoding_test
}  // namespace
}  // namespace tocsin::http
