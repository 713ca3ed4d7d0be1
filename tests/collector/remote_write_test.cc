// Remote write 1.0, from compressed bytes made by the real protocol buffer code to recorded rows.
#include "collector/push/remote_write.h"

#include <snappy.h>

#include <boost/test/unit_test.hpp>
#include <random>

#include "base/mem_env.h"
#include "collector/push/write_request.h"
#include "model/proto/remote_write.pb.h"
#include "tests/support/recording_appender.h"

namespace tocsin::collector {
namespace {

BOOST_AUTO_TEST_SUITE(RemoteWrite_)

using testing::RecordedSample;
using testing::RecordingAppender;
using LabelList = std::vector<std::pair<std::string, std::string>>;

prometheus::TimeSeries* AddSeries(prometheus::WriteRequest* request, const LabelList& labels,
                                  const std::vector<RecordedSample>& samples = {}) {
  prometheus::TimeSeries* series = request->add_timeseries();
  for (const auto& [name, value] : labels) {
    auto* label = series->add_labels();
    label->set_name(name);
    label->set_value(value);
  }
  for (const RecordedSample& s : samples) {
    auto* sample = series->add_samples();
    sample->set_value(s.value);
    sample->set_timestamp(s.timestamp_ms);
  }
  return series;
}

std::string Compress(const std::string& raw) {
  std::string out;
  snappy::Compress(raw.data(), raw.size(), &out);
  return out;
}

struct Fixture {
  MemEnv env;
  RecordingAppender appender;
  RemoteWriteOptions options;
  std::unique_ptr<RemoteWriteReceiver> receiver;

  RemoteWriteOutcome Write(const prometheus::WriteRequest& request, std::string_view sender = "s") {
    if (receiver == nullptr) {
      receiver = std::make_unique<RemoteWriteReceiver>(&env, &appender, options);
    }
    return receiver->Write(sender, Compress(request.SerializeAsString()));
  }
};

BOOST_FIXTURE_TEST_CASE(SeriesGoToTheirJobAndInstance, Fixture) {
  prometheus::WriteRequest request;
  AddSeries(&request, {{"__name__", "a"}, {"instance", "1"}, {"job", "j"}, {"x", "y"}},
            {{1000, 1}, {2000, 2}});
  AddSeries(&request, {{"__name__", "a"}, {"instance", "2"}, {"job", "j"}}, {{1000, 3}});
  AddSeries(&request, {{"__name__", "bare"}}, {{1500, 4}});
  for (int i = 0; i < 2; ++i) {
    const RemoteWriteOutcome outcome = Write(request);
    BOOST_TEST(outcome.http_status == 204);
    BOOST_TEST(outcome.message == "");
    BOOST_TEST(outcome.samples_written == 4u);
  }
  BOOST_TEST(appender.batches() == 2u);
  const std::vector<std::string> sources = {R"({instance="1", job="j"})",
                                            R"({instance="2", job="j"})", "{}"};
  BOOST_TEST(appender.SourceTexts() == sources, boost::test_tools::per_element());
  const auto samples = appender.Of(R"(a{instance="1", job="j", x="y"})");
  BOOST_REQUIRE(samples.size() == 4u);
  BOOST_TEST((samples[0] == RecordedSample{1000, 1}));
  BOOST_TEST((samples[1] == RecordedSample{2000, 2}));
  BOOST_TEST(appender.Last("bare") == 4);
}

// So that the index holds the keys of a job's targets once.
BOOST_FIXTURE_TEST_CASE(LabelsCommonToATargetNameItsSource, Fixture) {
  const auto request_of = [](int first, int count) {
    prometheus::WriteRequest request;
    for (const char* instance : {"1", "2"}) {
      for (int i = first; i < first + count; ++i) {
        AddSeries(&request,
                  {{"__name__", "m" + std::to_string(i)},
                   {"cluster", "c"},
                   {"instance", instance},
                   {"job", "j"},
                   {"rack", instance},
                   {"x", std::to_string(i)}},
                  {{1000 + i, 1}});
      }
    }
    return request;
  };
  BOOST_TEST(Write(request_of(0, 10)).http_status == 204);
  BOOST_TEST(Write(request_of(5, 10)).http_status == 204);
  const std::vector<std::string> sources = {R"({cluster="c", instance="1", job="j", rack="1"})",
                                            R"({cluster="c", instance="2", job="j", rack="2"})"};
  BOOST_TEST(appender.SourceTexts() == sources, boost::test_tools::per_element());
  BOOST_TEST(appender.Series().size() == 30u);
  // The same series stays where it is; one that differs is stored beside.
  prometheus::WriteRequest other;
  AddSeries(&other, {{"__name__", "m0"}, {"instance", "1"}, {"job", "j"}}, {{2000, 1}});
  BOOST_TEST(Write(other).http_status == 204);
  BOOST_TEST(appender.Of(R"(m0{instance="1", job="j"})").size() == 1u);
  BOOST_TEST(appender.SourceTexts().size() == 3u);
}

BOOST_FIXTURE_TEST_CASE(LabelsMayComeInAnyOrder, Fixture) {
  prometheus::WriteRequest request;
  AddSeries(&request, {{"x", "1"}, {"__name__", "a"}, {"b", ""}, {"c", "2"}}, {{1, 1}});
  BOOST_TEST(Write(request).http_status == 204);
  prometheus::WriteRequest sorted;
  AddSeries(&sorted, {{"__name__", "a"}, {"c", "2"}, {"x", "1"}}, {{2, 2}});
  BOOST_TEST(Write(sorted).http_status == 204);
  BOOST_TEST(appender.Of(R"(a{c="2", x="1"})").size() == 2u);
  BOOST_TEST(appender.live_slots() == 1u);
}

BOOST_FIXTURE_TEST_CASE(InvalidSeriesAreLeftOutWithoutAWord, Fixture) {
  prometheus::WriteRequest request;
  AddSeries(&request, {{"x", "1"}}, {{1, 1}});
  AddSeries(&request, {{"__name__", "a"}, {"x", "1"}, {"x", "2"}}, {{1, 1}});
  AddSeries(&request, {{"__name__", "a"}, {"", "1"}}, {{1, 1}});
  AddSeries(&request, {{"__name__", ""}}, {{1, 1}});
  AddSeries(&request, {}, {{1, 1}});
  AddSeries(&request, {{"__name__", "good"}}, {{1, 7}});
  for (int i = 0; i < 2; ++i) BOOST_TEST(Write(request).http_status == 204);
  BOOST_TEST(appender.Series().size() == 1u);
  BOOST_TEST(appender.Last("good") == 7);
}

BOOST_FIXTURE_TEST_CASE(ARefusedSampleRefusesTheRequest, Fixture) {
  struct Case {
    model::AppendOutcome outcome;
    int http_status;
    const char* message;
  };
  for (const Case& c :
       {Case{model::AppendOutcome::kOutOfOrder, 400, "out of order sample"},
        Case{model::AppendOutcome::kTooOld, 400, "too old sample"},
        Case{model::AppendOutcome::kTooFarInFuture, 400, "out of bounds"},
        Case{model::AppendOutcome::kDuplicateTimestamp, 400, "duplicate sample for timestamp"},
        Case{model::AppendOutcome::kDuplicate, 204, ""},
        Case{model::AppendOutcome::kStorageFull, 503, "storage is full"}}) {
    BOOST_TEST_CONTEXT(c.message) {
      Fixture f;
      f.appender.refuse["bad"] = c.outcome;
      prometheus::WriteRequest request;
      AddSeries(&request, {{"__name__", "good"}}, {{1, 1}});
      AddSeries(&request, {{"__name__", "bad"}}, {{1, 1}});
      const RemoteWriteOutcome outcome = f.Write(request);
      BOOST_TEST(outcome.http_status == c.http_status);
      BOOST_TEST(outcome.message == c.message);
      BOOST_TEST(f.appender.Of("good").size() == (c.http_status == 204 ? 1u : 0u));
    }
  }
  appender.commit_status = Status(Code::kNoSpace, "disk is full");
  prometheus::WriteRequest request;
  AddSeries(&request, {{"__name__", "a"}}, {{1, 1}});
  BOOST_TEST(Write(request).http_status == 503);
  appender.commit_status = Status(Code::kIo, "wal: write failed");
  BOOST_TEST(Write(request).http_status == 500);
}

BOOST_FIXTURE_TEST_CASE(MixedTicksMakeOneRowEachAndOneSampleASlot, Fixture) {
  prometheus::WriteRequest request;
  for (int tick = 5; tick > 0; --tick) {
    for (const char* name : {"a", "b", "c"}) {
      AddSeries(&request, {{"__name__", name}, {"job", "j"}},
                {{tick * 1000, static_cast<double>(tick)}});
    }
  }
  AddSeries(&request, {{"__name__", "a"}, {"job", "j"}}, {{3000, 3}});  // again
  BOOST_TEST(Write(request).http_status == 204);
  const auto samples = appender.Of(R"(a{job="j"})");
  BOOST_REQUIRE(samples.size() == 5u);
  for (size_t i = 0; i < 5; ++i) {
    BOOST_TEST(samples[i].timestamp_ms == static_cast<int64_t>(i + 1) * 1000);
  }
}

BOOST_FIXTURE_TEST_CASE(ExemplarsHistogramsAndMetadataArrive, Fixture) {
  prometheus::WriteRequest request;
  auto* exemplars = AddSeries(&request, {{"__name__", "a"}});
  auto* exemplar = exemplars->add_exemplars();
  exemplar->set_value(0.5);
  exemplar->set_timestamp(1234);
  auto* label = exemplar->add_labels();
  label->set_name("trace_id");
  label->set_value("abc");

  auto* integer = AddSeries(&request, {{"__name__", "h"}})->add_histograms();
  integer->set_count_int(12);
  integer->set_sum(18.4);
  integer->set_schema(1);
  integer->set_zero_threshold(0.001);
  integer->set_zero_count_int(2);
  auto* span = integer->add_positive_spans();
  span->set_offset(-1);
  span->set_length(2);
  span = integer->add_positive_spans();
  span->set_offset(1);
  span->set_length(2);
  for (const int64_t delta : {3, -1, 0, 1}) integer->add_positive_deltas(delta);
  integer->set_timestamp(1000);
  integer->set_reset_hint(prometheus::Histogram::NO);

  auto* custom = AddSeries(&request, {{"__name__", "f"}})->add_histograms();
  custom->set_count_float(3.5);
  custom->set_sum(7);
  custom->set_schema(-53);
  span = custom->add_positive_spans();
  span->set_length(2);
  custom->add_positive_counts(1.5);
  custom->add_positive_counts(2);
  custom->add_custom_values(5);
  custom->set_timestamp(2000);

  auto* metadata = request.add_metadata();
  metadata->set_metric_family_name("h");
  metadata->set_type(prometheus::MetricMetadata::HISTOGRAM);
  metadata->set_help("what it is");
  metadata->set_unit("seconds");

  int families = 0;
  options.note_metadata = [&](std::string_view family, const model::Metadata& m) {
    ++families;
    BOOST_TEST(family == "h");
    BOOST_TEST((m.type == model::MetricType::kHistogram));
    BOOST_TEST(m.help == "what it is");
    BOOST_TEST(m.unit == "seconds");
  };

  const RemoteWriteOutcome outcome = Write(request);
  BOOST_TEST(outcome.message == "");
  BOOST_TEST(outcome.http_status == 204);
  BOOST_TEST(outcome.histograms_written == 2u);
  BOOST_TEST(outcome.exemplars_written == 1u);
  BOOST_REQUIRE(appender.Exemplars().size() == 1u);
  BOOST_TEST(appender.Exemplars()[0].timestamp_ms == 1234);
  BOOST_TEST(model::Labels::FromPacked(appender.Exemplars()[0].labels).Get("trace_id") == "abc");
  BOOST_REQUIRE(appender.Histograms().size() == 2u);
  for (const model::Histogram& h : appender.Histograms()) {
    if (h.integer) {
      BOOST_TEST(h.positive_buckets == (std::vector<double>{3, 2, 2, 3}),
                 boost::test_tools::per_element());
      BOOST_TEST(h.zero_count == 2);
      BOOST_TEST(h.positive_spans[0].offset == -1);
      BOOST_TEST((h.hint == model::CounterResetHint::kNotReset));
    } else {
      BOOST_TEST(h.uses_custom_buckets());
      BOOST_TEST(h.custom_values.size() == 1u);
      BOOST_TEST(h.count == 3.5);
    }
  }
  BOOST_TEST(families == 1);

  prometheus::WriteRequest bad;
  AddSeries(&bad, {{"__name__", "h"}})->add_histograms()->add_positive_deltas(1);
  AddSeries(&bad, {{"__name__", "good"}}, {{1, 1}});
  BOOST_TEST(Write(bad).http_status == 400);
  BOOST_TEST(appender.Of("good").empty());
}

BOOST_FIXTURE_TEST_CASE(WhatIsTooLargeOrNoMessageIsRefused, Fixture) {
  options.compressed_bytes_max = 1000;
  options.inflated_bytes_max = 5000;
  prometheus::WriteRequest empty;
  BOOST_TEST(Write(empty).http_status == 204);
  BOOST_TEST(receiver->Write("s", std::string(1001, 'x')).http_status == 413);
  BOOST_TEST(receiver->Write("s", Compress(std::string(5001, 'a'))).http_status == 413);
  BOOST_TEST(receiver->Write("s", "\xff\xff\xff\xff\x0fxxxx").http_status == 413);
  BOOST_TEST(receiver->Write("s", "").http_status == 400);
  BOOST_TEST(receiver
                 ->Write("s",
                         "\x05"
                         "abc")
                 .http_status == 400);
  BOOST_TEST(receiver
                 ->Write("s", Compress("\x0a\x05"
                                       "abc"))
                 .http_status == 400);
  BOOST_TEST(receiver->Write("s", Compress("\x0a\x02\x0a\x09")).http_status == 400);
}

BOOST_FIXTURE_TEST_CASE(OverTheSeriesLimitTheRestIsWritten, Fixture) {
  appender.series_max = 1;
  prometheus::WriteRequest request;
  AddSeries(&request, {{"__name__", "a"}}, {{1, 1}});
  AddSeries(&request, {{"__name__", "b"}, {"x", "y"}}, {{1, 1}, {2, 1}});
  const RemoteWriteOutcome outcome = Write(request);
  BOOST_TEST(outcome.http_status == 400);
  BOOST_TEST(outcome.message ==
             "limit on series reached: 2 samples of new series were not stored, the first of "
             "b{x=\"y\"}; the rest was");
  BOOST_TEST(appender.Last("a") == 1);
  appender.series_max = 2;
  BOOST_TEST(Write(request).http_status == 204);
}

BOOST_FIXTURE_TEST_CASE(ForgottenSeriesGiveTheirSlotsBack, Fixture) {
  prometheus::WriteRequest both;
  AddSeries(&both, {{"__name__", "a"}}, {{1, 1}});
  AddSeries(&both, {{"__name__", "b"}}, {{1, 1}});
  prometheus::WriteRequest one;
  AddSeries(&one, {{"__name__", "a"}}, {{2, 1}});
  BOOST_TEST(Write(both).http_status == 204);
  BOOST_TEST(appender.live_slots() == 2u);
  for (int i = 0; i < 3; ++i) {
    env.AdvanceMs(60 * 60 * 1000);
    BOOST_TEST(Write(one).http_status == 204);
  }
  BOOST_TEST(appender.live_slots() == 1u);
  BOOST_TEST(Write(both).http_status == 204);
  BOOST_TEST(appender.live_slots() == 2u);
}

BOOST_FIXTURE_TEST_CASE(TheMemoStaysWithinItsBound, Fixture) {
  options.known_series_bytes_max = 256 * 32;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 1000; ++i) {
      prometheus::WriteRequest request;
      AddSeries(&request, {{"__name__", "a"}, {"i", std::to_string(i)}}, {{round + 1, 1}});
      BOOST_REQUIRE(Write(request).http_status == 204);
    }
  }
  BOOST_TEST(appender.live_slots() == 1000u);
  BOOST_TEST(appender.Of(R"(a{i="999"})").size() == 2u);
}

BOOST_AUTO_TEST_CASE(HeadersDecideWhatIsTaken) {
  BOOST_TEST(CheckRemoteWriteHeaders("", "") == "");
  BOOST_TEST(CheckRemoteWriteHeaders("application/x-protobuf", "snappy") == "");
  BOOST_TEST(CheckRemoteWriteHeaders("application/x-protobuf;proto=prometheus.WriteRequest",
                                     "snappy") == "");
  BOOST_TEST(CheckRemoteWriteHeaders("application/x-protobuf;proto=io.prometheus.write.v2.Request",
                                     "snappy") != "");
  BOOST_TEST(CheckRemoteWriteHeaders("text/plain", "snappy") != "");
  BOOST_TEST(CheckRemoteWriteHeaders("application/x-protobuf", "gzip") != "");
}

BOOST_AUTO_TEST_CASE(AnyBytesAreReadWithinBounds) {
  prometheus::WriteRequest request;
  AddSeries(&request, {{"__name__", "a"}, {"x", "y"}}, {{1000, 1}, {2000, 2}});
  auto* h = AddSeries(&request, {{"__name__", "h"}})->add_histograms();
  h->set_count_int(1);
  h->add_positive_deltas(1);
  const std::string good = request.SerializeAsString();
  std::mt19937 random(20261124);
  WireSeries series;
  WireMetadata metadata;
  std::vector<model::LabelView> labels;
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = good.substr(0, random() % (good.size() + 1));
    for (int k = 0; k < 3 && !bytes.empty(); ++k) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    // A heap block of just this size, so that a sanitizer sees one byte too many.
    const std::vector<char> exact(bytes.begin(), bytes.end());
    WriteRequestReader reader({exact.data(), exact.size()});
    int items = 0;
    for (auto next = reader.Read(&series, &metadata);
         next != WriteRequestReader::Next::kEnd && next != WriteRequestReader::Next::kMalformed;
         next = reader.Read(&series, &metadata)) {
      ++items;
      if (next == WriteRequestReader::Next::kSeries) (void)ReadLabels(series.message, &labels);
    }
    BOOST_REQUIRE(items <= 200);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::collector
