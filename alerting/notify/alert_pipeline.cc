#include "alerting/notify/alert_pipeline.h"

#include "base/self_metrics.h"

namespace tocsin::alerting {

bool RelabelAlert(const std::vector<model::RelabelRule>& rules, Alert* alert) {
  if (rules.empty()) return true;
  model::LabelsBuilder builder(alert->labels);
  if (!model::ApplyRelabelRules(rules, &builder)) return false;
  alert->labels = builder.Build();
  return !alert->labels.empty();
}

void AlertPipeline::Apply(const AlertingConfig& config) {
  auto rules =
      std::make_shared<const Rules>(Rules{config.external_labels, config.alert_relabel_configs});
  MutexLock lock(mu_);
  rules_ = std::move(rules);
}

void AlertPipeline::Send(std::span<const Alert> alerts) {
  static Counter& dropped = SelfMetrics::Default().GetCounter(
      "tocsin_alerts_dropped_by_relabelling_total", "Alerts that alert_relabel_configs dropped.");
  std::shared_ptr<const Rules> rules;
  {
    MutexLock lock(mu_);
    rules = rules_;
  }
  std::vector<Alert> out;
  out.reserve(alerts.size());
  for (const Alert& original : alerts) {
    Alert alert = original;
    model::LabelsBuilder builder(alert.labels);
    for (const model::LabelView& label : rules->external_labels) {
      if (builder.Get(label.name).empty()) builder.Set(label.name, label.value);
    }
    alert.labels = builder.Build();
    if (RelabelAlert(rules->relabel, &alert)) {
      out.push_back(std::move(alert));
    } else {
      dropped.Add();
    }
  }
  if (out.empty()) return;
  for (AlertSink* sink : sinks_) sink->Send(out);
}

}  // namespace tocsin::alerting
