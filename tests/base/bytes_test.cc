#include "base/bytes.h"

#include <cstdint>
#include <limits>
#include <random>

#include <boost/test/unit_test.hpp>

#include "base/bitstream.h"
#include "base/crc32c.h"

namespace tocsin {
namespace bytes_test {
namespace {

BOOST_AUTO_TEST_SUITE(Bytes)

BOOST_AUTO_TEST_CASE(WhatIsPutIsRead) {
  const uint64_t varints[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};
  const int64_t signeds[] = {0, -1, 1, -64, 64, INT64_MIN, INT64_MAX};
  std::string out;
  PutFixed8(out, 0xfe);
  PutFixed16(out, 0x1234);
  PutFixed32(out, 0xdeadbeef);
  PutFixed64(out, 0x0123456789abcdef);
  PutDouble(out, -0.0);
  for (const uint64_t v : varints) PutVarint(out, v);
  for (const int64_t v : signeds) PutSignedVarint(out, v);
  PutString(out, "tocsin");

  ByteReader in(out);
  BOOST_TEST(in.Fixed8() == 0xfe);
  BOOST_TEST(in.Fixed16() == 0x1234);
  BOOST_TEST(in.Fixed32() == 0xdeadbeef);
  BOOST_TEST(in.Fixed64() == 0x0123456789abcdef);
  BOOST_TEST(std::bit_cast<uint64_t>(in.Double()) == uint64_t{1} << 63);
  for (const uint64_t v : varints) BOOST_TEST(in.Varint() == v);
  for (const int64_t v : signeds) BOOST_TEST(in.SignedVarint() == v);
  BOOST_TEST(in.String() == "tocsin");
  BOOST_TEST(in.ok());
  BOOST_TEST(in.at_end());
}

BOOST_AUTO_TEST_CASE(VarintSizeIsWhatPutVarintWrites) {
  for (int bit = 0; bit < 64; ++bit) {
    for (const uint64_t v : {uint64_t{1} << bit, (uint64_t{1} << bit) - 1}) {
      std::string out;
      PutVarint(out, v);
      BOOST_TEST(out.size() == VarintSize(v));
    }
  }
}

BOOST_AUTO_TEST_CASE(EveryTruncationFailsAndStaysFailed) {
  std::string whole;
  PutVarint(whole, 300);
  PutFixed32(whole, 7);
  PutString(whole, "abc");
  for (size_t cut = 0; cut < whole.size(); ++cut) {
    ByteReader in(std::string_view(whole).substr(0, cut));
    in.Varint();
    in.Fixed32();
    in.String();
    BOOST_TEST(!in.ok());
    BOOST_TEST(in.Fixed8() == 0);
    BOOST_TEST(!in.ok());
  }
}

BOOST_AUTO_TEST_CASE(OverlongVarintsFail) {
  for (const std::string& bytes : {std::string(11, '\xff'), std::string(9, '\xff') + "\x02"}) {
    ByteReader in(bytes);
    in.Varint();
    BOOST_TEST(!in.ok());
  }
  std::string out;
  PutVarint(out, uint64_t{1} << 32);
  ByteReader in(out);
  BOOST_TEST(in.Varint32() == 0);
  BOOST_TEST(!in.ok());
}

BOOST_AUTO_TEST_CASE(BitsOfEveryWidthComeBack) {
  std::mt19937_64 random(7);
  std::vector<std::pair<uint64_t, unsigned>> fields;
  std::string out = "x";
  BitWriter writer(out);
  for (int i = 0; i < 20000; ++i) {
    const auto width = static_cast<unsigned>(random() % 65);
    const uint64_t value = width == 0 ? 0 : random() >> (64 - width);
    fields.emplace_back(value, width);
    writer.Bits(value, width);
  }
  const size_t bits = writer.bit_count();
  writer.Finish();
  BOOST_TEST(out.size() == 1 + (bits + 7) / 8);

  BitReader reader(std::string_view(out).substr(1));
  for (const auto& [value, width] : fields) {
    if (width >= 1 && width <= 32 && random() % 2 == 0) {
      BOOST_REQUIRE_EQUAL(reader.Peek(width), value);
      reader.Skip(width);
    } else {
      BOOST_REQUIRE_EQUAL(reader.Bits(width), value);
    }
  }
  BOOST_TEST(reader.ok());
  BOOST_TEST(reader.remaining_bits() < 8);
}

BOOST_AUTO_TEST_CASE(BitReaderStopsAtItsEnd) {
  BitReader reader("ab");
  BOOST_TEST(reader.Bits(12) == 0x616);
  BOOST_TEST(reader.Peek(8) == 0x20);  // four bits and four zeros
  BOOST_TEST(reader.Bits(5) == 0);
  BOOST_TEST(!reader.ok());
  BOOST_TEST(reader.Bits(1) == 0);
  BitReader empty("");
  BOOST_TEST(!empty.Bit());
  BOOST_TEST(!empty.ok());
}

BOOST_AUTO_TEST_CASE(Crc32cAgreesWithRfc3720AndWithItself) {
  BOOST_TEST(Crc32c(std::string(32, '\0')) == 0x8a9136aau);
  BOOST_TEST(Crc32c(std::string(32, '\xff')) == 0x62a8ab43u);
  BOOST_TEST(Crc32c("123456789") == 0xe3069283u);
  std::mt19937_64 random(3);
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    const uint32_t whole = Crc32c(bytes);
    const size_t cut = bytes.empty() ? 0 : random() % bytes.size();
    const std::string_view view(bytes);
    BOOST_TEST(Crc32cExtendPortable(0, bytes) == whole);
    BOOST_TEST(Crc32cExtend(Crc32c(view.substr(0, cut)), view.substr(cut)) == whole);
    bytes.push_back(static_cast<char>(random()));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bytes_test
}  // namespace tocsin
