#include "alerting/receivers/webhook.h"

#include <algorithm>
#include <map>

#include "base/json.h"
#include "base/time_text.h"

namespace tocsin::alerting {
namespace {

constexpr std::string_view kZeroTime = "0001-01-01T00:00:00Z";

using Texts = std::map<std::string, std::string>;

Texts LabelTexts(const model::Labels& labels) {
  Texts texts;
  for (const model::LabelView& l : labels) texts.emplace(l.name, l.value);
  return texts;
}

// What all of them have alike.
void KeepCommon(Texts* common, const Texts& other) {
  std::erase_if(*common, [&](const auto& entry) {
    const auto it = other.find(entry.first);
    return it == other.end() || it->second != entry.second;
  });
}

void Write(JsonWriter* json, std::string_view key, const Texts& texts) {
  json->Key(key).BeginObject();
  for (const auto& [name, text] : texts) json->Key(name).String(text);
  json->EndObject();
}

void WriteAlert(JsonWriter* json, const Alert& alert) {
  const bool firing = Notification::IsFiring(alert);
  json->BeginObject().Key("status").String(firing ? "firing" : "resolved");
  Write(json, "labels", LabelTexts(alert.labels));
  Write(json, "annotations", Texts(alert.annotations.begin(), alert.annotations.end()));
  json->Key("startsAt").String(FormatTime(alert.starts_at_ms));
  json->Key("endsAt").String(firing ? std::string(kZeroTime) : FormatTime(alert.ends_at_ms));
  json->Key("generatorURL").String(alert.generator_url);
  json->Key("fingerprint").String(FingerprintHex(Fingerprint(alert.labels)));
  json->EndObject();
}

}  // namespace

std::string WebhookBody(const Notification& notification, uint64_t max_alerts) {
  const std::vector<Alert>& alerts = notification.alerts;
  const size_t shown =
      max_alerts == 0 ? alerts.size() : std::min<size_t>(alerts.size(), max_alerts);
  Texts common_labels, common_annotations;
  bool firing = false;
  for (size_t i = 0; i < shown; ++i) {
    const Texts labels = LabelTexts(alerts[i].labels);
    const Texts annotations(alerts[i].annotations.begin(), alerts[i].annotations.end());
    if (i == 0) {
      common_labels = labels;
      common_annotations = annotations;
    }
    KeepCommon(&common_labels, labels);
    KeepCommon(&common_annotations, annotations);
    firing = firing || Notification::IsFiring(alerts[i]);
  }
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Key("receiver").String(notification.receiver);
  json.Key("status").String(firing ? "firing" : "resolved");
  json.Key("alerts").BeginArray();
  for (size_t i = 0; i < shown; ++i) WriteAlert(&json, alerts[i]);
  json.EndArray();
  json.Key("notification_reason").String(NotificationReasonName(notification.reason));
  Write(&json, "groupLabels", LabelTexts(notification.group_labels));
  Write(&json, "commonLabels", common_labels);
  Write(&json, "commonAnnotations", common_annotations);
  Write(&json, "routeLabels",
        Texts(notification.route_labels.begin(), notification.route_labels.end()));
  json.Key("externalURL").String(notification.external_url);
  json.Key("version").String("4");
  json.Key("groupKey").String(notification.group_key);
  json.Key("truncatedAlerts").Uint(alerts.size() - shown);
  json.EndObject();
  return out;
}

}  // namespace tocsin::alerting
