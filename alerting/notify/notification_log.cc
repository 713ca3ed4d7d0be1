#include "alerting/notify/notification_log.h"

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "base/log.h"
#include "base/self_metrics.h"

namespace tocsin::alerting {
namespace {

constexpr std::string_view kLogPrefix = "notify/log/";
constexpr std::string_view kQueuePrefix = "notify/queue/";

std::string Hash(const std::string& text) {
  return FingerprintHex(Fingerprint(model::Labels::FromPairs({{"text", text}})));
}

std::string KeyOf(std::string_view prefix, const std::string& receiver, const std::string& group) {
  return std::string(prefix) + Hash(receiver) + "/" + Hash(group);
}

bool Includes(const std::vector<uint64_t>& all, const std::vector<uint64_t>& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

void WriteFingerprints(JsonWriter* json, std::string_view key, const std::vector<uint64_t>& list) {
  json->Key(key).BeginArray();
  for (const uint64_t fingerprint : list) json->String(FingerprintHex(fingerprint));
  json->EndArray();
}

void WriteEntryFields(JsonWriter* json, const LogEntry& entry) {
  json->Key("at").Int(entry.at_ms);
  WriteFingerprints(json, "firing", entry.firing);
  WriteFingerprints(json, "resolved", entry.resolved);
}

std::string EncodeEntry(const std::string& receiver, const std::string& group,
                        const LogEntry& entry) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Key("receiver").String(receiver, JsonEscape::kPlain);
  json.Key("group").String(group, JsonEscape::kPlain);
  WriteEntryFields(&json, entry);
  json.EndObject();
  return out;
}

std::string EncodeQueued(const QueuedNotification& notification) {
  std::string out;
  JsonWriter json(out);
  json.BeginObject();
  json.Key("receiver").String(notification.receiver, JsonEscape::kPlain);
  json.Key("group").String(notification.group_key, JsonEscape::kPlain);
  json.Key("number").Uint(notification.number);
  json.Key("queued_at").Int(notification.queued_at_ms);
  json.Key("body").String(notification.body, JsonEscape::kPlain);
  json.Key("alerts").BeginArray();
  for (const model::Labels& labels : notification.alerts) {
    json.BeginObject();
    for (const model::LabelView& l : labels) {
      json.Key(l.name, JsonEscape::kPlain).String(l.value, JsonEscape::kPlain);
    }
    json.EndObject();
  }
  json.EndArray();
  json.Key("now").BeginObject();
  WriteEntryFields(&json, notification.now);
  json.EndObject();
  if (notification.before) {
    json.Key("before").BeginObject();
    WriteEntryFields(&json, *notification.before);
    json.EndObject();
  }
  json.EndObject();
  return out;
}

int64_t ReadInt(const JsonValue& object, std::string_view key) {
  const JsonValue* value = object.Find(key);
  if (value == nullptr || !value->is_number()) return 0;
  const double number = value->AsDouble();
  return number >= 0 && number < 9e15 ? static_cast<int64_t>(number) : 0;
}

std::vector<uint64_t> ReadFingerprints(const JsonValue& object, std::string_view key) {
  std::vector<uint64_t> list;
  const JsonValue* value = object.Find(key);
  if (value == nullptr || !value->is_array()) return list;
  for (const JsonValue& item : value->AsArray()) {
    if (item.is_string()) list.push_back(std::strtoull(item.AsString().c_str(), nullptr, 16));
  }
  std::sort(list.begin(), list.end());
  return list;
}

LogEntry ReadEntry(const JsonValue& object) {
  return {ReadInt(object, "at"), ReadFingerprints(object, "firing"),
          ReadFingerprints(object, "resolved")};
}

QueuedNotification ReadQueued(const JsonValue& json) {
  QueuedNotification queued;
  queued.receiver = json.FindString("receiver");
  queued.group_key = json.FindString("group");
  queued.number = static_cast<uint64_t>(ReadInt(json, "number"));
  queued.queued_at_ms = ReadInt(json, "queued_at");
  queued.body = json.FindString("body");
  if (const JsonValue* alerts = json.Find("alerts"); alerts != nullptr && alerts->is_array()) {
    for (const JsonValue& alert : alerts->AsArray()) {
      if (!alert.is_object()) continue;
      std::vector<std::pair<std::string, std::string>> labels;
      for (const auto& [name, value] : alert.AsObject()) {
        if (value.is_string()) labels.emplace_back(name, value.AsString());
      }
      queued.alerts.push_back(model::Labels::FromPairs(std::move(labels)));
    }
  }
  if (const JsonValue* now = json.Find("now")) queued.now = ReadEntry(*now);
  if (const JsonValue* before = json.Find("before")) queued.before = ReadEntry(*before);
  return queued;
}

void CountDamaged(std::string_view key, const Status& status) {
  static Counter& damaged = SelfMetrics::Default().GetCounter(
      "tocsin_notification_log_damaged_total", "Notification log entries that could not be read.");
  damaged.Add();
  LogWarn("notify", "notification log entry skipped", {{"key", key}, {"err", status}});
}

}  // namespace

NotificationReason DecideNotification(const std::optional<LogEntry>& entry, const LogEntry& now,
                                      bool send_resolved, int64_t repeat_interval_ms) {
  if (!entry) return now.firing.empty() ? NotificationReason::kNone : NotificationReason::kFirst;
  if (!Includes(entry->firing, now.firing)) {
    return entry->firing.empty() ? NotificationReason::kFirst : NotificationReason::kNewAlerts;
  }
  if (now.firing.empty()) {
    // What came and went between two rounds was never told, so its end is not told either.
    return entry->firing.empty() ? NotificationReason::kNone : NotificationReason::kAllResolved;
  }
  if (send_resolved && !Includes(entry->resolved, now.resolved)) {
    return NotificationReason::kSomeResolved;
  }
  if (entry->at_ms < now.at_ms - repeat_interval_ms) return NotificationReason::kRepeat;
  return NotificationReason::kNone;
}

NotificationLog::NotificationLog(StateStore& store) : store_(store) {
  std::map<Key, LogEntry> entries;
  const Status status =
      store_.ForEach(kLogPrefix, [&entries](std::string_view key, std::string_view value) {
        const auto json = ParseJson(value);
        if (json) {
          entries[Key(json->FindString("receiver"), json->FindString("group"))] = ReadEntry(*json);
        } else {
          CountDamaged(key, json.error());
        }
        return true;
      });
  if (!status.ok()) LogError("notify", "notification log could not be read", {{"err", status}});
  MutexLock lock(mu_);
  entries_ = std::move(entries);
}

std::vector<QueuedNotification> NotificationLog::LoadQueued() const {
  std::vector<QueuedNotification> queued;
  const Status status =
      store_.ForEach(kQueuePrefix, [&queued](std::string_view key, std::string_view value) {
        const auto json = ParseJson(value);
        if (json) {
          queued.push_back(ReadQueued(*json));
        } else {
          CountDamaged(key, json.error());
        }
        return true;
      });
  if (!status.ok()) LogError("notify", "notification queue could not be read", {{"err", status}});
  return queued;
}

std::optional<LogEntry> NotificationLog::Find(const std::string& receiver,
                                              const std::string& group_key) const {
  MutexLock lock(mu_);
  const auto it = entries_.find({receiver, group_key});
  if (it == entries_.end()) return std::nullopt;
  return it->second;
}

void NotificationLog::Write(const StateBatch& batch) {
  static Counter& failed = SelfMetrics::Default().GetCounter(
      "tocsin_notification_log_failures_total", "Notification log writes that failed.");
  const Status status = store_.Write(batch);
  if (status.ok()) return;
  failed.Add();
  LogError("notify", "notification log not written; a restart now may repeat or lose notifications",
           {{"err", status}});
}

void NotificationLog::Set(const std::string& receiver, const std::string& group_key,
                          const LogEntry& entry) {
  {
    MutexLock lock(mu_);
    entries_[{receiver, group_key}] = entry;
  }
  Write(StateBatch().Put(KeyOf(kLogPrefix, receiver, group_key),
                         EncodeEntry(receiver, group_key, entry)));
}

void NotificationLog::Queued(const QueuedNotification& n) {
  Write(StateBatch()
            .Put(KeyOf(kLogPrefix, n.receiver, n.group_key),
                 EncodeEntry(n.receiver, n.group_key, n.now))
            .Put(KeyOf(kQueuePrefix, n.receiver, n.group_key), EncodeQueued(n)));
  MutexLock lock(mu_);
  entries_[{n.receiver, n.group_key}] = n.now;
}

void NotificationLog::Delivered(const QueuedNotification& n, bool is_latest,
                                model::Timestamp at_ms) {
  if (!is_latest) return;
  StateBatch batch;
  {
    MutexLock lock(mu_);
    const auto it = entries_.find({n.receiver, n.group_key});
    if (it != entries_.end() && it->second == n.now) {  // else a later round said more
      it->second.at_ms = at_ms;
      batch.Put(KeyOf(kLogPrefix, n.receiver, n.group_key),
                EncodeEntry(n.receiver, n.group_key, it->second));
    }
  }
  Write(batch.Delete(KeyOf(kQueuePrefix, n.receiver, n.group_key)));
}

void NotificationLog::Undeliverable(const QueuedNotification& n, bool is_latest) {
  if (!is_latest) return;
  StateBatch batch;
  {
    MutexLock lock(mu_);
    const auto it = entries_.find({n.receiver, n.group_key});
    if (it == entries_.end() || it->second != n.now) {
      // A later round said more: leave it.
    } else if (n.before) {
      entries_[{n.receiver, n.group_key}] = *n.before;
      batch.Put(KeyOf(kLogPrefix, n.receiver, n.group_key),
                EncodeEntry(n.receiver, n.group_key, *n.before));
    } else {
      entries_.erase({n.receiver, n.group_key});
      batch.Delete(KeyOf(kLogPrefix, n.receiver, n.group_key));
    }
  }
  Write(batch.Delete(KeyOf(kQueuePrefix, n.receiver, n.group_key)));
}

void NotificationLog::Prune(model::Timestamp now_ms, int64_t longest_repeat_interval_ms) {
  const int64_t retention = std::max(kNotificationLogRetentionMs, 2 * longest_repeat_interval_ms);
  StateBatch batch;
  {
    MutexLock lock(mu_);
    std::erase_if(entries_, [&](const auto& item) {
      if (item.second.at_ms >= now_ms - retention) return false;
      batch.Delete(KeyOf(kLogPrefix, item.first.first, item.first.second));
      return true;
    });
  }
  if (!batch.empty()) Write(batch);
}

}  // namespace tocsin::alerting
