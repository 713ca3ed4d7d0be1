// A log file of the format's version, kept: today's writer writes these bytes, and they read as
// they did. TOCSIN_WRITE_GOLDEN=1 writes it anew, which only a new version may do.
#include <zstd.h>

#include <bit>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mem_env.h"
#include "model/storage.h"
#include "tsdb/database.h"
#include "tsdb/wal/log_format.h"

namespace tocsin::tsdb::log_golden_test {
namespace {

using model::Labels;
using model::RowKind;
using model::Timestamp;

using Stored = std::map<std::pair<std::string, Timestamp>, uint64_t>;

constexpr Timestamp kNow = MemEnv::kStartMs;
constexpr uint32_t kSlots = 200;
constexpr uint32_t kPieces = 4;
constexpr char kLogPath[] = "/db/wal/00-00000001.log";
// Another version of the library may pack a checkpoint otherwise: then only what is read counts.
constexpr unsigned kGoldenZstd = 10504;

std::string GoldenPath() {
  return std::string(TOCSIN_SOURCE_DIR) + "/tests/tsdb/testdata/log_v" +
         std::to_string(kLogVersion) + ".log";
}

DatabaseOptions Options(Env& env) {
  DatabaseOptions options;
  options.dir = "/db";
  options.env = &env;
  options.background = false;
  options.shards = 1;
  options.replay_threads = 1;
  return options;
}

Labels L(std::vector<std::pair<std::string, std::string>> pairs) {
  return Labels::FromPairs(std::move(pairs));
}

struct Source {
  Source(Database& db, model::OriginKind kind, const std::string& job)
      : writer(*db.OpenSource({kind, job}, L({{"job", job}}))) {
    for (uint32_t i = 0; i < kSlots; ++i) {
      const std::string name = "m" + std::to_string(i);
      slots.push_back(*writer->AddSlot(L({{"__name__", name}})));
      names.push_back(L({{"__name__", name}, {"job", job}}).ToString());
    }
  }

  std::unique_ptr<model::SourceWriter> writer;
  std::vector<model::Slot> slots;
  std::vector<std::string> names;
};

// Whole rows, rows in pieces (sets of ranges), single samples (lists), and late ones of each.
Stored Live(Database& db, MemEnv& env) {
  Source scraped(db, model::OriginKind::kScrape, "scraped");
  Source pushed(db, model::OriginKind::kPush, "pushed");
  Stored stored;
  const auto row = [&](Source& source, Timestamp t, RowKind kind, uint32_t begin, uint32_t end) {
    const auto batch = db.NewBatch();
    batch->BeginRow(*source.writer, t, kind);
    for (uint32_t i = begin; i < end; ++i) {
      const double value = i % 3 == 0 ? static_cast<double>(t / 1000 % 1000 * i) : i * 0.25;
      batch->Set(source.slots[i], value, model::kRowTimestamp);
      stored[{source.names[i], t}] = std::bit_cast<uint64_t>(value);
    }
    BOOST_REQUIRE(batch->Commit({}).status.ok());
  };
  for (int r = 0; r < 10; ++r) {
    env.AdvanceMs(15'000);
    const Timestamp t = kNow + (r + 1) * 15'000;
    row(scraped, t, RowKind::kFull, 0, kSlots);
    for (uint32_t p = 0; p < kPieces; ++p)
      row(pushed, t, RowKind::kPartial, p * kSlots / kPieces, (p + 1) * kSlots / kPieces);
    row(pushed, t + 1000, RowKind::kPartial, 17, 18);
    if (r < 5) continue;
    row(pushed, t - 37'000, RowKind::kPartial, 30, 130);
    row(scraped, t - 37'000, RowKind::kPartial, 5, 6);
  }
  return stored;
}

Stored ReadAll(const Database& db) {
  Stored stored;
  const auto snapshot = db.Pin();
  const auto selection = snapshot->Select({}, {}, {});
  BOOST_REQUIRE(selection.has_value());
  const auto reader = (*selection)->NewReader();
  model::ColumnBatch batch;
  for (size_t i = 0; i < (*selection)->size(); ++i) {
    BOOST_REQUIRE(reader->Read(i, 1, &batch).ok());
    const model::Column& column = batch.columns[0];
    for (size_t s = 0; s < column.values.size(); ++s)
      stored[{(*selection)->LabelsAt(i).ToString(), column.timestamps[s]}] =
          std::bit_cast<uint64_t>(column.values[s]);
  }
  return stored;
}

BOOST_AUTO_TEST_SUITE(LogGolden_)

BOOST_AUTO_TEST_CASE(GoldenLogOfFormatVersion4) {
  MemEnv env;
  auto db = *Database::Open(Options(env));
  const Stored want = Live(*db, env);
  BOOST_REQUIRE(db->FlushWal(/*sync=*/true).ok());
  const std::string bytes = *env.ReadFile(kLogPath);
  const std::string path = GoldenPath();
  if (std::getenv("TOCSIN_WRITE_GOLDEN") != nullptr)
    BOOST_REQUIRE(Env::Default().WriteFileAtomically(path, bytes).ok());
  const Result<std::string> golden = Env::Default().ReadFile(path);
  BOOST_REQUIRE(golden.has_value());
  if (ZSTD_versionNumber() == kGoldenZstd) {
    const bool same_bytes = bytes == *golden;
    BOOST_TEST(same_bytes);
  } else {
    BOOST_TEST_MESSAGE("bytes not compared: zstd " << ZSTD_versionString());
  }

  MemEnv later(2);
  later.AdvanceMs(200'000);
  BOOST_REQUIRE(later.CreateDirs("/db/wal").ok());
  BOOST_REQUIRE(later.WriteFileAtomically(kLogPath, *golden).ok());
  const auto reopened = *Database::Open(Options(later));
  BOOST_TEST(reopened->counters().replay_damaged_places == 0u);
  BOOST_TEST(reopened->counters().replayed_rows > 60u);
  const bool same_samples = ReadAll(*reopened) == want;
  BOOST_TEST(same_samples);
  // Sealed, they are the same still.
  BOOST_REQUIRE(reopened->Compact().ok());
  const bool same_sealed = ReadAll(*reopened) == want;
  BOOST_TEST(same_sealed);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::tsdb::log_golden_test
