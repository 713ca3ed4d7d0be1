// Facts and rollups against samples: one engine asks the same store twice, once as it is and once
// through a wrapper that refuses facts, and the answers must be equal.
#include <algorithm>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <random>

#include <fmt/format.h>

#include "base/mem_env.h"
#include "query/engine.h"
#include "tests/support/samples_only.h"
#include "tsdb/database.h"
#include "tsdb/rollup/rollup_file.h"
#include "tsdb/segment/facts.h"

namespace tocsin::tsdb::facts_test {
namespace {

using model::Labels;
using model::Timestamp;

constexpr int64_t kHourMs = 60 * 60 * 1000;
constexpr int64_t kDay = 24 * kHourMs;
constexpr Timestamp kT0 = MemEnv::kStartMs / kDay * kDay;  // a midnight

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

// The same for the query's resolution.
std::string ResolutionOf(Fixture& f, const std::string& text, Timestamp start, Timestamp end,
                         int64_t step_ms) {
  const auto result = f.engine.Range(*f.database, text, start, end, step_ms, {});
  BOOST_REQUIRE_MESSAGE(result, (result ? "" : result.error().ToString()));
  return result->stats.resolution;
}

constexpr const char* kMetrics[] = {"requests_total", "cpu_seconds_total", "temperature",
                                    "build_info", "up"};

constexpr int64_t kMinute = 60'000;

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

BOOST_AUTO_TEST_CASE(AColumnAtOnceFoldsAsItsSamples) {
  std::mt19937_64 random(5);
  const std::vector<double> odd = {-0.0,      0.0,     std::nan(""), INFINITY,
                                   -INFINITY, 1.7e308, -1.7e308,     model::StaleMarker()};
  for (int round = 0; round < 400; ++round) {
    std::vector<Timestamp> timestamps;
    std::vector<double> values;
    for (size_t i = 0; i < 1 + random() % 60; ++i) {
      timestamps.push_back(kT0 + static_cast<Timestamp>(i) * 15000);
      const double any = static_cast<double>(random() % 1000) * (round % 3 == 0 ? 0.1 : 1e9);
      values.push_back(round % 2 == 1 && random() % 9 == 0 ? odd[random() % odd.size()] : any);
    }
    FactsFolder at_once;
    FactsFolder one_by_one;
    at_once.Add(timestamps, values);
    for (size_t i = 0; i < values.size(); ++i) one_by_one.Add(timestamps[i], values[i]);
    const auto bits = [](double v) { return std::isnan(v) ? 1 : std::bit_cast<uint64_t>(v); };
    const model::Facts a = at_once.Take();
    const model::Facts b = one_by_one.Take();
    BOOST_TEST(a.count == b.count);
    BOOST_TEST(a.known == b.known);
    BOOST_TEST(a.resets == b.resets);
    BOOST_TEST(a.ends_stale == b.ends_stale);
    BOOST_TEST(a.newest_ms == b.newest_ms);
    BOOST_TEST(a.first_ms == b.first_ms);
    BOOST_TEST(a.last_ms == b.last_ms);
    BOOST_TEST(bits(a.first) == bits(b.first));
    BOOST_TEST(bits(a.last) == bits(b.last));
    BOOST_TEST(bits(a.min) == bits(b.min));
    BOOST_TEST(bits(a.max) == bits(b.max));
    BOOST_TEST(bits(a.sum) == bits(b.sum));
    BOOST_TEST((at_once.before_resets() == one_by_one.before_resets() ||
                std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); })));
  }
}

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

BOOST_AUTO_TEST_SUITE(RollupSuite)

// R11: rollups never change an answer outside the declared rules. Here: inside them.
BOOST_AUTO_TEST_CASE(R11RollupAnswersEqualRawOnesOnAlignedWindows) {
  for (const bool jitter : {false, true}) {
    Fixture f;
    f.options.policy.rollups = {{5 * kMinute, 0}, {kHourMs, 0}};
    f.Open();
    Fill(f, 3, kMinute, jitter);
    // A row a little before the first midnight makes a day of its own.
    BOOST_TEST(f.database->sizes().rollups == (jitter ? 8u : 6u));
    for (const char* name : kMetrics) {
      for (const char* function : kFunctions) {
        for (const auto& [range, step] :
             {std::pair{10 * kMinute, 5 * kMinute}, std::pair{kHourMs, 15 * kMinute},
              std::pair{3 * kHourMs, kHourMs}, std::pair{kDay, 2 * kHourMs},
              std::pair{50 * kHourMs, 6 * kHourMs}}) {
          const std::string text = fmt::format("{}({}[{}m])", function, name, range / kMinute);
          Compare(f, text, kT0 - kHourMs, kT0 + 3 * kDay + kHourMs, step);
          Compare(f, fmt::format("{}({}[{}m] offset 1h)", function, name, range / kMinute),
                  kT0 + kDay, kT0 + 2 * kDay, step);
          Compare(f, text, kT0 + 2 * kDay, kT0 + 2 * kDay, 1000);
        }
      }
      Compare(f, name, kT0 - kHourMs, kT0 + 3 * kDay + kHourMs, 10 * kMinute);
      Compare(f, fmt::format("timestamp({})", name), kT0, kT0 + 3 * kDay, kHourMs);
    }
    const Timestamp end = kT0 + 3 * kDay;
    BOOST_TEST(ResolutionOf(f, "rate(requests_total[2h])", kT0, end, kHourMs) == "1h");
    BOOST_TEST(ResolutionOf(f, "rate(requests_total[1h])", kT0, end, kHourMs) == "5m");
    BOOST_TEST(ResolutionOf(f, "temperature", kT0, end, kHourMs) == "5m");
    // What the rules leave to samples.
    BOOST_TEST(ResolutionOf(f, "rate(requests_total[5m])", kT0, end, kHourMs) == "raw");
    BOOST_TEST(ResolutionOf(f, "rate(requests_total[2h])", kT0 + 1, end, kHourMs) == "raw");
    BOOST_TEST(ResolutionOf(f, "rate(requests_total[2h])", kT0, end, 59 * kMinute) == "raw");
    BOOST_TEST(ResolutionOf(f, "rate(requests_total[2h] offset 1m)", kT0, end, kHourMs) == "raw");
    BOOST_TEST(ResolutionOf(f, "quantile_over_time(0.5, temperature[2h])", kT0, end, kHourMs) ==
               "raw");
    const auto [facts, samples] =
        Compare(f, "max_over_time(temperature[1d])", kT0 + kDay, end, kHourMs);
    BOOST_TEST(facts * 40 < samples);
  }
}

BOOST_AUTO_TEST_CASE(NanAndInfinityInRollups) {
  Fixture f;
  f.options.policy.rollups = {{kHourMs, 0}};
  f.Open();
  Fill(f, 2, kMinute, true);
  for (const char* function : kFunctions) {
    const std::string text = std::string(function) + "(wild[6h])";
    if (text.starts_with("sum") || text.starts_with("avg")) continue;
    Compare(f, text, kT0, kT0 + 2 * kDay, kHourMs);
  }
}

BOOST_AUTO_TEST_CASE(LateRowsMakeTheirBucketsRawUntilTheyAreRewritten) {
  Fixture f;
  f.options.policy.rollups = {{5 * kMinute, 0}, {kHourMs, 0}};
  f.Open();
  Fill(f, 2, kMinute, false);
  auto writer = f.database->OpenSource({model::OriginKind::kScrape, "job0"},
                                       Labels::FromPairs({{"instance", "host0"}, {"job", "node"}}));
  BOOST_REQUIRE(writer);
  auto slot = (*writer)->AddSlot(Labels::FromPairs({{"__name__", "temperature"}, {"n", "0"}}));
  BOOST_REQUIRE(slot);
  const auto compare = [&] {
    for (const char* function : kFunctions) {
      for (const int64_t range_h : {2, 24}) {
        const std::string text = fmt::format("{}(temperature[{}h])", function, range_h);
        Compare(f, text, kT0, kT0 + 2 * kDay, kHourMs);
      }
    }
    BOOST_TEST(ResolutionOf(f, "max_over_time(temperature[2h])", kT0, kT0 + 2 * kDay, kHourMs) ==
               "1h");
  };
  const auto put = [&](Timestamp t, double value) {
    auto batch = f.database->NewBatch();
    batch->BeginRow(**writer, t, model::RowKind::kPartial);
    batch->Set(*slot, value);
    BOOST_REQUIRE(batch->Commit({}).status.ok());
  };
  put(kT0 + 5 * kHourMs + 1234, 1e9);
  compare();  // in the head
  BOOST_REQUIRE(f.database->Seal({}).ok());
  compare();  // a file of its own
  const uint64_t before = f.database->counters().rollups_written;
  BOOST_REQUIRE(f.database->Compact().ok());
  compare();
  BOOST_TEST(f.database->counters().rollups_written == before + 2);
  BOOST_TEST(f.database->sizes().rollups == 4u);
}

// One label set with two sources in a day, interleaved.
BOOST_AUTO_TEST_CASE(ASeriesOfTwoAddressesIsReadRaw) {
  Fixture f;
  f.options.policy.rollups = {{5 * kMinute, 0}};
  f.Open();
  const auto key = Labels::FromPairs({{"__name__", "twice_total"}});
  const auto labels = Labels::FromPairs({{"job", "x"}});
  std::vector<std::unique_ptr<model::SourceWriter>> writers;
  for (const char* id : {"a", "b"})
    writers.push_back(*f.database->OpenSource({model::OriginKind::kPush, id}, labels));
  double value = 0;
  for (Timestamp t = kT0; t < kT0 + kDay; t += kMinute) {
    f.env.AdvanceMs(t - f.env.NowMs());
    auto& writer = *writers[static_cast<size_t>(t / kMinute % 2)];
    auto batch = f.database->NewBatch();
    batch->BeginRow(writer, t, model::RowKind::kPartial);
    batch->Set(*writer.AddSlot(key), value += 3);
    BOOST_REQUIRE(batch->Commit({}).status.ok());
  }
  BOOST_REQUIRE(f.database->Compact().ok());
  for (const char* function : kFunctions)
    Compare(f, fmt::format("{}(twice_total[1h])", function), kT0, kT0 + kDay, 10 * kMinute);
}

BOOST_AUTO_TEST_CASE(RollupsOutliveTheRawSamplesAndSayWhenTheyOnlyEstimate) {
  Fixture f;
  f.options.policy.rollups = {{5 * kMinute, 30 * kDay}, {kHourMs, 0}};
  f.Open();
  Fill(f, 4, kMinute, false);
  struct Asked {
    std::string text;
    int64_t step_ms;
    query::Matrix answer;
  };
  std::vector<Asked> exact;
  for (const char* function : {"increase", "count_over_time", "last_over_time"})
    exact.push_back({fmt::format("{}(requests_total[2h])", function), kHourMs, {}});
  for (const char* function : {"max_over_time", "min_over_time"})
    exact.push_back({fmt::format("{}(temperature[2h])", function), kHourMs, {}});
  exact.push_back({"temperature", 10 * kMinute, {}});
  const Timestamp end = kT0 + 4 * kDay;
  for (Asked& asked : exact) {
    auto result = f.engine.Range(*f.database, asked.text, kT0, end, asked.step_ms, {});
    BOOST_REQUIRE(result);
    asked.answer = std::get<query::Matrix>(result->value);
  }
  StoragePolicy policy = f.database->policy();
  policy.retention_ms = kDay;
  f.database->SetPolicy(policy);
  BOOST_REQUIRE(f.database->RunMaintenance().ok());
  BOOST_TEST(f.database->sizes().segments < 4u);
  BOOST_TEST(f.database->sizes().rollups == 8u);
  for (const Asked& asked : exact) {
    auto result = f.engine.Range(*f.database, asked.text, kT0, end, asked.step_ms, {});
    BOOST_REQUIRE(result);
    BOOST_TEST(result->annotations.warnings.empty());
    const auto& got = std::get<query::Matrix>(result->value);
    BOOST_REQUIRE_EQUAL(got.size(), asked.answer.size());
    for (size_t s = 0; s < got.size(); ++s) {
      BOOST_REQUIRE_EQUAL(got[s].floats.size(), asked.answer[s].floats.size());
      for (size_t i = 0; i < got[s].floats.size(); ++i)
        BOOST_REQUIRE(Same(got[s].floats[i].value, asked.answer[s].floats[i].value, true));
    }
  }
  // Not by the rules: near the truth, and it says so.
  const auto near = [&](const std::string& text, Timestamp start) {
    auto result = f.engine.Range(*f.database, text, start, end, kHourMs, {});
    BOOST_REQUIRE(result);
    BOOST_REQUIRE_MESSAGE(result->annotations.warnings.size() == 1,
                          text << ": " << result->annotations.warnings.size() << " warnings, "
                               << result->stats.resolution);
    BOOST_TEST(result->annotations.warnings[0].find("past their retention") != std::string::npos);
    return std::get<query::Matrix>(result->value).size();
  };
  BOOST_TEST(near("rate(requests_total[1h])", kT0 + 17'000) > 0u);
  BOOST_TEST(near("quantile_over_time(0.5, temperature[2h])", kT0) > 0u);
  BOOST_TEST(near("temperature", kT0 + 17'000) > 0u);
  BOOST_TEST(near("sum_over_time(requests_total[2h])", kT0) > 0u);
  // Also where the caller's range is open.
  {
    const auto snapshot = f.database->Pin();
    const auto selection = snapshot->Select({model::Matcher::Equal("__name__", "up")}, {}, {});
    BOOST_REQUIRE(selection);
    Timestamp oldest = model::kMaxTimestamp;
    model::ColumnBatch batch;
    const auto reader = (*selection)->NewReader();
    for (size_t i = 0; i < (*selection)->size(); ++i) {
      BOOST_REQUIRE(reader->Read(i, 1, &batch).ok());
      if (const auto& at = batch.columns[0].timestamps; !at.empty())
        oldest = std::min(oldest, at.front());
    }
    BOOST_TEST(oldest < kT0 + kHourMs);
    BOOST_TEST((*selection)->resolution().thinned_until_ms > kT0);
  }
  // Labels of series that only rollups have.
  const auto names = f.database->Pin()->LabelValues("__name__", {}, {kT0, kT0 + kHourMs}, 0);
  BOOST_REQUIRE(names);
  BOOST_TEST(names->size() > 4u);
  const model::MatcherSet all = {};
  const auto series = f.database->Pin()->Series({&all, 1}, {kT0, kT0 + kHourMs}, 0);
  BOOST_REQUIRE(series);
  BOOST_TEST(!series->empty());
  // A delete takes whole buckets of what has no samples any more.
  const auto count_of = [&](const std::string& text) {
    auto result = f.engine.Instant(*f.database, text, kT0 + 6 * kHourMs, {});
    BOOST_REQUIRE(result);
    const auto& vector = std::get<query::Vector>(result->value);
    return vector.empty() ? 0.0 : vector[0].value;
  };
  const std::string counted = "sum(count_over_time(temperature{n=\"0\"}[6h]))";
  const double before = count_of(counted);
  BOOST_REQUIRE(f.database
                    ->DeleteSeries({{model::Matcher::Equal("__name__", "temperature")}},
                                   {kT0 + kHourMs + 1, kT0 + 2 * kHourMs})
                    .ok());
  const double after = count_of(counted);
  BOOST_TEST(after < before);
  BOOST_TEST(after > before / 2);
  // Then they are written anew without them, and the delete is forgotten.
  const uint64_t bytes = f.database->sizes().rollup_bytes;
  BOOST_TEST(f.database->sizes().tombstones == 1u);
  BOOST_REQUIRE(f.database->CleanTombstones().ok());
  BOOST_TEST(f.database->sizes().tombstones == 0u);
  BOOST_TEST(f.database->sizes().rollups == 8u);
  BOOST_TEST(f.database->sizes().rollup_bytes < bytes);
  BOOST_TEST(count_of(counted) == after);
  for (const Asked& asked : exact) {
    if (asked.text.find("temperature") != std::string::npos) continue;
    auto result = f.engine.Range(*f.database, asked.text, kT0, end, asked.step_ms, {});
    BOOST_REQUIRE(result);
    const auto& got = std::get<query::Matrix>(result->value);
    BOOST_REQUIRE_EQUAL(got.size(), asked.answer.size());
    for (size_t s = 0; s < got.size(); ++s) {
      BOOST_REQUIRE_EQUAL(got[s].floats.size(), asked.answer[s].floats.size());
      for (size_t i = 0; i < got[s].floats.size(); ++i)
        BOOST_REQUIRE(Same(got[s].floats[i].value, asked.answer[s].floats[i].value, true));
    }
  }
  BOOST_REQUIRE(f.database->RunMaintenance().ok());
  BOOST_TEST(count_of(counted) == after);
  f.database.reset();
  f.Open();
  f.database->SetPolicy(policy);
  BOOST_TEST(count_of(counted) == after);
  // Their own retention.
  policy.rollups = {{5 * kMinute, 36 * kHourMs}, {kHourMs, 0}};
  f.database->SetPolicy(policy);
  BOOST_REQUIRE(f.database->RunMaintenance().ok());
  BOOST_TEST(f.database->sizes().rollups == 6u);
  BOOST_TEST(ResolutionOf(f, "max_over_time(temperature[2h])", kT0, end, kHourMs) == "1h");
}

BOOST_AUTO_TEST_CASE(ADeleteOfAllThatARollupHoldsRemovesIt) {
  Fixture f;
  f.options.policy.rollups = {{kHourMs, 0}};
  f.Open();
  Fill(f, 3, 5 * kMinute, false);
  StoragePolicy policy = f.database->policy();
  policy.retention_ms = kDay;
  f.database->SetPolicy(policy);
  BOOST_REQUIRE(f.database->RunMaintenance().ok());
  const uint64_t before = f.database->sizes().rollups;
  BOOST_REQUIRE(
      f.database->DeleteSeries({{model::Matcher::NotEqual("__name__", "")}}, {kT0, kT0 + kDay - 1})
          .ok());
  BOOST_REQUIRE(f.database->CleanTombstones().ok());
  BOOST_TEST(f.database->sizes().tombstones == 0u);
  BOOST_TEST(f.database->sizes().rollups == before - 1);
  f.database.reset();
  f.Open();
  BOOST_TEST(f.database->sizes().rollups == before - 1);
}

// They are work on closed days as merges are.
BOOST_AUTO_TEST_CASE(RollupsKeepToTheBudgetAndThePauseOfCompaction) {
  const auto took_ms = [](double share, bool pause) {
    Fixture f;
    f.options.policy.compaction_cpu_share = share;
    f.Open();
    Fill(f, 2, 5 * kMinute, false);
    StoragePolicy policy = f.database->policy();
    policy.rollups = {{kHourMs, 0}};
    f.database->SetPolicy(policy);
    f.env.SetCpuPerCall(100'000'000);
    f.database->PauseCompaction(pause);
    const int64_t began = f.env.MonotonicNanos();
    BOOST_REQUIRE(f.database->RunMaintenance().ok());
    BOOST_TEST(f.database->sizes().rollups == (pause ? 0u : 1u));
    f.database->PauseCompaction(false);
    if (pause) {
      BOOST_REQUIRE(f.database->RunMaintenance().ok());
      BOOST_TEST(f.database->sizes().rollups == 1u);
    }
    return (f.env.MonotonicNanos() - began) / 1'000'000;
  };
  const int64_t unhurried_ms = took_ms(0.1, false);
  BOOST_TEST(unhurried_ms > 500);
  BOOST_TEST(took_ms(1, false) < unhurried_ms / 4);
  took_ms(1, true);
}

BOOST_AUTO_TEST_CASE(DamagedRollupsArePutAsideAndTheRestIsServed) {
  Fixture f;
  f.options.policy.rollups = {{kHourMs, 0}};
  f.Open();
  Fill(f, 2, 5 * kMinute, false);
  BOOST_REQUIRE(f.database->Close().ok());
  f.database.reset();
  size_t damaged = 0;
  const auto names = f.env.ListDir("/data/rollups");
  BOOST_REQUIRE(names);
  for (const std::string& name : *names) {
    if (!name.ends_with(kRollupSuffix) || damaged > 0) continue;
    std::string bytes = *f.env.ReadFile("/data/rollups/" + name);
    bytes[bytes.size() - 30] = static_cast<char>(bytes[bytes.size() - 30] ^ 1);  // the footer
    BOOST_REQUIRE(f.env.WriteFileAtomically("/data/rollups/" + name, bytes).ok());
    ++damaged;
  }
  BOOST_REQUIRE_EQUAL(damaged, 1u);
  f.Open();
  BOOST_TEST(f.database->counters().quarantined_files == 1u);
  Compare(f, "rate(requests_total[2h])", kT0, kT0 + 2 * kDay, kHourMs);
  // It is written anew.
  BOOST_REQUIRE(f.database->RunMaintenance().ok());
  BOOST_TEST(f.database->sizes().rollups == 2u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::facts_test
