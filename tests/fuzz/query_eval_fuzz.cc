// Any query over a small store of floats, gaps, staleness markers and histograms: planned and
// evaluated as instant and range query, it ends with an answer or an error within the bounds. An
// explained evaluation gives the same number of elements.
//   query_eval_fuzz corpus/    with the queries of conformance/promql as corpus, one a file
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "base/check.h"
#include "query/engine.h"
#include "tests/support/fake_queryable.h"

namespace {

using namespace tocsin;  // NOLINT(google-build-using-namespace)

FakeQueryable Store() {
  FakeQueryable store;
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  for (int series = 0; series < 6; ++series) {
    const auto labels =
        model::Labels::FromPairs({{"__name__", series % 2 == 0 ? "a_total" : "b"},
                                  {"job", "j" + std::to_string(series % 3)},
                                  {"le", series == 5 ? "+Inf" : std::to_string(series)},
                                  {"i", std::to_string(series)}});
    for (int i = 0; i < 40; ++i) {
      if (i % 7 == series) continue;
      const double value = i == 20 ? kNan : i == 30 ? model::StaleMarker() : i * series - i % 9;
      store.Add(labels, i * 15'000, value);
    }
  }
  const auto add = [&store](const char* name, const char* job, int i, const auto& value,
                            model::Timestamp start = 0) {
    store.Add(model::Labels::FromPairs({{"__name__", name}, {"job", job}}), i * 15'000, value,
              start);
  };
  model::Histogram histogram;
  histogram.count = 6;
  histogram.sum = 10;
  histogram.zero_count = 1;
  histogram.positive_spans = {{0, 2}};
  histogram.positive_buckets = {2, 3};
  model::Histogram gauge = histogram;
  gauge.hint = model::CounterResetHint::kGauge;
  gauge.schema = 3;
  gauge.negative_spans = {{1, 1}};
  gauge.negative_buckets = {4};
  gauge.count += 4;
  model::Histogram custom;
  custom.schema = model::kCustomBucketsSchema;
  custom.count = 5;
  custom.sum = 9;
  custom.custom_values = {1, 2, 4};
  custom.positive_spans = {{0, 4}};
  custom.positive_buckets = {1, 1, 2, 1};
  for (int i = 0; i < 40; ++i) {
    histogram.count += 1;
    histogram.positive_buckets[0] += 1;
    if (i == 25) histogram.schema = 1;
    add("h", "j0", i, histogram, (i / 15) * 225'000 - 1);
    gauge.count += i % 3 - 1;
    gauge.negative_buckets[0] += i % 3 - 1;
    add("h", "j1", i, gauge);
    if (i == 20) custom.custom_values[1] = 3;
    add("h", "j2", i, custom);
    // One series of both kinds, and one whose start is known.
    if (i % 3 == 0) {
      add("mixed", "j0", i, histogram);
    } else {
      add("mixed", "j0", i, static_cast<double>(i));
    }
    add("started_total", "j1", i, static_cast<double>(i % 13), (i / 13) * 195'000 - 1);
  }
  for (int i = 0; i < 40; ++i) {
    store.Add(model::Labels::FromPairs({{"__name__", "target_info"},
                                        {"instance", "a"},
                                        {"job", i < 20 ? "j0" : "j1"},
                                        {"version", i < 20 ? "1" : "2"}}),
              i * 15'000, 1.0);
  }
  return store;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const FakeQueryable* const store = new FakeQueryable(Store());
  static query::Engine* const engine = [] {
    query::EngineOptions options;
    options.language = query::LanguageOptions::All();
    options.threads = 1;
    options.timeout_ms = 500;
    options.max_samples = 100'000;
    options.memory_budget_bytes = 64 << 20;
    return new query::Engine(options);
  }();
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto instant = engine->Instant(*store, text, 600'000, {});
  query::QueryOptions explain;
  explain.explain = true;
  const auto explained = engine->Instant(*store, text, 600'000, explain);
  if (instant && explained) {
    CHECK(explained->plan != nullptr);
    const auto* vector = std::get_if<query::Vector>(&instant->value);
    if (vector != nullptr) {
      CHECK(vector->size() == std::get<query::Vector>(explained->value).size());
    }
  }
  const auto range = engine->Range(*store, text, 60'000, 600'000, 30'000, {});
  const auto range_explained = engine->Range(*store, text, 60'000, 600'000, 30'000, explain);
  if (range && range_explained) {
    CHECK(std::get<query::Matrix>(range->value).size() ==
          std::get<query::Matrix>(range_explained->value).size());
  }
  (void)engine->Range(*store, text, 590'003, 600'000, 7, {});
  return 0;
}
