// Router, FormParams, listen addresses, Host.
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "base/http/form.h"
#include "base/http/listen_socket.h"
#include "base/http/router.h"

namespace tocsin::http {
namespace {
namespace http_router_form_test {

void Nothing(const HttpRequest&, HttpResponse*) {}

Router MakeRouter(const std::string& prefix = "") {
  Router router(prefix);
  for (const char* pattern : {"/", "/metrics", "/api/v1/query", "/api/v1/label/{}/values",
                              "/api/v1/label/fixed/values", "/assets/{*}"}) {
    router.Add({.methods = {"GET"}, .pattern = pattern, .handler = Nothing});
  }
  router.Add({.methods = {"POST", "PUT"}, .pattern = "/api/v1/query", .handler = Nothing});
  router.Add({.methods = {"GET"},
              .pattern = "/{*}",
              .handler = Nothing,
              .accepts = [](std::string_view rest) { return rest == "page" || rest == "p/q"; }});
  router.Add({.methods = {"OPTIONS"}, .pattern = "/api/v1/{*}", .handler = Nothing});
  return router;
}

BOOST_AUTO_TEST_SUITE(HttpRouterForm)

BOOST_AUTO_TEST_CASE(FindsTheMostLiteralRoute) {
  const Router router = MakeRouter();
  const struct {
    const char* method;
    const char* path;
    const char* pattern;  // "" = none
    std::vector<std::string> captures;
    bool path_known;
  } cases[] = {
      {"GET", "/", "/", {}, true},
      {"GET", "/metrics", "/metrics", {}, true},
      {"GET", "/metrics/", "", {}, false},
      {"GET", "//metrics", "", {}, false},
      {"GET", "/x/../metrics", "", {}, false},
      {"GET", "/m%65trics", "/metrics", {}, true},
      {"GET", "/m%6", "", {}, false},
      {"POST", "/metrics", "", {}, true},
      {"PUT", "/api/v1/query", "/api/v1/query", {}, true},
      {"OPTIONS", "/api/v1/query", "/api/v1/{*}", {"query"}, true},
      {"OPTIONS", "/api/v1/label/a/values", "/api/v1/{*}", {"label/a/values"}, true},
      {"OPTIONS", "/api/v1", "", {}, false},
      {"GET", "/api/v1/label/a%2Fb/values", "/api/v1/label/{}/values", {"a/b"}, true},
      {"GET", "/api/v1/label/fixed/values", "/api/v1/label/fixed/values", {}, true},
      {"GET", "/api/v1/label//values", "", {}, false},
      {"GET", "/assets/a/b.js", "/assets/{*}", {"a/b.js"}, true},
      {"GET", "/assets", "", {}, false},
      {"POST", "/assets/a", "", {}, false},
      {"GET", "/page", "/{*}", {"page"}, true},
      {"GET", "/p%2Fq", "/{*}", {"p/q"}, true},
      {"GET", "/other", "", {}, false},
      {"GET", "/api/v1/none", "", {}, false},
      {"GET", "*", "", {}, false},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.method << " " << c.path) {
      const Router::Match match = router.Find(c.method, c.path);
      BOOST_TEST((match.route == nullptr ? "" : match.route->pattern) == c.pattern);
      BOOST_TEST(match.captures == c.captures, boost::test_tools::per_element());
      BOOST_TEST(match.path_known == c.path_known);
    }
  }
  BOOST_TEST(router.Find("DELETE", "/api/v1/query").allow == "GET, POST, PUT");
}

BOOST_AUTO_TEST_CASE(SendsUncleanPathsToCleanOnes) {
  const Router router = MakeRouter("/p");
  const struct {
    const char* method;
    const char* path;
    const char* redirect;
  } cases[] = {
      {"GET", "/p//metrics", "/p/metrics"},
      {"GET", "//p/metrics", "/p/metrics"},
      {"GET", "/p/metrics/", "/p/metrics"},
      {"PUT", "/p/api/v1//query", "/p/api/v1/query"},
      {"GET", "/p/x/../metrics", "/p/metrics"},
      {"GET", "/../../p/./metrics", "/p/metrics"},
      {"GET", "//evil.example/p/metrics", ""},
      {"GET", "/p/nothing/", ""},
      {"POST", "/p/metrics/", ""},
      {"GET", "/p/%2e%2e/metrics", ""},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.method << " " << c.path) {
      const Router::Match match = router.Find(c.method, c.path);
      BOOST_TEST(match.redirect == c.redirect);
      BOOST_TEST(match.route == nullptr);
    }
  }
}

BOOST_AUTO_TEST_CASE(StripsThePrefix) {
  const Router router = MakeRouter("/prom/");
  BOOST_TEST(router.Find("GET", "/prom/metrics").route->pattern == "/metrics");
  BOOST_TEST(router.Find("GET", "/metrics").route == nullptr);
  BOOST_TEST(router.Find("GET", "/promx/metrics").route == nullptr);
  BOOST_TEST(router.Find("GET", "/").redirect == "/prom/");
  BOOST_TEST(router.Find("GET", "/prom").redirect == "/prom/");
  BOOST_TEST(router.Find("GET", "/prom/").route->pattern == "/");
}

BOOST_AUTO_TEST_CASE(DecodesForms) {
  FormParams params;
  params.Parse("a=1&b=x+y%2Bz&&a=2&empty&=noname&c=%E2%9c%93&bad=%zz&semi;colon=1&last=%4");
  BOOST_TEST(params.Get("a") == "1");
  BOOST_TEST(params.GetAll("a").size() == 2u);
  BOOST_TEST(params.Get("b") == "x y+z");
  BOOST_TEST(params.Has("empty"));
  BOOST_TEST(params.Get("c") == "\xE2\x9C\x93");
  BOOST_TEST(!params.Has("bad"));
  BOOST_TEST(!params.Has("last"));
  BOOST_TEST(params.error() == "invalid URL escape in \"bad=%zz\"");
}

BOOST_AUTO_TEST_CASE(BodyValuesComeFirst) {
  HttpRequest request;
  request.method = "POST";
  request.raw_query = "query=url&only=url";
  request.body = "query=body";
  request.headers.Add("content-type", "application/x-www-form-urlencoded; charset=utf-8");
  FormParams params = FormParams::FromRequest(request);
  BOOST_TEST(params.Get("query") == "body");
  BOOST_TEST(params.Get("only") == "url");
  request.method = "GET";
  BOOST_TEST(FormParams::FromRequest(request).Get("query") == "url");
  request.method = "POST";
  request.headers.Set("Content-Type", "text/plain");
  BOOST_TEST(FormParams::FromRequest(request).Get("query") == "url");
}

BOOST_AUTO_TEST_CASE(BoundsTheNumberOfPairs) {
  std::string many;
  for (size_t i = 0; i < FormParams::kPairsMax + 5; ++i) many += "a=1&";
  FormParams params;
  params.Parse(many);
  BOOST_TEST(params.pairs().size() == FormParams::kPairsMax);
  BOOST_TEST(params.error() == "too many parameters");
}

BOOST_AUTO_TEST_CASE(EncodesWhatItDecodes) {
  std::string all;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  std::string decoded;
  BOOST_TEST(PercentDecode(PercentEncode(all), true, &decoded));
  BOOST_TEST(decoded == all);
}

BOOST_AUTO_TEST_CASE(ReadsListenAddresses) {
  const struct {
    const char* text;
    const char* host;
    int port;  // -1: refused
  } cases[] = {
      {"127.0.0.1:9090", "127.0.0.1", 9090},
      {":9090", "", 9090},
      {"[::1]:0", "::1", 0},
      {"localhost:1", "localhost", 1},
      {"9090", "", -1},
      {"::1:9090", "", -1},
      {"[]:1", "", -1},
      {"a:65536", "", -1},
      {"a:", "", -1},
      {"a:1x", "", -1},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.text) {
      const Result<ListenAddress> address = ParseListenAddress(c.text);
      BOOST_TEST(address.has_value() == (c.port >= 0));
      if (!address) continue;
      BOOST_TEST(address->host == c.host);
      BOOST_TEST(address->port == c.port);
    }
  }
}

BOOST_AUTO_TEST_CASE(TellsLoopbackHosts) {
  const struct {
    const char* header;
    const char* host;
    bool loopback;
  } cases[] = {
      {"localhost", "localhost", true},
      {"LocalHost:9090", "localhost", true},
      {"localhost.:80", "localhost", true},
      {"127.0.0.1:9090", "127.0.0.1", true},
      {"127.8.9.1", "127.8.9.1", true},
      {"[::1]:9090", "::1", true},
      {"[::1]", "::1", true},
      {"evil.example:9090", "evil.example", false},
      {"localhost.evil.example", "localhost.evil.example", false},
      {"127.0.0.1.evil.example", "127.0.0.1.evil.example", false},
      {"0x7f.1", "0x7f.1", false},
      {"localhost:80@evil", "", false},
      {"10.0.0.1", "10.0.0.1", false},
      {"[::1", "", false},
      {"[::ffff:10.0.0.1]", "::ffff:10.0.0.1", false},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.header) {
      BOOST_TEST(HostWithoutPort(c.header) == c.host);
      BOOST_TEST(IsLoopbackHost(HostWithoutPort(c.header)) == c.loopback);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http_router_form_test
}  // namespace
}  // namespace tocsin::http
