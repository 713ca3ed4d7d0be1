// /rules, /alerts, /alertmanagers (http-api.md §4).
#include <optional>
#include <utility>

#include "api/api_response.h"
#include "api/api_router.h"
#include "api/json_results.h"
#include "api/parameters.h"
#include "base/number.h"

namespace tocsin::api {
namespace {

using alerting::AlertView;
using alerting::RuleFilter;
using alerting::RuleGroupView;
using alerting::RuleView;
using http::FormParams;
using http::HttpRequest;
using http::HttpResponse;

double Seconds(int64_t ms) { return static_cast<double>(ms) / 1000; }

void AppendString(std::string& text, std::string_view key, std::string_view value) {
  text += key;
  AppendJsonString(text, value, JsonEscape::kHtml);
}

void AppendNumber(std::string& text, std::string_view key, double value) {
  text += key;
  JsonWriter(text).Double(value);
}

void AppendAlert(const AlertView& alert, std::string& text) {
  text += R"({"labels":)";
  AppendLabels(text, alert.labels);
  text += R"(,"annotations":)";
  AppendTexts(text, alert.annotations);
  AppendString(text, R"(,"state":)", alerting::AlertStateName(alert.state));
  text += R"(,"activeAt":)";
  AppendWallTime(text, alert.active_at_ms);
  if (alert.keep_firing_since_ms != 0) {
    text += R"(,"keepFiringSince":)";
    AppendWallTime(text, alert.keep_firing_since_ms);
  }
  AppendString(text, R"(,"value":)", FormatExponent(alert.value));
  text += '}';
}

void AppendEvaluation(const RuleView& rule, std::string_view type, std::string& text) {
  AppendString(text, R"(,"health":)", alerting::RuleHealthName(rule.health));
  if (!rule.last_error.empty()) AppendString(text, R"(,"lastError":)", rule.last_error);
  AppendNumber(text, R"(,"evaluationTime":)", rule.evaluation_seconds);
  text += R"(,"lastEvaluation":)";
  AppendWallTime(text, rule.last_evaluation_ms);
  AppendString(text, R"(,"type":)", type);
  text += '}';
}

void AppendAlertingRule(const RuleView& rule, bool exclude_alerts, std::string& text) {
  AppendString(text, R"({"state":)", alerting::AlertStateName(rule.state));
  AppendString(text, R"(,"name":)", rule.name);
  AppendString(text, R"(,"query":)", rule.query);
  AppendNumber(text, R"(,"duration":)", Seconds(rule.for_ms));
  AppendNumber(text, R"(,"keepFiringFor":)", Seconds(rule.keep_firing_for_ms));
  text += R"(,"labels":)";
  AppendLabels(text, rule.labels);
  text += R"(,"annotations":)";
  AppendTexts(text, rule.annotations);
  text += R"(,"alerts":)";
  if (exclude_alerts) {
    text += "null";
  } else {
    text += '[';
    bool first = true;
    for (const AlertView& alert : rule.alerts) {
      if (!std::exchange(first, false)) text += ',';
      AppendAlert(alert, text);
    }
    text += ']';
  }
  AppendEvaluation(rule, "alerting", text);
}

void AppendRecordingRule(const RuleView& rule, std::string& text) {
  AppendString(text, R"({"name":)", rule.name);
  AppendString(text, R"(,"query":)", rule.query);
  text += R"(,"labels":)";
  AppendLabels(text, rule.labels);
  AppendEvaluation(rule, "recording", text);
}

// False when the answer has become too large.
bool WriteGroup(const RuleGroupView& group, bool exclude_alerts, DataWriter* out) {
  AppendString(out->text(), R"({"name":)", group.name);
  AppendString(out->text(), R"(,"file":)", group.file);
  out->text() += R"(,"rules":[)";
  bool first = true;
  for (const RuleView& rule : group.rules) {
    if (!std::exchange(first, false)) out->text() += ',';
    if (rule.is_alert) {
      AppendAlertingRule(rule, exclude_alerts, out->text());
    } else {
      AppendRecordingRule(rule, out->text());
    }
    if (out->Flush()) return false;
  }
  AppendNumber(out->text(), R"(],"interval":)", Seconds(group.interval_ms));
  AppendNumber(out->text(), R"(,"limit":)", static_cast<double>(group.limit));
  AppendNumber(out->text(), R"(,"evaluationTime":)", group.evaluation_seconds);
  out->text() += R"(,"lastEvaluation":)";
  AppendWallTime(out->text(), group.last_evaluation_ms);
  out->text() += '}';
  return true;
}

std::vector<std::string> Texts(const FormParams& params, std::string_view name) {
  std::vector<std::string> texts;
  for (const std::string_view text : params.GetAll(name)) texts.emplace_back(text);
  return texts;
}

Parsed<RuleFilter> ParseRuleFilter(const FormParams& params) {
  RuleFilter filter;
  const std::string_view type = params.Get("type");
  if (!type.empty() && type != "alert" && type != "record") {
    return std::unexpected(
        InvalidParameter("type", "not supported value " + model::QuoteString(type)));
  }
  filter.alerts = type != "record";
  filter.records = type != "alert";
  filter.rule_names = Texts(params, "rule_name[]");
  filter.group_names = Texts(params, "rule_group[]");
  filter.files = Texts(params, "file[]");
  Parsed<std::vector<model::MatcherSet>> sets = MatchParameters(params);
  if (!sets) return std::unexpected(sets.error());
  filter.matcher_sets = std::move(*sets);
  if (const std::string_view text = params.Get("exclude_alerts"); !text.empty()) {
    const std::optional<bool> exclude = ParseBool(text);
    if (!exclude) {
      return std::unexpected(InvalidParameter(
          "exclude_alerts", "error converting exclude_alerts: strconv.ParseBool: parsing " +
                                model::QuoteString(text) + ": invalid syntax"));
    }
    filter.exclude_alerts = *exclude;
  }
  filter.next_token = params.Get("group_next_token");
  if (const std::string_view text = params.Get("group_limit"); !text.empty()) {
    const std::optional<int64_t> limit = ParseInt64(text);
    if (!limit) {
      return std::unexpected(
          InvalidParameter("group_limit",
                           "group_limit needs to be a valid number: strconv.ParseInt: "
                           "parsing " +
                               model::QuoteString(text) + ": invalid syntax"));
    }
    if (*limit <= 0) {
      return std::unexpected(
          InvalidParameter("group_limit", "group_limit needs to be greater than 0"));
    }
    filter.group_limit = static_cast<size_t>(*limit);
  } else if (!filter.next_token.empty()) {
    return std::unexpected(InvalidParameter(
        "group_limit", "group_limit needs to be present in order to paginate over the groups"));
  }
  return filter;
}

void Rules(const Dependencies& deps, const HttpRequest& request, HttpResponse* response) {
  const FormParams params = FormParams::FromRequest(request);
  TOCSIN_API_ASSIGN(const RuleFilter filter, response, ParseRuleFilter(params));
  Result<alerting::RuleGroupPage> page =
      alerting::SelectRuleGroups(deps.rules->RuleGroups(), filter);
  if (!page) {
    return RespondError(response, InvalidParameter("group_next_token", page.error().message()));
  }
  DataWriter out(response);
  out.text() += R"({"groups":[)";
  bool first = true;
  for (const RuleGroupView& group : page->groups) {
    if (!std::exchange(first, false)) out.text() += ',';
    if (!WriteGroup(group, filter.exclude_alerts, &out)) return;
  }
  out.text() += ']';
  if (!page->next_token.empty()) {
    AppendString(out.text(), R"(,"groupNextToken":)", page->next_token);
  }
  out.text() += '}';
  out.Finish();
}

void Alerts(const Dependencies& deps, HttpResponse* response) {
  DataWriter out(response);
  out.text() += R"({"alerts":[)";
  bool first = true;
  for (const AlertView& alert : deps.rules->ActiveAlerts()) {
    if (!std::exchange(first, false)) out.text() += ',';
    AppendAlert(alert, out.text());
    if (out.Flush()) return;
  }
  out.text() += "]}";
  out.Finish();
}

void Alertmanagers(const Dependencies& deps, HttpResponse* response) {
  const alerting::AlertmanagersView view = deps.alertmanagers->Alertmanagers();
  DataWriter out(response);
  JsonWriter& json = out.json();
  const auto urls = [&](std::string_view key, const std::vector<std::string>& list) {
    json.Key(key).BeginArray();
    for (const std::string& url : list) json.BeginObject().Key("url").String(url).EndObject();
    json.EndArray();
  };
  json.BeginObject();
  urls("activeAlertmanagers", view.active);
  urls("droppedAlertmanagers", view.dropped);
  json.EndObject();
  out.Finish();
}

}  // namespace

void AddAlertingRoutes(ApiRoutes* routes) {
  const Dependencies& deps = routes->dependencies();
  routes->Add({"GET"}, "/rules", http::Lane::kStatus,
              [&deps](const HttpRequest& request, HttpResponse* response) {
                Rules(deps, request, response);
              });
  routes->Add({"GET"}, "/alerts", http::Lane::kStatus,
              [&deps](const HttpRequest&, HttpResponse* response) { Alerts(deps, response); });
  routes->Add(
      {"GET"}, "/alertmanagers", http::Lane::kStatus,
      [&deps](const HttpRequest&, HttpResponse* response) { Alertmanagers(deps, response); });
}

}  // namespace tocsin::api
