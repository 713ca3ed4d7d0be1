// The head's index. Workloads, each 1 M series:
//
//   Shared   2,000 targets × 500 keys, the same page from each (bytes_per_series, ns_per_series)
//   Unique   1 target × 1 M keys of 7 labels, 40 k pods: as kube-state-metrics has it
//   Select…  on Shared: name and job; a key label with many series; a regex over instances
#include <benchmark/benchmark.h>

#include <memory>

#include "model/matcher.h"
#include "tsdb/index/head_index.h"

namespace tocsin::tsdb {
namespace {

using model::Labels;
using model::Matcher;
using model::MatcherSet;
using model::MatchType;

constexpr size_t kTargets = 2000;
constexpr size_t kKeys = 500;
constexpr size_t kUniqueKeys = 1'000'000;

std::unique_ptr<HeadIndex> Shared() {
  auto index = std::make_unique<HeadIndex>(1);
  std::vector<Labels> keys;
  for (size_t k = 0; k < kKeys; ++k) {
    keys.push_back(Labels::FromPairs(
        {{"__name__", "metric_" + std::to_string(k / 10)}, {"le", std::to_string(k % 10)}}));
  }
  for (size_t t = 0; t < kTargets; ++t) {
    const std::string host = "10.0." + std::to_string(t / 250) + "." + std::to_string(t % 250);
    const SourceId source = index->AddSource(
        {model::OriginKind::kScrape, "job" + std::to_string(t % 10) + "/http://" + host},
        Labels::FromPairs({{"instance", host + ":9100"},
                           {"job", "job" + std::to_string(t % 10)},
                           {"zone", "z" + std::to_string(t % 3)}}));
    for (const Labels& key : keys) {
      const KeyId id = index->AddKey(key);
      if (index->FindSlot(source, id) == model::kNoSlot) index->AddSlot(source, id);
    }
  }
  return index;
}

std::unique_ptr<HeadIndex> Unique() {
  auto index = std::make_unique<HeadIndex>(1);
  const SourceId source =
      index->AddSource({model::OriginKind::kScrape, "ksm"}, Labels::FromPairs({{"job", "ksm"}}));
  for (size_t k = 0; k < kUniqueKeys; ++k) {
    const std::string pod = "pod-" + std::to_string(k % 40000) + "-abcdef";
    const KeyId id =
        index->AddKey(Labels::FromPairs({{"__name__", "kube_pod_" + std::to_string(k / 40000)},
                                         {"namespace", "ns" + std::to_string(k % 97)},
                                         {"pod", pod},
                                         {"uid", "4e0a2b7c-" + std::to_string(k % 40000)},
                                         {"container", "c" + std::to_string(k % 5)},
                                         {"node", "node" + std::to_string(k % 300)},
                                         {"phase", "p" + std::to_string(k / 200000)}}));
    index->AddSlot(source, id);
  }
  return index;
}

void Report(benchmark::State& state, const HeadIndex& index) {
  const auto series = static_cast<double>(index.series_count());
  state.counters["bytes_per_series"] = static_cast<double>(index.memory_bytes()) / series;
  state.counters["ns_per_series"] = benchmark::Counter(
      series / 1e9, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void BuildShared(benchmark::State& state) {
  std::unique_ptr<HeadIndex> index;
  for (auto _ : state) index = Shared();
  Report(state, *index);
}
BENCHMARK(BuildShared)->Unit(benchmark::kMillisecond);

void BuildUnique(benchmark::State& state) {
  std::unique_ptr<HeadIndex> index;
  for (auto _ : state) index = Unique();
  Report(state, *index);
}
BENCHMARK(BuildUnique)->Unit(benchmark::kMillisecond)->Iterations(1);

const HeadIndex& SharedOnce() {
  static const std::unique_ptr<HeadIndex> index = Shared();
  return *index;
}

void Select(benchmark::State& state, const MatcherSet& matchers) {
  const HeadIndex& index = SharedOnce();
  size_t series = 0;
  for (auto _ : state) {
    const HeadIndex::Pin pin = index.NewPin();
    const auto selection = pin.Select(matchers);
    series = selection->series_count;
  }
  state.counters["series"] = static_cast<double>(series);
}
void SelectNameJob(benchmark::State& state) {
  Select(state, {Matcher::Equal("__name__", "metric_7"), Matcher::Equal("job", "job3")});
}
BENCHMARK(SelectNameJob);
void SelectNameInstance(benchmark::State& state) {
  Select(state,
         {Matcher::Equal("__name__", "metric_7"), Matcher::Equal("instance", "10.0.1.7:9100")});
}
BENCHMARK(SelectNameInstance);
void SelectJobLe(benchmark::State& state) {
  Select(state, {Matcher::Equal("job", "job3"), Matcher::Equal("le", "4")});
}
BENCHMARK(SelectJobLe);
void SelectNameInstanceRegex(benchmark::State& state) {
  Select(state, {Matcher::Equal("__name__", "metric_7"),
                 *Matcher::Create(MatchType::kRegex, "instance", R"(10\.0\.[13]\..*5:9100)")});
}
BENCHMARK(SelectNameInstanceRegex);
void SelectEverything(benchmark::State& state) {
  Select(state, {*Matcher::Create(MatchType::kRegex, "__name__", ".+")});
}
BENCHMARK(SelectEverything);

}  // namespace
}  // namespace tocsin::tsdb
