// Server: HTTP/1.1 for many connections on few threads. One thread, `http`, owns the sockets: it
// accepts, reads whole requests and writes whole responses under deadlines, and refuses what is not
// clean HTTP. Handlers run on the threads of their lane (`http-status-N`, `http-write-N`,
// `http-query-N`) and never touch a socket, so neither an idle, a slow nor a hostile client costs a
// worker.
//
//   socket → [http] head + body, bounds, framing → route → lane queue → [http-…] handler,
//   compression
//          ← [http] response bytes, write deadline ←────────────────────────┘
//
// Inside, a worker drives cpp-httplib's request processing over memory; its own socket loop is not
// used (COMPONENTS.md tells why: a thread per connection, no deadlines, lax framing).
//
// Refused with 400 and a closed connection: both Content-Length and Transfer-Encoding, repeated or
// non-decimal Content-Length, a Transfer-Encoding other than `chunked`, bare LF, folded headers,
// control characters in the head, no or several Host (HTTP/1.1). Over a bound: 413 (body), 414
// (target), 431 (headers), 503 (connections, budget, full lane), 408 (too slow).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/http/message.h"
#include "base/http/router.h"
#include "base/status.h"

namespace tocsin {
class Env;
}

namespace tocsin::http {

struct LaneOptions {
  int threads = 2;
  size_t queue_max = 512;  // requests waiting; more are refused
  int nice = 0;            // of its threads (base/thread.h)
};

// Why a request that is well-formed is not answered by its handler.
enum class Overload : uint8_t {
  kLaneFull,        // as many wait as may
  kResponseMemory,  // the answer passed the budget for responses
};
std::string_view OverloadText(Overload overload);  // a sentence for the client

struct ServerOptions {
  // "127.0.0.1:9090", ":9090" (all addresses), "[::1]:9090", "localhost:9090"; port 0 picks one.
  std::vector<std::string> listen_addresses = {"127.0.0.1:9090"};
  int connections_max = 512;  // as --web.max-connections; one more is answered 503

  // Bounds of a request head. The target's is Go's whole-head default scale; a header line of more
  // than 8 KiB cannot pass cpp-httplib.
  size_t head_bytes_max = 1024 * 1024;
  size_t target_bytes_max = 512 * 1024;
  size_t header_line_bytes_max = 8 * 1024 - 64;
  size_t header_count_max = 100;
  size_t request_budget_bytes = 256u << 20;    // all heads and bodies being received or handled
  size_t response_budget_bytes = 1024u << 20;  // all responses being made or sent

  int64_t head_timeout_ms = 10'000;        // first byte of a request to the end of its head
  int64_t read_timeout_ms = 5 * 60'000;    // whole request; also how long a connection may idle
  int64_t rate_grace_ms = 10'000;          // a body may stall this long …
  size_t body_rate_min_bytes_per_s = 512;  // … and must then average this
  int64_t write_timeout_ms = 60'000;       // plus the time that the response takes at …
  size_t write_rate_min_bytes_per_s = 16 * 1024;  // … this rate

  LaneOptions status_lane{.threads = 4, .queue_max = 4096};  // reloads wait here too
  LaneOptions write_lane{.threads = 2, .queue_max = 1024};
  LaneOptions query_lane{.threads = 20, .queue_max = 256};

  size_t compress_bytes_min = 1024;  // smaller answers are sent as they are
  // On loopback listeners a Host other than localhost, a loopback address or one of these is
  // refused with 403: a web page of elsewhere that re-points its name at us (DNS rebinding) sends
  // its own name. Host names without port, lower case.
  std::vector<std::string> allowed_hosts;

  // Answers in place of the handler. Cheap: may run on `http`. Empty: plain text 503.
  std::function<void(const HttpRequest&, Overload, HttpResponse*)> on_overload;

  Env* env = nullptr;     // clocks; null = Env::Default()
  int64_t tick_ms = 200;  // how often deadlines are looked at
};

// Counters since start; connections, held bytes and queue lengths are of now.
struct ServerStats {
  uint64_t connections_accepted = 0;
  uint64_t connections_refused = 0;
  uint64_t connections_timed_out = 0;
  uint64_t requests_malformed = 0;
  uint64_t requests_refused = 0;  // full lane or budget
  uint64_t requests_handled = 0;
  uint64_t bytes_received = 0;
  uint64_t bytes_sent = 0;
  int64_t connections_open = 0;
  size_t request_bytes_held = 0;
  size_t response_bytes_held = 0;
  size_t lane_queued[kLaneCount] = {};
};

// Called on a worker for every handled request (self metrics).
struct RequestObservation {
  const Route* route;
  std::string_view method;
  int status;
  double seconds;  // in the handler
  size_t response_bytes;
};
using RequestObserver = std::function<void(const RequestObservation&)>;

// Start and Shutdown from one thread; stats() from any.
class Server {
 public:
  Server(ServerOptions options, Router router, RequestObserver observer = {});
  ~Server();  // Shutdown(0) if nobody did
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds every address and starts the threads. kIo or kInvalidArgument name the address.
  Status Start();
  // What is bound: "127.0.0.1:43121", one a listen address, in their order.
  std::vector<std::string> addresses() const;
  // Stops accepting, lets requests in flight finish for at most `grace_ms`, then closes everything
  // and joins all threads. Handlers that still run see client_gone.
  void Shutdown(int64_t grace_ms);

  ServerStats stats() const;
  const Router& router() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::http
