// Notification: what one receiver is told about one group of alerts at one time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "alerting/notify/alert.h"
#include "model/labels.h"

namespace tocsin::alerting {

// Why it is sent; the names are those of Alertmanager's webhook field notification_reason.
enum class NotificationReason : uint8_t {
  kNone,  // not to be sent
  kFirst,
  kNewAlerts,
  kSomeResolved,
  kAllResolved,
  kRepeat,
};
std::string_view NotificationReasonName(NotificationReason reason);

struct Notification {
  std::string receiver;
  std::string group_key;
  model::Labels group_labels;
  NamedTexts route_labels;
  NotificationReason reason = NotificationReason::kNone;
  std::string external_url;
  // Sorted as Alertmanager does: by job, instance, then all labels. A firing alert has
  // ends_at_ms 0.
  std::vector<Alert> alerts;

  static bool IsFiring(const Alert& alert) { return alert.ends_at_ms == 0; }
  bool AnyFiring() const;
};

void SortAlerts(std::vector<Alert>* alerts);

}  // namespace tocsin::alerting
