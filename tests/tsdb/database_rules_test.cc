// Database: what each promise of the appender and of snapshots means, one case each.
#include <algorithm>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mem_env.h"
#include "model/storage.h"
#include "tsdb/database.h"

namespace tocsin::tsdb::database_rules_test {
namespace {

using model::AppendOutcome;
using model::Labels;
using model::RowKind;
using model::Timestamp;

constexpr Timestamp kNow = MemEnv::kStartMs;
constexpr int64_t kMinute = 60'000;

Labels L(std::vector<std::pair<std::string, std::string>> pairs) {
  return Labels::FromPairs(std::move(pairs));
}

struct Store {
  MemEnv env{3};
  DatabaseOptions options;
  std::unique_ptr<Database> db;

  explicit Store(int64_t window_ms = 60 * kMinute) {
    options.dir = "/db";
    options.env = &env;
    options.background = false;
    options.out_of_order_window_ms = window_ms;
    Open();
  }
  void Open() {
    db.reset();
    auto opened = Database::Open(options);
    BOOST_REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().ToString()));
    db = *std::move(opened);
  }
  std::unique_ptr<model::SourceWriter> Source(Labels labels, std::string origin = "o") {
    auto writer = db->OpenSource({model::OriginKind::kPush, std::move(origin)}, labels);
    BOOST_REQUIRE(writer);
    return *std::move(writer);
  }
  // One sample; its outcome.
  AppendOutcome Put(model::SourceWriter& writer, model::Slot slot, Timestamp t, double v,
                    RowKind kind = RowKind::kPartial, Timestamp own = model::kRowTimestamp,
                    int64_t extra_late_ms = 0) {
    auto batch = db->NewBatch();
    batch->BeginRow(writer, t, kind);
    batch->Set(slot, v, own);
    model::CommitOptions commit;
    commit.extra_late_ms = extra_late_ms;
    const auto result = batch->Commit(commit);
    BOOST_REQUIRE(result.status.ok());
    return result.refusals.empty() ? AppendOutcome::kOk : result.refusals[0].outcome;
  }
  // Samples of the only series that matches, as "t:v t:v", times relative to kNow.
  std::string Read(const model::MatcherSet& matchers = {}, model::TimeRange range = {}) {
    return Read(*db->Pin(), matchers, range);
  }
  static std::string Read(const model::Snapshot& snapshot, const model::MatcherSet& matchers = {},
                          model::TimeRange range = {}) {
    auto selection = snapshot.Select(matchers, range, {});
    BOOST_REQUIRE(selection);
    std::string text;
    model::ColumnBatch batch;
    auto reader = (*selection)->NewReader();
    for (size_t i = 0; i < (*selection)->size(); ++i) {
      BOOST_REQUIRE(reader->Read(i, 1, &batch).ok());
      const model::Column& column = batch.columns[0];
      for (size_t s = 0; s < column.values.size(); ++s) {
        if (!text.empty()) text += ' ';
        text += std::to_string(column.timestamps[s] - kNow) + ":";
        text += model::IsStale(column.values[s])
                    ? "stale"
                    : std::to_string(static_cast<int64_t>(column.values[s]));
      }
      for (size_t s = 0; s < column.histograms.size(); ++s) {
        if (!text.empty()) text += ' ';
        text += std::to_string(column.histogram_timestamps[s] - kNow) + ":h" +
                std::to_string(static_cast<int64_t>(column.histograms[s]->count));
      }
    }
    return text;
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(DatabaseRulesSuite)

BOOST_AUTO_TEST_CASE(LateSamplesFollowTheWindow) {
  struct Case {
    const char* name;
    int64_t window_ms;
    Timestamp t;
    double v;
    AppendOutcome want;
    int64_t extra_late_ms = 0;
  };
  // The slot's last sample is 7 at kNow.
  static const Case kCases[] = {
      {"later", 0, kNow + 1, 1, AppendOutcome::kOk},
      {"same again", 0, kNow, 7, AppendOutcome::kDuplicate},
      {"same time, other value", 0, kNow, 8, AppendOutcome::kDuplicateTimestamp},
      {"older without a window", 0, kNow - 1, 1, AppendOutcome::kOutOfOrder},
      {"older within the window", 10 * kMinute, kNow - 10 * kMinute, 1, AppendOutcome::kOk},
      {"older than the window", 10 * kMinute, kNow - 10 * kMinute - 1, 1, AppendOutcome::kTooOld},
      {"older, scrape path", 10 * kMinute, kNow - 12 * kMinute, 1, AppendOutcome::kOk,
       15 * kMinute},
      {"ten minutes ahead", 0, kNow + 10 * kMinute, 1, AppendOutcome::kOk},
      {"more than that", 0, kNow + 10 * kMinute + 1, 1, AppendOutcome::kTooFarInFuture},
  };
  for (const Case& c : kCases) {
    for (const bool full : {false, true}) {
      BOOST_TEST_CONTEXT(c.name << (full ? ", full row" : "")) {
        Store store(c.window_ms);
        auto writer = store.Source(L({{"job", "j"}}));
        const auto slot = *writer->AddSlot(L({{"__name__", "m"}}));
        const RowKind kind = full ? RowKind::kFull : RowKind::kPartial;
        BOOST_TEST((store.Put(*writer, slot, kNow, 7, kind) == AppendOutcome::kOk));
        const auto got =
            store.Put(*writer, slot, c.t, c.v, kind, model::kRowTimestamp, c.extra_late_ms);
        BOOST_TEST(AppendOutcomeName(got) == AppendOutcomeName(c.want));
        const uint64_t refused = store.db->counters().samples_refused[static_cast<size_t>(c.want)];
        BOOST_TEST(refused == (c.want == AppendOutcome::kOk ? 0u : 1u));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(LateDuplicatesAreCountedOnceWhenSealedOrMerged) {
  Store store;
  auto writer = store.Source(L({{"job", "j"}}));
  const auto slot = *writer->AddSlot(L({{"__name__", "m"}}));
  const auto put = [&](Timestamp t, double v) {
    BOOST_TEST((store.Put(*writer, slot, t, v) == AppendOutcome::kOk));
  };
  const auto refused = [&](AppendOutcome outcome) {
    return store.db->counters().samples_refused[static_cast<size_t>(outcome)];
  };
  put(kNow, 1);
  put(kNow + 1000, 2);
  put(kNow, 1);  // late, and there already
  put(kNow, 7);
  BOOST_TEST(store.Read() == "0:1 1000:2");
  BOOST_TEST(refused(AppendOutcome::kDuplicate) == 0u);
  BOOST_REQUIRE(store.db->Seal({}).ok());
  BOOST_TEST(refused(AppendOutcome::kDuplicate) == 1u);
  BOOST_TEST(refused(AppendOutcome::kDuplicateTimestamp) == 1u);
  // Of what is sealed: told when the files are merged.
  put(kNow, 1);
  put(kNow, 8);
  put(kNow + 500, 3);
  BOOST_REQUIRE(store.db->Compact().ok());
  BOOST_TEST(refused(AppendOutcome::kDuplicate) == 2u);
  BOOST_TEST(refused(AppendOutcome::kDuplicateTimestamp) == 2u);
  BOOST_REQUIRE(store.db->Compact().ok());
  BOOST_TEST(refused(AppendOutcome::kDuplicate) == 2u);
  BOOST_TEST(store.Read() == "0:1 500:3 1000:2");
}

BOOST_AUTO_TEST_CASE(AnEmptyHeadTakesAnyPastAndAFirstSampleAnHour) {
  Store store(0);
  auto writer = store.Source(L({{"job", "j"}}));
  const auto a = *writer->AddSlot(L({{"__name__", "a"}}));
  const auto b = *writer->AddSlot(L({{"__name__", "b"}}));
  const auto c = *writer->AddSlot(L({{"__name__", "c"}}));
  BOOST_TEST((store.Put(*writer, a, 0, 1) == AppendOutcome::kOk));
  BOOST_TEST((store.Put(*writer, a, kNow, 1) == AppendOutcome::kOk));
  BOOST_TEST((store.Put(*writer, b, kNow - 60 * kMinute, 1) == AppendOutcome::kOk));
  BOOST_TEST((store.Put(*writer, c, kNow - 60 * kMinute - 1, 1) == AppendOutcome::kTooOld));
}

BOOST_AUTO_TEST_CASE(AllOrNothingLeavesNoTrace) {
  Store store(0);
  auto writer = store.Source(L({{"job", "j"}}));
  const auto a = *writer->AddSlot(L({{"__name__", "a"}}));
  const auto b = *writer->AddSlot(L({{"__name__", "b"}}));
  store.Put(*writer, a, kNow, 1);
  const uint64_t before = store.db->Pin()->commit_number();
  model::CommitOptions all;
  all.all_or_nothing = true;
  {
    auto batch = store.db->NewBatch();
    batch->BeginRow(*writer, kNow + 1, RowKind::kPartial);
    batch->Set(b, 5, model::kRowTimestamp);
    batch->BeginRow(*writer, kNow - 1, RowKind::kPartial);
    batch->Set(a, 5, model::kRowTimestamp);
    const auto result = batch->Commit(all);
    BOOST_TEST((result.status.code() == Code::kInvalidArgument));
    BOOST_REQUIRE_EQUAL(result.refusals.size(), 1u);
    BOOST_TEST(result.refusals[0].row == 1u);
    BOOST_TEST((result.refusals[0].outcome == AppendOutcome::kOutOfOrder));
  }
  BOOST_TEST(store.db->Pin()->commit_number() == before);
  BOOST_TEST(store.Read() == "0:1");
  // What the batch itself did before counts: the second of two rows of one slot is judged by the
  // first.
  {
    auto batch = store.db->NewBatch();
    batch->BeginRow(*writer, kNow + 20, RowKind::kPartial);
    batch->Set(b, 5, model::kRowTimestamp);
    batch->BeginRow(*writer, kNow + 10, RowKind::kPartial);
    batch->Set(b, 6, model::kRowTimestamp);
    BOOST_TEST(!batch->Commit(all).status.ok());
  }
  // A duplicate alone is no reason.
  {
    auto batch = store.db->NewBatch();
    batch->BeginRow(*writer, kNow, RowKind::kPartial);
    batch->Set(a, 1, model::kRowTimestamp);
    batch->Set(b, 2, model::kRowTimestamp);
    const auto result = batch->Commit(all);
    BOOST_TEST(result.status.ok());
    BOOST_TEST(result.samples_committed == 1u);
    BOOST_REQUIRE_EQUAL(result.refusals.size(), 1u);
    BOOST_TEST((result.refusals[0].outcome == AppendOutcome::kDuplicate));
  }
}

BOOST_AUTO_TEST_CASE(AFullRowWithoutASlotHasNoSampleOfIt) {
  Store store;
  auto writer = store.Source(L({{"job", "j"}}));
  const auto a = *writer->AddSlot(L({{"__name__", "a"}}));
  const auto b = *writer->AddSlot(L({{"__name__", "b"}}));
  for (int i = 0; i < 4; ++i) {
    auto batch = store.db->NewBatch();
    batch->BeginRow(*writer, kNow + i, RowKind::kFull);
    batch->Set(a, 1, model::kRowTimestamp);
    if (i != 1 && i != 2) batch->Set(b, i == 0 ? 2 : 3, model::kRowTimestamp);
    BOOST_REQUIRE(batch->Commit({}).status.ok());
  }
  for (int pass = 0; pass < 3; ++pass) {
    BOOST_TEST(store.Read({model::Matcher::Equal("__name__", "a")}) == "0:1 1:1 2:1 3:1");
    BOOST_TEST(store.Read({model::Matcher::Equal("__name__", "b")}) == "0:2 3:3");
    if (pass == 0) {
      writer.reset();
      store.Open();
    } else if (pass == 1) {
      BOOST_REQUIRE(store.db->Compact().ok());
    }
  }
}

BOOST_AUTO_TEST_CASE(OwnTimestampsComeBackExactly) {
  Store store;
  auto writer = store.Source(L({{"job", "j"}}));
  const auto a = *writer->AddSlot(L({{"__name__", "a"}}));
  BOOST_TEST((store.Put(*writer, a, kNow, 1, RowKind::kFull, kNow - 7000) == AppendOutcome::kOk));
  // The exposition repeats it: no new sample.
  BOOST_TEST((store.Put(*writer, a, kNow + 15000, 1, RowKind::kFull, kNow - 7000) ==
              AppendOutcome::kDuplicate));
  BOOST_TEST(
      (store.Put(*writer, a, kNow + 30000, 2, RowKind::kFull, kNow + 29000) == AppendOutcome::kOk));
  BOOST_TEST((store.Put(*writer, a, kNow + 45000, 2, RowKind::kFull) == AppendOutcome::kOk));
  BOOST_TEST((store.Put(*writer, a, kNow + 60000, 2, RowKind::kFull) == AppendOutcome::kOk));
  const std::string want = "-7000:1 29000:2 45000:2 60000:2";
  BOOST_TEST(store.Read() == want);
  writer.reset();
  store.Open();
  BOOST_TEST(store.Read() == want);
  BOOST_REQUIRE(store.db->Compact().ok());
  BOOST_TEST(store.Read() == want);
}

BOOST_AUTO_TEST_CASE(HistogramsAndStartTimestampsComeBack) {
  Store store;
  auto writer = store.Source(L({{"job", "j"}}));
  const auto slot = *writer->AddSlot(L({{"__name__", "h"}}));
  const auto counter = *writer->AddSlot(L({{"__name__", "c"}}));
  model::Histogram h;
  h.integer = true;
  h.schema = 3;
  h.positive_spans = {{0, 2}, {3, 1}};
  h.positive_buckets = {1, 2, 3};
  h.zero_count = 1;
  for (int i = 0; i < 3; ++i) {
    h.count = 7 + i;
    h.sum = 1.5 * i;
    auto batch = store.db->NewBatch();
    batch->BeginRow(*writer, kNow + i * 1000, RowKind::kFull);
    batch->SetHistogram(slot, h, model::kRowTimestamp);
    batch->SetStartTimestamp(slot, kNow - 5000);
    batch->Set(counter, 3, model::kRowTimestamp);
    batch->SetStartTimestamp(counter, i < 2 ? kNow - 9000 : kNow + 1500);
    const auto result = batch->Commit({});
    BOOST_TEST(result.samples_committed == 2u);
  }
  // Late, and a repetition.
  h.count = 99;
  auto late = store.db->NewBatch();
  late->BeginRow(*writer, kNow + 500, RowKind::kPartial);
  late->SetHistogram(slot, h, model::kRowTimestamp);
  late->BeginRow(*writer, kNow + 2000, RowKind::kPartial);
  late->SetHistogram(slot, h, model::kRowTimestamp);
  const auto result = late->Commit({});
  BOOST_REQUIRE_EQUAL(result.refusals.size(), 1u);
  BOOST_TEST((result.refusals[0].outcome == AppendOutcome::kDuplicateTimestamp));
  for (int pass = 0; pass < 3; ++pass) {
    BOOST_TEST(store.Read({model::Matcher::Equal("__name__", "h")}) ==
               "0:h7 500:h99 1000:h8 2000:h9");
    auto snapshot = store.db->Pin();
    auto selection = *snapshot->Select({model::Matcher::Equal("__name__", "c")}, {}, {});
    model::ColumnBatch batch;
    BOOST_REQUIRE(selection->NewReader()->Read(0, 1, &batch).ok());
    const model::Column& c = batch.columns[0];
    BOOST_REQUIRE_EQUAL(c.values.size(), 3u);
    BOOST_REQUIRE_EQUAL(c.start_timestamps.size(), 3u);
    BOOST_TEST(c.start_timestamps[0] == kNow - 9000);
    BOOST_TEST(c.start_timestamps[1] == kNow - 9000);
    BOOST_TEST(c.start_timestamps[2] == kNow + 1500);
    selection.reset();
    snapshot.reset();
    if (pass == 0) {
      writer.reset();
      store.Open();
    } else if (pass == 1) {
      BOOST_REQUIRE(store.db->Compact().ok());
    }
  }
}

// The label set {__name__="m", job="j", instance="i", x="1"} through three splits, one of them
// under two origins.
BOOST_AUTO_TEST_CASE(OneLabelSetInThreeSplitsIsOneSeries) {
  Store store;
  struct Split {
    Labels source;
    Labels key;
    std::string origin;
  };
  const Split splits[] = {
      {L({{"job", "j"}, {"instance", "i"}}), L({{"__name__", "m"}, {"x", "1"}}), "a"},
      {L({{"job", "j"}}), L({{"__name__", "m"}, {"instance", "i"}, {"x", "1"}}), "a"},
      {Labels(), L({{"__name__", "m"}, {"job", "j"}, {"instance", "i"}, {"x", "1"}}), "a"},
      {L({{"job", "j"}, {"instance", "i"}}), L({{"__name__", "m"}, {"x", "1"}}), "b"},
  };
  std::string at_zero;
  for (int pass = 0; pass < 4; ++pass) {
    // Everybody writes at the same instant too, with different values: one of them counts, always
    // the same one.
    int i = 0;
    for (const Split& split : splits) {
      auto writer = store.Source(split.source, split.origin);
      const auto slot = *writer->AddSlot(split.key);
      store.Put(*writer, slot, kNow + pass * 1000, 10 + i);
      store.Put(*writer, slot, kNow + pass * 1000 + 1 + i, i);
      ++i;
    }
    const std::string got = store.Read();
    if (pass == 0) at_zero = got.substr(0, got.find(' '));
    BOOST_TEST(got.substr(0, got.find(' ')) == at_zero);
    BOOST_TEST(std::count(got.begin(), got.end(), ' ') == (pass + 1) * 5 - 1);
    {
      const auto snapshot = store.db->Pin();
      const auto selection = *snapshot->Select({}, {}, {});
      BOOST_TEST(selection->size() == 1u);
      BOOST_TEST(snapshot->Series({}, {}, 0)->size() == 1u);
    }
    if (pass == 0) BOOST_REQUIRE(store.db->Seal({}).ok());
    if (pass == 1) store.Open();
    if (pass == 2) BOOST_REQUIRE(store.db->Compact().ok());
  }
}

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

BOOST_AUTO_TEST_CASE(KeysMayNotShareALabelNameWithTheirSource) {
  Store store;
  auto writer = store.Source(L({{"job", "j"}}));
  const auto slot = writer->AddSlot(L({{"__name__", "a"}, {"job", "k"}}));
  BOOST_REQUIRE(!slot);
  BOOST_TEST((slot.error().code() == Code::kInvalidArgument));
  BOOST_TEST(*writer->AddSlot(L({{"__name__", "a"}})) == *writer->AddSlot(L({{"__name__", "a"}})));
}

BOOST_AUTO_TEST_CASE(LimitsRefuseWhatIsNewAndKeepWhatIs) {
  Store store;
  store.options.source_series_limit = 2;
  store.options.series_limit = 3;
  store.Open();
  auto writer = store.Source(L({{"job", "j"}}));
  const auto a = *writer->AddSlot(L({{"__name__", "a"}}));
  BOOST_TEST(writer->AddSlot(L({{"__name__", "b"}})).has_value());
  auto refused = writer->AddSlot(L({{"__name__", "c"}}));
  BOOST_REQUIRE(!refused);
  BOOST_TEST((refused.error().code() == Code::kResourceExhausted));
  BOOST_TEST(*writer->AddSlot(L({{"__name__", "a"}})) == a);
  auto other = store.Source(L({{"job", "k"}}));
  BOOST_TEST(other->AddSlot(L({{"__name__", "a"}})).has_value());
  BOOST_TEST(!other->AddSlot(L({{"__name__", "b"}})).has_value());
  BOOST_TEST(store.db->counters().series_refused == 2u);
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

// A source whose series come and go keeps few slots, and none of its samples is taken for
// another's.
BOOST_AUTO_TEST_CASE(ChurnInsideASourceReusesSlots) {
  Store store;
  std::map<int, model::Slot> slots;
  std::map<int, std::string> want;
  std::map<int, int> births;
  int born = 0;
  model::Slot highest = 0;
  auto writer = store.Source(L({{"job", "kube"}}));
  for (int row = 0; row < 240; ++row) {  // eight hours
    store.env.AdvanceMs(2 * kMinute);
    const Timestamp t = kNow + row * 2 * kMinute;
    std::vector<int> gone;
    auto batch = store.db->NewBatch();
    batch->BeginRow(*writer, t, RowKind::kFull);
    while (slots.size() < 20) {
      const int pod = born++;
      births[pod] = row;
      slots[pod] = *writer->AddSlot(L({{"__name__", "up"}, {"pod", std::to_string(pod)}}));
      highest = std::max(highest, slots[pod]);
    }
    for (const auto& [pod, slot] : slots) {
      const bool ends = row - births[pod] > (pod % 3 == 0 ? 21 : 7);
      const std::string at = std::to_string(t - kNow) + ":";
      if (ends) gone.push_back(pod);
      batch->Set(slot, ends ? model::StaleMarker() : pod, model::kRowTimestamp);
      want[pod] += (want[pod].empty() ? "" : " ") + at + (ends ? "stale" : std::to_string(pod));
    }
    BOOST_REQUIRE(batch->Commit({}).refusals.empty());
    for (const int pod : gone) {
      // Before a restart nobody gets to say so.
      if (row < 80 || row > 89) writer->ReleaseSlot(slots[pod]);
      slots.erase(pod);
    }
    BOOST_REQUIRE(store.db->RunMaintenance().ok());
    if (row % 90 == 89) {
      writer.reset();
      store.Open();
      writer = store.Source(L({{"job", "kube"}}));
      for (auto& [pod, slot] : slots)
        slot = *writer->AddSlot(L({{"__name__", "up"}, {"pod", std::to_string(pod)}}));
    }
  }
  BOOST_TEST(born > 200);
  BOOST_TEST(highest < static_cast<model::Slot>(born) / 2);
  for (const auto& [pod, samples] : want)
    BOOST_TEST(store.Read({model::Matcher::Equal("pod", std::to_string(pod))}) == samples);
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

BOOST_AUTO_TEST_CASE(AGiantSourceIsSeveralPages) {
  Store store;
  auto writer = store.Source(L({{"job", "kube-state-metrics"}}));
  constexpr int kSlots = 9000;
  std::vector<model::Slot> slots;
  for (int i = 0; i < kSlots; ++i)
    slots.push_back(*writer->AddSlot(L({{"__name__", "m"}, {"pod", std::to_string(i)}})));
  for (int row = 0; row < 3; ++row) {
    auto batch = store.db->NewBatch();
    batch->BeginRow(*writer, kNow + row * 1000, RowKind::kFull);
    for (int i = 0; i < kSlots; ++i) {
      if (row == 1 && i >= 4096 && i < 8192) continue;  // a whole page is missing
      batch->Set(slots[static_cast<size_t>((i * 7919) % kSlots)], i + row, model::kRowTimestamp);
    }
    BOOST_REQUIRE(batch->Commit({}).status.ok());
  }
  writer.reset();
  for (int pass = 0; pass < 2; ++pass) {
    store.Open();
    {
      const auto snapshot = store.db->Pin();
      const auto selection = *snapshot->Select({}, {}, {});
      BOOST_TEST(selection->size() == static_cast<size_t>(kSlots));
    }
    for (const int i : {0, 4095, 4096, 8191, 8999}) {
      const std::string pod = std::to_string((i * 7919) % kSlots);
      const std::string v = std::to_string(i);
      const std::string want = i >= 4096 && i < 8192 ? "0:" + v + " 2000:" + std::to_string(i + 2)
                                                     : "0:" + v + " 1000:" + std::to_string(i + 1) +
                                                           " 2000:" + std::to_string(i + 2);
      BOOST_TEST(store.Read({model::Matcher::Equal("pod", pod)}) == want);
    }
    BOOST_REQUIRE(store.db->Compact().ok());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::database_rules_test
