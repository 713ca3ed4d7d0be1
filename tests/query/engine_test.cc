// The engine as a whole over the fake store, with the language's defaults: joins and their errors,
// names, aggregations, bounds, cancelling, and equal answers from any number of threads.
#include "query/engine.h"

#include <bit>
#include <boost/test/unit_test.hpp>
#include <ctime>
#include <random>

#include "tests/query/check_script.h"
#include "tests/support/fake_queryable.h"

namespace tocsin::query {
namespace {

using model::Labels;

// Runs a script in the language of conformance/promql/README.md.
void RunScript(std::string_view text) { CheckScript(text, false); }

// `series` counters of `samples` samples, 15 s apart, by job and instance.
FakeQueryable ManySeries(int series, int samples) {
  FakeQueryable store;
  std::mt19937_64 random(7);
  for (int s = 0; s < series; ++s) {
    const Labels labels = Labels::FromPairs({{"__name__", "x_total"},
                                             {"job", "j" + std::to_string(s % 7)},
                                             {"instance", "i" + std::to_string(s)}});
    double value = 0;
    for (int i = 0; i < samples; ++i) {
      value += static_cast<double>(random() % 1000) / 7;
      store.Add(labels, i * 15'000, value);
    }
  }
  return store;
}

BOOST_AUTO_TEST_SUITE(EngineTest)

BOOST_AUTO_TEST_CASE(JoinsFindTheirPartners) {
  RunScript(R"(
load 1m
  req{job="a", code="200"} 10 20
  req{job="a", code="500"} 1 2
  req{job="b", code="200"} 5 _
  lim{job="a", owner="x"} 100 _
  lim{job="b", owner="y"} 50 50
  lim{job="c", owner="z"} 7 7

eval instant at 0 req / on (job) group_left lim
  {job="a", code="200"} 0.1
  {job="a", code="500"} 0.01
  {job="b", code="200"} 0.1

eval instant at 0 req / on (job) group_left (owner) lim
  {job="a", code="200", owner="x"} 0.1
  {job="a", code="500", owner="x"} 0.01
  {job="b", code="200", owner="y"} 0.1

eval instant at 0 lim < bool on (job) group_right req
  {job="a", code="200"} 0
  {job="a", code="500"} 0
  {job="b", code="200"} 0

eval instant at 0 req > on (job) group_left lim / 20
  req{job="a", code="200"} 10
  req{job="b", code="200"} 5

eval instant at 0 req unless on (job) lim{job="a"}
  req{job="b", code="200"} 5

eval instant at 0 lim and on (job) req
  lim{job="a", owner="x"} 100
  lim{job="b", owner="y"} 50
)");
}

BOOST_AUTO_TEST_CASE(JoinsFailInTheReferencesWords) {
  RunScript(R"(
load 1m
  req{job="a", code="200"} 10
  req{job="a", code="500"} 1
  lim{job="a", owner="x"} 100
  lim{job="a", owner="y"} 50
  one{job="a"} 1

eval instant at 0 req / on (job) one
  expect fail msg: multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)

eval instant at 0 one / on (job) lim
  expect fail msg: found duplicate series for the match group {job="a"} on the right hand-side of the operation: [{__name__="lim", job="a", owner="x"}, {__name__="lim", job="a", owner="y"}];many-to-many matching not allowed: matching labels must be unique on one side

eval instant at 0 lim / on (job) group_right req
  expect fail msg: found duplicate series for the match group {job="a"} on the left hand-side of the operation: [{__name__="lim", job="a", owner="x"}, {__name__="lim", job="a", owner="y"}];many-to-many matching not allowed: matching labels must be unique on one side

eval instant at 0 req * on (job) group_left (code) label_replace(one, "code", "z", "", "")
  expect fail msg: multiple matches for labels: grouping labels must ensure unique matches
)");
}

// Partners that take turns join; only meeting at one step is an error.
BOOST_AUTO_TEST_CASE(PartnersMayAlternate) {
  RunScript(R"(
load 10m
  left{a="1"} 1 2 3
  right{a="1", v="old"} 10 _ _
  right{a="1", v="new"} _ 20 30

eval range from 0 to 20m step 10m left * on (a) right
  {a="1"} 10 40 90

eval range from 0 to 20m step 10m left * on (a) group_left (v) right
  {a="1", v="old"} 10 _ _
  {a="1", v="new"} _ 40 90

eval range from 0 to 20m step 10m right + on (a) left
  {a="1"} 11 22 33
)");
}

BOOST_AUTO_TEST_CASE(NamesAreDroppedAtOnce) {
  RunScript(R"(
load 10m
  a{x="1"} 1 _
  b{x="1"} _ 4
  c{x="1"} 7 7

eval range from 0 to 10m step 10m -{__name__=~"a|b"}
  {x="1"} -1 -4

eval instant at 0 abs({__name__=~"a|c"})
  expect fail msg: vector cannot contain metrics with the same labelset

eval instant at 0 sum by (__name__) (rate(c[20m] offset -20m))

eval instant at 10m sum by (__name__) (rate(c[20m] offset -1m))
  {} 0

eval instant at 0 c > 5
  c{x="1"} 7

eval instant at 0 c > bool 5
  {x="1"} 1
)");
}

// Edges of anchored and smoothed windows that fall on, before and behind counter resets. The
// numbers are those of floats under the same rules, worked out by hand.
BOOST_AUTO_TEST_CASE(ResetsAtTheEdgesOfExtendedRanges) {
  RunScript(R"(
load 30s
  reset_at_end {{count:5 sum:5 buckets:[5]}} {{count:10 sum:10 buckets:[10]}} {{count:3 sum:3 buckets:[3] counter_reset_hint:reset}}
  two_samples {{count:5 sum:5 buckets:[5]}} {{count:3 sum:3 buckets:[3] counter_reset_hint:reset}}
  f_reset_at_end 5 10 3
  f_two_samples 5 3

eval instant at 70s histogram_count(increase(reset_at_end[1m] anchored))
  {} 8

eval instant at 70s increase(f_reset_at_end[1m] anchored)
  {} 8

eval instant at 30s histogram_count(increase(two_samples[30s] anchored))
  {} 3

eval instant at 30s increase(f_two_samples[30s] anchored)
  {} 3

clear
load 10s
  twice {{count:10 sum:10 buckets:[10]}} {{count:5 sum:5 buckets:[5]}} {{count:2 sum:2 buckets:[2]}} {{count:4 sum:4 buckets:[4]}}
  f_twice 10 5 2 4
  right_edge {{count:5 sum:5 buckets:[5]}} {{count:10 sum:10 buckets:[10]}} {{count:3 sum:3 buckets:[3]}}
  f_right_edge 5 10 3
  left_edge _ {{count:396 sum:396 buckets:[396]}} {{count:110 sum:110 buckets:[110]}} {{count:194 sum:194 buckets:[194]}}
  f_left_edge _ 396 110 194

eval instant at 15s histogram_count(increase(twice[14s] smoothed))
  {} 5.5

eval instant at 15s increase(f_twice[14s] smoothed)
  {} 5.5

eval instant at 15s histogram_count(rate(right_edge[10s] smoothed))
  {} 0.4

eval instant at 15s rate(f_right_edge[10s] smoothed)
  {} 0.4

eval instant at 30s histogram_count(increase(left_edge[15s] smoothed))
  {} 139

eval instant at 30s increase(f_left_edge[15s] smoothed)
  {} 139

clear
load 20s
  both {{count:10 sum:10 buckets:[10]}} {{count:5 sum:5 buckets:[5]}}
  f_both 10 5

eval instant at 15s histogram_count(increase(both[10s] smoothed))
  {} 2.5

eval instant at 15s increase(f_both[10s] smoothed)
  {} 2.5

eval instant at 15s histogram_count(both smoothed)
  {} 3.75
)");
}

// A counter whose start is known was zero there.
BOOST_AUTO_TEST_CASE(StartTimesBeginCounters) {
  RunScript(R"(
load 1m
  inside@st _ _ -30s -90s -150s
  inside    _ _ 1 2 3
  outside@st _ _ -60s -2m -3m
  outside    _ _ 1 2 3
  single@st _ _ _ _ -150s
  single    _ _ _ _ 3
  hist@st _ _ -30s
  hist    _ _ {{count:60 sum:60 buckets:[60]}}

eval instant at 4m increase(inside[3m])
  {} 3

eval instant at 4m increase(outside[3m])
  {} 3

eval instant at 4m increase(single[3m])
  {} 3

eval instant at 4m increase(single[2m])

eval instant at 2m increase(hist[1m])
  {} {{count:60 sum:60 buckets:[60]}}
)");
}

BOOST_AUTO_TEST_CASE(AggregationsGroup) {
  const FakeQueryable store = ManySeries(70, 1);
  Engine engine(EngineOptions{});
  const struct {
    const char* query;
    size_t series;
  } kCases[] = {
      {"sum(x_total)", 1},
      {"sum by (job) (x_total)", 7},
      {"sum by (nothing) (x_total)", 1},
      {"sum without (instance) (x_total)", 7},
      {"topk(2, x_total)", 2},
      {"topk by (job) (2, x_total)", 14},
      {"bottomk(100, x_total)", 70},
      {"limitk(3, x_total)", 3},
      {"count_values(\"v\", count by (job) (x_total))", 1},
      {"quantile by (job) (0.5, x_total)", 7},
      {"x_total > 1e9", 0},
      {"x_total or vector(1)", 71},
      {"vector(1) or x_total", 71},
      {"absent(x_total)", 0},
      {"absent(y_total{a=\"b\"})", 1},
  };
  EngineOptions options;
  options.language.experimental_functions = true;
  Engine all(options);
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.query) {
      const auto result = all.Instant(store, c.query, 0, {});
      BOOST_REQUIRE_MESSAGE(result.has_value(), (result ? "" : result.error().message()));
      BOOST_TEST(std::get<Vector>(result->value).size() == c.series);
    }
  }
}

bool SameBits(const Matrix& a, const Matrix& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Series& x, const Series& y) {
    return x.metric == y.metric &&
           std::equal(x.floats.begin(), x.floats.end(), y.floats.begin(), y.floats.end(),
                      [](const FloatPoint& p, const FloatPoint& q) {
                        return p.timestamp_ms == q.timestamp_ms &&
                               std::bit_cast<uint64_t>(p.value) == std::bit_cast<uint64_t>(q.value);
                      });
  });
}

BOOST_AUTO_TEST_CASE(ThreadsDoNotChangeAnAnswer) {
  const FakeQueryable store = ManySeries(3000, 40);
  EngineOptions options;
  options.threads = 1;
  Engine one(options);
  options.threads = 4;
  Engine four(options);
  for (const char* query :
       {"sum by (job) (rate(x_total[2m]))", "avg(x_total)", "stddev by (job) (x_total)",
        "topk(5, x_total)", "x_total / on (instance) x_total", "quantile(0.9, x_total)",
        "sum(sum_over_time(rate(x_total[1m])[3m:30s]))", "x_total and on (job) x_total",
        "count_values(\"v\", round(x_total, 1000))"}) {
    BOOST_TEST_CONTEXT(query) {
      const auto a = one.Range(store, query, 0, 585'000, 15'000, {});
      const auto b = four.Range(store, query, 0, 585'000, 15'000, {});
      BOOST_REQUIRE(a.has_value());
      BOOST_REQUIRE(b.has_value());
      BOOST_TEST(SameBits(std::get<Matrix>(a->value), std::get<Matrix>(b->value)));
    }
  }
}

// An aggregation that stands there twice is evaluated once, and nobody can tell but by the samples
// that were read.
BOOST_AUTO_TEST_CASE(EqualAggregationsAreEvaluatedOnce) {
  const FakeQueryable store = ManySeries(20, 40);
  FakeQueryable gauges;
  gauges.Add(Labels::FromPairs({{"__name__", "g"}}), 0, 1);
  gauges.Add(Labels::FromPairs({{"__name__", "g"}}), 15'000, 2);
  Engine engine(EngineOptions{});
  const struct {
    const char* query;
    int64_t evaluated;  // of the selections in it
    int64_t places;
    int64_t of_subqueries = 0;
  } kCases[] = {
      {"sum(rate(x_total[1m])) / sum(rate(x_total[1m]))", 1, 2},
      {"sum(rate(x_total[1m])) / sum(rate( x_total[1m]))", 2, 2},
      {"sum by (job) (rate(x_total[1m])) / sum(rate(x_total[1m])) by (job)", 2, 2},
      {"sum(rate(x_total[1m])) by (job) and sum(rate(x_total[1m])) by (instance)", 2, 2},
      {"max(sum(rate(x_total[1m]))) - max(sum(rate(x_total[1m]))) + sum(rate(x_total[1m]))", 1, 3},
      {"sum(rate(x_total[1m])) - sum(rate(x_total[1m] offset 30s))", 2, 2},
      // The sub-query asks for the same steps.
      {"sum(rate(x_total[1m])) - sum_over_time(sum(rate(x_total[1m]))[15s:15s])", 1, 2, 13},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.query) {
      const auto once = engine.Range(store, "sum(rate(x_total[1m]))", 120'000, 300'000, 15'000, {});
      const auto result = engine.Range(store, c.query, 120'000, 300'000, 15'000, {});
      BOOST_REQUIRE(result.has_value());
      BOOST_TEST(result->stats.samples_read >= (c.evaluated * once->stats.samples_read) * 9 / 10);
      BOOST_TEST(result->stats.samples_read <= (c.evaluated * once->stats.samples_read) * 11 / 10);
      BOOST_TEST(result->stats.total_queryable_samples ==
                 c.places * once->stats.total_queryable_samples + c.of_subqueries);
      QueryOptions by_itself;
      by_itself.explain = true;
      const auto apart = engine.Range(store, c.query, 120'000, 300'000, 15'000, by_itself);
      BOOST_TEST(SameBits(std::get<Matrix>(result->value), std::get<Matrix>(apart->value)));
    }
  }
  for (const char* query :
       {"sum(rate(g[1m])) / sum(rate(g[1m]))",
        "max(sum(rate(g[1m]))) + max(sum(rate(g[1m])))\n  + sum(rate(g[1m]))",
        "max(sum(rate(g[1m])) + sum(rate(g[1m]))) + max(sum(rate(g[1m])) + sum(rate(g[1m])))"}) {
    BOOST_TEST_CONTEXT(query) {
      QueryOptions by_itself;
      by_itself.explain = true;
      const auto shared = engine.Instant(gauges, query, 15'000, {});
      const auto apart = engine.Instant(gauges, query, 15'000, by_itself);
      BOOST_REQUIRE(shared.has_value() && apart.has_value());
      BOOST_TEST(shared->annotations.infos.size() >= 2U);
      BOOST_TEST(shared->annotations.infos == apart->annotations.infos,
                 boost::test_tools::per_element());
    }
  }
}

// What is kept to find equal parts, and the places of an annotation, grow with the text: beyond 16
// KiB of it every part is evaluated by itself.
BOOST_AUTO_TEST_CASE(LongQueriesShareNothing) {
  const FakeQueryable store = ManySeries(3, 4);
  Engine engine(EngineOptions{});
  for (const size_t padding : {size_t{0}, size_t{16 * 1024}}) {
    BOOST_TEST_CONTEXT(padding) {
      const auto once = engine.Instant(store, "sum(x_total)", 45'000, {});
      const std::string text = "sum(x_total) + " + std::string(padding, ' ') + "sum(x_total)";
      const auto twice = engine.Instant(store, text, 45'000, {});
      BOOST_REQUIRE(once.has_value() && twice.has_value());
      BOOST_TEST(twice->stats.samples_read == once->stats.samples_read * (padding == 0 ? 1 : 2));
      BOOST_TEST(std::get<Vector>(twice->value).at(0).value ==
                 2 * std::get<Vector>(once->value).at(0).value);
    }
  }
}

// One by one in the annotations' own words, however often what they are about is repeated.
BOOST_AUTO_TEST_CASE(RepeatedPartsAreAnnotatedEach) {
  FakeQueryable store;
  for (int i = 0; i < 4; ++i) {
    for (const char* le : {"1", "2", "+Inf"}) {
      const double below = le[0] == '2' ? 5 - i : 10;
      store.Add(Labels::FromPairs({{"__name__", "h_bucket"}, {"le", le}}), i * 15'000, below);
    }
  }
  Engine engine(EngineOptions{});
  const std::string part = "sum(histogram_quantile(0.5, h_bucket))";
  const auto once = engine.Range(store, part, 0, 45'000, 15'000, {});
  BOOST_REQUIRE(once.has_value());
  BOOST_REQUIRE(once->annotations.infos.size() == 1);
  const std::string info = once->annotations.infos.front();
  BOOST_TEST(info.find("over 4 samples") != std::string::npos, info);
  const auto twice = engine.Range(store, part + "\n+" + part, 0, 45'000, 15'000, {});
  BOOST_REQUIRE(twice.has_value());
  BOOST_REQUIRE(twice->annotations.infos.size() == 2);
  const size_t text_end = info.find(" (1:");
  BOOST_REQUIRE(text_end != std::string::npos);
  BOOST_TEST(twice->annotations.infos[0] == info);
  BOOST_TEST(twice->annotations.infos[1] == info.substr(0, text_end) + " (2:30)");
}

BOOST_AUTO_TEST_CASE(BoundsStopAQuery) {
  const FakeQueryable store = ManySeries(200, 40);
  const auto run = [&](EngineOptions options, const QueryOptions& query_options) {
    options.threads = 2;
    Engine engine(options);
    return engine.Range(store, "x_total * 2", 0, 585'000, 15'000, query_options);
  };
  EngineOptions options;
  BOOST_TEST(run(options, {}).has_value());

  EngineOptions few_samples = options;
  few_samples.max_samples = 7'999;  // the result alone has 8,000
  const auto too_many = run(few_samples, {});
  BOOST_REQUIRE(!too_many.has_value());
  BOOST_CHECK(too_many.error().code() == Code::kExecution);
  BOOST_TEST(too_many.error().message() ==
             "query processing would load too many samples into memory in query execution");
  few_samples.max_samples = 8'000;
  BOOST_TEST(run(few_samples, {}).has_value());

  EngineOptions little_memory = options;
  little_memory.memory_budget_bytes = 10'000;
  const auto too_big = run(little_memory, {});
  BOOST_REQUIRE(!too_big.has_value());
  BOOST_CHECK(too_big.error().code() == Code::kResourceExhausted);

  std::atomic<bool> cancel = true;
  QueryOptions cancelled;
  cancelled.cancel = &cancel;
  BOOST_CHECK(run(options, cancelled).error().code() == Code::kCancelled);
}

// What queries make of labels is not bounded by what is stored: it has to be charged as it is made.
BOOST_AUTO_TEST_CASE(LabelsThatGrowAreCharged) {
  const FakeQueryable store = ManySeries(3, 40);
  EngineOptions options;
  options.memory_budget_bytes = 8 << 20;
  Engine engine(options);
  std::string doubled = "label_replace(x_total, \"a\", \"0123456789abcdef\", \"\", \"\")";
  for (int i = 0; i < 30; ++i) doubled = "label_join(" + doubled + R"(, "a", "", "a", "a"))";
  std::string replaced = R"(label_replace(x_total, "a", "0123456789abcdef", "", ""))";
  for (int i = 0; i < 30; ++i) {
    replaced = "label_replace(" + replaced + ", \"a\", \"$1${1}\", \"a\", \"(.*)\")";
  }
  for (const std::string& query :
       {doubled, replaced, "count(" + doubled + ")", "x_total + on (a) " + replaced}) {
    const auto result = engine.Instant(store, query, 0, {});
    BOOST_REQUIRE(!result.has_value());
    BOOST_TEST(result.error().message().find("is exhausted") != std::string::npos,
               result.error().message());
  }
  BOOST_TEST(engine.memory().used_bytes == 0U);
}

// Each value is there at one step only: as many series as points.
BOOST_AUTO_TEST_CASE(CountedValuesTakeMemoryByPoint) {
  FakeQueryable store;
  constexpr int kSteps = 2000;
  const auto labels = model::Labels::FromPairs({{"__name__", "x"}});
  for (int i = 0; i < kSteps; ++i) store.Add(labels, i * 1000, i * 0.5);
  EngineOptions options;
  options.memory_budget_bytes = 8 << 20;
  Engine engine(options);
  // As rows of steps it would take 32 MB.
  const auto result =
      engine.Range(store, "sum(count_values(\"v\", x))", 0, (kSteps - 1) * 1000, 1000, {});
  BOOST_REQUIRE_MESSAGE(result.has_value(), result.error().message());
  const Matrix& matrix = std::get<Matrix>(result->value);
  BOOST_REQUIRE(matrix.size() == 1U);
  BOOST_TEST(matrix[0].floats.size() == size_t{kSteps});
  for (const FloatPoint& point : matrix[0].floats) BOOST_TEST(point.value == 1);
}

// Neither may take memory by step before it is refused, nor time by the square of its length.
BOOST_AUTO_TEST_CASE(AbsurdQuestionsEndSoon) {
  const FakeQueryable store = ManySeries(3, 40);
  Engine engine(EngineOptions{});
  for (const char* query : {"sum_over_time(vector(time())[100y:1ms])", "rate(x_total[100y:1ms])",
                            "count_over_time((x_total > 1)[10y:1ms])"}) {
    BOOST_TEST_CONTEXT(query) {
      const auto result = engine.Instant(store, query, 0, {});
      BOOST_REQUIRE(!result.has_value());
      BOOST_CHECK(result.error().code() == Code::kExecution);
    }
  }
  std::string chain = "x_total";
  for (int i = 0; i < 400; ++i) chain += " or x_total";
  BOOST_TEST(std::get<Vector>(engine.Instant(store, chain, 0, {})->value).size() == 3U);
  // Links × series, not links squared: of that it would be a minute.
  std::string links = "x_total";
  for (int i = 0; i < 10'000; ++i) links += i % 2 == 0 ? " and x_total" : " unless y";
  const std::clock_t begun = std::clock();
  BOOST_TEST(std::get<Vector>(engine.Instant(store, links, 0, {})->value).size() == 3U);
  BOOST_TEST(std::clock() - begun < 8 * CLOCKS_PER_SEC);
}

BOOST_AUTO_TEST_CASE(StatisticsCountSamples) {
  const FakeQueryable store = ManySeries(10, 40);
  Engine engine(EngineOptions{});
  QueryOptions options;
  options.per_step_stats = true;
  auto result = engine.Range(store, "x_total", 0, 30'000, 15'000, options);
  BOOST_TEST(result->stats.total_queryable_samples == 30);
  BOOST_REQUIRE(result->stats.samples_per_step.size() == 3U);
  BOOST_TEST(result->stats.samples_per_step[1].timestamp_ms == 15'000);
  BOOST_TEST(result->stats.samples_per_step[1].samples == 10);
  result = engine.Range(store, "sum(rate(x_total[1m]))", 0, 60'000, 30'000, options);
  // Windows of 1, 3 and 4 samples.
  BOOST_TEST(result->stats.total_queryable_samples == 80);
  BOOST_TEST(result->stats.samples_per_step[2].samples == 40);
  BOOST_TEST(result->stats.samples_read == 50);
}

BOOST_AUTO_TEST_CASE(ExplainTellsWhatSelectorsLeaveOut) {
  static constexpr int kSteps = 3;
  FakeQueryable store = ManySeries(2, 10);
  model::Histogram histogram;
  histogram.count = 1;
  histogram.zero_count = 1;
  for (int i = 0; i < 10; ++i) {
    store.Add(Labels::FromPairs({{"__name__", "h"}}), i * 15'000, histogram);
  }
  Engine engine(EngineOptions{});
  QueryOptions options;
  options.explain = true;
  const auto hints_of_leaf = [](const Result<QueryResult>& result) {
    BOOST_REQUIRE(result.has_value() && result->plan != nullptr);
    const PlanNode* node = result->plan.get();
    while (!node->children.empty()) node = &node->children.back();
    return std::string(node->times_only ? "times " : "") + (node->newest_only ? "newest" : "");
  };
  const struct {
    const char* query;
    const char* instant;
    const char* range;
  } kCases[] = {
      {"x_total", "newest", ""},
      {"sum(x_total)", "newest", ""},
      {"count(x_total)", "times newest", "times "},
      {"absent((x_total))", "times newest", "times "},
      {"vector(1) unless x_total", "times newest", "times "},
      {"vector(1) or x_total", "newest", ""},
      {"timestamp(x_total)", "times newest", "times "},
      {"count(-x_total)", "newest", ""},
      {"count(sum_over_time(x_total[1m]))", "", ""},
      {"count_over_time(x_total[1m])", "times ", "times "},
      {"count(x_total) / sum(x_total)", "newest", ""},
      {"sum(x_total) / count(x_total)", "times newest", "times "},
      {"count_over_time(x_total[1m:15s])", "", ""},
      {"count(x_total @ 60)", "times newest", "times newest"},
      {"vector(1)", "", ""},
      // The kinds of resets are looked for beside the stretch that is asked for, unless nobody
      // asks.
      {"h", "", ""},
      {"count(h)", "times newest", "times "},
      {"count_over_time(h[1m])", "times ", "times "},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.query) {
      BOOST_TEST(hints_of_leaf(engine.Instant(store, c.query, 60'000, options)) == c.instant);
      BOOST_TEST(hints_of_leaf(engine.Range(store, c.query, 60'000, 60'000 + kSteps * 15'000,
                                            15'000, options)) == c.range);
    }
  }
}

BOOST_AUTO_TEST_CASE(BadQuestionsAreRefused) {
  const FakeQueryable store;
  Engine engine(EngineOptions{});
  const auto instant = engine.Instant(store, "sum(", 0, {});
  BOOST_CHECK(instant.error().code() == Code::kInvalidArgument);
  BOOST_TEST(instant.error().message() == "1:5: parse error: unclosed left parenthesis");
  const auto text = engine.Range(store, "\"x\"", 0, 1, 1, {});
  BOOST_TEST(
      text.error().message() ==
      "invalid expression type \"string\" for range query, must be Scalar or instant Vector");
  BOOST_TEST(engine.Range(store, "x[5m]", 0, 1, 1, {}).error().message() ==
             "invalid expression type \"range vector\" for range query, must be Scalar or instant "
             "Vector");
  BOOST_TEST(!engine.Range(store, "x", 0, 1, 0, {}).has_value());
  BOOST_TEST(!engine.Range(store, "x", 1, 0, 1, {}).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::query
