#include "alerting/notify/receiver_queue.h"

#include <algorithm>
#include <chrono>

#include "alerting/notify/ledger.h"
#include "base/env.h"
#include "base/log.h"

namespace tocsin::alerting {
namespace {

constexpr int64_t kWaitMaxMs = 1'000;  // so that a set clock is noticed
constexpr uint64_t kUrlFileBytesMax = 64 << 10;

int64_t Backoff(int attempts) {
  int64_t wait_ms = kBackoffFirstMs;
  for (int i = 1; i < attempts && wait_ms < kBackoffMaxMs; ++i) wait_ms *= 2;
  return std::min(wait_ms, kBackoffMaxMs);
}

MetricLabels ReceiverLabels(const std::string& receiver) {
  return {{"integration", "webhook"}, {"receiver", receiver}};
}

}  // namespace

ReceiverQueue::ReceiverQueue(std::string id, std::string receiver, WebhookConfig config,
                             std::unique_ptr<HttpTransport> transport, Env* env,
                             NotificationLog* log, Ledger* ledger)
    : id_(std::move(id)),
      receiver_(std::move(receiver)),
      config_(std::move(config)),
      transport_(std::move(transport)),
      env_(env),
      log_(log),
      ledger_(ledger),
      delivered_(SelfMetrics::Default().GetCounter(
          "tocsin_notifications_total", "Notifications delivered.", ReceiverLabels(receiver_))),
      failed_(SelfMetrics::Default().GetCounter("tocsin_notifications_failed_total",
                                                "Notifications given up.",
                                                ReceiverLabels(receiver_))),
      retried_(SelfMetrics::Default().GetCounter("tocsin_notification_attempts_failed_total",
                                                 "Attempts that failed and are made again.",
                                                 ReceiverLabels(receiver_))) {
  length_metric_ = SelfMetrics::Default().AddCallback("tocsin_notification_queue_length",
                                                      "Notifications that wait for a receiver.",
                                                      {{"queue", id_}}, [this] {
                                                        MutexLock lock(mu_);
                                                        return static_cast<double>(items_.size());
                                                      });
}

ReceiverQueue::~ReceiverQueue() { Stop(); }

void ReceiverQueue::Push(QueuedNotification notification) {
  std::optional<QueuedNotification> lost;
  {
    MutexLock lock(mu_);
    std::erase_if(items_, [&](const Item& item) {
      return !item.sending && item.notification.group_key == notification.group_key;
    });
    if (items_.size() >= kReceiverQueueMax) {
      const auto oldest = std::find_if(items_.begin(), items_.end(),
                                       [](const Item& item) { return !item.sending; });
      if (oldest != items_.end()) {
        lost = std::move(oldest->notification);
        items_.erase(oldest);
      }
    }
    items_.push_back({std::move(notification), 0, 0, false});
    ready_.NotifyAll();
  }
  if (!lost) return;
  failed_.Add();
  log_->Undeliverable(*lost, true);
  Record(*lost, "undelivered", "queue is full");
  LogWarn("notify", "receiver queue is full, oldest notification dropped",
          {{"receiver", receiver_}, {"group", lost->group_key}});
}

std::optional<LogEntry> ReceiverQueue::BeforeWaiting(const std::string& group_key,
                                                     bool* waits) const {
  MutexLock lock(mu_);
  for (const Item& item : items_) {
    if (item.notification.group_key != group_key) continue;
    *waits = true;
    return item.notification.before;
  }
  *waits = false;
  return std::nullopt;
}

model::Timestamp ReceiverQueue::RunOnce() {
  QueuedNotification notification;
  {
    MutexLock lock(mu_);
    const model::Timestamp now_ms = env_->NowMs();
    model::Timestamp next_ms = model::kMaxTimestamp;
    auto due = items_.end();
    for (auto it = items_.begin(); it != items_.end() && due == items_.end(); ++it) {
      // A time of trying too far ahead means that the clock was set back.
      if (it->next_try_ms <= now_ms || it->next_try_ms > now_ms + kBackoffMaxMs) due = it;
      next_ms = std::min(next_ms, it->next_try_ms);
    }
    if (due == items_.end()) return next_ms;
    due->sending = true;
    notification = due->notification;
  }
  std::string detail;
  const Outcome outcome = Deliver(notification, &detail);
  bool is_latest = true;
  {
    MutexLock lock(mu_);
    auto sent = items_.end();
    for (auto it = items_.begin(); it != items_.end(); ++it) {
      if (it->sending) {
        sent = it;
      } else if (it->notification.group_key == notification.group_key) {
        is_latest = false;
      }
    }
    sent->sending = false;
    const bool again = outcome == Outcome::kRetry && is_latest;
    if (again) {
      sent->next_try_ms = env_->NowMs() + Backoff(++sent->attempts);
      items_.splice(items_.end(), items_, sent);
    } else if (outcome != Outcome::kCancelled) {
      items_.erase(sent);
    }
  }
  switch (outcome) {
    case Outcome::kDelivered:
      delivered_.Add();
      log_->Delivered(notification, is_latest, env_->NowMs());
      Record(notification, "delivered", detail);
      break;
    case Outcome::kRetry:
      retried_.Add();
      Record(notification, "attempt_failed", detail);
      LogWarn("notify", "notification failed, will be tried again",
              {{"receiver", receiver_}, {"group", notification.group_key}, {"err", detail}});
      break;
    case Outcome::kGiveUp:
      failed_.Add();
      log_->Undeliverable(notification, is_latest);
      Record(notification, "undelivered", detail);
      LogError("notify", "notification could not be delivered",
               {{"receiver", receiver_}, {"group", notification.group_key}, {"err", detail}});
      break;
    case Outcome::kCancelled:
      return model::kMaxTimestamp;
  }
  return env_->NowMs();
}

ReceiverQueue::Outcome ReceiverQueue::Deliver(const QueuedNotification& notification,
                                              std::string* detail) {
  std::string url = config_.url.Reveal();
  if (!config_.url_file.empty()) {
    const auto text = env_->ReadFileUpTo(config_.url_file, kUrlFileBytesMax);
    if (!text) {
      *detail = "url_file: " + text.error().message();
      return Outcome::kRetry;
    }
    url = text->substr(0, text->find_last_not_of(" \t\r\n") + 1);
  }
  const auto answer = transport_->PostJson(url, notification.body);
  if (!answer) {
    *detail = answer.error().message();
    // The address may be the secret.
    for (size_t at = detail->find(url); at != std::string::npos && !url.empty();
         at = detail->find(url)) {
      detail->replace(at, url.size(), kSecretMask);
    }
    if (answer.error().code() == Code::kCancelled) return Outcome::kCancelled;
    return answer.error().code() == Code::kInvalidArgument ? Outcome::kGiveUp : Outcome::kRetry;
  }
  *detail = "status " + std::to_string(answer->status);
  if (answer->status / 100 == 2) return Outcome::kDelivered;
  if (!answer->body.empty()) *detail += ": " + answer->body;
  return answer->status / 100 == 5 || answer->status == 429 ? Outcome::kRetry : Outcome::kGiveUp;
}

void ReceiverQueue::Record(const QueuedNotification& notification, const char* event,
                           const std::string& detail) {
  if (ledger_ == nullptr) return;
  for (const model::Labels& labels : notification.alerts) {
    ledger_->Add({env_->NowMs(), event, labels, receiver_ + ": " + detail});
  }
}

void ReceiverQueue::Start() {
  thread_ = Thread("notify-" + receiver_, [this] { RunThread(); });
}

void ReceiverQueue::RunThread() {
  while (true) {
    const model::Timestamp next_ms = RunOnce();
    MutexLock lock(mu_);
    if (stopping_) return;
    const int64_t wait_ms = next_ms - env_->NowMs();
    if (wait_ms > 0) ready_.WaitFor(mu_, std::chrono::milliseconds(std::min(wait_ms, kWaitMaxMs)));
    if (stopping_) return;
  }
}

void ReceiverQueue::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    ready_.NotifyAll();
  }
  transport_->Abort();
  if (thread_.joinable()) thread_.Join();
}

}  // namespace tocsin::alerting
