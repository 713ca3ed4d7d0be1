// What the appender promises of every sample that it takes, one case each.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>
#include <string>
#include <vector>

#include "tests/tsdb/rules_store.h"

namespace tocsin::tsdb::database_rules_test {
namespace {

using namespace rules_store;  // NOLINT: the words of these tests

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
