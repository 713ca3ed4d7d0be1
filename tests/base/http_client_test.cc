// HttpClient against our own server.
#include "base/http/client.h"

#include <boost/test/unit_test.hpp>
#include <string>
#include <thread>

#include "base/http/server.h"
#include "base/thread.h"

namespace tocsin::http {
namespace {
namespace http_client_test {

class Fixture {
 public:
  Fixture() {
    Router router;
    const auto add = [&](const char* pattern, Handler handler) {
      router.Add({.methods = {"GET", "POST", "PUT"},
                  .pattern = pattern,
                  .lane = Lane::kStatus,
                  .body_bytes_max = 1 << 20,
                  .handler = std::move(handler)});
    };
    add("/echo", [](const HttpRequest& request, HttpResponse* response) {
      response->SetText(201, request.method + " " + std::string(request.headers.Get("X-A")) + " " +
                                 std::string(request.headers.Get("Content-Type")) + " " +
                                 std::string(request.headers.Get("Authorization")) + " " +
                                 std::string(request.headers.Get("User-Agent")) + " " +
                                 request.body);
      response->headers.Set("X-Answer", "42");
    });
    add("/redirect", [](const HttpRequest&, HttpResponse* out) { out->SetRedirect(302, "/echo"); });
    add("/big", [](const HttpRequest&, HttpResponse* out) {
      out->SetText(200, std::string(100'000, 'x'));
    });
    add("/never", [](const HttpRequest& request, HttpResponse*) {
      while (!request.cancelled()) std::this_thread::yield();
    });
    ServerOptions options;
    options.listen_addresses = {"127.0.0.1:0"};
    server = std::make_unique<Server>(options, std::move(router));
    BOOST_REQUIRE(server->Start().ok());
    base = "http://" + server->addresses()[0];
  }

  std::unique_ptr<Server> server;
  std::string base;
};

BOOST_FIXTURE_TEST_SUITE(HttpClientTest, Fixture)

BOOST_AUTO_TEST_CASE(SendsMethodHeadersAndBody) {
  HttpClient client({.user_agent = "t", .headers = {{"X-A", "a"}}});
  Result<ClientResponse> r = client.Post(base + "/echo", "application/json", "{}");
  BOOST_REQUIRE(r.has_value());
  BOOST_TEST(r->status == 201);
  BOOST_TEST(r->body == "POST a application/json  t {}");
  BOOST_TEST(r->Header("x-answer") == "42");
  r = client.Get(base + "/echo");
  BOOST_TEST(r->body == "GET a   t ");
  r = client.Send("PUT", base + "/echo", {{"Content-Type", "a/b"}}, "xyz");
  BOOST_TEST(r->body == "PUT a a/b  t xyz");
  BOOST_TEST(server->stats().connections_accepted == 1u);
}

BOOST_AUTO_TEST_CASE(SendsCredentials) {
  HttpClient basic({.user_agent = "t", .basic_username = "u", .basic_password = "p:q"});
  BOOST_TEST(basic.Get(base + "/echo")->body == "GET   Basic dTpwOnE= t ");
  HttpClient bearer({.user_agent = "t", .bearer_token = "tok"});
  BOOST_TEST(bearer.Get(base + "/echo")->body == "GET   Bearer tok t ");
}

BOOST_AUTO_TEST_CASE(FollowsRedirectsOnlyWhenAsked) {
  HttpClient strict({});
  BOOST_TEST(strict.Get(base + "/redirect")->status == 302);
  HttpClient follows({.follow_redirects = true});
  BOOST_TEST(follows.Get(base + "/redirect")->status == 201);
}

BOOST_AUTO_TEST_CASE(BoundsTheAnswer) {
  HttpClient client({.response_bytes_max = 99'999});
  BOOST_TEST((client.Get(base + "/big").error().code() == Code::kResourceExhausted));
  HttpClient enough({.response_bytes_max = 100'000});
  BOOST_TEST(enough.Get(base + "/big")->body.size() == 100'000u);
}

BOOST_AUTO_TEST_CASE(NamesWhatFailed) {
  HttpClient client({.timeout_ms = 50});
  BOOST_TEST((client.Get(base + "/never").error().code() == Code::kDeadlineExceeded));
  BOOST_TEST((client.Get("http://127.0.0.1:1/").error().code() == Code::kUnavailable));
  BOOST_TEST((client.Get("no url at all").error().code() == Code::kInvalidArgument));
  BOOST_TEST((client.Get("file:///etc/passwd").error().code() == Code::kInvalidArgument));
  const Result<ClientResponse> split =
      client.Send("GET", base + "/echo", {{"X", "a\r\nEvil: 1"}}, "");
  BOOST_TEST((split.error().code() == Code::kInvalidArgument));
}

BOOST_AUTO_TEST_CASE(AbortEndsTheRunningRequest) {
  HttpClient client({.timeout_ms = 60'000});
  Thread asker("test-ask", [&] {
    const Result<ClientResponse> r = client.Get(base + "/never");
    BOOST_TEST((r.error().code() == Code::kCancelled));
  });
  client.Abort();
  asker.Join();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http_client_test
}  // namespace
}  // namespace tocsin::http
