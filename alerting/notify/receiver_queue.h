// ReceiverQueue: one webhook of one receiver: its durable queue, its back-off, its thread
// (`notify-NAME`).
//
// At most one notification a group waits: a newer one replaces it, since it says everything the
// older one said. What fails for now (no answer, 5xx, 429) is tried again, first after
// kBackoffFirstMs, then twice as long each time up to kBackoffMaxMs; others go first meanwhile.
// What fails for good (any other status) is counted, entered in the ledger as undelivered, and left
// to the next round of its group. A full queue drops its oldest, the same way.
// Thread contract: Push from any thread; RunOnce from one.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "alerting/config.h"
#include "alerting/notify/http_transport.h"
#include "alerting/notify/notification_log.h"
#include "base/mutex.h"
#include "base/self_metrics.h"
#include "base/thread.h"

namespace tocsin {
class Env;
}

namespace tocsin::alerting {

class Ledger;

inline constexpr int64_t kBackoffFirstMs = 1'000;
inline constexpr int64_t kBackoffMaxMs = 60'000;
inline constexpr size_t kReceiverQueueMax = 10'000;  // groups that wait
// For webhooks without a timeout of their own; Alertmanager would wait a whole group interval.
inline constexpr int64_t kWebhookTimeoutMs = 60'000;

class ReceiverQueue {
 public:
  // `id` is "name/0". All pointers outlive it; `ledger` may be null.
  ReceiverQueue(std::string id, std::string receiver, WebhookConfig config,
                std::unique_ptr<HttpTransport> transport, Env* env, NotificationLog* log,
                Ledger* ledger);
  ~ReceiverQueue();

  const std::string& id() const { return id_; }
  const WebhookConfig& config() const { return config_; }

  // Queues it in memory; it was or will be logged by the caller.
  void Push(QueuedNotification notification) EXCLUDES(mu_);
  // What waits for the group, if anything: what its log entry was before that.
  std::optional<LogEntry> BeforeWaiting(const std::string& group_key, bool* waits) const
      EXCLUDES(mu_);

  void Start();
  void Stop() EXCLUDES(mu_);  // what waits stays on disk
  // Tries one notification that is due; gives the time of the next one that will be
  // (kMaxTimestamp: none).
  model::Timestamp RunOnce() EXCLUDES(mu_);

 private:
  struct Item {
    QueuedNotification notification;
    int attempts = 0;
    model::Timestamp next_try_ms = 0;
    bool sending = false;
  };
  enum class Outcome : uint8_t { kDelivered, kRetry, kGiveUp, kCancelled };

  void RunThread();
  Outcome Deliver(const QueuedNotification& notification, std::string* detail);
  void Record(const QueuedNotification& notification, const char* event, const std::string& detail);

  const std::string id_;
  const std::string receiver_;
  const WebhookConfig config_;
  const std::unique_ptr<HttpTransport> transport_;
  Env* const env_;
  NotificationLog* const log_;
  Ledger* const ledger_;
  Counter& delivered_;
  Counter& failed_;
  Counter& retried_;
  Thread thread_;
  MetricCallback length_metric_;

  mutable Mutex mu_;
  CondVar ready_;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::list<Item> items_ GUARDED_BY(mu_);  // oldest first
};

}  // namespace tocsin::alerting
