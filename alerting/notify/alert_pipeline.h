// AlertPipeline: the way of every alert from the rules out: external labels are added, the
// configuration's alert_relabel_configs applied, and what is left goes to all sinks (the
// Alertmanagers outside, the notifier inside).
// Thread-safe.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "alerting/notify/alert.h"
#include "alerting/notify/alertmanager_config.h"
#include "base/mutex.h"

namespace tocsin::alerting {

class AlertPipeline final : public AlertSink {
 public:
  // The sinks outlive the pipeline.
  explicit AlertPipeline(std::vector<AlertSink*> sinks) : sinks_(std::move(sinks)) {}

  void Apply(const AlertingConfig& config) EXCLUDES(mu_);
  void Send(std::span<const Alert> alerts) override EXCLUDES(mu_);

 private:
  struct Rules {
    model::Labels external_labels;
    std::vector<model::RelabelRule> relabel;
  };

  const std::vector<AlertSink*> sinks_;
  Mutex mu_;
  std::shared_ptr<const Rules> rules_ GUARDED_BY(mu_) = std::make_shared<const Rules>();
};

// The alert with its labels relabelled; false when a rule drops it.
bool RelabelAlert(const std::vector<model::RelabelRule>& rules, Alert* alert);

}  // namespace tocsin::alerting
