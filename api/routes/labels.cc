// /series, /labels, /label/NAME/values (http-api.md §3).
#include "api/api_response.h"
#include "api/api_router.h"
#include "api/json_results.h"
#include "api/parameters.h"
#include "api/request_memory.h"

namespace tocsin::api {
namespace {

using http::FormParams;
using http::HttpRequest;
using http::HttpResponse;

void RespondStrings(Result<std::vector<std::string>> strings, size_t limit,
                    HttpResponse* response) {
  if (!strings) return RespondError(response, FromStatus(strings.error()));
  std::vector<std::string> warnings;
  CutToLimit(limit, &*strings, &warnings);
  DataWriter out(response);
  out.json().BeginArray();
  for (const std::string& text : *strings) {
    out.json().String(text);
    if (out.Flush()) return;
  }
  out.json().EndArray();
  out.Finish(warnings);
}

void LabelNames(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  TOCSIN_API_ASSIGN(const size_t limit, response, LimitParameter(params));
  TOCSIN_API_ASSIGN(const model::TimeRange range, response, RangeParameters(params));
  TOCSIN_API_ASSIGN(const std::vector<model::MatcherSet> sets, response, MatchParameters(params));
  RequestMemory memory(deps, request);
  RespondStrings(deps.store->Pin()->LabelNames(sets, range, memory.Hints(LimitToAskFor(limit))),
                 limit, response);
}

void LabelValues(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const std::string name = UnescapeLabelName(request.captures[0]);
  if (!model::IsValidUtf8(name)) {
    return RespondError(response,
                        {ErrorType::kBadData, "invalid label name: " + model::QuoteString(name)});
  }
  const FormParams params = FormParams::FromRequest(request);
  TOCSIN_API_ASSIGN(const size_t limit, response, LimitParameter(params));
  TOCSIN_API_ASSIGN(const model::TimeRange range, response, RangeParameters(params));
  TOCSIN_API_ASSIGN(const std::vector<model::MatcherSet> sets, response, MatchParameters(params));
  RequestMemory memory(deps, request);
  RespondStrings(
      deps.store->Pin()->LabelValues(name, sets, range, memory.Hints(LimitToAskFor(limit))), limit,
      response);
}

void Series(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  if (!params.error().empty()) {
    return RespondError(response,
                        {ErrorType::kBadData, "error parsing form values: " + params.error()});
  }
  if (!params.Has("match[]")) {
    return RespondError(response, {ErrorType::kBadData, "no match[] parameter provided"});
  }
  TOCSIN_API_ASSIGN(const size_t limit, response, LimitParameter(params));
  TOCSIN_API_ASSIGN(const model::TimeRange range, response, RangeParameters(params));
  const Parsed<std::vector<model::MatcherSet>> sets = MatchParameters(params);
  if (!sets) return RespondError(response, InvalidParameter("match[]", sets.error().message));
  RequestMemory memory(deps, request);
  Result<std::vector<model::Labels>> series =
      deps.store->Pin()->Series(*sets, range, memory.Hints(LimitToAskFor(limit)));
  if (!series) return RespondError(response, FromStatus(series.error()));
  std::vector<std::string> warnings;
  CutToLimit(limit, &*series, &warnings);
  DataWriter out(response);
  out.text() += '[';
  bool first = true;
  for (const model::Labels& labels : *series) {
    if (!std::exchange(first, false)) out.text() += ',';
    AppendLabels(out.text(), labels);
    if (out.Flush()) return;
  }
  out.text() += ']';
  out.Finish(warnings);
}

}  // namespace

void AddLabelRoutes(ApiRoutes* routes) {
  const Dependencies& deps = routes->dependencies();
  const auto add = [&](std::vector<std::string> methods, std::string_view path, auto handler) {
    routes->Add(std::move(methods), path, http::Lane::kQuery,
                [&deps, handler](const HttpRequest& request, HttpResponse* response) {
                  handler(deps, request, response);
                });
  };
  add({"GET", "POST"}, "/series", Series);
  add({"GET", "POST"}, "/labels", LabelNames);
  add({"GET"}, "/label/{}/values", LabelValues);
}

}  // namespace tocsin::api
