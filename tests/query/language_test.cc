// Corners of the language that nobody writes down: what happens to equal values, to pairs that do
// not fit together, to quantiles that change. Scripts over the fake store.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "query/operators/rank_heap.h"
#include "tests/query/check_script.h"

namespace tocsin::query {
namespace {

BOOST_AUTO_TEST_SUITE(LanguageTest)

BOOST_AUTO_TEST_CASE(EqualValuesLeaveAHeapAsTheReferenceMovesThem) {
  CheckScript(R"(
load 1m
  t{s="a"} 1
  t{s="b"} 1
  t{s="c"} 2
  u{s="a"} 5
  u{s="b"} 5
  u{s="c"} 5
  u{s="d"} 5

# Both ones are at hand, and the one at the heap's front has to go.
eval instant at 0 topk(2, t)
  expect ordered
  t{s="c"} 2
  t{s="b"} 1

eval instant at 0 topk(2, u)
  expect ordered
  u{s="a"} 5
  u{s="b"} 5

eval instant at 0 bottomk(3, u)
  expect ordered
  u{s="a"} 5
  u{s="b"} 5
  u{s="c"} 5

eval range from 0 to 1m step 1m topk(2, t)
  t{s="b"} 1 1
  t{s="c"} 2 2
)",
              true);
}

BOOST_AUTO_TEST_CASE(NansGoLastAndTurnAround) {
  CheckScript(R"(
load 1m
  n{s="a"} NaN
  n{s="b"} 3
  n{s="c"} NaN
  n{s="d"} 1

eval instant at 0 sort(n)
  expect ordered
  n{s="d"} 1
  n{s="b"} 3
  n{s="c"} NaN
  n{s="a"} NaN

eval instant at 0 sort_desc(n)
  expect ordered
  n{s="b"} 3
  n{s="d"} 1
  n{s="c"} NaN
  n{s="a"} NaN

eval instant at 0 topk(3, n)
  expect ordered
  n{s="b"} 3
  n{s="d"} 1
  n{s="a"} NaN

# Kept in a heap with the smallest in front, and listed so.
eval instant at 0 limitk(3, n)
  expect ordered
  n{s="c"} NaN
  n{s="b"} 3
  n{s="a"} NaN
)",
              true);
}

BOOST_AUTO_TEST_CASE(LabelsAreSortedAsTheReferenceComparesThem) {
  CheckScript(R"(
load 1m
  r{v="1.10"} 1
  r{v="1.9"} 2
  r{v="1.9.1"} 3
  r{v="x"} 4
  z{i="a"} 1
  z{i="b", v="2"} 2
  z{i="c"} 3
  z{i="d", v="1"} 4
  z{i="e", v="0"} 5
  n{v="99999999999999999999"} 1
  n{v="100000000000000000000"} 2

eval instant at 0 sort_by_label(r, "v")
  expect ordered
  r{v="1.9"} 2
  r{v="1.9.1"} 3
  r{v="1.10"} 1
  r{v="x"} 4

eval instant at 0 sort_by_label_desc(r, "v")
  expect ordered
  r{v="x"} 4
  r{v="1.10"} 1
  r{v="1.9.1"} 3
  r{v="1.9"} 2

# Nothing moves past a series without the label.
eval instant at 0 sort_by_label(z, "v")
  expect ordered
  z{i="a"} 1
  z{i="b", v="2"} 2
  z{i="c"} 3
  z{i="e", v="0"} 5
  z{i="d", v="1"} 4

eval instant at 0 sort_by_label(n, "v")
  expect ordered
  n{v="100000000000000000000"} 2
  n{v="99999999999999999999"} 1
)",
              true);
}

BOOST_AUTO_TEST_CASE(LongListsKeepTheOrderOfEqualValues) {
  std::vector<RankElement> elements;
  for (uint32_t i = 0; i < 20; ++i) elements.push_back({i % 2 == 0 ? 1.0 : NAN, i});
  SortBestFirst(true, &elements);
  for (uint32_t i = 0; i < 10; ++i) {
    BOOST_TEST(elements[i].series == 2 * i);
    BOOST_TEST(elements[10 + i].series == 2 * i + 1);
  }
}

BOOST_AUTO_TEST_CASE(QuantilesMayChangeFromStepToStep) {
  static constexpr const char* kLoad = R"(
load 1m
  h_bucket{le="1"} 1+0x5
  h_bucket{le="2"} 2+0x5
  h_bucket{le="+Inf"} 2+0x5
)";
  const std::string script = std::string(kLoad) + R"(
eval range from 0 to 2m step 1m histogram_quantiles(h_bucket, "q", time() / 120, 0.25)
  {q="0.0"} 0 _ _
  {q="0.25"} 0.5 0.5 0.5
  {q="0.5"} _ 1 _
  {q="1.0"} _ _ 2

eval range from 0 to 2m step 1m histogram_quantiles(h_bucket, "q", time() / 60 - 1)
  expect warn msg: PromQL warning: quantile value should be between 0 and 1, got -1 (1:36)
  {q="-1.0"} -Inf _ _
  {q="0.0"} _ 0 _
  {q="1.0"} _ _ 2

eval instant at 0 histogram_quantiles(h_bucket, "q", 0.25, 0.25)
  expect fail msg: vector cannot contain metrics with the same labelset

eval range from 0 to 2m step 1m count(histogram_quantiles(h_bucket, "q", 0.25, 0.25))
  expect fail msg: vector cannot contain metrics with the same labelset
)";
  CheckScript(script, true);
  CheckScript(script, false);
}

BOOST_AUTO_TEST_CASE(PairsThatDoNotFitAreFilledLikeMissingOnes) {
  CheckScript(R"(
load 1m
  f{k="a"} 1
  f{k="b"} {{schema:0 count:1 sum:1 buckets:[1]}}
  f{k="c"} {{schema:-53 count:1 sum:1 buckets:[1] custom_values:[2]}}
  g{k="a"} 2
  g{k="b"} 3
  g{k="c"} {{schema:0 count:1 sum:1 buckets:[1]}}
  g{k="d"} 4

eval instant at 0 f + g
  {k="a"} 3

# A float stands in for the histogram on the left; a histogram on the right is left alone with it.
eval instant at 0 f + fill_left(10) g
  {k="a"} 3
  {k="b"} 13
  {k="d"} 14

# Nothing stands in on the right: there is a partner.
eval instant at 0 f + fill_right(10) g
  {k="a"} 3

eval instant at 0 f + on (k) group_left fill_left(10) g
  {k="a"} 3
  {k="b"} 13
  {k="d"} 14
)",
              true);
}

BOOST_AUTO_TEST_CASE(OfAllPairsOfAStepTheLastOneIsHeard) {
  CheckScript(R"(
load 1m
  f{k="a"} 1 {{schema:-53 count:1 sum:1 buckets:[1] custom_values:[2]}}
  f{k="b"} {{schema:-53 count:1 sum:1 buckets:[1] custom_values:[2]}} 2
  f{k="c"} 1 1
  g{k="a"} {{schema:0 count:1 sum:1 buckets:[1]}}x1
  g{k="b"} {{schema:0 count:1 sum:1 buckets:[1]}}x1
  g{k="c"} 1 1

eval instant at 0 f + g
  expect warn msg: PromQL warning: incompatible bucket layout encountered for binary operator + (1:1)
  expect no_info
  {k="c"} 2

eval instant at 1m f + g
  expect info msg: PromQL info: incompatible sample types encountered for binary operator "+": float + histogram (1:1)
  expect no_warn
  {k="c"} 2

eval range from 0 to 1m step 1m f + g
  expect warn msg: PromQL warning: incompatible bucket layout encountered for binary operator + (1:1)
  expect info msg: PromQL info: incompatible sample types encountered for binary operator "+": float + histogram (1:1)
  {k="c"} 2 2

# A filled pair comes behind all others.
eval instant at 1m g{k!="c"} - fill_left(3) f
  expect info msg: PromQL info: incompatible sample types encountered for binary operator "-": float - histogram (1:1)
  expect no_warn
  {k="b"} 1
  {k="c"} 2
)",
              true);
}

BOOST_AUTO_TEST_CASE(StartTimestampsCountBesideHistograms) {
  CheckScript(R"(
load 1m
  x_total@st _ _ -10s -30s
  x_total {{schema:0 count:1 sum:1 buckets:[1]}}x1 5 6

# The last two samples are floats, and the later one began anew.
eval instant at 3m irate(x_total[5m])
  {} 0.1

eval instant at 3m idelta(x_total[5m])
  {} 1
)",
              true);
}

BOOST_AUTO_TEST_CASE(InfoSeriesThatClashAreNamedWithTheirTimes) {
  CheckScript(R"(
load 1m
  m{job="j", instance="i"} 1 1 1
  target_info{job="j", instance="i", a="1"} 1 1 _
  target_info{job="j", instance="i", a="2"} 1 1 _

eval instant at 2m info(m)
  expect fail regex: found duplicate series for info metric: existing .* @ 60000, new .* @ 60000
)",
              true);
}

// Arithmetic of literals is done by the parser of what is evaluated.
BOOST_AUTO_TEST_CASE(FoldedNumbersKeepTheOrderOfOperators) {
  CheckScript(R"(
eval instant at 0 -2 ^ 2
  -4

eval instant at 0 - 2 ^ - 1
  -0.5

eval instant at 0 2 ^ 3 ^ 2
  512

eval instant at 0 10 - 3 - 2
  5

eval instant at 0 1 + 2 * 3 - 4 / 2 % 3
  5

eval instant at 0 5m * 2 + 1h
  4200

eval instant at 0 1 - -1 - +1
  1

eval instant at 0 (1 + 2) * 3 == bool 9
  1

eval instant at 0 vector(2 * 3) ^ 2 * 2
  {} 72

eval instant at 0 time() + 1 + 1
  2
)",
              true);
}

BOOST_AUTO_TEST_CASE(WhereNothingIsFoundNothingComesOut) {
  CheckScript(R"(
load 10s
  up 1 2 3

eval instant at 1000s sort(up @ 500)

eval instant at 1000s sort_by_label(up @ 500, "a")

eval instant at 1000s label_replace(up @ 500, "a", "b", "c", ".*")

eval instant at 1000s histogram_quantiles(up @ 500, "q", 0.5)

eval instant at 1000s histogram_fraction(0, 1, up @ 500)

eval instant at 1000s predict_linear(up[1m] @ 500, 60)

eval instant at 1000s double_exponential_smoothing(up[1m] @ 500, 0.5, 0.5)

eval instant at 1000s topk(1, up @ 500)

eval instant at 1000s info(up @ 500)

eval instant at 1000s clamp(up @ 500, 0, scalar(up @ 500))

eval instant at 1000s scalar(up @ 500)
  NaN

eval instant at 1000s absent_over_time(up{a="b"}[1m] @ 500)
  {a="b"} 1
)",
              true);
}

BOOST_AUTO_TEST_CASE(ParametersThatMakeNoSenseAreToldInTheReferencesWords) {
  CheckScript(R"(
load 10s
  up 1 2 3

eval instant at 20s topk(NaN, up)
  expect fail msg: Parameter value is NaN

eval instant at 20s topk(1e30, up)
  expect fail msg: Scalar value 1e+30 overflows int64

# None of all steps could choose anything.
eval range from 0 to 20s step 10s bottomk(time() - 1e30, up)

eval range from 0 to 20s step 10s bottomk(2 - (time() > bool 0) * 1e30, up)
  expect fail msg: Scalar value -1e+30 underflows int64

eval instant at 20s limit_ratio(NaN, up)
  expect fail msg: Ratio value is NaN

eval instant at 20s double_exponential_smoothing(up[1m], 0, 0.5)
  expect fail msg: invalid smoothing factor. Expected: 0 < sf < 1, got: 0.000000

eval instant at 20s count_values("", up)
  expect fail msg: invalid label name ""

eval instant at 20s histogram_quantile(-1, up)
  expect warn regex: bucket label "le" is missing or has a malformed value of "" for metric name "up" \(1:24\)
  expect warn msg: PromQL warning: quantile value should be between 0 and 1, got -1 (1:20)
)",
              true);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::query
