// Notifier: the Alertmanager inside. Alerts come in (AlertSink), the routing tree gathers them into
// groups, each group's rounds decide who must be told what, and each receiver's queue tells it.
//
//   alert → Route::Match → AlertGroup ─ round ─▶ muted? inhibited? already told? ─▶ NotificationLog
//                                                                                  → ReceiverQueue
//
//   auto prepared = notifier.Prepare(config);   // kUnimplemented: names what is not built
//   notifier.Apply(*std::move(prepared));       // also at reload
//   notifier.Start(); …; notifier.Stop();
//
// Alerts themselves are not kept on disk: the rules say them again after a restart, at once, and
// the notification log knows who was told. A reload builds all groups anew; the log keeps them from
// being told twice.
// Thread contract: Prepare, Apply, Start, Stop by one thread (main); Send by any. Thread `notify`
// runs the rounds, `notify-NAME` the receivers.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "alerting/config.h"
#include "alerting/notify/alert.h"
#include "alerting/notify/http_transport.h"
#include "alerting/notify/notification_log.h"
#include "alerting/notify/receiver_queue.h"
#include "alerting/route/group.h"
#include "alerting/route/route.h"
#include "base/mutex.h"
#include "base/thread.h"

namespace tocsin::alerting {

class Inhibitor;

// Alerts held at once; beyond it new ones are refused, counted and logged.
inline constexpr size_t kAlertsMax = 500'000;

struct NotifierOptions {
  std::string external_url;
  bool start_threads = true;  // tests call RunDue instead
};

class Notifier final : public AlertSink {
 public:
  Notifier(Env* env, StateStore* store, TransportFactory transports, Ledger* ledger,
           NotifierOptions options);
  ~Notifier() override;

  struct Prepared {
    NotifierConfig config;
  };
  // kUnimplemented: the sentences of config.not_built.
  Result<Prepared> Prepare(NotifierConfig config) const;
  void Apply(Prepared prepared) EXCLUDES(mu_);
  void Start();
  void Stop() EXCLUDES(mu_);

  void Send(std::span<const Alert> alerts) override EXCLUDES(mu_);

  // Runs the rounds that are due and gives the time of the next (kMaxTimestamp: none). Without
  // threads it also runs the receivers' queues as far as they are due.
  model::Timestamp RunDue() EXCLUDES(mu_);

 private:
  // One configuration, ready to route. Swapped whole; immutable but for its queues.
  struct Routing {
    NotifierConfig config;
    std::unique_ptr<Route> root;
    std::map<std::string, std::vector<std::shared_ptr<ReceiverQueue>>> queues;  // by receiver
    int64_t longest_repeat_interval_ms = 0;

    bool InIntervals(const std::vector<std::string>& names, model::Timestamp now_ms) const;
    bool IsMuted(const RouteOptions& route, model::Timestamp now_ms) const;
  };
  // A route (of routing_) and a set of group labels.
  using GroupId = std::pair<const Route*, model::Labels>;

  // What a round found, to be told outside the lock.
  struct Round {
    Notification notification;  // without receiver and reason
    const RouteOptions* options;
    std::vector<Alert> told;  // before inhibition
    GroupId group;
  };

  void Dispatch(const Alert& alert, model::Timestamp now_ms) REQUIRES(mu_);
  std::vector<Round> BeginRounds(const Routing& routing, model::Timestamp now_ms) REQUIRES(mu_);
  void Tell(const Routing& routing, const Round& round, model::Timestamp now_ms)
      REQUIRES(round_mu_);
  void TellReceiver(ReceiverQueue* queue, const Round& round, model::Timestamp now_ms)
      REQUIRES(round_mu_);
  void Forget(model::Timestamp now_ms) REQUIRES(mu_);
  // Gives what is queued on disk to the queues of `started`; what no receiver of the configuration
  // waits for any more is undeliverable.
  void RestoreQueues(const Routing& routing,
                     const std::vector<std::shared_ptr<ReceiverQueue>>& started);
  void RunThread();

  Env* const env_;
  const TransportFactory transports_;
  Ledger* const ledger_;
  const NotifierOptions options_;
  NotificationLog log_;
  Thread thread_;

  Mutex round_mu_;  // one round at a time; taken before mu_
  uint64_t next_number_ GUARDED_BY(round_mu_) = 1;
  model::Timestamp last_prune_ms_ GUARDED_BY(round_mu_) = 0;
  model::Timestamp last_forget_ms_ GUARDED_BY(round_mu_) = 0;

  mutable Mutex mu_;
  CondVar wake_;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::shared_ptr<const Routing> routing_ GUARDED_BY(mu_);  // null until Apply
  std::map<uint64_t, Alert> alerts_ GUARDED_BY(mu_);        // by fingerprint
  std::map<GroupId, AlertGroup> groups_ GUARDED_BY(mu_);
};

}  // namespace tocsin::alerting
