// Segments against a plain map: written in any order, read over any range, merged in any grouping.
#include <boost/test/unit_test.hpp>
#include <functional>

#include "base/mem_env.h"
#include "tests/tsdb/segment_model.h"
#include "tsdb/index/matcher_cache.h"
#include "tsdb/segment/merge.h"

namespace tocsin::tsdb::segment_test {
namespace {

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
BOOST_AUTO_TEST_CASE(R11MergingChangesNoAnswer) {
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

// Columns of one value at every row are merged unread; not so where inputs overlap, where one lacks
// the column, where the value changes, or where it is a staleness marker.
BOOST_AUTO_TEST_CASE(ConstantsAreMergedAsTheirSamples) {
  const auto series = [](const char* metric) {
    return SeriesName{
        {OriginKind::kPush, "s"}, Labels(), Labels::FromPairs({{"__name__", metric}})};
  };
  const auto put = [](Model* part, const SeriesName& name, Timestamp first, double value) {
    Samples samples;
    for (int r = 0; r < 5; ++r)
      samples[first + r * 10] = {false, std::bit_cast<uint64_t>(value), 0};
    part->Add(name, std::move(samples));
  };
  for (const int64_t apart : {50, 40}) {  // behind each other, or sharing a row
    MemEnv env;
    std::vector<std::shared_ptr<const SegmentReader>> inputs;
    std::map<std::string, Samples> want;
    for (int i = 0; i < 2; ++i) {
      const Timestamp first = kStart + i * apart;
      Model part;
      for (int r = 0; r < 5; ++r) {
        part.rows[Model::SourceText(series("same"))].push_back(first + r * 10);
      }
      put(&part, series("same"), first, -0.0);
      put(&part, series("nan"), first, std::bit_cast<double>(uint64_t{0x7ff8000000000001}));
      put(&part, series("stale"), first, model::StaleMarker());
      put(&part, series("changes"), first, i + 1);
      if (i == 1) put(&part, series("late"), first, 7);
      for (const auto& [name, samples] : part.series) {
        // Of equal timestamps the first input's stays.
        want[name].insert(samples.begin(), samples.end());
      }
      const std::string path = std::to_string(i) + ".seg";
      Write(env, path, part, NewMeta(env, 1, kStart, static_cast<uint64_t>(i) + 1));
      inputs.push_back(OpenOrFail(env, path));
    }
    DroppedSamples dropped;
    MergeOptions options;
    options.dropped = &dropped;
    BOOST_REQUIRE(
        MergeSegments(env, inputs, "day.seg", NewMeta(env, kMaxSegmentLevel, 0, 0), options));
    const auto day = OpenOrFail(env, "day.seg");
    BOOST_TEST(day->Verify().ok());
    BOOST_TEST((ReadAll(*day, {}, TimeRange()) == want));
    BOOST_TEST(dropped.equal == (apart == 40 ? 3u : 0u));
    BOOST_TEST(dropped.unequal == (apart == 40 ? 1u : 0u));
  }
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

BOOST_AUTO_TEST_CASE(RegularExpressionsAreRememberedByFile) {
  MemEnv env;
  Generator random(4);
  Write(env, "a.seg", random.Make(4, 12, 300, kStart), NewMeta(env, 0, kStart, 1));
  Write(env, "b.seg", random.Make(3, 20, 300, kStart), NewMeta(env, 0, kStart, 2));
  const auto cache = std::make_shared<MatcherCache>(1 << 20);
  for (const char* path : {"a.seg", "b.seg"}) {
    const auto with = SegmentReader::Open(env, path, kSeed, cache);
    RequireOk(with);
    for (const MatcherSet& matchers : SomeMatchers()) {
      const auto want = ReadAll(*OpenOrFail(env, path), matchers, TimeRange());
      for (int again = 0; again < 2; ++again) {
        const bool same = ReadAll(**with, matchers, TimeRange()) == want;
        BOOST_TEST(same);
      }
    }
  }
  BOOST_TEST(cache->figures().hits >= cache->figures().misses);
  BOOST_TEST(cache->figures().misses > 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::tsdb::segment_test
