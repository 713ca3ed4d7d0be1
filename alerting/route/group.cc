#include "alerting/route/group.h"

#include <algorithm>

#include "alerting/notify/notification.h"

namespace tocsin::alerting {

AlertGroup::AlertGroup(const Route* route, model::Labels labels, const Alert& first,
                       model::Timestamp now_ms)
    : route_(route),
      labels_(std::move(labels)),
      key_(GroupKey(*route, labels_)),
      next_flush_ms_(
          std::max(now_ms, std::min(now_ms, first.starts_at_ms) + route->options().group_wait_ms)) {
  Insert(first);
}

void AlertGroup::Insert(const Alert& alert) { alerts_[Fingerprint(alert.labels)] = alert; }

std::vector<Alert> AlertGroup::BeginRound(model::Timestamp now_ms) {
  next_flush_ms_ = now_ms + route_->options().group_interval_ms;
  std::vector<Alert> alerts;
  for (const auto& [fingerprint, alert] : alerts_) {
    alerts.push_back(alert);
    if (!alert.ResolvedAt(now_ms)) alerts.back().ends_at_ms = 0;
  }
  SortAlerts(&alerts);
  return alerts;
}

void AlertGroup::EndRound(const std::vector<Alert>& told) {
  for (const Alert& alert : told) {
    if (Notification::IsFiring(alert)) continue;
    const auto it = alerts_.find(Fingerprint(alert.labels));
    if (it != alerts_.end() && it->second.updated_at_ms == alert.updated_at_ms) alerts_.erase(it);
  }
}

void AlertGroup::CheckClock(model::Timestamp now_ms) {
  const int64_t longest =
      std::max(route_->options().group_interval_ms, route_->options().group_wait_ms);
  next_flush_ms_ = std::min(next_flush_ms_, now_ms + longest);
}

}  // namespace tocsin::alerting
