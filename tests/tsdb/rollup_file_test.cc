// Rollup files: what is written is read, in this version and the golden one; damage is refused.
#include "tsdb/rollup/rollup_file.h"

#include <bit>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <random>

#include "base/mem_env.h"
#include "tsdb/rollup/rollup_writer.h"
#include "tsdb/segment/writer.h"

namespace tocsin::tsdb::rollup_file_test {
namespace {

using model::Column;
using model::Facts;
using model::Labels;
using model::Timestamp;

constexpr int64_t kBucketMs = 300'000;
constexpr Timestamp kStart = MemEnv::kStartMs;
constexpr uint64_t kSeed = 7;

struct Series {
  std::string name;
  std::vector<Timestamp> timestamps;
  std::vector<double> values;

  Column column() const {
    Column c;
    c.timestamps = timestamps;
    c.values = values;
    return c;
  }
};

// A source of six hours with all shapes of columns. The same on each call.
struct Day {
  std::vector<Timestamp> rows;
  std::vector<Series> series;

  Day() {
    std::mt19937_64 random(5);
    for (int i = 0; i < 1440; ++i) {
      if (i < 700 || i > 760) rows.push_back(kStart + i * 15'000 + static_cast<int>(random() % 3));
    }
    // In the order of a file's keys.
    for (const char* name : {"born", "constant", "gauge", "own", "restarts_total", "stale"})
      series.push_back({name, {}, {}});
    double total = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      total = i % 400 == 399 ? 1 : total + static_cast<double>(random() % 9);
      const double values[] = {static_cast<double>(i),
                               3.25,
                               static_cast<double>(random() % 1000) / 10,
                               1.5,
                               total,
                               i % 90 > 70 ? model::StaleMarker() : total};
      for (size_t s = 0; s < series.size(); ++s) {
        if (s == 0 && i < 333) continue;
        if (s == 3 && i % 7 != 0) continue;
        if (s == 5 && i % 90 > 71) continue;
        series[s].timestamps.push_back(s == 3 ? rows[i] - 1000 : rows[i]);
        series[s].values.push_back(values[s]);
      }
    }
  }
};

Labels KeyOf(const std::string& name) { return Labels::FromPairs({{"__name__", name}}); }

SegmentMeta Meta(uint8_t id) {
  SegmentMeta meta;
  meta.id.bytes.fill(id);
  meta.level = 2;
  meta.generation = 1;
  meta.fingerprint_seed = kSeed;
  meta.cuts = {{0, kStart, 9}};
  return meta;
}

void WriteRollup(MemEnv& env, const Day& day, const std::string& path) {
  SegmentWriter::Options options;
  options.sorted_input = true;
  SegmentWriter writer(env, "day.seg", Meta(1), options);
  BOOST_REQUIRE(writer.Open().ok());
  const uint32_t source =
      writer.AddSource({model::OriginKind::kScrape, "job"},
                       Labels::FromPairs({{"instance", "a"}, {"job", "node"}}), day.rows);
  for (const Series& series : day.series) writer.AddKey(KeyOf(series.name));
  for (uint32_t s = 0; s < day.series.size(); ++s)
    writer.AddColumn(source, s, day.series[s].column());
  BOOST_REQUIRE(writer.Finish());
  const auto segment = SegmentReader::Open(env, "day.seg", kSeed);
  BOOST_REQUIRE(segment);
  RollupOutput output{kBucketMs, path, Meta(2)};
  const Status status = WriteRollups(env, **segment, {}, {}, {&output, 1});
  BOOST_REQUIRE_MESSAGE(status.ok(), status.ToString());
}

void RequireDay(const RollupFile& file, const Day& day) {
  BOOST_TEST(file.info().bucket_ms == kBucketMs);
  BOOST_TEST((file.info().input == Meta(1).id));
  BOOST_TEST(file.Verify().ok());
  RollupCursor cursor(file);
  model::ColumnBatch batch;
  std::vector<Facts> got;
  for (const Series& series : day.series) {
    BOOST_TEST_CONTEXT(series.name) {
      const auto columns =
          file.segment().Select({model::Matcher::Equal("__name__", series.name)}, {});
      BOOST_REQUIRE(columns);
      BOOST_REQUIRE_EQUAL(columns->size(), 1u);
      batch.Clear();
      BOOST_REQUIRE(cursor.Read(columns->front(), &batch, &got).ok());
      ColumnBuckets want;
      want.Fold(series.column(), kBucketMs);
      BOOST_REQUIRE_EQUAL(got.size(), want.facts.size());
      size_t reset = 0;
      for (size_t i = 0; i < got.size(); ++i) {
        const Facts& a = got[i];
        const Facts& b = want.facts[i];
        BOOST_REQUIRE_EQUAL(a.count, b.count);
        BOOST_REQUIRE_EQUAL(a.ends_stale, b.ends_stale);
        if (a.ends_stale) BOOST_REQUIRE_EQUAL(a.newest_ms, b.newest_ms);
        if (a.count == 0) continue;
        BOOST_REQUIRE_EQUAL(a.first_ms, b.first_ms);
        BOOST_REQUIRE_EQUAL(a.last_ms, b.last_ms);
        BOOST_REQUIRE_EQUAL(a.last, b.last);
        if ((a.known & model::kFactFirst) != 0) BOOST_REQUIRE_EQUAL(a.first, b.first);
        if ((a.known & model::kFactSum) != 0) BOOST_REQUIRE_CLOSE(a.sum, b.sum, 1e-9);
        if ((a.known & model::kFactExtremes) != 0) {
          BOOST_REQUIRE_EQUAL(a.min, b.min);
          BOOST_REQUIRE_EQUAL(a.max, b.max);
        }
        if ((a.known & model::kFactResets) == 0) continue;
        BOOST_REQUIRE_EQUAL(a.resets, b.resets);
        for (uint32_t r = 0; r < a.resets; ++r)
          BOOST_REQUIRE_EQUAL(a.before_resets[r], want.before_resets[reset++]);
      }
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(RollupFileSuite)

BOOST_AUTO_TEST_CASE(BucketsAreReadAsTheyWereFolded) {
  MemEnv env;
  const Day day;
  WriteRollup(env, day, "a.rol");
  const auto file = RollupFile::Open(env, "a.rol", kSeed);
  BOOST_REQUIRE_MESSAGE(file, (file ? "" : file.error().ToString()));
  RequireDay(**file, day);
}

// A rollup that was once written is read for ever. TOCSIN_WRITE_GOLDEN=1 writes it anew, which only
// a new version of the format may do.
BOOST_AUTO_TEST_CASE(GoldenFile) {
  const std::string path = std::string(TOCSIN_SOURCE_DIR) + "/tests/tsdb/testdata/rollup_v3.rol";
  const Day day;
  if (std::getenv("TOCSIN_WRITE_GOLDEN") != nullptr) {
    MemEnv env;
    WriteRollup(env, day, "a.rol");
    BOOST_REQUIRE(Env::Default().WriteFileAtomically(path, *env.ReadFile("a.rol")).ok());
  }
  const auto file = RollupFile::Open(Env::Default(), path, kSeed);
  BOOST_REQUIRE_MESSAGE(file, (file ? "" : file.error().ToString()));
  RequireDay(**file, day);
}

BOOST_AUTO_TEST_CASE(DamagedBytesAreRefusedOrGiveNonsenseButNothingWorse) {
  MemEnv env;
  WriteRollup(env, Day(), "a.rol");
  const std::string sound = *env.ReadFile("a.rol");
  std::mt19937_64 random(1);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = sound;
    for (int flips = 0; flips < 3; ++flips)
      bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
    const auto checked = RollupFile::OpenBytes(bytes, "x.rol", kSeed, true);
    if (checked) BOOST_TEST(!(*checked)->Verify().ok());
    const auto unchecked = RollupFile::OpenBytes(bytes, "x.rol", kSeed, false);
    if (unchecked) static_cast<void>((*unchecked)->Verify());
  }
}

BOOST_AUTO_TEST_CASE(AStoppedOrFailedRollupLeavesNoFile) {
  MemEnv env;
  WriteRollup(env, Day(), "a.rol");
  const auto segment = SegmentReader::Open(env, "day.seg", kSeed);
  BOOST_REQUIRE(segment);
  RollupOutput outputs[] = {{kBucketMs, "b.rol", Meta(3)}, {3'600'000, "c.rol", Meta(4)}};
  int columns = 0;
  const Status status =
      WriteRollups(env, **segment, {}, [&columns] { return ++columns == 3; }, outputs);
  BOOST_TEST((status.code() == Code::kCancelled));
  BOOST_TEST(!env.Exists("b.rol"));
  BOOST_TEST(!env.Exists("c.rol"));
}

BOOST_AUTO_TEST_CASE(TypesDecideWhatIsKeptElseTheSamplesDo) {
  using enum model::MetricType;
  const std::vector<double> rising = {1, 2, 2, 5, 9};
  const std::vector<double> wild = {1, 0, 3, 2, 4, 1};
  const struct {
    const char* name;
    model::MetricType type;
    const std::vector<double>& values;
    RollupKind want;
  } kCases[] = {
      {"x", kCounter, wild, RollupKind::kCounter},
      {"x_total", kGauge, rising, RollupKind::kGauge},
      {"x_bucket", kHistogram, rising, RollupKind::kCounter},
      {"x_sum", kSummary, rising, RollupKind::kCounter},
      {"x", kSummary, wild, RollupKind::kGauge},
      {"x_total", kUnknown, rising, RollupKind::kCounter},
      {"x_total", kUnknown, wild, RollupKind::kGauge},
      {"x", kUnknown, rising, RollupKind::kBoth},
      {"x", kUnknown, wild, RollupKind::kGauge},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.name << " " << model::MetricTypeName(c.type)) {
      BOOST_TEST((RollupKindOf(c.name, c.type, c.values) == c.want));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::rollup_file_test
