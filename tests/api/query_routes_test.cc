// The query endpoints: shapes, numbers, every error of http-api.md §1.2.
#include <boost/test/unit_test.hpp>
#include <limits>
#include <string>

#include "api/json_results.h"
#include "api/parameters.h"
#include "tests/api/api_fixture.h"

namespace tocsin::api {
namespace {
namespace query_routes_test {

using testing::Answer;
using testing::ApiFixture;

BOOST_FIXTURE_TEST_SUITE(QueryRoutes, ApiFixture)

BOOST_AUTO_TEST_CASE(AnswersInTheShapesOfTheReference) {
  const std::string t = "1767225600";
  const struct {
    std::string target;
    std::string body;
  } cases[] = {
      {"/api/v1/query?query=1%2B1&time=1.5",
       R"({"status":"success","data":{"resultType":"scalar","result":[1.500,"2"]}})"},
      {"/api/v1/query?query=-1.25&time=-1.25",
       R"({"status":"success","data":{"resultType":"scalar","result":[-1.250,"-1.25"]}})"},
      {"/api/v1/query?query=%22%3Ca%3E%22&time=0",
       R"({"status":"success","data":{"resultType":"string","result":[0,"\u003ca\u003e"]}})"},
      {"/api/v1/query?query=up",
       R"({"status":"success","data":{"resultType":"vector","result":[)"
       R"({"metric":{"__name__":"up","instance":"a","job":"x"},"value":[1767225600,"1"]},)"
       R"({"metric":{"__name__":"up","instance":"b","job":"x"},"value":[1767225600,"0.5"]}]}})"},
      {"/api/v1/query?query=nothing",
       R"({"status":"success","data":{"resultType":"vector","result":[]}})"},
      {"/api/v1/query?query=up%7Binstance%3D%22a%22%7D%5B20s%5D",
       R"({"status":"success","data":{"resultType":"matrix","result":[)"
       R"({"metric":{"__name__":"up","instance":"a","job":"x"},)"
       R"("values":[[1767225585,"1"],[1767225600,"1"]]}]}})"},
      {"/api/v1/query_range?query=up%7Binstance%3D%22a%22%7D&start=1767225585&end=1767225600&step="
       "10s",
       R"({"status":"success","data":{"resultType":"matrix","result":[)"
       R"({"metric":{"__name__":"up","instance":"a","job":"x"},)"
       R"("values":[[1767225585,"1"],[1767225595,"1"]]}]}})"},
      {"/api/v1/query_range?query=7&start=0&end=1&step=1",
       R"({"status":"success","data":{"resultType":"matrix","result":[)"
       R"({"metric":{},"values":[[0,"7"],[1,"7"]]}]}})"},
      {"/api/v1/query?query=up&limit=1",
       R"({"status":"success","data":{"resultType":"vector","result":[)"
       R"({"metric":{"__name__":"up","instance":"a","job":"x"},"value":[1767225600,"1"]}]},)"
       R"("warnings":["results truncated due to limit"]})"},
      {"/api/v1/format_query?query=sum(rate(x%5B5m%5D))by(job)",
       R"x({"status":"success","data":"sum by (job) (rate(x[5m]))"})x"},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.target) {
      const Answer answer = Get(c.target);
      BOOST_TEST(answer.status == 200);
      BOOST_TEST(answer.body == c.body);
      BOOST_TEST(answer.headers.Get("Content-Type") == "application/json");
    }
  }
}

BOOST_AUTO_TEST_CASE(NamesEveryError) {
  const std::string range = "&start=0&end=1&step=1";
  const struct {
    std::string target;
    int status;
    std::string type;
    std::string message;
  } cases[] = {
      {"/api/v1/query?query=sum(", 400, "bad_data",
       R"(invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis)"},
      {"/api/v1/query", 400, "bad_data",
       R"(invalid parameter \"query\": unknown position: parse error: no expression found in input)"},
      {"/api/v1/query?query=1&time=x", 400, "bad_data",
       R"(invalid parameter \"time\": cannot parse \"x\" to a valid timestamp)"},
      {"/api/v1/query?query=1&time=NaN", 400, "bad_data",
       R"(invalid parameter \"time\": cannot parse \"NaN\" to a valid timestamp)"},
      {"/api/v1/query?query=1&timeout=x", 400, "bad_data",
       R"(invalid parameter \"timeout\": cannot parse \"x\" to a valid duration)"},
      {"/api/v1/query?query=1&timeout=0", 400, "bad_data",
       R"(invalid parameter \"query\": context deadline exceeded)"},
      {"/api/v1/query?query=1&lookback_delta=x", 400, "bad_data",
       R"(error parsing lookback delta duration: cannot parse \"x\" to a valid duration)"},
      {"/api/v1/query?query=1&limit=-1", 400, "bad_data",
       R"(invalid parameter \"limit\": limit must be non-negative)"},
      {"/api/v1/query?query=1&limit=a", 400, "bad_data",
       R"(invalid parameter \"limit\": strconv.Atoi: parsing \"a\": invalid syntax)"},
      {"/api/v1/query?query=up%20%2B%20on(job)%20up", 422, "execution", ""},
      {"/api/v1/query?query=sum_over_time(up%5B1h%3A1s%5D)", 422, "execution",
       "query processing would load too many samples into memory in query execution"},
      {"/api/v1/query_range?query=1", 400, "bad_data",
       R"(invalid parameter \"start\": cannot parse \"\" to a valid timestamp)"},
      {"/api/v1/query_range?query=1&start=1", 400, "bad_data",
       R"(invalid parameter \"end\": cannot parse \"\" to a valid timestamp)"},
      {"/api/v1/query_range?query=1&start=2&end=1&step=1", 400, "bad_data",
       R"(invalid parameter \"end\": end timestamp must not be before start time)"},
      {"/api/v1/query_range?query=1&start=1&end=2", 400, "bad_data",
       R"(invalid parameter \"step\": cannot parse \"\" to a valid duration)"},
      {"/api/v1/query_range?query=1&start=1&end=2&step=0", 400, "bad_data",
       R"(invalid parameter \"step\": zero or negative query resolution step widths are not )"
       R"(accepted. Try a positive integer)"},
      {"/api/v1/query_range?query=1&start=1&end=2&step=-5s", 400, "bad_data",
       R"(invalid parameter \"step\": cannot parse \"-5s\" to a valid duration)"},
      {"/api/v1/query_range?query=1&start=1&end=2&step=1e300", 400, "bad_data",
       R"(invalid parameter \"step\": cannot parse \"1e300\" to a valid duration. It overflows )"
       R"(int64)"},
      {"/api/v1/query_range?query=1&start=0&end=11001&step=1", 400, "bad_data",
       "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query "
       "resolution (?step=XX)"},
      {"/api/v1/query_range?query=%22a%22" + range, 400, "bad_data",
       R"(invalid parameter \"query\": invalid expression type \"string\" for range query, must be )"
       R"(Scalar or instant Vector)"},
      {"/api/v1/query_range?query=up%5B5m%5D" + range, 400, "bad_data",
       R"(invalid parameter \"query\": invalid expression type \"range vector\" for range query, )"
       R"(must be Scalar or instant Vector)"},
      {"/api/v1/query_exemplars?query=sum(", 400, "bad_data",
       "1:5: parse error: unclosed left parenthesis"},
      {"/api/v1/query_exemplars?query=up&start=2&end=1", 400, "bad_data",
       "end timestamp must not be before start timestamp"},
      {"/api/v1/format_query?query=%3C", 400, "bad_data",
       R"(invalid parameter \"query\": 1:1: parse error: unexpected \u003cop:\u003c\u003e)"},
      {"/api/v1/parse_query", 400, "bad_data",
       R"(invalid parameter \"query\": unknown position: parse error: no expression found in input)"},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.target) {
      const Answer answer = Get(c.target);
      BOOST_TEST(answer.status == c.status);
      const std::string head =
          R"({"status":"error","errorType":")" + c.type + R"(","error":")" + c.message;
      if (c.message.empty()) {
        BOOST_TEST(answer.body.starts_with(head));
      } else {
        BOOST_TEST(answer.body == head + "\"}");
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(ElevenThousandAndOnePointsPass) {
  BOOST_TEST(Get("/api/v1/query_range?query=vector(1)&start=0&end=900&step=1").status == 200);
  // Over max_samples of the fixture, but past the check of the resolution.
  BOOST_TEST(Get("/api/v1/query_range?query=1&start=0&end=11000&step=1").body.find("maximum") ==
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(GoneClientsEndTheQuery) {
  client_gone.store(true);
  const Answer answer = Get("/api/v1/query?query=up");
  BOOST_TEST(answer.status == 499);
  BOOST_TEST(answer.body.starts_with(R"({"status":"error","errorType":"canceled","error":")"));
}

BOOST_AUTO_TEST_CASE(ListsOfSeriesAreBoundedAsQueriesAre) {
  client_gone.store(true);
  for (const std::string target : {"/api/v1/series?match[]=up", "/api/v1/labels",
                                   "/api/v1/label/job/values", "/federate?match[]=up"}) {
    BOOST_TEST_CONTEXT(target) { BOOST_TEST(Get(target).status == (target[1] == 'f' ? 500 : 499)); }
  }
  client_gone.store(false);
  // Nothing is left for users.
  const auto all = engine.NewRequestBudget();
  const auto rest = engine.NewRequestBudget();
  BOOST_REQUIRE(all->Charge(all->limit()).ok());
  BOOST_REQUIRE(rest->Charge(rest->limit()).ok());
  const Answer series = Get("/api/v1/series?match[]=up");
  BOOST_TEST(series.status == 422);
  BOOST_TEST(series.body.find("memory of users' queries") != std::string::npos, series.body);
  BOOST_TEST(Get("/federate?match[]=up").status == 503);
  all->Release(all->limit());
  rest->Release(rest->limit());
  BOOST_TEST(Get("/api/v1/series?match[]=up").status == 200);
  BOOST_TEST(engine.memory().used_bytes == 0U);
}

BOOST_AUTO_TEST_CASE(FormsCountFirst) {
  const Answer answer = PostForm("/api/v1/query?query=2&time=9", "query=1");
  BOOST_TEST(answer.body ==
             R"({"status":"success","data":{"resultType":"scalar","result":[9,"1"]}})");
}

BOOST_AUTO_TEST_CASE(ShowsStatistics) {
  Answer answer = Get("/api/v1/query?query=up&stats=true");
  BOOST_TEST(answer.body.find(R"("stats":{"timings":{"evalTotalTime":)") != std::string::npos);
  BOOST_TEST(answer.body.find(R"("samples":{"totalQueryableSamples":2,)") != std::string::npos);
  answer = Get("/api/v1/query?query=up&stats=yes");
  BOOST_TEST(answer.body.ends_with(
      R"("warnings":["value \"yes\" for parameter \"stats\" is deprecated and will be rejected )"
      R"(in the next major release, use \"true\" or \"all\""]})"));
  BOOST_TEST(Get("/api/v1/query?query=up").body.find("stats") == std::string::npos);
  query::QueryResult result;
  result.stats.samples_per_step = {{1000, 2}, {2500, 3}};
  http::HttpResponse response;
  DataWriter out(&response);
  WriteQueryData(&out, result, StatsMode::kPerStep);
  BOOST_TEST(response.body.ToString().find(
                 R"("samples":{"totalQueryableSamplesPerStep":[[1,2],[2.500,3]],)"
                 R"("totalQueryableSamples":0,)") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(AnnotationsFollowTheData) {
  const Answer answer = Get("/api/v1/query?query=quantile(2,up)");
  BOOST_TEST(answer.status == 200);
  BOOST_TEST(answer.body.ends_with(
      R"x(,"warnings":["PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)"]})x"));
}

BOOST_AUTO_TEST_CASE(AnnotationsAreCutAtTen) {
  http::HttpResponse response;
  DataWriter out(&response);
  out.json().Null();
  std::vector<std::string> many;
  for (int i = 0; i < 13; ++i) many.push_back("w" + std::to_string(i));
  out.Finish(many, {"i"});
  BOOST_TEST(response.body.ToString() ==
             R"({"status":"success","data":null,"warnings":["w0","w1","w2","w3","w4","w5","w6",)"
             R"("w7","w8","w9","3 more warning annotations omitted"],"infos":["i"]})");
}

BOOST_AUTO_TEST_CASE(ExemplarsComeWithTheirSeries) {
  BOOST_TEST(Get("/api/v1/query_exemplars?query=1").status == 204);
  BOOST_TEST(Get("/api/v1/query_exemplars?query=up").body == R"({"status":"success","data":[]})");
  const auto labels = model::Labels::FromPairs({{"__name__", "h_bucket"}, {"le", "1"}});
  store.Add(labels, kNowMs, 1);
  store.AddExemplar(labels, {.labels = model::Labels::FromPairs({{"trace", "t<1>"}}).packed(),
                             .value = 0.25,
                             .timestamp_ms = kNowMs - 500,
                             .has_timestamp = true});
  BOOST_TEST(Get("/api/v1/query_exemplars?query=rate(h_bucket%5B5m%5D)").body ==
             R"({"status":"success","data":[{"seriesLabels":{"__name__":"h_bucket","le":"1"},)"
             R"("exemplars":[{"labels":{"trace":"t<1>"},"value":"0.25",)"
             R"("timestamp":1767225599.500}]}]})");
}

BOOST_AUTO_TEST_CASE(LabelMapsAreEscapedAsLittleAsJsonAllows) {
  store.Add(model::Labels::FromPairs({{"__name__", "m"}, {"a", "<&>\"\\\n\xE2\x80\xA8"}}), kNowMs,
            1);
  const Answer answer = Get("/api/v1/query?query=m");
  BOOST_TEST(answer.body.find("\"a\":\"<&>\\\"\\\\\\n\xE2\x80\xA8\"") != std::string::npos);
  BOOST_TEST(Get("/api/v1/label/a/values").body ==
             R"({"status":"success","data":["\u003c\u0026\u003e\"\\\n\u2028"]})");
}

BOOST_AUTO_TEST_CASE(HistogramsShowTheirBuckets) {
  model::Histogram h;
  h.schema = 0;
  h.zero_threshold = 0.001;
  h.zero_count = 1;
  h.count = 6;
  h.sum = 3.5;
  h.positive_spans = {{0, 2}, {1, 1}};
  h.positive_buckets = {2, 0, 1};
  h.negative_spans = {{0, 1}};
  h.negative_buckets = {2};
  std::string text;
  AppendHistogram(text, h);
  BOOST_TEST(text ==
             R"({"count":"6","sum":"3.5","buckets":[[1,"-1","-0.5","2"],[3,"-0.001","0.001","1"],)"
             R"([0,"0.5","1","2"],[0,"4","8","1"]]})");
  model::Histogram custom;
  custom.schema = model::kCustomBucketsSchema;
  custom.custom_values = {-1, 2};
  custom.positive_spans = {{0, 3}};
  custom.positive_buckets = {1, 2, 3};
  custom.count = 6;
  text.clear();
  AppendHistogram(text, custom);
  BOOST_TEST(text == R"({"count":"6","sum":"0","buckets":[[3,"-Inf","-1","1"],[0,"-1","2","2"],)"
                     R"([0,"2","+Inf","3"]]})");
  text.clear();
  AppendHistogram(text, model::Histogram());
  BOOST_TEST(text == R"({"count":"0","sum":"0"})");
}

BOOST_AUTO_TEST_CASE(ReadsTimesAndDurations) {
  const struct {
    const char* text;
    int64_t time_ms;
  } times[] = {
      {"1435781451.781", 1435781451781},
      {"-0.0005", -1},
      {"1e9", 1'000'000'000'000},
      {"2015-07-01T20:10:51.781Z", 1435781451781},
      {"2015-07-01T22:10:51.7819+02:00", 1435781451781},
      {"-292273086-05-16T16:47:06Z", -9'223'309'901'257'974'000},
      {"292277025-08-18T07:12:54.999999999Z", 9'223'309'901'257'974'999},
  };
  for (const auto& c : times) {
    BOOST_TEST_CONTEXT(c.text) {
      const auto time = ParseTimeText(c.text);
      BOOST_REQUIRE(time.has_value());
      BOOST_TEST(*time == c.time_ms);
    }
  }
  for (const char* bad : {"", "x", "Inf", "1e18", "2015-07-01"}) {
    BOOST_TEST_CONTEXT(bad) { BOOST_TEST(!ParseTimeText(bad).has_value()); }
  }
  BOOST_TEST(ParseDurationText("1m0s").value() == 60'000);
  BOOST_TEST(ParseDurationText("1h30m").value() == 5'400'000);
  BOOST_TEST(ParseDurationText("0.25").value() == 250);
  BOOST_TEST(!ParseDurationText("1x").has_value());
}

BOOST_AUTO_TEST_CASE(WritesValuesAsGoDoes) {
  BOOST_TEST(FormatExponent(1) == "1e+00");
  BOOST_TEST(FormatExponent(0) == "0e+00");
  BOOST_TEST(FormatExponent(-1234.5) == "-1.2345e+03");
  BOOST_TEST(FormatExponent(1e-100) == "1e-100");
  BOOST_TEST(FormatExponent(std::numeric_limits<double>::infinity()) == "+Inf");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace query_routes_test
}  // namespace
}  // namespace tocsin::api
