#include "base/http/front.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "base/env.h"
#include "base/http/handler_runner.h"

namespace tocsin::http {
namespace {

constexpr size_t kReadBytes = 64 * 1024;
// A connection that delivers more than this at once lets the others go first.
constexpr size_t kReadBytesPerTurn = 512 * 1024;
constexpr int kEventsPerWait = 256;
constexpr int kAcceptsPerTurn = 128;
constexpr int64_t kLingerMs = 2000;
constexpr size_t kLingerBytesMax = 4 * 1024 * 1024;
// Capacity of `in` that an idle connection may keep.
constexpr size_t kIdleInputBytes = 4 * 1024;
// Of a body whose length is known, what is allocated before any of it came.
constexpr size_t kBodyReserveBytes = 64 * 1024;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// Epoll tags: the wake-up descriptor, listeners by number, else the address of a connection.
constexpr uint64_t kWakeTag = 1;
constexpr uint64_t kListenerTag = 2;
constexpr uint64_t kListenersMax = 62;

bool MethodKnown(std::string_view method) {
  static constexpr std::array<std::string_view, 7> kMethods = {"GET",    "POST",    "HEAD", "PUT",
                                                               "DELETE", "OPTIONS", "PATCH"};
  return std::find(kMethods.begin(), kMethods.end(), method) != kMethods.end();
}

// Holds at least `bytes` in all afterwards.
bool GrowTo(BudgetCharge* charge, size_t bytes) {
  return bytes <= charge->amount() || charge->Grow(bytes - charge->amount()).ok();
}

void Add(std::atomic<uint64_t>* counter, uint64_t n = 1) {
  counter->fetch_add(n, std::memory_order_relaxed);
}

}  // namespace

Front::Front(const ServerOptions& options, const Router& router, std::vector<ListenSocket> sockets,
             Budget* request_budget, Dispatch dispatch)
    : options_(options),
      router_(router),
      limits_{.head_bytes_max = options.head_bytes_max,
              .target_bytes_max = options.target_bytes_max,
              .header_line_bytes_max = options.header_line_bytes_max,
              .header_count_max = options.header_count_max},
      request_budget_(*request_budget),
      dispatch_(std::move(dispatch)),
      listeners_(std::move(sockets)),
      read_buffer_(kReadBytes, '\0') {}

Front::~Front() {
  for (const std::unique_ptr<Connection>& c : connections_) {
    if (c->fd >= 0) close(c->fd);
  }
  for (const ListenSocket& listener : listeners_) close(listener.fd);
  if (epoll_fd_ >= 0) close(epoll_fd_);
  if (wake_fd_ >= 0) close(wake_fd_);
}

int64_t Front::NowMs() const { return options_.env->MonotonicNanos() / 1'000'000; }

Status Front::Open() {
  if (listeners_.size() > kListenersMax) {
    return Status(Code::kInvalidArgument, "too many listen addresses");
  }
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd_ < 0) return Status::FromErrno("epoll_create1", errno);
  wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake_fd_ < 0) return Status::FromErrno("eventfd", errno);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = kWakeTag;
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) != 0) {
    return Status::FromErrno("epoll_ctl", errno);
  }
  for (size_t i = 0; i < listeners_.size(); ++i) {
    event.events = EPOLLIN;
    event.data.u64 = kListenerTag + i;
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, listeners_[i].fd, &event) != 0) {
      return Status::FromErrno("epoll_ctl", errno);
    }
  }
  return Status::Ok();
}

// ------------------------------------------------------------------------------------------------
// the loop

void Front::Run() {
  std::array<epoll_event, kEventsPerWait> events;
  while (!stopping_ || (!connections_.empty() && NowMs() < stop_deadline_ms_)) {
    // Without connections there are no deadlines.
    const bool quiet = connections_.empty() && !stopping_ && accepting_;
    const int timeout_ms =
        !ready_again_.empty() ? 0 : (quiet ? -1 : static_cast<int>(options_.tick_ms));
    const int count = epoll_wait(epoll_fd_, events.data(), kEventsPerWait, timeout_ms);
    CHECK_MSG(count >= 0 || errno == EINTR, "epoll_wait");

    for (int i = 0; i < count; ++i) {
      const uint64_t tag = events[static_cast<size_t>(i)].data.u64;
      if (tag == kWakeTag) {
        uint64_t wakes = 0;
        // Edge triggered and non-blocking: there is nothing to do about an empty read.
        [[maybe_unused]] const ssize_t n = read(wake_fd_, &wakes, sizeof(wakes));
      } else if (tag < kListenerTag + kListenersMax) {
        Accept(tag - kListenerTag);
      } else {
        auto* c = static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr);
        if (c->fd >= 0) OnEvents(c, events[static_cast<size_t>(i)].events);
      }
    }
    std::vector<Connection*> again;
    again.swap(ready_again_);
    for (Connection* c : again) {
      c->queued_again = false;
      if (c->fd >= 0) Advance(c);
    }
    TakeCompletions();
    if (stop_grace_ms_.load() >= 0 && !stopping_) BeginStopping();
    if (const int64_t now_ms = NowMs(); now_ms >= next_tick_ms_ || count == 0) {
      next_tick_ms_ = now_ms + options_.tick_ms;
      CheckDeadlines();
    }
    graveyard_.clear();
  }
  for (const std::unique_ptr<Connection>& c : connections_) {
    if (c->client_gone != nullptr) c->client_gone->store(true);
  }
}

void Front::Complete(std::unique_ptr<Exchange> exchange) {
  bool wake = false;
  {
    MutexLock lock(mu_);
    wake = completions_.empty();
    completions_.push_back(std::move(exchange));
  }
  if (!wake) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_fd_, &one, sizeof(one));
}

void Front::Stop(int64_t grace_ms) {
  stop_grace_ms_.store(std::max<int64_t>(grace_ms, 0));
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_fd_, &one, sizeof(one));
}

void Front::BeginStopping() {
  stopping_ = true;
  stop_deadline_ms_ = NowMs() + stop_grace_ms_.load();
  for (const ListenSocket& listener : listeners_) close(listener.fd);
  listeners_.clear();
  // Backwards: Destroy moves the last connection into the gap.
  for (size_t i = connections_.size(); i-- > 0;) {
    Connection* c = connections_[i].get();
    c->close_after = true;
    if (c->state == Connection::State::kReading) Destroy(c);
  }
}

void Front::TakeCompletions() {
  std::vector<std::unique_ptr<Exchange>> done;
  {
    MutexLock lock(mu_);
    done.swap(completions_);
  }
  for (std::unique_ptr<Exchange>& exchange : done) {
    Connection* c = exchange->connection;
    CHECK(c->state == Connection::State::kHandling);
    Add(&counters_.handled);
    c->client_gone.reset();
    c->out_head = std::move(exchange->response_head);
    c->out_body = std::move(exchange->response_body);
    c->close_after |= exchange->close_after || c->out_head.empty();
    exchange.reset();
    if (c->broken) {
      Destroy(c);
      continue;
    }
    StartWriting(c);
    Advance(c);
  }
}

bool Front::BodyTooSlow(const Connection& c, int64_t now_ms) const {
  const int64_t paid_ms = now_ms - c.body_start_ms - options_.rate_grace_ms;
  if (!c.in_body || paid_ms <= 0) return false;
  const auto due = static_cast<uint64_t>(paid_ms) * options_.body_rate_min_bytes_per_s / 1000;
  return c.body.size() < due;
}

void Front::CheckDeadlines() {
  const int64_t now_ms = NowMs();
  for (size_t i = connections_.size(); i-- > 0;) {
    Connection* c = connections_[i].get();
    const bool slow = c->state == Connection::State::kReading && BodyTooSlow(*c, now_ms);
    if (now_ms < c->deadline_ms && !slow) continue;
    if (c->state != Connection::State::kReading || c->idle()) {
      if (!c->idle() && c->state != Connection::State::kLingering) Add(&counters_.timed_out);
      Destroy(c);
      continue;
    }
    Add(&counters_.timed_out);
    Refuse(c, {408, "the request arrives too slowly"});
    Advance(c);
  }
  if (!accepting_ && !stopping_) WatchListeners(true);
}

// ------------------------------------------------------------------------------------------------
// accepting

void Front::WatchListeners(bool on) {
  accepting_ = on;
  for (size_t i = 0; i < listeners_.size(); ++i) {
    epoll_event event{};
    event.events = on ? uint32_t{EPOLLIN} : 0;
    event.data.u64 = kListenerTag + i;
    epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, listeners_[i].fd, &event);
  }
}

void Front::Accept(size_t listener) {
  if (stopping_) return;
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    sockaddr_storage peer{};
    socklen_t length = sizeof(peer);
    const int fd = accept4(listeners_[listener].fd, reinterpret_cast<sockaddr*>(&peer), &length,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      // Out of descriptors or memory: make room if possible, and look again at the next tick.
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        EvictLongestIdle();
        WatchListeners(false);
      }
      return;
    }
    uint16_t port = 0;
    const std::string address = AddressText(reinterpret_cast<sockaddr*>(&peer), &port);
    AcceptOne(fd, address, port, listeners_[listener].loopback);
  }
}

void Front::AcceptOne(int fd, const std::string& address, uint16_t port, bool loopback) {
  const auto connections_max = static_cast<size_t>(std::max(options_.connections_max, 1));
  if (connections_.size() >= connections_max && !EvictLongestIdle()) {
    Add(&counters_.refused_connections);
    const std::string bytes = RefusalBytes({503, "too many connections"});
    [[maybe_unused]] const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    close(fd);
    return;
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  auto connection = std::make_unique<Connection>(request_budget_);
  Connection* c = connection.get();
  c->fd = fd;
  c->remote_address = address;
  c->remote_port = port;
  c->loopback_listener = loopback;
  c->last_active_ms = NowMs();
  c->deadline_ms = c->last_active_ms + options_.read_timeout_ms;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = c;
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) {
    Add(&counters_.refused_connections);
    close(fd);
    return;
  }
  c->index = connections_.size();
  connections_.push_back(std::move(connection));
  Add(&counters_.accepted);
  counters_.open.store(static_cast<int64_t>(connections_.size()), std::memory_order_relaxed);
}

// A client that keeps a connection without using it gives way to one that wants something.
bool Front::EvictLongestIdle() {
  Connection* longest = nullptr;
  for (const std::unique_ptr<Connection>& c : connections_) {
    if (!c->idle()) continue;
    if (longest == nullptr || c->last_active_ms < longest->last_active_ms) longest = c.get();
  }
  if (longest == nullptr) return false;
  Destroy(longest);
  return true;
}

void Front::Destroy(Connection* c) {
  if (c->fd >= 0) close(c->fd);  // also leaves the epoll set
  c->fd = -1;
  if (c->queued_again) std::erase(ready_again_, c);
  const size_t index = c->index;
  CHECK(index < connections_.size() && connections_[index].get() == c);
  // Later events of this batch may still point to it.
  graveyard_.push_back(std::move(connections_[index]));
  if (index + 1 < connections_.size()) {
    connections_[index] = std::move(connections_.back());
    connections_[index]->index = index;
  }
  connections_.pop_back();
  counters_.open.store(static_cast<int64_t>(connections_.size()), std::memory_order_relaxed);
}

void Front::Break(Connection* c) {
  if (c->state != Connection::State::kHandling) {
    Destroy(c);
    return;
  }
  // The worker's answer finds it and destroys it then.
  c->broken = true;
  if (c->client_gone != nullptr) c->client_gone->store(true);
  close(c->fd);
  c->fd = -1;
}

// ------------------------------------------------------------------------------------------------
// one connection

void Front::OnEvents(Connection* c, uint32_t events) {
  if ((events & EPOLLIN) != 0) c->readable = true;
  if ((events & EPOLLOUT) != 0) c->writable = true;
  if ((events & EPOLLRDHUP) != 0) {
    c->peer_closed = true;
    c->readable = true;
    if (c->client_gone != nullptr) c->client_gone->store(true);
  }
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    Break(c);
    return;
  }
  Advance(c);
}

// Does what can be done without waiting.
void Front::Advance(Connection* c) {
  while (c->fd >= 0) {
    bool progress = false;
    switch (c->state) {
      case Connection::State::kReading:
        progress = Read(c);
        break;
      case Connection::State::kHandling:
        return;
      case Connection::State::kWriting:
        progress = Write(c);
        break;
      case Connection::State::kLingering:
        progress = Linger(c);
        break;
    }
    if (!progress) return;
  }
}

// True when the state changed; false when there is nothing more to read now.
bool Front::Read(Connection* c) {
  if (!c->in.empty() && c->in_consumed == 0 && !c->in_body && c->scanner.fresh()) {
    ProcessInput(c);  // sent ahead by the client
    if (c->fd < 0 || c->state != Connection::State::kReading) return true;
  }
  size_t turn_bytes = 0;
  while (c->readable) {
    if (turn_bytes >= kReadBytesPerTurn) {
      if (!c->queued_again) ready_again_.push_back(c);
      c->queued_again = true;
      return false;
    }
    const ssize_t n = recv(c->fd, read_buffer_.data(), read_buffer_.size(), 0);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        c->readable = false;
        return false;
      }
      Break(c);
      return true;
    }
    if (n == 0) {
      Destroy(c);  // the client has finished, or gave up in the middle
      return true;
    }
    const auto received = static_cast<size_t>(n);
    turn_bytes += received;
    Add(&counters_.bytes_received, received);
    // A short read emptied the socket: whatever comes later raises another edge.
    if (received < read_buffer_.size() && !c->peer_closed) c->readable = false;
    Feed(c, std::string_view(read_buffer_).substr(0, received));
    if (c->fd < 0 || c->state != Connection::State::kReading) return true;
  }
  return false;
}

void Front::Feed(Connection* c, std::string_view bytes) {
  const int64_t now_ms = NowMs();
  c->last_active_ms = now_ms;
  if (c->in_body && c->in.empty()) {
    bytes = DecodeBody(c, bytes);
    if (bytes.empty() || c->state == Connection::State::kWriting) return;
  } else if (c->idle()) {
    c->request_start_ms = now_ms;
    c->deadline_ms = now_ms + options_.head_timeout_ms;
  }
  if (!GrowTo(&c->charge, c->in.size() + bytes.size() + c->body.capacity())) {
    Add(&counters_.refused_requests);
    // What was sent ahead of an answer under way is dropped with the connection, after the answer.
    c->close_after = true;
    if (c->state == Connection::State::kReading) {
      Refuse(c, {503, "no memory for more requests"});
    }
    return;
  }
  c->in.append(bytes);
  if (c->state == Connection::State::kReading) ProcessInput(c);
}

// Consumes `in` as far as it goes.
void Front::ProcessInput(Connection* c) {
  while (c->state == Connection::State::kReading && c->in_consumed < c->in.size()) {
    if (c->in_body) {
      const std::string_view rest = DecodeBody(c, c->unconsumed());
      c->in_consumed = c->in.size() - rest.size();
      continue;
    }
    Refusal refusal;
    const size_t head_bytes = c->scanner.Scan(c->unconsumed(), limits_, &refusal);
    if (refusal) {
      Refuse(c, refusal);
    } else if (head_bytes == HeadScanner::kNotYet) {
      break;
    } else {
      refusal = ParseHead(c->unconsumed().substr(0, head_bytes), limits_, &c->head);
      c->in_consumed += head_bytes;
      if (refusal) {
        Refuse(c, refusal);
      } else {
        BeginRequest(c);
      }
    }
  }
  c->in.erase(0, c->in_consumed);
  c->in_consumed = 0;
  if (c->in.empty() && c->in.capacity() > kIdleInputBytes) c->in = std::string();
}

bool Front::HostAllowed(const Connection& c) const {
  if (!c.loopback_listener || c.head.host.empty()) return true;
  const std::string host = HostWithoutPort(c.head.host);
  return IsLoopbackHost(host) ||
         std::find(options_.allowed_hosts.begin(), options_.allowed_hosts.end(), host) !=
             options_.allowed_hosts.end();
}

// The head is complete.
void Front::BeginRequest(Connection* c) {
  if (!MethodKnown(c->head.method)) return Refuse(c, {501, "method not implemented"});
  if (!HostAllowed(*c)) {
    return Refuse(c, {403, "host not allowed (set --web.external-url to the name in use)"});
  }
  c->match = router_.Find(c->head.method, c->head.path);
  const size_t body_bytes_max =
      c->match.route != nullptr ? c->match.route->body_bytes_max : Route().body_bytes_max;
  const Refusal refusal = c->decoder.Start(c->head.framing, c->head.content_length, body_bytes_max);
  if (refusal) return Refuse(c, refusal);
  c->in_body = true;
  c->body_start_ms = NowMs();
  c->deadline_ms = c->request_start_ms + options_.read_timeout_ms;
  if (c->decoder.done()) return DispatchRequest(c);
  if (c->head.expect_continue && c->in_consumed == c->in.size()) {
    size_t sent = 0;
    // A fresh request's socket has room for 25 bytes, or the client does not read.
    if (!WriteBytes(c, kContinue, &sent, false) && c->fd >= 0) Break(c);
  }
}

// Takes body bytes from the front of `bytes`; returns the rest.
std::string_view Front::DecodeBody(Connection* c, std::string_view bytes) {
  while (!bytes.empty() && !c->decoder.done()) {
    std::string_view content;
    Refusal refusal;
    bytes.remove_prefix(c->decoder.Consume(bytes, &content, &refusal));
    if (!refusal && !GrowBody(c, content)) {
      Add(&counters_.refused_requests);
      refusal = {503, "no memory for more requests"};
    }
    if (refusal) {
      Refuse(c, refusal);
      return bytes;
    }
  }
  if (c->decoder.done()) DispatchRequest(c);
  return bytes;
}

// Appends, having charged the memory first. Grows by doubling, and to no more than what is to come.
bool Front::GrowBody(Connection* c, std::string_view content) {
  if (content.empty()) return true;
  const size_t needed = c->body.size() + content.size();
  if (needed > c->body.capacity()) {
    size_t capacity = std::max({needed, 2 * c->body.capacity(), kBodyReserveBytes});
    if (c->head.framing == BodyFraming::kLength) {
      capacity = std::min(capacity, static_cast<size_t>(c->head.content_length));
    }
    if (!GrowTo(&c->charge, c->in.size() + capacity)) return false;
    c->body.reserve(capacity);
  }
  c->body.append(content);
  return true;
}

void Front::DispatchRequest(Connection* c) {
  auto exchange =
      std::make_unique<Exchange>(std::exchange(c->charge, BudgetCharge(request_budget_)));
  HttpRequest& request = exchange->request;
  request.method = std::move(c->head.method);
  request.path = std::move(c->head.path);
  const std::string& prefix = router_.prefix();
  if (c->match.route != nullptr && !prefix.empty()) request.path.erase(0, prefix.size());
  request.raw_query = std::move(c->head.raw_query);
  request.headers = std::move(c->head.headers);
  request.body = std::move(c->body);
  request.captures = std::move(c->match.captures);
  request.remote_address = c->remote_address;
  request.remote_port = c->remote_port;
  request.received_monotonic_ms = NowMs();
  request.client_gone = std::make_shared<std::atomic<bool>>(c->peer_closed);
  exchange->connection = c;
  exchange->match = std::move(c->match);
  exchange->version_minor = c->head.version_minor;
  exchange->keep_alive = c->head.keep_alive && !stopping_;

  c->client_gone = request.client_gone;
  c->body = std::string();
  c->in_body = false;
  c->scanner.Reset();
  c->state = Connection::State::kHandling;
  c->deadline_ms = kNoDeadline;
  if (!dispatch_(&exchange)) RefuseLane(c, std::move(exchange));
}

// The lane is full: the API's error in place of the handler's answer.
void Front::RefuseLane(Connection* c, std::unique_ptr<Exchange> exchange) {
  Add(&counters_.refused_requests);
  HttpResponse response;
  AnswerOverload(options_, exchange->request, Overload::kLaneFull, &response);
  c->client_gone.reset();
  c->out_head = ClosingHeadBytes(response.status, response.headers, response.body.size());
  c->out_body = std::move(response.body);
  c->close_after = true;
  StartWriting(c);
}

void Front::Refuse(Connection* c, Refusal refusal) {
  if (refusal.status == 400) Add(&counters_.malformed);
  c->refused = true;
  c->body = std::string();
  c->in_body = false;
  c->charge.ReleaseAll();
  c->out_head = RefusalBytes(refusal);
  c->out_body = ResponseBody();
  c->close_after = true;
  StartWriting(c);
}

void Front::StartWriting(Connection* c) {
  c->state = Connection::State::kWriting;
  c->out_head_sent = 0;
  c->out_piece_sent = 0;
  const size_t bytes = c->out_head.size() + c->out_body.size();
  const size_t rate = std::max<size_t>(options_.write_rate_min_bytes_per_s, 1);
  c->deadline_ms = NowMs() + options_.write_timeout_ms + static_cast<int64_t>(bytes / rate) * 1000;
}

// False when not everything went out; the connection may be gone then.
bool Front::WriteBytes(Connection* c, std::string_view bytes, size_t* sent, bool more) {
  while (*sent < bytes.size()) {
    const ssize_t n = send(c->fd, bytes.data() + *sent, bytes.size() - *sent,
                           MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (n >= 0) {
      *sent += static_cast<size_t>(n);
      Add(&counters_.bytes_sent, static_cast<uint64_t>(n));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      c->writable = false;
      return false;
    } else if (errno != EINTR) {
      Break(c);
      return false;
    }
  }
  return true;
}

// True when the answer is out and the state has changed.
bool Front::Write(Connection* c) {
  if (!c->writable) return false;
  std::string_view piece = c->out_body.Front();
  // A small answer goes out in one call, head and body together.
  if (c->out_head_sent == 0 && piece.size() < kReadBytes / 4) {
    c->out_head.append(piece);
    if (!piece.empty()) c->out_body.PopFront();
    piece = c->out_body.Front();
  }
  if (!WriteBytes(c, c->out_head, &c->out_head_sent, !piece.empty())) return false;
  for (; !piece.empty(); piece = c->out_body.Front()) {
    if (!WriteBytes(c, piece, &c->out_piece_sent, false)) return false;
    c->out_body.PopFront();
    c->out_piece_sent = 0;
  }
  FinishResponse(c);
  return true;
}

void Front::FinishResponse(Connection* c) {
  c->out_head = std::string();
  c->out_body = ResponseBody();
  const int64_t now_ms = NowMs();
  if (c->close_after) {
    if ((!c->refused && c->in.empty()) || c->peer_closed || shutdown(c->fd, SHUT_WR) != 0) {
      Destroy(c);
      return;
    }
    c->in = std::string();
    c->state = Connection::State::kLingering;
    c->deadline_ms = now_ms + kLingerMs;
    return;
  }
  c->state = Connection::State::kReading;
  c->last_active_ms = now_ms;
  c->request_start_ms = now_ms;
  c->deadline_ms = now_ms + (c->in.empty() ? options_.read_timeout_ms : options_.head_timeout_ms);
}

bool Front::Linger(Connection* c) {
  while (c->readable) {
    const ssize_t n = recv(c->fd, read_buffer_.data(), read_buffer_.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      c->readable = false;
      return false;
    }
    if (n > 0) c->lingered_bytes += static_cast<size_t>(n);
    if (n <= 0 || c->lingered_bytes > kLingerBytesMax) {
      Destroy(c);
      return true;
    }
  }
  return false;
}

}  // namespace tocsin::http
