// A model of what a segment holds: series by name, samples by time, made up at random; written as a
// segment, read back whole, and compared over matchers and ranges.
#pragma once

#include <algorithm>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/mem_env.h"
#include "model/matcher.h"
#include "tsdb/segment/column_codec.h"
#include "tsdb/segment/format.h"
#include "tsdb/segment/reader.h"
#include "tsdb/segment/writer.h"

namespace tocsin::tsdb::segment_test {

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

inline constexpr uint64_t kSeed = 99;
inline constexpr Timestamp kStart = 1'767'225'600'000;

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

inline Histogram MakeHistogram(uint64_t count) {
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

inline Samples ToSamples(const Column& column) {
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

inline Samples Clip(const Samples& samples, TimeRange range) {
  Samples clipped;
  for (const auto& [t, sample] : samples) {
    if (range.Contains(t)) clipped[t] = sample;
  }
  return clipped;
}

inline SegmentMeta NewMeta(Env& env, uint8_t level, Timestamp window, uint64_t commit) {
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

inline Result<SegmentMeta> TryWrite(Env& env, const std::string& path, const Model& model,
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

inline SegmentMeta Write(Env& env, const std::string& path, const Model& model,
                         const SegmentMeta& meta) {
  const Result<SegmentMeta> written = TryWrite(env, path, model, meta);
  RequireOk(written);
  return *written;
}

inline std::shared_ptr<const SegmentReader> OpenOrFail(Env& env, const std::string& path,
                                                       uint64_t seed = kSeed) {
  auto reader = SegmentReader::Open(env, path, seed);
  RequireOk(reader);
  return *reader;
}

// The same values come into a place that is given, and nothing behind what is said to be used.
inline void CheckReadInPlace(const SegmentReader& reader, const ColumnRef& ref, TimeRange range,
                             const Column& column) {
  static constexpr double kUntouched = 7;
  SegmentCursor cursor(reader);
  ColumnBatch batch;
  Column again;
  std::vector<double> place(column.values.size() + 2 * kChunkRows, kUntouched);
  BOOST_REQUIRE(cursor.Read(ref, range, &batch, &again, place).ok());
  BOOST_TEST(std::ranges::equal(again.values, column.values, [](double a, double b) {
    return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
  }));
  BOOST_REQUIRE(cursor.place_used() <= place.size());
  BOOST_TEST(std::all_of(place.begin() + static_cast<ptrdiff_t>(cursor.place_used()), place.end(),
                         [](double v) { return v == kUntouched; }));
}

// Everything selected, read in one batch, by name.
inline std::map<std::string, Samples> ReadAll(const SegmentReader& reader,
                                              const MatcherSet& matchers, TimeRange range) {
  std::map<std::string, Samples> all;
  const auto columns = reader.Select(matchers, range);
  RequireOk(columns);
  SegmentCursor cursor(reader);
  ColumnBatch batch;
  std::vector<Fingerprint> fingerprints;
  BOOST_REQUIRE(reader.SeriesFingerprints(*columns, &fingerprints).ok());
  BOOST_REQUIRE(fingerprints.size() == columns->size());
  for (size_t i = 0; i < columns->size(); ++i) {
    const ColumnRef& ref = (*columns)[i];
    Column column;
    cursor.Prefetch(ref);
    const Status status = cursor.Read(ref, range, &batch, &column);
    BOOST_REQUIRE_MESSAGE(status.ok(), status.message());
    CheckReadInPlace(reader, ref, range, column);
    const SeriesName name{*reader.SourceOrigin(ref.source), *reader.SourceLabels(ref.source),
                          *reader.KeyLabels(ref.key)};
    BOOST_TEST((*reader.SourceFingerprint(ref.source) + *reader.KeyFingerprint(ref.key) ==
                fingerprints[i]));
    BOOST_TEST(
        (fingerprints[i] == FingerprintOf(name.source, kSeed) + FingerprintOf(name.key, kSeed)));
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

inline std::map<std::string, Samples> Expected(const Model& model, const MatcherSet& matchers,
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

inline MatcherSet Matchers(
    std::initializer_list<std::tuple<model::MatchType, const char*, const char*>> l) {
  MatcherSet set;
  for (const auto& [type, name, value] : l) set.push_back(*Matcher::Create(type, name, value));
  return set;
}

inline std::vector<MatcherSet> SomeMatchers() {
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

inline void Compare(const SegmentReader& reader, const Model& model, Generator& random) {
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

}  // namespace tocsin::tsdb::segment_test
