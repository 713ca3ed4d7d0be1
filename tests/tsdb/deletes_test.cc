// Deletes: what each promise of DeleteSeries and CleanTombstones means, and random histories with
// deletes, pins, seals, merges and crashes against a naive oracle.
#include <algorithm>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/tsdb/delete_store.h"
#include "tests/tsdb/read_columns.h"
#include "tsdb/tombstone.h"

namespace tocsin::tsdb::deletes_test {
namespace {

using namespace delete_store;  // NOLINT: the words of these tests

}  // namespace

BOOST_AUTO_TEST_SUITE(DeletesSuite)

// Whatever state the samples are in when they are deleted, and whatever becomes of the files
// afterwards: what was there is gone, what was written later stays.
BOOST_AUTO_TEST_CASE(ADeleteHoldsInEveryStateBeforeAndAfter) {
  for (const State& before : kStates) {
    for (const State& after : kStates) {
      BOOST_TEST_CONTEXT(before.name << ", then " << after.name) {
        Store store;
        BOOST_REQUIRE(store.Put("a", "j", 0, 1));
        BOOST_REQUIRE(store.Put("a", "j", 10, 2));
        BOOST_REQUIRE(store.Put("a", "j", 20, 3));
        BOOST_REQUIRE(store.Put("a", "k", 10, 4));
        BOOST_REQUIRE(store.Put("b", "j", 10, 5));
        before.reach(store);
        auto older = store.db->Pin();
        const std::string all = store.Text();
        store.Delete({Matcher::Equal("__name__", "a"), Matcher::Equal("job", "j")}, {5, 15});
        BOOST_TEST(store.Text() == R"(a{job="j"} 0:1 20:3; a{job="k"} 10:4; )"
                                   R"(b{job="j"} 10:5)");
        BOOST_TEST(store.Text(*older) == all);
        // The same timestamp again, with another value.
        BOOST_REQUIRE(store.Put("a", "j", 10, 6));
        BOOST_REQUIRE(store.Put("a", "j", 12, 7));
        const std::string want = R"(a{job="j"} 0:1 10:6 12:7 20:3; a{job="k"} 10:4; )"
                                 R"(b{job="j"} 10:5)";
        BOOST_TEST(store.Text() == want);
        older.reset();
        after.reach(store);
        BOOST_TEST(store.Text() == want);
      }
    }
  }
}

// The last sample of a series is known by its value, so that a copy is told; not after a delete.
BOOST_AUTO_TEST_CASE(ADeletedLastSampleSentAgainIsStored) {
  for (const State& before : kStates) {
    for (const State& between : kStates) {
      for (const State& after : kStates) {
        BOOST_TEST_CONTEXT(before.name << ", deleted, " << between.name << ", " << after.name) {
          Store store;
          BOOST_REQUIRE(store.Put("a", "j", 0, 1));
          BOOST_REQUIRE(store.Put("a", "j", 20, 3));
          BOOST_REQUIRE(store.Put("b", "j", 20, 5));
          before.reach(store);
          store.Delete(Named("a"), {10, 30});
          between.reach(store);
          BOOST_TEST(store.Put("a", "j", 20, 3));
          BOOST_TEST(!store.Put("b", "j", 20, 5));
          // Whatever a second copy is taken for, it is there once, and the series goes on.
          (void)store.Put("a", "j", 20, 3);
          BOOST_TEST(store.Text() == R"(a{job="j"} 0:1 20:3; b{job="j"} 20:5)");
          after.reach(store);
          BOOST_TEST(store.Put("a", "j", 30, 4));
          BOOST_TEST(!store.Put("a", "j", 30, 4));
          BOOST_TEST(store.Text() == R"(a{job="j"} 0:1 20:3 30:4; b{job="j"} 20:5)");
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(WhatFollowsADeleteDoesNotBringSamplesBack) {
  for (const State& before : kStates) {
    for (const State& after : kStates) {
      for (const State& last : kStates) {
        BOOST_TEST_CONTEXT(before.name << ", deleted, " << after.name << ", " << last.name) {
          Store store;
          BOOST_REQUIRE(store.Put("a", "j", 0, 1));
          BOOST_REQUIRE(store.Put("a", "j", 20, 3));
          BOOST_REQUIRE(store.Put("b", "j", 10, 5));
          before.reach(store);
          store.Delete(Named("a"));
          BOOST_REQUIRE(store.Put("a", "j", 10, 8));
          after.reach(store);
          BOOST_REQUIRE(store.Put("b", "j", 30, 9));
          last.reach(store);
          BOOST_TEST(store.Text() == R"(a{job="j"} 10:8; b{job="j"} 10:5 30:9)");
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(LabelsOfDeletedSeriesAreGoneAtOnce) {
  for (const State& before : kStates) {
    BOOST_TEST_CONTEXT(before.name) {
      Store store;
      BOOST_REQUIRE(store.Put("gone", "only_gone", 0, 1));
      BOOST_REQUIRE(store.Put("gone", "j", 0, 1));
      BOOST_REQUIRE(store.Put("stays", "j", 0, 1));
      before.reach(store);
      const auto older = store.db->Pin();
      store.Delete(Named("gone"));
      using Strings = std::vector<std::string>;
      const auto pin = store.db->Pin();
      BOOST_TEST((*pin->LabelValues("__name__", {}, {}, 0) == Strings{"stays"}));
      BOOST_TEST((*pin->LabelValues("job", {}, {}, 0) == Strings{"j"}));
      BOOST_TEST((*pin->LabelNames({}, {}, 0) == Strings{"__name__", "job"}));
      const std::vector<MatcherSet> of_gone = {Named("gone")};
      BOOST_TEST(pin->LabelNames(of_gone, {}, 0)->empty());
      BOOST_TEST(pin->Series({}, {}, 0)->size() == 1u);
      BOOST_TEST((*older->LabelValues("__name__", {}, {}, 0) == Strings{"gone", "stays"}));
      BOOST_TEST(older->Series({}, {}, 0)->size() == 3u);
      // A new sample brings its labels back, and only them.
      BOOST_REQUIRE(store.Put("gone", "j", 5, 1));
      BOOST_TEST((*store.db->Pin()->LabelValues("job", of_gone, {}, 0) == Strings{"j"}));
    }
  }
}

BOOST_AUTO_TEST_CASE(CleanTombstonesRewritesWhatIsTouchedAndForgetsTheDelete) {
  Store store;
  std::mt19937_64 random(1);
  for (int i = 0; i < 200; ++i) {
    for (const char* job : {"j", "k"})
      BOOST_REQUIRE(store.Put("a", job, i * 1000, static_cast<double>(random()) * 1e-9));
  }
  BOOST_REQUIRE(store.db->Compact().ok());
  const uint64_t before = store.db->sizes().segment_bytes;
  store.Delete({Matcher::Equal("job", "j")});
  BOOST_TEST(store.db->sizes().tombstones == 1u);
  BOOST_TEST(store.db->sizes().segment_bytes == before);
  BOOST_REQUIRE(store.db->CleanTombstones().ok());
  BOOST_TEST(store.db->sizes().tombstones == 0u);
  BOOST_TEST(store.db->sizes().segment_bytes < before * 3 / 4);
  const uint64_t merges = store.db->counters().merges;
  // Nothing is rewritten for what is not there.
  store.Delete({Matcher::Equal("job", "nobody")});
  store.Delete({Matcher::Equal("job", "k")}, {-kHour, -1});
  BOOST_REQUIRE(store.db->CleanTombstones().ok());
  BOOST_TEST(store.db->counters().merges == merges);
  BOOST_TEST(store.db->sizes().tombstones == 0u);
  // Everything: the file is a footer only, and a restart does not bring rows back.
  store.Delete({*Matcher::Create(MatchType::kRegex, "__name__", ".+")});
  BOOST_REQUIRE(store.db->CleanTombstones().ok());
  BOOST_TEST(store.Text().empty());
  store.Open();
  BOOST_TEST(store.Text().empty());
  BOOST_TEST(store.db->sizes().tombstones == 0u);
}

BOOST_AUTO_TEST_CASE(ADeleteIsForgottenOnceNothingNeedsIt) {
  Store store;
  BOOST_REQUIRE(store.Put("a", "j", 0, 1));
  store.Delete(Named("a"));
  BOOST_REQUIRE(store.db->RunMaintenance().ok());
  BOOST_TEST(store.db->sizes().tombstones == 1u);
  store.memory.AdvanceMs(3 * kHour);
  BOOST_REQUIRE(store.Put("a", "j", 3 * kHour, 2));
  BOOST_REQUIRE(store.db->RunMaintenance().ok());  // seals what the delete had found in the head
  BOOST_REQUIRE(store.db->RunMaintenance().ok());
  BOOST_TEST(store.db->sizes().tombstones == 0u);
  store.Crash(false);
  BOOST_TEST(store.Text() == R"(a{job="j"} 10800000:2)");
}

BOOST_AUTO_TEST_CASE(FactsOfAColumnAreNotUsedForWhatIsPartlyDeleted) {
  Store store;
  for (int i = 0; i < 10; ++i) {
    for (const char* job : {"j", "k"}) BOOST_REQUIRE(store.Put("a", job, i * 1000, i));
  }
  BOOST_REQUIRE(store.db->Compact().ok());
  store.Delete({Matcher::Equal("job", "j")}, {5000, 9000});
  const auto counts = [&] {
    const auto pin = store.db->Pin();
    model::SelectHints hints;
    hints.sorted = true;
    hints.facts = {true, model::kFactsAll, kNow - 24 * kHour, 48 * kHour, 0};
    const auto selection = *pin->Select({}, {}, hints);
    std::string text;
    ForEachColumn(*selection, [&text](size_t, const model::Column& column) {
      uint64_t of_facts = 0;
      for (const model::Facts& facts : column.facts) of_facts += facts.count;
      text += std::to_string(column.values.size()) + "+" + std::to_string(of_facts) + " ";
    });
    return text;
  };
  BOOST_TEST(counts() == "5+0 0+10 ");
  BOOST_REQUIRE(store.db->CleanTombstones().ok());
  BOOST_TEST(counts() == "0+5 0+10 ");
}

BOOST_AUTO_TEST_CASE(DeletedExemplarsAreGoneAlsoAfterARestart) {
  Store store;
  auto& writer = store.Writer("j");
  const model::Slot slot = *writer.AddSlot(L({{"__name__", "a"}}));
  const auto put = [&](Timestamp t) {
    auto& current = store.Writer("j");
    auto batch = store.db->NewBatch();
    batch->BeginRow(current, kNow + t, RowKind::kPartial);
    batch->Set(*current.AddSlot(L({{"__name__", "a"}})), static_cast<double>(t),
               model::kRowTimestamp);
    model::Exemplar exemplar;
    exemplar.value = static_cast<double>(t);
    exemplar.timestamp_ms = kNow + t;
    batch->AddExemplar(slot, exemplar);
    model::CommitOptions commit;
    commit.durability = model::Durability::kKernel;
    BOOST_REQUIRE(batch->Commit(commit).status.ok());
  };
  put(0);
  put(10);
  const auto traces = [&] {
    std::string text;
    const auto found = *store.db->Pin()->Exemplars({}, {});
    for (const auto& series : found) {
      for (const auto& exemplar : series.exemplars)
        text += std::to_string(static_cast<int>(exemplar.value));
      text += ";";
    }
    return text;
  };
  BOOST_TEST(traces() == "010;");
  store.Delete(Named("a"), {5, 20});
  BOOST_TEST(traces() == "0;");
  put(20);
  BOOST_TEST(traces() == "020;");
  store.Crash(false);
  BOOST_TEST(traces() == "020;");
}

BOOST_AUTO_TEST_CASE(DeletesRaiseTheChangeNumberOfTheirTimeOnly) {
  Store store;
  BOOST_REQUIRE(store.Put("a", "j", 0, 1));
  store.memory.AdvanceMs(2 * kHour);
  BOOST_REQUIRE(store.Put("a", "j", 2 * kHour, 1));
  const TimeRange touched{kNow, kNow + kMinute};
  const TimeRange other{kNow + 2 * kHour, kNow + 3 * kHour};
  const uint64_t before = store.db->ChangeNumber(touched);
  const uint64_t before_other = store.db->ChangeNumber(other);
  store.Delete(Named("a"), {0, kMinute});
  BOOST_TEST(store.db->ChangeNumber(touched) > before);
  BOOST_TEST(store.db->ChangeNumber(other) == before_other);
  store.Delete(Named("a"));
  BOOST_TEST(store.db->ChangeNumber(other) > before_other);
}

BOOST_AUTO_TEST_CASE(WhatIsNoDeleteIsRefused) {
  Store store;
  BOOST_TEST((store.db->DeleteSeries({}, {}).code() == Code::kInvalidArgument));
  BOOST_TEST((store.db->DeleteSeries({MatcherSet()}, {}).code() == Code::kInvalidArgument));
  const MatcherSet many(65, Matcher::Equal("a", "b"));
  BOOST_TEST((store.db->DeleteSeries({many}, {}).code() == Code::kInvalidArgument));
  BOOST_REQUIRE(store.Put("a", "j", 0, 1));
  const MatcherSet long_one = {Matcher::NotEqual("job", std::string(kTombstoneBytesMax, 'x'))};
  BOOST_TEST((store.db->DeleteSeries({long_one}, {}).code() == Code::kResourceExhausted));
  BOOST_TEST(!store.Text().empty());
}

BOOST_AUTO_TEST_CASE(AFailedDeleteDeletesNothingAndSaysSo) {
  for (uint64_t n = 0;; ++n) {
    BOOST_TEST_CONTEXT("operation " << n) {
      Store store;
      BOOST_REQUIRE(store.Put("a", "j", 0, 1));
      BOOST_REQUIRE(store.db->Compact().ok());
      BOOST_REQUIRE(store.Put("a", "j", 10, 1));
      const std::string all = store.Text();
      store.env.FailAfter(n, Status(Code::kNoSpace, "no space left"));
      const Status status = store.db->DeleteSeries({Named("a")}, {});
      if (!store.env.fault_hit()) break;
      store.env.ClearFault();
      if (!status.ok()) {
        BOOST_TEST(store.Text() == all);
        // And the next one works.
        store.Delete(Named("a"));
      }
      BOOST_TEST(store.Text().empty());
      store.Crash(true);
      BOOST_TEST(store.Text().empty());
    }
  }
}

// Two sources of ten series, rows in order and late, deletes by job, by name or of everything,
// over all or a part of the time; pins held for a while; every kind of rewrite and restart.
BOOST_AUTO_TEST_CASE(RandomHistoriesWithDeletesEqualTheOracle) {
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      std::mt19937_64 random(seed);
      Store store;
      Contents want;
      std::vector<std::pair<std::unique_ptr<model::Snapshot>, Contents>> pins;
      const auto name_of = [](int source, int key) {
        return L({{"__name__", "m" + std::to_string(key)}, {"job", "j" + std::to_string(source)}})
            .ToString();
      };
      for (int step = 0; step < 250; ++step) {
        store.memory.AdvanceMs(static_cast<int64_t>(random() % 120'000));
        const Timestamp now = store.memory.NowMs() - kNow;
        const int source = static_cast<int>(random() % 2);
        auto& writer = store.Writer("j" + std::to_string(source));
        auto batch = store.db->NewBatch();
        const bool full = source == 0;
        const Timestamp late = random() % 4 == 0 ? static_cast<int64_t>(random() % kHour) : 0;
        batch->BeginRow(writer, kNow + now - late, full ? RowKind::kFull : RowKind::kPartial);
        std::map<model::Slot, std::pair<std::string, uint64_t>> puts;
        for (int key = 0; key < 10; ++key) {
          if (random() % 4 == 0) continue;
          const auto slot = *writer.AddSlot(L({{"__name__", "m" + std::to_string(key)}}));
          const double v = key < 3 ? 1 : static_cast<double>(random() % 100'000) / 8;
          batch->Set(slot, v, model::kRowTimestamp);
          puts[slot] = {name_of(source, key), std::bit_cast<uint64_t>(v)};
        }
        model::CommitOptions commit;
        commit.durability = model::Durability::kSynced;
        const auto result = batch->Commit(commit);
        BOOST_REQUIRE(result.status.ok());
        for (const model::Refusal& refusal : result.refusals) puts.erase(refusal.slot);
        for (const auto& [slot, put] : puts) want[put.first].emplace(now - late, put.second);

        if (random() % 12 == 0) {
          const int key = static_cast<int>(random() % 10);
          MatcherSet set;
          if (random() % 3 == 0) set.push_back(Matcher::Equal("job", "j" + std::to_string(source)));
          if (random() % 3 == 0)
            set.push_back(Matcher::Equal("__name__", "m" + std::to_string(key)));
          if (set.empty()) set.push_back(*Matcher::Create(MatchType::kRegex, "__name__", "m[4-6]"));
          TimeRange range;
          if (random() % 3 != 0) {
            range.min_ms = static_cast<int64_t>(random() % static_cast<uint64_t>(now + 1));
            range.max_ms = range.min_ms + static_cast<int64_t>(random() % (2 * kHour));
          }
          store.Delete(set, range);
          for (int s = 0; s < 2; ++s) {
            for (int k = 0; k < 10; ++k) {
              const Labels labels =
                  L({{"__name__", "m" + std::to_string(k)}, {"job", "j" + std::to_string(s)}});
              const auto found = want.find(labels.ToString());
              if (found == want.end() || !model::MatchesAll(set, labels)) continue;
              std::erase_if(found->second,
                            [&](const auto& sample) { return range.Contains(sample.first); });
            }
          }
          std::erase_if(want, [](const auto& series) { return series.second.empty(); });
        }
        switch (random() % 30) {
          case 0:
            pins.clear();
            store.Open();
            break;
          case 1:
            pins.clear();
            store.Crash(random() % 2 == 0);
            break;
          case 2:
            BOOST_REQUIRE(store.db->Seal({kNow + now - kHour, kNow + now}).ok());
            break;
          case 3:
            BOOST_REQUIRE(store.db->Compact().ok());
            break;
          case 4:
            BOOST_REQUIRE(store.db->CleanTombstones().ok());
            break;
          case 5:
          case 6:
            pins.emplace_back(store.db->Pin(), want);
            break;
          case 7:
            if (!pins.empty()) pins.erase(pins.begin());
            break;
          default:
            BOOST_REQUIRE(store.db->RunMaintenance().ok());
        }
        if (step % 10 == 9) {
          RequireEqual(Read(*store.db->Pin()), want);
          for (const auto& [pin, seen] : pins) RequireEqual(Read(*pin), seen);
          // The label calls agree with what is there.
          std::set<std::string> names;
          for (const auto& [name, samples] : want) names.insert(name);
          std::set<std::string> listed;
          const std::vector<Labels> series = *store.db->Pin()->Series({}, {}, 0);
          for (const Labels& labels : series) listed.insert(labels.ToString());
          for (const std::string& name : names) BOOST_REQUIRE(listed.contains(name));
        }
      }
      pins.clear();
      BOOST_REQUIRE(store.db->CleanTombstones().ok());
      BOOST_TEST(store.db->sizes().tombstones == 0u);
      RequireEqual(Read(*store.db->Pin()), want);
      BOOST_REQUIRE(store.db->Compact().ok());
      RequireEqual(Read(*store.db->Pin()), want);
      store.Open();
      RequireEqual(Read(*store.db->Pin()), want);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::deletes_test
