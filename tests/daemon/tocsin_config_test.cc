#include "daemon/config/tocsin_config.h"

#include <boost/test/unit_test.hpp>

#include "base/mem_env.h"
#include "daemon/storage_options.h"

namespace tocsin::daemon {
namespace tocsin_config_test {
namespace {

constexpr int64_t kDay = 86'400'000;

std::string ErrorOf(std::string_view text) {
  const auto config = ParseTocsinConfig(text, "t.yml");
  return config ? "" : config.error().message();
}

TocsinConfig Good(std::string_view text) {
  auto config = ParseTocsinConfig(text, "t.yml");
  BOOST_REQUIRE_MESSAGE(config.has_value(), config.error().message());
  return std::move(*config);
}

BOOST_AUTO_TEST_SUITE(TocsinConfig_)

BOOST_AUTO_TEST_CASE(SaysWhatTheFileSays) {
  const TocsinConfig config = Good(R"(
storage:
  retention: {time: 90d, size: 2GB, percentage: 12.5}
  retention_rules:
    - matchers: ['job="debug"', '__name__=~"go_.*"']
      time: 3d
    - matchers: ['{tenant="a", env!="prod"}']
      time: 1y
  free_space_floor: 2%
  compaction: {cpu_share: 35%}
  rollups:
    - {resolution: 1h}
    - {resolution: 5m, retention: 180d}
)");
  const TocsinConfig::Storage& storage = config.storage;
  BOOST_TEST(storage.retention_ms.value() == 90 * kDay);
  BOOST_TEST(storage.retention_bytes.value() == uint64_t{2} << 30);
  BOOST_TEST(storage.retention_disk_share.value() == 0.125);
  BOOST_REQUIRE(storage.retention_rules.size() == 2u);
  BOOST_TEST(storage.retention_rules[0].retention_ms == 3 * kDay);
  BOOST_REQUIRE(storage.retention_rules[0].matchers.size() == 2u);
  BOOST_TEST(storage.retention_rules[0].matchers[1].ToString() == "__name__=~\"go_.*\"");
  BOOST_REQUIRE(storage.retention_rules[1].matchers.size() == 2u);
  BOOST_TEST(storage.free_space_floor.value().disk_share == 0.02);
  BOOST_TEST(storage.compaction_cpu_share.value() == 0.35);
  BOOST_REQUIRE(storage.rollups.size() == 2u);
  BOOST_TEST((storage.rollups[0] == tsdb::RollupPolicy{300'000, 180 * kDay}));
  BOOST_TEST((storage.rollups[1] == tsdb::RollupPolicy{3'600'000, 0}));
}

BOOST_AUTO_TEST_CASE(AnEmptyFileSaysNothing) {
  for (const char* text : {"", "# nothing\n", "storage:\n", "{}", "storage: {retention: {}}"}) {
    BOOST_TEST_CONTEXT(text) {
      const TocsinConfig config = Good(text);
      BOOST_TEST(!config.storage.retention_ms.has_value());
      BOOST_TEST(!config.storage.free_space_floor.has_value());
      BOOST_TEST(config.storage.retention_rules.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(EachComplaintNamesItsPlace) {
  const struct {
    const char* text;
    const char* want;
  } kCases[] = {
      {"storag: {}", "t.yml:1:1: field storag not found in tocsin.yml"},
      {"storage: {retension: 3d}", "t.yml:1:11: field retension not found in storage"},
      {"storage:\n  retention: {days: 3}", "t.yml:2:15: field days not found in retention"},
      {"storage:\n  retention: {time: 3}", "t.yml:2:21: not a valid duration string: \"3\""},
      {"storage: {retention: {percentage: 101}}", "t.yml:1:35: must be in the range [0, 100]"},
      {"storage: {retention: {size: -1GB}}", "t.yml:1:29: must not be negative"},
      {"storage: {free_space_floor: 1}", "t.yml:1:29: "},
      {"storage: {free_space_floor: 101%}",
       "t.yml:1:29: not a percentage from 0% to 100%: \"101%\""},
      {"storage: {compaction: {cpu_share: 0%}}", "t.yml:1:35: must be greater than 0%"},
      {"storage: {compaction: {cpu_share: lots}}",
       "t.yml:1:35: not a percentage from 0% to 100%: \"lots\""},
      {"storage: {retention_rules: [{time: 3d}]}", "t.yml:1:29: a rule needs matchers"},
      {"storage: {retention_rules: [{matchers: ['a=b']}]}",
       "t.yml:1:29: a rule needs a time greater than 0"},
      {"storage: {retention_rules: [{matchers: ['a=~\"(\"'], time: 3d}]}", "t.yml:1:41: "},
      {"storage: {retention_rules: [null]}", "t.yml:1:29: "},
      {"storage: {rollups: [{retention: 3d}]}", "t.yml:1:21: must be at least 1m and divide a day"},
      {"storage: {rollups: [{resolution: 7m}]}",
       "t.yml:1:34: must be at least 1m and divide a day"},
      {"storage: {rollups: [{resolution: 5m}, {resolution: 5m}]}",
       "t.yml:1:39: a resolution is given twice"},
      {"storage: [1]", "t.yml:1:10: cannot unmarshal !!seq into storage"},
      {"a: 1\na: 2", "t.yml:2:1: "},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.text) {
      const std::string error = ErrorOf(c.text);
      BOOST_TEST(error.find(c.want) != std::string::npos, error);
    }
  }
}

BOOST_AUTO_TEST_CASE(OursWinsOverPrometheusWhichWinsOverFlags) {
  const auto policy = [](std::vector<std::string> args, std::string_view theirs,
                         std::string_view ours) {
    MemEnv env;
    return StoragePolicyOf(ParseServeFlags(args).value(),
                           ParseConfig(env, theirs, "p.yml", {}).value(), Good(ours));
  };
  const std::string time_flag = "--storage.tsdb.retention.time=2d";
  const std::string size_flag = "--storage.tsdb.retention.size=1GB";
  const char* const kTheirs = "storage: {tsdb: {retention: {time: 3d, size: 3GB}}}";
  const struct {
    std::vector<std::string> args;
    const char* theirs;
    const char* ours;
    const char* want;
  } kCases[] = {
      {{}, "", "", "15d"},
      {{time_flag}, "", "", "2d"},
      {{size_flag}, "", "", "1GB"},
      {{time_flag, size_flag}, "", "", "2d or 1GB"},
      {{time_flag, size_flag}, kTheirs, "", "3d or 3GB"},
      {{time_flag}, kTheirs, "storage: {retention: {time: 4d}}", "4d or 3GB"},
      {{}, "", "storage: {retention: {percentage: 12.5}}", "12.5%"},
      {{}, kTheirs, "storage: {retention: {size: 0B}}", "3d"},
      {{}, "", "storage: {retention: {time: 0s}}", ""},
      {{time_flag}, "storage: {tsdb: {retention: {percentage: 80}}}", "", "2d or 80%"},
  };
  for (const auto& c : kCases) {
    BOOST_TEST_CONTEXT(c.theirs << " | " << c.ours) {
      BOOST_TEST(DescribeRetention(policy(c.args, c.theirs, c.ours)) == c.want);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin_config_test
}  // namespace tocsin::daemon
