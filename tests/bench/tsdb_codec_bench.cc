// Codecs and segments. Fixed seed. Workloads:
//
//   Encode/SHAPE, Decode/SHAPE   one value column of 120 or 1,024 rows; ns_per_sample,
//   bytes_per_sample
//   EncodeCodec/CODEC, DecodeCodec/CODEC   each codec by itself
//   Seal                         50 targets like node_exporter × 120 rows into one
//   L0 file in memory ReadMetric                   one metric of all targets out of it, with
//   timestamps ReadAll                      every column of it Merge                        12 such
//   files into one
//
// With TOCSIN_CAPTURE=DIR the targets are made of the text expositions in DIR (one file a scrape,
// in order of name) instead: bytes_per_sample of Seal and Merge is then that of a real exporter.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>
#include <random>

#include "base/env.h"
#include "base/mem_env.h"
#include "tsdb/codec/decimal.h"
#include "tsdb/codec/gorilla.h"
#include "tsdb/codec/ordered.h"
#include "tsdb/codec/values.h"
#include "tsdb/segment/merge.h"
#include "tsdb/segment/reader.h"
#include "tsdb/segment/writer.h"

namespace tocsin::tsdb {
namespace {

using model::Labels;
using model::Timestamp;

constexpr Timestamp kStart = 1'767'225'600'000;
constexpr size_t kRows = 120;

using Generate = std::function<double(std::mt19937_64&, double row)>;

double Below(std::mt19937_64& random, uint64_t n) { return static_cast<double>(random() % n); }

const std::map<std::string, Generate>& Shapes() {
  static const std::map<std::string, Generate> shapes = {
      {"constant", [](auto&, double) { return 4194304.0; }},
      {"sparse_counter", [](auto&, double i) { return std::floor(i / 37); }},
      {"busy_counter", [](auto& r, double i) { return 1e6 + i * 1000 + Below(r, 200); }},
      {"cpu_seconds", [](auto& r, double i) { return (i * 1200 + Below(r, 60)) / 100; }},
      {"memory", [](auto& r, double) { return 4096 * (500000 + Below(r, 3000)); }},
      {"load", [](auto& r, double) { return (50 + Below(r, 30)) / 100; }},
      {"float_walk", [](auto& r, double i) { return std::sin(i / 50) + Below(r, 1000003) / 7e8; }},
  };
  return shapes;
}

std::vector<double> Column(const Generate& generate, size_t rows, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<double> values(rows);
  for (size_t i = 0; i < rows; ++i) values[i] = generate(random, static_cast<double>(i));
  return values;
}

void PerSample(benchmark::State& state, size_t samples, size_t bytes) {
  state.counters["ns_per_sample"] = benchmark::Counter(
      static_cast<double>(samples) / 1e9,
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  state.counters["bytes_per_sample"] = static_cast<double>(bytes) / static_cast<double>(samples);
}

void Encode(benchmark::State& state, const Generate& generate) {
  const std::vector<double> values = Column(generate, static_cast<size_t>(state.range(0)), 1);
  std::string bytes;
  for (auto _ : state) {
    bytes.clear();
    EncodeValues(values, {}, &bytes);
    benchmark::DoNotOptimize(bytes.data());
  }
  PerSample(state, values.size(), bytes.size());
}

void Decode(benchmark::State& state, const Generate& generate) {
  const std::vector<double> values = Column(generate, static_cast<size_t>(state.range(0)), 1);
  std::string bytes;
  EncodeValues(values, {}, &bytes);
  std::vector<double> out(values.size());
  for (auto _ : state) {
    if (!DecodeValues(bytes, out.size(), {}, out.data())) state.SkipWithError("decode");
    benchmark::DoNotOptimize(out.data());
  }
  PerSample(state, values.size(), bytes.size());
}

// Each codec by itself, on what it is for: 1,024 values.
struct Codec {
  const char* name;
  std::function<std::vector<double>()> values;
  std::function<bool(std::span<const double>, std::string*)> encode;
  std::function<bool(std::string_view, size_t, double*)> decode;
};

const std::vector<Codec>& Codecs() {
  constexpr size_t kCount = 1024;
  const auto shape = [](const char* name) {
    return [name] { return Column(Shapes().at(name), kCount, 1); };
  };
  const auto products = [] {
    std::vector<double> values = Column(Shapes().at("busy_counter"), kCount, 1);
    for (double& v : values) v = v * 1e-6 * 3;
    return values;
  };
  static const std::vector<double> reference = Column(Shapes().at("busy_counter"), kCount, 1);
  const auto near_reference = [] {
    std::mt19937_64 random(2);
    std::vector<double> values = reference;
    for (double& v : values) v += Below(random, 5);
    return values;
  };
  const auto chosen = [](Effort effort, std::span<const double> told_by) {
    return [effort, told_by](std::span<const double> values, std::string* out) {
      EncodeValues(values, {.effort = effort, .reference = told_by}, out);
      return true;
    };
  };
  const auto decode = [](std::span<const double> told_by) {
    return [told_by](std::string_view bytes, size_t count, double* out) {
      return DecodeValues(bytes, count, told_by, out);
    };
  };
  static const std::vector<Codec> codecs = {
      {"constant", shape("constant"), chosen(Effort::kFast, {}), decode({})},
      {"decimal_blocks", shape("busy_counter"), chosen(Effort::kFast, {}), decode({})},
      {"decimal_fraction", shape("cpu_seconds"), chosen(Effort::kFast, {}), decode({})},
      {"decimal_divisor", shape("memory"), chosen(Effort::kFast, {}), decode({})},
      {"decimal_entropy", shape("sparse_counter"), chosen(Effort::kSmall, {}), decode({})},
      {"scaled_ulps", products,
       [](std::span<const double> v, std::string* out) {
         return EncodeScaled(v, Effort::kFast, out);
       },
       [](std::string_view b, size_t n, double* out) { return DecodeScaled(b, n, {}, out); }},
      {"residual", near_reference,
       [](std::span<const double> v, std::string* out) {
         return EncodeResidual(v, reference, Effort::kFast, out);
       },
       [](std::string_view b, size_t n, double* out) {
         return DecodeScaled(b, n, reference, out);
       }},
      {"reference", [] { return reference; }, chosen(Effort::kSmall, reference), decode(reference)},
      {"ordered", shape("float_walk"),
       [](std::span<const double> v, std::string* out) {
         EncodeOrdered(v, Effort::kFast, out);
         return true;
       },
       DecodeOrdered},
      {"gorilla", shape("float_walk"),
       [](std::span<const double> v, std::string* out) {
         EncodeGorilla(v, out);
         return true;
       },
       DecodeGorilla},
  };
  return codecs;
}

void EncodeCodec(benchmark::State& state, const Codec& codec) {
  const std::vector<double> values = codec.values();
  std::string bytes;
  for (auto _ : state) {
    bytes.clear();
    if (!codec.encode(values, &bytes)) state.SkipWithError("encode");
    benchmark::DoNotOptimize(bytes.data());
  }
  PerSample(state, values.size(), bytes.size());
}

void DecodeCodec(benchmark::State& state, const Codec& codec) {
  const std::vector<double> values = codec.values();
  std::string bytes;
  std::vector<double> out(values.size());
  if (!codec.encode(values, &bytes)) state.SkipWithError("encode");
  for (auto _ : state) {
    if (!codec.decode(bytes, out.size(), out.data())) state.SkipWithError("decode");
    benchmark::DoNotOptimize(out.data());
  }
  PerSample(state, values.size(), bytes.size());
}

// One target's page: keys and their columns over some windows of kRows rows.
struct Page {
  std::vector<Labels> keys;
  std::vector<std::vector<double>> columns;
};

// A mix as real exporters have it: most series never change.
Page SyntheticPage(size_t rows) {
  static const std::vector<std::pair<std::string, int>> mix = {
      {"constant", 65},   {"sparse_counter", 10}, {"busy_counter", 7},
      {"cpu_seconds", 7}, {"memory", 7},          {"load", 2},
      {"float_walk", 2}};
  Page page;
  uint64_t n = 0;
  for (const auto& [shape, share] : mix) {
    for (int i = 0; i < share * 5; ++i, ++n) {
      page.keys.push_back(Labels::FromPairs(
          {{"__name__", shape + "_" + std::to_string(i / 8)}, {"device", std::to_string(i % 8)}}));
      page.columns.push_back(Column(Shapes().at(shape), rows, n));
    }
  }
  return page;
}

// Of "name{labels} value" only the two halves matter here.
Page CapturedPage(const std::string& directory, size_t rows) {
  Page page;
  std::map<std::string, size_t> lines;
  Env& env = Env::Default();
  const auto files = env.ListDir(directory);
  if (!files) return page;
  size_t row = 0;
  for (const std::string& file : *files) {
    if (!file.ends_with(".txt")) continue;
    if (row == rows) break;
    const auto text = env.ReadFile(directory + "/" + file);
    if (!text || text->empty()) continue;
    for (size_t at = 0; at < text->size();) {
      const size_t end = std::min(text->find('\n', at), text->size());
      const std::string_view line = std::string_view(*text).substr(at, end - at);
      at = end + 1;
      const size_t space = line.rfind(' ');
      if (line.empty() || line[0] == '#' || space == std::string_view::npos) continue;
      const std::string series(line.substr(0, space));
      const auto [known, fresh] = lines.try_emplace(series, page.keys.size());
      if (fresh) {
        const size_t brace = series.find('{');
        page.keys.push_back(
            Labels::FromPairs({{"__name__", series.substr(0, brace)},
                               {"rest", brace == std::string::npos ? "" : series.substr(brace)}}));
        page.columns.emplace_back(rows, model::StaleMarker());
      }
      double value = model::NormalNan();
      std::from_chars(line.data() + space + 1, line.data() + line.size(), value);
      page.columns[known->second][row] = value;
    }
    ++row;
  }
  for (std::vector<double>& column : page.columns) column.resize(row);
  return page;
}

const Page& ThePage() {
  static const Page page = [] {
    const char* capture = std::getenv("TOCSIN_CAPTURE");
    return capture != nullptr ? CapturedPage(capture, 12 * kRows) : SyntheticPage(12 * kRows);
  }();
  return page;
}

constexpr size_t kTargets = 50;
constexpr uint64_t kSeed = 1;

SegmentMeta Seal(Env& env, const std::string& path, size_t window, std::mt19937_64& random) {
  const Page& page = ThePage();
  SegmentMeta meta;
  meta.id = NewSegmentId(env);
  meta.fingerprint_seed = kSeed;
  const size_t first = window * kRows;
  const size_t rows = std::min(kRows, page.columns[0].size() - first);
  SegmentWriter writer(env, path, meta, {});
  if (!writer.Open().ok()) return meta;
  for (size_t t = 0; t < kTargets; ++t) {
    std::vector<Timestamp> times(rows);
    for (size_t r = 0; r < rows; ++r) {
      times[r] = kStart + static_cast<Timestamp>((first + r) * 15000 + t * 100 + random() % 3);
    }
    const std::string host = "host" + std::to_string(t);
    const uint32_t source =
        writer.AddSource({model::OriginKind::kScrape, host},
                         Labels::FromPairs({{"instance", host}, {"job", "node"}}), times);
    for (size_t k = 0; k < page.keys.size(); ++k) {
      model::Column column;
      column.timestamps = times;
      column.values = std::span(page.columns[k]).subspan(first, rows);
      writer.AddColumn(source, writer.AddKey(page.keys[k]), column);
    }
  }
  const Result<SegmentMeta> written = writer.Finish();
  return written ? *written : meta;
}

size_t WindowCount() { return (ThePage().columns[0].size() + kRows - 1) / kRows; }

void SealBench(benchmark::State& state) {
  MemEnv env;
  std::mt19937_64 random(1);
  SegmentMeta meta;
  for (auto _ : state) meta = Seal(env, "a.seg", 0, random);
  PerSample(state, meta.sample_count, meta.file_bytes);
}
BENCHMARK(SealBench)->Unit(benchmark::kMillisecond);

void Read(benchmark::State& state, const model::MatcherSet& matchers) {
  MemEnv env;
  std::mt19937_64 random(1);
  Seal(env, "a.seg", 0, random);
  const auto reader = SegmentReader::Open(env, "a.seg", kSeed);
  model::ColumnBatch batch;
  size_t samples = 0;
  double sum = 0;
  for (auto _ : state) {
    samples = 0;
    const auto columns = (*reader)->Select(matchers, model::TimeRange());
    SegmentCursor cursor(**reader);
    for (const ColumnRef& ref : *columns) {
      if (batch.allocated_bytes() > (1 << 20)) {
        batch.Clear();
        cursor.BatchCleared();
      }
      model::Column column;
      if (!cursor.Read(ref, model::TimeRange(), &batch, &column).ok()) state.SkipWithError("read");
      samples += column.values.size();
      sum += column.values[0];
    }
  }
  benchmark::DoNotOptimize(sum);
  PerSample(state, samples, 0);
}
void ReadAll(benchmark::State& state) { Read(state, {}); }
BENCHMARK(ReadAll)->Unit(benchmark::kMillisecond);
void ReadMetric(benchmark::State& state) {
  const std::string name(ThePage().keys[ThePage().keys.size() / 2].MetricName());
  Read(state, {model::Matcher::Equal("__name__", name)});
}
BENCHMARK(ReadMetric)->Unit(benchmark::kMicrosecond);

void Merge(benchmark::State& state) {
  MemEnv env;
  std::mt19937_64 random(1);
  std::vector<std::shared_ptr<const SegmentReader>> inputs;
  for (size_t w = 0; w < WindowCount(); ++w) {
    const std::string path = std::to_string(w) + ".seg";
    Seal(env, path, w, random);
    inputs.push_back(*SegmentReader::Open(env, path, kSeed));
  }
  SegmentMeta meta;
  for (auto _ : state) {
    SegmentMeta target;
    target.level = 1;
    const auto merged = MergeSegments(env, inputs, "out.seg", target, {});
    if (!merged) state.SkipWithError(merged.error().message().c_str());
    meta = *merged;
  }
  PerSample(state, meta.sample_count, meta.file_bytes);
}
BENCHMARK(Merge)->Unit(benchmark::kMillisecond);

const int kRegistered = [] {
  for (const auto& [name, generate] : Shapes()) {
    benchmark::RegisterBenchmark(("Encode/" + name).c_str(), Encode, generate)->Arg(120)->Arg(1024);
    benchmark::RegisterBenchmark(("Decode/" + name).c_str(), Decode, generate)->Arg(120)->Arg(1024);
  }
  for (const Codec& codec : Codecs()) {
    const std::string name = codec.name;
    benchmark::RegisterBenchmark(("EncodeCodec/" + name).c_str(), EncodeCodec, codec);
    benchmark::RegisterBenchmark(("DecodeCodec/" + name).c_str(), DecodeCodec, codec);
  }
  return 0;
}();

}  // namespace
}  // namespace tocsin::tsdb
