#include "alerting/notify/notification.h"

#include <algorithm>

namespace tocsin::alerting {

std::string_view NotificationReasonName(NotificationReason reason) {
  switch (reason) {
    case NotificationReason::kNone:
      return "none";
    case NotificationReason::kFirst:
      return "first notification";
    case NotificationReason::kNewAlerts:
      return "new alerts added";
    case NotificationReason::kSomeResolved:
      return "some alerts resolved";
    case NotificationReason::kAllResolved:
      return "all alerts resolved";
    case NotificationReason::kRepeat:
      return "repeat interval elapsed";
  }
  return "unknown";
}

bool Notification::AnyFiring() const { return std::any_of(alerts.begin(), alerts.end(), IsFiring); }

void SortAlerts(std::vector<Alert>* alerts) {
  std::stable_sort(alerts->begin(), alerts->end(), [](const Alert& a, const Alert& b) {
    for (const std::string_view name : {model::kJobLabel, model::kInstanceLabel}) {
      const std::string_view x = a.labels.Get(name);
      const std::string_view y = b.labels.Get(name);
      if (x != y) return x < y;
    }
    return a.labels < b.labels;
  });
}

}  // namespace tocsin::alerting
