// /query, /query_range, /query_exemplars, /format_query, /parse_query (http-api.md §2), and ours:
// /explain.
#include <algorithm>
#include <optional>

#include "api/api_response.h"
#include "api/api_router.h"
#include "api/json_results.h"
#include "api/parameters.h"
#include "base/env.h"
#include "base/number.h"
#include "query/parser.h"
#include "query/printer.h"
#include "query/promql_json.h"

namespace tocsin::api {
namespace {

using http::FormParams;
using http::HttpRequest;
using http::HttpResponse;

// 11,001 points pass, as the check is (end - start) / step.
constexpr int64_t kStepsMax = 11'000;

struct CommonParameters {
  size_t limit = 0;
  query::QueryDescription what;
  query::QueryOptions options;
  query::QueryCaching caching = query::QueryCaching::kUse;
  StatsMode stats = StatsMode::kNone;
  std::vector<std::string> warnings;
};

// `timeout`: from the request's arrival on, so that waiting for a worker counts.
Parsed<int64_t> RemainingTimeoutMs(const Dependencies& deps, const HttpRequest& request,
                                   const FormParams& params) {
  const std::string_view text = params.Get("timeout");
  int64_t timeout_ms = deps.engine->options().timeout_ms;
  if (!text.empty()) {
    const auto asked_ms = ParseDurationText(text);
    if (!asked_ms) return std::unexpected(InvalidParameter("timeout", asked_ms.error()));
    timeout_ms = std::min(timeout_ms, *asked_ms);
  }
  const int64_t now_ms = deps.env->MonotonicNanos() / 1'000'000;
  const int64_t left_ms = timeout_ms - (now_ms - request.received_monotonic_ms);
  if (left_ms > 0) return left_ms;
  // Asked for: the query object is never made. Ours: it waited too long.
  if (!text.empty()) {
    return std::unexpected(InvalidParameter("query", "context deadline exceeded"));
  }
  return std::unexpected(ApiError{ErrorType::kTimeout, "query timed out in query queue"});
}

Parsed<int64_t> LookbackDeltaMs(const FormParams& params) {
  const std::string_view text = params.Get("lookback_delta");
  if (text.empty()) return 0;
  const auto delta_ms = ParseDurationText(text);
  if (!delta_ms) {
    return std::unexpected(ApiError{ErrorType::kBadData,
                                    "error parsing lookback delta duration: " + delta_ms.error()});
  }
  return std::max<int64_t>(*delta_ms, 0);
}

// As Go reads booleans; absent = false.
Parsed<bool> FlagParameter(const FormParams& params, std::string_view name) {
  const std::string_view text = params.Get(name);
  if (text.empty()) return false;
  const std::optional<bool> value = ParseBool(text);
  if (!value) {
    return std::unexpected(
        InvalidParameter(name, "cannot parse " + model::QuoteString(text) + " as a boolean"));
  }
  return *value;
}

StatsMode StatsParameter(const Dependencies& deps, const FormParams& params,
                         std::vector<std::string>* warnings) {
  const std::string_view text = params.Get("stats");
  if (text.empty()) return StatsMode::kNone;
  if (text == "all") return deps.per_step_stats ? StatsMode::kPerStep : StatsMode::kTotals;
  if (text != "true") {
    warnings->push_back("value " + model::QuoteString(text) +
                        " for parameter \"stats\" is deprecated and will be rejected in the next "
                        "major release, use \"true\" or \"all\"");
  }
  return StatsMode::kTotals;
}

// What both kinds of query take, `limit` apart (which is checked before the times).
Parsed<CommonParameters> ParseCommon(const Dependencies& deps, const HttpRequest& request,
                                     const FormParams& params, size_t limit) {
  CommonParameters common;
  common.limit = limit;
  const Parsed<int64_t> timeout_ms = RemainingTimeoutMs(deps, request, params);
  if (!timeout_ms) return std::unexpected(timeout_ms.error());
  const Parsed<int64_t> lookback_ms = LookbackDeltaMs(params);
  if (!lookback_ms) return std::unexpected(lookback_ms.error());
  const Parsed<bool> nocache = FlagParameter(params, "nocache");
  if (!nocache) return std::unexpected(nocache.error());
  if (*nocache) common.caching = query::QueryCaching::kBypass;
  common.stats = StatsParameter(deps, params, &common.warnings);
  common.what.text = params.Get("query");
  common.what.origin = {.client = request.remote_address,
                        .method = request.method,
                        .path = request.path,
                        .rule_file = {},
                        .rule_group = {}};
  const int64_t now_ms = deps.env->MonotonicNanos() / 1'000'000;
  common.options.queue_seconds = static_cast<double>(now_ms - request.received_monotonic_ms) / 1000;
  common.options.timeout_ms = *timeout_ms;
  common.options.lookback_delta_ms = *lookback_ms;
  common.options.per_step_stats = common.stats == StatsMode::kPerStep;
  common.options.cancel = request.client_gone.get();
  return common;
}

// The result with at most `limit` elements; nothing when it has no more than that.
std::optional<query::QueryResult> Shortened(const query::QueryResult& result, size_t limit,
                                            std::vector<std::string>* warnings) {
  query::QueryResult cut;
  cut.stats = result.stats;
  const auto shorten = [&](const auto& items) {
    auto kept = std::decay_t<decltype(items)>(
        items.begin(), items.begin() + static_cast<ptrdiff_t>(std::min(items.size(), limit + 1)));
    CutToLimit(limit, &kept, warnings);
    cut.value = std::move(kept);
  };
  const auto* vector = std::get_if<query::Vector>(&result.value);
  const auto* matrix = std::get_if<query::Matrix>(&result.value);
  if (limit == 0) return std::nullopt;
  if (vector != nullptr && vector->size() > limit) {
    shorten(*vector);
    return cut;
  }
  if (matrix != nullptr && matrix->size() > limit) {
    shorten(*matrix);
    return cut;
  }
  return std::nullopt;
}

void RespondResult(const Result<query::SharedResult>& answer, const CommonParameters& common,
                   HttpResponse* response) {
  if (!answer) return RespondError(response, FromStatus(answer.error()));
  const query::QueryResult& result = **answer;
  std::vector<std::string> warnings = result.annotations.warnings;
  const auto cut = Shortened(result, common.limit, &warnings);
  warnings.insert(warnings.end(), common.warnings.begin(), common.warnings.end());
  DataWriter out(response);
  WriteQueryData(&out, cut ? *cut : result, common.stats);
  out.Finish(warnings, result.annotations.infos);
}

Parsed<CommonParameters> ParseInstant(const Dependencies& deps, const HttpRequest& request,
                                      const FormParams& params) {
  const Parsed<size_t> limit = LimitParameter(params);
  if (!limit) return std::unexpected(limit.error());
  const Parsed<model::Timestamp> time_ms = TimeParameter(params, "time", deps.env->NowMs());
  if (!time_ms) return std::unexpected(time_ms.error());
  Parsed<CommonParameters> common = ParseCommon(deps, request, params, *limit);
  if (!common) return common;
  common->what.start_ms = common->what.end_ms = *time_ms;
  return common;
}

Parsed<CommonParameters> ParseRange(const Dependencies& deps, const HttpRequest& request,
                                    const FormParams& params) {
  const auto fail = [](ApiError error) { return std::unexpected(std::move(error)); };
  const Parsed<size_t> limit = LimitParameter(params);
  if (!limit) return fail(limit.error());
  const Parsed<model::Timestamp> start_ms = RequiredTime(params, "start");
  if (!start_ms) return fail(start_ms.error());
  const Parsed<model::Timestamp> end_ms = RequiredTime(params, "end");
  if (!end_ms) return fail(end_ms.error());
  if (*end_ms < *start_ms) {
    return fail(InvalidParameter("end", "end timestamp must not be before start time"));
  }
  const auto step_ms = ParseDurationText(params.Get("step"));
  if (!step_ms) return fail(InvalidParameter("step", step_ms.error()));
  if (*step_ms <= 0) {
    return fail(InvalidParameter("step",
                                 "zero or negative query resolution step widths are not "
                                 "accepted. Try a positive integer"));
  }
  // Unsigned: the ends may lie further apart than int64 reaches.
  const uint64_t span_ms = static_cast<uint64_t>(*end_ms) - static_cast<uint64_t>(*start_ms);
  if (span_ms / static_cast<uint64_t>(*step_ms) > kStepsMax) {
    return fail({ErrorType::kBadData,
                 "exceeded maximum resolution of 11,000 points per timeseries. Try "
                 "decreasing the query resolution (?step=XX)"});
  }
  Parsed<CommonParameters> common = ParseCommon(deps, request, params, *limit);
  if (!common) return common;
  common->what.start_ms = *start_ms;
  common->what.end_ms = *end_ms;
  common->what.step_ms = *step_ms;
  return common;
}

Result<query::SharedResult> Ask(const Dependencies& deps, const CommonParameters& common) {
  return common.what.step_ms > 0
             ? deps.queries->Range(*deps.store, common.what, common.options, common.caching)
             : deps.queries->Instant(*deps.store, common.what, common.options, common.caching);
}

void Query(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  TOCSIN_API_ASSIGN(const CommonParameters common, response, ParseInstant(deps, request, params));
  RespondResult(Ask(deps, common), common, response);
}

void QueryRange(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  TOCSIN_API_ASSIGN(const CommonParameters common, response, ParseRange(deps, request, params));
  RespondResult(Ask(deps, common), common, response);
}

void WritePlan(const query::PlanNode& node, JsonWriter* json) {
  json->BeginObject();
  json->Key("expr").String(node.text).Key("series").Int(node.series);
  json->Key("points").Int(node.points).Key("samples").Int(node.samples);
  json->Key("bytes").Int(node.bytes).Key("milliseconds").Double(node.seconds * 1000);
  json->Key("timesOnly").Bool(node.times_only).Key("newestOnly").Bool(node.newest_only);
  json->Key("children").BeginArray();
  for (const query::PlanNode& child : node.children) WritePlan(child, json);
  json->EndArray().EndObject();
}

// How many elements the answer has, and points.
std::pair<size_t, size_t> SizeOf(const query::Value& value) {
  if (const auto* vector = std::get_if<query::Vector>(&value)) {
    return {vector->size(), vector->size()};
  }
  const auto* matrix = std::get_if<query::Matrix>(&value);
  if (matrix == nullptr) return {1, 1};
  size_t points = 0;
  for (const query::Series& series : *matrix) {
    points += series.floats.size() + series.histograms.size();
  }
  return {matrix->size(), points};
}

// Runs the query (with start, end and step a range query) and tells what each node of its plan did,
// instead of the answer.
void Explain(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  const bool range = !params.Get("start").empty() || !params.Get("step").empty();
  TOCSIN_API_ASSIGN(
      CommonParameters common, response,
      range ? ParseRange(deps, request, params) : ParseInstant(deps, request, params));
  common.options.explain = true;
  common.caching = query::QueryCaching::kBypass;
  const Result<query::SharedResult> answer = Ask(deps, common);
  if (!answer) return RespondError(response, FromStatus(answer.error()));
  const query::QueryResult& result = **answer;
  const auto [elements, points] = SizeOf(result.value);
  DataWriter out(response);
  JsonWriter& json = out.json();
  json.BeginObject();
  json.Key("resultType").String(query::ValueTypeName(query::TypeOf(result.value)));
  json.Key("series").Uint(elements).Key("points").Uint(points);
  json.Key("cpuMilliseconds").Double(result.stats.cpu_seconds * 1000);
  json.Key("peakBytes").Int(result.stats.peak_bytes);
  std::string stats;
  query::AppendQueryStats(result.stats, common.stats == StatsMode::kPerStep, &stats);
  json.Key("stats").Raw(stats);
  json.Key("plan").BeginArray();
  if (result.plan != nullptr) {
    for (const query::PlanNode& node : result.plan->children) WritePlan(node, &json);
  }
  json.EndArray().EndObject();
  out.Finish(result.annotations.warnings, result.annotations.infos);
}

void WriteExemplars(const std::vector<model::ExemplarSeries>& all, HttpResponse* response) {
  DataWriter out(response);
  out.text() += '[';
  bool first_series = true;
  for (const model::ExemplarSeries& series : all) {
    if (!std::exchange(first_series, false)) out.text() += ',';
    out.text() += R"({"seriesLabels":)";
    AppendLabels(out.text(), series.series_labels);
    out.text() += R"(,"exemplars":[)";
    bool first = true;
    for (const model::Exemplar& exemplar : series.exemplars) {
      if (!std::exchange(first, false)) out.text() += ',';
      out.text() += R"({"labels":)";
      AppendLabels(out.text(), model::Labels::FromPacked(exemplar.labels));
      out.text() += R"(,"value":")" + FormatFloat(exemplar.value) + R"(","timestamp":)";
      JsonWriter(out.text()).TimestampMs(exemplar.timestamp_ms);
      out.text() += '}';
      if (out.Flush()) return;
    }
    out.text() += "]}";
  }
  out.text() += ']';
  out.Finish();
}

void QueryExemplars(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  TOCSIN_API_ASSIGN(const model::TimeRange range, response, RangeParameters(params));
  if (range.max_ms < range.min_ms) {
    return RespondError(response,
                        {ErrorType::kBadData, "end timestamp must not be before start timestamp"});
  }
  const Result<query::ExprPtr> expr =
      query::ParseExpr(params.Get("query"), deps.engine->options().language);
  if (!expr) return RespondError(response, {ErrorType::kBadData, expr.error().message()});
  std::vector<model::MatcherSet> selectors;
  const Status walked =
      query::Inspect(**expr, [&](const query::Expr& node, const std::vector<const query::Expr*>&) {
        if (const auto* selector = query::As<query::VectorSelector>(node)) {
          selectors.push_back(selector->matchers);
        }
      });
  if (!walked.ok()) return RespondError(response, FromStatus(walked));
  if (selectors.empty()) return RespondNoData(response);
  const Result<std::vector<model::ExemplarSeries>> exemplars =
      deps.store->Pin()->Exemplars(selectors, range);
  if (!exemplars) return RespondError(response, FromStatus(exemplars.error()));
  WriteExemplars(*exemplars, response);
}

void FormatQuery(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  const Result<query::ExprPtr> expr =
      query::ParseExpr(params.Get("query"), deps.engine->options().language);
  if (!expr) return RespondError(response, FromStatus(expr.error()));
  DataWriter out(response);
  out.json().String(query::Prettify(**expr));
  out.Finish();
}

void ParseQuery(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  const Result<query::ExprPtr> expr =
      query::ParseExpr(params.Get("query"), deps.engine->options().language);
  if (!expr) return RespondError(response, FromStatus(expr.error()));
  std::string json;
  const Status walked = query::AppendExprJson(**expr, &json);
  if (!walked.ok()) return RespondError(response, FromStatus(walked));
  DataWriter out(response);
  out.text() += json;
  out.Finish();
}

}  // namespace

void AddQueryRoutes(ApiRoutes* routes) {
  const Dependencies& deps = routes->dependencies();
  const auto add = [&](std::string_view path, auto handler) {
    routes->Add({"GET", "POST"}, path, http::Lane::kQuery,
                [&deps, handler](const HttpRequest& request, HttpResponse* response) {
                  handler(deps, request, response);
                });
  };
  add("/query", Query);
  add("/query_range", QueryRange);
  add("/explain", Explain);
  add("/query_exemplars", QueryExemplars);
  add("/format_query", FormatQuery);
  add("/parse_query", ParseQuery);
}

}  // namespace tocsin::api
