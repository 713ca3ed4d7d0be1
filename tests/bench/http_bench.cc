// The HTTP server under load from another process, and the parts of an answer.
//
//   SmallAnswers/C    C keep-alive connections ask for 2 KB answers as fast as they can; counters:
//                     server CPU per request (user + system, the load's not counted) and rate
//   SmallAnswers/C with 500 idle connections beside
//   Compress/E        a query answer of 1 MB through gzip (1) or deflate (2): bytes/s and ratio
//   ParseHead         a browser's request head
#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/http/content_encoding.h"
#include "base/http/request_parser.h"
#include "base/http/server.h"

namespace tocsin::http {
namespace {

constexpr size_t kAnswerBytes = 2048;
constexpr int kRequestsPerRound = 40'000;
constexpr std::string_view kRequest =
    "GET /api/v1/query?query=up HTTP/1.1\r\nHost: localhost\r\nUser-Agent: load\r\nAccept: */*\r\n"
    "\r\n";

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int Connect(uint16_t port) {
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(port);
  peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  CHECK(connect(fd, reinterpret_cast<sockaddr*>(&peer), sizeof(peer)) == 0);
  return fd;
}

// Reads one answer, whose size is known from the first one.
void ReadAnswer(int fd, size_t* answer_bytes) {
  char bytes[8192];
  size_t have = 0;
  while (*answer_bytes == 0 || have < *answer_bytes) {
    const ssize_t n = recv(fd, bytes + have, sizeof(bytes) - have, 0);
    CHECK(n > 0);
    have += static_cast<size_t>(n);
    if (*answer_bytes == 0) {
      const auto* end = static_cast<const char*>(memmem(bytes, have, "\r\n\r\n", 4));
      if (end != nullptr) *answer_bytes = static_cast<size_t>(end - bytes) + 4 + kAnswerBytes;
    }
  }
  CHECK(have == *answer_bytes);
}

// The load process: each turn sends on every connection, then reads every answer.
[[noreturn]] void RunLoad(int port_pipe, int connections, int idle) {
  uint16_t port = 0;
  CHECK(read(port_pipe, &port, sizeof(port)) == sizeof(port));
  std::vector<int> idle_fds;
  for (int i = 0; i < idle; ++i) idle_fds.push_back(Connect(port));
  std::vector<int> fds;
  for (int i = 0; i < connections; ++i) fds.push_back(Connect(port));
  size_t answer_bytes = 0;
  for (int sent = 0; sent < kRequestsPerRound; sent += connections) {
    for (const int fd : fds) {
      CHECK(send(fd, kRequest.data(), kRequest.size(), 0) == static_cast<ssize_t>(kRequest.size()));
    }
    for (const int fd : fds) ReadAnswer(fd, &answer_bytes);
  }
  _exit(0);
}

void SmallAnswers(benchmark::State& state) {
  const auto connections = static_cast<int>(state.range(0));
  const auto idle = static_cast<int>(state.range(1));
  double cpu_seconds = 0;
  double requests = 0;
  for (auto _ : state) {
    // The load process is born before any thread is.
    int port_pipe[2];
    CHECK(pipe(port_pipe) == 0);
    const pid_t load = fork();
    if (load == 0) RunLoad(port_pipe[0], connections, idle);
    ServerOptions options;
    options.listen_addresses = {"127.0.0.1:0"};
    options.connections_max = 2000;
    options.status_lane = {.threads = 4, .queue_max = 4096};
    Router router;
    router.Add({.methods = {"GET"},
                .pattern = "/api/v1/query",
                .handler = [](const HttpRequest&, HttpResponse* response) {
                  response->headers.Set("Content-Type", "application/json");
                  response->body.AppendPiece(std::string(kAnswerBytes, 'x'));
                }});
    Server server(options, std::move(router));
    CHECK(server.Start().ok());
    const std::string address = server.addresses()[0];
    const auto port = static_cast<uint16_t>(std::atoi(address.c_str() + address.rfind(':') + 1));
    const double before = CpuSeconds();
    CHECK(write(port_pipe[1], &port, sizeof(port)) == sizeof(port));
    int status = 0;
    CHECK(waitpid(load, &status, 0) == load && status == 0);
    cpu_seconds += CpuSeconds() - before;
    requests += kRequestsPerRound;
    server.Shutdown(0);
    close(port_pipe[0]);
    close(port_pipe[1]);
  }
  state.counters["cpu_us_per_request"] = cpu_seconds / requests * 1e6;
  state.counters["requests_per_s"] = benchmark::Counter(requests, benchmark::Counter::kIsRate);
}
BENCHMARK(SmallAnswers)
    ->Args({1, 0})
    ->Args({16, 0})
    ->Args({16, 500})
    ->Args({500, 0})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

std::string QueryAnswer() {
  std::string text;
  for (int series = 0; text.size() < 1'000'000; ++series) {
    text += R"({"metric":{"__name__":"node_cpu_seconds_total","cpu":")" + std::to_string(series) +
            R"(","instance":"host-1.example:9100","job":"node","mode":"idle"},"values":[)";
    for (int i = 0; i < 240; ++i) {
      char point[64];
      std::snprintf(point, sizeof(point), "[%d,\"%.2f\"],", 1767225600 + 15 * i,
                    1000.0 * series + 14.93 * i + (i * 7919 % 13) * 0.01);
      text += point;
    }
    text += "]},";
  }
  return text;
}

void Compress(benchmark::State& state) {
  const std::string text = QueryAnswer();
  const auto encoding = static_cast<ContentEncoding>(state.range(0));
  Compressor compressor;
  size_t compressed = 0;
  for (auto _ : state) {
    ResponseBody from;
    ResponseBody to;
    from.Append(text);
    CHECK(compressor.Compress(encoding, &from, &to));
    compressed = to.size();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
  state.counters["ratio"] = static_cast<double>(text.size()) / static_cast<double>(compressed);
}
BENCHMARK(Compress)->Arg(1)->Arg(2);

void ParseBrowserHead(benchmark::State& state) {
  const std::string head =
      "GET /api/v1/query_range?query=sum%20by%20(mode)%20(rate(node_cpu_seconds_total%5B5m%5D))"
      "&start=1767225600&end=1767229200&step=15 HTTP/1.1\r\nHost: localhost:9090\r\n"
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 "
      "Safari/537.36\r\n"
      "Accept: application/json\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
      "Accept-Language: en\r\nConnection: keep-alive\r\nReferer: http://localhost:9090/query\r\n"
      "Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n\r\n";
  for (auto _ : state) {
    HeadScanner scanner;
    Refusal refusal;
    RequestHead request;
    CHECK(scanner.Scan(head, {}, &refusal) == head.size());
    CHECK(!ParseHead(head, {}, &request));
    benchmark::DoNotOptimize(request);
  }
}
BENCHMARK(ParseBrowserHead);

}  // namespace
}  // namespace tocsin::http
