// What one damaged or missing log file costs, and that it is told: a source is hurt from the row
// that was hit to its next state record, all but one other not at all, and every lost sample is
// counted.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/fault_env.h"
#include "base/mem_env.h"
#include "model/storage.h"
#include "tsdb/database.h"
#include "tsdb/wal/log_format.h"

namespace tocsin::tsdb::log_damage_test {
namespace {

using model::Labels;
using model::RowKind;
using model::Timestamp;

constexpr Timestamp kNow = MemEnv::kStartMs;
constexpr int kSlots = 180;
constexpr int kRows = 100;
constexpr char kLog[] = "/db/wal/00-00000001.log";

DatabaseOptions Options(Env& env, uint32_t shards) {
  DatabaseOptions options;
  options.dir = "/db";
  options.env = &env;
  options.background = false;
  options.shards = shards;
  options.replay_threads = 1;
  return options;
}

Labels L(std::vector<std::pair<std::string, std::string>> pairs) {
  return Labels::FromPairs(std::move(pairs));
}

// Samples by job; false when a read failed.
bool CountByJob(const Database& db, std::map<std::string, uint64_t>* samples) {
  const auto snapshot = db.Pin();
  const auto selection = snapshot->Select({}, {}, {});
  if (!selection) return false;
  const auto reader = (*selection)->NewReader();
  model::ColumnBatch batch;
  for (size_t i = 0; i < (*selection)->size(); ++i) {
    if (!reader->Read(i, 1, &batch).ok()) return false;
    (*samples)[std::string((*selection)->LabelsAt(i).Get("job"))] += batch.columns[0].values.size();
  }
  return true;
}

// `sources` scraped `rows` times in turn, each row written to the log at once, as a daemon does.
class Scraper {
 public:
  Scraper(Env& env, uint32_t shards, int sources) : db_(*Database::Open(Options(env, shards))) {
    for (int i = 0; i < sources; ++i) {
      const std::string job = "j" + std::to_string(i);
      writers_.push_back(*db_->OpenSource({model::OriginKind::kScrape, job}, L({{"job", job}})));
      for (int k = 0; k < kSlots; ++k) {
        slots_.push_back(
            *writers_.back()->AddSlot(L({{"__name__", "m"}, {"k", std::to_string(k)}})));
      }
    }
  }
  void Scrape(int begin, int end) {
    for (int row = begin; row < end; ++row) {
      for (size_t i = 0; i < writers_.size(); ++i) {
        const auto batch = db_->NewBatch();
        batch->BeginRow(*writers_[i], kNow + row * 1000, RowKind::kFull);
        for (size_t k = 0; k < kSlots; ++k)
          batch->Set(slots_[i * kSlots + k], std::floor(1000 * std::sin(row + static_cast<int>(k))),
                     model::kRowTimestamp);
        model::CommitOptions commit;
        commit.durability = model::Durability::kKernel;
        BOOST_REQUIRE(batch->Commit(commit).status.ok());
      }
    }
  }
  Database& db() { return *db_; }
  void Stop() {
    writers_.clear();
    BOOST_REQUIRE(db_->Close().ok());
    db_.reset();
  }
  void Kill(FaultEnv& env) {
    env.Kill();
    env.FailAfter(0, Status(Code::kIo, "dead"), kWriteOps, Repeat::kFromThenOn);
    writers_.clear();
    db_.reset();
    env.ClearFault();
  }

 private:
  std::unique_ptr<Database> db_;
  std::vector<std::unique_ptr<model::SourceWriter>> writers_;
  std::vector<model::Slot> slots_;
};

void Write(Env& env, const std::string& path, const std::string& bytes) {
  auto file = *env.NewWritableFile(path, WriteMode::kTruncate);
  BOOST_REQUIRE(file->Append(bytes).ok() && file->Close().ok());
}

// Where a fragment's bytes are.
std::vector<std::pair<size_t, size_t>> Fragments(const std::string& bytes) {
  std::vector<std::pair<size_t, size_t>> fragments;
  for (size_t at = 0; at + kLogFragmentHeaderBytes < bytes.size();) {
    if (at % kLogBlockBytes == 0) at += kLogBlockHeaderBytes;
    if (kLogBlockBytes - at % kLogBlockBytes <= kLogFragmentHeaderBytes) {
      at = (at / kLogBlockBytes + 1) * kLogBlockBytes;
      continue;
    }
    const size_t length =
        static_cast<uint8_t>(bytes[at + 4]) + (size_t{static_cast<uint8_t>(bytes[at + 5])} << 8);
    fragments.emplace_back(at + kLogFragmentHeaderBytes, length);
    at += kLogFragmentHeaderBytes + length;
  }
  return fragments;
}

// A fragment's byte after so many thousandths of the file.
size_t ByteAt(const std::string& bytes, size_t thousandths) {
  for (const auto& [at, length] : Fragments(bytes)) {
    if (at >= bytes.size() * thousandths / 1000) return at + length / 2;
  }
  return bytes.size() - 1;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(LogDamageSuite)

BOOST_AUTO_TEST_CASE(AFlippedByteCostsTwoSourcesAtMostAndIsCounted) {
  constexpr int kSources = 4;
  for (const bool clean : {false, true}) {
    for (const size_t thousandths : {200u, 500u, 900u}) {
      BOOST_TEST_CONTEXT((clean ? "stopped, " : "killed, ") << thousandths) {
        MemEnv memory;
        FaultEnv env(memory);
        Scraper scraper(env, 1, kSources);
        scraper.Scrape(0, kRows);
        clean ? scraper.Stop() : scraper.Kill(env);
        std::string bytes = *memory.ReadFile(kLog);
        bytes[ByteAt(bytes, thousandths)] ^= 4;
        Write(memory, kLog, bytes);

        auto opened = Database::Open(Options(env, 1));
        BOOST_REQUIRE(opened);
        std::map<std::string, uint64_t> samples;
        BOOST_REQUIRE(CountByJob(**opened, &samples));
        constexpr uint64_t kWhole = uint64_t{kRows} * kSlots;
        uint64_t stored = 0;
        int hurt = 0;
        for (const auto& [job, count] : samples) {
          stored += count;
          hurt += count < kWhole ? 1 : 0;
        }
        BOOST_TEST(samples.size() == size_t{kSources});
        // The row's, and as the batch behind may have begun in it, that one's.
        BOOST_TEST(hurt >= 1);
        BOOST_TEST(hurt <= 2);
        const DatabaseCounters counters = (*opened)->counters();
        BOOST_TEST(counters.replay_damaged_places == 1u);
        BOOST_TEST(counters.replay_lost_samples == kSources * kWhole - stored);
        BOOST_TEST(counters.replay_lost_frames * kSlots == kSources * kWhole - stored);
        BOOST_REQUIRE((*opened)->Damages().size() == 1u);
        BOOST_TEST((*opened)->Damages()[0].reason.find("samples are lost") != std::string::npos);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(ABlockThatIsGoneIsCounted) {
  // Not even a fragment's length can be followed in it.
  for (const bool clean : {false, true}) {
    for (const size_t block : {1u, 2u}) {
      BOOST_TEST_CONTEXT((clean ? "stopped, block " : "killed, block ") << block) {
        MemEnv memory;
        FaultEnv env(memory);
        Scraper scraper(env, 1, 4);
        scraper.Scrape(0, kRows);
        clean ? scraper.Stop() : scraper.Kill(env);
        std::string bytes = *memory.ReadFile(kLog);
        BOOST_REQUIRE(bytes.size() > (block + 1) * kLogBlockBytes);
        for (size_t i = 0; i < kLogBlockBytes; ++i) bytes[block * kLogBlockBytes + i] ^= 0x55;
        Write(memory, kLog, bytes);
        auto opened = Database::Open(Options(env, 1));
        BOOST_REQUIRE(opened);
        std::map<std::string, uint64_t> samples;
        BOOST_REQUIRE(CountByJob(**opened, &samples));
        uint64_t stored = 0;
        for (const auto& [job, count] : samples) stored += count;
        BOOST_TEST(stored < uint64_t{4} * kRows * kSlots);
        BOOST_TEST((*opened)->counters().replay_lost_samples ==
                   uint64_t{4} * kRows * kSlots - stored);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(DamageThatNothingFollowsIsCountedByItsBytes) {
  MemEnv memory;
  FaultEnv env(memory);
  Scraper scraper(env, 1, 1);
  scraper.Scrape(0, kRows);
  scraper.Kill(env);
  std::string bytes = *memory.ReadFile(kLog);
  const size_t from = Fragments(bytes)[60].first - kLogFragmentHeaderBytes;
  for (size_t i = from; i < bytes.size(); ++i) bytes[i] ^= 0x55;
  Write(memory, kLog, bytes);
  auto opened = Database::Open(Options(env, 1));
  BOOST_REQUIRE(opened);
  std::map<std::string, uint64_t> samples;
  BOOST_REQUIRE(CountByJob(**opened, &samples));
  const uint64_t lost = uint64_t{kRows} * kSlots - samples["j0"];
  BOOST_TEST(lost > 5000u);
  BOOST_TEST((*opened)->counters().replay_lost_samples > lost / 2);
  BOOST_TEST((*opened)->counters().replay_lost_samples < lost * 2);
}

BOOST_AUTO_TEST_CASE(AShardWithoutAnyFileOfTheLastRunMissesOne) {
  struct Case {
    const char* name;
    bool rows;    // of the last run
    bool remove;  // a shard's file of it
    uint64_t missing;
  };
  static constexpr Case kCases[] = {
      {"whole", true, false, 0},
      {"a file is gone", true, true, 1},
      // As after a crash between the shards' first files.
      {"a run without rows", false, true, 0},
  };
  for (const Case& c : kCases) {
    BOOST_TEST_CONTEXT(c.name) {
      MemEnv memory;
      FaultEnv env(memory);
      {
        Scraper scraper(env, 2, 8);
        scraper.Scrape(0, 10);
        scraper.Kill(env);
      }
      memory.AdvanceMs(60'000);
      {
        Scraper scraper(env, 2, 8);
        if (c.rows) scraper.Scrape(60, 70);
        scraper.Kill(env);
      }
      if (c.remove) {
        const std::vector<std::string> names = *memory.ListDir("/db/wal");
        const auto newest = std::max_element(
            names.begin(), names.end(), [](const std::string& a, const std::string& b) {
              return std::pair(a.starts_with("01-"), a) < std::pair(b.starts_with("01-"), b);
            });
        BOOST_REQUIRE(newest->starts_with("01-"));
        BOOST_REQUIRE(*newest != "01-00000001.log");
        BOOST_REQUIRE(memory.Remove("/db/wal/" + *newest).ok());
      }
      auto opened = Database::Open(Options(env, 2));
      BOOST_REQUIRE(opened);
      BOOST_TEST((*opened)->counters().replay_missing_log_files == c.missing);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::log_damage_test
