// Histogram arithmetic on hand-computed cases; the scripts of conformance/promql exercise it
// further.
#include "query/histogram_math.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "query/functions/point_math.h"

namespace tocsin::query {
namespace {

using model::BucketSpan;
using model::CounterResetHint;
using model::Histogram;

constexpr double kInf = std::numeric_limits<double>::infinity();

// A histogram with one positive span; count and sum are the caller's.
Histogram Exponential(int32_t schema, int32_t offset, std::vector<double> buckets) {
  Histogram h;
  h.schema = schema;
  h.positive_spans = {{offset, static_cast<uint32_t>(buckets.size())}};
  for (const double count : buckets) h.count += count;
  h.positive_buckets = std::move(buckets);
  return h;
}

Histogram Custom(std::vector<double> bounds, std::vector<double> buckets) {
  Histogram h = Exponential(model::kCustomBucketsSchema, 0, std::move(buckets));
  h.custom_values = std::move(bounds);
  return h;
}

std::string Text(Histogram h) {
  CompactHistogram(&h);
  return HistogramScriptText(h);
}

BOOST_AUTO_TEST_SUITE(HistogramMathTest)

BOOST_AUTO_TEST_CASE(BoundsArePowersOfTheSchemasBase) {
  BOOST_TEST(ExponentialBound(0, 0) == 1);
  BOOST_TEST(ExponentialBound(3, 0) == 8);
  BOOST_TEST(ExponentialBound(-2, 0) == 0.25);
  BOOST_TEST(ExponentialBound(1, -2) == 16);
  // The last digits are Prometheus', which are not always the nearest double's.
  BOOST_TEST(ExponentialBound(1, 1) == 1.414213562373095);
  BOOST_TEST(ExponentialBound(-1, 1) == 0.7071067811865475);
  BOOST_TEST(ExponentialBound(1, 2) == 2 * 0.5946035575013605);
  BOOST_TEST(ExponentialBound(-1, 2) == 0.8408964152537144);
  BOOST_TEST(ExponentialBound(1024, 0) == std::numeric_limits<double>::max());
  BOOST_TEST(ExponentialBound(1025, 0) == kInf);
  BOOST_TEST(ExponentialBound(std::numeric_limits<int32_t>::max(), 8) == kInf);
}

// The warning stands in for the result, as in the reference.
BOOST_AUTO_TEST_CASE(CollidingResetsLeaveSumsAndDifferencesOut) {
  Histogram reset = Exponential(0, 0, {1});
  reset.hint = CounterResetHint::kReset;
  Histogram not_reset = Exponential(0, 0, {2});
  not_reset.hint = CounterResetHint::kNotReset;
  for (const BinaryOp op : {BinaryOp::kAdd, BinaryOp::kSub}) {
    const Operand x{0, &reset};
    const Operand y{0, &not_reset};
    const PairResult refused = CombineHistograms(op, x, y);
    BOOST_CHECK(refused.outcome == PairOutcome::kNothing);
    BOOST_CHECK(refused.note == PairNote::kResetCollision);
    BOOST_CHECK(CombineHistograms(op, x, x).outcome == PairOutcome::kHistogram);
  }
}

BOOST_AUTO_TEST_CASE(AddingJoinsBucketsAndKeepsGaps) {
  Histogram a = Exponential(0, 0, {1, 2});
  a.sum = 3;
  Histogram b = Exponential(0, 4, {5});
  b.sum = 4;
  BOOST_TEST(AddHistogram(b, &a).has_value());
  BOOST_TEST(Text(a) == "{{count:8 sum:7 buckets:[1 2 0 0 5]}}");
  Histogram c = Exponential(0, -1, {1, 1, 1});
  BOOST_TEST(SubtractHistogram(c, &a).has_value());
  BOOST_TEST(Text(a) == "{{count:5 sum:7 offset:-1 buckets:[-1 0 1 0 0 5]}}");
}

BOOST_AUTO_TEST_CASE(TheLowerResolutionWins) {
  Histogram fine = Exponential(1, 1, {1, 2, 3, 4});  // indices 1…4 become 1, 1, 2, 2
  Histogram coarse = Exponential(0, 1, {10});
  Histogram sum = fine;
  BOOST_TEST(AddHistogram(coarse, &sum).has_value());
  BOOST_TEST(Text(sum) == "{{count:20 offset:1 buckets:[13 7]}}");
  sum = coarse;
  BOOST_TEST(AddHistogram(fine, &sum).has_value());
  BOOST_TEST(Text(sum) == "{{count:20 offset:1 buckets:[13 7]}}");
}

BOOST_AUTO_TEST_CASE(TheWiderZeroBucketWins) {
  Histogram a = Exponential(0, -2, {1, 2, 4});  // (1/8,1/4] (1/4,1/2] (1/2,1]
  a.zero_threshold = 0.001;
  a.zero_count = 10;
  Histogram b;
  b.zero_threshold = 0.3;  // cuts (1/4,1/2]: both are widened to 1/2
  b.zero_count = 100;
  Histogram sum = a;
  BOOST_TEST(AddHistogram(b, &sum).has_value());
  BOOST_TEST(sum.zero_threshold == 0.5);
  BOOST_TEST(sum.zero_count == 113);
  BOOST_TEST(Text(sum) == "{{count:7 z_bucket:113 z_bucket_w:0.5 buckets:[4]}}");
  sum = b;
  BOOST_TEST(AddHistogram(a, &sum).has_value());
  BOOST_TEST(Text(sum) == "{{count:7 z_bucket:113 z_bucket_w:0.5 buckets:[4]}}");
}

BOOST_AUTO_TEST_CASE(DifferentCustomBoundsMeetInTheCommonOnes) {
  Histogram a = Custom({1, 2, 3}, {1, 2, 3, 4});
  Histogram b = Custom({2, 5}, {10, 20, 30});
  const auto notes = AddHistogram(b, &a);
  BOOST_REQUIRE(notes.has_value());
  BOOST_TEST(notes->bounds_reconciled);
  BOOST_TEST(Text(a) == "{{schema:-53 count:70 custom_values:[2] buckets:[13 57]}}");
  Histogram exponential = Exponential(0, 0, {1});
  const Histogram before = exponential;
  BOOST_TEST(!AddHistogram(a, &exponential).has_value());
  BOOST_CHECK(exponential == before);
}

BOOST_AUTO_TEST_CASE(HintsCombineCautiously) {
  const auto combined = [](CounterResetHint a, CounterResetHint b, bool* collision) {
    Histogram x;
    Histogram y;
    x.hint = a;
    y.hint = b;
    *collision = AddHistogram(y, &x)->counter_reset_collision;
    return x.hint;
  };
  using enum CounterResetHint;
  bool collision = false;
  BOOST_CHECK(combined(kReset, kNotReset, &collision) == kUnknown && collision);
  BOOST_CHECK(combined(kReset, kReset, &collision) == kReset && !collision);
  BOOST_CHECK(combined(kGauge, kReset, &collision) == kGauge && !collision);
  BOOST_CHECK(combined(kUnknown, kGauge, &collision) == kGauge && !collision);
  BOOST_CHECK(combined(kNotReset, kUnknown, &collision) == kUnknown && !collision);
}

BOOST_AUTO_TEST_CASE(CompensationKeepsSmallTerms) {
  Histogram small = Exponential(0, 0, {1});
  small.sum = 1;
  Histogram large = Exponential(0, 0, {1e100});
  large.sum = 1e100;
  Histogram minus = large;
  ScaleHistogram(-1, &minus);
  CompensatedHistogram total(small);
  for (const Histogram& h : {large, small, minus}) BOOST_TEST(total.Add(h).has_value());
  BOOST_TEST(total.Sum().sum == 2);
  BOOST_TEST(total.Sum().positive_buckets[0] == 2);
  // A change of resolution takes the error terms along.
  Histogram fine = Exponential(1, 1, {1e100, 1});
  CompensatedHistogram other(fine);
  BOOST_TEST(other.Add(Exponential(1, 2, {1e100, 1})).has_value());
  BOOST_TEST(other.Add(Exponential(0, 1, {-2e100})).has_value());
  BOOST_TEST(other.Sum().schema == 0);
  BOOST_TEST(other.Sum().positive_buckets.size() == 2U);
}

BOOST_AUTO_TEST_CASE(ResetsAreSeenInAnyBucket) {
  const Histogram before = Exponential(0, 0, {1, 2, 3});
  Histogram after = Exponential(0, 0, {1, 2, 4});
  BOOST_TEST(!IsCounterReset(after, before));
  BOOST_TEST(IsCounterReset(before, after));
  after = Exponential(0, 0, {1, 1, 9});  // more in all, less in one
  BOOST_TEST(IsCounterReset(after, before));
  after = Exponential(0, 1, {9, 9});  // a bucket is missing
  BOOST_TEST(IsCounterReset(after, before));
  after = Exponential(1, 0, {9, 9, 9, 9, 9});
  BOOST_TEST(IsCounterReset(after, before));  // finer
  after = Exponential(-1, 0, {1, 9});
  BOOST_TEST(!IsCounterReset(after, before));  // coarser, nothing lost
  after = Exponential(0, 0, {0, 0, 0});
  after.hint = CounterResetHint::kNotReset;
  BOOST_TEST(!IsCounterReset(after, before));
  after = before;
  after.hint = CounterResetHint::kReset;
  BOOST_TEST(IsCounterReset(after, before));
}

BOOST_AUTO_TEST_CASE(QuantilesInterpolate) {
  Histogram h = Exponential(0, 1, {4, 4});  // (1,2] (2,4]
  h.sum = 20;
  BOOST_TEST(HistogramQuantile(0.25, h).value == std::sqrt(2.0),
             boost::test_tools::tolerance(1e-12));
  BOOST_TEST(HistogramQuantile(0.5, h).value == 2, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(HistogramQuantile(1, h).value == 4);
  BOOST_TEST(HistogramQuantile(-0.1, h).value == -kInf);
  BOOST_TEST(HistogramQuantile(1.1, h).value == kInf);
  BOOST_TEST(std::isnan(HistogramQuantile(0.5, Histogram()).value));
  const Histogram custom = Custom({10, 20}, {2, 2, 4});
  BOOST_TEST(HistogramQuantile(0.125, custom).value == 5);
  BOOST_TEST(HistogramQuantile(0.375, custom).value == 15);
  BOOST_TEST(HistogramQuantile(0.9, custom).value == 20);
  h.count = 16;  // eight NaN observations
  h.sum = std::nan("");
  BOOST_TEST(HistogramQuantile(0.9, h).nan_result);
  BOOST_TEST(HistogramQuantile(0.25, h).nan_skew);
  BOOST_TEST(HistogramQuantile(0.25, h).value == 2, boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(FractionIsTheInverseOfQuantile) {
  Histogram h = Exponential(2, -3, {3, 1, 4, 1, 5, 9, 2, 6});
  h.negative_spans = {{2, 2}};
  h.negative_buckets = {2, 7};
  h.count += 9 + 4;
  h.zero_count = 4;
  h.zero_threshold = 0.01;
  for (const double q : {0.01, 0.1, 0.25, 0.3, 0.5, 0.75, 0.9, 0.99}) {
    const double value = HistogramQuantile(q, h).value;
    BOOST_TEST(HistogramFraction(-kInf, value, h).value == q, boost::test_tools::tolerance(1e-9));
  }
  BOOST_TEST(HistogramFraction(-kInf, kInf, h).value == 1);
  BOOST_TEST(HistogramFraction(2, 1, h).value == 0);
  BOOST_TEST(std::isnan(HistogramFraction(std::nan(""), 1, h).value));
}

BOOST_AUTO_TEST_CASE(TrimmingKeepsOneSide) {
  Histogram h = Exponential(0, 0, {2, 4, 8, 16});
  h.negative_spans = {{0, 2}};
  h.negative_buckets = {1, 2};
  h.zero_count = 1;
  h.zero_threshold = 0.001;
  h.count = 34;
  h.sum = 123.75;
  Histogram all = h;
  TrimHistogram(kInf, true, &all);
  BOOST_CHECK(all == h);
  Histogram none = h;
  TrimHistogram(kInf, false, &none);
  BOOST_TEST(HistogramScriptText(none) == "{{z_bucket_w:0.001}}");
  Histogram below = h;
  TrimHistogram(0, true, &below);
  BOOST_TEST(below.count == 3.5);
  BOOST_TEST(below.sum == -3.5357839059327376, boost::test_tools::tolerance(1e-9));
}

BOOST_AUTO_TEST_CASE(TextsNameWhatIsThere) {
  Histogram h = Exponential(0, 1, {2, 0, 3});
  h.sum = 1.5;
  h.zero_count = 1;
  h.zero_threshold = 0.5;
  h.count = 6;
  BOOST_TEST(HistogramText(h) == "{count:6, sum:1.5, [-0.5,0.5]:1, (1,2]:2, (4,8]:3}");
  BOOST_TEST(HistogramScriptText(h) ==
             "{{count:6 sum:1.5 z_bucket:1 z_bucket_w:0.5 offset:1 buckets:[2 0 3]}}");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::query
