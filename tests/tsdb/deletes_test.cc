// Deletes: what each promise of DeleteSeries and CleanTombstones means, and random histories with
// deletes, pins, seals, merges and crashes against a naive oracle.
#include <algorithm>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/fault_env.h"
#include "base/mem_env.h"
#include "model/storage.h"
#include "tsdb/database.h"
#include "tsdb/manifest.h"

namespace tocsin::tsdb::deletes_test {
namespace {

using model::Labels;
using model::Matcher;
using model::MatcherSet;
using model::MatchType;
using model::RowKind;
using model::TimeRange;
using model::Timestamp;

constexpr Timestamp kNow = MemEnv::kStartMs;
constexpr int64_t kMinute = 60'000;
constexpr int64_t kHour = 60 * kMinute;

Labels L(std::vector<std::pair<std::string, std::string>> pairs) {
  return Labels::FromPairs(std::move(pairs));
}

// "name{job=…} t:v t:v; …", times relative to kNow, series in order.
using Contents = std::map<std::string, std::map<Timestamp, uint64_t>>;

Contents Read(const model::Snapshot& snapshot, const MatcherSet& matchers = {},
              TimeRange range = {}) {
  Contents contents;
  auto selection = snapshot.Select(matchers, range, {});
  BOOST_REQUIRE_MESSAGE(selection, (selection ? "" : selection.error().ToString()));
  auto reader = (*selection)->NewReader();
  model::ColumnBatch batch;
  for (size_t first = 0; first < (*selection)->size(); first += 5) {
    const size_t count = std::min<size_t>(5, (*selection)->size() - first);
    BOOST_REQUIRE(reader->Read(first, count, &batch).ok());
    for (size_t c = 0; c < count; ++c) {
      const model::Column& column = batch.columns[c];
      if (column.values.empty() && column.histograms.empty()) continue;
      auto& series = contents[(*selection)->LabelsAt(first + c).ToString()];
      BOOST_REQUIRE(series.empty());
      for (size_t s = 0; s < column.values.size(); ++s)
        series[column.timestamps[s] - kNow] = std::bit_cast<uint64_t>(column.values[s]);
      for (size_t s = 0; s < column.histograms.size(); ++s)
        series[column.histogram_timestamps[s] - kNow] =
            static_cast<uint64_t>(column.histograms[s]->count);
      BOOST_REQUIRE(series.size() == column.values.size() + column.histograms.size());
    }
  }
  return contents;
}

std::string Describe(const Contents& got, const Contents& want) {
  for (const auto& [name, samples] : want) {
    const auto found = got.find(name);
    if (found == got.end()) return "lacks " + name;
    for (const auto& [t, bits] : samples) {
      const auto at = found->second.find(t);
      if (at == found->second.end()) return name + " lacks " + std::to_string(t);
      if (at->second != bits) return name + " differs at " + std::to_string(t);
    }
    for (const auto& [t, bits] : found->second) {
      if (!samples.contains(t)) return name + " has " + std::to_string(t);
    }
  }
  for (const auto& [name, samples] : got) {
    if (!want.contains(name)) return "has " + name;
  }
  return "equal";
}

void RequireEqual(const Contents& got, const Contents& want) {
  BOOST_REQUIRE_MESSAGE(got == want, Describe(got, want));
}

struct Store {
  MemEnv memory{3};
  FaultEnv env{memory};
  DatabaseOptions options;
  std::unique_ptr<Database> db;
  std::map<std::string, std::unique_ptr<model::SourceWriter>> writers;

  Store() {
    options.dir = "/db";
    options.env = &env;
    options.background = false;
    options.shards = 4;
    Open();
  }
  void Close() {
    writers.clear();
    db.reset();
  }
  void Open() {
    Close();
    auto opened = Database::Open(options);
    BOOST_REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().ToString()));
    db = *std::move(opened);
  }
  // kill -9, or a power cut that keeps only what was synced.
  void Crash(bool power) {
    if (power) {
      env.PowerCut(FaultEnv::Cut::kDropUnsynced);
    } else {
      env.Kill();
    }
    env.FailAfter(0, Status(Code::kIo, "dead"), kWriteOps, Repeat::kFromThenOn);
    Close();
    env.ClearFault();
    Open();
  }
  model::SourceWriter& Writer(const std::string& job) {
    auto& writer = writers[job];
    if (writer == nullptr)
      writer = *db->OpenSource({model::OriginKind::kPush, job}, L({{"job", job}}));
    return *writer;
  }
  // False: it was refused.
  bool Put(const std::string& name, const std::string& job, Timestamp t, double v) {
    auto& writer = Writer(job);
    const model::Slot slot = *writer.AddSlot(L({{"__name__", name}}));
    auto batch = db->NewBatch();
    batch->BeginRow(writer, kNow + t, RowKind::kPartial);
    batch->Set(slot, v, model::kRowTimestamp);
    model::CommitOptions commit;
    commit.durability = model::Durability::kSynced;
    const auto result = batch->Commit(commit);
    BOOST_REQUIRE(result.status.ok());
    return result.refusals.empty();
  }
  void Delete(const MatcherSet& set, TimeRange range = {}) {
    if (range.min_ms != model::kMinTimestamp) range.min_ms += kNow;
    if (range.max_ms != model::kMaxTimestamp) range.max_ms += kNow;
    const Status status = db->DeleteSeries({set}, range);
    BOOST_REQUIRE_MESSAGE(status.ok(), status.ToString());
  }
  // "a{j} 0 5; b{j} 5": what is there.
  std::string Text(const model::Snapshot& snapshot) const {
    std::string text;
    for (const auto& [name, samples] : Read(snapshot)) {
      text += (text.empty() ? "" : "; ") + name;
      for (const auto& [t, bits] : samples)
        text += " " + std::to_string(t) + ":" +
                std::to_string(static_cast<int>(std::bit_cast<double>(bits)));
    }
    return text;
  }
  std::string Text() const { return Text(*db->Pin()); }
};

MatcherSet Named(const std::string& name) { return {Matcher::Equal("__name__", name)}; }

// The states in which a delete may find samples.
struct State {
  const char* name;
  std::function<void(Store&)> reach;
};
const State kStates[] = {
    {"in the head", [](Store&) {}},
    {"sealed", [](Store& store) { BOOST_REQUIRE(store.db->Seal({}).ok()); }},
    {"merged", [](Store& store) { BOOST_REQUIRE(store.db->Compact().ok()); }},
    {"replayed", [](Store& store) { store.Open(); }},
    {"after kill -9", [](Store& store) { store.Crash(false); }},
    {"after a power cut", [](Store& store) { store.Crash(true); }},
    {"cleaned", [](Store& store) { BOOST_REQUIRE(store.db->CleanTombstones().ok()); }},
    {"a round later", [](Store& store) { BOOST_REQUIRE(store.db->RunMaintenance().ok()); }},
};

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
    const auto reader = selection->NewReader();
    std::string text;
    model::ColumnBatch batch;
    for (size_t i = 0; i < selection->size(); ++i) {
      BOOST_REQUIRE(reader->Read(i, 1, &batch).ok());
      const model::Column& column = batch.columns[0];
      uint64_t of_facts = 0;
      for (const model::Facts& facts : column.facts) of_facts += facts.count;
      text += std::to_string(column.values.size()) + "+" + std::to_string(of_facts) + " ";
    }
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

// Damage to one copy of the manifest brings nothing back; of both, it opens and says so.
BOOST_AUTO_TEST_CASE(ADeleteSurvivesTheLossOfEitherManifest) {
  for (const char* lost : {"manifest", "manifest.copy"}) {
    for (const bool removed : {true, false}) {
      Store store;
      BOOST_REQUIRE(store.Put("a", "j", 0, 1));
      BOOST_REQUIRE(store.db->Compact().ok());
      store.Delete(Named("a"));
      store.Close();
      const std::string path = std::string("/db/segments/") + lost;
      std::string bytes = *store.memory.ReadFile(path);
      BOOST_REQUIRE(store.memory.Remove(path).ok());
      if (!removed) {
        bytes[bytes.size() / 2] ^= 1;
        BOOST_REQUIRE(store.memory.WriteFileAtomically(path, bytes).ok());
      }
      store.Open();
      BOOST_TEST(store.Text().empty());
      BOOST_TEST(store.db->quarantined().size() == (removed ? 0u : 1u));
    }
  }
}

BOOST_AUTO_TEST_CASE(AMissingOrDamagedSegmentIsCountedAsLoss) {
  for (const bool removed : {true, false}) {
    Store store;
    for (int i = 0; i < 50; ++i) BOOST_REQUIRE(store.Put("a", "j", i * 1000, i));
    BOOST_REQUIRE(store.db->Compact().ok());
    store.Open();
    BOOST_TEST(store.db->counters().samples_lost_missing == 0u);
    store.Close();
    const std::vector<std::string> names = *store.memory.ListDir("/db/segments");
    for (const std::string& name : names) {
      if (!name.ends_with(".seg")) continue;
      const std::string path = "/db/segments/" + name;
      const std::string bytes = *store.memory.ReadFile(path);
      BOOST_REQUIRE(store.memory.Remove(path).ok());
      if (!removed)
        BOOST_REQUIRE(store.memory.WriteFileAtomically(path, bytes.substr(0, 100)).ok());
    }
    store.Open();
    BOOST_TEST(store.db->counters().samples_lost_missing == (removed ? 50u : 0u));
    BOOST_TEST(store.db->counters().samples_lost_damaged == (removed ? 0u : 50u));
    // Told once.
    store.Open();
    BOOST_TEST(store.db->counters().samples_lost_missing == 0u);
    BOOST_TEST(store.db->counters().samples_lost_damaged == 0u);
  }
}

BOOST_AUTO_TEST_CASE(ASegmentThatNoManifestKnowsIsAdopted) {
  Store store;
  for (int i = 0; i < 50; ++i) BOOST_REQUIRE(store.Put("a", "j", i * 1000, i));
  BOOST_REQUIRE(store.db->Compact().ok());
  const std::string all = store.Text();
  store.Close();
  BOOST_REQUIRE(store.memory.Remove("/db/segments/manifest").ok());
  BOOST_REQUIRE(store.memory.Remove("/db/segments/manifest.copy").ok());
  store.Open();
  BOOST_TEST(store.Text() == all);
  BOOST_TEST(store.memory.Exists("/db/segments/manifest"));
}

BOOST_AUTO_TEST_CASE(ManifestsAreReadBackAndDamageIsTold) {
  Manifest manifest;
  manifest.sequence = 7;
  manifest.commit = 300;
  manifest.segments.push_back({SegmentId{{1, 2, 3}}, "L0-x.seg", 4000, 99, {-5, 1000}});
  auto tombstone = std::make_shared<Tombstone>();
  tombstone->commit = 40;
  tombstone->range = {1, model::kMaxTimestamp};
  tombstone->matcher_sets = {{Matcher::Equal("a", "b"), Matcher::NotEqual("c", "")},
                             {*Matcher::Create(MatchType::kRegex, "d", "x.*"),
                              *Matcher::Create(MatchType::kNotRegex, "e", "y|z")}};
  manifest.tombstones = {tombstone};
  const std::string bytes = EncodeManifest(manifest);
  const auto read = DecodeManifest(bytes);
  BOOST_REQUIRE(read);
  BOOST_TEST(EncodeManifest(*read) == bytes);
  BOOST_TEST(read->tombstones[0]->matcher_sets[1][1].ToString() == R"(e!~"y|z")");
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] ^= 0x10;
    BOOST_TEST((DecodeManifest(flipped).error().code() == Code::kCorruption));
    BOOST_TEST(!DecodeManifest(bytes.substr(0, i)));
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

// --- snapshots ---

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

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::deletes_test
