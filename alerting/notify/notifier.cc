#include "alerting/notify/notifier.h"

#include <algorithm>
#include <chrono>

#include "alerting/notify/ledger.h"
#include "alerting/receivers/webhook.h"
#include "alerting/route/inhibitor.h"
#include "base/env.h"
#include "base/log.h"
#include "base/self_metrics.h"

namespace tocsin::alerting {
namespace {

constexpr int64_t kWaitMaxMs = 1'000;  // so that a set clock is noticed
// A resolved alert is held as long as rules say it again.
constexpr int64_t kResolvedHeldMs = 15 * 60'000;
constexpr int64_t kPruneEveryMs = 3'600'000;
constexpr int64_t kForgetEveryMs = 60'000;

int64_t LongestRepeat(const RouteConfig& route) {
  int64_t longest = route.repeat_interval_ms.value_or(kRepeatIntervalMs);
  for (const RouteConfig& child : route.routes) longest = std::max(longest, LongestRepeat(child));
  return longest;
}

LogEntry EntryOf(const std::vector<Alert>& alerts, model::Timestamp now_ms) {
  LogEntry entry;
  entry.at_ms = now_ms;
  for (const Alert& alert : alerts) {
    auto& list = Notification::IsFiring(alert) ? entry.firing : entry.resolved;
    list.push_back(Fingerprint(alert.labels));
  }
  std::sort(entry.firing.begin(), entry.firing.end());
  std::sort(entry.resolved.begin(), entry.resolved.end());
  return entry;
}

}  // namespace

bool Notifier::Routing::InIntervals(const std::vector<std::string>& names,
                                    model::Timestamp now_ms) const {
  for (const NamedTimeIntervals& named : config.time_intervals) {
    if (std::find(names.begin(), names.end(), named.name) == names.end()) continue;
    for (const TimeInterval& interval : named.intervals) {
      if (interval.Contains(now_ms)) return true;
    }
  }
  return false;
}

bool Notifier::Routing::IsMuted(const RouteOptions& route, model::Timestamp now_ms) const {
  if (InIntervals(route.mute_time_intervals, now_ms)) return true;
  return !route.active_time_intervals.empty() && !InIntervals(route.active_time_intervals, now_ms);
}

Notifier::Notifier(Env* env, StateStore* store, TransportFactory transports, Ledger* ledger,
                   NotifierOptions options)
    : env_(env),
      transports_(std::move(transports)),
      ledger_(ledger),
      options_(std::move(options)),
      log_(*store) {}

Notifier::~Notifier() { Stop(); }

Result<Notifier::Prepared> Notifier::Prepare(NotifierConfig config) const {
  std::string sentences;
  const auto add = [&](const std::string& sentence) {
    sentences += (sentences.empty() ? "" : "\n") + sentence;
  };
  for (const std::string& sentence : config.not_built) add(sentence);
  for (const ReceiverConfig& receiver : config.receivers) {
    for (const WebhookConfig& webhook : receiver.webhooks) {
      const Status status = CheckTransportBuilt(webhook.http);
      if (!status.ok()) add("receiver \"" + receiver.name + "\": " + status.message());
    }
  }
  if (!sentences.empty()) return Error(Code::kUnimplemented, sentences);
  return Prepared{std::move(config)};
}

void Notifier::Apply(Prepared prepared) {
  std::shared_ptr<const Routing> old;
  {
    MutexLock lock(mu_);
    old = routing_;
  }
  auto fresh = std::make_shared<Routing>();
  fresh->config = std::move(prepared.config);
  fresh->root = std::make_unique<Route>(fresh->config.route);
  fresh->longest_repeat_interval_ms = LongestRepeat(fresh->config.route);
  std::vector<std::shared_ptr<ReceiverQueue>> kept, started;
  for (const ReceiverConfig& receiver : fresh->config.receivers) {
    auto& queues = fresh->queues[receiver.name];
    for (size_t i = 0; i < receiver.webhooks.size(); ++i) {
      const std::string id = receiver.name + "/" + std::to_string(i);
      std::shared_ptr<ReceiverQueue> same;
      if (old != nullptr) {
        const auto it = old->queues.find(receiver.name);
        if (it != old->queues.end() && i < it->second.size() &&
            it->second[i]->config() == receiver.webhooks[i]) {
          same = it->second[i];
        }
      }
      if (same == nullptr) {
        const WebhookConfig& webhook = receiver.webhooks[i];
        const int64_t timeout_ms = webhook.timeout_ms > 0 ? webhook.timeout_ms : kWebhookTimeoutMs;
        same = std::make_shared<ReceiverQueue>(id, receiver.name, webhook,
                                               transports_(webhook.http, timeout_ms), env_, &log_,
                                               ledger_);
        started.push_back(same);
      } else {
        kept.push_back(same);
      }
      queues.push_back(std::move(same));
    }
  }
  // Queues that go stop first: what they had waiting is on disk, and their heirs take it from
  // there.
  if (old != nullptr) {
    for (const auto& [name, queues] : old->queues) {
      for (const auto& queue : queues) {
        if (std::find(kept.begin(), kept.end(), queue) == kept.end()) queue->Stop();
      }
    }
  }
  {
    MutexLock round(round_mu_);
    MutexLock lock(mu_);
    routing_ = fresh;
    groups_.clear();
    const model::Timestamp now_ms = env_->NowMs();
    for (const auto& [fingerprint, alert] : alerts_) Dispatch(alert, now_ms);
  }
  RestoreQueues(*fresh, started);
  if (options_.start_threads) {
    for (const auto& queue : started) queue->Start();
  }
  MutexLock lock(mu_);
  wake_.NotifyAll();
}

void Notifier::RestoreQueues(const Routing& routing,
                             const std::vector<std::shared_ptr<ReceiverQueue>>& started) {
  const auto has_id = [](const std::string& id) {
    return [&id](const std::shared_ptr<ReceiverQueue>& queue) { return queue->id() == id; };
  };
  for (QueuedNotification& queued : log_.LoadQueued()) {
    {
      MutexLock round(round_mu_);
      next_number_ = std::max(next_number_, queued.number + 1);
    }
    const auto heir = std::find_if(started.begin(), started.end(), has_id(queued.receiver));
    if (heir != started.end()) {
      (*heir)->Push(std::move(queued));
      continue;
    }
    const bool known =
        std::any_of(routing.queues.begin(), routing.queues.end(), [&](const auto& receiver) {
          return std::any_of(receiver.second.begin(), receiver.second.end(),
                             has_id(queued.receiver));
        });
    if (known) continue;  // a queue that goes on has it in memory
    LogWarn("notify", "receiver is gone, its notification with it",
            {{"receiver", queued.receiver}, {"group", queued.group_key}});
    if (ledger_ != nullptr) {
      for (const model::Labels& labels : queued.alerts) {
        ledger_->Add(
            {env_->NowMs(), "undelivered", labels, queued.receiver + ": receiver is gone"});
      }
    }
    log_.Undeliverable(queued, true);
  }
}

void Notifier::Start() {
  if (!options_.start_threads) return;
  thread_ = Thread("notify", [this] { RunThread(); });
}

void Notifier::Stop() {
  std::shared_ptr<const Routing> routing;
  {
    MutexLock lock(mu_);
    stopping_ = true;
    wake_.NotifyAll();
    routing = routing_;
  }
  if (thread_.joinable()) thread_.Join();
  if (routing == nullptr) return;
  for (const auto& [name, queues] : routing->queues) {
    for (const auto& queue : queues) queue->Stop();
  }
}

void Notifier::RunThread() {
  while (true) {
    const model::Timestamp next_ms = RunDue();
    MutexLock lock(mu_);
    if (stopping_) return;
    const int64_t wait_ms = std::clamp<int64_t>(next_ms - env_->NowMs(), 1, kWaitMaxMs);
    wake_.WaitFor(mu_, std::chrono::milliseconds(wait_ms));
    if (stopping_) return;
  }
}

void Notifier::Send(std::span<const Alert> alerts) {
  static Counter& refused = SelfMetrics::Default().GetCounter(
      "tocsin_notifier_alerts_refused_total", "Alerts refused because too many are held.");
  const model::Timestamp now_ms = env_->NowMs();
  MutexLock lock(mu_);
  for (const Alert& alert : alerts) {
    const uint64_t fingerprint = Fingerprint(alert.labels);
    const auto it = alerts_.find(fingerprint);
    if (it == alerts_.end()) {
      if (alerts_.size() >= kAlertsMax) {
        refused.Add();
        continue;
      }
    }
    alerts_[fingerprint] = alert;
    Dispatch(alert, now_ms);
  }
  wake_.NotifyAll();
}

void Notifier::Dispatch(const Alert& alert, model::Timestamp now_ms) {
  if (routing_ == nullptr) return;
  for (const Route* route : routing_->root->Match(alert.labels)) {
    GroupId id(route, route->GroupLabels(alert.labels));
    const auto it = groups_.find(id);
    if (it != groups_.end()) {
      it->second.Insert(alert);
    } else {
      groups_.try_emplace(id, route, id.second, alert, now_ms);
    }
  }
}

model::Timestamp Notifier::RunDue() {
  MutexLock round(round_mu_);
  const model::Timestamp now_ms = env_->NowMs();
  std::shared_ptr<const Routing> routing;
  std::vector<Round> rounds;
  {
    MutexLock lock(mu_);
    routing = routing_;
    if (routing == nullptr) return model::kMaxTimestamp;
    rounds = BeginRounds(*routing, now_ms);
  }
  for (const Round& one : rounds) Tell(*routing, one, now_ms);
  if (now_ms - last_prune_ms_ > kPruneEveryMs || now_ms < last_prune_ms_) {
    log_.Prune(now_ms, routing->longest_repeat_interval_ms);
    last_prune_ms_ = now_ms;
  }
  model::Timestamp next_ms = model::kMaxTimestamp;
  {
    MutexLock lock(mu_);
    for (const Round& one : rounds) {
      const auto it = groups_.find(one.group);
      if (it == groups_.end()) continue;
      it->second.EndRound(one.told);
      if (it->second.empty()) groups_.erase(it);
    }
    if (now_ms - last_forget_ms_ > kForgetEveryMs || now_ms < last_forget_ms_) {
      Forget(now_ms);
      last_forget_ms_ = now_ms;
    }
    for (const auto& [id, group] : groups_) next_ms = std::min(next_ms, group.next_flush_ms());
  }
  if (!options_.start_threads) {
    for (const auto& [name, queues] : routing->queues) {
      for (const auto& queue : queues) {
        model::Timestamp again_ms = queue->RunOnce();
        while (again_ms <= env_->NowMs()) again_ms = queue->RunOnce();
        next_ms = std::min(next_ms, again_ms);
      }
    }
  }
  return next_ms;
}

std::vector<Notifier::Round> Notifier::BeginRounds(const Routing& routing,
                                                   model::Timestamp now_ms) {
  std::vector<Round> rounds;
  std::unique_ptr<Inhibitor> inhibitor;
  for (auto& [id, group] : groups_) {
    group.CheckClock(now_ms);
    if (group.next_flush_ms() > now_ms) continue;
    if (inhibitor == nullptr) {
      std::vector<const Alert*> firing;
      for (const auto& [fingerprint, alert] : alerts_) {
        if (!alert.ResolvedAt(now_ms)) firing.push_back(&alert);
      }
      inhibitor = std::make_unique<Inhibitor>(routing.config.inhibit_rules, firing);
    }
    Round round{{}, &group.route().options(), group.BeginRound(now_ms), id};
    Notification& notification = round.notification;
    notification.group_key = group.key();
    notification.group_labels = group.labels();
    notification.route_labels = group.route().options().labels;
    notification.external_url = options_.external_url;
    for (const Alert& alert : round.told) {
      if (!inhibitor->IsInhibited(alert.labels)) notification.alerts.push_back(alert);
    }
    rounds.push_back(std::move(round));
  }
  return rounds;
}

void Notifier::Tell(const Routing& routing, const Round& round, model::Timestamp now_ms) {
  if (round.notification.alerts.empty()) return;
  if (routing.IsMuted(*round.options, now_ms)) return;
  const auto queues = routing.queues.find(round.options->receiver);
  if (queues == routing.queues.end()) return;  // a receiver without integrations
  for (const auto& queue : queues->second) TellReceiver(queue.get(), round, now_ms);
}

void Notifier::TellReceiver(ReceiverQueue* queue, const Round& round, model::Timestamp now_ms) {
  const std::string& group_key = round.notification.group_key;
  const LogEntry now = EntryOf(round.notification.alerts, now_ms);
  const std::optional<LogEntry> last = log_.Find(queue->id(), group_key);
  const bool send_resolved = queue->config().send_resolved;
  const NotificationReason reason =
      DecideNotification(last, now, send_resolved, round.options->repeat_interval_ms);
  if (reason == NotificationReason::kNone) return;
  Notification notification = round.notification;
  notification.receiver = round.options->receiver;
  notification.reason = reason;
  if (!send_resolved) {
    std::erase_if(notification.alerts, [](const Alert& a) { return !Notification::IsFiring(a); });
    if (notification.alerts.empty()) {
      log_.Set(queue->id(), group_key, now);  // not told, but the next firing is new
      return;
    }
  }
  QueuedNotification queued;
  queued.receiver = queue->id();
  queued.group_key = group_key;
  queued.queued_at_ms = now_ms;
  queued.body = WebhookBody(notification, queue->config().max_alerts);
  for (const Alert& alert : notification.alerts) queued.alerts.push_back(alert.labels);
  queued.now = now;
  bool waits = false;
  queued.before = queue->BeforeWaiting(group_key, &waits);
  if (!waits) queued.before = last;
  queued.number = next_number_++;
  log_.Queued(queued);
  queue->Push(std::move(queued));
}

void Notifier::Forget(model::Timestamp now_ms) {
  std::erase_if(alerts_, [&](const auto& item) {
    return item.second.ResolvedAt(now_ms) && item.second.ends_at_ms < now_ms - kResolvedHeldMs;
  });
}

}  // namespace tocsin::alerting
