// Range functions: windows by table, and every sliding computation against a naive one that looks
// at each window alone, over random columns with gaps, resets, NaN and infinities.
#include "query/functions/window.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <random>

#include "query/engine.h"
#include "query/operators/range_source.h"
#include "query/testing/result_check.h"
#include "tests/support/fake_queryable.h"

namespace tocsin::query {
namespace {

using model::Timestamp;

BOOST_AUTO_TEST_SUITE(WindowTest)

BOOST_AUTO_TEST_CASE(WindowsAreOpenOnTheLeft) {
  const std::vector<Timestamp> samples = {10, 20, 30, 40};
  const struct {
    Timestamp time;
    int64_t range;
    std::vector<Timestamp> inside;
  } kCases[] = {
      {20, 10, {20}},      // 10 lies on the open end
      {20, 11, {10, 20}},  //
      {9, 100, {}},        // before everything
      {45, 5, {}},         // 40 lies on the open end
      {45, 6, {40}},       //
      {40, 1000, {10, 20, 30, 40}},
      {29, 10, {20}},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT("at " << c.time << " range " << c.range) {
      Windows windows;
      FindWindows(samples, std::vector<Timestamp>{c.time}, c.range, &windows);
      const std::vector<Timestamp> inside(samples.begin() + windows.begin[0],
                                          samples.begin() + windows.end[0]);
      BOOST_TEST(inside == c.inside);
      BOOST_TEST(windows.total == static_cast<int64_t>(c.inside.size()));
      BOOST_TEST(windows.pairs_end - windows.pairs_begin == (c.inside.size() >= 2 ? 1U : 0U));
    }
  }
}

BOOST_AUTO_TEST_CASE(SubqueryStepsAreMultiplesOfTheStep) {
  const struct {
    Timestamp first, last;
    int64_t range, step;
    Timestamp start;
    size_t count;
  } kCases[] = {
      {1000, 1000, 100, 10, 910, 10},  // 900 lies on the open end
      {1005, 1005, 100, 10, 910, 10},
      {1000, 1000, 5, 10, 1000, 1},
      {1003, 1003, 2, 10, 1010, 0},  // no multiple inside
      {1000, 1200, 100, 50, 950, 6},
      {-5, -5, 100, 10, -100, 10},  // the reference rounds towards zero
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.first << " " << c.range << " " << c.step) {
      const std::vector<Timestamp> ends = {c.first, c.last};
      const Grid grid = SubqueryGrid(ends, c.range, c.step);
      BOOST_TEST(grid.count == c.count);
      if (c.count > 0) BOOST_TEST(grid.start_ms == c.start);
    }
  }
}

BOOST_AUTO_TEST_CASE(StartTimesTellResets) {
  const struct {
    Timestamp previous_time, previous_start, time, start;
    bool reset;
  } kCases[] = {
      {60, 0, 120, 0, false},     // unknown
      {60, 10, 120, 10, false},   // goes on
      {60, 10, 120, 61, true},    // began after the earlier sample
      {60, 10, 120, 60, true},    // delta stream
      {60, 0, 120, 60, false},    // cumulative with an unknown start
      {60, 60, 120, 60, false},   // likewise, written as start = time
      {60, 90, 120, 60, false},   // invalid start before
      {60, 10, 120, 120, false},  // an empty stretch says nothing
      {60, 10, 120, 121, false},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.previous_start << " " << c.start) {
      BOOST_TEST(IsStartTimeReset(c.previous_time, c.previous_start, c.time, c.start) == c.reset);
    }
  }
}

// --- sliding against naive -----------------------------------------------------------------------

struct Point {
  Timestamp time;
  double value;
};
using Naive =
    std::function<std::optional<double>(const std::vector<Point>&, Timestamp start, Timestamp end)>;

std::vector<double> SortedValues(const std::vector<Point>& window) {
  std::vector<double> values;
  for (const Point& p : window) values.push_back(p.value);
  std::sort(values.begin(), values.end(),
            [](double a, double b) { return std::isnan(b) ? false : std::isnan(a) || a < b; });
  return values;
}

double NaiveQuantile(double q, std::vector<double> sorted) {
  const double rank = q * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(rank);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  const double part = rank - std::floor(rank);
  return sorted[low] * (1 - part) + sorted[high] * part;
}

double NaiveMean(const std::vector<Point>& window) {
  long double sum = 0;
  for (const Point& p : window) sum += p.value;
  return static_cast<double>(sum / static_cast<long double>(window.size()));
}

double NaiveVariance(const std::vector<Point>& window) {
  const long double mean = NaiveMean(window);
  long double squares = 0;
  for (const Point& p : window) squares += (p.value - mean) * (p.value - mean);
  return static_cast<double>(squares / static_cast<long double>(window.size()));
}

std::optional<double> NaiveRate(const std::vector<Point>& window, Timestamp start, Timestamp end,
                                bool counter, bool rate) {
  if (window.size() < 2) return std::nullopt;
  double change = window.back().value - window.front().value;
  for (size_t i = 1; counter && i < window.size(); ++i) {
    if (window[i].value < window[i - 1].value) change += window[i - 1].value;
  }
  const double sampled = static_cast<double>(window.back().time - window.front().time) / 1000;
  const double average = sampled / static_cast<double>(window.size() - 1);
  double left = static_cast<double>(window.front().time - start) / 1000;
  double right = static_cast<double>(end - window.back().time) / 1000;
  if (left >= average * 1.1) left = average / 2;
  if (counter && change > 0 && window.front().value >= 0) {
    left = std::min(left, sampled * (window.front().value / change));
  }
  if (right >= average * 1.1) right = average / 2;
  const double total = change * ((sampled + left + right) / sampled);
  return rate ? total / (static_cast<double>(end - start) / 1000) : total;
}

double NaiveSlope(const std::vector<Point>& window) {
  long double x_mean = 0;
  long double y_mean = 0;
  const long double n = static_cast<long double>(window.size());
  for (const Point& p : window) {
    x_mean += static_cast<long double>(p.time) / 1000 / n;
    y_mean += p.value / n;
  }
  long double xy = 0;
  long double xx = 0;
  for (const Point& p : window) {
    const long double x = static_cast<long double>(p.time) / 1000 - x_mean;
    xy += x * (p.value - y_mean);
    xx += x * x;
  }
  return static_cast<double>(xy / xx);
}

struct Case {
  const char* query;  // R stands for the range vector
  Naive naive;
  bool finite_only = false;  // the naive form says nothing about NaN and infinities
};

template <typename F>
Naive NonEmpty(F f) {
  return [f](const std::vector<Point>& w, Timestamp, Timestamp) -> std::optional<double> {
    if (w.empty()) return std::nullopt;
    return f(w);
  };
}
template <typename F>
Naive Pairs(F f) {
  return [f](const std::vector<Point>& w, Timestamp, Timestamp) -> std::optional<double> {
    if (w.size() < 2) return std::nullopt;
    return f(w);
  };
}

std::vector<Case> Cases() {
  using Window = std::vector<Point>;
  const auto extreme = [](bool smallest) {
    return NonEmpty([smallest](const Window& w) {
      double best = NAN;
      for (const Point& p : w) {
        if (std::isnan(best) || (smallest ? p.value < best : p.value > best)) best = p.value;
      }
      return best;
    });
  };
  const auto extreme_time = [](bool smallest) {
    return NonEmpty([smallest](const Window& w) {
      Point best = w.front();
      for (const Point& p : w) {
        if (std::isnan(best.value) || (smallest ? p.value <= best.value : p.value >= best.value)) {
          best = p;
        }
      }
      return static_cast<double>(best.time) / 1000;
    });
  };
  const auto count_pairs = [](bool (*event)(double, double)) {
    return NonEmpty([event](const Window& w) {
      double count = 0;
      for (size_t i = 1; i < w.size(); ++i) count += event(w[i - 1].value, w[i].value) ? 1 : 0;
      return count;
    });
  };
  return {
      {"count_over_time(R)",
       NonEmpty([](const Window& w) { return static_cast<double>(w.size()); })},
      {"present_over_time(R)", NonEmpty([](const Window&) { return 1.0; })},
      {"last_over_time(R)", NonEmpty([](const Window& w) { return w.back().value; })},
      {"first_over_time(R)", NonEmpty([](const Window& w) { return w.front().value; })},
      {"sum_over_time(R)", NonEmpty([](const Window& w) {
         long double sum = 0;
         for (const Point& p : w) sum += p.value;
         return static_cast<double>(sum);
       })},
      {"avg_over_time(R)", NonEmpty(NaiveMean)},
      {"stdvar_over_time(R)", NonEmpty(NaiveVariance), true},
      {"stddev_over_time(R)", NonEmpty([](const Window& w) { return std::sqrt(NaiveVariance(w)); }),
       true},
      {"min_over_time(R)", extreme(true)},
      {"max_over_time(R)", extreme(false)},
      {"ts_of_min_over_time(R)", extreme_time(true), true},
      {"ts_of_max_over_time(R)", extreme_time(false), true},
      {"quantile_over_time(0.3, R)",
       NonEmpty([](const Window& w) { return NaiveQuantile(0.3, SortedValues(w)); })},
      {"mad_over_time(R)", NonEmpty([](const Window& w) {
         for (const Point& p : w) {
           if (std::isnan(p.value)) return std::nan("");
         }
         const double median = NaiveQuantile(0.5, SortedValues(w));
         Window distances = w;
         for (Point& p : distances) p.value = std::fabs(p.value - median);
         return NaiveQuantile(0.5, SortedValues(distances));
       })},
      {"changes(R)",
       count_pairs([](double a, double b) { return a != b && !(std::isnan(a) && std::isnan(b)); })},
      {"resets(R)", count_pairs([](double a, double b) { return b < a; })},
      {"rate(R)",
       [](const Window& w, Timestamp s, Timestamp e) { return NaiveRate(w, s, e, true, true); }},
      {"increase(R)",
       [](const Window& w, Timestamp s, Timestamp e) { return NaiveRate(w, s, e, true, false); }},
      {"delta(R)",
       [](const Window& w, Timestamp s, Timestamp e) { return NaiveRate(w, s, e, false, false); }},
      {"irate(R)", Pairs([](const Window& w) {
         const Point& a = w[w.size() - 2];
         const Point& b = w.back();
         return (b.value < a.value ? b.value : b.value - a.value) /
                (static_cast<double>(b.time - a.time) / 1000);
       })},
      {"idelta(R)", Pairs([](const Window& w) { return w.back().value - w[w.size() - 2].value; })},
      {"deriv(R)", Pairs(NaiveSlope), true},
  };
}

std::string WithRange(std::string query, const std::string& range) {
  return query.replace(query.find('R'), 1, range);
}

class RandomColumn {
 public:
  RandomColumn(uint64_t seed, bool finite) : random_(seed), finite_(finite) {}

  std::vector<Point> Make() {
    std::vector<Point> points;
    Timestamp t = 1'000'000 + static_cast<Timestamp>(random_() % 10'000);
    double value = 0;
    const int count = static_cast<int>(random_() % 400);
    for (int i = 0; i < count; ++i) {
      t += 1'000 + static_cast<Timestamp>(random_() % (random_() % 20 == 0 ? 200'000 : 15'000));
      switch (random_() % 12) {
        case 0:
          value = static_cast<double>(random_() % 100);  // mostly a reset
          break;
        case 1:
          value = finite_ ? -value : Special();
          break;
        default:
          if (!std::isfinite(value)) value = 0;
          value += static_cast<double>(random_() % 1000) / 8;
      }
      points.push_back({t, value});
    }
    return points;
  }

 private:
  double Special() {
    const double kSpecial[] = {NAN, INFINITY, -INFINITY, 0};
    return kSpecial[random_() % 4];
  }
  std::mt19937_64 random_;
  const bool finite_;
};

// Equal up to what adding in another order may change.
bool Close(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (a == b) return true;
  return std::fabs(a - b) <= 1e-9 * std::max({1.0, std::fabs(a), std::fabs(b)});
}

void Compare(uint64_t seed, bool finite, std::vector<Point> points, Engine* engine) {
  FakeQueryable store;
  const model::Labels labels = model::Labels::FromPairs({{"__name__", "x"}});
  for (const Point& p : points) store.Add(labels, p.time, p.value);
  std::mt19937_64 random(seed);
  const int64_t range_ms = 1000 * static_cast<int64_t>(1 + random() % 900);
  const int64_t step_ms = 1000 * static_cast<int64_t>(1 + random() % 120);
  const Timestamp start = 1'000'000;
  const Timestamp end = start + 200 * step_ms;
  const std::string range = "x[" + std::to_string(range_ms) + "ms]";
  for (const Case& c : Cases()) {
    if (c.finite_only && !finite) continue;
    const auto result = engine->Range(store, WithRange(c.query, range), start, end, step_ms, {});
    BOOST_REQUIRE(result.has_value());
    const auto& matrix = std::get<Matrix>(result->value);
    std::map<Timestamp, double> got;
    if (!matrix.empty()) {
      for (const FloatPoint& p : matrix.front().floats) got[p.timestamp_ms] = p.value;
    }
    for (Timestamp t = start; t <= end; t += step_ms) {
      std::vector<Point> window;
      for (const Point& p : points) {
        if (p.time > t - range_ms && p.time <= t) window.push_back(p);
      }
      const std::optional<double> want = c.naive(window, t - range_ms, t);
      const auto it = got.find(t);
      const bool same =
          want.has_value() ? it != got.end() && Close(*want, it->second) : it == got.end();
      if (!same) {
        BOOST_ERROR("seed " << seed << " " << WithRange(c.query, range) << " at " << t << ": want "
                            << (want ? std::to_string(*want) : "nothing") << ", got "
                            << (it != got.end() ? std::to_string(it->second) : "nothing"));
        break;
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(SlidingEqualsNaive) {
  EngineOptions options;
  options.language.experimental_functions = true;
  options.threads = 1;
  Engine engine(options);
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const bool finite = seed <= 40;
    Compare(seed, finite, RandomColumn(seed, finite).Make(), &engine);
  }
}

// Columns that are known to be constant take ways of their own.
BOOST_AUTO_TEST_CASE(ConstantsEqualNaive) {
  EngineOptions options;
  options.language.experimental_functions = true;
  options.threads = 1;
  Engine engine(options);
  uint64_t seed = 200;
  for (const double value : {0.0, -0.0, 7.25, -3.0, 1e6, double{NAN}, double{INFINITY}}) {
    for (int column = 0; column < 4; ++column) {
      BOOST_TEST_CONTEXT(value) {
        std::vector<Point> points = RandomColumn(++seed, true).Make();
        for (Point& p : points) p.value = value;
        Compare(seed, std::isfinite(value), points, &engine);
      }
    }
  }
}

// The only reset of a constant counter is the one that its start timestamps tell.
BOOST_AUTO_TEST_CASE(ConstantsAreResetByStartTimes) {
  EngineOptions options;
  options.language.start_timestamps = true;
  Engine engine(options);
  FakeQueryable store;
  const model::Labels labels = model::Labels::FromPairs({{"__name__", "x_total"}});
  for (int i = 0; i < 8; ++i) store.Add(labels, i * 15'000, 5, i < 4 ? 1 : 50'000);
  const struct {
    const char* query;
    Timestamp at;
    double value;
  } kCases[] = {
      {"increase(x_total[31s])", 45'000, 0},
      {"increase(x_total[31s])", 60'000, 5 * (15.0 + 15 + 1) / 30},
      {"resets(x_total[31s])", 60'000, 1},
      {"irate(x_total[31s])", 60'000, 5.0 / 15},
      {"irate(x_total[31s])", 75'000, 0},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.query << " at " << c.at) {
      const auto result = engine.Range(store, c.query, c.at, c.at, 1000, {});
      BOOST_REQUIRE(result.has_value());
      const auto& matrix = std::get<Matrix>(result->value);
      BOOST_REQUIRE(matrix.size() == 1);
      BOOST_TEST(Close(matrix.front().floats.at(0).value, c.value));
    }
  }
}

// A batch that begins with a series of histograms alone, after one that ended with floats.
BOOST_AUTO_TEST_CASE(WindowsOfFloatsEndWithTheirBatch) {
  static constexpr int64_t kStepMs = 15'000;
  static constexpr int kSteps = 60;
  EngineOptions options;
  options.threads = 1;
  Engine engine(options);
  model::Histogram histogram;
  histogram.count = 3;
  histogram.zero_count = 3;
  const auto labels = [](const char* name, int i) {
    return model::Labels::FromPairs({{"__name__", name}, {"i", std::to_string(i)}});
  };
  FakeQueryable store;
  const int floats = static_cast<int>(MorselSeries(kSteps));
  for (int step = 0; step < kSteps; ++step) {
    for (int i = 0; i < floats; ++i) store.Add(labels("a", i), step * kStepMs, 1.0);
    store.Add(labels("b", floats), step * kStepMs, histogram);
  }
  const auto result = engine.Range(store, R"(sum(count_over_time({__name__=~"a|b"}[1m])))", 0,
                                   (kSteps - 1) * kStepMs, kStepMs, {});
  BOOST_REQUIRE(result.has_value());
  const auto& matrix = std::get<Matrix>(result->value);
  BOOST_REQUIRE(matrix.size() == 1);
  BOOST_TEST(matrix.front().floats.size() == kSteps);
  for (const FloatPoint& point : matrix.front().floats) {
    const int64_t in_window = std::min<int64_t>(4, point.timestamp_ms / kStepMs + 1);
    BOOST_TEST_CONTEXT(point.timestamp_ms) {
      BOOST_TEST(point.value == static_cast<double>(in_window * (floats + 1)));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::query
