// Rollups of native histograms against their samples: one engine asks the same store twice, once as
// it is and once through a wrapper that refuses facts.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <random>

#include <fmt/format.h>

#include "base/mem_env.h"
#include "model/histogram_arithmetic.h"
#include "query/engine.h"
#include "tests/support/samples_only.h"
#include "tsdb/database.h"
#include "tsdb/rollup/histogram_facts.h"
#include "tsdb/rollup/rollup_column.h"

namespace tocsin::tsdb::histogram_rollup_test {
namespace {

using model::CounterResetHint;
using model::Histogram;
using model::Labels;
using model::Timestamp;

constexpr int64_t kMinute = 60'000;
constexpr int64_t kHourMs = 60 * kMinute;
constexpr int64_t kDay = 24 * kHourMs;
constexpr Timestamp kT0 = MemEnv::kStartMs / kDay * kDay;  // a midnight

// A metric that lives: observations come in, now and then it restarts, coarsens, gets a wider zero
// bucket or is gone for a while.
class Walk {
 public:
  enum Kind { kCounter, kFloatCounter, kGauge, kCustom, kTurnsGauge };
  Walk(Kind kind, uint64_t seed) : kind_(kind), random_(seed) { Restart(); }

  const Histogram& Next() {
    if (Any(250) == 0) Restart();
    if (kind_ != kCustom && Any(200) == 0 && h_.schema > 0)
      model::ReduceResolution(h_.schema - 1, &h_);
    if (kind_ == kGauge) Restart();
    if (kind_ == kTurnsGauge && ++rows_ == 1500) h_.hint = CounterResetHint::kGauge;
    for (int i = 0; i < 3; ++i) Observe();
    return h_;
  }
  bool Ends() { return Any(400) == 0; }

 private:
  int64_t Any(int64_t below) {
    return static_cast<int64_t>(random_() % static_cast<uint64_t>(below));
  }
  void Restart() {
    const CounterResetHint hint = h_.hint;
    h_ = Histogram();
    h_.integer = kind_ != kFloatCounter;
    h_.hint = kind_ == kGauge ? CounterResetHint::kGauge : hint;
    h_.schema = kind_ == kCustom ? model::kCustomBucketsSchema : 3;
    if (kind_ == kCustom) {
      h_.custom_values = {0.1, 1, 10};
      if (Any(2) == 0) h_.custom_values.push_back(100);
    } else {
      h_.zero_threshold = Any(3) == 0 ? 0.01 : 0.001;
    }
    if (kind_ == kGauge) {
      for (int i = 0; i < 20; ++i) Observe();
    }
  }
  void Observe() {
    Histogram one;
    one.schema = h_.schema;
    one.custom_values = h_.custom_values;
    one.zero_threshold = h_.zero_threshold;
    const double weight = kind_ == kFloatCounter ? 0.1 : 1;
    const auto index = static_cast<int32_t>(Any(kind_ == kCustom ? 4 : 6));
    one.positive_spans = {{index, 1}};
    one.positive_buckets = {weight};
    if (kind_ != kCustom && Any(4) == 0) {
      one.negative_spans = {{static_cast<int32_t>(Any(3)), 1}};
      one.negative_buckets = {weight};
    }
    one.count = one.negative_buckets.empty() ? weight : 2 * weight;
    one.sum = static_cast<double>(Any(1000)) / 8;
    const bool integer = h_.integer;
    BOOST_REQUIRE(model::AddHistogram(one, &h_).has_value());
    h_.integer = integer;
  }

  const Kind kind_;
  std::mt19937_64 random_;
  Histogram h_;
  int rows_ = 0;
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

  Fixture() {
    options.dir = "/data";
    options.env = &env;
    options.background = false;
    options.shards = 2;
    options.accept_any_first_timestamp = true;
    options.out_of_order_window_ms = 20 * kDay;
    options.policy.retention_ms = 0;
    options.policy.rollups = {{5 * kMinute, 0}, {kHourMs, 0}};
    auto opened = Database::Open(options);
    BOOST_REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().ToString()));
    database = *std::move(opened);
  }
};

constexpr const char* kMetrics[] = {"latency", "weights", "sizes", "custom", "turns", "mixed"};

// Two targets' days, a row a minute; each closed day is merged and rolled up.
void Fill(Fixture& f, int64_t days) {
  std::mt19937_64 random(7);
  struct Target {
    std::unique_ptr<model::SourceWriter> writer;
    std::vector<model::Slot> slots;
    std::vector<Walk> walks;
    std::vector<int> gone;
  };
  std::vector<Target> targets;
  for (uint64_t t = 0; t < 2; ++t) {
    const std::string name = "host" + std::to_string(t);
    Target& target = targets.emplace_back();
    target.writer = *f.database->OpenSource({model::OriginKind::kScrape, name},
                                            Labels::FromPairs({{"instance", name}}));
    for (uint64_t m = 0; m < std::size(kMetrics); ++m) {
      target.slots.push_back(
          *target.writer->AddSlot(Labels::FromPairs({{"__name__", kMetrics[m]}})));
      constexpr Walk::Kind kKinds[] = {Walk::kCounter, Walk::kFloatCounter, Walk::kGauge,
                                       Walk::kCustom,  Walk::kTurnsGauge,   Walk::kCounter};
      target.walks.emplace_back(kKinds[m], 10 * t + m);
      target.gone.push_back(0);
    }
  }
  for (int64_t row = 0; row < days * kDay / kMinute; ++row) {
    const Timestamp time = kT0 + row * kMinute + static_cast<int64_t>(random() % 2000);
    f.env.AdvanceMs(time - f.env.NowMs());
    for (Target& target : targets) {
      auto batch = f.database->NewBatch();
      batch->BeginRow(*target.writer, time, model::RowKind::kFull);
      for (size_t m = 0; m < target.slots.size(); ++m) {
        if (target.gone[m] > 0 && --target.gone[m] > 0) continue;
        if (m == 5 && row % 1000 == 999) {
          batch->Set(target.slots[m], 1);
        } else if (target.walks[m].Ends()) {
          target.gone[m] = static_cast<int>(random() % 90);
          if (random() % 2 == 0) {
            batch->SetHistogram(target.slots[m], Histogram::Stale());
          } else {
            batch->Set(target.slots[m], model::StaleMarker());
          }
        } else {
          batch->SetHistogram(target.slots[m], target.walks[m].Next());
        }
      }
      const model::CommitResult committed = batch->Commit({});
      BOOST_REQUIRE(committed.status.ok() && committed.refusals.empty());
    }
    if (row % (kDay / kMinute) == kDay / kMinute - 1) BOOST_REQUIRE(f.database->Compact().ok());
  }
}

bool Near(double a, double b, bool exact) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return true;
  return !exact && std::fabs(a - b) <= 1e-9 * std::max(std::fabs(a), std::fabs(b)) + 1e-9;
}

bool SameAnswer(Histogram a, Histogram b, bool exact) {
  // "Not reset" behind a staleness marker is as good as no hint: nothing sees the difference.
  for (Histogram* h : {&a, &b}) {
    if (h->hint == CounterResetHint::kNotReset) h->hint = CounterResetHint::kUnknown;
  }
  if (exact) return model::SameHistogram(a, b) && a.hint == b.hint;
  if (a.schema != b.schema || a.custom_values != b.custom_values ||
      a.positive_spans != b.positive_spans || a.negative_spans != b.negative_spans ||
      a.zero_threshold != b.zero_threshold || !Near(a.count, b.count, false) ||
      !Near(a.sum, b.sum, false) || !Near(a.zero_count, b.zero_count, false)) {
    return false;
  }
  for (size_t i = 0; i < a.positive_buckets.size(); ++i) {
    if (!Near(a.positive_buckets[i], b.positive_buckets[i], false)) return false;
  }
  for (size_t i = 0; i < a.negative_buckets.size(); ++i) {
    if (!Near(a.negative_buckets[i], b.negative_buckets[i], false)) return false;
  }
  return true;
}

void RequireSame(const query::Matrix& got, const query::Matrix& want, const std::string& text) {
  const bool exact = text.find("sum") == std::string::npos && text.find("avg") == std::string::npos;
  BOOST_REQUIRE_MESSAGE(got.size() == want.size(),
                        text << ": " << got.size() << " series for " << want.size());
  for (size_t s = 0; s < want.size(); ++s) {
    BOOST_REQUIRE_MESSAGE(got[s].metric == want[s].metric, text);
    BOOST_REQUIRE_MESSAGE(got[s].floats.size() == want[s].floats.size() &&
                              got[s].histograms.size() == want[s].histograms.size(),
                          text << " " << want[s].metric.ToString());
    for (size_t i = 0; i < want[s].floats.size(); ++i) {
      BOOST_REQUIRE_MESSAGE(got[s].floats[i].timestamp_ms == want[s].floats[i].timestamp_ms &&
                                Near(got[s].floats[i].value, want[s].floats[i].value, exact),
                            text << " " << want[s].metric.ToString() << ": "
                                 << got[s].floats[i].value << " instead of "
                                 << want[s].floats[i].value);
    }
    for (size_t i = 0; i < want[s].histograms.size(); ++i) {
      const auto& a = got[s].histograms[i];
      const auto& b = want[s].histograms[i];
      BOOST_REQUIRE_MESSAGE(
          a.timestamp_ms == b.timestamp_ms && SameAnswer(*a.histogram, *b.histogram, exact),
          text << " " << want[s].metric.ToString() << " at " << (b.timestamp_ms - kT0) / 1000
               << "s: " << a.histogram->count << "/" << a.histogram->sum << " instead of "
               << b.histogram->count << "/" << b.histogram->sum);
    }
  }
}

// Fails unless both stores answer alike. What the answer was read from.
std::string Compare(Fixture& f, const std::string& text, Timestamp start, Timestamp end,
                    int64_t step_ms) {
  const SamplesOnly samples(*f.database);
  const auto with = f.engine.Range(*f.database, text, start, end, step_ms, {});
  const auto without = f.engine.Range(samples, text, start, end, step_ms, {});
  BOOST_REQUIRE_MESSAGE(with, text << (with ? "" : with.error().ToString()));
  BOOST_REQUIRE(without);
  RequireSame(std::get<query::Matrix>(with->value), std::get<query::Matrix>(without->value), text);
  BOOST_REQUIRE_MESSAGE(
      with->stats.total_queryable_samples == without->stats.total_queryable_samples, text);
  BOOST_REQUIRE_MESSAGE(with->annotations.infos == without->annotations.infos, text);
  BOOST_REQUIRE_MESSAGE(with->annotations.warnings == without->annotations.warnings, text);
  return fmt::format("{} {}", with->stats.resolution,
                     with->stats.samples_read * 4 < without->stats.samples_read ? "few" : "many");
}

constexpr const char* kFunctions[] = {
    "avg_over_time",     "count_over_time", "delta",         "first_over_time",
    "increase",          "last_over_time",  "max_over_time", "rate",
    "present_over_time", "resets",          "sum_over_time", "ts_of_last_over_time"};

}  // namespace

BOOST_AUTO_TEST_SUITE(HistogramRollupSuite)

BOOST_AUTO_TEST_CASE(R11RollupsOfNativeHistogramsAnswerAsTheirSamples) {
  Fixture f;
  Fill(f, 3);
  BOOST_TEST(f.database->sizes().rollups == 6u);
  const Timestamp end = kT0 + 3 * kDay;
  for (const char* name : kMetrics) {
    for (const char* function : kFunctions) {
      for (const auto& [range, step] :
           {std::pair{10 * kMinute, 5 * kMinute}, std::pair{3 * kHourMs, kHourMs},
            std::pair{kDay, 2 * kHourMs}, std::pair{50 * kHourMs, 6 * kHourMs}}) {
        const std::string text = fmt::format("{}({}[{}m])", function, name, range / kMinute);
        Compare(f, text, kT0 - kHourMs, end + kHourMs, step);
        Compare(f, text, kT0 + 2 * kDay, kT0 + 2 * kDay, 1000);
      }
    }
    Compare(f, name, kT0 - kHourMs, end, 10 * kMinute);
    for (const char* form : {"histogram_quantile(0.9, sum by (instance) (rate({}[2h])))",
                             "histogram_count(increase({}[2h]))", "sum({})", "timestamp({})",
                             "histogram_avg(last_over_time({}[2h]))"}) {
      Compare(f, fmt::format(fmt::runtime(form), name), kT0, end, kHourMs);
    }
  }
  // What is read from rollups, and what is not.
  for (const auto& [text, want] : std::initializer_list<std::pair<const char*, const char*>>{
           {"rate(latency[2h])", "1h few"},
           {"resets(latency[2h])", "1h few"},
           {"rate(latency[1h])", "5m few"},
           {"rate(weights[2h])", "1h few"},
           {"increase(custom[2h])", "1h few"},
           {"sum_over_time(sizes[2h])", "1h few"},
           {"avg_over_time(sizes[2h])", "1h few"},
           {"delta(sizes[2h])", "1h few"},
           {"rate(latency[7m])", "raw many"},
           {"histogram_count(rate(latency[2h]))", "1h few"},
           {"sum_over_time(latency[2h])", "1h, raw many"},
           {"rate(sizes[2h])", "1h many"},
           {"rate(mixed[2h])", "1h, raw many"}}) {
    BOOST_TEST_CONTEXT(text) { BOOST_TEST(Compare(f, text, kT0 + kDay, end, kHourMs) == want); }
  }
}

BOOST_AUTO_TEST_CASE(LateHistogramsMakeTheirBucketsRawUntilTheyAreRewritten) {
  Fixture f;
  Fill(f, 2);
  auto writer = *f.database->OpenSource({model::OriginKind::kScrape, "host0"},
                                        Labels::FromPairs({{"instance", "host0"}}));
  const model::Slot slot = *writer->AddSlot(Labels::FromPairs({{"__name__", "latency"}}));
  const auto compare = [&] {
    for (const char* function : kFunctions) {
      Compare(f, fmt::format("{}(latency[2h])", function), kT0, kT0 + 2 * kDay, kHourMs);
      Compare(f, fmt::format("{}(latency[1d])", function), kT0, kT0 + 2 * kDay, kHourMs);
    }
  };
  Histogram late;
  late.integer = true;
  late.schema = 3;
  late.zero_threshold = 0.001;
  late.count = 5;
  late.positive_spans = {{1, 1}};
  late.positive_buckets = {5};
  auto batch = f.database->NewBatch();
  batch->BeginRow(*writer, kT0 + 5 * kHourMs + 31'234, model::RowKind::kPartial);
  batch->SetHistogram(slot, late);
  BOOST_REQUIRE(batch->Commit({}).status.ok());
  compare();  // in the head
  BOOST_REQUIRE(f.database->Seal({}).ok());
  compare();  // a file of its own
  BOOST_REQUIRE(f.database->Compact().ok());
  compare();
}

BOOST_AUTO_TEST_CASE(RollupsOfHistogramsOutliveThem) {
  Fixture f;
  Fill(f, 3);
  const Timestamp end = kT0 + 3 * kDay;
  const char* const kExact[] = {"increase(latency[2h])", "sum_over_time(sizes[3h])",
                                "last_over_time(custom[2h])", "resets(weights[1d])"};
  const auto ask = [&](const std::string& text, Timestamp start) {
    auto result = f.engine.Range(*f.database, text, start, end, kHourMs, {});
    BOOST_REQUIRE_MESSAGE(result, (result ? "" : result.error().ToString()));
    return *std::move(result);
  };
  std::vector<query::Matrix> want;
  for (const char* text : kExact) want.push_back(std::get<query::Matrix>(ask(text, kT0).value));
  StoragePolicy policy = f.database->policy();
  policy.retention_ms = kHourMs;
  f.database->SetPolicy(policy);
  BOOST_REQUIRE(f.database->RunMaintenance().ok());
  BOOST_TEST(f.database->sizes().segments < 3u);
  for (size_t i = 0; i < std::size(kExact); ++i) {
    const query::QueryResult got = ask(kExact[i], kT0);
    BOOST_TEST(got.annotations.warnings.empty());
    RequireSame(std::get<query::Matrix>(got.value), want[i], kExact[i]);
  }
  BOOST_TEST(ask("rate(latency[2h])", kT0 + kDay).annotations.warnings.empty());
  // Not by the rules: near the truth, and it says so.
  const query::QueryResult near = ask("rate(latency[2h])", kT0 + 17'000);
  BOOST_TEST(!std::get<query::Matrix>(near.value).empty());
  BOOST_REQUIRE_EQUAL(near.annotations.warnings.size(), 1u);
  BOOST_TEST(near.annotations.warnings[0].find("past their retention") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(HistogramBucketsComeBackFromTheirBytes) {
  Walk walk(Walk::kCounter, 3);
  std::vector<Histogram> samples;
  std::vector<Timestamp> times;
  for (int i = 0; i < 400; ++i) {
    samples.push_back(i % 97 == 96 ? Histogram::Stale() : walk.Next());
    times.push_back(kT0 + i * 15'000);
  }
  std::vector<const Histogram*> pointers;
  for (const Histogram& sample : samples) pointers.push_back(&sample);
  model::Column column;
  column.histograms = pointers;
  column.histogram_timestamps = times;
  ColumnBuckets buckets;
  BOOST_REQUIRE(buckets.FoldHistograms(column, 5 * kMinute));
  SourceBuckets source;
  source.Fold(times, 5 * kMinute);
  std::string bytes;
  EncodeHistogramRollup(buckets, source, 5 * kMinute, &bytes);
  model::ColumnBatch batch;
  std::vector<model::Facts> facts;
  BOOST_REQUIRE(DecodeHistogramRollup(bytes, source, 5 * kMinute, &batch, &facts));
  BOOST_REQUIRE_EQUAL(facts.size(), buckets.facts.size());
  size_t kept = 0;
  for (size_t i = 0; i < facts.size(); ++i) {
    BOOST_TEST(facts[i].count == buckets.facts[i].count);
    BOOST_TEST(facts[i].first_ms == buckets.facts[i].first_ms);
    BOOST_TEST(facts[i].newest_ms == buckets.facts[i].newest_ms);
    BOOST_TEST(facts[i].ends_stale == buckets.facts[i].ends_stale);
    BOOST_TEST(facts[i].known == buckets.facts[i].known);
    BOOST_REQUIRE_EQUAL(facts[i].kept_count, buckets.facts[i].kept_count);
    for (uint32_t k = 0; k < facts[i].kept_count; ++k)
      BOOST_TEST(model::SameHistogram(*facts[i].kept[k], *buckets.kept[kept++]));
  }
  std::mt19937_64 random(1);
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = bytes;
    for (int flips = 0; flips < 2; ++flips)
      damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
    batch.Clear();
    static_cast<void>(DecodeHistogramRollup(damaged, source, 5 * kMinute, &batch, &facts));
  }
}

BOOST_AUTO_TEST_CASE(ARunWhosePopulationsAreNoNumbersDoesNotKnowItsResets) {
  model::ColumnBatch batch;
  HistogramFolder folder(&batch);
  Histogram five, nan, three;
  five.count = 5;
  nan.count = std::nan("");
  three.count = 3;
  // Neighbours do not look like a reset; the first and the last do.
  for (const Histogram* h : {&five, &nan, &three}) folder.Add(kT0 + folder.empty(), h);
  const model::Facts facts = folder.Take();
  BOOST_TEST(facts.known == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace tocsin::tsdb::histogram_rollup_test
