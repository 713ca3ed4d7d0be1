#include "base/log.h"

#include <boost/test/unit_test.hpp>

namespace tocsin {
namespace log_test {
namespace {

// Collects lines, without their time, while it lives.
class Captured {
 public:
  Captured() {
    SetLogSink([this](std::string_view line) {
      const size_t level = line.find("level");
      lines_.emplace_back(line.substr(level == std::string_view::npos ? 0 : level));
    });
  }
  ~Captured() {
    SetLogSink(nullptr);
    ConfigureLog(LogLevel::kInfo, LogFormat::kLogfmt);
  }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::vector<std::string> lines_;
};

BOOST_AUTO_TEST_SUITE(Log_)

BOOST_AUTO_TEST_CASE(LinesAreLogfmt) {
  Captured log;
  LogWarn("scrape", "scrape failed",
          {{"target", "http://a:1/metrics"},
           {"err", Status(Code::kIo, "read \"x\"\nfailed")},
           {"n", 3},
           {"ratio", 0.5},
           {"ok", false},
           {"query", "a=b"},
           {"empty", ""},
           {"password", Secret("hunter2")}});
  BOOST_REQUIRE(log.lines().size() == 1u);
  BOOST_TEST(log.lines()[0] ==
             "level=warn component=scrape msg=\"scrape failed\" target=http://a:1/metrics "
             "err=\"read \\\"x\\\"\\nfailed\" n=3 ratio=0.5 ok=false query=\"a=b\" empty=\"\" "
             "password=<secret>");
}

BOOST_AUTO_TEST_CASE(LinesAreJsonWhenAsked) {
  Captured log;
  ConfigureLog(LogLevel::kInfo, LogFormat::kJson);
  LogInfo("daemon", "ready", {{"seconds", 0.25}, {"series", 7}, {"path", "<x>"}});
  BOOST_TEST(log.lines().at(0) ==
             R"(level":"info","component":"daemon","msg":"ready","seconds":0.25,"series":7,)"
             R"("path":"<x>"})");
}

BOOST_AUTO_TEST_CASE(LevelsBelowTheThresholdAreSilent) {
  Captured log;
  LogDebug("x", "no");
  LogInfo("x", "yes");
  ConfigureLog(LogLevel::kError, LogFormat::kLogfmt);
  LogWarn("x", "no");
  LogError("x", "yes");
  BOOST_TEST(log.lines().size() == 2u);
  BOOST_TEST((ParseLogLevel("debug").value() == LogLevel::kDebug));
  BOOST_TEST(!ParseLogLevel("loud").has_value());
  BOOST_TEST((ParseLogFormat("json").value() == LogFormat::kJson));
  BOOST_TEST(!ParseLogFormat("xml").has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace log_test
}  // namespace tocsin
