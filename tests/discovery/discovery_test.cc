#include "discovery/discovery.h"

#include <boost/test/unit_test.hpp>

#include "base/mem_env.h"

namespace tocsin::discovery {
namespace {

BOOST_AUTO_TEST_SUITE(Discovery_)

DiscoveryConfig Static(const char* address) {
  DiscoveryConfig config;
  config.static_targets.groups.push_back(
      {"0", {model::Labels::FromPairs({{"__address__", address}})}, {}});
  return config;
}

BOOST_AUTO_TEST_CASE(ApplyPublishesAtOnceAndFilesFollow) {
  MemEnv env;
  BOOST_TEST(env.CreateDirs("/sd").ok());
  std::map<std::string, size_t> targets;
  std::map<std::string, int> calls;
  Discovery discovery(&env, [&](const std::string& name, const TargetGroupList& groups) {
    ++calls[name];
    targets[name] = 0;
    for (const TargetGroup& group : groups) targets[name] += group.targets.size();
  });
  DiscoveryConfig files = Static("a:1");
  files.files.push_back({.files = {"/sd/*.json"}});
  discovery.Apply({{"static", Static("x:1")}, {"files", files}, {"none", {}}});
  BOOST_TEST(targets["static"] == 1u);
  BOOST_TEST(targets["files"] == 1u);
  BOOST_TEST(calls["none"] == 1);

  BOOST_TEST(discovery.PollOnce(env.NowMs()) == 1000);
  env.AdvanceMs(1000);
  BOOST_TEST(env.WriteFileAtomically("/sd/a.json", "[{\"targets\":[\"b\",\"c\"]}]").ok());
  discovery.PollOnce(env.NowMs());
  BOOST_TEST(targets["files"] == 3u);
  BOOST_TEST(calls["files"] == 2);
  BOOST_TEST(calls["static"] == 1);

  env.AdvanceMs(1000);
  BOOST_TEST(env.WriteFileAtomically("/sd/a.json", "[{]").ok());
  discovery.PollOnce(env.NowMs());
  BOOST_TEST(targets["files"] == 3u);
  BOOST_TEST(discovery.Errors().at("files").size() == 1u);

  discovery.Apply({{"static", Static("x:1")}});
  BOOST_TEST(calls["static"] == 2);
  env.AdvanceMs(1000);
  discovery.PollOnce(env.NowMs());
  BOOST_TEST(calls["files"] == 2);
  BOOST_TEST(discovery.Errors().empty());
}

BOOST_AUTO_TEST_CASE(TheThreadStopsWhenToldTo) {
  Discovery discovery(&Env::Default(), [](const std::string&, const TargetGroupList&) {});
  discovery.Apply({{"static", Static("x:1")}});
  discovery.Start();
  discovery.Stop();
  BOOST_TEST(discovery.Errors().empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::discovery
