#include "alerting/rules/rule.h"

#include <algorithm>
#include <unordered_set>

#include "alerting/template/function_tables.h"
#include "alerting/template/go_format.h"
#include "base/log.h"
#include "base/self_metrics.h"
#include "query/parser.h"
#include "query/printer.h"

namespace tocsin::alerting {
namespace {

constexpr std::string_view kAlertName = "alertname";
constexpr std::string_view kAlertStateLabel = "alertstate";
constexpr std::string_view kAlertsMetric = "ALERTS";
constexpr std::string_view kAlertsForStateMetric = "ALERTS_FOR_STATE";

NamedTexts Merged(const NamedTexts& group, const NamedTexts& own) {
  NamedTexts merged = own;
  for (const auto& label : group) {
    const bool hidden = std::any_of(own.begin(), own.end(),
                                    [&](const auto& mine) { return mine.first == label.first; });
    if (!hidden) merged.push_back(label);
  }
  std::sort(merged.begin(), merged.end());
  return merged;
}

}  // namespace

std::vector<RuleSample> AlertSamples(const AlertTable& alerts) {
  std::vector<RuleSample> samples;
  for (const auto& [labels, entry] : alerts.entries()) {
    if (entry.state == AlertState::kInactive) continue;
    model::LabelsBuilder builder(labels);
    builder.Set(model::kMetricName, kAlertsForStateMetric);
    // Whole seconds, as Prometheus writes them.
    samples.push_back({builder.Build(), static_cast<double>(entry.active_at_ms / 1000), nullptr});
    builder.Set(model::kMetricName, kAlertsMetric);
    builder.Set(kAlertStateLabel, AlertStateName(entry.state));
    samples.push_back({builder.Build(), 1, nullptr});
  }
  return samples;
}

Result<query::Vector> ToVector(query::QueryResult result) {
  if (auto* vector = std::get_if<query::Vector>(&result.value)) return std::move(*vector);
  if (const auto* scalar = std::get_if<query::Scalar>(&result.value)) {
    query::VectorSample sample;
    sample.timestamp_ms = scalar->timestamp_ms;
    sample.value = scalar->value;
    return query::Vector{std::move(sample)};
  }
  return Error(Code::kExecution, "rule result is not a vector or scalar");
}

Result<std::unique_ptr<Rule>> Rule::Create(const RuleGroupDefinition& group,
                                           const RuleDefinition& definition, int ordinal,
                                           std::shared_ptr<const RuleEnvironment> environment) {
  TOCSIN_ASSIGN_OR_RETURN(const query::ExprPtr expr,
                          query::ParseExpr(definition.expr, environment->language));
  std::unique_ptr<Rule> rule(new Rule(definition, environment));
  rule->query_ = query::Print(*expr);
  rule->identity_ = {group.file, group.name, definition.name,
                     Merged(group.labels, definition.labels), ordinal};
  rule->external_labels_ = tmpl::Value::OfLabels(environment->external_labels);
  if (!definition.is_alert) return rule;
  const auto parse = [&](const NamedTexts& texts, std::vector<NamedTemplate>* out) -> Status {
    for (const auto& [name, text] : texts) {
      TOCSIN_ASSIGN_OR_RETURN_STATUS(
          tmpl::Template parsed, tmpl::Template::Parse("__alert_" + definition.name,
                                                       std::string(tmpl::kAlertPrelude) + text));
      out->push_back({name, std::move(parsed)});
    }
    return Status::Ok();
  };
  TOCSIN_TRY(parse(rule->identity_.labels, &rule->label_templates_));
  TOCSIN_TRY(parse(definition.annotations, &rule->annotation_templates_));
  return rule;
}

Rule::Evaluation Rule::Evaluate(model::Timestamp now_ms, int64_t query_offset_ms, int64_t limit,
                                const RuleQuery& query, const std::atomic<bool>* cancel) {
  Evaluation evaluation;
  evaluation.status = Run(now_ms, query_offset_ms, limit, query, cancel, &evaluation);
  return evaluation;
}

Status Rule::Run(model::Timestamp now_ms, int64_t query_offset_ms, int64_t limit,
                 const RuleQuery& query, const std::atomic<bool>* cancel, Evaluation* evaluation) {
  TOCSIN_ASSIGN_OR_RETURN_STATUS(query::QueryResult answer,
                                 query(query_, now_ms - query_offset_ms, cancel));
  TOCSIN_ASSIGN_OR_RETURN_STATUS(const query::Vector result, ToVector(std::move(answer)));
  if (!is_alert()) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(evaluation->samples, Record(result, limit));
    return Status::Ok();
  }
  TOCSIN_ASSIGN_OR_RETURN_STATUS(std::vector<AlertEntry> active,
                                 ExpandAlerts(result, now_ms, query, cancel));
  MutexLock lock(mu_);
  const AlertTable::Settings settings{definition_.for_ms, definition_.keep_firing_for_ms, limit,
                                      grace_until_ms_};
  TOCSIN_RETURN_IF_ERROR(
      alerts_.Advance(std::move(active), now_ms, settings, &evaluation->changes));
  evaluation->samples = AlertSamples(alerts_);
  return Status::Ok();
}

Result<std::vector<RuleSample>> Rule::Record(const query::Vector& result, int64_t limit) const {
  std::vector<RuleSample> samples;
  std::unordered_set<model::Labels, model::LabelsHash> seen;
  samples.reserve(result.size());
  for (const query::VectorSample& sample : result) {
    model::LabelsBuilder builder(sample.metric);
    builder.Set(model::kMetricName, definition_.name);
    for (const auto& [name, value] : identity_.labels) builder.Set(name, value);
    model::Labels labels = builder.Build();
    if (!seen.insert(labels).second) {
      return Error(Code::kExecution,
                   "vector contains metrics with the same labelset after applying rule labels");
    }
    samples.push_back({std::move(labels), sample.value, sample.histogram});
  }
  if (limit > 0 && static_cast<int64_t>(samples.size()) > limit) {
    return Error(Code::kExecution, "exceeded limit of " + std::to_string(limit) + " with " +
                                       std::to_string(samples.size()) + " series");
  }
  return samples;
}

Result<std::vector<AlertEntry>> Rule::ExpandAlerts(const query::Vector& result,
                                                   model::Timestamp now_ms, const RuleQuery& query,
                                                   const std::atomic<bool>* cancel) const {
  tmpl::FunctionContext context;
  context.now_ms = now_ms;
  context.external_url = environment_->external_url;
  context.query = [&](const std::string& text) -> Result<query::Vector> {
    TOCSIN_ASSIGN_OR_RETURN(query::QueryResult answer, query(text, now_ms, cancel));
    return ToVector(std::move(answer));
  };
  std::vector<AlertEntry> alerts;
  std::unordered_set<model::Labels, model::LabelsHash> seen;
  for (const query::VectorSample& sample : result) {
    const tmpl::Value value = sample.histogram ? tmpl::Value(tmpl::HistogramText(*sample.histogram))
                                               : tmpl::Value(sample.value);
    const tmpl::Value data = tmpl::AlertData(tmpl::Value::OfLabels(sample.metric), external_labels_,
                                             environment_->external_url, value);
    AlertEntry alert;
    model::LabelsBuilder builder(sample.metric);
    builder.Del(model::kMetricName);
    for (const NamedTemplate& label : label_templates_) {
      builder.Set(label.name, Expand(label.text, data, context));
    }
    builder.Set(kAlertName, definition_.name);
    for (const NamedTemplate& annotation : annotation_templates_) {
      alert.annotations.emplace_back(annotation.name, Expand(annotation.text, data, context));
    }
    alert.labels = builder.Build();
    alert.value = sample.value;
    if (!seen.insert(alert.labels).second) {
      return Error(Code::kExecution,
                   "vector contains metrics with the same labelset after applying alert labels");
    }
    alerts.push_back(std::move(alert));
  }
  return alerts;
}

std::string Rule::Expand(const tmpl::Template& text, const tmpl::Value& data,
                         const tmpl::FunctionContext& context) const {
  static Counter& failures = SelfMetrics::Default().GetCounter(
      "tocsin_template_expansion_failures_total", "Alert texts that could not be expanded.");
  auto expanded = text.Execute(data, context);
  if (expanded) return *std::move(expanded);
  failures.Add();
  LogWarn("rules", "expanding alert template failed",
          {{"alert", definition_.name}, {"err", expanded.error()}});
  return "<error expanding template: " + expanded.error().message() + ">";
}

void Rule::SetGrace(model::Timestamp until_ms) {
  MutexLock lock(mu_);
  grace_until_ms_ = until_ms;
}

void Rule::SetOutcome(const Status& status, double seconds, model::Timestamp at_ms) {
  MutexLock lock(mu_);
  health_ = status.ok() ? RuleHealth::kOk : RuleHealth::kError;
  last_error_ = status.message();
  evaluation_seconds_ = seconds;
  last_evaluation_ms_ = at_ms;
}

RuleView Rule::View() const {
  RuleView view;
  view.is_alert = definition_.is_alert;
  view.name = definition_.name;
  view.query = query_;
  view.labels = model::Labels::FromPairs(identity_.labels);
  view.for_ms = definition_.for_ms;
  view.keep_firing_for_ms = definition_.keep_firing_for_ms;
  view.annotations = definition_.annotations;
  MutexLock lock(mu_);
  view.health = health_;
  view.last_error = last_error_;
  view.evaluation_seconds = evaluation_seconds_;
  view.last_evaluation_ms = last_evaluation_ms_;
  view.state = alerts_.HighestState();
  view.alerts = alerts_.Active();
  return view;
}

std::string Rule::GeneratorUrl() const {
  return environment_->external_url + "/graph?g0.expr=" + tmpl::QueryEscape(query_) + "&g0.tab=1";
}

}  // namespace tocsin::alerting
