#include "daemon/addresses.h"

#include <boost/test/unit_test.hpp>

namespace tocsin::daemon {
namespace {

BOOST_AUTO_TEST_SUITE(Addresses_)

BOOST_AUTO_TEST_CASE(UrlPathAndPrefixFollowFromTheFlags) {
  struct Case {
    const char* external_url;
    const char* route_prefix;
    const char* want_url;
    const char* want_path;
    const char* want_prefix;
    size_t allowed_hosts;
  };
  const Case cases[] = {
      {"", "", "http://box:9090", "/", "", 0},
      {"http://mon.example:80/", "", "http://mon.example:80", "/", "", 1},
      {"https://mon.example/prom/", "", "https://mon.example/prom", "/prom/", "/prom", 1},
      {"https://mon.example/prom", "/", "https://mon.example/prom", "/prom/", "", 1},
      {"/prom", "", "http://box:9090/prom", "/prom/", "/prom", 0},
      {"/prom/", "inside", "http://box:9090/prom", "/prom/", "/inside", 0},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.external_url << " " << c.route_prefix) {
      ServeFlags flags;
      flags.listen_addresses = {"127.0.0.1:9090"};
      flags.external_url = c.external_url;
      flags.route_prefix = c.route_prefix;
      const auto addresses = ResolveAddresses(flags, "box");
      BOOST_REQUIRE(addresses.has_value());
      BOOST_TEST(addresses->external_url == c.want_url);
      BOOST_TEST(addresses->external_path == c.want_path);
      BOOST_TEST(addresses->route_prefix == c.want_prefix);
      BOOST_TEST(addresses->allowed_hosts.size() == c.allowed_hosts);
    }
  }
}

BOOST_AUTO_TEST_CASE(OtherSchemesAreRefusedByName) {
  ServeFlags flags;
  flags.listen_addresses = {"127.0.0.1:9090"};
  flags.external_url = "ftp://mon.example/";
  const auto addresses = ResolveAddresses(flags, "box");
  BOOST_REQUIRE(!addresses.has_value());
  BOOST_TEST(addresses.error().message().find("--web.external-url") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace tocsin::daemon
