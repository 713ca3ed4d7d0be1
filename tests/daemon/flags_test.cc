#include "daemon/flags.h"

#include <map>

#include <boost/test/unit_test.hpp>

namespace tocsin::daemon {
namespace flags_test {
namespace {

Result<ServeFlags> Parse(std::vector<std::string> args) { return ParseServeFlags(args); }

BOOST_AUTO_TEST_SUITE(Flags)

BOOST_AUTO_TEST_CASE(NothingGivenIsPrometheusDefaultsOnLoopback) {
  const ServeFlags flags = Parse({}).value();
  BOOST_TEST(flags.config_file == "prometheus.yml");
  BOOST_TEST((flags.listen_addresses == std::vector<std::string>{"127.0.0.1:9090"}));
  BOOST_TEST(flags.storage_path == "data/");
  BOOST_TEST(flags.retention_ms == 15 * 86'400'000LL);
  BOOST_TEST(!flags.retention_given);
  BOOST_TEST(flags.query_timeout_ms == 120'000);
  BOOST_TEST(flags.query_max_samples == 50'000'000);
  BOOST_TEST(flags.drain_notification_queue_on_shutdown);
  BOOST_TEST(flags.not_built.empty());
  const std::map<std::string, std::string> all(flags.all.begin(), flags.all.end());
  BOOST_TEST(all.at("query.lookback-delta") == "5m");
  BOOST_TEST(all.at("web.enable-lifecycle") == "false");
  BOOST_TEST(all.at("storage.tsdb.min-block-duration") == "2h");
  BOOST_TEST(all.at("storage.remote.read-sample-limit") == "50000000");
}

BOOST_AUTO_TEST_CASE(BothSpellingsAndNegationsAreTaken) {
  const ServeFlags flags =
      Parse({"--config.file", "a.yml", "--storage.tsdb.path=/x", "--web.enable-lifecycle",
             "--no-alertmanager.drain-notification-queue-on-shutdown", "--query.timeout=90s",
             "--web.listen-address=0.0.0.0:1", "--web.listen-address", "[::1]:2",
             "--enable-feature=promql-experimental-functions,promql-per-step-stats",
             "--enable-feature=nonsense", "--storage.tsdb.retention.time=1y", "--log.level=debug",
             "--storage.durability=sync", "--query.max-memory=512MB", "--query.max-samples=5e3"})
          .value();
  BOOST_TEST(flags.config_file == "a.yml");
  BOOST_TEST(flags.storage_path == "/x");
  BOOST_TEST(flags.enable_lifecycle);
  BOOST_TEST(!flags.drain_notification_queue_on_shutdown);
  BOOST_TEST(flags.query_timeout_ms == 90'000);
  BOOST_TEST((flags.listen_addresses == std::vector<std::string>{"0.0.0.0:1", "[::1]:2"}));
  BOOST_TEST(flags.language.experimental_functions);
  BOOST_TEST(flags.per_step_stats);
  BOOST_TEST(flags.warnings.size() == 1u);
  BOOST_TEST(flags.retention_given);
  BOOST_TEST(flags.synced_writes);
  BOOST_TEST(flags.query_max_memory_bytes == 512 << 20);
  BOOST_TEST(flags.query_max_samples == 5000);
  BOOST_TEST((flags.log_level == LogLevel::kDebug));
  const std::map<std::string, std::string> all(flags.all.begin(), flags.all.end());
  BOOST_TEST(all.at("query.timeout") == "1m30s");
  BOOST_TEST(all.at("alertmanager.drain-notification-queue-on-shutdown") == "false");
}

BOOST_AUTO_TEST_CASE(MistakesNameTheFlag) {
  const struct {
    std::vector<std::string> args;
    const char* want;
  } kCases[] = {
      {{"--nope"}, "unknown flag --nope"},
      {{"--config.file=a", "--web.nope=1"}, "unknown flag --web.nope"},
      {{"--query.timeout=1x"}, "--query.timeout: not a valid duration string: \"1x\""},
      {{"--query.max-samples=many"}, "--query.max-samples: not a whole number: \"many\""},
      {{"--query.max-concurrency=0"}, "--query.max-concurrency: must be at least 1"},
      {{"--log.level=loud"}, "--log.level: must be one of debug|info|warn|error, got \"loud\""},
      {{"--query.max-memory=4"}, "--query.max-memory: units: unknown unit  in 4"},
      {{"--web.cors.origin=("}, "--web.cors.origin: error parsing regexp"},
      {{"--config.file"}, "--config.file"},
      {{"stray"}, "unexpected argument stray"},
      {{"--log.level=warn", "one", "two"}, "unexpected argument one"},
      {{"-x"}, "unknown flag -x"},
      {{"stray", "--help-me"}, "unknown flag --help-me"},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.want) {
      const auto flags = Parse(c.args);
      BOOST_REQUIRE(!flags.has_value());
      BOOST_TEST(flags.error().message().find(c.want) != std::string::npos,
                 flags.error().message());
    }
  }
}

BOOST_AUTO_TEST_CASE(ValidFlagsOfUnbuiltPartsAreSentences) {
  const ServeFlags flags =
      Parse({"--web.config.file=web.yml", "--agent", "--storage.remote.read-concurrent-limit=3",
             "--web.max-notifications-subscribers=16", "--auto-gomemlimit.ratio=0.5",
             "--enable-feature=otlp-write-receiver"})
          .value();
  BOOST_REQUIRE(flags.not_built.size() == 4u);
  BOOST_TEST(flags.not_built[0] == "--web.config.file is valid but not built yet");
  BOOST_TEST(flags.not_built[3] ==
             "--enable-feature=otlp-write-receiver is valid but not built yet");
}

BOOST_AUTO_TEST_CASE(HelpListsEveryBuiltFlag) {
  BOOST_TEST(Parse({"-h"}).value().help);
  BOOST_TEST(Parse({"--help"}).value().help);
  const std::string help = ServeHelp();
  for (const char* name : {"--config.file [prometheus.yml]", "--query.max-memory [4GB]"}) {
    BOOST_TEST(help.find(name) != std::string::npos);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace flags_test
}  // namespace tocsin::daemon
