// Select hints never change an answer: what is read with `times_only` or `newest_only` is what is
// read without, over rows of every kind, sealed and open, with deletes, restarts and late samples.
#include <bit>
#include <boost/test/unit_test.hpp>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/mem_env.h"
#include "model/storage.h"
#include "tsdb/database.h"

namespace tocsin::tsdb::select_hints_test {
namespace {

using model::Labels;
using model::RowKind;
using model::Timestamp;

constexpr int64_t kMinute = 60'000;
constexpr int kSources = 4;
constexpr uint32_t kSlots = 150;

model::Histogram SomeHistogram(double count) {
  model::Histogram histogram;
  histogram.count = count;
  histogram.zero_count = count;
  return histogram;
}

// Random rows of four sources: scrapes, whole pushes, parts of pushes.
class RandomStore {
 public:
  explicit RandomStore(uint64_t seed) : random_(seed), env_(seed) {
    options_.dir = "/db";
    options_.env = &env_;
    options_.background = false;
    options_.out_of_order_window_ms = 20 * kMinute;
    options_.accept_any_first_timestamp = true;
    now_ = MemEnv::kStartMs;
    Open();
  }

  void Open() {
    writers_.clear();
    db_.reset();
    auto opened = Database::Open(options_);
    BOOST_REQUIRE(opened);
    db_ = *std::move(opened);
    writers_.resize(kSources);
    slots_.assign(kSources, {});
    for (int s = 0; s < kSources; ++s) {
      writers_[static_cast<size_t>(s)] =
          *db_->OpenSource({model::OriginKind::kPush, "o" + std::to_string(s)},
                           Labels::FromPairs({{"instance", std::to_string(s)}}));
      for (uint32_t k = 0; k < kSlots; ++k) {
        slots_[static_cast<size_t>(s)].push_back(
            *writers_[static_cast<size_t>(s)]->AddSlot(Labels::FromPairs(
                {{"__name__", "m" + std::to_string(k % 7)}, {"k", std::to_string(k)}})));
      }
    }
  }

  void AddRows(int rows) {
    for (int row = 0; row < rows; ++row) {
      now_ += 15'000;
      env_.SetNowMs(now_);
      for (size_t s = 0; s < kSources; ++s) AddRow(s);
    }
  }
  Database& db() { return *db_; }
  Timestamp now() const { return now_; }
  uint64_t Random(uint64_t below) { return random_() % below; }

 private:
  void AddRow(size_t s) {
    auto batch = db_->NewBatch();
    // Source 0 is scraped, 1 pushed whole, 2 in parts, 3 anything.
    const bool full = s == 0 || (s == 3 && Random(2) == 0);
    const bool late = s == 3 && Random(5) == 0;
    batch->BeginRow(*writers_[s], late ? now_ - 5 * kMinute + 1000 : now_,
                    full && !late ? RowKind::kFull : RowKind::kPartial);
    for (uint32_t k = 0; k < kSlots; ++k) {
      if (s == 2 && Random(2) == 0) continue;
      if (s != 1 && k % 11 == 3 && Random(4) == 0) continue;  // gaps
      const model::Slot slot = slots_[s][k];
      if (s >= 2 && k % 13 == 5) {
        batch->SetHistogram(slot, SomeHistogram(static_cast<double>(row_)));
      } else if (k % 17 == 6 && Random(6) == 0) {
        batch->Set(slot, std::bit_cast<double>(model::kStaleBits));
      } else if (s == 0 && k % 19 == 7) {
        batch->Set(slot, 1.5, now_ - static_cast<int64_t>(Random(3)) * 1000);
      } else {
        batch->Set(slot, k % 5 == 0 ? 7.0 : static_cast<double>(random_() % 100000) / 100);
      }
    }
    ++row_;
    BOOST_REQUIRE(batch->Commit({}).status.ok());
  }

  std::mt19937_64 random_;
  MemEnv env_;
  DatabaseOptions options_;
  std::unique_ptr<Database> db_;
  std::vector<std::unique_ptr<model::SourceWriter>> writers_;
  std::vector<std::vector<model::Slot>> slots_;
  Timestamp now_ = 0;
  uint64_t row_ = 0;
};

enum class Look { kAll, kTimes, kNewest };

std::string Text(const model::Column& column, Look look) {
  std::string text;
  const auto add = [&](Timestamp t, uint64_t bits) {
    text += std::to_string(t) + ":" + std::to_string(bits) + " ";
  };
  const size_t floats = column.values.size();
  const size_t histograms = column.histograms.size();
  if (look == Look::kNewest) {
    const bool is_float = floats > 0 && (histograms == 0 || column.timestamps.back() >
                                                                column.histogram_timestamps.back());
    if (is_float) add(column.timestamps.back(), std::bit_cast<uint64_t>(column.values.back()));
    if (!is_float && histograms > 0)
      add(column.histogram_timestamps.back(),
          std::bit_cast<uint64_t>(column.histograms.back()->count));
    return text;
  }
  for (size_t i = 0; i < floats; ++i) {
    const auto bits = std::bit_cast<uint64_t>(column.values[i]);
    const bool stale = bits == model::kStaleBits;
    if (stale) BOOST_TEST(column.may_hold_stale);
    add(column.timestamps[i], look == Look::kTimes ? uint64_t{stale} : bits);
  }
  for (size_t i = 0; i < histograms; ++i)
    add(column.histogram_timestamps[i], std::bit_cast<uint64_t>(column.histograms[i]->count));
  return text;
}

std::vector<std::string> ReadAll(const model::Snapshot& snapshot, model::TimeRange range, Look as,
                                 bool times_only, bool newest_only) {
  model::SelectHints hints;
  hints.times_only = times_only;
  hints.newest_only = newest_only;
  auto selection = snapshot.Select({}, range, hints);
  BOOST_REQUIRE(selection);
  std::vector<std::string> texts;
  model::ColumnBatch batch;
  auto reader = (*selection)->NewReader();
  for (size_t first = 0; first < (*selection)->size(); first += 70) {
    const size_t count = std::min<size_t>(70, (*selection)->size() - first);
    BOOST_REQUIRE(reader->Read(first, count, &batch).ok());
    for (size_t i = 0; i < count; ++i) {
      texts.push_back((*selection)->LabelsAt(first + i).ToString() + " " +
                      Text(batch.columns[i], as));
    }
  }
  return texts;
}

void Compare(const model::Snapshot& snapshot, model::TimeRange range) {
  BOOST_TEST_CONTEXT("range " << range.min_ms << " " << range.max_ms) {
    const auto times = ReadAll(snapshot, range, Look::kTimes, false, false);
    const auto newest = ReadAll(snapshot, range, Look::kNewest, false, false);
    BOOST_TEST(times == ReadAll(snapshot, range, Look::kTimes, true, false),
               boost::test_tools::per_element());
    BOOST_TEST(newest == ReadAll(snapshot, range, Look::kNewest, false, true),
               boost::test_tools::per_element());
  }
}

void CompareSome(RandomStore& store, const model::Snapshot& snapshot, Timestamp now) {
  Compare(snapshot, {now - 5 * kMinute + 1, now});
  Compare(snapshot, {});
  for (int i = 0; i < 4; ++i) {
    const Timestamp end = now - static_cast<Timestamp>(store.Random(50)) * kMinute;
    Compare(snapshot, {end - static_cast<Timestamp>(store.Random(30)) * kMinute, end});
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(SelectHintsSuite)

BOOST_AUTO_TEST_CASE(HintsNeverChangeWhatIsLookedAt) {
  for (const uint64_t seed : {1, 2}) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      RandomStore store(seed);
      store.AddRows(150);
      CompareSome(store, *store.db().Pin(), store.now());
      // A snapshot does not see what comes after it, whatever the writer knows by then.
      const auto before = store.db().Pin();
      const Timestamp pinned = store.now();
      store.AddRows(5);
      CompareSome(store, *before, pinned);
      CompareSome(store, *before, store.now());
      BOOST_REQUIRE(store.db()
                        .DeleteSeries({{model::Matcher::Equal("__name__", "m3")}},
                                      {store.now() - 10 * kMinute, store.now()})
                        .ok());
      CompareSome(store, *store.db().Pin(), store.now());
      BOOST_REQUIRE(store.db().Compact().ok());
      CompareSome(store, *store.db().Pin(), store.now());
      store.AddRows(20);
      CompareSome(store, *store.db().Pin(), store.now());
      store.Open();
      CompareSome(store, *store.db().Pin(), store.now());
      store.AddRows(20);
      CompareSome(store, *store.db().Pin(), store.now());
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::select_hints_test
