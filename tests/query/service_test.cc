// QueryService over the fake store: the list of what runs and its end, equal questions asked at the
// same time, the query log, and the result cache, whose answers must equal those of an evaluation
// in every bit whatever is written and deleted between two refreshes.
#include "query/service.h"

#include <atomic>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "base/mem_env.h"
#include "query/parser.h"
#include "query/step_dependence.h"
#include "tests/support/fake_queryable.h"

namespace tocsin::query {
namespace {
namespace service_test {

using model::Labels;
using model::Timestamp;

constexpr int64_t kWindowMs = ChangeStamps::kWindowMs;
constexpr int64_t kSettleMs = 60'000;

// The fake store with the promises of SettledUntil and ChangeNumber, so that what is written late
// or deleted is told as the database tells it.
class ChangingStore final : public model::Queryable {
 public:
  void Add(int series, Timestamp time, double value) {
    samples_[series][time] = value;
    if (time <= settled_) ++changes_[Window(time)];
    newest_ = std::max(newest_, time);
    settled_ = std::max(settled_, newest_ - kSettleMs);
  }
  void Delete(int series, Timestamp from, Timestamp to) {
    std::erase_if(samples_[series],
                  [&](const auto& sample) { return sample.first >= from && sample.first <= to; });
    for (int64_t window = Window(from); window <= Window(to); ++window) ++changes_[window];
  }
  // Rebuilds what queries see.
  void Publish() {
    fake_.Clear();
    for (const auto& [series, samples] : samples_) {
      const Labels labels = Labels::FromPairs({{"__name__", series % 2 == 0 ? "a_total" : "b"},
                                               {"job", "j" + std::to_string(series % 3)},
                                               {"i", std::to_string(series)}});
      for (const auto& [time, value] : samples) fake_.Add(labels, time, value);
    }
  }
  Timestamp newest() const { return newest_; }

  std::unique_ptr<model::Snapshot> Pin() const override {
    if (before_pin) before_pin();
    return fake_.Pin();
  }
  Timestamp SettledUntil() const { return settled_; }
  uint64_t ChangeNumber(model::TimeRange range) const override {
    uint64_t sum = 0;
    for (int64_t window = Window(range.min_ms); window <= Window(range.max_ms); ++window) {
      const auto found = changes_.find(window);
      if (found != changes_.end()) sum += found->second;
    }
    return sum;
  }

  std::function<void()> before_pin;

 private:
  static int64_t Window(Timestamp t) { return t / kWindowMs; }

  std::map<int, std::map<Timestamp, double>> samples_;
  std::map<int64_t, uint64_t> changes_;
  Timestamp newest_ = 0;
  Timestamp settled_ = model::kMinTimestamp;
  FakeQueryable fake_;
};

std::string Bits(const Result<SharedResult>& result) {
  if (!result) return "error: " + std::string(result.error().message());
  std::string text;
  for (const Series& series : std::get<Matrix>((*result)->value)) {
    text += series.metric.ToString() + "\n";
    for (const FloatPoint& point : series.floats) {
      text += std::to_string(point.timestamp_ms) + "=" +
              std::to_string(std::bit_cast<uint64_t>(point.value)) + " ";
    }
  }
  for (const auto* notes : {&(*result)->annotations.warnings, &(*result)->annotations.infos}) {
    for (const std::string& note : *notes) text += note + "\n";
  }
  return text;
}

struct Fixture {
  explicit Fixture(const QueryServiceOptions& options = {}, int64_t max_samples = 50'000'000)
      : engine(TwoThreads(max_samples)), service(&engine, WithEnv(options)) {}
  static EngineOptions TwoThreads(int64_t max_samples) {
    EngineOptions options;
    options.threads = 2;
    options.max_samples = max_samples;
    return options;
  }
  QueryServiceOptions WithEnv(QueryServiceOptions options) {
    options.env = &env;
    options.settled_until = [this] {
      const ChangingStore* const asked = store;
      return asked == nullptr ? model::kMinTimestamp : asked->SettledUntil();
    };
    return options;
  }
  Result<SharedResult> Range(const ChangingStore& asked, const std::string& text, Timestamp start,
                             Timestamp end, int64_t step,
                             QueryCaching caching = QueryCaching::kUse) {
    store = &asked;
    QueryDescription what;
    what.text = text;
    what.start_ms = start;
    what.end_ms = end;
    what.step_ms = step;
    return service.Range(asked, what, {}, caching);
  }

  std::atomic<const ChangingStore*> store = nullptr;
  MemEnv env;
  Engine engine;
  QueryService service;
};

BOOST_AUTO_TEST_SUITE(QueryServiceTest)

BOOST_AUTO_TEST_CASE(CachedAnswersEqualEvaluatedOnes) {
  const char* queries[] = {
      "a_total",
      "sum by (job) (rate(a_total[5m]))",
      "rate(a_total[2m])",
      "increase(a_total[30m])",
      "avg by (job) (b)",
      "sum_over_time(b[10m])",
      "avg_over_time(b[10m])",
      "max_over_time(b[7m]) - min_over_time(b[7m])",
      "stddev by (job) (b)",
      "quantile(0.7, b)",
      "b offset 10m",
      "b offset -3m",
      "sum(rate(a_total[1m:20s]))",
      "max_over_time(sum(b)[10m:1m])",
      "count_over_time(b[3m]) * on (i, job) group_left () b",
      "b or vector(1)",
      "absent(b{i=\"3\"})",
      "label_replace(b, \"x\", \"$1\", \"i\", \"(.*)\")",
      "topk(2, b)",
      "limitk(2, b)",
      "b @ end()",
      "stdvar_over_time(b[10m])",
      "deriv(b[10m])",
      "time() + b",
      "changes(b[5m]) > 1",
      "irate(a_total[3m])",
      "quantile_over_time(0.9, b[5m])",
      "rate(b[5m])",
      "histogram_quantile(0.9, b)",
      "last_over_time(b[2m]) and a_total",
  };
  uint64_t hits = 0;
  const char* const asked = std::getenv("TOCSIN_TEST_SEEDS");  // for a longer run by hand
  const unsigned seeds = asked != nullptr ? static_cast<unsigned>(std::atoi(asked)) : 12;
  for (unsigned seed = 1; seed <= seeds; ++seed) {
    std::mt19937_64 random(seed);
    const auto below = [&random](int64_t n) {
      return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
    };
    Fixture fixture;
    ChangingStore store;
    Timestamp now = 40 * kWindowMs;
    std::map<int, double> values;
    const auto live = [&](Timestamp until) {
      for (; now <= until; now += 15'000) {
        for (int series = 0; series < 8; ++series) {
          if (below(50) == 0) continue;  // gaps
          double& value = values[series];
          value = series % 2 == 0 ? value + static_cast<double>(below(1000)) / 7
                                  : static_cast<double>(below(1'000'000)) / 997;
          if (below(200) == 0) value = 0;
          store.Add(series, now - below(5'000), value);
        }
      }
    };
    live(now + 3 * kWindowMs);
    // A dashboard: few expressions, mostly the same view of them, moved on.
    const char* const shown[] = {queries[below(std::size(queries))],
                                 queries[below(std::size(queries))],
                                 queries[below(std::size(queries))]};
    const int64_t step = below(2) == 0 ? 60'000 : 30'000;
    const int64_t steps = 30 + below(3) * 40;
    for (int round = 0; round < 40; ++round) {
      switch (below(6)) {
        case 0:  // late
          store.Add(static_cast<int>(below(10)), now - kSettleMs - below(2 * kWindowMs), 42);
          break;
        case 1:
          if (below(3) == 0) {
            const Timestamp from = now - below(3 * kWindowMs);
            store.Delete(static_cast<int>(below(8)), from, from + below(kWindowMs));
          }
          break;
        default:
          live(now + below(4) * 60'000);
      }
      store.Publish();
      const std::string text = shown[below(std::size(shown))];
      const Timestamp end = now - now % step + (below(6) == 0 ? below(step) : 0) - below(3) * step;
      const Timestamp start =
          end - step * (steps + (below(3) == 0 ? below(20) - 10 : 0)) - (below(8) == 0 ? 17 : 0);
      const auto cached = fixture.Range(store, text, start, end, step);
      const auto plain = fixture.Range(store, text, start, end, step, QueryCaching::kBypass);
      BOOST_TEST_CONTEXT("seed " << seed << " round " << round << " " << text << " " << start << " "
                                 << end << " " << step) {
        BOOST_REQUIRE(Bits(cached) == Bits(plain));
      }
    }
    hits += fixture.service.cache_stats().hits;
  }
  BOOST_TEST(hits > 20u);
}

BOOST_AUTO_TEST_CASE(OnlyTheTailOfARefreshIsEvaluated) {
  Fixture fixture;
  ChangingStore store;
  const Timestamp begin = 40 * kWindowMs;
  for (Timestamp t = begin; t <= begin + 7'200'000; t += 15'000) store.Add(0, t, 1);
  store.Publish();
  const Timestamp end = begin + 7'200'000;
  const auto first = fixture.Range(store, "sum(rate(a_total[5m]))", end - 3'600'000, end, 30'000);
  BOOST_REQUIRE(first.has_value());
  BOOST_TEST((*first)->stats.cached_steps == 0);
  const auto second =
      fixture.Range(store, "sum (rate (a_total[5m]))", end - 3'600'000, end, 30'000);
  BOOST_REQUIRE(second.has_value());
  BOOST_TEST((*second)->stats.cached_steps == 119);  // the last minute may still change
  BOOST_TEST((*second)->stats.samples_read < (*first)->stats.samples_read / 5);
  BOOST_TEST(Bits(first) == Bits(second));
  // Something late 40 minutes ago: what lies before is still good.
  store.Add(0, end - 2'400'001, 5);
  store.Publish();
  const auto third = fixture.Range(store, "sum(rate(a_total[5m]))", end - 3'600'000, end, 30'000);
  BOOST_REQUIRE(third.has_value());
  BOOST_TEST((*third)->stats.cached_steps < 119);
  BOOST_TEST(Bits(third) == Bits(fixture.Range(store, "sum(rate(a_total[5m]))", end - 3'600'000,
                                               end, 30'000, QueryCaching::kBypass)));
  fixture.service.ForgetResults();
  BOOST_TEST(fixture.service.cache_stats().bytes == 0u);
}

BOOST_AUTO_TEST_CASE(TheCacheIsBounded) {
  Fixture fixture({.cache_bytes = 200'000});
  ChangingStore store;
  const Timestamp begin = 40 * kWindowMs;
  for (int series = 0; series < 20; ++series) {
    for (Timestamp t = begin; t <= begin + 3'600'000; t += 15'000) store.Add(series, t, series);
  }
  store.Publish();
  for (int i = 0; i < 100; ++i) {
    const std::string text =
        "b{i=\"" + std::to_string(i % 10 * 2 + 1) + "\"} * " + std::to_string(i);
    BOOST_REQUIRE(fixture.Range(store, text, begin, begin + 3'600'000, 15'000).has_value());
    BOOST_TEST(fixture.service.cache_stats().bytes <= 200'000u);
  }
  BOOST_TEST(fixture.service.cache_stats().evicted > 0u);
  // Larger than an eighth: not kept.
  const uint64_t before = fixture.service.cache_stats().bytes;
  BOOST_REQUIRE(fixture.Range(store, "b", begin, begin + 3'600'000, 15'000).has_value());
  BOOST_TEST(fixture.service.cache_stats().bytes == before);
}

// It bounds what is loaded, of which a hit has little, and what is returned.
BOOST_AUTO_TEST_CASE(HitsReturnNoMoreThanMaxSamples) {
  Fixture fixture({}, 100);
  ChangingStore store;
  const Timestamp begin = 40 * kWindowMs;
  for (Timestamp t = begin; t <= begin + 3'600'000; t += 15'000) store.Add(1, t, 1);
  store.Publish();
  BOOST_REQUIRE(fixture.Range(store, "b", begin, begin + 70 * 15'000, 15'000).has_value());
  const auto more = fixture.Range(store, "b", begin, begin + 90 * 15'000, 15'000);
  BOOST_REQUIRE(more.has_value());
  BOOST_TEST((*more)->stats.cached_steps == 71);
  BOOST_TEST(Bits(fixture.Range(store, "b", begin, begin + 110 * 15'000, 15'000)) ==
             "error: query processing would load too many samples into memory in query execution");
}

BOOST_AUTO_TEST_CASE(DependencesAreKnownOrRefused) {
  const struct {
    const char* text;
    const char* want;
  } cases[] = {
      {"up", "-300000..0"},
      {"up offset 1m", "-360000..-60000"},
      {"up offset -1m", "-240000..60000"},
      {"rate(x_total[10m])", "-600000..0"},
      {"rate(x_total[10m]) + up", "-600000..0"},
      {"max_over_time(up[10m:1m])", "-900000..0"},
      {"max_over_time(rate(x[5m] offset 1m)[10m:1m] offset 2m)", "-1080000..-180000"},
      {"1 + time()", "none"},
      {"up @ 5", "refused"},
      {"up @ end()", "refused"},
      {"max_over_time(up[5m:] @ start())", "refused"},
      {"topk(1, up)", "refused"},
      {"limitk(1, up)", "refused"},
      {"info(up)", "refused"},
      {"up + range()", "refused"},
      {"rate(x[step()])", "refused"},
      {"sort(up)", "refused"},
      {"rate(x[5m] smoothed)", "refused"},
      {"deriv(x[5m])", "refused"},
      {"avg_over_time(x[6m])", "-360000..0"},
      {"avg_over_time(x[7m])", "refused"},
      {"max_over_time(sum_over_time(x[2m])[1h:10s])", "refused"},
      {"max_over_time(sum_over_time(x[2m])[1h:])", "-3720000..0"},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.text) {
      const auto expr = ParseExpr(c.text, LanguageOptions::All());
      BOOST_REQUIRE(expr.has_value());
      const auto found = StepDependenceOf(**expr, {300'000, 60'000, 60'000});
      const std::string text = !found           ? "refused"
                               : found->empty() ? "none"
                                                : std::to_string(found->first_ms) + ".." +
                                                      std::to_string(found->last_ms);
      BOOST_TEST(text == c.want);
    }
  }
}

BOOST_AUTO_TEST_CASE(EqualQuestionsAtTheSameTimeRunOnce) {
  Fixture fixture({.cache_bytes = 0});
  ChangingStore store;
  store.Add(0, 1'000'000, 1);
  store.Publish();
  std::atomic<int> pins = 0;
  std::atomic<bool> go = false;
  store.before_pin = [&] {
    ++pins;
    while (!go) std::this_thread::yield();
  };
  std::vector<std::thread> askers;
  std::atomic<int> good = 0;
  for (int i = 0; i < 8; ++i) {
    askers.emplace_back([&] {
      good += fixture.Range(store, "a_total", 1'000'000, 1'060'000, 15'000).has_value() ? 1 : 0;
    });
  }
  while (fixture.service.stats().shared < 7) std::this_thread::yield();
  BOOST_TEST(fixture.service.active().List().size() == 8u);
  go = true;
  for (std::thread& asker : askers) asker.join();
  BOOST_TEST(pins == 1);
  BOOST_TEST(good == 8);
  BOOST_TEST(fixture.service.active().count() == 0u);
  // Bypassing runs by itself.
  BOOST_TEST(fixture.Range(store, "a_total", 1'000'000, 1'060'000, 15'000, QueryCaching::kBypass)
                 .has_value());
  BOOST_TEST(pins == 2);
}

BOOST_AUTO_TEST_CASE(ARunningQueryIsListedAndCancelled) {
  Fixture fixture;
  ChangingStore store;
  store.Add(0, 1'000'000, 1);
  store.Publish();
  std::atomic<bool> pinned = false;
  std::atomic<bool> go = false;
  store.before_pin = [&] {
    pinned = true;
    while (!go) std::this_thread::yield();
  };
  Result<SharedResult> result = Error(Code::kInternal, "not run");
  std::thread asker(
      [&] { result = fixture.Range(store, "a_total + 1", 1'000'000, 1'060'000, 15'000); });
  while (!pinned) std::this_thread::yield();
  const std::vector<ActiveQuery> list = fixture.service.active().List();
  BOOST_REQUIRE(list.size() == 1u);
  BOOST_TEST(list[0].description.text == "a_total + 1");
  BOOST_TEST(list[0].description.step_ms == 15'000);
  BOOST_TEST(!fixture.service.active().Cancel(list[0].id + 1));
  BOOST_TEST(fixture.service.active().Cancel(list[0].id));
  go = true;
  asker.join();
  BOOST_REQUIRE(!result.has_value());
  BOOST_TEST((result.error().code() == Code::kCancelled));
  BOOST_TEST(!fixture.service.active().Cancel(list[0].id));
}

BOOST_AUTO_TEST_CASE(WhoLeavesDoesNotStopTheOthers) {
  Fixture fixture({.cache_bytes = 0});
  ChangingStore store;
  store.Add(0, 1'000'000, 1);
  store.Publish();
  std::atomic<bool> pinned = false;
  std::atomic<bool> go = false;
  store.before_pin = [&] {
    pinned = true;
    while (!go) std::this_thread::yield();
  };
  QueryDescription what;
  what.text = "a_total";
  what.start_ms = what.end_ms = 1'000'000;
  std::atomic<bool> first_left = false;
  Result<SharedResult> first = Error(Code::kInternal, "not run");
  Result<SharedResult> second = Error(Code::kInternal, "not run");
  std::thread leader([&] {
    QueryOptions options;
    options.cancel = &first_left;
    first = fixture.service.Instant(store, what, options, QueryCaching::kUse);
  });
  while (!pinned) std::this_thread::yield();
  std::thread follower(
      [&] { second = fixture.service.Instant(store, what, {}, QueryCaching::kUse); });
  while (fixture.service.stats().shared < 1) std::this_thread::yield();
  first_left = true;
  go = true;
  leader.join();
  follower.join();
  BOOST_TEST(second.has_value());
}

// The worst queries are those that end with an error: they are to be seen in the top queries.
BOOST_AUTO_TEST_CASE(FailuresTellWhatTheyHaveCost) {
  Fixture fixture;
  ChangingStore store;
  for (int i = 0; i < 10; ++i) store.Add(0, 1'000'000 + i * 1000, i);
  store.Publish();
  const auto result = fixture.Range(
      store, R"(a_total + on () (a_total or label_replace(a_total, "x", "y", "", "")))", 1'000'000,
      1'009'000, 9'000);
  BOOST_REQUIRE(!result.has_value());
  const auto top = fixture.service.top().List(TopOrder::kCpu, 10);
  BOOST_REQUIRE(top.size() == 1u);
  BOOST_TEST(top[0].failures == 1u);
  BOOST_TEST(top[0].cpu_seconds > 0);
  BOOST_TEST(top[0].peak_bytes > 0u);
  BOOST_TEST(top[0].samples_read > 0);
}

BOOST_AUTO_TEST_CASE(TheLogIsThatOfTheReference) {
  Fixture fixture;
  ChangingStore store;
  store.Add(0, 1'000'000, 1);
  store.Publish();
  BOOST_REQUIRE(fixture.env.CreateDirs("/logs").ok());
  BOOST_REQUIRE(fixture.service.log().Open("/logs/q").ok());
  QueryDescription what;
  what.text = "a_total > 0";
  what.start_ms = what.end_ms = 1'000'000;
  what.origin = {.client = "192.0.2.1",
                 .method = "POST",
                 .path = "/api/v1/query",
                 .rule_file = {},
                 .rule_group = {}};
  BOOST_REQUIRE(fixture.service.Instant(store, what, {}, QueryCaching::kUse).has_value());
  what.origin = {};
  what.origin.rule_file = "r.yml";
  what.origin.rule_group = "g";
  what.lane = QueryLane::kRules;
  BOOST_REQUIRE(fixture.service.ForRule(store, what, {}).has_value());
  fixture.service.log().Flush();
  const auto text = fixture.env.ReadFile("/logs/q");
  BOOST_REQUIRE(text.has_value());
  const size_t newline = text->find('\n');
  const std::string first = text->substr(0, newline);
  const std::string second = text->substr(newline + 1);
  BOOST_TEST(first.find(R"("params":{"end":"1970-01-01T00:16:40.000Z","query":"a_total \u003e 0",)"
                        R"("start":"1970-01-01T00:16:40.000Z","step":0})") != std::string::npos);
  BOOST_TEST(first.find(R"("httpRequest":{"clientIP":"192.0.2.1","method":"POST",)"
                        R"("path":"/api/v1/query"})") != std::string::npos);
  BOOST_TEST(first.find(R"("stats":{"timings":{"evalTotalTime":)") != std::string::npos);
  BOOST_TEST(second.find(R"("ruleGroup":{"file":"r.yml","name":"g"})") != std::string::npos);
  const auto top = fixture.service.top().List(TopOrder::kRuns, 10);
  BOOST_REQUIRE(top.size() == 1u);
  BOOST_TEST(top[0].runs == 2u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace service_test
}  // namespace
}  // namespace tocsin::query
