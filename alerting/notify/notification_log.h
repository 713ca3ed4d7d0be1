// NotificationLog: what each receiver was last told about each group, and what it has yet to be
// told; on disk, so that a restart neither repeats a first notification nor loses one.
//
//   key    notify/log/<receiver: 16 hex>/<group: 16 hex>
//   value  JSON {"receiver","group","at","firing":["<fingerprint>",…],"resolved":[…]}
//   key    notify/queue/<receiver>/<group>
//   value  JSON {"receiver","group","number","queued_at","body","alerts":[{labels},…],
//                "now":{log entry},"before":{log entry}?}
//
// A notification is queued and logged in one write; when it is delivered the log gets the time and
// the queue forgets it, in one write again. When it can never be delivered the log goes back to
// what it was, so that the next round tries anew.
// Thread-safe. When the disk refuses a write, memory goes on without it: counted and logged.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "alerting/notify/notification.h"
#include "base/mutex.h"
#include "base/state_store.h"
#include "model/labels.h"
#include "model/sample.h"

namespace tocsin::alerting {

// Entries older than this are forgotten (Alertmanager's --data.retention), but never before twice
// the repeat interval.
inline constexpr int64_t kNotificationLogRetentionMs = int64_t{120} * 3'600'000;

struct LogEntry {
  model::Timestamp at_ms = 0;
  std::vector<uint64_t> firing;    // fingerprints, sorted
  std::vector<uint64_t> resolved;  // the same
  friend bool operator==(const LogEntry&, const LogEntry&) = default;
};

// Whether a receiver is to be told, and why. `entry` is what it was told last.
NotificationReason DecideNotification(const std::optional<LogEntry>& entry, const LogEntry& now,
                                      bool send_resolved, int64_t repeat_interval_ms);

struct QueuedNotification {
  std::string receiver;  // "name/0": the receiver and which of its webhooks
  std::string group_key;
  uint64_t number = 0;  // later ones of a group replace earlier ones
  model::Timestamp queued_at_ms = 0;
  std::string body;
  std::vector<model::Labels> alerts;  // for the ledger
  LogEntry now;
  std::optional<LogEntry> before;
};

class NotificationLog {
 public:
  // Reads the log; what is damaged is skipped, counted and logged.
  explicit NotificationLog(StateStore& store);

  // What is queued on disk. A queue that is running has its own idea of its part of it.
  std::vector<QueuedNotification> LoadQueued() const;

  std::optional<LogEntry> Find(const std::string& receiver, const std::string& group_key) const
      EXCLUDES(mu_);
  // Sets the entry without a notification (resolved alerts that are not to be sent).
  void Set(const std::string& receiver, const std::string& group_key, const LogEntry& entry)
      EXCLUDES(mu_);

  void Queued(const QueuedNotification& notification) EXCLUDES(mu_);
  // `is_latest`: nothing newer was queued for the group meanwhile; else nothing changes.
  void Delivered(const QueuedNotification& notification, bool is_latest, model::Timestamp at_ms)
      EXCLUDES(mu_);
  void Undeliverable(const QueuedNotification& notification, bool is_latest) EXCLUDES(mu_);

  // Forgets entries that are older than the retention.
  void Prune(model::Timestamp now_ms, int64_t longest_repeat_interval_ms) EXCLUDES(mu_);

 private:
  using Key = std::pair<std::string, std::string>;  // receiver, group
  void Write(const StateBatch& batch);

  StateStore& store_;
  mutable Mutex mu_;
  std::map<Key, LogEntry> entries_ GUARDED_BY(mu_);
};

}  // namespace tocsin::alerting
