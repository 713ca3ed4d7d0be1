#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/byte_size.h"
#include "base/env.h"
#include "base/glob.h"
#include "daemon/config/config.h"

namespace tocsin::daemon {
namespace {

// A configuration file of people, not of machines.
constexpr uint64_t kConfigBytesMax = 64 << 20;
constexpr size_t kScrapeConfigFilesMax = 10'000;

// As Go's filepath.Join, for these paths are shown (a rule group's file, __meta_filepath):
// "rules.yml", not "./rules.yml". An absolute path stays as it is written.
std::string JoinDirectory(const std::string& directory, const std::string& path) {
  if (path.empty() || path.starts_with('/')) return path;
  return std::filesystem::path(JoinPath(directory, path)).lexically_normal().string();
}

// A shell-like reference at the front of `text`, which begins with '$'. Go's os.Expand: ${name},
// $name, $1, $$; what is none of them loses its braces and stays out.
struct EnvReference {
  std::string_view name;
  size_t length;
};

EnvReference ReadEnvReference(std::string_view text) {
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  constexpr std::string_view kSpecial = "*#$@!?-0123456789";
  if (text.size() < 2) return {{}, 0};
  if (text[1] == '{') {
    const size_t close = text.find('}');
    if (close == std::string_view::npos) return {{}, 2};
    return {text.substr(2, close - 2), close + 1};
  }
  if (kSpecial.find(text[1]) != std::string_view::npos) return {text.substr(1, 1), 2};
  size_t end = 1;
  while (end < text.size() && is_word(text[end])) ++end;
  if (end == 1) return {{}, 0};
  return {text.substr(1, end - 1), end};
}

std::string ExpandEnvironment(std::string_view text, std::vector<std::string>* warnings) {
  std::string out;
  while (!text.empty()) {
    const size_t dollar = text.find('$');
    out += text.substr(0, dollar);
    if (dollar == std::string_view::npos) break;
    text.remove_prefix(dollar);
    const EnvReference reference = ReadEnvReference(text);
    if (reference.length == 0) {
      out += '$';
      text.remove_prefix(1);
      continue;
    }
    text.remove_prefix(reference.length);
    if (reference.name == "$") {
      out += '$';
    } else if (!reference.name.empty()) {
      const char* const value = std::getenv(std::string(reference.name).c_str());
      if (value == nullptr || *value == '\0') {
        warnings->push_back("empty environment variable " + std::string(reference.name) +
                            " in external_labels");
      } else {
        out += value;
      }
    }
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> TextPairs(const YamlNode& map) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const YamlEntry& entry : map.entries()) {
    pairs.emplace_back(entry.key.text(), entry.value.text());
  }
  return pairs;
}

std::vector<std::string> Texts(const YamlNode& list) {
  std::vector<std::string> texts;
  for (const YamlNode& item : list.items()) texts.push_back(item.text());
  return texts;
}

int64_t DurationOr(const YamlNode& node, int64_t fallback_ms) {
  const int64_t duration_ms = node.AsDurationMs().value_or(0);
  return duration_ms == 0 ? fallback_ms : duration_ms;
}

model::NameScheme SchemeOr(const YamlNode& node, model::NameScheme fallback) {
  if (node.text() == "legacy") return model::NameScheme::kLegacy;
  if (node.text() == "utf8") return model::NameScheme::kUtf8;
  return fallback;
}

// Reads one file that has passed its schema into typed structs.
class ConfigBuilder {
 public:
  ConfigBuilder(Config* config, const LoadOptions& options) : config_(config), options_(options) {}

  void BuildGlobal(const YamlNode& root) {
    root_ = root;
    global_node_ = root.Find("global");
    GlobalConfig& global = config_->global;
    global.scrape_interval_ms = DurationOr(global_node_.Find("scrape_interval"), 60'000);
    global.scrape_timeout_ms = DurationOr(global_node_.Find("scrape_timeout"),
                                          std::min<int64_t>(10'000, global.scrape_interval_ms));
    global.evaluation_interval_ms = DurationOr(global_node_.Find("evaluation_interval"), 60'000);
    global.rule_query_offset_ms = DurationOr(global_node_.Find("rule_query_offset"), 0);
    global.name_scheme =
        SchemeOr(global_node_.Find("metric_name_validation_scheme"), model::NameScheme::kUtf8);
    auto labels = TextPairs(global_node_.Find("external_labels"));
    for (auto& [name, value] : labels) value = ExpandEnvironment(value, &config_->warnings);
    global.external_labels = model::Labels::FromPairs(std::move(labels));
  }

  void BuildRest(const YamlNode& root, const std::string& directory) {
    if (const YamlNode log = global_node_.Find("query_log_file"); log.present() && !log.is_null())
      config_->global.query_log_file = JoinDirectory(directory, log.text());
    for (const YamlNode& node : root.Find("scrape_configs").items()) {
      config_->scrape_configs.push_back(BuildScrape(node, directory));
    }
    for (const std::string& glob : Texts(root.Find("rule_files"))) {
      config_->rule_files.push_back(JoinDirectory(directory, glob));
    }
    const YamlNode alerting = root.Find("alerting");
    config_->alert_relabel_configs =
        RelabelRules(alerting.Find("alert_relabel_configs"), config_->global.name_scheme);
    for (const YamlNode& node : alerting.Find("alertmanagers").items()) {
      config_->alertmanagers.push_back(BuildAlertmanager(node, directory));
    }
    BuildStorage(root.Find("storage"));
  }

  collector::ScrapeConfig BuildScrape(const YamlNode& node, const std::string& directory);

 private:
  std::vector<model::RelabelRule> RelabelRules(const YamlNode& list, model::NameScheme scheme) {
    std::vector<model::RelabelRule> rules;
    for (const YamlNode& item : list.items()) {
      Result<model::RelabelRule> rule = ReadRelabelRule(item, scheme);
      if (rule) rules.push_back(std::move(*rule));  // the schema has made sure of it
    }
    return rules;
  }

  discovery::DiscoveryConfig BuildDiscovery(const YamlNode& node, const std::string& directory) {
    discovery::DiscoveryConfig config;
    size_t index = 0;
    for (const YamlNode& group : node.Find("static_configs").items()) {
      discovery::TargetGroup target_group;
      target_group.source = std::to_string(index++);
      for (const std::string& target : Texts(group.Find("targets"))) {
        target_group.targets.push_back(model::Labels::FromPairs({{"__address__", target}}));
      }
      target_group.labels = model::Labels::FromPairs(TextPairs(group.Find("labels")));
      config.static_targets.groups.push_back(std::move(target_group));
    }
    for (const YamlNode& item : node.Find("file_sd_configs").items()) {
      discovery::FileConfig files;
      for (const std::string& file : Texts(item.Find("files"))) {
        files.files.push_back(JoinDirectory(directory, file));
      }
      files.refresh_interval_ms = DurationOr(item.Find("refresh_interval"), 5 * 60'000);
      config.files.push_back(std::move(files));
    }
    return config;
  }

  alerting::AlertmanagerConfig BuildAlertmanager(const YamlNode& node,
                                                 const std::string& directory) {
    alerting::AlertmanagerConfig alertmanager;
    if (node.Find("scheme").present()) alertmanager.scheme = node.Find("scheme").text();
    alertmanager.path_prefix = node.Find("path_prefix").text();
    alertmanager.timeout_ms = DurationOr(node.Find("timeout"), 10'000);
    alertmanager.http = ReadHttpClient(node, directory);
    alertmanager.discovery = BuildDiscovery(node, directory);
    alertmanager.relabel_configs =
        RelabelRules(node.Find("relabel_configs"), config_->global.name_scheme);
    alertmanager.alert_relabel_configs =
        RelabelRules(node.Find("alert_relabel_configs"), config_->global.name_scheme);
    return alertmanager;
  }

  void BuildStorage(const YamlNode& storage) {
    const YamlNode tsdb = storage.Find("tsdb");
    const YamlNode window = tsdb.Find("out_of_order_time_window");
    if (window.present()) {
      config_->storage.out_of_order_time_window_ms = window.AsDurationMs().value_or(0);
    }
    const int64_t retention_ms = DurationOr(tsdb.Find("retention").Find("time"), 0);
    if (retention_ms > 0) config_->storage.retention_ms = retention_ms;
    const int64_t retention_bytes =
        ParseByteSize(tsdb.Find("retention").Find("size").text()).value_or(0);
    if (retention_bytes > 0)
      config_->storage.retention_bytes = static_cast<uint64_t>(retention_bytes);
    const double percentage = tsdb.Find("retention").Find("percentage").AsDouble().value_or(0);
    if (percentage > 0) config_->storage.retention_disk_share = percentage / 100;
    const YamlNode exemplars = storage.Find("exemplars").Find("max_exemplars");
    if (exemplars.present()) config_->storage.exemplars_max = exemplars.AsInt64().value_or(0);
  }

  // The job's own value when it is not zero, else the global one.
  uint64_t Limit(const YamlNode& node, std::string_view field) {
    const uint64_t own = node.Find(field).AsUint64().value_or(0);
    return own != 0 ? own : global_node_.Find(field).AsUint64().value_or(0);
  }
  bool Switch(const YamlNode& node, std::string_view field) {
    const YamlNode own = node.Find(field);
    return (own.present() && !own.is_null() ? own : global_node_.Find(field))
        .AsBool()
        .value_or(false);
  }

  Config* const config_;
  const LoadOptions& options_;
  YamlNode root_;  // of the main file, which holds `global`
  YamlNode global_node_;
};

collector::ScrapeConfig ConfigBuilder::BuildScrape(const YamlNode& node,
                                                   const std::string& directory) {
  const GlobalConfig& global = config_->global;
  collector::ScrapeConfig scrape;
  scrape.job_name = node.Find("job_name").text();
  config_->job_yaml[scrape.job_name] = RenderJob(root_, node, global);
  scrape.scrape_interval_ms = DurationOr(node.Find("scrape_interval"), global.scrape_interval_ms);
  scrape.scrape_timeout_ms = DurationOr(
      node.Find("scrape_timeout"), std::min(global.scrape_timeout_ms, scrape.scrape_interval_ms));

  YamlNode protocols = node.Find("scrape_protocols");
  if (protocols.items().empty()) protocols = global_node_.Find("scrape_protocols");
  if (!protocols.items().empty()) scrape.scrape_protocols.clear();
  for (const std::string& name : Texts(protocols)) {
    scrape.scrape_protocols.push_back(collector::ParseScrapeProtocol(name));
  }
  scrape.fallback_scrape_protocol =
      collector::ParseScrapeProtocol(node.Find("fallback_scrape_protocol").text());

  if (node.Find("metrics_path").present()) scrape.metrics_path = node.Find("metrics_path").text();
  if (node.Find("scheme").present()) scrape.scheme = node.Find("scheme").text();
  for (const YamlEntry& entry : node.Find("params").entries()) {
    scrape.params[entry.key.text()] = Texts(entry.value);
  }
  const auto flag = [&](std::string_view field, bool fallback) {
    const YamlNode value = node.Find(field);
    return value.present() ? value.AsBool().value_or(fallback) : fallback;
  };
  scrape.enable_compression = flag("enable_compression", true);
  scrape.honor_labels = flag("honor_labels", false);
  scrape.honor_timestamps = flag("honor_timestamps", true);
  scrape.track_timestamps_staleness = flag("track_timestamps_staleness", false);
  scrape.extra_scrape_metrics =
      Switch(node, "extra_scrape_metrics") || options_.extra_scrape_metrics;
  scrape.name_scheme = SchemeOr(node.Find("metric_name_validation_scheme"), global.name_scheme);
  scrape.http = ReadHttpClient(node, directory);

  scrape.body_size_limit_bytes = ParseByteSize(node.Find("body_size_limit").text()).value_or(0);
  if (scrape.body_size_limit_bytes == 0) {
    scrape.body_size_limit_bytes =
        ParseByteSize(global_node_.Find("body_size_limit").text()).value_or(0);
  }
  scrape.sample_limit = Limit(node, "sample_limit");
  scrape.target_limit = Limit(node, "target_limit");
  scrape.label_limit = Limit(node, "label_limit");
  scrape.label_name_length_limit = Limit(node, "label_name_length_limit");
  scrape.label_value_length_limit = Limit(node, "label_value_length_limit");
  scrape.keep_dropped_targets = Limit(node, "keep_dropped_targets");

  scrape.discovery = BuildDiscovery(node, directory);
  scrape.relabel_configs = RelabelRules(node.Find("relabel_configs"), scrape.name_scheme);
  scrape.metric_relabel_configs =
      RelabelRules(node.Find("metric_relabel_configs"), scrape.name_scheme);
  return scrape;
}

// Files whose absence plain `check config` complains about: credentials, client certificates, keys.
void CollectReferencedFiles(const YamlNode& node, const std::string& directory,
                            std::vector<ReferencedFile>* files) {
  const auto add = [&](const YamlNode& path, std::string_view what) {
    if (path.text().empty()) return;
    const std::string joined = JoinDirectory(directory, path.text());
    files->push_back({joined, path.file() + ":" + std::to_string(path.line()) + ":" +
                                  std::to_string(path.column()) + ": error checking " +
                                  std::string(what) + " \"" + joined + "\""});
  };
  const auto add_tls = [&](const YamlNode& tls) {
    add(tls.Find("cert_file"), "client cert file");
    add(tls.Find("key_file"), "client key file");
  };
  add(node.Find("authorization").Find("credentials_file"),
      "authorization credentials or bearer token file");
  add(node.Find("bearer_token_file"), "authorization credentials or bearer token file");
  add_tls(node.Find("tls_config"));
  for (const YamlNode& kubernetes : node.Find("kubernetes_sd_configs").items()) {
    add_tls(kubernetes.Find("tls_config"));
  }
}

Status CheckAgentMode(const YamlNode& root) {
  const YamlNode alerting = root.Find("alerting");
  if (!alerting.Find("alertmanagers").items().empty() ||
      !alerting.Find("alert_relabel_configs").items().empty()) {
    return alerting.ErrorHere("field alerting is not allowed in agent mode");
  }
  for (const char* field : {"rule_files", "remote_read"}) {
    if (root.Find(field).items().empty()) continue;
    return root.Find(field).ErrorHere(std::string("field ") + field +
                                      " is not allowed in agent mode");
  }
  return Status::Ok();
}

GlobalSettings ReadGlobalSettings(const YamlNode& root) {
  GlobalSettings settings;
  settings.node = root.Find("global");
  settings.scrape_interval_ms = DurationOr(settings.node.Find("scrape_interval"), 60'000);
  settings.scrape_timeout_ms = DurationOr(settings.node.Find("scrape_timeout"), 10'000);
  settings.scheme =
      SchemeOr(settings.node.Find("metric_name_validation_scheme"), model::NameScheme::kUtf8);
  return settings;
}

// Reads what scrape_config_files names and appends it to `config`.
class ScrapeFileReader {
 public:
  ScrapeFileReader(Env& env, CheckContext* context, ConfigBuilder* builder, Config* config)
      : env_(env), context_(context), builder_(builder), config_(config) {
    for (const collector::ScrapeConfig& scrape : config_->scrape_configs) {
      first_seen_[scrape.job_name] = "main config file";
    }
  }

  Status Read(const YamlNode& globs, const std::string& directory) {
    for (const YamlNode& glob : globs.items()) {
      const auto paths = Glob(env_, JoinDirectory(directory, glob.text()));
      if (!paths) return glob.ErrorHere(paths.error().message());
      for (const std::string& path : *paths) {
        if (++file_count_ > kScrapeConfigFilesMax) {
          return glob.ErrorHere("more than " + std::to_string(kScrapeConfigFilesMax) + " files");
        }
        TOCSIN_RETURN_IF_ERROR(ReadOne(path));
      }
    }
    return Status::Ok();
  }

 private:
  Status ReadOne(const std::string& path) {
    const auto text = env_.ReadFileUpTo(path, kConfigBytesMax);
    if (!text) return text.error();
    const auto document = ParseYaml(*text, path);
    if (!document) return document.error();
    CheckSection(document->root, kScrapeFileSection, context_);
    TOCSIN_RETURN_IF_ERROR(context_->errors->ToStatus());
    const std::string directory(DirName(path));
    for (const YamlNode& node : document->root.Find("scrape_configs").items()) {
      collector::ScrapeConfig scrape = builder_->BuildScrape(node, directory);
      const auto [seen, is_new] = first_seen_.emplace(scrape.job_name, "\"" + path + "\"");
      if (!is_new) {
        return node.Find("job_name")
            .ErrorHere("found multiple scrape configs with job name " +
                       model::QuoteString(scrape.job_name) + ", first found in " + seen->second);
      }
      CollectReferencedFiles(node, directory, &config_->referenced_files);
      config_->scrape_configs.push_back(std::move(scrape));
    }
    return Status::Ok();
  }

  Env& env_;
  CheckContext* const context_;
  ConfigBuilder* const builder_;
  Config* const config_;
  std::map<std::string, std::string> first_seen_;  // job name → where
  size_t file_count_ = 0;
};

}  // namespace

HttpClientConfig ReadHttpClient(const YamlNode& node, const std::string& directory) {
  HttpClientConfig http;
  const auto file = [&](const YamlNode& parent, std::string_view field) {
    return JoinDirectory(directory, parent.Find(field).text());
  };
  if (const YamlNode basic = node.Find("basic_auth"); basic.is_map()) {
    http.basic_auth = {.enabled = true,
                       .username = basic.Find("username").text(),
                       .username_file = file(basic, "username_file"),
                       .password = Secret(basic.Find("password").text()),
                       .password_file = file(basic, "password_file")};
  }
  if (const YamlNode authorization = node.Find("authorization"); authorization.is_map()) {
    http.authorization.enabled = true;
    if (!authorization.Find("type").text().empty()) {
      http.authorization.type = authorization.Find("type").text();
    }
    http.authorization.credentials = Secret(authorization.Find("credentials").text());
    http.authorization.credentials_file = file(authorization, "credentials_file");
  } else if (!node.Find("bearer_token").text().empty() ||
             !node.Find("bearer_token_file").text().empty()) {
    http.authorization.enabled = true;
    http.authorization.credentials = Secret(node.Find("bearer_token").text());
    http.authorization.credentials_file = file(node, "bearer_token_file");
  }
  const YamlNode tls = node.Find("tls_config");
  http.tls = {.ca_file = file(tls, "ca_file"),
              .ca_pem = tls.Find("ca").text(),
              .cert_file = file(tls, "cert_file"),
              .cert_pem = tls.Find("cert").text(),
              .key_file = file(tls, "key_file"),
              .key_pem = Secret(tls.Find("key").text()),
              .server_name = tls.Find("server_name").text(),
              .insecure_skip_verify = tls.Find("insecure_skip_verify").AsBool().value_or(false),
              .min_version = tls.Find("min_version").text(),
              .max_version = tls.Find("max_version").text()};
  http.proxy_url = node.Find("proxy_url").text();
  http.no_proxy = node.Find("no_proxy").text();
  http.proxy_from_environment = node.Find("proxy_from_environment").AsBool().value_or(false);
  for (const YamlEntry& entry : node.Find("proxy_connect_header").entries()) {
    for (const YamlNode& value : entry.value.items()) {
      http.proxy_connect_headers.emplace_back(entry.key.text(), Secret(value.text()));
    }
  }
  const auto flag = [&](std::string_view field) {
    const YamlNode value = node.Find(field);
    return !value.present() || value.AsBool().value_or(false);
  };
  http.follow_redirects = flag("follow_redirects");
  http.enable_http2 = flag("enable_http2");
  for (const YamlEntry& entry : node.Find("http_headers").entries()) {
    HttpHeaderConfig header;
    header.name = entry.key.text();
    header.values = Texts(entry.value.Find("values"));
    for (const std::string& secret : Texts(entry.value.Find("secrets"))) {
      header.secrets.emplace_back(secret);
    }
    for (const std::string& path : Texts(entry.value.Find("files"))) {
      header.files.push_back(JoinDirectory(directory, path));
    }
    http.headers.push_back(std::move(header));
  }
  return http;
}

Status Config::RefuseNotBuilt() const {
  std::string lines;
  for (const NotBuiltUse& use : not_built) {
    if (!lines.empty()) lines += '\n';
    lines += use.place + ": " + use.what + " is valid but not built yet";
  }
  return lines.empty() ? Status::Ok() : Status(Code::kUnimplemented, lines);
}

Result<Config> ParseConfig(Env& env, std::string_view text, const std::string& path,
                           const LoadOptions& options) {
  TOCSIN_ASSIGN_OR_RETURN(const YamlDocument document, ParseYaml(text, path));
  const YamlNode& root = document.root;
  Config config;
  config.path = path;
  YamlErrors errors;
  CheckContext context{&errors, &config.not_built, ReadGlobalSettings(root), {}, false};
  context.scheme = context.global.scheme;
  CheckSection(root, kConfigSection, &context);
  TOCSIN_TRY(errors.ToStatus());
  if (options.agent_mode) TOCSIN_TRY(CheckAgentMode(root));

  const std::string directory(DirName(path));
  ConfigBuilder builder(&config, options);
  builder.BuildGlobal(root);
  builder.BuildRest(root, directory);
  for (const YamlNode& node : root.Find("scrape_configs").items()) {
    CollectReferencedFiles(node, directory, &config.referenced_files);
  }
  if (options.read_scrape_config_files) {
    ScrapeFileReader reader(env, &context, &builder, &config);
    TOCSIN_TRY(reader.Read(root.Find("scrape_config_files"), directory));
  }
  config.effective_yaml = RenderConfig(root, config.global);
  return config;
}

Result<Config> LoadConfig(Env& env, const std::string& path, const LoadOptions& options) {
  TOCSIN_ASSIGN_OR_RETURN(const std::string text, env.ReadFileUpTo(path, kConfigBytesMax));
  return ParseConfig(env, text, path, options);
}

}  // namespace tocsin::daemon
