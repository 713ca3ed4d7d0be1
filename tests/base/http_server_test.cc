// The server over real sockets on loopback. Clocks are MemEnv's: deadlines pass when a test says
// so.
#include "base/http/server.h"

#include <zlib.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/mem_env.h"
#include "base/mutex.h"
#include "base/thread.h"
#include "tests/support/raw_client.h"

namespace tocsin::http {
namespace {
namespace http_server_test {

using testing::RawClient;
using testing::RawResponse;

// A gate that handlers wait at.
class Gate {
 public:
  void Wait() {
    MutexLock lock(mu_);
    ++waiting_;
    changed_.NotifyAll();
    while (!open_) changed_.Wait(mu_);
  }
  void WaitForWaiters(int count) {
    MutexLock lock(mu_);
    while (waiting_ < count) changed_.Wait(mu_);
  }
  void Open() {
    MutexLock lock(mu_);
    open_ = true;
    changed_.NotifyAll();
  }

 private:
  Mutex mu_;
  CondVar changed_;
  bool open_ GUARDED_BY(mu_) = false;
  int waiting_ GUARDED_BY(mu_) = 0;
};

// For what the server does just after its answer went out. The bound only ends a broken run.
template <typename Condition>
bool Eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

class Fixture {
 public:
  Fixture() {
    options.listen_addresses = {"127.0.0.1:0"};
    options.env = &env;
    options.tick_ms = 2;
    options.query_lane = {.threads = 2, .queue_max = 2};
  }
  ~Fixture() {
    gate.Open();
    if (server != nullptr) server->Shutdown(0);
  }

  void Start() {
    Router router;
    const auto add = [&](std::vector<std::string> methods, const char* pattern, Lane lane,
                         size_t body_max, Handler handler) {
      router.Add({.methods = std::move(methods),
                  .pattern = pattern,
                  .lane = lane,
                  .body_bytes_max = body_max,
                  .handler = std::move(handler)});
    };
    add({"GET", "HEAD"}, "/hello", Lane::kStatus, 1000,
        [](const HttpRequest& request, HttpResponse* response) {
          response->SetText(200, "hello " + request.raw_query);
        });
    add({"POST"}, "/echo", Lane::kWrite, 8 << 20,
        [](const HttpRequest& request, HttpResponse* response) {
          response->SetText(200, request.body);
        });
    add({"GET"}, "/big", Lane::kStatus, 1000, [](const HttpRequest& request, HttpResponse* out) {
      out->headers.Set("Content-Type", "application/json");
      for (int i = 0; i < std::stoi(request.raw_query); ++i) out->body.Append("0123456789");
    });
    add({"GET"}, "/encoded", Lane::kStatus, 1000, [](const HttpRequest&, HttpResponse* out) {
      out->headers.Set("Content-Encoding", "snappy");
      out->body.Append(std::string(5000, 'x'));
    });
    add({"GET"}, "/nothing", Lane::kStatus, 1000,
        [](const HttpRequest&, HttpResponse* out) { out->status = 204; });
    add({"GET"}, "/throw", Lane::kStatus, 1000,
        [](const HttpRequest&, HttpResponse*) { throw std::runtime_error("boom"); });
    add({"GET"}, "/inject", Lane::kStatus, 1000,
        [](const HttpRequest&, HttpResponse* out) { out->SetRedirect(302, "/a\r\nEvil: yes"); });
    add({"GET"}, "/wait", Lane::kQuery, 1000, [this](const HttpRequest&, HttpResponse* out) {
      gate.Wait();
      out->SetText(200, "waited");
    });
    add({"GET"}, "/until-cancelled", Lane::kQuery, 1000,
        [this](const HttpRequest& request, HttpResponse* out) {
          gate.Wait();
          while (!request.cancelled()) std::this_thread::yield();
          cancelled.store(true);
          out->SetText(499, "gone");
        });
    server = std::make_unique<Server>(options, std::move(router), observer);
    const Status started = server->Start();
    BOOST_REQUIRE_MESSAGE(started.ok(), started.ToString());
  }

  RawClient Client() { return RawClient(server->addresses()[0]); }
  RawResponse Ask(const std::string& bytes) { return Client().Ask(bytes); }

  MemEnv env;
  ServerOptions options;
  RequestObserver observer;
  Gate gate;
  std::atomic<bool> cancelled{false};
  std::unique_ptr<Server> server;
};

std::string Get(const std::string& target, const std::string& headers = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
}

std::string Post(const std::string& target, const std::string& body,
                 const std::string& headers = "") {
  return "POST " + target +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         headers + "\r\n" + body;
}

std::string Gunzip(const std::string& bytes) {
  z_stream zlib{};
  BOOST_REQUIRE(inflateInit2(&zlib, 15 + 32) == Z_OK);
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  zlib.avail_in = static_cast<uInt>(bytes.size());
  std::string out(1 << 20, '\0');
  zlib.next_out = reinterpret_cast<Bytef*>(out.data());
  zlib.avail_out = static_cast<uInt>(out.size());
  BOOST_TEST(inflate(&zlib, Z_FINISH) == Z_STREAM_END);
  out.resize(out.size() - zlib.avail_out);
  inflateEnd(&zlib);
  return out;
}

BOOST_FIXTURE_TEST_SUITE(HttpServer, Fixture)

BOOST_AUTO_TEST_CASE(AnswersWithAWholeHead) {
  Start();
  const RawResponse r = Ask(Get("/hello?world"));
  BOOST_TEST(r.status == 200);
  BOOST_TEST(r.body == "hello world");
  BOOST_TEST(r.Header("content-type") == "text/plain; charset=utf-8");
  BOOST_TEST(r.Header("date") == "Thu, 01 Jan 2026 00:00:00 GMT");
  BOOST_TEST(r.Header("content-length") == "11");
  BOOST_TEST(r.Header("keep-alive") == "");
  BOOST_TEST(r.Header("connection") == "");
}

BOOST_AUTO_TEST_CASE(HeadHasTheLengthAndNoBody) {
  Start();
  RawClient client = Client();
  client.Send("HEAD /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const RawResponse r = client.Receive(true);
  BOOST_TEST(r.status == 200);
  BOOST_TEST(r.Header("content-length") == "6");
  BOOST_TEST(client.Ask(Get("/hello?next")).body == "hello next");
}

BOOST_AUTO_TEST_CASE(NoContentHasNoLength) {
  Start();
  RawClient client = Client();
  const RawResponse r = client.Ask(Get("/nothing"));
  BOOST_TEST(r.status == 204);
  BOOST_TEST(r.headers.count("content-length") == 0u);
  BOOST_TEST(client.Ask(Get("/hello")).status == 200);
}

BOOST_AUTO_TEST_CASE(UnknownPathsAndMethodsAnswerInPlainText) {
  Start();
  RawResponse r = Ask(Get("/nowhere"));
  BOOST_TEST(r.status == 404);
  BOOST_TEST(r.body == "404 page not found\n");
  r = Ask(Get("/echo"));
  BOOST_TEST(r.status == 405);
  BOOST_TEST(r.body == "Method Not Allowed\n");
  BOOST_TEST(r.Header("allow") == "POST");
  r = Ask(Get("//hello?a=b"));
  BOOST_TEST(r.status == 302);
  BOOST_TEST(r.Header("location") == "/hello?a=b");
  r = Ask(Post("/echo//", "x"));
  BOOST_TEST(r.status == 307);
  BOOST_TEST(r.Header("location") == "/echo");
  BOOST_TEST(Ask("BREW /hello HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 501);
}

BOOST_AUTO_TEST_CASE(MalformedRequestsAreRefusedAndClosed) {
  Start();
  for (const std::string bytes : {
           "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: "
           "5\r\n\r\nabcde",
           "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: "
           "chunked\r\n\r\n0\r\n\r\n",
           "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, "
           "chunked\r\n\r\n0\r\n\r\n",
           "GET /hello HTTP/1.1\nHost: localhost\n\n",
           "GET /hello HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
           "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
       }) {
    BOOST_TEST_CONTEXT(bytes) {
      RawClient client = Client();
      const RawResponse r = client.Ask(bytes + Get("/hello?smuggled"));
      BOOST_TEST(r.status == 400);
      BOOST_TEST(r.Header("connection") == "close");
      BOOST_TEST(client.AtEnd());
    }
  }
  BOOST_TEST(server->stats().requests_malformed == 6u);
  BOOST_TEST(server->stats().requests_handled == 0u);
}

BOOST_AUTO_TEST_CASE(PipelinedRequestsAreAnsweredInOrder) {
  Start();
  RawClient client = Client();
  std::string all;
  for (int i = 0; i < 200; ++i) {
    all += i % 3 == 0 ? Post("/echo", std::string(static_cast<size_t>(i), 'x'))
                      : Get("/hello?" + std::to_string(i));
  }
  BOOST_TEST(client.Send(all));
  for (int i = 0; i < 200; ++i) {
    const RawResponse r = client.Receive();
    BOOST_REQUIRE(r.status == 200);
    BOOST_REQUIRE(r.body == (i % 3 == 0 ? std::string(static_cast<size_t>(i), 'x')
                                        : "hello " + std::to_string(i)));
  }
}

BOOST_AUTO_TEST_CASE(ConnectionsLiveAsTheClientSays) {
  Start();
  RawClient client = Client();
  BOOST_TEST(client.Ask(Get("/hello", "Connection: close\r\n")).Header("connection") == "close");
  BOOST_TEST(client.AtEnd());
  RawClient old = Client();
  BOOST_TEST(old.Ask("GET /hello HTTP/1.0\r\n\r\n").status == 200);
  BOOST_TEST(old.AtEnd());
  RawClient old_kept = Client();
  const std::string kept = "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
  BOOST_TEST(old_kept.Ask(kept).Header("connection") == "keep-alive");
  BOOST_TEST(old_kept.Ask(kept).status == 200);
}

BOOST_AUTO_TEST_CASE(HalfClosedClientsStillGetTheirAnswer) {
  Start();
  RawClient client = Client();
  client.Send(Get("/hello?x"));
  client.CloseSending();
  BOOST_TEST(client.Receive().body == "hello x");
  BOOST_TEST(client.AtEnd());
}

BOOST_AUTO_TEST_CASE(BodiesOfAllSizesPassUpToTheBound) {
  Start();
  RawClient client = Client();
  for (const size_t size : {0, 1, 90'000, 65'536, 5 << 20, 8 << 20}) {
    std::string body(size, 'x');
    for (size_t i = 0; i < size; i += 997) body[i] = static_cast<char>('a' + i % 26);
    std::thread sender([&] { client.Send(Post("/echo", body)); });
    const RawResponse r = client.Receive();
    sender.join();
    BOOST_TEST(r.status == 200);
    BOOST_TEST((r.body == body));
  }
  BOOST_TEST(Eventually([&] { return server->stats().request_bytes_held == 0; }));
  BOOST_TEST(client.Ask("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8388609\r\n\r\n")
                 .status == 413);
  BOOST_TEST(client.AtEnd());
}

BOOST_AUTO_TEST_CASE(ChunkedBodiesAreDecoded) {
  Start();
  RawClient client = Client();
  std::string bytes =
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string body;
  for (int i = 1; i < 300; ++i) {
    const std::string chunk(static_cast<size_t>(i), static_cast<char>('a' + i % 26));
    char size[16];
    std::snprintf(size, sizeof(size), "%x\r\n", i);
    bytes += size + chunk + "\r\n";
    body += chunk;
  }
  BOOST_TEST((client.Ask(bytes + "0\r\n\r\n").body == body));
  BOOST_TEST(client.Ask(Get("/hello?after")).body == "hello after");
}

BOOST_AUTO_TEST_CASE(ContinueComesBeforeTheBody) {
  Start();
  RawClient client = Client();
  client.Send(
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: "
      "100-continue\r\nConnection: close\r\n\r\n");
  BOOST_TEST(client.WaitFor("\r\n\r\n"));
  client.Send("body");
  const std::string all = client.ReceiveAll();
  BOOST_TEST(all.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
  BOOST_TEST(all.ends_with("\r\n\r\nbody"));
  RawClient too_large = Client();
  BOOST_TEST(too_large
                 .Ask("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                      "99999999\r\nExpect: 100-continue\r\n\r\n")
                 .status == 413);
}

BOOST_AUTO_TEST_CASE(LongQueriesPassInTheTarget) {
  Start();
  const std::string query(100'000, 'q');
  BOOST_TEST((Ask(Get("/hello?" + query)).body == "hello " + query));
}

BOOST_AUTO_TEST_CASE(CompressesOnlyWhatIsWantedAndWorthIt) {
  Start();
  const struct {
    const char* target;
    const char* accept;
    const char* encoding;
    const char* vary;
  } cases[] = {
      {"/big?1000", "gzip", "gzip", "Accept-Encoding"},
      {"/big?1000", "deflate, gzip", "deflate", "Accept-Encoding"},
      {"/big?1000", "gzip;q=0", "", "Accept-Encoding"},
      {"/big?1000", "br", "", "Accept-Encoding"},
      {"/big?10", "gzip", "", "Accept-Encoding"},
      {"/encoded", "gzip", "snappy", ""},
  };
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.target << " " << c.accept) {
      const RawResponse r =
          Ask(Get(c.target, std::string("Accept-Encoding: ") + c.accept + "\r\n"));
      BOOST_TEST(r.Header("content-encoding") == c.encoding);
      BOOST_TEST(r.Header("vary") == c.vary);
      if (r.Header("content-encoding") == "gzip" || r.Header("content-encoding") == "deflate") {
        BOOST_TEST(r.body.size() < 1000u);
        BOOST_TEST(Gunzip(r.body).size() == 10'000u);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(ExceptionsOfLibrariesBecomeErrors) {
  Start();
  RawClient client = Client();
  const RawResponse r = client.Ask(Get("/throw"));
  BOOST_TEST(r.status == 500);
  BOOST_TEST(r.body == "internal error: boom\n");
  BOOST_TEST(client.Ask(Get("/hello")).status == 200);
}

BOOST_AUTO_TEST_CASE(HeaderValuesCannotAddHeaders) {
  Start();
  const RawResponse r = Ask(Get("/inject"));
  BOOST_TEST(r.status == 302);
  BOOST_TEST(r.Header("location") == "/a  Evil: yes");
  BOOST_TEST(r.headers.count("evil") == 0u);
}

BOOST_AUTO_TEST_CASE(ForeignHostsAreRefusedOnLoopback) {
  options.allowed_hosts = {"mon.example"};
  Start();
  const struct {
    const char* host;
    int status;
  } cases[] = {{"localhost:1", 200}, {"127.0.0.1", 200},    {"[::1]:9", 200},
               {"Mon.Example", 200}, {"evil.example", 403}, {"localhost.evil.example", 403}};
  for (const auto& c : cases) {
    BOOST_TEST_CONTEXT(c.host) {
      BOOST_TEST(Ask("GET /hello HTTP/1.1\r\nHost: " + std::string(c.host) + "\r\n\r\n").status ==
                 c.status);
    }
  }
  BOOST_TEST(Ask("GET http://evil.example/hello HTTP/1.1\r\nHost: localhost\r\n\r\n").status ==
             403);
}

BOOST_AUTO_TEST_CASE(SlowHeadsAreCutOff) {
  Start();
  RawClient client = Client();
  client.Send("GET /hello HT");
  BOOST_TEST(Ask(Get("/hello")).status == 200);  // its bytes have been seen by now
  env.AdvanceMs(options.head_timeout_ms + 1);
  const RawResponse r = client.Receive();
  BOOST_TEST(r.status == 408);
  BOOST_TEST(client.AtEnd());
  BOOST_TEST(Eventually([&] { return server->stats().connections_timed_out == 1; }));
}

BOOST_AUTO_TEST_CASE(DrippingBodiesAreCutOff) {
  Start();
  RawClient client = Client();
  client.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nx");
  BOOST_TEST(Ask(Get("/hello")).status == 200);
  env.AdvanceMs(options.rate_grace_ms + 1000);
  BOOST_TEST(client.Receive().status == 408);
  BOOST_TEST(Eventually([&] { return server->stats().request_bytes_held == 0; }));
}

BOOST_AUTO_TEST_CASE(SteadyBodiesMayTakeTheirTime) {
  Start();
  RawClient client = Client();
  client.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n");
  for (int i = 0; i < 20; ++i) {
    client.Send(std::string(10'000, 'x'));
    BOOST_TEST(Ask(Get("/hello")).status == 200);
    env.AdvanceMs(10'000);
  }
  BOOST_TEST(client.Receive().status == 200);
}

BOOST_AUTO_TEST_CASE(IdleConnectionsCloseAfterTheReadTimeout) {
  Start();
  RawClient client = Client();
  const auto ask = [&] {
    BOOST_TEST(client.Ask(Get("/hello")).status == 200);
    // Once another answer has come, the front is done with the first and its deadline is set.
    BOOST_TEST(Ask(Get("/hello")).status == 200);
  };
  ask();
  env.AdvanceMs(options.read_timeout_ms - 1000);
  ask();
  env.AdvanceMs(options.read_timeout_ms + 1);
  BOOST_TEST(client.AtEnd());
}

BOOST_AUTO_TEST_CASE(SlowReadersAreCutOffAndHoldNoWorker) {
  options.status_lane = {.threads = 1, .queue_max = 16};
  Start();
  std::vector<RawClient> slow;
  for (int i = 0; i < 4; ++i) {
    slow.push_back(Client());
    slow.back().Send(Get("/big?2000000"));
  }
  BOOST_TEST(Ask(Get("/hello")).status == 200);
  BOOST_TEST(server->stats().response_bytes_held > 4'000'000u);
  env.AdvanceMs(options.write_timeout_ms + 20'000'000 / 16 + 10'000);
  for (RawClient& client : slow) BOOST_TEST(client.Receive().status == 0);
  BOOST_TEST(Eventually([&] { return server->stats().response_bytes_held == 0; }));
}

BOOST_AUTO_TEST_CASE(FiveHundredIdleConnectionsAreServedByFourWorkers) {
  Start();
  std::vector<RawClient> clients;
  for (int i = 0; i < 500; ++i) {
    clients.push_back(Client());
    BOOST_REQUIRE(clients.back().connected());
  }
  for (int round = 0; round < 3; ++round) {
    for (RawClient& client : clients) BOOST_REQUIRE(client.Send(Get("/hello?x")));
    for (RawClient& client : clients) BOOST_REQUIRE(client.Receive().body == "hello x");
  }
  BOOST_TEST(server->stats().connections_open == 500);
  BOOST_TEST(server->stats().requests_handled == 1500u);
}

BOOST_AUTO_TEST_CASE(TheLongestIdleGivesWayAtTheConnectionBound) {
  options.connections_max = 3;
  Start();
  RawClient a = Client();
  BOOST_TEST(a.Ask(Get("/hello")).status == 200);
  env.AdvanceMs(10);
  RawClient b = Client();
  BOOST_TEST(b.Ask(Get("/hello")).status == 200);
  RawClient c = Client();
  BOOST_TEST(c.Ask(Get("/hello")).status == 200);
  RawClient d = Client();
  BOOST_TEST(d.Ask(Get("/hello")).status == 200);
  BOOST_TEST(a.AtEnd());
  BOOST_TEST(b.Ask(Get("/hello")).status == 200);

  // All busy: the next one is refused.
  b.Send("GET /he");
  c.Send("GET /he");
  d.Send("GET /he");
  RawClient e = Client();
  while (server->stats().connections_refused == 0) {
    e = Client();
    e.Receive();
  }
  b.Send("llo HTTP/1.1\r\nHost: localhost\r\n\r\n");
  BOOST_TEST(b.Receive().status == 200);
}

BOOST_AUTO_TEST_CASE(AFullLaneRefusesAndOthersAnswer) {
  options.on_overload = [](const HttpRequest& request, Overload overload, HttpResponse* response) {
    response->status = 503;
    response->headers.Set("Content-Type", "application/json");
    response->body.Append(request.path + " " + std::string(OverloadText(overload)));
  };
  Start();
  std::vector<RawClient> waiting;
  for (int i = 0; i < 2; ++i) {
    waiting.push_back(Client());
    waiting.back().Send(Get("/wait"));
  }
  gate.WaitForWaiters(2);
  for (int i = 0; i < 2; ++i) {
    waiting.push_back(Client());
    waiting.back().Send(Get("/wait"));
  }
  BOOST_TEST(
      Eventually([&] { return server->stats().lane_queued[static_cast<int>(Lane::kQuery)] == 2; }));
  const RawResponse r = Ask(Get("/wait"));
  BOOST_TEST(r.status == 503);
  BOOST_TEST(r.body == "/wait too many requests are waiting");
  BOOST_TEST(r.Header("content-type") == "application/json");
  BOOST_TEST(Ask(Get("/hello")).status == 200);
  gate.Open();
  for (RawClient& client : waiting) BOOST_TEST(client.Receive().body == "waited");
}

BOOST_AUTO_TEST_CASE(HandlersLearnThatTheClientIsGone) {
  Start();
  for (const bool hard : {false, true}) {
    cancelled.store(false);
    RawClient client = Client();
    client.Send(Get("/until-cancelled"));
    gate.WaitForWaiters(hard ? 2 : 1);
    hard ? client.Reset() : client.Close();
    gate.Open();
    while (!cancelled.load()) std::this_thread::yield();
  }
  BOOST_TEST(Ask(Get("/hello")).status == 200);
}

BOOST_AUTO_TEST_CASE(RequestMemoryIsBounded) {
  options.request_budget_bytes = 1 << 20;
  Start();
  RawClient greedy = Client();
  greedy.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n");
  std::thread sender([&] { greedy.Send(std::string(4'000'000, 'x')); });
  BOOST_TEST(greedy.Receive().status == 503);
  sender.join();
  BOOST_TEST(Ask(Post("/echo", std::string(100'000, 'x'))).status == 200);
  BOOST_TEST(Eventually([&] { return server->stats().request_bytes_held == 0; }));
}

BOOST_AUTO_TEST_CASE(ResponseMemoryIsBounded) {
  options.response_budget_bytes = 1 << 20;
  Start();
  const RawResponse r = Ask(Get("/big?1000000"));
  BOOST_TEST(r.status == 503);
  BOOST_TEST(Ask(Get("/big?10000")).body.size() == 100'000u);
  BOOST_TEST(Eventually([&] { return server->stats().response_bytes_held == 0; }));
}

BOOST_AUTO_TEST_CASE(ShutdownLetsRunningRequestsFinish) {
  Start();
  RawClient busy = Client();
  busy.Send(Get("/wait"));
  gate.WaitForWaiters(1);
  RawClient idle = Client();
  BOOST_TEST(idle.Ask(Get("/hello")).status == 200);
  Thread stopper("test-stop", [this] { server->Shutdown(1'000'000); });
  BOOST_TEST(idle.AtEnd());
  gate.Open();
  BOOST_TEST(busy.Receive().body == "waited");
  BOOST_TEST(busy.AtEnd());
  stopper.Join();
  BOOST_TEST(!Client().connected());
}

BOOST_AUTO_TEST_CASE(ShutdownWithoutGraceCancelsHandlers) {
  Start();
  RawClient busy = Client();
  busy.Send(Get("/until-cancelled"));
  gate.WaitForWaiters(1);
  gate.Open();
  server->Shutdown(0);
  BOOST_TEST(cancelled.load());
}

BOOST_AUTO_TEST_CASE(ListensOnSeveralAddresses) {
  options.listen_addresses = {"127.0.0.1:0", "localhost:0", ":0"};
  Start();
  BOOST_REQUIRE(server->addresses().size() == 3u);
  BOOST_TEST(Ask(Get("/hello")).status == 200);
  const std::string anywhere = server->addresses()[2];
  RawClient client("127.0.0.1" + anywhere.substr(anywhere.rfind(':')));
  // Not a loopback listener: any Host may come.
  BOOST_TEST(client.Ask("GET /hello HTTP/1.1\r\nHost: mon.example\r\n\r\n").status == 200);
}

BOOST_AUTO_TEST_CASE(ATakenPortIsNamed) {
  Start();
  ServerOptions second = options;
  second.listen_addresses = {server->addresses()[0]};
  Server other(second, Router());
  const Status status = other.Start();
  BOOST_TEST(status.message() ==
             "listen on " + server->addresses()[0] + ": bind: Address already in use");
}

BOOST_AUTO_TEST_CASE(HandledRequestsAreObserved) {
  std::atomic<int> seen{0};
  observer = [&](const RequestObservation& o) {
    if (o.route->pattern == "/hello" && o.status == 200 && o.method == "GET") seen.fetch_add(1);
  };
  Start();
  RawClient client = Client();
  for (int i = 0; i < 3; ++i) client.Ask(Get("/hello"));
  BOOST_TEST(seen.load() == 3);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace http_server_test
}  // namespace
}  // namespace tocsin::http
