// The webhook receiver's body: Alertmanager's JSON, version 4.
#pragma once

#include <cstdint>
#include <string>

#include "alerting/notify/notification.h"

namespace tocsin::alerting {

// Of the alerts the first `max_alerts` are shown (0: all), the rest counted in truncatedAlerts.
std::string WebhookBody(const Notification& notification, uint64_t max_alerts);

}  // namespace tocsin::alerting
