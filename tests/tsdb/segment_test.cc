// Segments against a plain map: written in any order, read over any range, merged in any grouping,
// damaged anywhere.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <functional>
#include <map>
#include <random>

#include "base/fault_env.h"
#include "base/mem_env.h"
#include "model/matcher.h"
#include "tsdb/segment/format.h"
#include "tsdb/segment/merge.h"
#include "tsdb/segment/reader.h"
#include "tsdb/segment/writer.h"

namespace tocsin::tsdb::segment_test {
namespace {

using model::Column;
using model::ColumnBatch;
using model::Histogram;
using model::Labels;
using model::Matcher;
using model::MatcherSet;
using model::Origin;
using model::OriginKind;
using model::TimeRange;
using model::Timestamp;

constexpr uint64_t kSeed = 99;
constexpr Timestamp kStart = 1'767'225'600'000;

// One sample: float bits, or a histogram's count.
struct Sample {
  bool is_histogram = false;
  uint64_t bits = 0;
  Timestamp start = 0;
  friend bool operator==(const Sample&, const Sample&) = default;
};
using Samples = std::map<Timestamp, Sample>;

struct SeriesName {
  Origin origin;
  Labels source;
  Labels key;
  std::string ToString() const { return origin.id + source.ToString() + key.ToString(); }
};

struct Model {
  std::map<std::string, SeriesName> names;
  std::map<std::string, Samples> series;
  std::map<std::string, std::vector<Timestamp>> rows;  // by origin and source labels

  static std::string SourceText(const SeriesName& name) {
    return name.origin.id + name.source.ToString();
  }
  void Add(const SeriesName& name, Samples samples) {
    const std::string text = name.ToString();
    names[text] = name;
    series[text] = std::move(samples);
  }
  uint64_t sample_count() const {
    uint64_t count = 0;
    for (const auto& [name, samples] : series) count += samples.size();
    return count;
  }
};

Histogram MakeHistogram(uint64_t count) {
  Histogram h;
  h.integer = true;
  h.schema = 3;
  h.count = static_cast<double>(count);
  h.positive_spans = {{0, 1}};
  h.positive_buckets = {h.count};
  return h;
}

// A model::Column over vectors of its own.
struct OwnedColumn {
  std::vector<Timestamp> timestamps, starts, histogram_timestamps, histogram_starts;
  std::vector<double> values;
  std::vector<Histogram> histograms;
  std::vector<const Histogram*> pointers;
  Column column;

  explicit OwnedColumn(const Samples& samples) {
    bool any_start = false;
    for (const auto& [t, sample] : samples) {
      any_start |= sample.start != 0;
      if (sample.is_histogram) {
        histogram_timestamps.push_back(t);
        histograms.push_back(MakeHistogram(sample.bits));
        histogram_starts.push_back(sample.start);
      } else {
        timestamps.push_back(t);
        values.push_back(std::bit_cast<double>(sample.bits));
        starts.push_back(sample.start);
      }
    }
    for (const Histogram& h : histograms) pointers.push_back(&h);
    column.timestamps = timestamps;
    column.values = values;
    column.histogram_timestamps = histogram_timestamps;
    column.histograms = pointers;
    if (any_start) {
      column.start_timestamps = starts;
      column.histogram_start_timestamps = histogram_starts;
    }
  }
};

Samples ToSamples(const Column& column) {
  Samples samples;
  for (size_t i = 0; i < column.timestamps.size(); ++i) {
    samples[column.timestamps[i]] = {
        false, std::bit_cast<uint64_t>(column.values[i]),
        column.start_timestamps.empty() ? 0 : column.start_timestamps[i]};
  }
  for (size_t i = 0; i < column.histogram_timestamps.size(); ++i) {
    samples[column.histogram_timestamps[i]] = {
        true, static_cast<uint64_t>(column.histograms[i]->count),
        column.histogram_start_timestamps.empty() ? 0 : column.histogram_start_timestamps[i]};
  }
  return samples;
}

Samples Clip(const Samples& samples, TimeRange range) {
  Samples clipped;
  for (const auto& [t, sample] : samples) {
    if (range.Contains(t)) clipped[t] = sample;
  }
  return clipped;
}

SegmentMeta NewMeta(Env& env, uint8_t level, Timestamp window, uint64_t commit) {
  SegmentMeta meta;
  meta.id = NewSegmentId(env);
  meta.level = level;
  meta.shard = 3;
  meta.generation = commit;
  meta.fingerprint_seed = kSeed;
  if (level == 0) meta.cuts = {{3, window, commit}};
  return meta;
}

template <typename T>
void RequireOk(const Result<T>& result) {
  if (!result) BOOST_FAIL(result.error().message());
}

Result<SegmentMeta> TryWrite(Env& env, const std::string& path, const Model& model,
                             const SegmentMeta& meta) {
  SegmentWriter writer(env, path, meta, {});
  TOCSIN_TRY(writer.Open());
  std::map<std::string, uint32_t> sources;
  for (const auto& [text, name] : model.names) {
    const std::string source_text = Model::SourceText(name);
    if (!sources.contains(source_text)) {
      sources[source_text] = writer.AddSource(name.origin, name.source, model.rows.at(source_text));
    }
  }
  for (const auto& [text, name] : model.names) {
    const OwnedColumn owned(model.series.at(text));
    const std::vector<Timestamp>& rows = model.rows.at(Model::SourceText(name));
    Column column = owned.column;
    // The fast path for columns at every row.
    if (owned.timestamps == rows) column.timestamps = rows;
    writer.AddColumn(sources[Model::SourceText(name)], writer.AddKey(name.key), column);
  }
  return writer.Finish();
}

SegmentMeta Write(Env& env, const std::string& path, const Model& model, const SegmentMeta& meta) {
  const Result<SegmentMeta> written = TryWrite(env, path, model, meta);
  RequireOk(written);
  return *written;
}

std::shared_ptr<const SegmentReader> OpenOrFail(Env& env, const std::string& path,
                                                uint64_t seed = kSeed) {
  auto reader = SegmentReader::Open(env, path, seed);
  RequireOk(reader);
  return *reader;
}

// Everything selected, read in one batch, by name.
std::map<std::string, Samples> ReadAll(const SegmentReader& reader, const MatcherSet& matchers,
                                       TimeRange range) {
  std::map<std::string, Samples> all;
  const auto columns = reader.Select(matchers, range);
  RequireOk(columns);
  SegmentCursor cursor(reader);
  ColumnBatch batch;
  for (const ColumnRef& ref : *columns) {
    Column column;
    const Status status = cursor.Read(ref, range, &batch, &column);
    BOOST_REQUIRE_MESSAGE(status.ok(), status.message());
    const SeriesName name{*reader.SourceOrigin(ref.source), *reader.SourceLabels(ref.source),
                          *reader.KeyLabels(ref.key)};
    BOOST_TEST((*reader.SourceFingerprint(ref.source) + *reader.KeyFingerprint(ref.key) ==
                FingerprintOf(name.source, kSeed) + FingerprintOf(name.key, kSeed)));
    for (const double value : column.values) {
      BOOST_TEST((column.may_hold_stale || !model::IsStale(value)));
      BOOST_TEST((!column.constant ||
                  std::bit_cast<uint64_t>(value) == std::bit_cast<uint64_t>(column.values[0])));
    }
    BOOST_TEST(!all.contains(name.ToString()));
    const Samples samples = ToSamples(column);
    if (!samples.empty()) all[name.ToString()] = samples;
  }
  return all;
}

std::map<std::string, Samples> Expected(const Model& model, const MatcherSet& matchers,
                                        TimeRange range) {
  std::map<std::string, Samples> all;
  for (const auto& [text, samples] : model.series) {
    const SeriesName& name = model.names.at(text);
    model::LabelsBuilder labels(name.source);
    for (const model::LabelView label : name.key) labels.Set(label.name, label.value);
    if (!MatchesAll(matchers, labels.Build())) continue;
    const Samples clipped = Clip(samples, range);
    if (!clipped.empty()) all[text] = clipped;
  }
  return all;
}

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}
  uint64_t Below(uint64_t n) { return random_() % n; }
  bool Chance(unsigned percent) { return Below(100) < percent; }

  // Rows [from, from + count * 15 s), some jittered.
  Model Make(size_t sources, size_t keys, size_t rows, Timestamp from) {
    Model model;
    for (size_t s = 0; s < sources; ++s) {
      SeriesName name;
      name.origin = {OriginKind::kScrape, "origin" + std::to_string(s)};
      name.source = Labels::FromPairs(
          {{"instance", "host" + std::to_string(s)}, {s % 2 == 0 ? "job" : "zone", "a"}});
      std::vector<Timestamp>& times = model.rows[Model::SourceText(name)];
      Timestamp t = from;
      for (size_t r = 0; r < rows; ++r) {
        times.push_back(t);
        t += 15000 + (s % 3 == 1 ? static_cast<Timestamp>(Below(5)) : 0);
      }
      for (size_t k = 0; k < keys; ++k) {
        name.key = Key(k);
        model.Add(name, MakeSamples(times));
      }
    }
    return model;
  }

 private:
  static Labels Key(size_t k) {
    static const std::vector<std::string> metrics = {"up",         "http_bucket", "http_sum",
                                                     "http_count", "temp",        "zzz"};
    return Labels::FromPairs({{"__name__", metrics[k % metrics.size()]},
                              {"le", k % 6 == 1 ? std::to_string(k) : ""},
                              {"mode", k >= 6 ? std::to_string(k / 6) : ""}});
  }

  Samples MakeSamples(const std::vector<Timestamp>& rows) {
    Samples samples;
    const uint64_t shape = Below(8);
    double value = static_cast<double>(Below(1000));
    for (size_t r = 0; r < rows.size(); ++r) {
      Sample sample;
      Timestamp t = rows[r];
      switch (shape) {
        case 0:  // constant
          break;
        case 1:  // counter, with gaps
          value += static_cast<double>(Below(9));
          if (Chance(20)) continue;
          break;
        case 2:  // runs of presence
          if (r / 40 % 2 == 0) continue;
          value = std::bit_cast<double>(Below(UINT64_MAX));
          break;
        case 3:  // own timestamps
          t -= static_cast<Timestamp>(Below(900) + 1);
          value += 0.25;
          break;
        case 4:  // histograms and floats mixed
          sample.is_histogram = Chance(50);
          value += 1;
          break;
        case 5:  // start timestamps
          sample.start = rows[0] + static_cast<Timestamp>(r / 50);
          value += 1;
          break;
        case 6:  // stale
          value = Chance(10) ? model::StaleMarker() : 5;
          break;
        default:  // constant with gaps
          if (Chance(50)) continue;
          break;
      }
      sample.bits = sample.is_histogram ? r : std::bit_cast<uint64_t>(value);
      samples[t] = sample;
    }
    return samples;
  }

  std::mt19937_64 random_;
};

MatcherSet Matchers(
    std::initializer_list<std::tuple<model::MatchType, const char*, const char*>> l) {
  MatcherSet set;
  for (const auto& [type, name, value] : l) set.push_back(*Matcher::Create(type, name, value));
  return set;
}

std::vector<MatcherSet> SomeMatchers() {
  using enum model::MatchType;
  return {Matchers({}),
          Matchers({{kEqual, "__name__", "up"}}),
          Matchers({{kRegex, "__name__", "http_.*"}, {kEqual, "job", "a"}}),
          Matchers({{kNotEqual, "job", "a"}}),
          Matchers({{kEqual, "mode", ""}, {kRegex, "instance", "host[0-2]"}}),
          Matchers({{kNotRegex, "mode", "1|2"}, {kNotEqual, "__name__", "up"}}),
          Matchers({{kEqual, "absent", "x"}}),
          Matchers({{kRegex, "__name__", ".+"}, {kEqual, "zone", ""}})};
}

void Compare(const SegmentReader& reader, const Model& model, Generator& random) {
  Timestamp first = kStart;
  Timestamp last = kStart;
  for (const auto& [source, rows] : model.rows) {
    if (!rows.empty()) last = std::max(last, rows.back());
    if (!rows.empty()) first = std::min(first, rows.front());
  }
  for (const MatcherSet& matchers : SomeMatchers()) {
    const auto at = [&] {
      return first - 20000 + static_cast<Timestamp>(random.Below(last - first + 40000));
    };
    for (const TimeRange range : {TimeRange(), TimeRange{at(), at()}, TimeRange{at(), kStart * 2},
                                  TimeRange{first, first}, TimeRange{last + 1, last + 100000}}) {
      const bool equal = ReadAll(reader, matchers, range) == Expected(model, matchers, range);
      BOOST_TEST(equal, "[" << range.min_ms << ", " << range.max_ms << "]");
    }
  }
}

class TestFilter final : public ColumnFilter {
 public:
  using Ranges = std::function<std::vector<TimeRange>(const Column&)>;
  explicit TestFilter(Ranges ranges) : ranges_(std::move(ranges)) {}
  void AddDropped(const Column& column, std::vector<TimeRange>* dropped) override {
    const std::vector<TimeRange> more = ranges_(column);
    dropped->insert(dropped->end(), more.begin(), more.end());
  }

 private:
  const Ranges ranges_;
};

BOOST_AUTO_TEST_SUITE(Segment_)

BOOST_AUTO_TEST_CASE(WhatIsWrittenIsReadOverAnyRange) {
  const uint64_t seed = std::random_device()();
  BOOST_TEST_CONTEXT("seed " << seed) {
    Generator random(seed);
    MemEnv env;
    for (const size_t rows : {1, 7, 120, 1024, 1025, 3000}) {
      const Model model = random.Make(5, 14, rows, kStart);
      const SegmentMeta written = Write(env, "a.seg", model, NewMeta(env, 0, kStart, 7));
      BOOST_TEST(written.sample_count == model.sample_count());
      const auto reader = OpenOrFail(env, "a.seg");
      BOOST_TEST((reader->meta() == written));
      BOOST_TEST(*env.FileSize("a.seg") == written.file_bytes);
      BOOST_TEST(reader->Verify().ok());
      Compare(*reader, model, random);
      // Under another seed fingerprints are made from the labels.
      const auto foreign = OpenOrFail(env, "a.seg", 5);
      BOOST_TEST((*foreign->KeyFingerprint(0) == FingerprintOf(*foreign->KeyLabels(0), 5)));
    }
  }
}

BOOST_AUTO_TEST_CASE(LabelCallsAnswerFromTheIndex) {
  Generator random(3);
  MemEnv env;
  const Model model = random.Make(4, 13, 20, kStart);
  Write(env, "a.seg", model, NewMeta(env, 0, kStart, 7));
  const auto reader = OpenOrFail(env, "a.seg");
  for (const MatcherSet& matchers : SomeMatchers()) {
    std::set<std::string> names;
    std::map<std::string, std::set<std::string>> values;
    for (const auto& [text, name] : model.names) {
      model::LabelsBuilder builder(name.source);
      for (const model::LabelView label : name.key) builder.Set(label.name, label.value);
      const Labels labels = builder.Build();
      if (!MatchesAll(matchers, labels) || model.series.at(text).empty()) continue;
      for (const model::LabelView label : labels) {
        names.emplace(label.name);
        values[std::string(label.name)].emplace(label.value);
      }
    }
    const std::vector<MatcherSet> sets = {matchers};
    const bool names_equal =
        *reader->LabelNames(sets) == std::vector<std::string>(names.begin(), names.end());
    BOOST_TEST(names_equal);
    for (const std::string name : {"__name__", "instance", "mode", "nothing"}) {
      const std::set<std::string>& want = values[name];
      const bool equal =
          *reader->LabelValues(name, sets) == std::vector<std::string>(want.begin(), want.end());
      BOOST_TEST(equal, name);
    }
  }
  BOOST_TEST(*reader->LabelNames({}) ==
                 (std::vector<std::string>{"__name__", "instance", "job", "le", "mode", "zone"}),
             boost::test_tools::per_element());
}

// Merged in one go or in steps, rows of every window in order or late and twice.
BOOST_AUTO_TEST_CASE(MergingChangesNoAnswer) {
  const uint64_t seed = std::random_device()();
  BOOST_TEST_CONTEXT("seed " << seed) {
    Generator random(seed);
    MemEnv env;
    Model merged;
    std::vector<std::shared_ptr<const SegmentReader>> inputs;
    std::vector<SegmentId> ids;
    for (uint64_t w = 0; w < 8; ++w) {
      // Window 5 is written again, later: its samples are there twice at equal timestamps.
      const Timestamp from = kStart + static_cast<Timestamp>(w == 7 ? 5 : w) * 120 * 15000;
      const Model part = random.Make(3 + w % 3, 10 + w % 4, w == 7 ? 60 : 120, from);
      const std::string path = "L0-" + std::to_string(w) + ".seg";
      ids.push_back(Write(env, path, part, NewMeta(env, 0, from, w + 1)).id);
      inputs.push_back(OpenOrFail(env, path));
      for (const auto& [text, name] : part.names) {
        merged.names[text] = name;
        merged.series[text].insert(part.series.at(text).begin(), part.series.at(text).end());
        std::vector<Timestamp>& rows = merged.rows[Model::SourceText(name)];
        const std::vector<Timestamp>& more = part.rows.at(Model::SourceText(name));
        rows.insert(rows.end(), more.begin(), more.end());
      }
    }
    for (auto& [source, rows] : merged.rows) std::sort(rows.begin(), rows.end());

    const Result<SegmentMeta> day = MergeSegments(env, inputs, "L2.seg", NewMeta(env, 2, 0, 0), {});
    RequireOk(day);
    const auto reader = OpenOrFail(env, "L2.seg");
    BOOST_TEST(reader->Verify().ok());
    BOOST_TEST(day->sample_count == merged.sample_count());
    BOOST_TEST(day->cuts.size() == 7u);
    BOOST_TEST(day->commit() == 8u);
    std::sort(ids.begin(), ids.end());
    BOOST_TEST((day->replaces == ids));
    Compare(*reader, merged, random);

    // In two steps, the outputs merged again: the same samples, and the L0 still named.
    const std::span all(inputs);
    std::vector<std::shared_ptr<const SegmentReader>> halves;
    BOOST_REQUIRE(MergeSegments(env, all.subspan(0, 4), "a.seg", NewMeta(env, 1, 0, 0), {}));
    BOOST_REQUIRE(MergeSegments(env, all.subspan(4), "b.seg", NewMeta(env, 1, 0, 0), {}));
    halves = {OpenOrFail(env, "a.seg"), OpenOrFail(env, "b.seg")};
    const auto again = MergeSegments(env, halves, "c.seg", NewMeta(env, 2, 0, 0), {});
    BOOST_REQUIRE(again.has_value());
    BOOST_TEST(again->replaces.size() == 10u);
    BOOST_TEST((again->cuts == day->cuts));
    const bool equal =
        ReadAll(*OpenOrFail(env, "c.seg"), {}, TimeRange()) == ReadAll(*reader, {}, TimeRange());
    BOOST_TEST(equal);
  }
}

BOOST_AUTO_TEST_CASE(OfEqualTimestampsTheLowerCutWins) {
  MemEnv env;
  const SeriesName name{{OriginKind::kPush, "s"}, Labels(), Labels::FromPairs({{"__name__", "m"}})};
  std::vector<std::shared_ptr<const SegmentReader>> inputs;
  for (uint64_t commit = 1; commit <= 3; ++commit) {
    Model part;
    part.rows[Model::SourceText(name)] = {kStart, kStart + 10 * static_cast<Timestamp>(commit)};
    const Sample sample{commit == 2, commit, 0};
    part.Add(name, {{kStart, sample}, {kStart + 10 * static_cast<Timestamp>(commit), sample}});
    const std::string path = std::to_string(commit) + ".seg";
    Write(env, path, part, NewMeta(env, 0, kStart, commit));
    inputs.push_back(OpenOrFail(env, path));
  }
  BOOST_REQUIRE(MergeSegments(env, inputs, "out.seg", NewMeta(env, 1, 0, 0), {}));
  const auto all = ReadAll(*OpenOrFail(env, "out.seg"), {}, TimeRange());
  const Samples want = {{kStart, {false, 1, 0}},
                        {kStart + 10, {false, 1, 0}},
                        {kStart + 20, {true, 2, 0}},
                        {kStart + 30, {false, 3, 0}}};
  BOOST_TEST((all.at(name.ToString()) == want));
}

BOOST_AUTO_TEST_CASE(AFilterDropsRangesAndEmptyIsFooterOnly) {
  Generator random(5);
  MemEnv env;
  Model model = random.Make(3, 8, 200, kStart);
  Write(env, "a.seg", model, NewMeta(env, 0, kStart, 1));
  const std::vector<std::shared_ptr<const SegmentReader>> inputs = {OpenOrFail(env, "a.seg")};
  const TimeRange gone{kStart + 100000, kStart + 1500000};
  TestFilter of_one_job([&](const ColumnFilter::Column& column) {
    return column.source_labels.Get("job") == "a" ? std::vector<TimeRange>{gone}
                                                  : std::vector<TimeRange>();
  });
  MergeOptions options;
  options.filters = {&of_one_job};
  BOOST_REQUIRE(MergeSegments(env, inputs, "b.seg", NewMeta(env, 1, 0, 0), options));
  for (auto& [text, samples] : model.series) {
    if (model.names.at(text).source.Get("job") != "a") continue;
    std::erase_if(samples, [&](const auto& sample) { return gone.Contains(sample.first); });
  }
  Compare(*OpenOrFail(env, "b.seg"), model, random);

  TestFilter everything([](const auto&) { return std::vector<TimeRange>{TimeRange()}; });
  options.filters = {&everything};
  const auto empty = MergeSegments(env, inputs, "c.seg", NewMeta(env, 1, 0, 0), options);
  BOOST_REQUIRE(empty.has_value());
  BOOST_TEST(empty->sample_count == 0u);
  BOOST_TEST(empty->cuts.size() == 1u);
  const auto reader = OpenOrFail(env, "c.seg");
  BOOST_TEST(reader->Select({}, TimeRange())->empty());
  BOOST_TEST(reader->LabelNames({})->empty());
  // Not even the names of what is gone stay behind.
  BOOST_TEST(reader->source_count() == 0u);
  BOOST_TEST(reader->key_count() == 0u);
  BOOST_TEST(reader->Verify().ok());
}

BOOST_AUTO_TEST_CASE(NeighbouringColumnsShareTimestamps) {
  MemEnv env;
  Model model;
  SeriesName name{{OriginKind::kScrape, "t"}, Labels::FromPairs({{"job", "j"}}), Labels()};
  for (int r = 0; r < 3000; ++r) model.rows[Model::SourceText(name)].push_back(kStart + r * 15000);
  for (int k = 0; k < 3; ++k) {
    name.key = Labels::FromPairs({{"__name__", "m" + std::to_string(k)}});
    Samples samples;
    for (const Timestamp t : model.rows[Model::SourceText(name)]) {
      samples[t] = {false, std::bit_cast<uint64_t>(static_cast<double>(t % 1000 + k)), 0};
    }
    model.Add(name, samples);
  }
  Write(env, "a.seg", model, NewMeta(env, 0, kStart, 1));
  const auto reader = OpenOrFail(env, "a.seg");
  const TimeRange hour{kStart + 1000 * 15000, kStart + 1240 * 15000};
  const auto refs = reader->Select({}, hour);
  SegmentCursor cursor(*reader);
  ColumnBatch batch;
  std::vector<Column> columns(refs->size());
  for (size_t i = 0; i < refs->size(); ++i) {
    BOOST_REQUIRE(cursor.Read((*refs)[i], hour, &batch, &columns[i]).ok());
    BOOST_TEST(columns[i].timestamps.size() == 241u);
    BOOST_TEST(columns[i].timestamps.data() == columns[0].timestamps.data());
  }
  // Two chunks of 1,024 rows, once as timestamps and three times as values: not the day.
  BOOST_TEST(batch.allocated_bytes() <= 2u * 8192 * 8);
}

// R3: a flip anywhere is found, named, and never crashes.
BOOST_AUTO_TEST_CASE(AnyFlippedOrMissingByteIsFound) {
  const uint64_t seed = std::random_device()();
  Generator random(seed);
  MemEnv env;
  Write(env, "a.seg", random.Make(4, 12, 1500, kStart), NewMeta(env, 0, kStart, 1));
  const std::string good = *env.ReadFile("a.seg");
  const auto check = [&](const std::string& bytes) {
    const auto reader = SegmentReader::OpenBytes(bytes, "x.seg", kSeed, true);
    const Status status = reader ? (*reader)->Verify() : reader.error();
    BOOST_TEST(!status.ok());
    BOOST_TEST((status.code() == Code::kCorruption));
    BOOST_TEST(status.message().find("segment x.seg: offset ") == 0u);
  };
  BOOST_TEST_CONTEXT("seed " << seed << ", " << good.size() << " bytes") {
    for (int round = 0; round < 300; ++round) {
      std::string bytes = good;
      const size_t at = random.Below(bytes.size());
      bytes[at] = static_cast<char>(bytes[at] ^ (1 + random.Below(255)));
      BOOST_TEST_CONTEXT("at " << at) { check(bytes); }
    }
    for (size_t at = good.size() - 400; at < good.size(); ++at) {  // footer and trailer
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ 1);
      BOOST_TEST_CONTEXT("at " << at) { check(bytes); }
    }
    for (int round = 0; round < 100; ++round) check(good.substr(0, random.Below(good.size())));
    check("");
  }
}

// What the fuzz target does at length: damage behind the checksums' back.
BOOST_AUTO_TEST_CASE(UncheckedDamageNeverCrashes) {
  const uint64_t seed = std::random_device()();
  Generator random(seed);
  MemEnv env;
  Write(env, "a.seg", random.Make(3, 12, 1100, kStart), NewMeta(env, 0, kStart, 1));
  const std::string good = *env.ReadFile("a.seg");
  BOOST_TEST_CONTEXT("seed " << seed) {
    for (int round = 0; round < 1000; ++round) {
      std::vector<char> bytes(good.begin(), good.end());
      for (uint64_t flips = 1 + random.Below(4); flips > 0; --flips) {
        // The index is small and at the end: aim there half of the time.
        const size_t at = random.Chance(50) ? random.Below(bytes.size())
                                            : bytes.size() - 1 - random.Below(bytes.size() / 8);
        bytes[at] = static_cast<char>(random.Below(256));
      }
      const auto reader =
          SegmentReader::OpenBytes({bytes.data(), bytes.size()}, "x.seg", kSeed, false);
      if (!reader) continue;
      static_cast<void>((*reader)->Verify());
      for (const MatcherSet& matchers : SomeMatchers()) {
        static_cast<void>((*reader)->Select(matchers, TimeRange()));
      }
      static_cast<void>((*reader)->LabelValues("mode", {}));
    }
  }
}

BOOST_AUTO_TEST_CASE(NewerFormatIsRefusedByName) {
  MemEnv env;
  Generator random(1);
  Write(env, "a.seg", random.Make(1, 1, 3, kStart), NewMeta(env, 0, kStart, 1));
  std::string bytes = *env.ReadFile("a.seg");
  bytes[bytes.size() - 16] = kSegmentFormatVersion + 1;
  bytes[8] = kSegmentFormatVersion + 1;
  const auto reader = SegmentReader::OpenBytes(bytes, "x.seg", kSeed, true);
  BOOST_REQUIRE(!reader);
  BOOST_TEST(reader.error().message().find("format version 5, this program reads 1 to 4") !=
             std::string::npos);
  BOOST_TEST((reader.error().code() == Code::kUnimplemented));
}

BOOST_AUTO_TEST_CASE(AFailedWriteLeavesNoFileAndSaysSo) {
  MemEnv memory;
  Generator random(1);
  const Model model = random.Make(2, 6, 100, kStart);
  for (uint64_t operation = 0;; ++operation) {
    FaultEnv env(memory);
    env.FailAfter(operation, Status(Code::kNoSpace, "no space left"), kSpaceOps);
    const Result<SegmentMeta> written = TryWrite(env, "a.seg", model, NewMeta(env, 0, kStart, 1));
    if (!env.fault_hit()) {
      BOOST_TEST(written.has_value());
      BOOST_TEST(operation > 3u);
      break;
    }
    BOOST_REQUIRE(!written.has_value());
    BOOST_TEST((written.error().code() == Code::kNoSpace));
    BOOST_TEST(!memory.Exists("a.seg"));
  }
}

// The samples of the golden files.
Model GoldenModel() {
  const SeriesName up{{OriginKind::kScrape, "node/http://host:9100/metrics"},
                      Labels::FromPairs({{"instance", "host:9100"}, {"job", "node"}}),
                      Labels::FromPairs({{"__name__", "up"}})};
  SeriesName cpu = up;
  cpu.key = Labels::FromPairs({{"__name__", "node_cpu_seconds_total"}, {"mode", "idle"}});
  SeriesName latency{{OriginKind::kPush, "sender"},
                     Labels(),
                     Labels::FromPairs({{"__name__", "latency"}, {"job", "api"}})};
  Model model;
  for (int r = 0; r < 1030; ++r) {
    const Timestamp t = kStart + r * 15000 + r % 3;
    model.rows[Model::SourceText(up)].push_back(t);
    const auto put = [&](const SeriesName& name, Timestamp at, Sample sample) {
      model.names[name.ToString()] = name;
      model.series[name.ToString()][at] = sample;
    };
    put(up, t, {false, std::bit_cast<uint64_t>(1.0), 0});
    const double seconds = r == 500 ? model::StaleMarker() : 1000 + r * r / 8 * 0.25;
    if (r % 7 != 3) put(cpu, t, {false, std::bit_cast<uint64_t>(seconds), kStart});
    if (r < 20) {
      model.rows[Model::SourceText(latency)].push_back(t);
      const bool is_histogram = r % 2 == 1;
      const auto bits = is_histogram ? static_cast<uint64_t>(r) : std::bit_cast<uint64_t>(r / 3.0);
      put(latency, t - 7, {is_histogram, bits, 0});
    }
  }
  return model;
}

std::string GoldenPath(int version) {
  return std::string(TOCSIN_SOURCE_DIR) + "/tests/tsdb/testdata/segment_v" +
         std::to_string(version) + ".seg";
}

void RequireGoldenSamples(int version) {
  const Model model = GoldenModel();
  const auto reader = OpenOrFail(Env::Default(), GoldenPath(version));
  BOOST_TEST(reader->Verify().ok());
  const bool same_samples = ReadAll(*reader, {}, TimeRange()) == Expected(model, {}, TimeRange());
  BOOST_TEST(same_samples);
}

BOOST_AUTO_TEST_CASE(GoldenFilesOfOlderFormatVersionsAreRead) {
  RequireGoldenSamples(1);
  RequireGoldenSamples(2);
}

// The bytes of the format's version, once and for all: what is written today equals them, and they
// read as they did. TOCSIN_WRITE_GOLDEN=1 writes the file anew, which only a new version may do.
BOOST_AUTO_TEST_CASE(GoldenFileOfFormatVersion3) {
  SegmentMeta meta;
  for (size_t i = 0; i < meta.id.bytes.size(); ++i) meta.id.bytes[i] = static_cast<uint8_t>(i);
  meta.level = 1;
  meta.shard = 2;
  meta.generation = 300;
  meta.fingerprint_seed = kSeed;
  meta.cuts = {{2, kStart, 77}, {2, kStart + kWindowMs, 80}};
  meta.replaces = {SegmentId{{1, 2, 3}}};
  MemEnv env;
  const SegmentMeta written = Write(env, "golden.seg", GoldenModel(), meta);
  const std::string bytes = *env.ReadFile("golden.seg");
  const std::string path = GoldenPath(3);
  if (std::getenv("TOCSIN_WRITE_GOLDEN") != nullptr) {
    BOOST_REQUIRE(Env::Default().WriteFileAtomically(path, bytes).ok());
  }
  const Result<std::string> golden = Env::Default().ReadFile(path);
  RequireOk(golden);
  const bool same_bytes = bytes == *golden;
  BOOST_TEST(same_bytes);
  const auto reader = OpenOrFail(Env::Default(), path);
  BOOST_TEST((reader->meta() == written));
  RequireGoldenSamples(3);
}

// What only a day has: entropy coding, references, residuals, near decimals, histogram columns.
Model GoldenDay() {
  Model model;
  SeriesName name{{OriginKind::kScrape, "api"}, Labels::FromPairs({{"job", "api"}}), Labels()};
  uint64_t noise = 1;
  double requests = 0;
  double fast = 0;
  double seconds = 0;
  double random_walk = 0.5;
  for (int r = 0; r < 1500; ++r) {
    const Timestamp t = kStart + r * 15000 + r % 5;
    model.rows[Model::SourceText(name)].push_back(t);
    noise = noise * 6364136223846793005 + 1442695040888963407;
    const auto below = [noise](unsigned shift, uint64_t n) {
      return static_cast<double>((noise >> shift) % n);
    };
    requests += below(40, 100) < 80 ? 0 : below(33, 30);
    fast = requests - below(50, 3);
    seconds += below(36, 5000) * 1e-6;
    random_walk = random_walk * 0.75 + below(20, uint64_t{1} << 40) / 3e12;
    const auto put = [&](std::string_view metric, std::string_view le, double value) {
      name.key = Labels::FromPairs({{"__name__", metric}, {"le", le}});
      model.names[name.ToString()] = name;
      model.series[name.ToString()][t] = {false, std::bit_cast<uint64_t>(value), 0};
    };
    put("req_bucket", "+Inf", requests);
    put("req_bucket", "1", fast);
    put("req_count", "", requests);
    put("req_sum", "", seconds);
    put("walk", "", random_walk);
    put("pages", "", 4096 * (1000 + below(30, 40)));
    put("noise", "", below(10, uint64_t{1} << 30) / 1000);
    name.key = Labels::FromPairs({{"__name__", "native"}});
    model.names[name.ToString()] = name;
    model.series[name.ToString()][t] = {true, static_cast<uint64_t>(requests), 0};
  }
  return model;
}

BOOST_AUTO_TEST_CASE(GoldenDayOfFormatVersion3) {
  MemEnv env;
  SegmentMeta meta;
  meta.id.bytes[0] = 7;
  meta.level = 1;
  meta.fingerprint_seed = kSeed;
  meta.cuts = {{2, kStart, 77}};
  const Model model = GoldenDay();
  Write(env, "l1.seg", model, meta);
  const std::shared_ptr<const SegmentReader> input = OpenOrFail(env, "l1.seg");
  SegmentMeta day;
  day.id.bytes[0] = 8;
  day.level = kMaxSegmentLevel;
  day.fingerprint_seed = kSeed;
  RequireOk(MergeSegments(env, {{input}}, "day.seg", day, {}));
  const std::string bytes = *env.ReadFile("day.seg");
  const std::string path =
      std::string(TOCSIN_SOURCE_DIR) + "/tests/tsdb/testdata/segment_v3_day.seg";
  if (std::getenv("TOCSIN_WRITE_GOLDEN") != nullptr) {
    BOOST_REQUIRE(Env::Default().WriteFileAtomically(path, bytes).ok());
  }
  const Result<std::string> golden = Env::Default().ReadFile(path);
  RequireOk(golden);
  const bool same_bytes = bytes == *golden;
  BOOST_TEST(same_bytes);
  const auto reader = OpenOrFail(Env::Default(), path);
  BOOST_TEST(reader->Verify().ok());
  const bool same_samples = ReadAll(*reader, {}, TimeRange()) == Expected(model, {}, TimeRange());
  BOOST_TEST(same_samples);
  // One column of a chain, and a part of its rows.
  for (const char* le : {"1", "+Inf"}) {
    const MatcherSet bucket = {Matcher::Equal("__name__", "req_bucket"), Matcher::Equal("le", le)};
    const TimeRange part{kStart + 1100 * 15000, kStart + 1200 * 15000};
    const bool same_part = ReadAll(*reader, bucket, part) == Expected(model, bucket, part);
    BOOST_TEST(same_part);
  }
  size_t references = 0;
  BOOST_REQUIRE(reader
                    ->ForEachColumn([&](const ColumnRef& ref) {
                      references += (ref.flags & kColumnReference) != 0 ? 1 : 0;
                      return true;
                    })
                    .ok());
  BOOST_TEST(references >= 1u);
}

BOOST_AUTO_TEST_CASE(TimestampsThatDoNotAscendGiveNoFile) {
  MemEnv env;
  const std::vector<Timestamp> rows = {kStart, kStart + 5, kStart + 5};
  SegmentWriter writer(env, "a.seg", NewMeta(env, 0, kStart, 1), {});
  BOOST_REQUIRE(writer.Open().ok());
  writer.AddSource({OriginKind::kRule, "r"}, Labels(), rows);
  const Result<SegmentMeta> written = writer.Finish();
  BOOST_REQUIRE(!written.has_value());
  BOOST_TEST((written.error().code() == Code::kInternal));
}

BOOST_AUTO_TEST_CASE(FileNamesSayWhatIsInside) {
  SegmentMeta meta;
  meta.level = 0;
  meta.shard = 3;
  meta.cuts = {{3, kStart + kWindowMs, 9}};
  BOOST_TEST(SegmentFileName(meta) == "L0-20260101T003000-s3-00000000000000000000000000000000.seg");
  meta.cuts = {};
  BOOST_TEST(SegmentFileName(meta).find("L0-19700101T000000-s3-") == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::tsdb::segment_test
