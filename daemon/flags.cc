#include "daemon/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "base/byte_size.h"
#include "base/duration.h"
#include "base/number.h"
#include "base/regex.h"

namespace tocsin::daemon {
namespace {

enum class Kind : uint8_t { kText, kBool, kInt, kDuration, kSize, kList, kChoice };

enum class State : uint8_t {
  kBuilt,
  kNoEffect,  // tunes something that Tocsin does not have
  kNotBuilt,
};

struct FlagSpec {
  const char* name;
  Kind kind;
  const char* fallback;  // default; a kList splits it at commas
  State state;
  const char* help;
  const char* choices = "";  // kChoice: "a|b"
};

constexpr char kAcceptedMessages[] = "prometheus.WriteRequest,io.prometheus.write.v2.Request";

// In the order of --help: ours first, then Prometheus' in its own order.
constexpr FlagSpec kFlags[] = {
    {"tocsin.config-file", Kind::kText, "", State::kBuilt,
     "Settings that are only Tocsin's (tocsin.yml)."},
    {"alertmanager.config-file", Kind::kText, "", State::kBuilt,
     "Alertmanager configuration file: switches the built-in notifier on."},
    {"storage.durability", Kind::kChoice, "grouped", State::kBuilt,
     "When a write counts as stored: in the kernel, synced within a second (grouped), on the "
     "device (sync), or in the kernel and never synced (off).",
     "grouped|sync|off"},
    {"query.max-memory", Kind::kSize, "4GB", State::kBuilt,
     "Memory that all running queries may use together; an eighth is kept for rules."},
    {"query.max-cache-memory", Kind::kSize, "64MB", State::kBuilt,
     "Memory for answers of range queries that are likely to be asked again; 0: none. Counts "
     "against --query.max-memory."},
    {"query.log-slower-than", Kind::kDuration, "0s", State::kBuilt,
     "Queries that took at least this long go to the log, and only they to query_log_file; 0: all "
     "go to query_log_file."},

    {"config.file", Kind::kText, "prometheus.yml", State::kBuilt, "Configuration file path."},
    {"config.auto-reload-interval", Kind::kDuration, "30s", State::kNotBuilt,
     "How often to look for changes of the configuration file."},
    {"web.listen-address", Kind::kList, "127.0.0.1:9090", State::kBuilt,
     "Address to listen on. Can be repeated. Only loopback unless told otherwise."},
    {"auto-gomaxprocs", Kind::kBool, "true", State::kNoEffect, "Go's runtime: no effect here."},
    {"auto-gomemlimit", Kind::kBool, "true", State::kNoEffect, "Go's runtime: no effect here."},
    {"auto-gomemlimit.ratio", Kind::kText, "0.9", State::kNoEffect,
     "Go's runtime: no effect here."},
    {"web.config.file", Kind::kText, "", State::kNotBuilt,
     "File that enables TLS or authentication."},
    {"web.read-timeout", Kind::kDuration, "5m", State::kBuilt,
     "Time limit for reading a request, and for idle connections."},
    {"web.max-connections", Kind::kInt, "512", State::kBuilt, "Most simultaneous connections."},
    {"web.max-notifications-subscribers", Kind::kInt, "16", State::kNotBuilt,
     "Most subscribers of live notifications."},
    {"web.external-url", Kind::kText, "", State::kBuilt,
     "The URL under which Tocsin is reachable from outside."},
    {"web.route-prefix", Kind::kText, "", State::kBuilt,
     "Prefix of the internal routes. Defaults to the path of --web.external-url."},
    {"web.user-assets", Kind::kText, "", State::kNotBuilt, "Directory served at /user."},
    {"web.enable-lifecycle", Kind::kBool, "false", State::kBuilt,
     "Allow reload and shutdown by HTTP request."},
    {"web.enable-admin-api", Kind::kBool, "false", State::kBuilt, "Allow admin API endpoints."},
    {"web.enable-remote-write-receiver", Kind::kBool, "false", State::kBuilt,
     "Accept remote write requests."},
    {"web.remote-write-receiver.accepted-protobuf-messages", Kind::kList, kAcceptedMessages,
     State::kNotBuilt, "Remote write messages to accept."},
    {"web.enable-otlp-receiver", Kind::kBool, "false", State::kNotBuilt,
     "Accept OTLP write requests."},
    {"web.console.templates", Kind::kText, "consoles", State::kNotBuilt,
     "Directory of console templates."},
    {"web.console.libraries", Kind::kText, "console_libraries", State::kNotBuilt,
     "Directory of console libraries."},
    {"web.page-title", Kind::kText, "Prometheus Time Series Collection and Processing Server",
     State::kBuilt, "Title of the pages."},
    {"web.cors.origin", Kind::kText, ".*", State::kBuilt,
     "Regular expression for CORS origins, anchored at both ends."},
    {"storage.tsdb.path", Kind::kText, "data/", State::kBuilt, "Directory of the data."},
    {"storage.tsdb.min-block-duration", Kind::kDuration, "2h", State::kNoEffect,
     "Prometheus' blocks: no effect here."},
    {"storage.tsdb.max-block-duration", Kind::kDuration, "1d12h", State::kNoEffect,
     "Prometheus' blocks: no effect here."},
    {"storage.tsdb.max-block-chunk-segment-size", Kind::kSize, "0B", State::kNoEffect,
     "Prometheus' blocks: no effect here."},
    {"storage.tsdb.wal-segment-size", Kind::kSize, "0B", State::kNoEffect,
     "Prometheus' log: no effect here."},
    {"storage.tsdb.retention.time", Kind::kDuration, "0s", State::kBuilt,
     "How long to keep samples; 15d when neither this nor the configuration file says."},
    {"storage.tsdb.retention.size", Kind::kSize, "0B", State::kBuilt,
     "Most bytes of stored samples, the log included: a hard cap. 0: none."},
    {"storage.tsdb.no-lockfile", Kind::kBool, "false", State::kNotBuilt,
     "Do not create a lock file in the data directory."},
    {"storage.tsdb.head-chunks-write-queue-size", Kind::kInt, "0", State::kNoEffect,
     "Prometheus' head: no effect here."},
    {"storage.tsdb.samples-per-chunk", Kind::kInt, "120", State::kNoEffect,
     "Prometheus' head: no effect here."},
    {"storage.tsdb.wal-compression", Kind::kBool, "true", State::kBuilt,
     "Compress the write-ahead log, with LZ4."},
    {"storage.tsdb.wal-compression-type", Kind::kChoice, "snappy", State::kNoEffect,
     "Prometheus' log: ours is compressed with LZ4.", "snappy|zstd"},
    {"storage.tsdb.delayed-compaction.max-percent", Kind::kInt, "10", State::kNoEffect,
     "Prometheus' blocks: no effect here."},
    {"storage.tsdb.delay-compact-file.path", Kind::kText, "", State::kNoEffect,
     "Prometheus' blocks: no effect here."},
    {"storage.tsdb.block-reload-interval", Kind::kDuration, "1m", State::kNoEffect,
     "Prometheus' blocks: no effect here."},
    {"storage.agent.path", Kind::kText, "data-agent/", State::kNotBuilt, "Agent mode."},
    {"storage.agent.wal-segment-size", Kind::kSize, "0B", State::kNotBuilt, "Agent mode."},
    {"storage.agent.wal-compression", Kind::kBool, "true", State::kNotBuilt, "Agent mode."},
    {"storage.agent.wal-compression-type", Kind::kChoice, "snappy", State::kNotBuilt, "Agent mode.",
     "snappy|zstd"},
    {"storage.agent.wal-truncate-frequency", Kind::kDuration, "0s", State::kNotBuilt,
     "Agent mode."},
    {"storage.agent.retention.min-time", Kind::kDuration, "0s", State::kNotBuilt, "Agent mode."},
    {"storage.agent.retention.max-time", Kind::kDuration, "0s", State::kNotBuilt, "Agent mode."},
    {"storage.agent.no-lockfile", Kind::kBool, "false", State::kNotBuilt, "Agent mode."},
    {"agent", Kind::kBool, "false", State::kNotBuilt, "Run in agent mode."},
    {"storage.remote.flush-deadline", Kind::kDuration, "1m", State::kNotBuilt,
     "How long to flush remote write queues at shutdown."},
    {"storage.remote.read-sample-limit", Kind::kInt, "50000000", State::kNotBuilt,
     "Most samples of one remote read query."},
    {"storage.remote.read-concurrent-limit", Kind::kInt, "10", State::kNotBuilt,
     "Most concurrent remote read calls."},
    {"storage.remote.read-max-bytes-in-frame", Kind::kInt, "1048576", State::kNotBuilt,
     "Most bytes of a streamed remote read frame."},
    {"rules.alert.for-outage-tolerance", Kind::kDuration, "1h", State::kBuilt,
     "Longest outage after which the `for` state of alerts is restored."},
    {"rules.alert.for-grace-period", Kind::kDuration, "10m", State::kBuilt,
     "Least time between a restart and a restored alert's firing."},
    {"rules.alert.resend-delay", Kind::kDuration, "1m", State::kBuilt,
     "Least time before an alert is sent to Alertmanager again."},
    {"rules.max-concurrent-evals", Kind::kInt, "4", State::kNotBuilt,
     "Most independent rules evaluated at once."},
    {"scrape.adjust-timestamps", Kind::kBool, "true", State::kNotBuilt,
     "Align scrape timestamps to their schedule."},
    {"scrape.timestamp-tolerance", Kind::kDuration, "2ms", State::kNotBuilt,
     "How far scrape timestamps may be adjusted."},
    {"scrape.discovery-reload-interval", Kind::kDuration, "5s", State::kNoEffect,
     "Prometheus' discovery: no effect here."},
    {"alertmanager.notification-queue-capacity", Kind::kInt, "10000", State::kBuilt,
     "Most notifications waiting for an Alertmanager."},
    {"alertmanager.notification-batch-size", Kind::kInt, "256", State::kBuilt,
     "Most notifications in one request to an Alertmanager."},
    {"alertmanager.drain-notification-queue-on-shutdown", Kind::kBool, "true", State::kBuilt,
     "Send what waits for Alertmanagers before shutting down."},
    {"query.lookback-delta", Kind::kDuration, "5m", State::kBuilt,
     "How far back an instant selector looks for a sample."},
    {"query.timeout", Kind::kDuration, "2m", State::kBuilt, "Longest time a query may take."},
    {"query.max-concurrency", Kind::kInt, "20", State::kBuilt, "Most queries run at once."},
    {"query.max-samples", Kind::kInt, "50000000", State::kBuilt,
     "Most samples a single query may load."},
    {"enable-feature", Kind::kList, "", State::kBuilt,
     "Names of features to enable, comma separated. Can be repeated."},
    {"log.level", Kind::kChoice, "info", State::kBuilt, "Least severity that is logged.",
     "debug|info|warn|error"},
    {"log.format", Kind::kChoice, "logfmt", State::kBuilt, "Format of log lines.", "logfmt|json"},
};

enum class Feature : uint8_t {
  kNoEffect,
  kNotBuilt,
  kExperimentalFunctions,
  kDurationExpressions,
  kExtendedRangeSelectors,
  kFillModifiers,
  kDelayedNameRemoval,
  kPerStepStats,
  kExtraScrapeMetrics,
};

struct FeatureSpec {
  std::string_view name;
  Feature effect;
};

constexpr FeatureSpec kFeatures[] = {
    {"promql-experimental-functions", Feature::kExperimentalFunctions},
    {"promql-duration-expr", Feature::kDurationExpressions},
    {"promql-extended-range-selectors", Feature::kExtendedRangeSelectors},
    {"promql-binop-fill-modifiers", Feature::kFillModifiers},
    {"promql-delayed-name-removal", Feature::kDelayedNameRemoval},
    {"promql-per-step-stats", Feature::kPerStepStats},
    {"extra-scrape-metrics", Feature::kExtraScrapeMetrics},
    // Always on, or about parts that Tocsin does not have.
    {"exemplar-storage", Feature::kNoEffect},
    {"expand-external-labels", Feature::kNoEffect},
    {"promql-at-modifier", Feature::kNoEffect},
    {"promql-negative-offset", Feature::kNoEffect},
    {"new-service-discovery-manager", Feature::kNoEffect},
    {"no-default-scrape-port", Feature::kNoEffect},
    {"native-histograms", Feature::kNoEffect},
    {"auto-gomaxprocs", Feature::kNoEffect},
    {"auto-gomemlimit", Feature::kNoEffect},
    {"memory-snapshot-on-shutdown", Feature::kNoEffect},
    {"delayed-compaction", Feature::kNoEffect},
    {"metadata-wal-records", Feature::kNoEffect},
    {"xor2-encoding", Feature::kNoEffect},
    {"fast-startup", Feature::kNoEffect},
    {"utf8-names", Feature::kNoEffect},
    {"agent", Feature::kNotBuilt},
    {"auto-reload-config", Feature::kNotBuilt},
    {"concurrent-rule-eval", Feature::kNotBuilt},
    {"created-timestamp-zero-ingestion", Feature::kNotBuilt},
    {"st-storage", Feature::kNotBuilt},
    {"use-start-timestamps", Feature::kNotBuilt},
    {"old-ui", Feature::kNotBuilt},
    {"otlp-write-receiver", Feature::kNotBuilt},
    {"otlp-deltatocumulative", Feature::kNotBuilt},
    {"otlp-native-delta-ingestion", Feature::kNotBuilt},
    {"remote-write-receiver", Feature::kNotBuilt},
    {"type-and-unit-labels", Feature::kNotBuilt},
    {"use-uncached-io", Feature::kNoEffect},
    {"search-api", Feature::kNotBuilt},
};

std::vector<std::string> SplitCommas(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    if (!part.empty()) parts.emplace_back(part);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return parts;
}

std::string JoinCommas(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += ',';
    text += part;
  }
  return text;
}

bool IsChoice(std::string_view value, std::string_view choices) {
  while (true) {
    const size_t bar = choices.find('|');
    if (value == choices.substr(0, bar)) return true;
    if (bar == std::string_view::npos) return false;
    choices.remove_prefix(bar + 1);
  }
}

// The value in the form that /status/flags shows.
Result<std::string> Canonical(const FlagSpec& spec, const std::string& value) {
  switch (spec.kind) {
    case Kind::kText:
    case Kind::kBool:
    case Kind::kList:
      return value;
    case Kind::kInt: {
      // "5e7" is a whole number too.
      const std::optional<double> number = ParseFloatPlain(value);
      if (!number || *number != static_cast<double>(static_cast<int64_t>(*number))) {
        return Error(Code::kInvalidArgument, "not a whole number: \"" + value + "\"");
      }
      return std::to_string(static_cast<int64_t>(*number));
    }
    case Kind::kDuration: {
      TOCSIN_ASSIGN_OR_RETURN(const int64_t duration_ms, ParseDuration(value));
      return FormatDuration(duration_ms);
    }
    case Kind::kSize: {
      TOCSIN_ASSIGN_OR_RETURN(const int64_t bytes, ParseByteSize(value));
      if (bytes < 0) return Error(Code::kInvalidArgument, "a size must not be negative");
      return FormatByteSize(bytes);
    }
    case Kind::kChoice:
      if (IsChoice(value, spec.choices)) return value;
      return Error(Code::kInvalidArgument,
                   "must be one of " + std::string(spec.choices) + ", got \"" + value + "\"");
  }
  return value;
}

// Values of all flags by name, as text.
class FlagValues {
 public:
  const std::string& Text(const std::string& name) const { return values_.at(name); }
  bool Bool(const std::string& name) const { return Text(name) == "true"; }
  int64_t Int(const std::string& name) const { return ParseInt64(Text(name)).value_or(0); }
  int64_t DurationMs(const std::string& name) const {
    return ParseDuration(Text(name)).value_or(0);
  }
  int64_t Bytes(const std::string& name) const { return ParseByteSize(Text(name)).value_or(0); }
  std::vector<std::string> List(const std::string& name) const { return SplitCommas(Text(name)); }
  bool Given(const std::string& name) const { return given_.at(name); }

  void Set(const std::string& name, std::string value, bool given) {
    values_[name] = std::move(value);
    given_[name] = given;
  }
  const std::map<std::string, std::string>& all() const { return values_; }

 private:
  std::map<std::string, std::string> values_;
  std::map<std::string, bool> given_;
};

// What the parser of the command line found, before types are looked at.
struct RawFlags {
  std::map<std::string, std::vector<std::string>> texts;
  std::map<std::string, bool> switches;
};

void Declare(CLI::App* app, RawFlags* raw) {
  for (const FlagSpec& spec : kFlags) {
    const std::string name = std::string("--") + spec.name;
    std::string help = spec.help;
    if (spec.kind == Kind::kBool) {
      bool& value = raw->switches[spec.name];
      value = std::string_view(spec.fallback) == "true";
      app->add_flag(name + ",!--no-" + spec.name, value, help);
    } else {
      CLI::Option* option = app->add_option(name, raw->texts[spec.name], help);
      option->expected(1)->type_name(spec.fallback[0] == '\0' ? "" : spec.fallback);
      option->multi_option_policy(spec.kind == Kind::kList ? CLI::MultiOptionPolicy::TakeAll
                                                           : CLI::MultiOptionPolicy::TakeLast);
      option->allow_extra_args(false);
    }
  }
}

// `rest` is what CLI11 could not use, in no kind order: names the first of them from the left.
Status UnexpectedArgument(std::span<const std::string> args, const std::vector<std::string>& rest) {
  for (const std::string& arg : args) {
    if (!arg.starts_with('-')) continue;
    const std::string name = arg.substr(0, arg.find('='));
    const bool known = std::any_of(std::begin(kFlags), std::end(kFlags), [&](const auto& spec) {
      return name == std::string("--") + spec.name ||
             (spec.kind == Kind::kBool && name == std::string("--no-") + spec.name);
    });
    if (!known) return Status(Code::kInvalidArgument, "unknown flag " + name);
  }
  const auto first = std::find_first_of(args.begin(), args.end(), rest.begin(), rest.end());
  return Status(Code::kInvalidArgument,
                "unexpected argument " + (first == args.end() ? rest.front() : *first));
}

// CLI11 parses; its exceptions end here.
Result<RawFlags> ParseCommandLine(std::span<const std::string> args, bool* help) {
  RawFlags raw;
  try {
    CLI::App app("");
    app.set_help_flag("-h,--help", "");
    app.allow_extras();
    Declare(&app, &raw);
    std::vector<std::string> reversed(args.rbegin(), args.rend());
    app.parse(std::move(reversed));
    if (const std::vector<std::string> rest = app.remaining(); !rest.empty()) {
      return Error(UnexpectedArgument(args, rest));
    }
  } catch (const CLI::CallForHelp&) {
    *help = true;
  } catch (const CLI::ParseError& e) {
    return Error(Code::kInvalidArgument, e.what());
  } catch (const std::exception& e) {
    return Error(Code::kInvalidArgument, e.what());
  }
  return raw;
}

Result<FlagValues> CheckValues(RawFlags raw) {
  FlagValues values;
  for (const FlagSpec& spec : kFlags) {
    if (spec.kind == Kind::kBool) {
      const bool value = raw.switches[spec.name];
      values.Set(spec.name, value ? "true" : "false",
                 value != (std::string_view(spec.fallback) == "true"));
      continue;
    }
    const std::vector<std::string>& given = raw.texts[spec.name];
    const std::string text = given.empty()              ? spec.fallback
                             : spec.kind == Kind::kList ? JoinCommas(given)
                                                        : given.back();
    Result<std::string> canonical = Canonical(spec, text);
    if (!canonical) {
      return Error(canonical.error().Annotate(std::string("--") + spec.name));
    }
    values.Set(spec.name, std::move(*canonical), !given.empty());
  }
  return values;
}

std::vector<std::string> NotBuiltFlags(const FlagValues& values) {
  std::vector<std::string> sentences;
  for (const FlagSpec& spec : kFlags) {
    if (spec.state != State::kNotBuilt) continue;
    const std::string fallback = Canonical(spec, spec.fallback).value_or(spec.fallback);
    if (values.Text(spec.name) != fallback) {
      sentences.push_back(std::string("--") + spec.name + " is valid but not built yet");
    }
  }
  return sentences;
}

Status FillWeb(const FlagValues& values, ServeFlags* flags) {
  flags->listen_addresses = values.List("web.listen-address");
  if (flags->listen_addresses.empty()) {
    return Status(Code::kInvalidArgument, "--web.listen-address: must not be empty");
  }
  flags->external_url = values.Text("web.external-url");
  flags->route_prefix = values.Text("web.route-prefix");
  flags->page_title = values.Text("web.page-title");
  flags->cors_origin = values.Text("web.cors.origin");
  if (const auto regex = Regex::Compile(flags->cors_origin); !regex) {
    return regex.error().Annotate("--web.cors.origin");
  }
  flags->web_read_timeout_ms = values.DurationMs("web.read-timeout");
  flags->max_connections = values.Int("web.max-connections");
  if (flags->max_connections < 1) {
    return Status(Code::kInvalidArgument, "--web.max-connections: must be at least 1");
  }
  flags->enable_lifecycle = values.Bool("web.enable-lifecycle");
  flags->enable_admin_api = values.Bool("web.enable-admin-api");
  flags->enable_remote_write_receiver = values.Bool("web.enable-remote-write-receiver");
  return Status::Ok();
}

void FillAlerting(const FlagValues& values, ServeFlags* flags) {
  flags->alert_outage_tolerance_ms = values.DurationMs("rules.alert.for-outage-tolerance");
  flags->alert_for_grace_period_ms = values.DurationMs("rules.alert.for-grace-period");
  flags->alert_resend_delay_ms = values.DurationMs("rules.alert.resend-delay");
  flags->notification_queue_capacity = values.Int("alertmanager.notification-queue-capacity");
  flags->notification_batch_size = values.Int("alertmanager.notification-batch-size");
  flags->drain_notification_queue_on_shutdown =
      values.Bool("alertmanager.drain-notification-queue-on-shutdown");
}

Status FillQuery(const FlagValues& values, ServeFlags* flags) {
  flags->query_lookback_delta_ms = values.DurationMs("query.lookback-delta");
  flags->query_timeout_ms = values.DurationMs("query.timeout");
  flags->query_max_concurrency = values.Int("query.max-concurrency");
  flags->query_max_samples = values.Int("query.max-samples");
  flags->query_max_memory_bytes = values.Bytes("query.max-memory");
  flags->query_max_cache_bytes = values.Bytes("query.max-cache-memory");
  flags->query_log_slower_ms = values.DurationMs("query.log-slower-than");
  for (const char* name :
       {"query.max-concurrency", "query.max-samples", "alertmanager.notification-queue-capacity",
        "alertmanager.notification-batch-size"}) {
    if (values.Int(name) < 1) {
      return Status(Code::kInvalidArgument, std::string("--") + name + ": must be at least 1");
    }
  }
  const std::vector<std::string> features = values.List("enable-feature");
  FeatureEffects effects = ApplyFeatures(features);
  flags->language = effects.language;
  flags->per_step_stats = effects.per_step_stats;
  flags->extra_scrape_metrics = effects.extra_scrape_metrics;
  for (const std::string& name : effects.not_built) {
    flags->not_built.push_back("--enable-feature=" + name + " is valid but not built yet");
  }
  for (const std::string& name : effects.unknown) {
    flags->warnings.push_back("unknown option for --enable-feature: " + name);
  }
  return Status::Ok();
}

Result<ServeFlags> ToServeFlags(const FlagValues& values) {
  ServeFlags flags;
  flags.config_file = values.Text("config.file");
  flags.tocsin_config_file = values.Text("tocsin.config-file");
  flags.alertmanager_config_file = values.Text("alertmanager.config-file");
  flags.storage_path = values.Text("storage.tsdb.path");
  flags.synced_writes = values.Text("storage.durability") == "sync";
  flags.never_sync = values.Text("storage.durability") == "off";
  flags.wal_compression = values.Bool("storage.tsdb.wal-compression");
  flags.retention_ms = values.DurationMs("storage.tsdb.retention.time");
  flags.retention_given = flags.retention_ms > 0;
  constexpr int64_t kDefaultRetentionMs = int64_t{15} * 24 * 3600 * 1000;
  if (!flags.retention_given) flags.retention_ms = kDefaultRetentionMs;
  flags.retention_bytes = static_cast<uint64_t>(values.Bytes("storage.tsdb.retention.size"));
  flags.not_built = NotBuiltFlags(values);
  TOCSIN_TRY(FillWeb(values, &flags));
  FillAlerting(values, &flags);
  TOCSIN_TRY(FillQuery(values, &flags));
  TOCSIN_ASSIGN_OR_RETURN(flags.log_level, ParseLogLevel(values.Text("log.level")));
  TOCSIN_ASSIGN_OR_RETURN(flags.log_format, ParseLogFormat(values.Text("log.format")));
  for (const auto& [name, value] : values.all()) flags.all.emplace_back(name, value);
  return flags;
}

}  // namespace

Result<ServeFlags> ParseServeFlags(std::span<const std::string> args) {
  bool help = false;
  TOCSIN_ASSIGN_OR_RETURN(RawFlags raw, ParseCommandLine(args, &help));
  if (help) {
    ServeFlags flags;
    flags.help = true;
    return flags;
  }
  TOCSIN_ASSIGN_OR_RETURN(const FlagValues values, CheckValues(std::move(raw)));
  return ToServeFlags(values);
}

std::string ServeHelp() {
  std::string text =
      "Usage: tocsin serve [FLAGS]\n\n"
      "Collects, stores, answers and alerts. Flags are Prometheus' where it has them; booleans\n"
      "also take --no-FLAG. Defaults in brackets.\n\n";
  for (const FlagSpec& spec : kFlags) {
    if (spec.state == State::kNoEffect) continue;
    text += "  --";
    text += spec.name;
    if (spec.fallback[0] != '\0') text += std::string(" [") + spec.fallback + "]";
    text += std::string("\n      ") + spec.help;
    if (spec.state == State::kNotBuilt) text += " Not built yet.";
    text += '\n';
  }
  return text;
}

FeatureEffects ApplyFeatures(std::span<const std::string> names) {
  FeatureEffects effects;
  for (const std::string& given : names) {
    for (const std::string& name : SplitCommas(given)) {
      const auto* const spec = std::find_if(std::begin(kFeatures), std::end(kFeatures),
                                            [&](const FeatureSpec& f) { return f.name == name; });
      if (spec == std::end(kFeatures)) {
        effects.unknown.push_back(name);
        continue;
      }
      switch (spec->effect) {
        case Feature::kNoEffect:
          break;
        case Feature::kNotBuilt:
          effects.not_built.push_back(name);
          break;
        case Feature::kExperimentalFunctions:
          effects.language.experimental_functions = true;
          break;
        case Feature::kDurationExpressions:
          effects.language.duration_expressions = true;
          break;
        case Feature::kExtendedRangeSelectors:
          effects.language.extended_range_selectors = true;
          break;
        case Feature::kFillModifiers:
          effects.language.binop_fill_modifiers = true;
          break;
        case Feature::kDelayedNameRemoval:
          effects.language.delayed_name_removal = true;
          break;
        case Feature::kPerStepStats:
          effects.per_step_stats = true;
          break;
        case Feature::kExtraScrapeMetrics:
          effects.extra_scrape_metrics = true;
          break;
      }
    }
  }
  return effects;
}

}  // namespace tocsin::daemon
