// The sections of prometheus.yml itself: global, scrape_configs, alerting, storage, remote_write
// and the rest, with the rules that hold between their fields.
#include <algorithm>
#include <set>
#include <string>

#include "base/byte_size.h"
#include "base/regex.h"
#include "daemon/config/schema.h"
#include "model/labels.h"

namespace tocsin::daemon {
namespace {

std::string Quoted(std::string_view text) { return model::QuoteString(text); }

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return lower;
}

// ---- scrape protocols

constexpr std::string_view kProtocols[] = {"OpenMetricsText0.0.1", "OpenMetricsText1.0.0",
                                           "PrometheusProto", "PrometheusText0.0.4",
                                           "PrometheusText1.0.0"};

std::string ProtocolComplaint(const std::string& name) {
  std::string list;
  for (const std::string_view protocol : kProtocols) {
    if (name == protocol) return "";
    if (!list.empty()) list += ' ';
    list += protocol;
  }
  return "unknown scrape protocol " + name + ", supported: [" + list + "]";
}

void ValidateProtocols(SectionCheck& s, const std::string& where) {
  const YamlNode list = s.Node("scrape_protocols");
  if (!list.present() || list.is_null()) return;
  std::set<std::string> seen;
  if (list.items().empty()) {
    s.Fail("scrape_protocols", "scrape_protocols cannot be empty" + where);
  }
  for (const YamlNode& item : list.items()) {
    if (!seen.insert(Lower(item.text())).second) {
      s.context().errors->Add(
          item, "duplicated protocol in scrape_protocols, got " + item.text() + where);
    }
    if (const std::string why = ProtocolComplaint(item.text()); !why.empty()) {
      s.context().errors->Add(item, "scrape_protocols: " + why + where);
    } else if (item.text() == "PrometheusProto") {
      s.NoteNotBuilt(item, "scrape_protocols: PrometheusProto");
    }
  }
}

// ---- names

constexpr std::string_view kEscapingSchemes = "|allow-utf-8|underscores|dots|values";

void ValidateScheme(SectionCheck& s) {
  const std::string scheme = s.Text("metric_name_validation_scheme");
  if (!scheme.empty() && scheme != "legacy" && scheme != "utf8") {
    s.Fail("metric_name_validation_scheme", "unrecognized ValidationScheme: " + Quoted(scheme));
  }
}

// Metric names that are not legacy cannot be asked for where only legacy ones are valid.
void ValidateEscaping(SectionCheck& s) {
  const GlobalSettings& global = s.context().global;
  std::string escaping = s.Text("metric_name_escaping_scheme");
  if (escaping.empty() && !s.Set("metric_name_validation_scheme")) {
    escaping = global.node.Find("metric_name_escaping_scheme").text();
  }
  if (escaping.empty()) {
    escaping = s.context().scheme == model::NameScheme::kLegacy ? "underscores" : "allow-utf-8";
  }
  if (escaping == "allow-utf-8" && s.context().scheme == model::NameScheme::kLegacy) {
    s.Fail("metric_name_escaping_scheme",
           "utf8 metric names requested but validation scheme is not set to UTF8");
  }
  // What follows from the validation scheme is built; asking for another escaping is not.
  const bool follows = s.context().scheme == model::NameScheme::kLegacy ? escaping == "underscores"
                                                                        : escaping == "allow-utf-8";
  if (!follows) {
    const YamlNode own = s.Node("metric_name_escaping_scheme");
    s.NoteNotBuilt(own.present() ? own : global.node.Find("metric_name_escaping_scheme"),
                   "metric_name_escaping_scheme: " + escaping);
  }
}

// ---- relabelling

void ValidateRelabel(SectionCheck& s) {
  const auto rule = ReadRelabelRule(s.node(), s.context().scheme);
  if (!rule) s.context().errors->Add(rule.error());
}

constexpr Field kRelabelFields[] = {
    List("source_labels"), Text("separator", ";"),    Text("regex", "(.*)"),     Uint("modulus"),
    Text("target_label"),  Text("replacement", "$1"), Text("action", "replace"),
};

// ---- global

void ValidateGlobal(SectionCheck& s) {
  ValidateScheme(s);
  ValidateProtocols(s, " for global config");
  const int64_t interval_ms =
      s.DurationMs("scrape_interval") == 0 ? 60'000 : s.DurationMs("scrape_interval");
  if (s.Given("scrape_timeout") && s.DurationMs("scrape_timeout") > interval_ms) {
    s.Fail("scrape_timeout", "global scrape timeout greater than scrape interval");
  }
}

constexpr Field kGlobalFields[] = {
    Duration("scrape_interval", "1m"),
    Duration("scrape_timeout", "10s"),
    List("scrape_protocols"),
    Duration("evaluation_interval", "1m"),
    Duration("rule_query_offset"),
    FilePath("query_log_file"),
    NotBuilt(FilePath("scrape_failure_log_file")),
    {.name = "external_labels", .type = FieldType::kLabelMap},
    ByteSize("body_size_limit"),
    Uint("sample_limit"),
    Uint("target_limit"),
    Uint("label_limit"),
    Uint("label_name_length_limit"),
    Uint("label_value_length_limit"),
    Uint("keep_dropped_targets"),
    Text("metric_name_validation_scheme", "utf8"),
    Enum("metric_name_escaping_scheme", kEscapingSchemes, "allow-utf-8"),
    NotBuilt(Flag("scrape_native_histograms")),
    NotBuilt(Flag("convert_classic_histograms_to_nhcb")),
    Flag("always_scrape_classic_histograms"),
    Flag("extra_scrape_metrics"),
};
constexpr Section kGlobalSection{
    .name = "global", .fields = kGlobalFields, .validate = ValidateGlobal};

// ---- scrape_configs

void ValidateStaticTargets(SectionCheck& s) {
  if (!s.Node("relabel_configs").items().empty()) return;
  for (const YamlNode& group : s.Node("static_configs").items()) {
    for (const YamlNode& target : group.Find("targets").items()) {
      if (target.text().find('/') != std::string::npos) {
        s.context().errors->Add(target, Quoted(target.text()) + " is not a valid hostname");
      }
    }
  }
}

void ValidateScrape(SectionCheck& s) {
  s.Require("job_name", "job_name is empty");
  const std::string job = s.Text("job_name");
  const std::string where = " for scrape config with job name " + Quoted(job);
  const GlobalSettings& global = s.context().global;
  ValidateScheme(s);
  ValidateEscaping(s);
  const int64_t own_interval_ms = s.Node("scrape_interval").AsDurationMs().value_or(0);
  const int64_t interval_ms = own_interval_ms == 0 ? global.scrape_interval_ms : own_interval_ms;
  if (s.Node("scrape_timeout").AsDurationMs().value_or(0) > interval_ms) {
    s.Fail("scrape_timeout", "scrape timeout greater than scrape interval" + where);
  }
  ValidateProtocols(s, where);
  const std::string fallback = s.Text("fallback_scrape_protocol");
  if (!fallback.empty()) {
    if (const std::string why = ProtocolComplaint(fallback); !why.empty()) {
      s.Fail("fallback_scrape_protocol", "invalid fallback_scrape_protocol" + where + ": " + why);
    } else if (fallback == "PrometheusProto") {
      s.NoteNotBuilt(s.Node("fallback_scrape_protocol"),
                     "fallback_scrape_protocol: PrometheusProto");
    }
  }
  ValidateStaticTargets(s);
}

constexpr Field kScrapeFields[] = {
    Text("job_name"),
    Flag("honor_labels"),
    Shown(Flag("honor_timestamps", "true")),
    Shown(Flag("track_timestamps_staleness")),
    {.name = "params", .type = FieldType::kStringListMap},
    FromGlobal(Duration("scrape_interval")),
    FromGlobal(Duration("scrape_timeout")),
    List("scrape_protocols"),
    Text("fallback_scrape_protocol"),
    NotBuilt(Shown(FromGlobal(Flag("scrape_native_histograms")))),
    Shown(FromGlobal(Flag("always_scrape_classic_histograms"))),
    NotBuilt(Shown(FromGlobal(Flag("convert_classic_histograms_to_nhcb")))),
    NotBuilt(FilePath("scrape_failure_log_file")),
    Text("metrics_path", "/metrics"),
    Text("scheme", "http"),
    Shown(Flag("enable_compression", "true")),
    FromGlobal(ByteSize("body_size_limit")),
    FromGlobal(Uint("sample_limit")),
    FromGlobal(Uint("target_limit")),
    FromGlobal(Uint("label_limit")),
    FromGlobal(Uint("label_name_length_limit")),
    FromGlobal(Uint("label_value_length_limit")),
    NotBuilt(Uint("native_histogram_bucket_limit")),
    NotBuilt(Float("native_histogram_min_bucket_factor")),
    FromGlobal(Uint("keep_dropped_targets")),
    FromGlobal(Text("metric_name_validation_scheme")),
    FromGlobal(Enum("metric_name_escaping_scheme", kEscapingSchemes)),
    Shown(FromGlobal(Flag("extra_scrape_metrics"))),
    Relabel("relabel_configs", "empty or null target relabeling rule in scrape config"),
    Relabel("metric_relabel_configs", "empty or null metric relabeling rule in scrape config"),
};
constexpr const Section* kScrapeInlined[] = {&kHttpClientSection, &kDiscoverySection};
constexpr Section kScrapeSection{.name = "scrape_configs",
                                 .fields = kScrapeFields,
                                 .inlined = kScrapeInlined,
                                 .validate = ValidateScrape};

constexpr Field kScrapeConfigs =
    SubList("scrape_configs", &kScrapeSection, "empty or null scrape config section");

// ---- alerting

void ValidateAlertmanager(SectionCheck& s) {
  const bool has_auth = s.Given("basic_auth") || s.Given("authorization") || s.Given("oauth2");
  if (has_auth && s.Given("sigv4")) {
    s.Fail("sigv4", "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured");
  }
  const std::string version = s.Text("api_version");
  if (version != "v2") {
    s.Fail("api_version", "expected Alertmanager api version to be one of [v2] but got " + version);
  }
  ValidateStaticTargets(s);
}

constexpr Field kAlertmanagerFields[] = {
    NotBuilt(Sub("sigv4", &kSigV4Section)),
    Text("scheme", "http"),
    Text("path_prefix"),
    Duration("timeout", "10s"),
    Shown(Text("api_version", "v2")),
    Relabel("relabel_configs", "empty or null Alertmanager target relabeling rule"),
    Relabel("alert_relabel_configs", "empty or null Alertmanager alert relabeling rule"),
};
constexpr const Section* kAlertmanagerInlined[] = {&kHttpClientSection, &kDiscoverySection};
constexpr Section kAlertmanagerSection{.name = "alertmanagers",
                                       .fields = kAlertmanagerFields,
                                       .inlined = kAlertmanagerInlined,
                                       .validate = ValidateAlertmanager};

constexpr Field kAlertingFields[] = {
    Relabel("alert_relabel_configs", "empty or null alert relabeling rule"),
    SubList("alertmanagers", &kAlertmanagerSection, "empty or null Alertmanager config section"),
};
constexpr Section kAlertingSection{.name = "alerting", .fields = kAlertingFields};

// ---- storage

void ValidateRetention(SectionCheck& s) {
  if (ParseByteSize(s.Text("size")).value_or(0) < 0) {
    s.Fail("size", "'storage.tsdb.retention.size' must be greater than or equal to 0");
  }
  const double percentage = s.Number("percentage");
  if (!(percentage >= 0 && percentage <= 100)) {
    s.Fail("percentage", "'storage.tsdb.retention.percentage' must be in the range [0, 100]");
  }
}

void ValidateChunkEncoding(SectionCheck& s) {
  const std::string floats = s.Text("floats");
  if (s.Given("floats") && floats != "xor" && floats != "xor2") {
    s.Fail("floats",
           "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be "
           "omitted entirely, got " +
               Quoted(floats));
  }
}

void ValidateTsdb(SectionCheck& s) {
  const double threshold = s.Number("stale_series_compaction_threshold");
  if (!(threshold >= 0 && threshold <= 1)) {
    s.Fail("stale_series_compaction_threshold",
           "'storage.tsdb.stale_series_compaction_threshold' must be in the range [0, 1]");
  }
}

constexpr Field kRetentionFields[] = {
    Duration("time"),
    ByteSize("size"),
    Float("percentage"),
};
constexpr Section kRetentionSection{
    .name = "retention", .fields = kRetentionFields, .validate = ValidateRetention};
constexpr Field kChunkEncodingFields[] = {Text("floats")};
constexpr Section kChunkEncodingSection{
    .name = "chunk_encoding", .fields = kChunkEncodingFields, .validate = ValidateChunkEncoding};
constexpr Field kTsdbFields[] = {
    Duration("out_of_order_time_window"),
    NotBuilt(Float("stale_series_compaction_threshold")),
    Sub("retention", &kRetentionSection),
    Sub("chunk_encoding", &kChunkEncodingSection),
};
constexpr Section kTsdbSection{.name = "tsdb", .fields = kTsdbFields, .validate = ValidateTsdb};
constexpr Field kExemplarsFields[] = {Int("max_exemplars", "100000")};
constexpr Section kExemplarsSection{.name = "exemplars", .fields = kExemplarsFields};
constexpr Field kStorageFields[] = {
    Sub("tsdb", &kTsdbSection),
    Sub("exemplars", &kExemplarsSection),
};
constexpr Section kStorageSection{.name = "storage", .fields = kStorageFields};

// ---- the whole file

void ValidateGlobs(SectionCheck& s, std::string_view field, const std::string& what) {
  static const Regex pattern = *Regex::Compile(R"([^*]*(\*[^/]*)?)");
  for (const YamlNode& glob : s.Node(field).items()) {
    if (!pattern.FullMatch(glob.text())) {
      s.context().errors->Add(glob, "invalid " + what + " path " + Quoted(glob.text()));
    }
  }
}

void ValidateUniqueNames(SectionCheck& s, std::string_view list, std::string_view name_field,
                         const std::string& what) {
  std::set<std::string> seen;
  for (const YamlNode& item : s.Node(list).items()) {
    const YamlNode name = item.Find(name_field);
    if (!name.text().empty() && !seen.insert(name.text()).second) {
      s.context().errors->Add(
          name, "found multiple " + what + " configs with job name " + Quoted(name.text()));
    }
  }
}

void ValidateConfig(SectionCheck& s) {
  ValidateGlobs(s, "rule_files", "rule file");
  ValidateGlobs(s, "scrape_config_files", "scrape config file");
  ValidateUniqueNames(s, "scrape_configs", "job_name", "scrape");
  ValidateUniqueNames(s, "remote_write", "name", "remote write");
  ValidateUniqueNames(s, "remote_read", "name", "remote read");
}

// Go's garbage collector: taken, nothing to tune here.
constexpr Field kRuntimeFields[] = {Int("gogc", "75")};
constexpr Section kRuntimeSection{.name = "runtime", .fields = kRuntimeFields};

constexpr Field kConfigFields[] = {
    Shown(Sub("global", &kGlobalSection)),
    Shown(Sub("runtime", &kRuntimeSection)),
    Sub("alerting", &kAlertingSection),
    {.name = "rule_files", .type = FieldType::kStringList, .is_file = true},
    {.name = "scrape_config_files", .type = FieldType::kStringList, .is_file = true},
    kScrapeConfigs,
    Sub("storage", &kStorageSection),
    NotBuilt(Sub("tracing", &kTracingSection)),
    NotBuilt(
        SubList("remote_write", &kRemoteWriteSection, "empty or null remote write config section")),
    NotBuilt(
        SubList("remote_read", &kRemoteReadSection, "empty or null remote read config section")),
    Sub("otlp", &kOtlpSection),
};

constexpr Field kScrapeFileFields[] = {kScrapeConfigs};

void ValidateScrapeFile(SectionCheck& s) {
  ValidateUniqueNames(s, "scrape_configs", "job_name", "scrape");
}

}  // namespace

constinit const Section kRelabelSection{
    .name = "relabel_configs", .fields = kRelabelFields, .validate = ValidateRelabel};

constinit const Section kConfigSection{
    .name = "the configuration", .fields = kConfigFields, .validate = ValidateConfig};

constinit const Section kScrapeFileSection{.name = "a file of scrape configurations",
                                           .fields = kScrapeFileFields,
                                           .validate = ValidateScrapeFile};

Result<model::RelabelRule> ReadRelabelRule(const YamlNode& node, model::NameScheme scheme) {
  model::RelabelConfig config;
  YamlErrors errors;
  YamlMapReader map(node, "relabel_configs", &errors);
  std::string action = "replace";
  map.Read("source_labels", &config.source_labels);
  map.Read("separator", &config.separator);
  map.Read("regex", &config.regex);
  map.Read("modulus", &config.modulus);
  map.Read("target_label", &config.target_label);
  map.Read("replacement", &config.replacement);
  map.Read("action", &action);
  if (const Status status = errors.ToStatus(); !status.ok()) return Error(status);
  for (const YamlNode& name : node.Find("source_labels").items()) {
    // Which scheme is asked does not matter to Prometheus here: any name that UTF-8 allows.
    if (!name.is_null() && !model::IsValidLabelName(name.text(), model::NameScheme::kUtf8)) {
      return Error(name.ErrorHere(Quoted(name.text()) + " is not a valid label name"));
    }
  }
  if (action.empty()) {
    const YamlNode place = node.Find("action");
    return Error((place.present() ? place : node).ErrorHere("relabel action cannot be empty"));
  }
  const auto parsed = model::ParseRelabelAction(action);
  if (!parsed) {
    return Error(node.Find("action").ErrorHere("unknown relabel action " + Quoted(action)));
  }
  config.action = *parsed;
  Result<model::RelabelRule> rule = model::RelabelRule::Create(std::move(config), scheme);
  if (!rule) return Error(node.ErrorHere(rule.error().message()));
  return rule;
}

}  // namespace tocsin::daemon
