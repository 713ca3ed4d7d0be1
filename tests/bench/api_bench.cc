// Writing query results as JSON.
//
//   MatrixJson/V   100 series × 1,000 points; V = 0: small whole numbers, 1: two decimals, 2: full
//                  doubles; counter: ns per point
//   VectorJson     10,000 samples with five labels; ns per sample
#include <benchmark/benchmark.h>

#include <cmath>
#include <string>

#include "api/json_results.h"
#include "base/check.h"

namespace tocsin::api {
namespace {

constexpr int kSeries = 100;
constexpr int kPoints = 1000;
constexpr int kVectorSamples = 10'000;

model::Labels LabelsOf(int i) {
  return model::Labels::FromPairs({{"__name__", "node_cpu_seconds_total"},
                                   {"cpu", std::to_string(i)},
                                   {"instance", "host-1.example:9100"},
                                   {"job", "node"},
                                   {"mode", "idle"}});
}

double ValueOf(int64_t kind, int series, int point) {
  switch (kind) {
    case 0:
      return series + point % 7;
    case 1:
      return std::round(1e5 * series + 1493.0 * point) / 100;
    default:
      return std::sin(series * 1000 + point) * 1e3;
  }
}

void MatrixJson(benchmark::State& state) {
  query::Matrix matrix;
  for (int s = 0; s < kSeries; ++s) {
    query::Series& series = matrix.emplace_back();
    series.metric = LabelsOf(s);
    for (int p = 0; p < kPoints; ++p) {
      series.floats.push_back({1767225600000 + 15000 * p, ValueOf(state.range(0), s, p)});
    }
  }
  const query::QueryResult result{.value = std::move(matrix), .annotations = {}, .stats = {}};
  for (auto _ : state) {
    http::HttpResponse response;
    DataWriter out(&response);
    WriteQueryData(&out, result, StatsMode::kNone);
    out.Finish();
    benchmark::DoNotOptimize(response.body.size());
  }
  state.counters["ns_per_point"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kSeries * kPoints * 1e-9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(MatrixJson)->Arg(0)->Arg(1)->Arg(2);

void VectorJson(benchmark::State& state) {
  query::Vector vector;
  for (int i = 0; i < kVectorSamples; ++i) {
    vector.push_back({LabelsOf(i), 1767225600000, ValueOf(2, i, 0), nullptr});
  }
  const query::QueryResult result{.value = std::move(vector), .annotations = {}, .stats = {}};
  for (auto _ : state) {
    http::HttpResponse response;
    DataWriter out(&response);
    WriteQueryData(&out, result, StatsMode::kNone);
    out.Finish();
    benchmark::DoNotOptimize(response.body.size());
  }
  state.counters["ns_per_sample"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kVectorSamples * 1e-9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(VectorJson);

}  // namespace
}  // namespace tocsin::api
