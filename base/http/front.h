// Front: the thread `http`. Owns the listening sockets and all connections, one epoll set, edge
// triggered. Private to base/http; server.h tells what it promises.
//
// All bytes of a connection pass through Read, Linger (in) and WriteBytes (out): where TLS will
// stand.
//
// Thread contract: Run() is the thread; Complete(), Stop() and the counters are for others.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/connection.h"
#include "base/http/exchange.h"
#include "base/http/listen_socket.h"
#include "base/http/server.h"
#include "base/mutex.h"

namespace tocsin::http {

class Front {
 public:
  // Hands an exchange to its lane; false when that is full.
  using Dispatch = std::function<bool(std::unique_ptr<Exchange>*)>;

  // All references must outlive the front. Takes over the sockets.
  Front(const ServerOptions& options, const Router& router, std::vector<ListenSocket> sockets,
        Budget* request_budget, Dispatch dispatch);
  ~Front();
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;

  Status Open();  // the epoll set
  void Run();     // until stopped
  void Complete(std::unique_ptr<Exchange> exchange);
  void Stop(int64_t grace_ms);

  // Written by the front only.
  struct Counters {
    std::atomic<uint64_t> accepted{0};
    std::atomic<uint64_t> refused_connections{0};
    std::atomic<uint64_t> timed_out{0};
    std::atomic<uint64_t> malformed{0};
    std::atomic<uint64_t> refused_requests{0};
    std::atomic<uint64_t> handled{0};
    std::atomic<uint64_t> bytes_received{0};
    std::atomic<uint64_t> bytes_sent{0};
    std::atomic<int64_t> open{0};
  };
  const Counters& counters() const { return counters_; }

 private:
  static constexpr size_t kReadBytes = 64 * 1024;  // at most, in one call

  int64_t NowMs() const;

  // accepting
  void Accept(size_t listener);
  void AcceptOne(int fd, const std::string& address, uint16_t port, bool loopback);
  bool EvictLongestIdle();
  void WatchListeners(bool on);

  // one connection
  void OnEvents(Connection* c, uint32_t events);
  void Advance(Connection* c);
  bool Read(Connection* c);
  void Feed(Connection* c, std::string_view bytes);
  void ProcessInput(Connection* c);
  void BeginRequest(Connection* c);
  std::string_view DecodeBody(Connection* c, std::string_view bytes);
  bool GrowBody(Connection* c, std::string_view content);
  bool HostAllowed(const Connection& c) const;
  void DispatchRequest(Connection* c);
  void RefuseLane(Connection* c, std::unique_ptr<Exchange> exchange);
  void Refuse(Connection* c, Refusal refusal);
  void StartWriting(Connection* c);
  bool Write(Connection* c);
  bool WriteBytes(Connection* c, std::string_view bytes, size_t* sent, bool more);
  void FinishResponse(Connection* c);
  bool Linger(Connection* c);
  void Break(Connection* c);    // the peer is gone
  void Destroy(Connection* c);  // closes and forgets

  static void Count(std::atomic<uint64_t>* counter, uint64_t n = 1) {
    counter->fetch_add(n, std::memory_order_relaxed);
  }

  // the loop
  void TakeCompletions();
  void CheckDeadlines();
  bool BodyTooSlow(const Connection& c, int64_t now_ms) const;
  void BeginStopping();

  const ServerOptions& options_;
  const Router& router_;
  const HeadLimits limits_;
  Budget& request_budget_;
  const Dispatch dispatch_;
  std::vector<ListenSocket> listeners_;
  int epoll_fd_ = -1;
  int wake_fd_ = -1;

  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> ready_again_;                // stopped reading for fairness
  std::vector<std::unique_ptr<Connection>> graveyard_;  // freed after the batch of events
  std::string read_buffer_;
  int64_t next_tick_ms_ = 0;
  bool accepting_ = true;
  bool stopping_ = false;
  int64_t stop_deadline_ms_ = kNoDeadline;
  Counters counters_;

  std::atomic<int64_t> stop_grace_ms_{-1};  // < 0: not asked to stop
  Mutex mu_;
  std::vector<std::unique_ptr<Exchange>> completions_ GUARDED_BY(mu_);
};

}  // namespace tocsin::http
