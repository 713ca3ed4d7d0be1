// /query, /query_range, /query_exemplars, /format_query, /parse_query (http-api.md §2).
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
  query::QueryOptions options;
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
  common.stats = StatsParameter(deps, params, &common.warnings);
  common.options.timeout_ms = *timeout_ms;
  common.options.lookback_delta_ms = *lookback_ms;
  common.options.per_step_stats = common.stats == StatsMode::kPerStep;
  common.options.cancel = request.client_gone.get();
  return common;
}

void RespondResult(Result<query::QueryResult> result, CommonParameters common,
                   HttpResponse* response) {
  if (!result) return RespondError(response, FromStatus(result.error()));
  std::vector<std::string> warnings = std::move(result->annotations.warnings);
  if (auto* vector = std::get_if<query::Vector>(&result->value)) {
    CutToLimit(common.limit, vector, &warnings);
  } else if (auto* matrix = std::get_if<query::Matrix>(&result->value)) {
    CutToLimit(common.limit, matrix, &warnings);
  }
  warnings.insert(warnings.end(), common.warnings.begin(), common.warnings.end());
  DataWriter out(response);
  WriteQueryData(&out, *result, common.stats);
  out.Finish(warnings, result->annotations.infos);
}

void Query(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  TOCSIN_API_ASSIGN(const size_t limit, response, LimitParameter(params));
  TOCSIN_API_ASSIGN(const model::Timestamp time_ms, response,
                    TimeParameter(params, "time", deps.env->NowMs()));
  TOCSIN_API_ASSIGN(CommonParameters common, response, ParseCommon(deps, request, params, limit));
  RespondResult(deps.engine->Instant(*deps.store, params.Get("query"), time_ms, common.options),
                std::move(common), response);
}

void QueryRange(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  TOCSIN_API_ASSIGN(const size_t limit, response, LimitParameter(params));
  TOCSIN_API_ASSIGN(const model::Timestamp start_ms, response, RequiredTime(params, "start"));
  TOCSIN_API_ASSIGN(const model::Timestamp end_ms, response, RequiredTime(params, "end"));
  if (end_ms < start_ms) {
    return RespondError(response,
                        InvalidParameter("end", "end timestamp must not be before start time"));
  }
  const auto step_ms = ParseDurationText(params.Get("step"));
  if (!step_ms) return RespondError(response, InvalidParameter("step", step_ms.error()));
  if (*step_ms <= 0) {
    return RespondError(response,
                        InvalidParameter("step",
                                         "zero or negative query resolution step widths are not "
                                         "accepted. Try a positive integer"));
  }
  // Unsigned: the ends may lie further apart than int64 reaches.
  const uint64_t span_ms = static_cast<uint64_t>(end_ms) - static_cast<uint64_t>(start_ms);
  if (span_ms / static_cast<uint64_t>(*step_ms) > kStepsMax) {
    return RespondError(response,
                        {ErrorType::kBadData,
                         "exceeded maximum resolution of 11,000 points per timeseries. Try "
                         "decreasing the query resolution (?step=XX)"});
  }
  TOCSIN_API_ASSIGN(CommonParameters common, response, ParseCommon(deps, request, params, limit));
  RespondResult(deps.engine->Range(*deps.store, params.Get("query"), start_ms, end_ms, *step_ms,
                                   common.options),
                std::move(common), response);
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
  add("/query_exemplars", QueryExemplars);
  add("/format_query", FormatQuery);
  add("/parse_query", ParseQuery);
}

}  // namespace tocsin::api
