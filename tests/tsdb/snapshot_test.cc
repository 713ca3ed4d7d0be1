// Snapshots: the state of one moment, whatever goes on meanwhile, whole or not at all.
#include <algorithm>
#include <atomic>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/thread.h"
#include "tests/tsdb/delete_store.h"

namespace tocsin::tsdb::snapshot_test {
namespace {

using namespace delete_store;  // NOLINT: the words of these tests

}  // namespace

BOOST_AUTO_TEST_SUITE(SnapshotSuite)

Contents Restore(Store& store, const std::string& directory) {
  DatabaseOptions options = store.options;
  options.dir = directory;
  auto opened = Database::Open(options);
  BOOST_REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().ToString()));
  return Read(*(*opened)->Pin());
}

BOOST_AUTO_TEST_CASE(ASnapshotIsTheStateOfItsMomentWithItsDeletes) {
  for (const State& before : kStates) {
    BOOST_TEST_CONTEXT(before.name) {
      Store store;
      BOOST_REQUIRE(store.Put("a", "j", 0, 1));
      BOOST_REQUIRE(store.Put("b", "j", 0, 2));
      before.reach(store);
      store.Delete(Named("a"));
      BOOST_REQUIRE(store.Put("a", "j", 5, 3));
      const Contents want = Read(*store.db->Pin());
      const Status status = store.db->Snapshot("/db/snapshots/s", false);
      BOOST_REQUIRE_MESSAGE(status.ok(), status.ToString());
      BOOST_TEST((store.db->Snapshot("/db/snapshots/s", false).code() == Code::kAlreadyExists));
      BOOST_REQUIRE(store.Put("b", "j", 20, 4));
      store.Delete(Named("b"));
      BOOST_REQUIRE(store.db->CleanTombstones().ok());
      RequireEqual(Restore(store, "/db/snapshots/s"), want);
      RequireEqual(Restore(store, "/db/snapshots/s"), want);
    }
  }
}

BOOST_AUTO_TEST_CASE(ASnapshotWithoutTheHeadHasWhatWasSealed) {
  Store store;
  BOOST_REQUIRE(store.Put("a", "j", 0, 1));
  BOOST_REQUIRE(store.db->Seal({}).ok());
  const Contents sealed = Read(*store.db->Pin());
  BOOST_REQUIRE(store.Put("a", "j", 5, 2));
  BOOST_REQUIRE(store.db->Snapshot("/db/snapshots/s", true).ok());
  RequireEqual(Restore(store, "/db/snapshots/s"), sealed);
}

// A snapshot is there whole or not at all, whatever fails, and costs the store nothing.
BOOST_AUTO_TEST_CASE(AFailedOperationLeavesNoHalfSnapshot) {
  for (const bool power : {false, true}) {
    for (uint64_t n = 0;; ++n) {
      BOOST_TEST_CONTEXT("operation " << n << (power ? ", power cut" : "")) {
        Store store;
        BOOST_REQUIRE(store.Put("a", "j", 0, 1));
        BOOST_REQUIRE(store.Put("b", "j", 0, 2));
        BOOST_REQUIRE(store.db->Compact().ok());
        store.Delete(Named("b"));
        BOOST_REQUIRE(store.Put("a", "j", 5, 2));
        const Contents want = Read(*store.db->Pin());
        store.env.FailAfter(n, Status(Code::kIo, "injected"), kWriteOps,
                            power ? Repeat::kFromThenOn : Repeat::kOnce);
        const Status status = store.db->Snapshot("/db/snapshots/s", false);
        const bool hit = store.env.fault_hit();
        if (power) {
          store.Crash(true);
        } else {
          store.env.ClearFault();
        }
        RequireEqual(Read(*store.db->Pin()), want);
        if (store.memory.Exists("/db/snapshots/s/segments")) {
          RequireEqual(Restore(store, "/db/snapshots/s"), want);
        } else {
          BOOST_TEST(!status.ok());
          BOOST_TEST(!store.memory.Exists("/db/snapshots/s.tmp"));
        }
        if (!hit) {
          BOOST_TEST(status.ok());
          break;
        }
      }
    }
  }
}

// What FindMark and exemplar queries give, too.
BOOST_AUTO_TEST_CASE(ASnapshotHasTheExemplarsAndMarksOfItsMoment) {
  Store store;
  const auto put = [&](Timestamp t, const std::string& mark) {
    auto& writer = store.Writer("j");
    auto batch = store.db->NewBatch();
    batch->BeginRow(writer, kNow + t, RowKind::kPartial);
    const model::Slot slot = *writer.AddSlot(L({{"__name__", "a"}}));
    batch->Set(*writer.AddSlot(L({{"__name__", "other"}})), 1, model::kRowTimestamp);
    batch->Set(slot, static_cast<double>(t), model::kRowTimestamp);
    model::Exemplar exemplar;
    exemplar.value = static_cast<double>(t);
    exemplar.labels = L({{"trace_id", std::to_string(t)}}).packed();
    batch->AddExemplar(slot, exemplar);
    model::CommitOptions commit;
    const model::Mark marks[] = {{"offset", mark}};
    commit.marks = marks;
    BOOST_REQUIRE(batch->Commit(commit).status.ok());
  };
  const auto exemplars = [](const Database& db) {
    std::string text;
    const std::vector<model::ExemplarSeries> found = *db.Pin()->Exemplars({}, {});
    for (const model::ExemplarSeries& series : found) {
      text += series.series_labels.ToString();
      for (const model::Exemplar& exemplar : series.exemplars)
        text += " " + std::to_string(exemplar.timestamp_ms - kNow);
    }
    return text;
  };
  put(0, "first");
  put(10, "second");
  store.Delete(Named("a"), {0, 5});
  put(20, "third");
  BOOST_REQUIRE(store.db->Snapshot("/db/snapshots/s", false).ok());
  BOOST_REQUIRE(store.db->Snapshot("/db/snapshots/sealed", true).ok());
  put(30, "fourth");
  const Contents want = Restore(store, "/db/snapshots/s");
  DatabaseOptions options = store.options;
  for (int round = 0; round < 2; ++round) {
    options.dir = "/db/snapshots/s";
    auto copy = *Database::Open(options);
    BOOST_TEST(exemplars(*copy) == R"(a{job="j"} 10 20)");
    BOOST_TEST(copy->FindMark("offset").value_or("") == "third");
    RequireEqual(Read(*copy->Pin()), want);
    // And it goes on like any other store: nothing that it has no samples of is known already.
    auto writer = *copy->OpenSource({model::OriginKind::kPush, "j"}, L({{"job", "j"}}));
    auto batch = copy->NewBatch();
    batch->BeginRow(*writer, kNow + 40 + round, RowKind::kPartial);
    batch->Set(*writer->AddSlot(L({{"__name__", "b"}})), 1, model::kRowTimestamp);
    BOOST_TEST(batch->Commit({}).refusals.empty());
    BOOST_REQUIRE(copy->DeleteSeries({Named("b")}, {}).ok());
  }
  options.dir = "/db/snapshots/sealed";
  auto sealed = *Database::Open(options);
  BOOST_TEST(exemplars(*sealed) == "");
  BOOST_TEST(!sealed->FindMark("offset").has_value());
}

// One thread does numbered operations, each append marked with its number: rows, late rows,
// deletes. Another one seals, and a third commits rows of its own. A snapshot must be the state
// after the operation of its mark, or after one of the deletes that follow it.
BOOST_AUTO_TEST_CASE(ASnapshotUnderLoadIsTheStateAfterOneOperation) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Store store;
      store.options.exemplars_max = 10'000;
      store.Open();
      Mutex mutex;
      std::vector<Contents> states(1);  // after each operation
      std::vector<bool> marked{true};   // it was an append
      std::atomic<bool> running{true};
      auto& writer = store.Writer("j");
      auto& noise = store.Writer("noise");
      Thread operations("operations", [&] {
        std::mt19937_64 random(seed);
        Contents state;
        Timestamp t = 0;
        while (running && states.size() < 3000) {
          const std::string number = std::to_string(states.size());
          // Deletes are noted first: a snapshot may see one before it is answered.
          const bool deletes = random() % 20 == 0;
          const std::string name = "m" + std::to_string(random() % 5);
          if (deletes) {
            state.erase(L({{"__name__", name}, {"job", "j"}}).ToString());
          } else {
            t += static_cast<Timestamp>(random() % 60'000);
          }
          const Timestamp at = random() % 4 == 0 && t > kHour
                                   ? t - static_cast<Timestamp>(random() % (kHour / 2))
                                   : t;
          auto batch = store.db->NewBatch();
          if (!deletes) {
            store.memory.SetNowMs(kNow + t);
            batch->BeginRow(writer, kNow + at, RowKind::kPartial);
            for (int k = 0; k < 5; ++k) {
              const Labels key = L({{"__name__", "m" + std::to_string(k)}});
              const double v = static_cast<double>(states.size());
              batch->Set(*writer.AddSlot(key), v, model::kRowTimestamp);
              // At a timestamp that the series has already, the first one stays.
              state[L({{"__name__", "m" + std::to_string(k)}, {"job", "j"}}).ToString()].emplace(
                  at, std::bit_cast<uint64_t>(v));
            }
          }
          {
            MutexLock lock(mutex);
            states.push_back(state);
            marked.push_back(!deletes);
          }
          if (deletes) {
            if (!store.db
                     ->DeleteSeries(
                         {{Matcher::Equal("__name__", name), Matcher::Equal("job", "j")}}, {})
                     .ok())
              running = false;
            continue;
          }
          model::CommitOptions commit;
          const model::Mark marks[] = {{"operation", number}};
          commit.marks = marks;
          if (!batch->Commit(commit).status.ok()) running = false;
        }
      });
      Thread others("others", [&] {
        for (Timestamp t = 0; running; ++t) {
          auto batch = store.db->NewBatch();
          batch->BeginRow(noise, kNow + t, RowKind::kFull);
          batch->Set(*noise.AddSlot(L({{"__name__", "n"}})), 1, model::kRowTimestamp);
          (void)batch->Commit({});
        }
      });
      Thread seals("seals", [&] {
        while (running) {
          if (!store.db->Seal({}).ok()) break;
        }
      });
      for (int n = 0; n < 12; ++n) {
        const std::string directory = "/db/snapshots/" + std::to_string(n);
        const Status status = store.db->Snapshot(directory, false);
        BOOST_REQUIRE_MESSAGE(status.ok(), status.ToString());
        DatabaseOptions options = store.options;
        options.dir = directory;
        auto copy = Database::Open(options);
        BOOST_REQUIRE(copy);
        size_t number = std::stoul((*copy)->FindMark("operation").value_or("0"));
        const Contents got = Read(*(*copy)->Pin(), {Matcher::Equal("job", "j")});
        MutexLock lock(mutex);
        bool equal = states.at(number) == got;
        const std::string difference = Describe(got, states[number]);
        while (!equal && ++number < states.size() && !marked[number]) equal = states[number] == got;
        BOOST_REQUIRE_MESSAGE(equal, difference);
      }
      running = false;
      operations.Join();
      others.Join();
      seals.Join();
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::snapshot_test
