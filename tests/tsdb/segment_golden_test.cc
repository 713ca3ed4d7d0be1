// Segments of every format version, kept: today's bytes equal them, and they read as they did.
#include <zstd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>

#include "base/mem_env.h"
#include "tests/tsdb/segment_model.h"
#include "tsdb/segment/column_codec.h"
#include "tsdb/segment/merge.h"
#include "tsdb/segment/segment_file.h"

namespace tocsin::tsdb::segment_test {
namespace {

BOOST_AUTO_TEST_SUITE(SegmentGolden_)

// The samples of the golden files.
Model GoldenModel() {
  const SeriesName up{{OriginKind::kScrape, "node/http://host:9100/metrics"},
                      Labels::FromPairs({{"instance", "host:9100"}, {"job", "node"}}),
                      Labels::FromPairs({{"__name__", "up"}})};
  SeriesName cpu = up;
  cpu.key = Labels::FromPairs({{"__name__", "node_cpu_seconds_total"}, {"mode", "idle"}});
  SeriesName latency{{OriginKind::kPush, "sender"},
                     Labels(),
                     Labels::FromPairs({{"__name__", "latency"}, {"job", "api"}})};
  Model model;
  for (int r = 0; r < 1030; ++r) {
    const Timestamp t = kStart + r * 15000 + r % 3;
    model.rows[Model::SourceText(up)].push_back(t);
    const auto put = [&](const SeriesName& name, Timestamp at, Sample sample) {
      model.names[name.ToString()] = name;
      model.series[name.ToString()][at] = sample;
    };
    put(up, t, {false, std::bit_cast<uint64_t>(1.0), 0});
    const double seconds = r == 500 ? model::StaleMarker() : 1000 + r * r / 8 * 0.25;
    if (r % 7 != 3) put(cpu, t, {false, std::bit_cast<uint64_t>(seconds), kStart});
    if (r < 20) {
      model.rows[Model::SourceText(latency)].push_back(t);
      const bool is_histogram = r % 2 == 1;
      const auto bits = is_histogram ? static_cast<uint64_t>(r) : std::bit_cast<uint64_t>(r / 3.0);
      put(latency, t - 7, {is_histogram, bits, 0});
    }
  }
  return model;
}

std::string GoldenPath(int version) {
  return std::string(TOCSIN_SOURCE_DIR) + "/tests/tsdb/testdata/segment_v" +
         std::to_string(version) + ".seg";
}

// Another version of the library may pack an index otherwise: then only what is read counts.
constexpr unsigned kGoldenZstd = 10504;

void CompareBytes(const std::string& bytes, const std::string& path) {
  if (std::getenv("TOCSIN_WRITE_GOLDEN") != nullptr) {
    BOOST_REQUIRE(Env::Default().WriteFileAtomically(path, bytes).ok());
  }
  const Result<std::string> golden = Env::Default().ReadFile(path);
  RequireOk(golden);
  if (ZSTD_versionNumber() != kGoldenZstd) {
    BOOST_TEST_MESSAGE("bytes not compared: zstd " << ZSTD_versionString());
    return;
  }
  const bool same_bytes = bytes == *golden;
  BOOST_TEST(same_bytes);
}

void RequireGoldenSamples(int version) {
  const Model model = GoldenModel();
  const auto reader = OpenOrFail(Env::Default(), GoldenPath(version));
  BOOST_TEST(reader->Verify().ok());
  const bool same_samples = ReadAll(*reader, {}, TimeRange()) == Expected(model, {}, TimeRange());
  BOOST_TEST(same_samples);
}

BOOST_AUTO_TEST_CASE(R12GoldenFilesOfOlderFormatVersionsAreRead) {
  RequireGoldenSamples(1);
  RequireGoldenSamples(2);
  RequireGoldenSamples(3);
}

// The bytes of the format's version, once and for all: what is written today equals them, and they
// read as they did. TOCSIN_WRITE_GOLDEN=1 writes the file anew, which only a new version may do.
BOOST_AUTO_TEST_CASE(GoldenFileOfFormatVersion5) {
  SegmentMeta meta;
  for (size_t i = 0; i < meta.id.bytes.size(); ++i) meta.id.bytes[i] = static_cast<uint8_t>(i);
  meta.level = 1;
  meta.shard = 2;
  meta.generation = 300;
  meta.fingerprint_seed = kSeed;
  meta.cuts = {{2, kStart, 77}, {2, kStart + kWindowMs, 80}};
  meta.replaces = {SegmentId{{1, 2, 3}}};
  MemEnv env;
  const SegmentMeta written = Write(env, "golden.seg", GoldenModel(), meta);
  const std::string bytes = *env.ReadFile("golden.seg");
  const std::string path = GoldenPath(5);
  CompareBytes(bytes, path);
  const auto reader = OpenOrFail(Env::Default(), path);
  BOOST_TEST((reader->meta() == written));
  RequireGoldenSamples(5);
}

// What only a day has: entropy coding, references, residuals, near decimals, histogram columns;
// with `related`, columns told by others of their source, by two of them, and by the negative of
// one.
Model GoldenDay(bool related) {
  Model model;
  SeriesName name{{OriginKind::kScrape, "api"}, Labels::FromPairs({{"job", "api"}}), Labels()};
  uint64_t noise = 1;
  double requests = 0;
  double fast = 0;
  double seconds = 0;
  double random_walk = 0.5;
  double freed = 0;
  for (int r = 0; r < 1500; ++r) {
    const Timestamp t = kStart + r * 15000 + r % 5;
    model.rows[Model::SourceText(name)].push_back(t);
    noise = noise * 6364136223846793005 + 1442695040888963407;
    const auto below = [noise](unsigned shift, uint64_t n) {
      return static_cast<double>((noise >> shift) % n);
    };
    requests += below(40, 100) < 80 ? 0 : below(33, 30);
    fast = requests - below(50, 3);
    seconds += below(36, 5000) * 1e-6;
    random_walk = random_walk * 0.75 + below(20, uint64_t{1} << 40) / 3e12;
    const auto put = [&](std::string_view metric, std::string_view le, double value) {
      name.key = Labels::FromPairs({{"__name__", metric}, {"le", le}});
      model.names[name.ToString()] = name;
      model.series[name.ToString()][t] = {false, std::bit_cast<uint64_t>(value), 0};
    };
    put("req_bucket", "+Inf", requests);
    put("req_bucket", "1", fast);
    put("req_count", "", requests);
    put("req_sum", "", seconds);
    put("walk", "", random_walk);
    put("pages", "", 4096 * (1000 + below(30, 40)));
    put("noise", "", below(10, uint64_t{1} << 30) / 1000);
    if (related) {
      const double live = below(12, 1 << 20);
      freed += below(25, 1 << 18);
      put("heap_0_freed", "", freed);
      put("heap_1_live", "", live);
      put("heap_2_allocated", "", freed + live);
      const double other = below(44, 1 << 19);
      put("heap_1_other", "", other);
      put("heap_3_free", "", (1 << 21) - other);
      put("heap_4_gone", "", freed - live + below(40, 3));
    }
    name.key = Labels::FromPairs({{"__name__", "native"}});
    model.names[name.ToString()] = name;
    model.series[name.ToString()][t] = {true, static_cast<uint64_t>(requests), 0};
  }
  return model;
}

std::string GoldenDayPath(int version) {
  return std::string(TOCSIN_SOURCE_DIR) + "/tests/tsdb/testdata/segment_v" +
         std::to_string(version) + "_day.seg";
}

void RequireGoldenDay(int version, const Model& model) {
  const auto reader = OpenOrFail(Env::Default(), GoldenDayPath(version));
  BOOST_TEST(reader->Verify().ok());
  const bool same_samples = ReadAll(*reader, {}, TimeRange()) == Expected(model, {}, TimeRange());
  BOOST_TEST(same_samples);
  // One column of a chain, and a part of its rows.
  for (const char* le : {"1", "+Inf"}) {
    const MatcherSet bucket = {Matcher::Equal("__name__", "req_bucket"), Matcher::Equal("le", le)};
    const TimeRange part{kStart + 1100 * 15000, kStart + 1200 * 15000};
    const bool same_part = ReadAll(*reader, bucket, part) == Expected(model, bucket, part);
    BOOST_TEST(same_part);
  }
}

// Columns by what tells them.
std::map<std::string, std::string> ReferencesOf(const SegmentFile& file) {
  std::map<std::string, std::string> ways;
  const Status status = file.ForEachColumn([&](const ColumnRef& ref) {
    if ((ref.flags & kColumnReference) == 0) return true;
    ByteReader in(*file.Bytes(ref.offset, ref.length));
    if ((ref.flags & kColumnOwnAxis) != 0) in.Varint32();
    ColumnReference reference;
    BOOST_REQUIRE(DecodeReference(&in, &reference));
    static const char* const kWays[] = {"one", "negative", "sum", "difference"};
    const std::string name((*file.KeyLabels(ref.key)).MetricName());
    ways[name] = kWays[static_cast<size_t>(reference.way)];
    return true;
  });
  BOOST_REQUIRE(status.ok());
  return ways;
}

BOOST_AUTO_TEST_CASE(GoldenDayOfFormatVersion3IsRead) { RequireGoldenDay(3, GoldenDay(false)); }

BOOST_AUTO_TEST_CASE(GoldenDayOfFormatVersion5) {
  MemEnv env;
  SegmentMeta meta;
  meta.id.bytes[0] = 7;
  meta.level = 1;
  meta.fingerprint_seed = kSeed;
  meta.cuts = {{2, kStart, 77}};
  const Model model = GoldenDay(true);
  Write(env, "l1.seg", model, meta);
  const std::shared_ptr<const SegmentReader> input = OpenOrFail(env, "l1.seg");
  SegmentMeta day;
  day.id.bytes[0] = 8;
  day.level = kMaxSegmentLevel;
  day.fingerprint_seed = kSeed;
  RequireOk(MergeSegments(env, {{input}}, "day.seg", day, {}));
  CompareBytes(*env.ReadFile("day.seg"), GoldenDayPath(5));
  RequireGoldenDay(5, model);
  const auto reader = OpenOrFail(env, "day.seg");
  std::map<std::string, std::string> ways = ReferencesOf(static_cast<const SegmentFile&>(*reader));
  BOOST_TEST(ways["heap_2_allocated"] == "sum");
  BOOST_TEST(ways["heap_3_free"] == "negative");
  BOOST_TEST(ways["heap_4_gone"] == "difference");
  BOOST_TEST(ways["req_count"] == "one");
  // Each alone, with nothing decoded before it, in a part of the day.
  for (const auto& [name, way] : ways) {
    const MatcherSet one = {Matcher::Equal("__name__", name)};
    for (const TimeRange range : {TimeRange(), TimeRange{kStart + 900 * 15000, kStart * 2}}) {
      const bool same = ReadAll(*reader, one, range) == Expected(model, one, range);
      BOOST_TEST(same, name << " by " << way);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::tsdb::segment_test
