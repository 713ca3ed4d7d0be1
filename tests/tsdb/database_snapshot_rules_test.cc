// What snapshots see and a store keeps, over seals, restarts and retention, one case each.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "base/fault_env.h"
#include "tests/tsdb/rules_store.h"

namespace tocsin::tsdb::database_snapshot_rules_test {
namespace {

using namespace rules_store;  // NOLINT: the words of these tests

}  // namespace

BOOST_AUTO_TEST_SUITE(DatabaseSnapshotRulesSuite)

BOOST_AUTO_TEST_CASE(ASnapshotDoesNotMove) {
  Store store;
  auto writer = store.Source(L({{"job", "j"}}));
  const auto a = *writer->AddSlot(L({{"__name__", "a"}}));
  for (int i = 0; i < 5; ++i) store.Put(*writer, a, kNow + i * 1000, i);
  const auto pinned = store.db->Pin();
  const std::string want = "0:0 1000:1 2000:2 3000:3 4000:4";
  store.Put(*writer, a, kNow + 2500, 25);  // late
  store.Put(*writer, a, kNow + 9000, 9);
  BOOST_TEST(Store::Read(*pinned) == want);
  BOOST_REQUIRE(store.db->Seal({}).ok());
  BOOST_TEST(Store::Read(*pinned) == want);
  BOOST_REQUIRE(store.db->Compact().ok());
  BOOST_TEST(store.db->sizes().head_bytes > 0u);  // kept for the snapshot
  BOOST_TEST(Store::Read(*pinned) == want);
  BOOST_TEST(store.Read() == "0:0 1000:1 2000:2 2500:25 3000:3 4000:4 9000:9");
}

BOOST_AUTO_TEST_CASE(WhatIsSettledChangesOnlyWithTheChangeNumber) {
  Store store;
  BOOST_TEST(store.db->SettledUntil() == model::kMinTimestamp);
  auto writer = store.Source(L({{"job", "j"}}));
  const auto a = *writer->AddSlot(L({{"__name__", "a"}}));
  store.Put(*writer, a, kNow, 1);
  const model::Timestamp settled = store.db->SettledUntil();
  BOOST_TEST(settled == kNow - 60'000);
  const model::TimeRange before{kNow - 3'600'000, settled};
  const model::TimeRange other_day{kNow - 90'000'000, kNow - 88'000'000};
  const uint64_t change = store.db->ChangeNumber(before);
  const uint64_t other = store.db->ChangeNumber(other_day);
  store.Put(*writer, a, kNow - 30'000, 2);  // late, but not settled yet
  BOOST_TEST(store.db->ChangeNumber(before) == change);
  store.Put(*writer, a, kNow - 120'000, 3);
  BOOST_TEST(store.db->ChangeNumber(before) > change);
  BOOST_TEST(store.db->ChangeNumber(other_day) == other);
  BOOST_TEST(store.db->SettledUntil() == settled);
}

BOOST_AUTO_TEST_CASE(SealedRowsLeaveMemoryOnceNoSnapshotNeedsThem) {
  Store store;
  auto writer = store.Source(L({{"job", "j"}}));
  const auto a = *writer->AddSlot(L({{"__name__", "a"}}));
  for (int i = 0; i < 5; ++i) store.Put(*writer, a, kNow + i * 1000, i);
  auto pinned = store.db->Pin();
  BOOST_REQUIRE(store.db->Compact().ok());
  BOOST_TEST(store.db->sizes().head_bytes > 0u);
  pinned.reset();
  BOOST_REQUIRE(store.db->RunMaintenance().ok());
  BOOST_TEST(store.db->sizes().head_bytes == 0u);
  // The slot goes on where it was: the sealed value is known, an older one is late.
  BOOST_TEST((store.Put(*writer, a, kNow + 4000, 4) == AppendOutcome::kDuplicate));
  BOOST_TEST((store.Put(*writer, a, kNow + 5000, 5) == AppendOutcome::kOk));
  BOOST_TEST(store.Read() == "0:0 1000:1 2000:2 3000:3 4000:4 5000:5");
}

BOOST_AUTO_TEST_CASE(LabelCallsAnswerFromHeadAndSegments) {
  Store store;
  auto writer = store.Source(L({{"job", "j"}}));
  const auto a = *writer->AddSlot(L({{"__name__", "a"}, {"x", "1"}}));
  store.Put(*writer, a, kNow, 1);
  BOOST_REQUIRE(store.db->Compact().ok());
  auto other = store.Source(L({{"job", "k"}}));
  const auto b = *other->AddSlot(L({{"__name__", "b"}, {"y", "2"}}));
  store.Put(*other, b, kNow + 1000, 1);
  const auto snapshot = store.db->Pin();
  using Strings = std::vector<std::string>;
  BOOST_TEST(*snapshot->LabelNames({}, {}, 0) == (Strings{"__name__", "job", "x", "y"}));
  BOOST_TEST(*snapshot->LabelValues("job", {}, {}, 0) == (Strings{"j", "k"}));
  BOOST_TEST(*snapshot->LabelValues("job", {}, {}, 1) == (Strings{"j"}));
  const model::MatcherSet only_b{model::Matcher::Equal("__name__", "b")};
  BOOST_TEST(*snapshot->LabelValues("job", std::span(&only_b, 1), {}, 0) == (Strings{"k"}));
  BOOST_TEST(snapshot->Series(std::span(&only_b, 1), {}, 0)->size() == 1u);
  BOOST_TEST(snapshot->LabelNames({}, {0, 1000}, 0)->empty());
  model::LabelHints none;
  none.charge = [](uint64_t) { return Status(Code::kResourceExhausted, "no"); };
  BOOST_TEST(!snapshot->Series(std::span(&only_b, 1), {}, none).has_value());
  std::vector<uint32_t> groups_of;
  std::vector<Labels> groups;
  const std::vector<std::string> by{"job"};
  model::SelectHints sorted;
  sorted.sorted = true;
  auto selection = *snapshot->Select({}, {}, sorted);
  BOOST_REQUIRE_EQUAL(selection->size(), 2u);
  BOOST_TEST(selection->LabelsAt(0).ToString() == "a{job=\"j\", x=\"1\"}");
  selection->Group(false, by, &groups_of, &groups);
  BOOST_REQUIRE_EQUAL(groups.size(), 2u);
  BOOST_TEST(groups[groups_of[1]].ToString() == "{job=\"k\"}");
  selection->Group(true, by, &groups_of, &groups);
  BOOST_TEST(groups[groups_of[0]].ToString() == "{x=\"1\"}");
}

BOOST_AUTO_TEST_CASE(SelectionsAskBeforeTheyTakeMemory) {
  Store store;
  auto writer = store.Source(L({{"job", "j"}}));
  const auto put_all = [&](int64_t time) {
    for (int i = 0; i < 200; ++i) {
      store.Put(*writer, *writer->AddSlot(L({{"__name__", "a"}, {"x", std::to_string(i)}})), time,
                1);
    }
  };
  put_all(kNow);
  BOOST_REQUIRE(store.db->Compact().ok());
  put_all(kNow + 1000);
  const auto snapshot = store.db->Pin();
  uint64_t bytes = 0;
  uint64_t limit = 1 << 20;
  model::SelectHints hints;
  hints.charge = [&](uint64_t more) {
    bytes += more;
    return bytes <= limit ? Status::Ok() : Status(Code::kResourceExhausted, "no more");
  };
  BOOST_TEST((*snapshot->Select({}, {}, hints))->size() == 200u);
  const uint64_t all = bytes;
  BOOST_TEST(all >= 200 * 48u);
  // The head's series are there, those of the segment are not: no damage, and no half answers.
  for (limit = 0; limit < all; limit += all / 3) {
    bytes = 0;
    const auto refused = snapshot->Select({}, {}, hints);
    BOOST_REQUIRE(!refused);
    BOOST_TEST(refused.error().message() == "no more");
  }
}

BOOST_AUTO_TEST_CASE(MarksAndExemplarsSurviveARestart) {
  Store store;
  auto writer = store.Source(L({{"job", "j"}}));
  const auto a = *writer->AddSlot(L({{"__name__", "a"}}));
  const model::Mark mark{"kafka/topic/3", std::string("\x01\x00\x02", 3)};
  model::CommitOptions commit;
  commit.marks = std::span(&mark, 1);
  auto batch = store.db->NewBatch();
  batch->BeginRow(*writer, kNow, RowKind::kPartial);
  batch->Set(a, 1, model::kRowTimestamp);
  model::Exemplar exemplar;
  exemplar.labels = L({{"trace_id", "abc"}}).packed();
  exemplar.value = 0.5;
  batch->AddExemplar(a, exemplar);
  BOOST_REQUIRE(batch->Commit(commit).status.ok());
  for (int pass = 0; pass < 3; ++pass) {
    const auto found = store.db->FindMark(mark.key);
    BOOST_REQUIRE(found.has_value());
    BOOST_TEST(*found == mark.bytes);
    BOOST_TEST(!store.db->FindMark("other").has_value());
    {
      auto exemplars = *store.db->Pin()->Exemplars({}, {});
      BOOST_REQUIRE_EQUAL(exemplars.size(), 1u);
      BOOST_TEST(exemplars[0].series_labels.ToString() == "a{job=\"j\"}");
      BOOST_REQUIRE_EQUAL(exemplars[0].exemplars.size(), 1u);
      BOOST_TEST(exemplars[0].exemplars[0].timestamp_ms == kNow);
    }
    writer.reset();
    if (pass == 1) BOOST_REQUIRE(store.db->Compact().ok());
    store.Open();
  }
}

// Rows of sources in several shards, with marks under one key, and a disk that can fail.
struct MarkedStore {
  static constexpr int kSources = 8;
  MemEnv memory{3};
  FaultEnv env{memory};
  std::unique_ptr<Database> db;
  std::vector<std::unique_ptr<model::SourceWriter>> writers;

  MarkedStore() { Open(); }
  void Open() {
    DatabaseOptions options;
    options.dir = "/db";
    options.env = &env;
    options.background = false;
    options.shards = 4;
    db = *Database::Open(options);
    for (int i = 0; i < kSources; ++i) {
      writers.push_back(
          *db->OpenSource({model::OriginKind::kPush, "o"}, L({{"source", std::to_string(i)}})));
    }
  }
  void Put(int source, Timestamp t, model::Durability durability, const std::string& mark) {
    memory.SetNowMs(std::max(memory.NowMs(), t));
    model::SourceWriter& writer = *writers[static_cast<size_t>(source)];
    auto batch = db->NewBatch();
    batch->BeginRow(writer, t, RowKind::kPartial);
    batch->Set(*writer.AddSlot(L({{"__name__", "a"}})), 1, model::kRowTimestamp);
    const model::Mark marks[] = {{"key", mark}};
    model::CommitOptions commit;
    commit.durability = durability;
    if (!mark.empty()) commit.marks = marks;
    BOOST_REQUIRE(batch->Commit(commit).status.ok());
  }
  void Crash(bool power) {
    writers.clear();
    if (power) {
      env.PowerCut(FaultEnv::Cut::kDropUnsynced);
    } else {
      env.Kill();
    }
    env.FailAfter(0, Status(Code::kIo, "dead"), kWriteOps, Repeat::kFromThenOn);
    db.reset();
    env.ClearFault();
    Open();
  }
};

BOOST_AUTO_TEST_CASE(TheLatestMarkCountsWhicheverLogHasIt) {
  for (int last = 0; last < MarkedStore::kSources; ++last) {
    MarkedStore store;
    store.Put(0, kNow, model::Durability::kKernel, "first");
    // Each log begins a file, which tells the marks so far.
    for (int i = 0; i < MarkedStore::kSources; ++i)
      store.Put(i, kNow + 40 * kMinute, model::Durability::kKernel, "");
    store.Put(last, kNow + 41 * kMinute, model::Durability::kKernel, "last");
    for (int crashes = 0; crashes < 2; ++crashes) {
      store.Crash(/*power=*/false);
      BOOST_TEST(store.db->FindMark("key").value_or("none") == "last");
    }
  }
}

// Another shard's log begins a file after the mark, and gets to the disk; the mark's own does not.
BOOST_AUTO_TEST_CASE(AMarkDoesNotOutliveItsRows) {
  int lost = 0;
  for (int other = 1; other < MarkedStore::kSources; ++other) {
    MarkedStore store;
    store.Put(0, kNow, model::Durability::kSynced, "first");
    store.Put(0, kNow + 1, model::Durability::kKernel, "second");
    store.Put(other, kNow + 40 * kMinute, model::Durability::kSynced, "");
    store.Crash(/*power=*/true);
    auto selection =
        store.db->Pin()->Select({model::Matcher::Equal("source", "0")}, {kNow + 1, kNow + 1}, {});
    const bool has_rows = selection && (*selection)->size() > 0;
    lost += has_rows ? 0 : 1;
    BOOST_TEST(store.db->FindMark("key").value_or("none") == (has_rows ? "second" : "first"));
  }
  BOOST_TEST(lost > 0);
}

// As a push has them whose samples have come before, or of series that the log does not know yet.
BOOST_AUTO_TEST_CASE(ExemplarsWithoutSamplesAreCommittedAndLogged) {
  Store store;
  auto writer = store.Source(L({{"job", "j"}}));
  const auto a = *writer->AddSlot(L({{"__name__", "a"}}));
  auto batch = store.db->NewBatch();
  batch->BeginRow(*writer, kNow, RowKind::kPartial);
  model::Exemplar exemplar;
  exemplar.labels = L({{"trace_id", "abc"}}).packed();
  batch->AddExemplar(a, exemplar);
  model::CommitOptions commit;
  commit.durability = model::Durability::kKernel;
  BOOST_REQUIRE(batch->Commit(commit).status.ok());
  BOOST_TEST((*store.db->Pin()->Exemplars({}, {})).size() == 1u);
  // What another start would read now, before this one closes.
  DatabaseOptions options = store.options;
  options.read_only = true;
  const auto other = Database::Open(options);
  BOOST_REQUIRE(other);
  const auto exemplars = *(*other)->Pin()->Exemplars({}, {});
  BOOST_REQUIRE_EQUAL(exemplars.size(), 1u);
  BOOST_TEST(exemplars[0].series_labels.ToString() == "a{job=\"j\"}");
}

BOOST_AUTO_TEST_CASE(OldDaysGoAndOpenOnesStay) {
  Store store;
  store.options.policy.retention_ms = 2 * 24 * 60 * kMinute;
  store.options.accept_any_first_timestamp = true;
  store.Open();
  auto writer = store.Source(L({{"job", "j"}}));
  const auto a = *writer->AddSlot(L({{"__name__", "a"}}));
  const int64_t day = 24 * 60 * kMinute;
  for (int d = 5; d >= 0; --d) store.Put(*writer, a, kNow - d * day, d);
  BOOST_REQUIRE(store.db->Compact().ok());
  BOOST_TEST(store.db->sizes().segments == 6u);
  BOOST_REQUIRE(store.db->RunMaintenance().ok());
  BOOST_TEST(store.Read() == std::to_string(-2 * day) + ":2 " + std::to_string(-day) + ":1 0:0");
  BOOST_TEST(store.db->counters().segments_deleted_by_retention == 3u);
}

BOOST_AUTO_TEST_CASE(MemoryStaysBoundedWhenOldDataComesInBulk) {
  Store store;
  store.options.head_bytes_max = 200'000;
  store.options.accept_any_first_timestamp = true;
  store.Open();
  auto writer = store.Source(L({{"job", "backfill"}}));
  std::vector<model::Slot> slots;
  for (int k = 0; k < 100; ++k)
    slots.push_back(*writer->AddSlot(L({{"__name__", "m"}, {"k", std::to_string(k)}})));
  const Timestamp begin = kNow - 5 * 24 * 60 * kMinute;
  uint64_t highest = 0;
  constexpr int kRows = 5000;
  for (int row = 0; row < kRows; ++row) {
    auto batch = store.db->NewBatch();
    batch->BeginRow(*writer, begin + row * kMinute, RowKind::kPartial);
    for (int k = 0; k < 100; ++k) batch->Set(slots[k], row * k, model::kRowTimestamp);
    BOOST_REQUIRE(batch->Commit({}).refusals.empty());
    if (row % 20 == 0) BOOST_REQUIRE(store.db->RunMaintenance().ok());
    highest = std::max(highest, store.db->sizes().head_bytes);
  }
  BOOST_TEST(highest < 400'000u);
  BOOST_REQUIRE(store.db->Compact().ok());
  BOOST_TEST(store.db->sizes().segments == 4u);  // days
  const auto snapshot = store.db->Pin();
  const auto selection = *snapshot->Select({model::Matcher::Equal("k", "7")}, {}, {});
  model::ColumnBatch batch;
  BOOST_REQUIRE(selection->NewReader()->Read(0, 1, &batch).ok());
  BOOST_REQUIRE_EQUAL(batch.columns[0].values.size(), static_cast<size_t>(kRows));
  for (int row = 0; row < kRows; ++row) BOOST_REQUIRE(batch.columns[0].values[row] == row * 7);
}

BOOST_AUTO_TEST_CASE(WithoutALogWhatIsSealedStays) {
  Store store;
  store.options.wal = false;
  store.Open();
  auto writer = store.Source(L({{"job", "j"}}));
  const auto a = *writer->AddSlot(L({{"__name__", "a"}}));
  store.Put(*writer, a, kNow, 1);
  BOOST_REQUIRE(store.db->Seal({}).ok());
  store.Put(*writer, a, kNow + 1, 2);
  BOOST_TEST(store.Read() == "0:1 1:2");
  writer.reset();
  store.Open();
  BOOST_TEST(store.Read() == "0:1");
}

BOOST_AUTO_TEST_CASE(ASecondProcessIsRefused) {
  Store store;
  const auto second = Database::Open(store.options);
  BOOST_REQUIRE(!second);
  BOOST_TEST((second.error().code() == Code::kUnavailable));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::database_snapshot_rules_test
