#include "daemon/app.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "alerting/config.h"
#include "alerting/notify/alert_pipeline.h"
#include "alerting/notify/alertmanager_sender.h"
#include "alerting/notify/http_transport.h"
#include "alerting/notify/ledger.h"
#include "alerting/notify/notifier.h"
#include "alerting/rules/alert_journal.h"
#include "alerting/rules/rule_loader.h"
#include "alerting/rules/rule_scheduler.h"
#include "api/api_router.h"
#include "api/http_metrics.h"
#include "base/env.h"
#include "base/http/server.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/self_metrics.h"
#include "base/state_store.h"
#include "base/thread.h"
#include "collector/metadata_store.h"
#include "collector/push/remote_write.h"
#include "collector/scrape_pools.h"
#include "daemon/addresses.h"
#include "daemon/commands.h"
#include "daemon/config/config.h"
#include "daemon/config/tocsin_config.h"
#include "daemon/query_metrics.h"
#include "daemon/storage_metrics.h"
#include "daemon/storage_options.h"
#include "daemon/store_snapshot.h"
#include "daemon/version.h"
#include "discovery/discovery.h"
#include "query/engine.h"
#include "query/service.h"
#include "tsdb/database.h"
#include "tsdb/prometheus/block_meta.h"

namespace tocsin::daemon {
namespace {

constexpr int64_t kShutdownGraceMs = 5'000;

std::string HostName() {
  char name[HOST_NAME_MAX + 1] = "";
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "localhost";
}

// Everything that the files say, read and checked, and not yet in effect.
struct LoadedFiles {
  Config config;
  TocsinConfig tocsin;
  std::vector<alerting::RuleGroupDefinition> rule_groups;
  std::optional<alerting::NotifierConfig> notifier;
};

Result<LoadedFiles> LoadFiles(Env& env, const ServeFlags& flags) {
  LoadedFiles files;
  LoadOptions options;
  options.extra_scrape_metrics = flags.extra_scrape_metrics;
  TOCSIN_ASSIGN_OR_RETURN(files.config, LoadConfig(env, flags.config_file, options));
  TOCSIN_TRY(files.config.RefuseNotBuilt());
  for (const std::string& warning : files.config.warnings) LogWarn("config", warning);
  if (!flags.tocsin_config_file.empty()) {
    TOCSIN_ASSIGN_OR_RETURN(files.tocsin, LoadTocsinConfig(env, flags.tocsin_config_file));
    TOCSIN_TRY(files.tocsin.RefuseNotBuilt());
  }

  alerting::RuleFileOptions rule_options;
  rule_options.language = flags.language;
  rule_options.legacy_names = files.config.global.name_scheme == model::NameScheme::kLegacy;
  TOCSIN_ASSIGN_OR_RETURN(files.rule_groups,
                          alerting::LoadRuleFiles(env, files.config.rule_files, rule_options));

  if (!flags.alertmanager_config_file.empty()) {
    const std::string& path = flags.alertmanager_config_file;
    TOCSIN_ASSIGN_OR_RETURN(const std::string text, env.ReadFile(path));
    TOCSIN_ASSIGN_OR_RETURN(files.notifier, alerting::ParseNotifierConfig(text, path));
  }
  return files;
}

// A process that is just ending (kill -9 and a start at once) may hold the lock for a moment more.
constexpr int kLockTries = 20;
constexpr int64_t kLockRetryMs = 100;

Result<std::unique_ptr<tsdb::Database>> OpenDatabase(Env& env,
                                                     const tsdb::DatabaseOptions& options) {
  for (int tries = 1;; ++tries) {
    auto database = tsdb::Database::Open(options);
    if (database || database.error().code() != Code::kUnavailable || tries == kLockTries) {
      return database;
    }
    env.SleepFor(kLockRetryMs);
  }
}

query::EngineOptions EngineOptionsOf(const ServeFlags& flags, const Config& config) {
  query::EngineOptions options;
  options.language = flags.language;
  options.lookback_delta_ms = flags.query_lookback_delta_ms;
  options.timeout_ms = flags.query_timeout_ms;
  options.max_samples = flags.query_max_samples;
  options.memory_budget_bytes = flags.query_max_memory_bytes;
  options.default_subquery_step_ms = config.global.evaluation_interval_ms;
  return options;
}

constexpr int64_t kResponseBytesMin = int64_t{64} << 20;

query::QueryServiceOptions QueryServiceOptionsOf(const ServeFlags& flags, Env* env) {
  query::QueryServiceOptions options;
  options.cache_bytes = static_cast<uint64_t>(
      std::min(flags.query_max_cache_bytes, flags.query_max_memory_bytes / 4));
  options.slow_ms = flags.query_log_slower_ms;
  options.env = env;
  return options;
}

api::TsdbStatus TsdbStatusOf(const tsdb::DatabaseStats& stats) {
  const auto counts = [](const std::vector<tsdb::NameCount>& list) {
    std::vector<api::NameCount> out;
    out.reserve(list.size());
    for (const tsdb::NameCount& item : list) out.push_back({item.name, item.value});
    return out;
  };
  return {.series = stats.series,
          .label_pairs = stats.label_pairs,
          .chunks = stats.runs,
          .min_time_ms = stats.min_ms,
          .max_time_ms = stats.max_ms,
          .series_by_metric_name = counts(stats.series_by_metric_name),
          .values_by_label_name = counts(stats.values_by_label_name),
          .bytes_by_label_name = counts(stats.bytes_by_label_name),
          .series_by_label_pair = counts(stats.series_by_label_pair)};
}

// A segment as a block: its columns are its series and chunks, its id and its end a ULID.
std::vector<api::TsdbBlock> TsdbBlocksOf(const std::vector<tsdb::StoredSegment>& segments) {
  std::vector<api::TsdbBlock> blocks;
  for (const tsdb::StoredSegment& segment : segments) {
    if (segment.samples == 0) continue;
    blocks.push_back({.ulid = tsdb::UlidOf(segment.range.max_ms, segment.id),
                      .min_time_ms = segment.range.min_ms,
                      .end_time_ms = segment.range.max_ms + 1,
                      .samples = segment.samples,
                      .series = segment.columns,
                      .chunks = segment.columns,
                      .level = segment.level + 1});
  }
  return blocks;
}

}  // namespace

// In order of construction: each part uses only those above it, so members are destroyed in a safe
// order too.
struct App::Parts {
  Parts(const ServeFlags& serve_flags, Commands* serve_commands)
      : flags(serve_flags), commands(serve_commands) {}

  Status Create();
  void CreateStorage(LoadedFiles* files);
  void CreateAlerting();
  void CreateApi();
  Status Apply(LoadedFiles files);

  const ServeFlags flags;
  Commands* const commands;
  Env& env = Env::Default();
  SelfMetrics& metrics = SelfMetrics::Default();
  const int64_t start_ms = env.NowMs();
  Addresses addresses;

  // What the API shows of the configuration in effect. Written by main, read by HTTP workers.
  Mutex shown_mu;
  std::string shown_yaml GUARDED_BY(shown_mu);
  std::map<std::string, std::string> shown_jobs_yaml GUARDED_BY(shown_mu);
  model::Labels shown_external_labels GUARDED_BY(shown_mu);
  bool shown_reload_ok GUARDED_BY(shown_mu) = true;
  int64_t shown_config_ms GUARDED_BY(shown_mu) = 0;
  std::atomic<api::Readiness> readiness{api::Readiness::kStarting};

  // storage
  collector::MetadataStore metadata{&env, {}};  // the database asks it for types
  std::unique_ptr<tsdb::Database> database;
  std::vector<MetricCallback> storage_metrics;
  std::unique_ptr<StateStore> state;         // alert journal, notification log: synced
  std::unique_ptr<StateStore> ledger_store;  // what happened to alerts: unsynced

  // questions
  std::unique_ptr<query::Engine> engine;
  std::unique_ptr<query::QueryService> queries;
  std::vector<MetricCallback> query_metrics;

  // alerts: rules → pipeline → { Alertmanagers outside, the notifier inside }
  std::unique_ptr<alerting::Ledger> ledger;
  std::unique_ptr<alerting::AlertJournal> journal;
  std::unique_ptr<alerting::AlertmanagerSender> alertmanagers;
  std::unique_ptr<alerting::Notifier> notifier;  // null without --alertmanager.config-file
  std::unique_ptr<alerting::AlertPipeline> pipeline;
  std::unique_ptr<alerting::RuleScheduler> rules;

  // samples: discovery → pools → database; pushes → database
  std::unique_ptr<collector::ScrapePools> pools;
  std::unique_ptr<discovery::Discovery> discovery;
  std::unique_ptr<collector::RemoteWriteReceiver> remote_write;  // null unless enabled

  // the door
  api::Dependencies dependencies;
  std::unique_ptr<http::Server> server;
  std::vector<MetricCallback> server_metrics;
  bool started = false;

  // Waits for the rows of older log files: until they are in, an alert would be resolved for want
  // of them, and a query would answer a part.
  void BeReadyOnceLoaded();
  Thread readier;
  std::atomic<bool> stopping{false};

  Gauge& reload_ok_metric =
      metrics.GetGauge("prometheus_config_last_reload_successful",
                       "Whether the last configuration reload was successful.");
  Gauge& reload_time_metric =
      metrics.GetGauge("prometheus_config_last_reload_success_timestamp_seconds",
                       "Time of the last successful configuration reload.");
};

App::App(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
App::~App() { Stop(); }

Result<std::unique_ptr<App>> App::Create(const ServeFlags& flags, Commands* commands) {
  auto parts = std::make_unique<Parts>(flags, commands);
  TOCSIN_TRY(parts->Create());
  return std::unique_ptr<App>(new App(std::move(parts)));
}

Status App::Parts::Create() {
  TOCSIN_ASSIGN_OR_RETURN_STATUS(addresses, ResolveAddresses(flags, HostName()));
  TOCSIN_ASSIGN_OR_RETURN_STATUS(LoadedFiles files, LoadFiles(env, flags));

  // --- storage ---
  tsdb::DatabaseOptions storage_options = StorageOptions(flags, files.config, files.tocsin);
  // Rollups begin a second after Open, when the types are long loaded.
  storage_options.metric_type = [this](std::string_view name) { return metadata.TypeOf(name); };
  TOCSIN_ASSIGN_OR_RETURN_STATUS(database, OpenDatabase(env, storage_options));
  storage_metrics = RegisterStorageMetrics(&metrics, database.get());
  TOCSIN_ASSIGN_OR_RETURN_STATUS(state,
                                 OpenStateStore(env, JoinPath(flags.storage_path, "state"), {}));
  TOCSIN_ASSIGN_OR_RETURN_STATUS(
      ledger_store, OpenStateStore(env, JoinPath(flags.storage_path, "ledger"), {.sync = false}));
  for (const StateStore* store : {state.get(), ledger_store.get()}) {
    if (!store->recovery().message.empty()) LogWarn("state", store->recovery().message);
  }
  if (const Status status = metadata.Load(state.get()); !status.ok())
    LogError("metadata", "what was stored cannot be read whole", {{"err", status}});

  // --- questions ---
  engine = std::make_unique<query::Engine>(EngineOptionsOf(flags, files.config));
  query::QueryServiceOptions query_options = QueryServiceOptionsOf(flags, &env);
  query_options.settled_until = [this] {
    return database->load_progress().complete ? database->SettledUntil() : model::kMinTimestamp;
  };
  queries = std::make_unique<query::QueryService>(engine.get(), query_options);
  query_metrics = RegisterQueryMetrics(&metrics, queries.get());

  CreateAlerting();

  // --- samples ---
  collector::ScrapePoolsOptions pool_options;
  pool_options.user_agent = "Tocsin/" + std::string(Version());
  pools = std::make_unique<collector::ScrapePools>(&env, database.get(), pool_options);
  discovery = std::make_unique<discovery::Discovery>(
      &env, [this](const std::string& job, const discovery::TargetGroupList& groups) {
        pools->SetGroups(job, groups);
      });
  if (flags.enable_remote_write_receiver) {
    collector::RemoteWriteOptions options;
    options.note_metadata = [this](std::string_view family, const model::Metadata& said) {
      metadata.Note(family, said);
    };
    remote_write =
        std::make_unique<collector::RemoteWriteReceiver>(&env, database.get(), std::move(options));
  }

  CreateApi();
  return Apply(std::move(files));
}

void App::Parts::CreateAlerting() {
  ledger = std::make_unique<alerting::Ledger>(*ledger_store);
  journal = std::make_unique<alerting::AlertJournal>(*state);

  alerting::SenderOptions sender_options;
  sender_options.queue_alerts_max = static_cast<size_t>(flags.notification_queue_capacity);
  alertmanagers = std::make_unique<alerting::AlertmanagerSender>(
      &env, alerting::MakeTransportFactory(env), ledger.get(), sender_options);
  std::vector<alerting::AlertSink*> sinks = {alertmanagers.get()};
  if (!flags.alertmanager_config_file.empty()) {
    notifier = std::make_unique<alerting::Notifier>(
        &env, state.get(), alerting::MakeTransportFactory(env), ledger.get(),
        alerting::NotifierOptions{.external_url = addresses.external_url});
    sinks.push_back(notifier.get());
  }
  pipeline = std::make_unique<alerting::AlertPipeline>(std::move(sinks));

  alerting::RuleBackends backends;
  backends.env = &env;
  backends.appender = database.get();
  backends.query = [this](const alerting::RuleGroupDefinition& group, const std::string& expr,
                          model::Timestamp time_ms, const std::atomic<bool>* cancel) {
    query::QueryDescription what{.text = expr,
                                 .start_ms = time_ms,
                                 .end_ms = time_ms,
                                 .lane = query::QueryLane::kRules,
                                 .origin = {}};
    what.origin.rule_file = group.file;
    what.origin.rule_group = group.name;
    query::QueryOptions options;
    options.cancel = cancel;
    return queries->ForRule(*database, what, options);
  };
  backends.sink = pipeline.get();
  backends.journal = journal.get();
  backends.ledger = ledger.get();
  rules = std::make_unique<alerting::RuleScheduler>(backends, alerting::RuleSchedulerOptions{});
}

void App::Parts::CreateApi() {
  api::Dependencies& deps = dependencies;
  deps.env = &env;
  deps.readiness = [this] { return readiness.load(); };
  deps.engine = engine.get();
  deps.queries = queries.get();
  deps.store = database.get();
  deps.per_step_stats = flags.per_step_stats;
  deps.targets = api::TargetsOf(pools.get());
  deps.targets.visit_stored_metadata = [this](std::string_view metric, const auto& visit) {
    metadata.Visit(metric, visit);
  };
  deps.targets.pool_config_yaml = [this](const std::string& pool) -> Result<std::string> {
    MutexLock lock(shown_mu);
    const auto it = shown_jobs_yaml.find(pool);
    if (it == shown_jobs_yaml.end())
      return Error(Code::kNotFound, "unknown scrape pool \"" + pool + "\"");
    return it->second;
  };
  if (remote_write) deps.remote_write = api::RemoteWriteOf(remote_write.get());
  deps.rules = rules.get();
  deps.alertmanagers = alertmanagers.get();
  deps.build.revision = "tocsin-" + std::string(Version());
  deps.build.compiler = Compiler();
  deps.runtime = [this] {
    api::RuntimeInfo info;
    info.start_time_ms = start_ms;
    info.corruption_count = static_cast<int64_t>(database->counters().quarantined_files);
    info.storage_retention = DescribeRetention(database->policy());
    MutexLock lock(shown_mu);
    info.reload_config_success = shown_reload_ok;
    info.last_config_time_ms = shown_config_ms;
    return info;
  };
  deps.config_yaml = [this] {
    MutexLock lock(shown_mu);
    return shown_yaml;
  };
  deps.flags = flags.all;
  for (auto& [name, value] : deps.flags) {  // the one in use, as the reference shows it
    if (name == "web.route-prefix")
      value = addresses.route_prefix.empty() ? "/" : addresses.route_prefix;
  }
  deps.tsdb_status = [this](size_t limit) { return TsdbStatusOf(database->Stats(limit)); };
  deps.tsdb_blocks = [this] { return TsdbBlocksOf(database->Segments()); };
  deps.wal_replay = [this] {
    const tsdb::LoadProgress progress = database->load_progress();
    return api::WalReplayStatus{.min = 0,
                                .max = static_cast<int64_t>(progress.files),
                                .current = static_cast<int64_t>(progress.files_done)};
  };
  deps.notifications = [this] {
    std::vector<api::Notification> active;
    MutexLock lock(shown_mu);
    if (!shown_reload_ok) active.push_back({"Configuration reload has failed.", shown_config_ms});
    return active;
  };
  deps.self_metrics = [this] { return metrics.RenderText(); };
  deps.external_labels = [this] {
    MutexLock lock(shown_mu);
    return shown_external_labels;
  };
  deps.lifecycle_enabled = flags.enable_lifecycle;
  deps.admin_enabled = flags.enable_admin_api;
  deps.reload = [this] { return commands->Reload(); };
  deps.quit = [this] { commands->Quit(); };
  deps.compact = [this] { return database->Compact(); };
  deps.pause_compaction = [this](bool paused) {
    database->PauseCompaction(paused);
    LogInfo("tsdb", paused ? "compaction paused" : "compaction resumed");
  };
  deps.admin.delete_series = [this](std::vector<model::MatcherSet> sets, model::TimeRange range) {
    return database->DeleteSeries(std::move(sets), range);
  };
  deps.admin.clean_tombstones = [this] { return database->CleanTombstones(); };
  deps.admin.snapshot = [this](bool skip_head) {
    return TakeSnapshot(env, *database, metadata, skip_head);
  };
  deps.external_url = addresses.external_url;
  deps.external_path = addresses.external_path;
  deps.listen_address = flags.listen_addresses.front();
  deps.cors_origin = flags.cors_origin;

  http::ServerOptions options;
  options.listen_addresses = flags.listen_addresses;
  options.connections_max = static_cast<int>(std::min<int64_t>(flags.max_connections, INT_MAX));
  options.read_timeout_ms = flags.web_read_timeout_ms;
  options.query_lane.threads =
      static_cast<int>(std::min<int64_t>(flags.query_max_concurrency, INT_MAX));
  options.query_lane.nice = query::kUserQueryNice;
  // Answers on their way, in proportion to what queries may hold: a gibibyte of four.
  options.response_budget_bytes =
      static_cast<size_t>(std::max<int64_t>(flags.query_max_memory_bytes / 4, kResponseBytesMin));
  options.allowed_hosts = addresses.allowed_hosts;
  options.on_overload = api::AnswerOverload;
  server = std::make_unique<http::Server>(std::move(options),
                                          api::MakeRouter(deps, addresses.route_prefix),
                                          api::ObserveRequests(&metrics));
  server_metrics = api::ExportServerStats(server.get(), &metrics);
}

// Everything that can fail comes first; from the first Apply on nothing can.
Status App::Parts::Apply(LoadedFiles files) {
  const Config& config = files.config;
  alerting::RuleConfig rule_config;
  rule_config.groups = std::move(files.rule_groups);
  rule_config.evaluation_interval_ms = config.global.evaluation_interval_ms;
  rule_config.rule_query_offset_ms = config.global.rule_query_offset_ms;
  rule_config.resend_delay_ms = flags.alert_resend_delay_ms;
  rule_config.environment = {config.global.external_labels, addresses.external_url, flags.language};
  TOCSIN_ASSIGN_OR_RETURN_STATUS(auto prepared_rules, rules->Prepare(rule_config));

  const alerting::AlertingConfig alerting_config{
      .alert_relabel_configs = config.alert_relabel_configs,
      .alertmanagers = config.alertmanagers,
      .external_labels = config.global.external_labels};
  TOCSIN_ASSIGN_OR_RETURN_STATUS(auto prepared_sender, alertmanagers->Prepare(alerting_config));

  std::optional<alerting::Notifier::Prepared> prepared_notifier;
  if (notifier) {
    TOCSIN_ASSIGN_OR_RETURN_STATUS(prepared_notifier,
                                   notifier->Prepare(*std::move(files.notifier)));
  }

  database->SetPolicy(StoragePolicyOf(flags, config, files.tocsin));
  TOCSIN_RETURN_IF_ERROR(
      queries->log().Open(config.global.query_log_file).Annotate("query_log_file"));
  queries->ForgetResults();

  if (notifier) notifier->Apply(*std::move(prepared_notifier));
  alertmanagers->Apply(std::move(prepared_sender));
  pipeline->Apply(alerting_config);
  rules->Apply(std::move(prepared_rules));

  std::map<std::string, discovery::DiscoveryConfig> providers;
  for (const collector::ScrapeConfig& job : config.scrape_configs)
    providers.emplace(job.job_name, job.discovery);
  pools->Apply(config.scrape_configs);
  discovery->Apply(providers);

  MutexLock lock(shown_mu);
  shown_yaml = config.effective_yaml;
  shown_jobs_yaml = config.job_yaml;
  shown_external_labels = config.global.external_labels;
  shown_reload_ok = true;
  shown_config_ms = env.NowMs();
  reload_ok_metric.Set(1);
  reload_time_metric.Set(static_cast<double>(shown_config_ms) / 1000);
  return Status::Ok();
}

Status App::Start() {
  Parts& p = *parts_;
  TOCSIN_RETURN_IF_ERROR(p.server->Start());
  p.started = true;
  if (p.notifier) p.notifier->Start();
  p.discovery->Start();
  p.metadata.Start([&p](bool all) {
    p.pools->VisitNewFamilies(all, [&p](const collector::TargetMetadata& family) {
      p.metadata.Note(family.metric,
                      {model::MetricTypeOfName(family.type), family.unit, family.help});
    });
  });
  for (const std::string& address : p.server->addresses())
    LogInfo("main", "listening", {{"address", address}});
  if (p.database->load_progress().complete) {
    p.BeReadyOnceLoaded();
    return Status::Ok();
  }
  LogInfo("main", "scraping; older rows are being loaded",
          {{"after_ms", p.env.NowMs() - p.start_ms}});
  p.readier = Thread("ready", [&p] { p.BeReadyOnceLoaded(); });
  return Status::Ok();
}

void App::Parts::BeReadyOnceLoaded() {
  static constexpr int64_t kLookAgainMs = 50;
  while (!database->AwaitLoaded(kLookAgainMs)) {
    if (stopping.load()) return;
  }
  rules->Start();
  auto starting = api::Readiness::kStarting;
  readiness.compare_exchange_strong(starting, api::Readiness::kReady);
  LogInfo("main", "ready",
          {{"after_ms", env.NowMs() - start_ms}, {"series", database->sizes().series}});
}

Status App::Reload() {
  Parts& p = *parts_;
  auto files = LoadFiles(p.env, p.flags);
  Status status = files ? p.Apply(*std::move(files)) : files.error();
  if (!status.ok()) {
    MutexLock lock(p.shown_mu);
    p.shown_reload_ok = false;
    p.reload_ok_metric.Set(0);
  }
  return status;
}

void App::Stop() {
  Parts& p = *parts_;
  if (!p.database) return;
  p.readiness.store(api::Readiness::kStopping);
  p.stopping.store(true);
  if (p.readier.joinable()) p.readier.Join();
  // Those who bring samples first, storage last.
  if (p.discovery) p.discovery->Stop();
  if (p.pools) p.pools->Stop();
  if (p.rules) p.rules->Stop();
  if (p.alertmanagers) p.alertmanagers->Stop();
  if (p.notifier) p.notifier->Stop();
  if (p.started) p.server->Shutdown(kShutdownGraceMs);
  p.started = false;
  p.metadata.Stop();  // after all who note; what the last scrapes said is still in the pools
  p.storage_metrics.clear();
  p.query_metrics.clear();
  if (const Status status = p.database->Close(); !status.ok())
    LogError("tsdb", "close failed", {{"err", status}});
}

}  // namespace tocsin::daemon
