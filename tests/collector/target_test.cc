#include "collector/target.h"

#include <boost/test/unit_test.hpp>

namespace tocsin::collector {
namespace {

BOOST_AUTO_TEST_SUITE(Target_)

model::Labels Address(const char* address) {
  return model::Labels::FromPairs({{"__address__", address}});
}

model::RelabelRule Replace(std::vector<std::string> sources, const char* regex, const char* target,
                           const char* replacement) {
  model::RelabelConfig c;
  c.source_labels = std::move(sources);
  c.regex = regex;
  c.target_label = target;
  c.replacement = replacement;
  return *model::RelabelRule::Create(c);
}

BOOST_AUTO_TEST_CASE(DefaultsMakeAPlainTarget) {
  ScrapeConfig config;
  config.job_name = "node";
  config.scrape_interval_ms = 15'000;
  const discovery::TargetGroup group{
      "", {}, model::Labels::FromPairs({{"env", "prod"}, {"__meta_x", "y"}})};
  const model::Labels discovered = DiscoveredLabels(config, group, Address("h:9100"));
  BOOST_TEST(discovered.Get("__scrape_interval__") == "15s");
  BOOST_TEST(discovered.Get("__scrape_timeout__") == "10s");
  BOOST_TEST(discovered.Get("__meta_x") == "y");
  const auto target = MakeTarget(config, discovered);
  BOOST_REQUIRE(target.has_value() && target->has_value());
  BOOST_TEST((*target)->url == "http://h:9100/metrics");
  BOOST_TEST((*target)->labels.ToString() == R"({env="prod", instance="h:9100", job="node"})");
  BOOST_TEST((*target)->scrape_interval_ms == 15'000);
}

BOOST_AUTO_TEST_CASE(RelabellingRulesEverything) {
  ScrapeConfig config;
  config.job_name = "probe";
  config.metrics_path = "/probe";
  config.params = {{"module", {"http 2xx"}}, {"debug", {"a", "b"}}};
  config.relabel_configs = {
      Replace({"__address__"}, "(.*)", "__param_target", "$1"),
      Replace({"__param_target"}, "(.*)", "instance", "$1"),
      Replace({}, "(.*)", "__address__", "blackbox:9115"),
      Replace({}, "(.*)", "__scrape_interval__", "5s"),
      Replace({}, "(.*)", "__scrape_timeout__", "4s"),
      Replace({}, "(.*)", "__scheme__", "https"),
  };
  const auto target = MakeTarget(config, DiscoveredLabels(config, {}, Address("example.org")));
  BOOST_REQUIRE(target.has_value() && target->has_value());
  BOOST_TEST((*target)->url ==
             "https://blackbox:9115/probe?debug=a&debug=b&module=http+2xx&target=example.org");
  BOOST_TEST((*target)->labels.ToString() == R"({instance="example.org", job="probe"})");
  BOOST_TEST((*target)->scrape_timeout_ms == 4000);
}

BOOST_AUTO_TEST_CASE(WhatCannotBeScrapedSaysWhy) {
  ScrapeConfig config;
  config.job_name = "j";
  const auto error = [&](const model::RelabelRule& rule) {
    config.relabel_configs = {rule};
    const auto target = MakeTarget(config, DiscoveredLabels(config, {}, Address("h")));
    return target ? std::string("fine") : target.error().message();
  };
  BOOST_TEST(error(Replace({}, "(.*)", "__address__", "")) == "no address");
  BOOST_TEST(error(Replace({}, "(.*)", "__address__", "a/b")) == "\"a/b\" is not a valid hostname");
  BOOST_TEST(error(Replace({}, "(.*)", "__scrape_interval__", "x"))
                 .starts_with("error parsing scrape interval: "));
  BOOST_TEST(error(Replace({}, "(.*)", "__scrape_timeout__", "0s")) ==
             "scrape timeout cannot be 0");
  BOOST_TEST(error(Replace({}, "(.*)", "__scrape_timeout__", "2h")) ==
             "scrape timeout cannot be greater than scrape interval (\"2h\" > \"1m\")");
}

BOOST_AUTO_TEST_CASE(DroppedTargetsAreNoError) {
  ScrapeConfig config;
  model::RelabelConfig drop;
  drop.action = model::RelabelAction::kDrop;
  drop.source_labels = {"__address__"};
  config.relabel_configs = {*model::RelabelRule::Create(drop)};
  const auto target = MakeTarget(config, DiscoveredLabels(config, {}, Address("h")));
  BOOST_TEST(target.has_value());
  BOOST_TEST(!target->has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::collector
