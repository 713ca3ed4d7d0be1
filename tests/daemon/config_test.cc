#include "daemon/config/config.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <boost/test/unit_test.hpp>

#include "base/env.h"
#include "base/mem_env.h"

namespace tocsin::daemon {
namespace config_test {
namespace {

Result<Config> Parse(std::string_view text) {
  MemEnv env;
  return ParseConfig(env, text, "p.yml", {});
}

std::string ErrorOf(std::string_view text) {
  const auto config = Parse(text);
  return config ? "" : config.error().message();
}

Config Good(std::string_view text) {
  auto config = Parse(text);
  BOOST_REQUIRE_MESSAGE(config.has_value(), config.error().message());
  return std::move(*config);
}

BOOST_AUTO_TEST_SUITE(Config_)

BOOST_AUTO_TEST_CASE(EveryFileOfTheReferenceGetsItsVerdict) {
  const std::string directory = std::string(TOCSIN_SHARED_DIR) + "/conformance/config/prometheus/";
  std::ifstream expected(directory + "expected.tsv");
  if (!expected) {
    BOOST_TEST_MESSAGE("skipped: no conformance material");
    return;
  }
  Env& env = Env::Default();
  std::string line;
  std::getline(expected, line);
  int checked = 0;
  while (std::getline(expected, line)) {
    const size_t first = line.find('\t');
    const size_t second = line.find('\t', first + 1);
    const std::string name = line.substr(0, first);
    const std::string verdict = line.substr(first + 1, second - first - 1);
    ++checked;
    BOOST_TEST_CONTEXT(name) {
      if (verdict == "bad") {
        const auto config = LoadConfig(env, directory + name, {});
        BOOST_TEST(!config.has_value());
        // Every complaint names its place.
        if (!config) BOOST_TEST(config.error().message().find(".yml:") != std::string::npos);
        continue;
      }
      const auto syntax = LoadConfig(env, directory + name, {.read_scrape_config_files = false});
      BOOST_TEST(syntax.has_value(), syntax.error().message());
      const auto agent = LoadConfig(env, directory + name, {.agent_mode = true});
      if (verdict == "bad-in-agent-mode") BOOST_TEST(!agent.has_value());
    }
  }
  BOOST_TEST(checked > 100);
}

BOOST_AUTO_TEST_CASE(DocumentationExamplesLoad) {
  const std::string directory = std::string(TOCSIN_SHARED_DIR) + "/conformance/config/examples";
  Env& env = Env::Default();
  const auto names = env.ListDir(directory);
  if (!names) {
    BOOST_TEST_MESSAGE("skipped: no conformance material");
    return;
  }
  for (const std::string& name : *names) {
    if (!name.starts_with("prometheus")) continue;
    const auto config = LoadConfig(env, directory + "/" + name, {});
    BOOST_TEST_CONTEXT(name) { BOOST_TEST(config.has_value(), config.error().message()); }
  }
}

BOOST_AUTO_TEST_CASE(AnEmptyFileIsAllDefaults) {
  for (const char* text : {"", "global:\n", "# nothing\n", "{}"}) {
    const Config config = Good(text);
    BOOST_TEST(config.global.scrape_interval_ms == 60'000);
    BOOST_TEST(config.global.evaluation_interval_ms == 60'000);
    BOOST_TEST(config.scrape_configs.empty());
    BOOST_TEST(config.RefuseNotBuilt().ok());
  }
}

BOOST_AUTO_TEST_CASE(JobsTakeWhatGlobalSays) {
  const Config config = Good(R"(
global:
  scrape_interval: 15s
  sample_limit: 7
  body_size_limit: 1KB
  scrape_protocols: [PrometheusText0.0.4]
  external_labels: {dc: a}
scrape_configs:
  - job_name: one
    static_configs:
      - targets: ['h:1', 'h:2']
        labels: {x: y}
    file_sd_configs:
      - files: [sd/*.yml]
  - job_name: two
    scrape_interval: 5s
    sample_limit: 9
    honor_timestamps: false
    metrics_path: /m
    params: {a: [b, c]}
    basic_auth: {username: u, password_file: secrets/p}
    tls_config: {ca_file: /ca, insecure_skip_verify: true}
    metric_name_validation_scheme: legacy
    fallback_scrape_protocol: PrometheusText0.0.4
    relabel_configs:
      - {source_labels: [a], target_label: b}
storage:
  tsdb:
    out_of_order_time_window: 30m
    retention: {time: 1d}
rule_files: [rules/*.yml, /abs.yml]
)");
  BOOST_REQUIRE(config.scrape_configs.size() == 2u);
  const collector::ScrapeConfig& one = config.scrape_configs[0];
  BOOST_TEST(one.scrape_interval_ms == 15'000);
  BOOST_TEST(one.scrape_timeout_ms == 10'000);
  BOOST_TEST(one.sample_limit == 7u);
  BOOST_TEST(one.body_size_limit_bytes == 1024);
  BOOST_TEST(one.scrape_protocols.size() == 1u);
  BOOST_TEST(one.discovery.static_targets.groups[0].targets[1].Get("__address__") == "h:2");
  BOOST_TEST(one.discovery.static_targets.groups[0].labels.Get("x") == "y");
  BOOST_TEST(one.discovery.files[0].files[0] == "sd/*.yml");
  const collector::ScrapeConfig& two = config.scrape_configs[1];
  BOOST_TEST(two.scrape_timeout_ms == 5'000);
  BOOST_TEST(two.sample_limit == 9u);
  BOOST_TEST(!two.honor_timestamps);
  BOOST_TEST(two.params.at("a")[1] == "c");
  BOOST_TEST(two.http.basic_auth.enabled);
  BOOST_TEST(two.http.basic_auth.password_file == "secrets/p");
  BOOST_TEST(two.http.tls.ca_file == "/ca");
  BOOST_TEST(two.http.tls.insecure_skip_verify);
  BOOST_TEST((two.name_scheme == model::NameScheme::kLegacy));
  BOOST_TEST((two.fallback_scrape_protocol == collector::ScrapeProtocol::kPrometheusText0_0_4));
  BOOST_TEST(two.relabel_configs.size() == 1u);
  BOOST_TEST(config.global.external_labels.Get("dc") == "a");
  BOOST_TEST(config.storage.out_of_order_time_window_ms.value() == 1'800'000);
  BOOST_TEST(config.storage.retention_ms.value() == 86'400'000);
  BOOST_TEST((config.rule_files == std::vector<std::string>{"rules/*.yml", "/abs.yml"}));
  BOOST_TEST(config.RefuseNotBuilt().ok(), config.RefuseNotBuilt().message());
}

BOOST_AUTO_TEST_CASE(EachComplaintNamesItsPlace) {
  const struct {
    const char* text;
    const char* want;
  } kCases[] = {
      {"globl: {}", "p.yml:1:1: field globl not found in the configuration"},
      {"global:\n  scrape_intervall: 1s", "p.yml:2:3: field scrape_intervall not found in global"},
      {"global:\n  scrape_interval: 1x", "p.yml:2:20: not a valid duration string: \"1x\""},
      {"global: []", "p.yml:1:9: cannot unmarshal !!seq into global"},
      {"scrape_configs:\n- job_name: a\n- job_name: a",
       "p.yml:3:13: found multiple scrape configs with job name \"a\""},
      {"scrape_configs:\n- job_name: a\n  honor_labels: maybe",
       "p.yml:3:17: cannot unmarshal !!str `maybe` into bool"},
      {"scrape_configs:\n- job_name: a\n  metric_relabel_configs:\n  - {regex: '(', action: drop}",
       "p.yml:4:5: error parsing regexp: "},
      {"scrape_configs:\n- job_name: a\n  scrape_timeout: 2m",
       "p.yml:3:19: scrape timeout greater than scrape interval for scrape config with job name "
       "\"a\""},
      {"scrape_configs:\n- job_name: a\n  proxy_url: '://x'",
       "p.yml:3:14: parse \"://x\": missing protocol scheme"},
      {"rule_files: ['a/*/b.yml']", "p.yml:1:14: invalid rule file path \"a/*/b.yml\""},
      {"a: [", "p.yml:"},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.text) {
      const std::string error = ErrorOf(c.text);
      BOOST_TEST(error.starts_with(c.want), error);
    }
  }
  // All of them, not just the first.
  const std::string both = ErrorOf("a: 1\nb: 2");
  BOOST_TEST(both.find("p.yml:1:1") != std::string::npos);
  BOOST_TEST(both.find("p.yml:2:1") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(WhatIsNotBuiltIsNamedOnce) {
  const Config config = Good(R"(
scrape_configs:
  - job_name: a
    consul_sd_configs:
      - server: x:1
        oauth2: {client_id: a, token_url: 'http://t'}
    scrape_native_histograms: true
    convert_classic_histograms_to_nhcb: false
    scrape_protocols: [PrometheusProto, PrometheusText0.0.4]
remote_write:
  - url: http://r
remote_read: []
runtime: {gogc: 50}
)");
  BOOST_TEST(config.RefuseNotBuilt().message() ==
             "p.yml:5:7: consul_sd_configs is valid but not built yet\n"
             "p.yml:7:31: scrape_native_histograms is valid but not built yet\n"
             "p.yml:9:24: scrape_protocols: PrometheusProto is valid but not built yet\n"
             "p.yml:11:3: remote_write is valid but not built yet");
}

BOOST_AUTO_TEST_CASE(ExternalLabelsTakeEnvironmentVariables) {
  ::setenv("TOCSIN_TEST_DC", "eu", 1);
  ::unsetenv("TOCSIN_TEST_NONE");
  const Config config = Good(
      "global: {external_labels: {a: '${TOCSIN_TEST_DC}-1', b: 'x$TOCSIN_TEST_DC', c: $$x, d: "
      "'z${TOCSIN_TEST_NONE}'}}");
  const model::Labels& labels = config.global.external_labels;
  BOOST_TEST(labels.Get("a") == "eu-1");
  BOOST_TEST(labels.Get("b") == "xeu");
  BOOST_TEST(labels.Get("c") == "$x");
  BOOST_TEST(labels.Get("d") == "z");
  BOOST_TEST(config.warnings.size() == 1u);
}

BOOST_AUTO_TEST_CASE(ScrapeConfigFilesAreReadAndMustNotClash) {
  MemEnv env;
  BOOST_REQUIRE(env.CreateDirs("/c/more").ok());
  const std::string main = "scrape_config_files: [more/*.yml]\nscrape_configs: [{job_name: a}]";
  BOOST_REQUIRE(env.WriteFileAtomically("/c/p.yml", main).ok());
  BOOST_REQUIRE(env.WriteFileAtomically("/c/more/x.yml",
                                        "scrape_configs: [{job_name: b, bearer_token_file: t}]")
                    .ok());
  const auto config = LoadConfig(env, "/c/p.yml", {});
  BOOST_REQUIRE_MESSAGE(config.has_value(), config.error().message());
  BOOST_REQUIRE(config->scrape_configs.size() == 2u);
  BOOST_TEST(config->scrape_configs[1].http.authorization.credentials_file == "/c/more/t");
  BOOST_TEST(config->referenced_files.size() == 1u);
  BOOST_REQUIRE(env.WriteFileAtomically("/c/more/y.yml", "scrape_configs: [{job_name: a}]").ok());
  const auto clash = LoadConfig(env, "/c/p.yml", {});
  BOOST_REQUIRE(!clash.has_value());
  BOOST_TEST(clash.error().message() ==
             "/c/more/y.yml:1:29: found multiple scrape configs with job name \"a\", first found "
             "in main config file");
}

BOOST_AUTO_TEST_CASE(EffectiveConfigurationHasDefaultsAndNoSecrets) {
  const Config config = Good(R"(
global: {scrape_interval: 30s, external_labels: {a: '1'}}
scrape_configs:
  - job_name: j
    scrape_interval: 5s
    static_configs: [{targets: ['h:1']}]
    basic_auth: {username: u, password: hunter2}
    http_headers: {X-Key: {secrets: [hunter3], values: [v]}}
alerting:
  alertmanagers:
    - static_configs: [{targets: ['am:9093']}]
remote_write:
  - url: http://user:hunter4@r/push
)");
  const std::string& yaml = config.effective_yaml;
  BOOST_TEST(yaml.find("hunter") == std::string::npos, yaml);
  for (const char* want :
       {"global:\n  scrape_interval: 30s\n  scrape_timeout: 10s\n", "runtime:\n  gogc: 75\n",
        "- job_name: j\n", "  scrape_interval: 5s\n  scrape_timeout: 5s\n",
        "    password: <secret>\n", "  scrape_protocols:\n  - OpenMetricsText1.0.0\n",
        "      - <secret>\n", "  alertmanagers:\n", "- url: http://user:xxxxx@r/push\n",
        "    capacity: 10000\n", "  metrics_path: /metrics\n", "    a: \"1\"\n"}) {
    BOOST_TEST_CONTEXT(want) { BOOST_TEST(yaml.find(want) != std::string::npos, yaml); }
  }
  // It is a configuration itself, and says the same.
  const Config again = Good(yaml);
  BOOST_TEST(again.scrape_configs[0].scrape_timeout_ms == 5'000);
  BOOST_TEST(again.effective_yaml == yaml);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace config_test
}  // namespace tocsin::daemon
