// Alertmanager configurations: amtool's verdict on the shared corpus, and our own table.
#include "alerting/config.h"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "alerting/route/matcher_text.h"
#include "base/time_text.h"

namespace tocsin::alerting {
namespace config_test {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Shared(const std::string& path) {
  return std::string(TOCSIN_SHARED_DIR) + "/conformance/alertmanager/" + path;
}

constexpr const char* kTail = "\nreceivers: [{name: a}, {name: b}]\n";

}  // namespace

BOOST_AUTO_TEST_SUITE(config_test_suite)

BOOST_AUTO_TEST_CASE(VerdictsAreAmtools) {
  if (!std::filesystem::exists(Shared("config/expected.tsv"))) {
    BOOST_TEST_MESSAGE("SKIP: no " << Shared("config"));
    return;
  }
  std::istringstream expected(ReadAll(Shared("config/expected.tsv")));
  std::string line;
  std::getline(expected, line);
  int files = 0;
  while (std::getline(expected, line)) {
    const std::string name = line.substr(0, line.find('\t'));
    const bool good = line.substr(line.find('\t') + 1).starts_with("good");
    const auto config = ParseNotifierConfig(ReadAll(Shared("config/" + name)), name);
    BOOST_TEST_CONTEXT(line << (config ? "" : "\n" + config.error().message())) {
      BOOST_TEST(config.has_value() == good);
      if (!config) BOOST_TEST(config.error().message().starts_with(name + ":"));
    }
    ++files;
  }
  BOOST_TEST(files >= 39);
}

BOOST_AUTO_TEST_CASE(ExamplesLoad) {
  if (!std::filesystem::exists(Shared("examples"))) {
    BOOST_TEST_MESSAGE("SKIP: no " << Shared("examples"));
    return;
  }
  for (const char* name : {"examples/simple.yml", "examples/route_labels.yml", "cli/conf.good.yml",
                           "cli/conf.routing.yml", "cli/conf.routing-reverted.yml"}) {
    const auto config = ParseNotifierConfig(ReadAll(Shared(name)), name);
    BOOST_TEST_CONTEXT(name << (config ? "" : config.error().message())) {
      BOOST_TEST(config.has_value());
    }
  }
  BOOST_TEST(!ParseNotifierConfig(ReadAll(Shared("cli/conf.bad.yml")), "x").has_value());
}

BOOST_AUTO_TEST_CASE(ErrorsNameThePlace) {
  const struct {
    std::string text;
    std::string want;  // "" = good
  } cases[] = {
      {"", "f:1:1: no route provided in config"},
      {"route: {receiver: a}" + std::string(kTail), ""},
      {"route: {receiver: x}" + std::string(kTail),
       "f:1:19: undefined receiver \"x\" used in route"},
      {"route: {}" + std::string(kTail), "f:1:8: root route must specify a default receiver"},
      {"route: {receiver: a, matchers: ['a=b']}" + std::string(kTail),
       "f:1:8: root route must not have any matchers"},
      {"route: {receiver: a, nope: 1}" + std::string(kTail),
       "f:1:22: field nope not found in type config.plain"},
      {"route: {receiver: a, group_by: [x, x]}" + std::string(kTail),
       "f:1:32: duplicated label \"x\" in group_by"},
      {"route: {receiver: a, group_by: ['...', x]}" + std::string(kTail),
       "f:1:32: cannot have wildcard group_by (`...`) and other labels at the same time"},
      {"route: {receiver: a, group_interval: 0s}" + std::string(kTail),
       "f:1:38: group_interval cannot be zero"},
      {"route: {receiver: a, routes: [{matchers: ['a=~(']}]}" + std::string(kTail),
       "f:1:43: a=~(: error parsing regexp: missing closing ): `(`"},
      {"route: {receiver: a, routes: [{match_re: {a: '('}}]}" + std::string(kTail),
       "f:1:46: error parsing regexp: missing closing ): `(`"},
      {"route: {receiver: a, routes: [{mute_time_intervals: [x]}]}" + std::string(kTail),
       "f:1:53: undefined time interval \"x\" used in route"},
      {"route: {receiver: a}\nreceivers: [{name: a}, {name: a}]\n",
       "f:2:24: notification config name \"a\" is not unique"},
      {"route: {receiver: a}\nreceivers: [{name: a, webhook_configs: [{}]}]\n",
       "f:2:41: one of url or url_file must be configured"},
      {"route: {receiver: a}\nreceivers: [{name: a, webhook_configs: [{url: 'ftp://x'}]}]\n",
       "f:2:47: unsupported scheme \"ftp\" for URL"},
      {"route: {receiver: a}\ntime_intervals: [{name: t, time_intervals: [{weekdays: [xday]}]}]" +
           std::string(kTail),
       "f:2:57: xday is not a valid weekday"},
  };
  for (const auto& c : cases) {
    const auto config = ParseNotifierConfig(c.text, "f");
    BOOST_TEST_CONTEXT(c.text) { BOOST_TEST((config ? "" : config.error().message()) == c.want); }
  }
}

BOOST_AUTO_TEST_CASE(WhatIsNotBuiltIsNamed) {
  const auto config = ParseNotifierConfig(
      "route: {receiver: a}\nreceivers:\n- name: a\n  email_configs: [{to: x, smarthost: 'h:25', "
      "from: y}]\n  webhook_configs: [{url: 'http://h/'}]\n",
      "f");
  BOOST_REQUIRE(config.has_value());
  BOOST_REQUIRE(config->not_built.size() == 1u);
  BOOST_TEST(config->not_built[0] ==
             "f:4:18: receiver \"a\": email_configs are not built yet (only webhook_configs are)");
  BOOST_TEST(config->receivers[0].webhooks.size() == 1u);
}

BOOST_AUTO_TEST_CASE(WebhooksAreReadWhole) {
  const auto config = ParseNotifierConfig(R"(
global: {resolve_timeout: 1m, http_config: {follow_redirects: false}}
route: {receiver: a}
receivers:
- name: a
  webhook_configs:
  - {url: 'http://h/x', send_resolved: false, max_alerts: 7, timeout: 3s}
  - {url_file: secret/url, http_config: {basic_auth: {username: u, password: p}}}
)",
                                          "/etc/am/f.yml");
  BOOST_REQUIRE(config.has_value());
  BOOST_TEST(config->resolve_timeout_ms == 60'000);
  const auto& webhooks = config->receivers[0].webhooks;
  BOOST_REQUIRE(webhooks.size() == 2u);
  BOOST_TEST(webhooks[0].url.Reveal() == "http://h/x");
  BOOST_TEST(!webhooks[0].send_resolved);
  BOOST_TEST(webhooks[0].max_alerts == 7u);
  BOOST_TEST(webhooks[0].timeout_ms == 3000);
  BOOST_TEST(!webhooks[0].http.follow_redirects);
  BOOST_TEST(webhooks[1].url_file == "/etc/am/secret/url");
  BOOST_TEST(webhooks[1].http.basic_auth.username == "u");
  BOOST_TEST(webhooks[1].http.follow_redirects);
}

BOOST_AUTO_TEST_CASE(MatchersAreRead) {
  const struct {
    std::string text;
    std::string want;  // "" = refused
  } cases[] = {
      {"foo=bar", R"({foo="bar"})"},
      {"foo = \"bar baz\"", R"({foo="bar baz"})"},
      {"{foo=bar, a!=\"b\"}", R"({foo="bar",a!="b"})"},
      {"foo=~\"a|b\",bar!~c,", R"({foo=~"a|b",bar!~"c"})"},
      {"\"a b\"=c", R"({"a b"="c"})"},
      {"fo\xc3\xb6=b", "{\"fo\xc3\xb6\"=\"b\"}"},
      {"foo=\"a\\\"b\\n\"", R"({foo="a\"b\n"})"},
      {"{}", "{}"},
      {"foo=bar baz", R"({foo="bar baz"})"},  // only the older grammar takes it
      {"foo=a!b", R"({foo="a!b"})"},
      {"foo=", R"({foo=""})"},
      {"foo", ""},
      {"=bar", ""},
      {"foo=\"bar", ""},
      {"foo=~(", ""},
      {"{foo=bar", R"({foo="bar"})"},
  };
  for (const auto& c : cases) {
    const auto matchers = ParseMatchers(c.text);
    BOOST_TEST_CONTEXT(c.text) { BOOST_TEST((matchers ? MatchersText(*matchers) : "") == c.want); }
  }
}

BOOST_AUTO_TEST_CASE(TimeIntervalsHoldTheirMoments) {
  const struct {
    std::string yaml;
    std::string time;  // ISO, UTC
    bool want;
  } cases[] = {
      {"{}", "2026-11-24T08:00:00Z", true},
      {"{weekdays: ['monday:friday']}", "2026-11-24T08:00:00Z", true},  // a Tuesday
      {"{weekdays: [saturday, Sunday]}", "2026-11-24T08:00:00Z", false},
      {"{times: [{start_time: '08:00', end_time: '09:00'}]}", "2026-11-24T08:00:00Z", true},
      {"{times: [{start_time: '08:00', end_time: '09:00'}]}", "2026-11-24T09:00:00Z", false},
      {"{times: [{start_time: '22:00', end_time: '24:00'}]}", "2026-11-24T23:59:00Z", true},
      {"{days_of_month: ['-1']}", "2026-11-30T00:00:00Z", true},
      {"{days_of_month: ['-1']}", "2026-11-29T00:00:00Z", false},
      {"{days_of_month: ['1:5', '-3:-1']}", "2026-02-26T00:00:00Z", true},
      {"{months: ['november:december']}", "2026-11-24T00:00:00Z", true},
      {"{months: ['1:3']}", "2026-11-24T00:00:00Z", false},
      {"{years: ['2025:2027']}", "2026-11-24T00:00:00Z", true},
      {"{location: 'Europe/Berlin', times: [{start_time: '09:00', end_time: '10:00'}]}",
       "2026-11-24T08:30:00Z", true},
  };
  for (const auto& c : cases) {
    const auto config =
        ParseNotifierConfig("route: {receiver: a}\ntime_intervals: [{name: t, time_intervals: [" +
                                c.yaml + "]}]" + kTail,
                            "f");
    BOOST_TEST_CONTEXT(c.yaml << " " << c.time) {
      BOOST_REQUIRE_MESSAGE(config.has_value(), "does not load");
      const auto time_ms = ParseTime(c.time);
      BOOST_TEST(config->time_intervals[0].intervals[0].Contains(time_ms.value()) == c.want);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace config_test
}  // namespace tocsin::alerting
