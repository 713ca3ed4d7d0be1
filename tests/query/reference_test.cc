// Corners of the language in which an obvious implementation and the reference differ; each was
// found by reading the reference (Prometheus 3.13 and what became 3.14) or by random queries beside
// it.
#include <boost/test/unit_test.hpp>

#include "tests/query/check_script.h"

namespace tocsin::query {
namespace {

void CheckDelayed(std::string_view script) { CheckScript(script, true); }

BOOST_AUTO_TEST_SUITE(ReferenceTest)

// The left end is exact there; how far to reach to the right is judged by the samples alone, and a
// single one does not reach at all.
BOOST_AUTO_TEST_CASE(AKnownStartDoesNotShortenTheReachToTheRight) {
  CheckDelayed(R"(
load 1m
  c_total{k="known"}@st  _ _ -30s -90s -150s -210s _
  c_total{k="known"}     _ _ 1 2 3 4 _
  c_total{k="unknown"}   _ _ 1 2 3 4 _
  c_total{k="short"}@st  _ _ _ _ _ -30s _
  c_total{k="short"}     _ _ _ _ _ 6 _

eval instant at 6m increase(c_total[5m])
  {k="known"} 5.142857142857143
  {k="unknown"} 5
  {k="short"} 6

eval instant at 6m rate(c_total{k="short"}[5m])
  {k="short"} 0.02
)");
}

BOOST_AUTO_TEST_CASE(HistogramsWithAKnownStartBeginAtZero) {
  CheckDelayed(R"(
load 1m
  h@st _ _ -30s -90s
  h    _ _ {{sum:60 count:60 buckets:[60]}} {{sum:90 count:90 buckets:[90]}}
  over@st _ -1m -90s -1m
  over    _ {{count:1 sum:1 buckets:[1]}} {{count:2 sum:2 buckets:[2]}} {{count:3 sum:3 buckets:[3]}}

# 90 over 1m30s, and another minute to the end of the window.
eval instant at 4m increase(h[3m])
  {} {{count:150 sum:150 buckets:[150] counter_reset_hint:gauge}}

eval instant at 4m rate(over[4m])
  expect warn msg: PromQL warning: sample has start time that overlaps with previous sample timestamp for metric "over" (1:6)
  {} {{count:0.029166666666666667 sum:0.029166666666666667 buckets:[0.029166666666666667]}}
)");
}

BOOST_AUTO_TEST_CASE(ANanSpoilsTheMedianDeviation) {
  CheckDelayed(R"(
load 10s
  m 1 2 NaN 4 5

eval instant at 40s mad_over_time(m[1m])
  {} NaN

eval instant at 40s mad_over_time(m[15s])
  {} 0.5
)");
}

// A comparison that keeps nothing still finds that the match was ambiguous.
BOOST_AUTO_TEST_CASE(AmbiguousMatchesAreFoundBeforeComparisonsFilter) {
  CheckDelayed(R"(
load 1m
  many{job="j", a="1"} 0 0 1
  many{job="j", a="2"} 1 1 5
  one{job="j"} 1 0 9

eval instant at 0 many == on(job) one
  expect fail msg: multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)

eval instant at 2m many == on(job) one
  expect fail msg: multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)

eval range from 0 to 1m step 1m many == on(job) one
  expect fail msg: multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)

eval instant at 0 many > on(job) group_left one
)");
}

// timestamp() looks samples of a selector up itself, at the time of the `@`, among those that the
// storage was asked for, which are those of the shifted time.
BOOST_AUTO_TEST_CASE(TimestampLooksForBothTimesBesideAt) {
  CheckDelayed(R"(
load 10s
  m 0+1x20

eval instant at 100s timestamp(m @ 50 offset 20s)
  {} 30

eval instant at 100s timestamp((m offset 20s @ 50))
  {} 30

eval instant at 100s timestamp(m @ 50 offset -20s)
  {} 50

# Five minutes before the `@` are looked at, and what lies before the shifted time.
eval instant at 0 timestamp(m @ 490 offset 4m55s)

eval instant at 0 timestamp(m @ 489 offset 4m55s)
  {} 190

eval instant at 0 timestamp(m @ 489 offset 5m)

eval instant at 0 timestamp(m @ 50 offset -5m)

eval instant at 0 timestamp(m @ 480 offset -30s)

eval instant at 100s timestamp(m offset 20s)
  {} 80

eval instant at 95s timestamp(m smoothed)
  {} 90

eval range from 0 to 20s step 10s timestamp(m @ end() offset 10s)
  {} 10 10 10
)");
}

BOOST_AUTO_TEST_CASE(DeltaLooksAtTheEndsOfAHistogramRangeOnly) {
  CheckDelayed(R"(
load 1m
  g {{schema:1 count:1 sum:1 buckets:[1] counter_reset_hint:gauge}} {{schema:-53 count:9 sum:9 custom_values:[5] buckets:[9] counter_reset_hint:gauge}} {{schema:1 count:3 sum:3 buckets:[3] counter_reset_hint:gauge}}
  f {{schema:1 count:1 sum:1 buckets:[1] counter_reset_hint:gauge}} {{schema:0 count:9 sum:9 buckets:[9] counter_reset_hint:gauge}} {{schema:1 count:3 sum:3 buckets:[3] counter_reset_hint:gauge}}

eval instant at 2m delta(g[2m1ms])
  expect no_warn
  {} {{schema:1 count:2.000016666666667 sum:2.000016666666667 buckets:[2.000016666666667] counter_reset_hint:gauge}}

eval instant at 2m delta(f[2m1ms])
  {} {{schema:1 count:2.000016666666667 sum:2.000016666666667 buckets:[2.000016666666667] counter_reset_hint:gauge}}
)");
}

// Floats in the lookback beside an extended window count as in it.
BOOST_AUTO_TEST_CASE(ExtendedWindowsDoNotMixFloatsAndHistograms) {
  CheckDelayed(R"(
load 1m
  m 1 2 {{count:1 sum:1 buckets:[1]}} {{count:3 sum:3 buckets:[3]}}

eval instant at 3m increase(m[1m30s] anchored)
  expect warn msg: PromQL warning: encountered a mix of histograms and floats for metric name "m" (1:10)

eval instant at 3m increase(m[1m30s] smoothed)
  expect warn msg: PromQL warning: encountered a mix of histograms and floats for metric name "m" (1:10)
)");
}

BOOST_AUTO_TEST_CASE(ExtendedRatesCheckAllHistogramsOfTheWindow) {
  CheckDelayed(R"(
load 30s
  mixed {{count:1 sum:1 buckets:[1]}} {{schema:-53 sum:1 count:1 custom_values:[5 10] buckets:[1]}} {{sum:5 count:4 buckets:[1 2 1]}}
  gauge {{count:1 sum:1 buckets:[1]}} {{count:2 sum:2 buckets:[2] counter_reset_hint:gauge}} {{count:3 sum:3 buckets:[3]}}
  plain 1 2 3

eval instant at 1m increase(mixed[1m] anchored)
  expect warn msg: PromQL warning: vector contains a mix of histograms with exponential and custom buckets schemas for metric name "mixed" (1:10)

eval instant at 1m increase(gauge[1m] anchored)
  expect warn msg: PromQL warning: this native histogram metric is not a counter: "gauge" (1:10)
  {} {{count:2 sum:2 buckets:[2]}}

eval instant at 1m increase(plain[1m] anchored)
  expect info msg: PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "plain" (1:10)
  {} 2

eval instant at 1m delta(plain[1m] smoothed)
  expect no_info
  {} 2
)");
}

// Without a next sample the last one is held, but says nothing of a reset any more.
BOOST_AUTO_TEST_CASE(AHeldSmoothedHistogramLosesItsHint) {
  CheckDelayed(R"(
load 15s
  h {{count:5 sum:5 buckets:[5]}} {{count:2 sum:2 buckets:[2] counter_reset_hint:reset}}

eval instant at 20s h smoothed
  h {{count:2 sum:2 buckets:[2] counter_reset_hint:unknown}}
)");
}

BOOST_AUTO_TEST_CASE(AnnotationsOfParametersNameTheExtremes) {
  CheckDelayed(R"(
load 1m
  x{a="1"} 1 2 3
  x{a="2"} 3 2 1
  q 2 3 4
  low -1 -2 -3
  h {{count:1 sum:1 buckets:[1]}}x3

eval range from 0 to 2m step 1m quantile(scalar(q), x)
  expect warn msg: PromQL warning: quantile value should be between 0 and 1, got 4 (1:10)
  {} Inf Inf Inf

eval range from 0 to 2m step 1m quantile((scalar(low)), x)
  expect warn msg: PromQL warning: quantile value should be between 0 and 1, got -3 (1:11)
  {} -Inf -Inf -Inf

eval instant at 0 topk(1, h)
  expect info msg: PromQL info: ignored histogram in topk aggregation (1:1)

eval instant at 0 max((h))
  expect info msg: PromQL info: ignored histogram in max aggregation (1:6)

eval instant at 0 stddev(h)
  expect info msg: PromQL info: ignored histogram in stddev aggregation (1:8)

eval range from 0 to 1m step 1m topk(0, h)
  expect no_info
)");
}

BOOST_AUTO_TEST_CASE(AnnotationsStandWhereTheReferencePutsThem) {
  CheckDelayed(R"(
load 1m
  mix 1 2 {{count:1 sum:1 buckets:[1]}} 3
  odd 1 2 3 4

eval instant at 3m quantile_over_time(0.5, mix[4m])
  expect info msg: PromQL info: ignored histograms in a range containing both floats and histograms for metric name "mix" (1:20)
  {} 2

eval instant at 3m rate((odd[4m]))
  expect info msg: PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "odd" (1:7)
  {} 0.016666666666666666

eval instant at 3m rate(odd[4m:1m])
  expect info msg: PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "odd" (1:1)
  {} 0.016666666666666666
)");
}

// Whoever drops names at once has none left to tell of.
BOOST_AUTO_TEST_CASE(AnnotationsOfClassicHistogramsTellNamesOnlyWhenTheyStay) {
  static constexpr std::string_view kScript = R"(
load 1m
  b{le="x"} 1

eval instant at 0 histogram_quantile(0.5, b)
  expect warn msg: PromQL warning: bucket label "le" is missing or has a malformed value of "x"NAME (1:25)
)";
  const auto with = [](std::string_view name) {
    std::string script(kScript);
    script.replace(script.find("NAME"), 4, name);
    return script;
  };
  CheckScript(with(" for metric name \"b\""), true);
  CheckScript(with(""), false);
}

BOOST_AUTO_TEST_CASE(CountValuesWithoutMayDropItsOwnLabel) {
  CheckDelayed(R"(
load 1m
  x{a="1", v="p"} 1
  x{a="1", v="q"} 2

eval instant at 0 count_values without(v) ("v", x)
  {a="1"} 2

eval instant at 0 count_values without(v) ("w", x)
  {a="1", w="1"} 1
  {a="1", w="2"} 1

eval instant at 0 count_values without(v) ("__name__", x)
  {a="1"} 2
)");
}

// What comes after a misfit is not looked at any more; histograms behind floats neither.
BOOST_AUTO_TEST_CASE(SumsStopAtTheFirstMisfit) {
  CheckDelayed(R"(
load 1m
  x{n="1"} 1
  x{n="2"} {{count:1 sum:1 buckets:[1]}}
  x{n="3"} {{schema:-53 sum:1 count:1 custom_values:[5] buckets:[1]}}
  y{n="1"} {{count:1 sum:1 buckets:[1]}}
  y{n="2"} {{schema:-53 sum:1 count:1 custom_values:[5] buckets:[1]}}
  y{n="3"} 1

eval instant at 0 sum(x)
  expect warn msg: PromQL warning: encountered a mix of histograms and floats for aggregation (1:5)

eval instant at 0 sum(y)
  expect warn msg: PromQL warning: vector contains a mix of histograms with exponential and custom buckets schemas for metric name "y" (1:5)
)");
}

BOOST_AUTO_TEST_CASE(SmoothingFactorsAreCheckedWhereThereIsSomething) {
  CheckDelayed(R"(
load 1m
  x 1 2 3

eval instant at 2m double_exponential_smoothing(x[3m], Inf, 0.5)
  expect fail msg: invalid smoothing factor. Expected: 0 < sf < 1, got: +Inf

eval instant at 2m double_exponential_smoothing(x[3m], 0.5, 1)
  expect fail msg: invalid trend factor. Expected: 0 < tf < 1, got: 1.000000

eval instant at 20m double_exponential_smoothing(x[3m], 2, 0.5)
)");
}

// A range between two steps of its sub-query is empty whatever is selected.
BOOST_AUTO_TEST_CASE(SubqueriesMayHaveNoStepInTheirRange) {
  CheckDelayed(R"(
load 1m
  x{a="1"} 1+1x10
  target_info{a="1", b="2"} 1x10

eval instant at 210s changes(x[1m:2m])

eval instant at 210s group(x) or changes((x + 1)[1m:2m])
  {} 1

eval instant at 210s changes(x[1m:2m]) or group(x)
  {} 1

eval instant at 210s x unless on () changes(x[1m:2m])
  x{a="1"} 4

eval instant at 210s x + on (a) fill_right (0) rate(x[1m:2m])
  {a="1"} 4

eval instant at 210s label_replace(sum without (a) (rate(x[1m:2m])), "b", "1", "a", ".*") or sort(topk(1, last_over_time(x[1m:2m])))

eval instant at 210s info(last_over_time(x[1m:2m])) or histogram_quantile(0.5, last_over_time(x[1m:2m])) or quantile(0.5, deriv(x[1m:2m])) or limitk(1, max_over_time(x[1m:2m]))

eval instant at 210s absent_over_time(x{c="3"}[1m:2m]) or absent(changes(x[1m:2m]))
  {} 1

eval instant at 210s max_over_time(last_over_time(x[1m:2m])[5m:1m]) or vector(scalar(rate(x[1m:2m])))
  {} NaN
  {a="1"} 3
)");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::query
