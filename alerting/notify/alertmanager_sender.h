// AlertmanagerSender: sends alerts to external Alertmanagers as Prometheus does: POST
// /api/v2/alerts, at most kBatchAlerts at once. Each Alertmanager has its own queue and thread
// (`notify-HOST`), so that a slow one delays nobody else. A batch that fails is not sent again:
// firing and resolved alerts come again from the rules each resend delay. A full queue drops its
// oldest alerts, counted.
//
//   auto prepared = sender.Prepare(config);   // fails, or changes nothing
//   sender.Apply(*std::move(prepared));       // starts and stops threads
//
// Thread contract: Prepare, Apply and Stop by one thread (main); Send and Alertmanagers by any.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "alerting/notify/alert.h"
#include "alerting/notify/alertmanager_config.h"
#include "alerting/notify/alertmanager_view.h"
#include "alerting/notify/http_transport.h"
#include "base/mutex.h"
#include "base/self_metrics.h"
#include "base/thread.h"

namespace tocsin {
class Env;
}

namespace tocsin::alerting {

class Ledger;

inline constexpr size_t kBatchAlerts = 256;

struct SenderOptions {
  size_t queue_alerts_max = 10'000;  // --alertmanager.notification-queue-capacity
  bool start_threads = true;         // tests call RunOnce instead
};

// One Alertmanager: its queue and its thread.
class AlertmanagerQueue {
 public:
  AlertmanagerQueue(std::string url, const AlertmanagerConfig& config, const SenderOptions& options,
                    std::unique_ptr<HttpTransport> transport, Env* env, Ledger* ledger);
  ~AlertmanagerQueue();

  const std::string& url() const { return url_; }
  const AlertmanagerConfig& config() const { return config_; }

  void Push(const std::vector<Alert>& alerts) EXCLUDES(mu_);
  void Start();
  // Sends what is queued as long as that succeeds, then ends the thread.
  void Stop() EXCLUDES(mu_);
  // Sends one batch; false when nothing was queued.
  bool RunOnce() EXCLUDES(mu_);

 private:
  void RunThread();
  bool Deliver(const std::vector<Alert>& batch);

  const std::string url_;
  const AlertmanagerConfig config_;
  const SenderOptions options_;
  const std::unique_ptr<HttpTransport> transport_;
  Env* const env_;
  Ledger* const ledger_;
  Counter& sent_;
  Counter& failed_;
  Counter& dropped_;
  Thread thread_;
  MetricCallback length_metric_;

  mutable Mutex mu_;
  CondVar ready_;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::deque<Alert> queue_ GUARDED_BY(mu_);
};

class AlertmanagerSender final : public AlertSink, public AlertmanagerReader {
 public:
  AlertmanagerSender(Env* env, TransportFactory transports, Ledger* ledger,
                     const SenderOptions& options);
  ~AlertmanagerSender() override;

  struct Prepared {
    struct Endpoint {
      std::string url;
      AlertmanagerConfig config;
    };
    std::vector<Endpoint> active;
    std::vector<std::string> dropped;  // URLs
  };
  // kUnimplemented: asks for what is not built yet.
  Result<Prepared> Prepare(const AlertingConfig& config) const;
  // Alertmanagers that stay the same keep their queue.
  void Apply(Prepared prepared) EXCLUDES(mu_);
  void Stop() EXCLUDES(mu_);

  void Send(std::span<const Alert> alerts) override EXCLUDES(mu_);
  AlertmanagersView Alertmanagers() const override EXCLUDES(mu_);
  // For tests: sends all that is queued, on this thread.
  void RunAll() EXCLUDES(mu_);

 private:
  using Queues = std::vector<std::shared_ptr<AlertmanagerQueue>>;
  Queues Snapshot() const EXCLUDES(mu_);

  Env* const env_;
  const TransportFactory transports_;
  Ledger* const ledger_;
  const SenderOptions options_;

  mutable Mutex mu_;
  Queues queues_ GUARDED_BY(mu_);
  std::vector<std::string> dropped_ GUARDED_BY(mu_);
};

// The body of POST /api/v2/alerts.
std::string AlertsJson(const std::vector<Alert>& alerts);

}  // namespace tocsin::alerting
