#include "alerting/notify/alertmanager_sender.h"

#include <algorithm>

#include "alerting/notify/alert_pipeline.h"
#include "alerting/notify/ledger.h"
#include "base/env.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time_text.h"

namespace tocsin::alerting {
namespace {

constexpr std::string_view kAlertsPath = "/api/v2/alerts";
constexpr std::string_view kAddressLabel = "__address__";
constexpr std::string_view kSchemeLabel = "__scheme__";
constexpr std::string_view kPathLabel = "__alerts_path__";

std::string HostOf(const std::string& url) {
  const size_t start = url.find("://");
  const size_t from = start == std::string::npos ? 0 : start + 3;
  return url.substr(from, url.find('/', from) - from);
}

// "/prefix/api/v2/alerts", with single slashes.
std::string AlertsPath(const std::string& prefix) {
  std::string path = "/" + prefix + std::string(kAlertsPath);
  for (size_t at = path.find("//"); at != std::string::npos; at = path.find("//"))
    path.erase(at, 1);
  return path;
}

std::string UrlOf(const model::LabelsBuilder& labels) {
  return std::string(labels.Get(kSchemeLabel)) + "://" + std::string(labels.Get(kAddressLabel)) +
         std::string(labels.Get(kPathLabel));
}

}  // namespace

std::string AlertsJson(const std::vector<Alert>& alerts) {
  std::string out;
  JsonWriter json(out);
  json.BeginArray();
  for (const Alert& alert : alerts) {
    json.BeginObject().Key("labels").BeginObject();
    for (const model::LabelView& l : alert.labels) json.Key(l.name).String(l.value);
    json.EndObject().Key("annotations").BeginObject();
    for (const auto& [name, text] : alert.annotations) json.Key(name).String(text);
    json.EndObject();
    json.Key("startsAt").String(FormatTimeMs(alert.starts_at_ms));
    json.Key("endsAt").String(FormatTimeMs(alert.ends_at_ms));
    json.Key("generatorURL").String(alert.generator_url);
    json.EndObject();
  }
  json.EndArray();
  return out;
}

AlertmanagerQueue::AlertmanagerQueue(std::string url, const AlertmanagerConfig& config,
                                     const SenderOptions& options,
                                     std::unique_ptr<HttpTransport> transport, Env* env,
                                     Ledger* ledger)
    : url_(std::move(url)),
      config_(config),
      options_(options),
      transport_(std::move(transport)),
      env_(env),
      ledger_(ledger),
      sent_(SelfMetrics::Default().GetCounter("tocsin_alertmanager_alerts_sent_total",
                                              "Alerts delivered to an Alertmanager.",
                                              {{"alertmanager", url_}})),
      failed_(SelfMetrics::Default().GetCounter("tocsin_alertmanager_alerts_failed_total",
                                                "Alerts of deliveries that failed.",
                                                {{"alertmanager", url_}})),
      dropped_(SelfMetrics::Default().GetCounter("tocsin_alertmanager_alerts_dropped_total",
                                                 "Alerts dropped because the queue was full.",
                                                 {{"alertmanager", url_}})) {
  length_metric_ = SelfMetrics::Default().AddCallback("tocsin_alertmanager_queue_length",
                                                      "Alerts that wait for an Alertmanager.",
                                                      {{"alertmanager", url_}}, [this] {
                                                        MutexLock lock(mu_);
                                                        return static_cast<double>(queue_.size());
                                                      });
}

AlertmanagerQueue::~AlertmanagerQueue() { Stop(); }

void AlertmanagerQueue::Push(const std::vector<Alert>& alerts) {
  MutexLock lock(mu_);
  queue_.insert(queue_.end(), alerts.begin(), alerts.end());
  if (queue_.size() > options_.queue_alerts_max) {
    const size_t excess = queue_.size() - options_.queue_alerts_max;
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(excess));
    dropped_.Add(excess);
    LogWarn("notify", "alertmanager queue is full, oldest alerts dropped",
            {{"alertmanager", url_}, {"alerts", excess}});
  }
  ready_.NotifyOne();
}

bool AlertmanagerQueue::RunOnce() {
  std::vector<Alert> batch;
  {
    MutexLock lock(mu_);
    const size_t count = std::min(queue_.size(), kBatchAlerts);
    if (count == 0) return false;
    const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
    batch.assign(queue_.begin(), end);
    queue_.erase(queue_.begin(), end);
  }
  const bool delivered = Deliver(batch);
  MutexLock lock(mu_);
  if (!delivered && stopping_) queue_.clear();
  return true;
}

bool AlertmanagerQueue::Deliver(const std::vector<Alert>& batch) {
  const auto answer = transport_->PostJson(url_, AlertsJson(batch));
  const bool delivered = answer && answer->status / 100 == 2;
  (delivered ? sent_ : failed_).Add(batch.size());
  const std::string detail = !answer
                                 ? answer.error().message()
                                 : "status " + std::to_string(answer->status) + " " + answer->body;
  if (!delivered) {
    LogWarn("notify", "sending alerts failed",
            {{"alertmanager", url_}, {"alerts", batch.size()}, {"err", detail}});
  }
  if (ledger_ != nullptr) {
    for (const Alert& alert : batch) {
      ledger_->Add({env_->NowMs(), delivered ? "sent" : "not_sent", alert.labels,
                    url_ + (delivered ? "" : ": " + detail)});
    }
  }
  return delivered;
}

void AlertmanagerQueue::Start() {
  thread_ = Thread("notify-" + HostOf(url_), [this] { RunThread(); });
}

void AlertmanagerQueue::RunThread() {
  while (true) {
    {
      MutexLock lock(mu_);
      while (queue_.empty() && !stopping_) ready_.Wait(mu_);
      if (queue_.empty()) return;
    }
    RunOnce();
  }
}

void AlertmanagerQueue::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    ready_.NotifyAll();
  }
  if (thread_.joinable()) thread_.Join();
}

AlertmanagerSender::AlertmanagerSender(Env* env, TransportFactory transports, Ledger* ledger,
                                       const SenderOptions& options)
    : env_(env), transports_(std::move(transports)), ledger_(ledger), options_(options) {}

AlertmanagerSender::~AlertmanagerSender() { Stop(); }

Result<AlertmanagerSender::Prepared> AlertmanagerSender::Prepare(
    const AlertingConfig& config) const {
  Prepared prepared;
  for (const AlertmanagerConfig& alertmanager : config.alertmanagers) {
    TOCSIN_TRY(CheckTransportBuilt(alertmanager.http).Annotate("alertmanagers"));
    if (!alertmanager.discovery.files.empty()) {
      return Error(Code::kUnimplemented,
                   "alertmanagers: file_sd_configs are not built yet (only static_configs are)");
    }
    for (const discovery::TargetGroup& group : alertmanager.discovery.static_targets.groups) {
      for (const model::Labels& target : group.targets) {
        model::LabelsBuilder labels(group.labels);
        for (const model::LabelView& label : target) labels.Set(label.name, label.value);
        if (labels.Get(kSchemeLabel).empty()) labels.Set(kSchemeLabel, alertmanager.scheme);
        if (labels.Get(kPathLabel).empty()) {
          labels.Set(kPathLabel, AlertsPath(alertmanager.path_prefix));
        }
        const std::string before = UrlOf(labels);
        if (!model::ApplyRelabelRules(alertmanager.relabel_configs, &labels) ||
            labels.Get(kAddressLabel).empty()) {
          prepared.dropped.push_back(before);
          continue;
        }
        const std::string url = UrlOf(labels);
        const bool known = std::any_of(prepared.active.begin(), prepared.active.end(),
                                       [&](const auto& endpoint) { return endpoint.url == url; });
        if (!known) prepared.active.push_back({url, alertmanager});
      }
    }
  }
  return prepared;
}

void AlertmanagerSender::Apply(Prepared prepared) {
  Queues old = Snapshot();
  Queues fresh;
  for (const Prepared::Endpoint& endpoint : prepared.active) {
    const auto same = std::find_if(old.begin(), old.end(), [&](const auto& queue) {
      return queue != nullptr && queue->url() == endpoint.url && queue->config() == endpoint.config;
    });
    if (same != old.end()) {
      fresh.push_back(std::move(*same));
      continue;
    }
    fresh.push_back(std::make_shared<AlertmanagerQueue>(
        endpoint.url, endpoint.config, options_,
        transports_(endpoint.config.http, endpoint.config.timeout_ms), env_, ledger_));
    if (options_.start_threads) fresh.back()->Start();
  }
  {
    MutexLock lock(mu_);
    queues_ = std::move(fresh);
    dropped_ = std::move(prepared.dropped);
  }
  for (const auto& queue : old) {
    if (queue != nullptr) queue->Stop();
  }
}

void AlertmanagerSender::Stop() {
  Queues old;
  {
    MutexLock lock(mu_);
    old.swap(queues_);
  }
  for (const auto& queue : old) queue->Stop();
}

AlertmanagerSender::Queues AlertmanagerSender::Snapshot() const {
  MutexLock lock(mu_);
  return queues_;
}

void AlertmanagerSender::Send(std::span<const Alert> alerts) {
  for (const auto& queue : Snapshot()) {
    std::vector<Alert> out;
    for (const Alert& original : alerts) {
      Alert alert = original;
      if (RelabelAlert(queue->config().alert_relabel_configs, &alert)) {
        out.push_back(std::move(alert));
      }
    }
    if (!out.empty()) queue->Push(out);
  }
}

AlertmanagersView AlertmanagerSender::Alertmanagers() const {
  MutexLock lock(mu_);
  AlertmanagersView view;
  for (const auto& queue : queues_) view.active.push_back(queue->url());
  view.dropped = dropped_;
  return view;
}

void AlertmanagerSender::RunAll() {
  for (const auto& queue : Snapshot()) {
    while (queue->RunOnce()) {
    }
  }
}

}  // namespace tocsin::alerting
