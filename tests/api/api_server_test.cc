// The routes behind the real server: forms of all sizes, compression, HEAD, the prefix.
#include <boost/test/unit_test.hpp>
#include <string>
#include <thread>

#include "api/http_metrics.h"
#include "base/self_metrics.h"
#include "tests/api/api_fixture.h"
#include "tests/support/raw_client.h"

namespace tocsin::api {
namespace {
namespace api_server_test {

using tocsin::testing::RawClient;
using tocsin::testing::RawResponse;

class Fixture : public testing::ApiFixture {
 public:
  void Start(const std::string& prefix = "") {
    http::ServerOptions options;
    options.listen_addresses = {"127.0.0.1:0"};
    options.env = &env;
    options.on_overload = AnswerOverload;
    options.query_lane = {.threads = 2, .queue_max = 16};
    server = std::make_unique<http::Server>(options, MakeRouter(deps, prefix),
                                            ObserveRequests(&metrics));
    BOOST_REQUIRE(server->Start().ok());
  }
  RawResponse PostForm(RawClient* client, const std::string& path, const std::string& form) {
    const std::string bytes = "POST " + path +
                              " HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                              "application/x-www-form-urlencoded\r\nContent-Length: " +
                              std::to_string(form.size()) + "\r\n\r\n" + form;
    std::thread sender([&] { client->Send(bytes); });
    RawResponse response = client->Receive();
    sender.join();
    return response;
  }

  SelfMetrics metrics;
  std::unique_ptr<http::Server> server;
};

BOOST_FIXTURE_TEST_SUITE(ApiServer, Fixture)

BOOST_AUTO_TEST_CASE(TakesFormsUpToTheirBound) {
  Start();
  RawClient client(server->addresses()[0]);
  for (const size_t size : {100, 90'000, 5'000'000}) {
    const std::string query = "query=1%20%23" + std::string(size, 'x');  // 1 # a long comment
    const RawResponse r = PostForm(&client, "/api/v1/query?time=5", query);
    BOOST_TEST(r.status == 200);
    BOOST_TEST(r.body == R"({"status":"success","data":{"resultType":"scalar","result":[5,"1"]}})");
  }
  BOOST_TEST(PostForm(&client, "/api/v1/query", std::string(kFormBytesMax + 1, 'x')).status == 413);
}

BOOST_AUTO_TEST_CASE(CompressesEnvelopes) {
  for (int i = 0; i < 100; ++i) {
    store.Add(model::Labels::FromPairs({{"__name__", "m"}, {"i", std::to_string(i)}}), kNowMs, 1);
  }
  Start();
  RawClient client(server->addresses()[0]);
  const RawResponse r = client.Ask(
      "GET /api/v1/query?query=m HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: zstd, deflate, "
      "gzip\r\n\r\n");
  BOOST_TEST(r.Header("content-encoding") == "deflate");
  BOOST_TEST(r.Header("vary") == "Origin, Accept-Encoding");
  BOOST_TEST(r.body.size() < 2000u);
}

BOOST_AUTO_TEST_CASE(CountsRequestsByHandler) {
  Start();
  RawClient client(server->addresses()[0]);
  client.Ask("GET /api/v1/label/a/values HTTP/1.1\r\nHost: localhost\r\n\r\n");
  client.Ask("GET /api/v1/query HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const std::vector<MetricCallback> callbacks = ExportServerStats(server.get(), &metrics);
  const std::string text = metrics.RenderText();
  const auto has = [&](const std::string& line) { return text.find(line) != std::string::npos; };
  BOOST_TEST(
      has("prometheus_http_requests_total{code=\"200\",handler=\"/api/v1/label/{}/values\"} 1"));
  BOOST_TEST(has("tocsin_http_connections_accepted_total 1\n"));
  BOOST_TEST(has("tocsin_http_lane_queue_length{lane=\"query\"} 0\n"));
  BOOST_TEST(has("prometheus_http_requests_total{code=\"400\",handler=\"/api/v1/query\"} 1"));
}

BOOST_AUTO_TEST_CASE(LivesUnderAPrefix) {
  Start("/p");
  RawClient client(server->addresses()[0]);
  const auto get = [&](const std::string& path) {
    return client.Ask("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  };
  BOOST_TEST(get("/").Header("location") == "/p/");
  BOOST_TEST(get("/p/").Header("location") == "/p/query");
  BOOST_TEST(get("/p/-/healthy").status == 200);
  BOOST_TEST(get("/-/healthy").status == 404);
  BOOST_TEST(get("/p/api/v1/query?query=1").status == 200);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace api_server_test
}  // namespace
}  // namespace tocsin::api
