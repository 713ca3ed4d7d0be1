// Records of Prometheus' logs and an XOR2 chunk, byte by byte as the reference's sources describe
// them, written by hand: not by an encoder of ours.
#include <bit>
#include <boost/test/unit_test.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tsdb/prometheus/chunk.h"
#include "tsdb/prometheus/wal_records.h"

namespace tocsin::tsdb::prometheus_records_test {
namespace {

using model::Histogram;
using model::Timestamp;

std::string FromHex(std::string_view text) {
  std::string bytes;
  int high = -1;
  for (const char c : text) {
    if (c == ' ') continue;
    const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<char>(high << 4 | digit));
      high = -1;
    }
  }
  return bytes;
}

std::string FromBits(std::string_view text) {
  std::string bytes;
  int filled = 0;
  for (const char c : text) {
    if (c == ' ') continue;
    if (filled % 8 == 0) bytes.push_back(0);
    if (c == '1') bytes.back() = static_cast<char>(bytes.back() | 1 << (7 - filled % 8));
    ++filled;
  }
  return bytes;
}

// What was visited, as text.
class Listener final : public PrometheusLogVisitor {
 public:
  void OnSeries(uint64_t series, const model::Labels& labels) override {
    out << "series " << series << " " << labels.ToString() << "; ";
  }
  void OnSample(uint64_t series, Timestamp t, double value, Timestamp start_ms) override {
    out << series << " " << t << " " << value << " since " << start_ms << "; ";
  }
  void OnHistogram(uint64_t series, Timestamp t, Histogram h, Timestamp start_ms) override {
    out << series << " " << t << " " << (h.integer ? "integer" : "float") << " hint "
        << static_cast<int>(h.hint) << " schema " << h.schema << " zero " << h.zero_count << "/"
        << h.zero_threshold << " count " << h.count << " sum " << h.sum << " +";
    for (const auto& span : h.positive_spans) out << " " << span.offset << ":" << span.length;
    for (const double bucket : h.positive_buckets) out << " " << bucket;
    out << " -";
    for (const auto& span : h.negative_spans) out << " " << span.offset << ":" << span.length;
    for (const double bucket : h.negative_buckets) out << " " << bucket;
    out << " bounds";
    for (const double bound : h.custom_values) out << " " << bound;
    out << " since " << start_ms << "; ";
  }
  void OnDeletion(uint64_t series, model::TimeRange range) override {
    out << "delete " << series << " " << range.min_ms << ".." << range.max_ms << "; ";
  }
  void OnExemplar(uint64_t series, const model::Exemplar& e) override {
    out << "exemplar " << series << " " << e.timestamp_ms << " " << e.value << " "
        << model::Labels::FromPacked(e.labels).ToString() << "; ";
  }
  void OnMetadata(uint64_t series, const model::Metadata& m) override {
    out << "metadata " << series << " " << model::MetricTypeName(m.type) << " " << m.unit << " "
        << m.help << "; ";
  }
  void OnChunkMarker(uint64_t series) override { out << "marker " << series << "; "; }
  void OnUnknown(uint8_t type) override { out << "unknown " << int{type} << "; "; }
  std::ostringstream out;
};

struct Case {
  const char* name;
  const char* hex;
  const char* want;
};

constexpr Case kCases[] = {
    {"samples 2: reference, time, start of the first; then differences to the one before, to the "
     "first time, and a marker: same, explicit (from the first start), none",
     "0b 0a d00f 880e 3ff0000000000000"
     "   02 1e 01 4000000000000000"
     "   01 3c 02 c801 4008000000000000"
     "   00 5a 00 4010000000000000",
     "5 1000 1 since 900; 6 1015 2 since 900; 5 1030 3 since 1000; 5 1045 4 since 0; "},
    {"integer histograms with custom buckets",
     "09 0000000000000007 00000000000003e8"
     "   00 00 00 69 0000000000000000 00 05 4004000000000000"
     "   01 00 02  00  02 04 02  00  01 3fe0000000000000",
     "7 1000 integer hint 0 schema -53 zero 0/0 count 5 sum 2.5 + 0:2 2 3 - bounds 0.5 since 0; "},
    {"integer gauge histogram, both sides",
     "07 0000000000000007 00000000000003e8"
     "   04 0a 03 06 3f50624dd2f1a9fc 01 06 c000000000000000"
     "   01 03 02  01 00 01  02 02 01  01 04",
     "9 1005 integer hint 3 schema 3 zero 1/0.001 count 6 sum -2 + -2:2 1 0 - 0:1 2 bounds since "
     "0; "},
    {"float histograms 2",
     "0d 0a d00f 880e"
     "   00 00 0000000000000000 3fe0000000000000 3ff8000000000000 4000000000000000"
     "   01 02 01  00  01 3ff0000000000000  00"
     "   00 02 01"
     "   01 00 0000000000000000 3fe0000000000000 3ff8000000000000 4000000000000000"
     "   01 02 01  00  01 3ff0000000000000  00",
     "5 1000 float hint 0 schema 0 zero 0.5/0 count 1.5 sum 2 + 1:1 1 - bounds since 900; "
     "5 1001 float hint 1 schema 0 zero 0.5/0 count 1.5 sum 2 + 1:1 1 - bounds since 900; "},
    {"metadata", "06 ac02 03 02 04 554e4954 07 7365636f6e6473 04 48454c50 01 68",
     "metadata 300 histogram seconds h; "},
    {"exemplars", "04 0000000000000007 00000000000003e8 02 0a 3ff0000000000000 01 01 61 01 62",
     "exemplar 8 1005 1 {a=\"b\"}; "},
    {"the time of a checkpoint", "0e 00000000000003e8", ""},
    {"a later type", "0f 00", "unknown 15; "},
};

}  // namespace

BOOST_AUTO_TEST_SUITE(PrometheusRecordsSuite)

BOOST_AUTO_TEST_CASE(RecordsMeanWhatTheReferenceMeans) {
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      Listener listener;
      uint64_t rounded = 0;
      const std::string record = FromHex(c.hex);
      const Status status = VisitPrometheusRecord(record, &listener, &rounded);
      BOOST_TEST(status.ok(), status.ToString());
      BOOST_TEST(listener.out.str() == c.want);
      // Cut anywhere it is damaged, or has fewer entries.
      for (size_t length = 1; length < record.size(); ++length) {
        Listener ignored;
        static_cast<void>(VisitPrometheusRecord(record.substr(0, length), &ignored, &rounded));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(AnXor2ChunkByHand) {
  const std::string chunk =
      FromHex("0007 00  d00f 3ff0000000000000  0f") +  // samples, no starts; 1000 ms, 1; 15 ms on
      FromBits(
          "0"                                                // the same value
          "0"                                                // after the same time, too
          "110 0000000000001  110 00001 001011 11111111111"  // 1 ms later: 2, a new window
          "11111"                                            // stale after the same time
          "0"                                                // and back at 2
          "110 1111111111111  10 00000000001");              // 1 ms sooner, in that window
  ChunkSamples samples;
  const Status status = DecodeChunk(static_cast<uint8_t>(ChunkEncoding::kXor2), chunk, &samples);
  BOOST_TEST(status.ok(), status.ToString());
  BOOST_TEST(
      (samples.timestamps == std::vector<Timestamp>{1000, 1015, 1030, 1046, 1062, 1078, 1093}));
  const uint64_t two = std::bit_cast<uint64_t>(2.0);
  const double last = std::bit_cast<double>(two ^ uint64_t{1} << 52);
  const std::vector<double> want = {1, 1, 1, 2, model::StaleMarker(), 2, last};
  BOOST_REQUIRE_EQUAL(samples.values.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i)
    BOOST_TEST(std::bit_cast<uint64_t>(samples.values[i]) == std::bit_cast<uint64_t>(want[i]));
}

BOOST_AUTO_TEST_CASE(AnXor2ChunkWithStartsByHand) {
  const std::string chunk =
      FromHex("0004 82  d00f 3ff0000000000000 c801  0f") +  // start known, changes at sample 2
      FromBits(
          "0"         // 1015: the same value, the same start: 900
          "0 10 001"  // 1030: 1015 - start = 1
          "0 0");     // 1045: 1030 - start = 1 still
  ChunkSamples samples;
  const Status status = DecodeChunk(static_cast<uint8_t>(ChunkEncoding::kXor2), chunk, &samples);
  BOOST_TEST(status.ok(), status.ToString());
  BOOST_TEST((samples.timestamps == std::vector<Timestamp>{1000, 1015, 1030, 1045}));
  BOOST_TEST((samples.starts == std::vector<Timestamp>{900, 900, 1014, 1029}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::prometheus_records_test
