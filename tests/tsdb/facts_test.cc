// Facts and rollups against samples: one engine asks the same store twice, once as it is and once
// through a wrapper that refuses facts, and the answers must be equal.
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <random>

#include <fmt/format.h>

#include "base/mem_env.h"
#include "query/engine.h"
#include "tsdb/database.h"

namespace tocsin::tsdb::facts_test {
namespace {

using model::Labels;
using model::Timestamp;

constexpr int64_t kHourMs = 60 * 60 * 1000;
constexpr int64_t kDay = 24 * kHourMs;
constexpr Timestamp kT0 = MemEnv::kStartMs / kDay * kDay;  // a midnight

// A store that is only asked for samples.
class SamplesOnly final : public model::Queryable {
 public:
  explicit SamplesOnly(const model::Queryable& store) : store_(store) {}
  std::unique_ptr<model::Snapshot> Pin() const override {
    return std::make_unique<Pinned>(store_.Pin());
  }
  uint64_t ChangeNumber(model::TimeRange range) const override {
    return store_.ChangeNumber(range);
  }

 private:
  class Pinned final : public model::Snapshot {
   public:
    explicit Pinned(std::unique_ptr<model::Snapshot> snapshot) : snapshot_(std::move(snapshot)) {}
    uint64_t commit_number() const override { return snapshot_->commit_number(); }
    Result<std::unique_ptr<model::SeriesSelection>> Select(
        const model::MatcherSet& matchers, model::TimeRange range,
        const model::SelectHints& hints) const override {
      model::SelectHints without = hints;
      without.facts = {};
      return snapshot_->Select(matchers, range, without);
    }
    Result<std::vector<std::string>> LabelNames(std::span<const model::MatcherSet> sets,
                                                model::TimeRange range,
                                                size_t limit) const override {
      return snapshot_->LabelNames(sets, range, limit);
    }
    Result<std::vector<std::string>> LabelValues(std::string_view name,
                                                 std::span<const model::MatcherSet> sets,
                                                 model::TimeRange range,
                                                 size_t limit) const override {
      return snapshot_->LabelValues(name, sets, range, limit);
    }
    Result<std::vector<Labels>> Series(std::span<const model::MatcherSet> sets,
                                       model::TimeRange range, size_t limit) const override {
      return snapshot_->Series(sets, range, limit);
    }
    Result<std::vector<model::ExemplarSeries>> Exemplars(std::span<const model::MatcherSet> sets,
                                                         model::TimeRange range) const override {
      return snapshot_->Exemplars(sets, range);
    }

   private:
    const std::unique_ptr<model::Snapshot> snapshot_;
  };

  const model::Queryable& store_;
};

struct Fixture {
  MemEnv env{11};
  DatabaseOptions options;
  std::unique_ptr<Database> database;
  query::Engine engine{[] {
    query::EngineOptions one_thread;
    one_thread.threads = 1;
    one_thread.language.experimental_functions = true;
    return one_thread;
  }()};
  std::mt19937_64 random{20261124};

  Fixture() {
    options.dir = "/data";
    options.env = &env;
    options.background = false;
    options.shards = 2;
    options.accept_any_first_timestamp = true;
    options.out_of_order_window_ms = 20 * kDay;
    options.policy.retention_ms = 0;
  }
  void Open() {
    auto opened = Database::Open(options);
    BOOST_REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().ToString()));
    database = *std::move(opened);
  }
  int64_t Any(int64_t below) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(below));
  }
};

// What becomes of one series, row by row.
struct Walk {
  enum Kind { kCounter, kFloatCounter, kGauge, kWild, kConstant, kFlag };
  Kind kind;
  double value = 0;
  int64_t from = 0;  // rows
  int64_t to = INT64_MAX;
  int gap = 0;

  double Next(Fixture& f) {
    const auto chance = [&f](int64_t one_in) { return f.Any(one_in) == 0; };
    switch (kind) {
      case kCounter:
        value =
            chance(300) ? static_cast<double>(f.Any(3)) : value + static_cast<double>(f.Any(100));
        return chance(2000) ? model::NormalNan() : value;
      case kFloatCounter:
        value = chance(500) ? 0 : value + static_cast<double>(f.Any(1000)) * 0.001;
        return value;
      case kGauge:
        value += static_cast<double>(f.Any(2001) - 1000) * 0.125;
        return value;
      case kWild:
        switch (f.Any(12)) {
          case 0:
            return model::NormalNan();
          case 1:
            return INFINITY;
          case 2:
            return -INFINITY;
          case 3:
            return -0.0;
          case 4:
            return 0.0;
          default:
            return std::exp(static_cast<double>(f.Any(1400) - 700));
        }
      case kConstant:
        return 42.5;
      case kFlag:
        return chance(400) ? 0 : 1;
    }
    return 0;
  }
};

// Days of random rows of three sources, all shapes of series, with gaps, late rows and markers.
// Sealed and merged in between.
void Fill(Fixture& f, int64_t days, int64_t interval_ms, bool jitter) {
  struct Sampled {
    std::unique_ptr<model::SourceWriter> writer;
    std::vector<model::Slot> slots;
    std::vector<Walk> walks;
  };
  const int64_t rows = days * kDay / interval_ms;
  std::vector<Sampled> sources(3);
  const std::pair<const char*, Walk::Kind> kinds[] = {
      {"requests_total", Walk::kCounter}, {"cpu_seconds_total", Walk::kFloatCounter},
      {"temperature", Walk::kGauge},      {"wild", Walk::kWild},
      {"build_info", Walk::kConstant},    {"up", Walk::kFlag},
      {"never", Walk::kConstant}};
  for (size_t s = 0; s < sources.size(); ++s) {
    auto writer = f.database->OpenSource(
        {model::OriginKind::kScrape, "job" + std::to_string(s)},
        Labels::FromPairs({{"instance", "host" + std::to_string(s)}, {"job", "node"}}));
    BOOST_REQUIRE(writer);
    sources[s].writer = *std::move(writer);
    for (const auto& [name, kind] : kinds) {
      for (int n = 0; n < 3; ++n) {
        auto slot = sources[s].writer->AddSlot(
            Labels::FromPairs({{"__name__", name}, {"n", std::to_string(n)}}));
        BOOST_REQUIRE(slot);
        sources[s].slots.push_back(*slot);
        Walk walk{kind};
        if (n == 1) walk.from = f.Any(rows);
        if (n == 2) walk.to = f.Any(rows);
        sources[s].walks.push_back(walk);
      }
    }
  }
  for (int64_t row = 0; row < rows; ++row) {
    f.env.AdvanceMs(kT0 + (row + 1) * interval_ms - f.env.NowMs());
    for (Sampled& source : sources) {
      if (f.Any(500) == 0) continue;  // a failed scrape
      const Timestamp t = kT0 + row * interval_ms + (jitter ? f.Any(200) - 100 : 0);
      auto batch = f.database->NewBatch();
      batch->BeginRow(*source.writer, t, model::RowKind::kFull);
      for (size_t i = 0; i < source.slots.size(); ++i) {
        Walk& walk = source.walks[i];
        if (row < walk.from || row > walk.to) continue;
        if (walk.gap > 0 && --walk.gap > 0) continue;
        if (f.Any(700) == 0) walk.gap = static_cast<int>(f.Any(60));
        const bool ends = row == walk.to || walk.gap > 0;
        batch->Set(source.slots[i], ends ? model::StaleMarker() : walk.Next(f));
      }
      const model::CommitResult committed = batch->Commit({});
      BOOST_REQUIRE(committed.status.ok());
      for (const model::Refusal& refusal : committed.refusals)
        BOOST_FAIL(model::AppendOutcomeName(refusal.outcome) << " at row " << row);
    }
    if (row % (rows / days) == rows / days - 1) {
      BOOST_REQUIRE(f.database->Compact().ok());
    }
  }
}

bool Same(double a, double b, bool exact) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (a == b) return true;
  return !exact && std::fabs(a - b) <= 1e-9 * std::max(std::fabs(a), std::fabs(b)) + 1e-9;
}

// Fails unless both stores answer alike. Returns the number of samples or facts that were read.
std::pair<int64_t, int64_t> Compare(Fixture& f, const std::string& text, Timestamp start,
                                    Timestamp end, int64_t step_ms) {
  const SamplesOnly samples(*f.database);
  const auto with = f.engine.Range(*f.database, text, start, end, step_ms, {});
  const auto without = f.engine.Range(samples, text, start, end, step_ms, {});
  BOOST_REQUIRE_MESSAGE(with, (with ? "" : with.error().ToString()));
  BOOST_REQUIRE_MESSAGE(without, (without ? "" : without.error().ToString()));
  // Sums of anything may differ in their last bits, and lose all meaning next to 1e300.
  const bool exact = !text.starts_with("sum") && !text.starts_with("avg");
  const auto& got = std::get<query::Matrix>(with->value);
  const auto& want = std::get<query::Matrix>(without->value);
  BOOST_REQUIRE_MESSAGE(got.size() == want.size(),
                        text << ": " << got.size() << " series for " << want.size());
  for (size_t s = 0; s < want.size(); ++s) {
    BOOST_REQUIRE_MESSAGE(got[s].metric == want[s].metric, text);
    BOOST_REQUIRE_MESSAGE(got[s].floats.size() == want[s].floats.size(),
                          text << " " << want[s].metric.ToString() << ": " << got[s].floats.size()
                               << " points for " << want[s].floats.size());
    for (size_t i = 0; i < want[s].floats.size(); ++i) {
      const auto& a = got[s].floats[i];
      const auto& b = want[s].floats[i];
      BOOST_REQUIRE_MESSAGE(a.timestamp_ms == b.timestamp_ms, text);
      BOOST_REQUIRE_MESSAGE(Same(a.value, b.value, exact),
                            text << " " << want[s].metric.ToString() << " at "
                                 << (a.timestamp_ms - kT0) / 1000 << "s: " << a.value
                                 << " instead of " << b.value);
    }
  }
  BOOST_REQUIRE_EQUAL(with->stats.total_queryable_samples, without->stats.total_queryable_samples);
  BOOST_REQUIRE(with->annotations.infos == without->annotations.infos);
  BOOST_REQUIRE(with->annotations.warnings == without->annotations.warnings);
  return {with->stats.samples_read, without->stats.samples_read};
}

constexpr const char* kFunctions[] = {"avg_over_time",
                                      "count_over_time",
                                      "delta",
                                      "first_over_time",
                                      "increase",
                                      "last_over_time",
                                      "max_over_time",
                                      "rate",
                                      "min_over_time",
                                      "present_over_time",
                                      "resets",
                                      "sum_over_time",
                                      "ts_of_last_over_time"};

}  // namespace

BOOST_AUTO_TEST_SUITE(FactsSuite)

BOOST_AUTO_TEST_CASE(ColumnFactsAnswerAsTheirSamples) {
  Fixture f;
  f.Open();
  Fill(f, 4, 60'000, true);
  for (const char* function : kFunctions) {
    for (const char* name :
         {"requests_total", "cpu_seconds_total", "temperature", "build_info", "up"}) {
      // Whole days, parts of them at the ends, and steps that cut every column.
      for (const int64_t range_h : {24, 49, 72, 100}) {
        const std::string text = fmt::format("{}({}[{}h])", function, name, range_h);
        for (const Timestamp end : {kT0 + 4 * kDay, kT0 + 3 * kDay + 7 * kHourMs, kT0 + kDay}) {
          Compare(f, text, end, end, 1000);
          Compare(f, text, end - 2 * kDay, end, kDay);
          Compare(f, text, end - 5 * kHourMs, end, 2 * kHourMs);
        }
      }
    }
  }
  const auto [facts, samples] =
      Compare(f, "max_over_time(temperature[96h])", kT0 + 4 * kDay, kT0 + 4 * kDay, 1000);
  BOOST_TEST(facts * 100 < samples);
}

BOOST_AUTO_TEST_CASE(ColumnFactsOfNanAndInfinityAreThoseOfTheirSamples) {
  Fixture f;
  f.Open();
  Fill(f, 2, 300'000, false);
  for (const char* function : kFunctions) {
    const std::string text = std::string(function) + "(wild[30h])";
    // What remains of 1e300 - 1e300 depends on the order.
    if (text.starts_with("sum") || text.starts_with("avg")) continue;
    Compare(f, text, kT0 + kDay, kT0 + 2 * kDay, 6 * kHourMs);
    Compare(f, text, kT0 + 2 * kDay, kT0 + 2 * kDay, 1000);
  }
}

BOOST_AUTO_TEST_CASE(LateRowsOverAClosedDayAreAnswered) {
  Fixture f;
  f.Open();
  Fill(f, 3, 300'000, false);
  auto writer = f.database->OpenSource({model::OriginKind::kScrape, "job0"},
                                       Labels::FromPairs({{"instance", "host0"}, {"job", "node"}}));
  BOOST_REQUIRE(writer);
  auto slot = (*writer)->AddSlot(Labels::FromPairs({{"__name__", "temperature"}, {"n", "0"}}));
  BOOST_REQUIRE(slot);
  const auto compare = [&] {
    for (const char* function : kFunctions)
      Compare(f, std::string(function) + "(temperature[72h])", kT0 + 3 * kDay, kT0 + 3 * kDay,
              1000);
  };
  auto batch = f.database->NewBatch();
  batch->BeginRow(**writer, kT0 + kDay + 1234, model::RowKind::kPartial);
  batch->Set(*slot, 1e9);
  BOOST_REQUIRE(batch->Commit({}).status.ok());
  compare();  // in the head
  BOOST_REQUIRE(f.database->Seal({}).ok());
  compare();  // a file of its own
  BOOST_REQUIRE(f.database->Compact().ok());
  compare();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::facts_test
