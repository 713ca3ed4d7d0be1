// Database against a naive oracle: the same samples in a map.
#include "tsdb/database.h"

#include <bit>
#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/mem_env.h"
#include "model/storage.h"

namespace tocsin::tsdb::database_test {
namespace {

using model::AppendOutcome;
using model::Labels;
using model::Timestamp;

constexpr Timestamp kT0 = MemEnv::kStartMs;

struct Fixture {
  MemEnv env{7};
  DatabaseOptions options;
  std::unique_ptr<Database> database;

  Fixture() {
    options.dir = "/data";
    options.env = &env;
    options.background = false;
    options.shards = 4;
  }
  void Open() {
    auto opened = Database::Open(options);
    BOOST_REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().ToString()));
    database = *std::move(opened);
  }
  void Reopen() {
    BOOST_REQUIRE(database->Close().ok());
    database.reset();
    Open();
  }
  // As after kill -9: what was not written is gone.
  void Crash() {
    database->FlushWal(false).ok();
    Crash(0);
  }
  void Crash(int) {
    database.reset();
    Open();
  }
};

using Stored = std::map<Labels, std::map<Timestamp, uint64_t>>;

Stored ReadAll(const model::Queryable& db, const model::MatcherSet& matchers = {},
               model::TimeRange range = {}) {
  Stored stored;
  const auto snapshot = db.Pin();
  auto selection = snapshot->Select(matchers, range, {});
  BOOST_REQUIRE_MESSAGE(selection, (selection ? "" : selection.error().ToString()));
  auto reader = (*selection)->NewReader();
  model::ColumnBatch batch;
  for (size_t i = 0; i < (*selection)->size(); i += 7) {
    const size_t count = std::min<size_t>(7, (*selection)->size() - i);
    const Status status = reader->Read(i, count, &batch);
    BOOST_REQUIRE_MESSAGE(status.ok(), status.ToString());
    for (size_t c = 0; c < count; ++c) {
      const model::Column& column = batch.columns[c];
      if (column.values.empty()) continue;
      auto& series = stored[(*selection)->LabelsAt(i + c)];
      BOOST_REQUIRE(series.empty());
      for (size_t s = 0; s < column.values.size(); ++s) {
        const bool added =
            series.emplace(column.timestamps[s], std::bit_cast<uint64_t>(column.values[s])).second;
        BOOST_REQUIRE(added);
        if (s > 0) BOOST_REQUIRE(column.timestamps[s] > column.timestamps[s - 1]);
      }
    }
  }
  return stored;
}

void RequireEqual(const Stored& got, const Stored& want) {
  size_t wanted = 0;
  for (const auto& [labels, samples] : want) {
    if (samples.empty()) continue;
    ++wanted;
    const auto found = got.find(labels);
    BOOST_REQUIRE_MESSAGE(found != got.end(), "missing " + labels.ToString());
    if (found->second == samples) continue;
    for (const auto& [t, bits] : samples) {
      const auto at = found->second.find(t);
      BOOST_REQUIRE_MESSAGE(at != found->second.end(), labels.ToString() << " lacks " << t - kT0);
      BOOST_REQUIRE_MESSAGE(at->second == bits,
                            labels.ToString()
                                << " at " << t - kT0 << ": " << std::bit_cast<double>(at->second)
                                << " instead of " << std::bit_cast<double>(bits));
    }
    for (const auto& [t, bits] : found->second) {
      BOOST_REQUIRE_MESSAGE(samples.contains(t), labels.ToString() << " has " << t - kT0);
    }
  }
  BOOST_REQUIRE_EQUAL(got.size(), wanted);
}

Labels Key(const std::string& name, int i) {
  return Labels::FromPairs(std::vector<std::pair<std::string, std::string>>{
      {"__name__", name}, {"n", std::to_string(i)}});
}

std::unique_ptr<model::SourceWriter> Source(Database& db, const std::string& job,
                                            model::OriginKind kind = model::OriginKind::kScrape) {
  auto writer =
      db.OpenSource({kind, job}, Labels::FromPairs(std::vector<std::pair<std::string, std::string>>{
                                     {"job", job}, {"instance", "a:1"}}));
  BOOST_REQUIRE(writer);
  return *std::move(writer);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(DatabaseSuite)

BOOST_AUTO_TEST_CASE(AScrapeIsReadBackAndSurvivesARestart) {
  Fixture f;
  f.Open();
  auto writer = Source(*f.database, "node");
  std::vector<model::Slot> slots;
  for (int i = 0; i < 100; ++i) slots.push_back(*writer->AddSlot(Key("m", i)));
  Stored want;
  for (int row = 0; row < 10; ++row) {
    auto batch = f.database->NewBatch();
    const Timestamp t = kT0 + row * 15000;
    batch->BeginRow(*writer, t, model::RowKind::kFull);
    for (int i = 0; i < 100; ++i) {
      const double v = i % 3 == 0 ? i : row * i + 0.25;
      batch->Set(slots[i], v);
      want[Labels::FromPairs(std::vector<std::pair<std::string, std::string>>{
          {"__name__", "m"}, {"n", std::to_string(i)}, {"job", "node"}, {"instance", "a:1"}})][t] =
          std::bit_cast<uint64_t>(v);
    }
    const auto result = batch->Commit({});
    BOOST_REQUIRE(result.status.ok());
    BOOST_TEST(result.samples_committed == 100u);
    BOOST_TEST(result.refusals.empty());
    f.env.AdvanceMs(15000);
  }
  RequireEqual(ReadAll(*f.database), want);
  writer.reset();
  f.Reopen();
  RequireEqual(ReadAll(*f.database), want);
  BOOST_TEST(f.database->counters().replayed_rows == 10u);
  BOOST_REQUIRE(f.database->Compact().ok());
  RequireEqual(ReadAll(*f.database), want);
  BOOST_TEST(f.database->sizes().head_bytes == 0u);
  f.Reopen();
  BOOST_TEST(f.database->counters().replayed_rows == 0u);
  RequireEqual(ReadAll(*f.database), want);
}

// Sources, rows and handles at random, with seals, restarts and merges in between.
BOOST_AUTO_TEST_CASE(RandomHistoriesEqualTheOracle) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      std::mt19937_64 random(seed);
      Fixture f;
      f.options.shards = 1u << (seed % 3);
      f.Open();
      Stored want;
      constexpr int kSources = 5;
      const int slots_per_source = seed % 4 == 0 ? 300 : 40;
      std::vector<std::unique_ptr<model::SourceWriter>> writers(kSources);
      std::map<std::pair<int, int>, model::Slot> slots;
      std::map<std::pair<int, int>, double> values;
      const auto labels_of = [](int source, int key) {
        return Labels::FromPairs(std::vector<std::pair<std::string, std::string>>{
            {"__name__", "m"},
            {"n", std::to_string(key)},
            {"job", "job" + std::to_string(source)},
            {"instance", "a:1"}});
      };
      const auto close = [&] {
        writers.clear();
        writers.resize(kSources);
        slots.clear();
      };
      for (int step = 0; step < 400; ++step) {
        f.env.AdvanceMs(static_cast<int64_t>(random() % 60000));
        const Timestamp now = f.env.NowMs();
        auto batch = f.database->NewBatch();
        struct Put {
          uint32_t row;
          model::Slot slot;
          Timestamp t;
          Labels labels;
          uint64_t bits;
        };
        std::vector<Put> puts;
        const int rows = 1 + static_cast<int>(random() % 3);
        for (int r = 0; r < rows; ++r) {
          const int source = static_cast<int>(random() % kSources);
          if (writers[source] == nullptr)
            writers[source] = Source(*f.database, "job" + std::to_string(source));
          const bool full = source < 2 || random() % 4 == 0;
          Timestamp t = now - static_cast<int64_t>(random() % 1000);
          if (random() % 5 == 0) t -= static_cast<int64_t>(random() % 2'000'000);
          batch->BeginRow(*writers[source], t,
                          full ? model::RowKind::kFull : model::RowKind::kPartial);
          for (int key = 0; key < slots_per_source; ++key) {
            if (random() % 10 < (full ? 1u : 7u)) continue;
            auto& value = values[{source, key}];
            switch (random() % 8) {
              case 0:
                value += 1;
                break;
              case 1:
                value = static_cast<double>(random() % 1000) / 8;
                break;
              case 2:
                value = std::bit_cast<double>(random());
                break;
              case 3:
                value += 0.1;
                break;
              default:
                break;
            }
            const bool stale = random() % 40 == 0;
            const double v = stale ? model::StaleMarker() : value;
            auto slot = slots.find({source, key});
            if (slot == slots.end()) {
              auto added = writers[source]->AddSlot(Key("m", key));
              BOOST_REQUIRE(added);
              slot = slots.emplace(std::pair{source, key}, *added).first;
            }
            Timestamp own = model::kRowTimestamp;
            if (random() % 50 == 0) own = t - static_cast<int64_t>(random() % 100000);
            batch->Set(slot->second, v, own);
            puts.push_back({static_cast<uint32_t>(r), slot->second,
                            own == model::kRowTimestamp ? t : own, labels_of(source, key),
                            std::bit_cast<uint64_t>(v)});
          }
        }
        model::CommitOptions commit;
        commit.all_or_nothing = random() % 6 == 0;
        const auto result = batch->Commit(commit);
        if (!result.status.ok()) {
          BOOST_REQUIRE(commit.all_or_nothing);
          BOOST_REQUIRE(!result.refusals.empty());
        } else {
          std::set<std::tuple<uint32_t, model::Slot, Timestamp>> refused;
          for (const model::Refusal& refusal : result.refusals)
            refused.insert({refusal.row, refusal.slot, refusal.timestamp_ms});
          BOOST_REQUIRE_EQUAL(result.samples_committed + result.refusals.size(), puts.size());
          for (const Put& put : puts) {
            if (refused.contains({put.row, put.slot, put.t})) continue;
            want[put.labels].emplace(put.t, put.bits);  // of equal timestamps the first stays
          }
        }
        const uint64_t what = random() % 60;
        if (what == 0) {
          close();
          f.Reopen();
        } else if (what == 1) {
          close();
          f.Crash();
        } else if (what == 2) {
          BOOST_REQUIRE(f.database->Seal({now - 3'600'000, now}).ok());
        } else if (what == 3) {
          BOOST_REQUIRE(f.database->Compact().ok());
        } else if (what < 20) {
          const Status status = f.database->RunMaintenance();
          BOOST_REQUIRE_MESSAGE(status.ok(), status.ToString());
        }
        if (step % 40 == 39) RequireEqual(ReadAll(*f.database), want);
      }
      RequireEqual(ReadAll(*f.database), want);
      // A part of the time and of the series.
      const model::TimeRange range{kT0 + 1'000'000, kT0 + 3'000'000};
      Stored part;
      for (const auto& [labels, samples] : want) {
        if (labels.Get("job") != "job1") continue;
        for (const auto& [t, bits] : samples) {
          if (range.Contains(t)) part[labels][t] = bits;
        }
      }
      RequireEqual(ReadAll(*f.database, {model::Matcher::Equal("job", "job1")}, range), part);
      close();
      f.Reopen();
      RequireEqual(ReadAll(*f.database), want);
      BOOST_REQUIRE(f.database->Compact().ok());
      RequireEqual(ReadAll(*f.database), want);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::database_test
